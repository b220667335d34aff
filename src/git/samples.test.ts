import { mkdtemp, readFile, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, expect, test, vi } from "vitest";
import { busyboxReference, makeBusyboxLayout, writeExternalPin } from "../../test/fixtures/samples/busybox.ts";
import {
	makeSampleRepositories,
	sampleArchitectures,
	sampleNames,
	samplePrefix,
	writeSampleLibrary,
} from "../../test/fixtures/samples/make.ts";
import { nodeIo } from "../io/index.ts";
import { openGitStore } from "./index.ts";

let folder: string;

beforeAll(async () => {
	folder = await mkdtemp(join(tmpdir(), "brewline-samples-"));
});

afterAll(async () => {
	vi.unstubAllEnvs();
	await rm(folder, { recursive: true, force: true });
});

/** The commits of a definition's text, in order of appearance. */
function commitsOf(text: string): readonly string[] {
	return [...text.matchAll(/^(?:\w+-)?GitCommit: (\w+)$/gm)].map((match) => match[1]!);
}

test("the commits that library/ names are those of the sample repositories, whatever a user's git is set to", async () => {
	vi.stubEnv("GIT_AUTHOR_NAME", "Somebody Else");
	vi.stubEnv("GIT_COMMITTER_DATE", "2001-01-01T00:00:00Z");
	vi.stubEnv("GIT_DEFAULT_HASH", "sha256");
	vi.stubEnv("GIT_DIR", "/nowhere");
	vi.stubEnv("GIT_CONFIG_COUNT", "1");
	vi.stubEnv("GIT_CONFIG_KEY_0", "core.autocrlf");
	vi.stubEnv("GIT_CONFIG_VALUE_0", "true");
	const made = await makeSampleRepositories(join(folder, "plain"));
	vi.unstubAllEnvs();
	for (const name of sampleNames) {
		const text = await readFile(join(import.meta.dirname, "../../library", name), "utf8");
		expect(made.definitions[name]).toBe(text);
		const { main, master, ...others } = made.branches[name];
		expect(commitsOf(text)).toEqual([main ?? master, ...Object.values(others)]);
		expect(text).toContain(`GitRepo: ${samplePrefix}${name}.git\n`);
	}
});

test("a change is one commit more, which the changed definition names", async () => {
	const made = await makeSampleRepositories(join(folder, "changed"), { changes: ["base"] });
	await writeSampleLibrary(join(folder, "changed"), made);
	const io = nodeIo();
	await using store = openGitStore(io, {
		directory: join(folder, "cache"),
		rewrite: { [samplePrefix]: `${made.root}/samples-` },
	});
	for (const name of sampleNames) {
		const before = await readFile(join(import.meta.dirname, "../../library", name), "utf8");
		const after = await readFile(join(folder, "changed/library", name), "utf8");
		const changed = commitsOf(before).filter((commit, index) => commitsOf(after)[index] !== commit);
		expect(changed).toHaveLength(name === "base" ? 1 : 0);
	}
	const repository = store.repository(`${samplePrefix}base.git`);
	const commit = made.branches.base["master"]!;
	await repository.ensure([{ commit, fetch: "refs/heads/master" }]);
	for (const architecture of sampleArchitectures) {
		const content = await repository.readFile(commit, architecture, "rootfs/etc/os-release");
		expect(Buffer.from(content).toString()).toContain(`2.1.1 (${architecture})`);
	}
});

test("the image from outside is the same bytes for the same binaries, and its pin names its index", async () => {
	const binaries = { amd64: import.meta.filename, s390x: join(import.meta.dirname, "index.ts") };
	const first = await makeBusyboxLayout(join(folder, "busybox-1"), binaries);
	const second = await makeBusyboxLayout(join(folder, "busybox-2"), binaries);
	expect(first).toEqual(second);
	const index = JSON.parse(await readFile(join(folder, "busybox-1/blobs", first.digest.replace(":", "/")), "utf8")) as {
		manifests: { platform: { architecture: string } }[];
	};
	expect(index.manifests.map(({ platform }) => platform.architecture)).toEqual(["amd64", "s390x"]);
	const pin = await writeExternalPin(folder, busyboxReference, first.digest);
	expect(pin).toBe(join(folder, ".external-pins/library/busybox___1.35"));
	expect(await readFile(pin, "utf8")).toBe(`${first.digest}\n`);
});
