import { existsSync, readdirSync, readFileSync } from "node:fs";
import { mkdir, rm, symlink, rename, writeFile } from "node:fs/promises";
import path from "node:path";
import { unpackTar } from "modern-tar";
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from "vitest";
import { commitFolder, fakeDocker, makeLeg, temporaryFolder } from "../../test/support/builds.ts";
import { startGitServer, type GitServer } from "../../test/support/git-server.ts";
import {
	breakLayout,
	layoutKinds,
	layoutTar,
	makeLayout,
	type LayoutContent,
	type MadeLayout,
} from "../../test/fixtures/layouts/make-layout.ts";
import { nodeIo, type Clock, type Io, type LogEvent } from "../io/index.ts";
import { parseReference, readLayout, type Index } from "../oci/index.ts";
import { printLeg, readLeg, type Leg, type LegBuild } from "../plan/index.ts";
import { createRegistryClient, startRegistry, type RunningRegistry } from "../registry/index.ts";
import { build, pushLayout, readResult, registryOptionsOf, type BuildOptions } from "./index.ts";

const address = "https://github.com/brewline/samples-foo.git";
const builder = { platforms: ["linux/amd64", "linux/arm64"], emulated: ["linux/arm64"], hostNetwork: true } as const;

let folder: string;
let remove: () => void;
let gitServer: GitServer;
let registry: RunningRegistry;
let writes: string[];
let place: string;
let count = 0;

beforeAll(async () => {
	({ folder, remove } = temporaryFolder());
	await mkdir(path.join(folder, "git"));
	gitServer = await startGitServer({ root: path.join(folder, "git") });
});
afterAll(async () => {
	await gitServer.close();
	remove();
});
beforeEach(async () => {
	writes = [];
	registry = await startRegistry({
		fault: ({ method, path }) => {
			if (method !== "GET" && method !== "HEAD") {
				writes.push(`${method} ${path}`);
			}
			return undefined;
		},
	});
	place = path.join(folder, String(++count));
	await mkdir(place);
});
afterEach(async () => {
	await registry.close();
});

const staging = (tag = "a".repeat(64)) => ({ reference: `${registry.host}/staging:${tag}`, read: false });

function gitOf(commit: string, more: Partial<LegBuild["git"]> = {}): LegBuild["git"] {
	return {
		repository: address,
		fetchFrom: `${gitServer.url}/${count}.git`,
		commit,
		ref: "refs/heads/main",
		directory: "dir",
		file: "Dockerfile",
		epoch: 1234567890,
		...more,
	};
}

async function commitFiles(files: Readonly<Record<string, string>>): Promise<string> {
	const source = path.join(place, "source");
	for (const [name, content] of Object.entries(files)) {
		await mkdir(path.dirname(path.join(source, name)), { recursive: true });
		await writeFile(path.join(source, name), content);
	}
	return commitFolder(source, path.join(folder, "git"), String(count));
}

/** A layout as an `oci-import` image has it in git: `index.json` names the image. */
async function commitLayout(change: (layout: string, made: MadeLayout) => Promise<void> = async () => {}) {
	const layout = path.join(place, "source", "dir");
	const made = await makeLayout("provenance-v1", layout);
	const { mediaType, digest, size } = made.image;
	await writeFile(
		path.join(layout, "index.json"),
		JSON.stringify({ schemaVersion: 2, manifests: [{ mediaType, digest, size, annotations: { theirs: "x" } }] }),
	);
	await change(layout, made);
	return { made, commit: await commitFiles({}) };
}

function setUp(options: { env?: Readonly<Record<string, string>>; signal?: AbortSignal; clock?: Clock } = {}) {
	const docker = fakeDocker(place);
	const events: LogEvent[] = [];
	const io: Io = {
		...nodeIo({
			env: { ...process.env, SOURCE_DATE_EPOCH: "1700000000", ...docker.env, ...options.env },
			log: (event) => events.push(event),
			...(options.signal === undefined ? {} : { signal: options.signal }),
		}),
		...(options.clock === undefined ? {} : { clock: options.clock }),
	};
	const client = createRegistryClient(io);
	const run = async (leg: Leg, more: Partial<BuildOptions> = {}) => {
		const result = await build(readLeg(printLeg(leg), { file: "leg.json" }), io, {
			client,
			git: { directory: path.join(place, "git-cache") },
			workDirectory: path.join(place, "work"),
			results: path.join(place, "results"),
			logs: path.join(place, "logs"),
			run: { id: "9001", attempt: 2 },
			...more,
		});
		const text = readFileSync(path.join(place, "results", `${leg.id}.json`), "utf8");
		expect(readResult(text, { file: "x", leg: leg.id, run: { id: "9001", attempt: 2 } })).toEqual(result);
		expect(readdirSync(path.join(place, "work"))).toEqual([]);
		return result.builds[0]!;
	};
	const indexOf = async (tag = "a".repeat(64)) => {
		const found = await client.getManifest(parseReference(staging(tag).reference));
		return found && { digest: found.digest, index: JSON.parse(Buffer.from(found.bytes).toString()) as Index };
	};
	return { docker, events, io, client, run, indexOf };
}

async function tarballOf(kind: (typeof layoutKinds)[number], content: LayoutContent = {}) {
	const layout = path.join(place, "made");
	const made = await makeLayout(kind, layout, { tags: ["foo:1", "amd64/foo:1"], ...content });
	const file = path.join(place, "made.tar");
	await writeFile(file, await layoutTar(layout));
	return { made, layout, file };
}

describe("oci-import", () => {
	const importLeg = (commit: string, more: Partial<LegBuild> = {}, leg: Partial<Leg> = {}) =>
		makeLeg({ builder: "oci-import", git: gitOf(commit, { file: "index.json" }), staging: staging(), ...more }, leg);

	it("goes from git to the staging repository without an engine, once", async () => {
		const { made, commit } = await commitLayout();
		const { run, indexOf, docker } = setUp();
		const leg = importLeg(commit);
		const first = await run(leg);
		expect(first).toMatchObject({ status: "built", emulated: false, error: null });
		const staged = await indexOf();
		expect(staged!.digest).toBe(first.digest);
		expect(staged!.index.manifests).toEqual([
			{
				mediaType: made.image.mediaType,
				digest: made.image.digest,
				size: made.image.size,
				platform: { os: "linux", architecture: "amd64" },
				annotations: {
					"com.docker.official-images.bashbrew.arch": "amd64",
					"org.opencontainers.image.created": "2009-02-13T23:31:30Z",
					"org.opencontainers.image.revision": commit,
				},
			},
		]);
		writes.length = 0;
		expect(await run(leg)).toMatchObject({ status: "present", digest: first.digest });
		expect(writes).toEqual([]);
		expect(docker.calls()).toEqual([]);
	});

	it("sends no blob again that the repository has", async () => {
		const { commit } = await commitLayout();
		const { run } = setUp();
		await run(importLeg(commit));
		writes.length = 0;
		const other = await run(importLeg(commit, { staging: staging("other"), annotations: { a: "b" } }));
		expect(other.status).toBe("built");
		expect(writes).toEqual(["PUT /v2/staging/manifests/other"]);
	});

	it("follows links within the folder, as the real busybox has them", async () => {
		const { commit, made } = await commitLayout(async (layout, { layers }) => {
			const blob = path.join(layout, "blobs", layers[0]!.digest.replace(":", "/"));
			await rename(blob, path.join(layout, "rootfs.tar.gz"));
			await symlink("../../rootfs.tar.gz", blob);
		});
		const { run, client } = setUp();
		expect(await run(importLeg(commit))).toMatchObject({ status: "built" });
		expect(await client.hasBlob(parseReference(staging().reference), made.layers[0]!.digest)).toBe(true);
	});

	it("is built although the tag holds another platform", async () => {
		const { commit } = await commitLayout();
		const { run, client, indexOf } = setUp();
		const layout = path.join(place, "other");
		await makeLayout("provenance-v1", layout, { platform: { os: "linux", architecture: "s390x" } });
		const pushed = await pushLayout(
			client,
			await readLayout(layout, { attestations: "current" }),
			parseReference(staging().reference),
		);
		const result = await run(importLeg(commit));
		expect(result.status).toBe("built");
		expect((await indexOf())!.digest).not.toBe(pushed);
	});

	it.each([
		[
			"a second manifest",
			"layout",
			/exactly one manifest/,
			async (layout: string, { image }: MadeLayout) => {
				const { mediaType, digest, size } = image;
				const manifests = [1, 2].map(() => ({ mediaType, digest, size }));
				await writeFile(path.join(layout, "index.json"), JSON.stringify({ schemaVersion: 2, manifests }));
			},
		],
		[
			"a path that climbs out",
			"layout",
			/no digest/,
			async (layout: string, { image }: MadeLayout) => {
				const { mediaType, size } = image;
				const manifests = [{ mediaType, digest: "sha256:../../../../../etc/passwd", size }];
				await writeFile(path.join(layout, "index.json"), JSON.stringify({ schemaVersion: 2, manifests }));
			},
		],
		[
			"a link that leads out",
			"git",
			/leads out of the directory/,
			async (layout: string, { layers }: MadeLayout) => {
				const blob = path.join(layout, "blobs", layers[0]!.digest.replace(":", "/"));
				await rm(blob);
				await symlink("../../../../etc/passwd", blob);
			},
		],
		[
			"another layer",
			"digest",
			/has the digest/,
			(layout: string, made: MadeLayout) => breakLayout("wrong-digest", layout, made),
		],
		[
			"a cut layer",
			"digest",
			/bytes, but its descriptor says/,
			(layout: string, made: MadeLayout) => breakLayout("cut-blob", layout, made),
		],
		[
			"a missing layer",
			"layout",
			/is missing/,
			(layout: string, made: MadeLayout) => breakLayout("missing-blob", layout, made),
		],
		[
			"another layout version",
			"layout",
			/imageLayoutVersion/,
			async (layout: string) => {
				await writeFile(path.join(layout, "oci-layout"), '{"imageLayoutVersion":"2.0.0"}');
			},
		],
	])("refuses %s, and pushes nothing", async (_, code, message, change) => {
		const { commit } = await commitLayout(change);
		const { run, indexOf } = setUp();
		const result = await run(importLeg(commit));
		expect(result).toMatchObject({ status: "failed", digest: null, error: { code } });
		expect(result.error!.message).toMatch(message);
		expect(writes).toEqual([]);
		expect(await indexOf()).toBeUndefined();
	});

	it("takes a lone descriptor; the platform is the source's, whatever the config says", async () => {
		const layout = path.join(place, "source", "dir");
		const { image } = await makeLayout("provenance-v1", layout, {
			platform: { os: "linux", architecture: "s390x" },
		});
		const { mediaType, digest, size } = image;
		await writeFile(path.join(layout, "image.json"), JSON.stringify({ mediaType, digest, size }));
		const { run, indexOf } = setUp();
		const commit = await commitFiles({});
		expect(await run(importLeg(commit, { git: gitOf(commit, { file: "image.json" }) }))).toMatchObject({
			status: "built",
		});
		expect((await indexOf())!.index.manifests[0]).toMatchObject({ digest, platform: { architecture: "amd64" } });
	});

	it("names the commit that cannot be had", async () => {
		await commitLayout();
		const { run } = setUp();
		const result = await run(importLeg("f".repeat(40)));
		expect(result).toMatchObject({ status: "failed", error: { code: "git" } });
		expect(result.error!.message).toContain("f".repeat(40));
	});

	it.each(layoutKinds)("takes the SBOM of a scanned layout of the kind %s", async (kind) => {
		const { commit, made } = await commitLayout();
		const scanned = await tarballOf(kind, { layers: [{ "other.txt": "x" }], sbom: true });
		const { run, docker, indexOf } = setUp({ env: { FAKE_TARBALL: scanned.file } });
		const result = await run(importLeg(commit, { sbom: "scanner:1,X=y" }), { builder: { ...builder, name: "b" } });
		expect(result).toMatchObject({ status: "built", error: null });
		const [call] = docker.calls();
		expect(call).toMatchObject({
			builder: "b",
			argv: [
				"buildx",
				"build",
				"--progress=plain",
				"--provenance=false",
				"--load=false",
				"--sbom=generator=scanner:1,X=y",
				"--output",
				'"type=oci","dest=sbom.tar"',
				"--platform",
				"linux/amd64",
				"--build-context",
				`fake=oci-layout://layout@${made.image.digest}`,
				"--build-arg",
				"BUILDKIT_DOCKERFILE_CHECK=skip=all",
				"-",
			],
		});
		expect(Buffer.from(call!.stdin, "base64").toString()).toBe("FROM fake\n");
		const { manifests } = (await indexOf())!.index;
		expect(manifests.map(({ digest }) => digest)[0]).toBe(made.image.digest);
		expect(manifests[1]!.annotations).toEqual({
			"vnd.docker.reference.digest": made.image.digest,
			"vnd.docker.reference.type": "attestation-manifest",
		});
	});

	it("needs an engine for an SBOM", async () => {
		const { commit } = await commitLayout();
		const { run } = setUp();
		expect(await run(importLeg(commit, { sbom: "scanner:1" }))).toMatchObject({
			status: "failed",
			error: { code: "engine" },
		});
		expect(writes).toEqual([]);
	});
});

describe("buildkit", () => {
	const files = { "dir/Dockerfile": "FROM scratch\nCOPY a /\n", "dir/a": "a\n", outside: "x\n" };

	it.each(layoutKinds)("builds, checks and pushes a layout of the kind %s", async (kind) => {
		const commit = await commitFiles(files);
		const { made, file } = await tarballOf(kind);
		const { run, docker, indexOf, events } = setUp({ env: { FAKE_TARBALL: file } });
		const result = await run(makeLeg({ git: gitOf(commit), staging: staging() }), { builder });
		expect(result).toMatchObject({ status: "built", digest: made.root.digest, emulated: false, error: null });
		expect((await indexOf())!.digest).toBe(made.root.digest);
		expect(docker.calls().map(({ argv }) => argv)).toEqual([
			[
				"buildx",
				"build",
				"--progress=plain",
				"--provenance=mode=max,builder-id=https://example.org/builder",
				"--output",
				'"type=oci","dest=temp.tar"',
				"--annotation",
				`manifest,manifest-descriptor:org.opencontainers.image.revision=${commit}`,
				"--annotation",
				"manifest,manifest-descriptor:org.opencontainers.image.created=2023-11-14T22:13:20Z",
				"--annotation",
				"manifest,manifest-descriptor:com.docker.official-images.bashbrew.arch=amd64",
				"--tag",
				"foo:1",
				"--tag",
				"amd64/foo:1",
				"--tag",
				staging().reference,
				"--platform",
				"linux/amd64",
				"--build-arg",
				"BUILDKIT_DOCKERFILE_CHECK=skip=all",
				"--file",
				"Dockerfile",
				"-",
			],
		]);
		expect(events.filter((event) => event.type === "output").map(({ text }) => text)).toContain("\\u{1b}[31mstep 2");
	});

	it("gives annotations level by level to a buildx that takes no lists of levels", async () => {
		const commit = await commitFiles(files);
		const { file } = await tarballOf("provenance-v1");
		const { run, docker } = setUp({ env: { FAKE_TARBALL: file } });
		const leg = makeLeg({ git: gitOf(commit), staging: staging() });
		expect(await run(leg, { builder: { ...builder, annotationLists: false } })).toMatchObject({ status: "built" });
		const { argv } = docker.calls()[0]!;
		expect(argv.filter((_, place) => argv[place - 1] === "--annotation")).toEqual(
			[
				`org.opencontainers.image.revision=${commit}`,
				"org.opencontainers.image.created=2023-11-14T22:13:20Z",
				"com.docker.official-images.bashbrew.arch=amd64",
			].flatMap((annotation) => [`manifest:${annotation}`, `manifest-descriptor:${annotation}`]),
		);
	});

	it("gives a rewritten context as a tar of its directory", async () => {
		const commit = await commitFiles(files);
		const { file } = await tarballOf("provenance-v1");
		const { run, docker } = setUp({ env: { FAKE_TARBALL: file } });
		await run(makeLeg({ git: gitOf(commit), staging: staging() }), { builder });
		const archive = Buffer.from(docker.calls()[0]!.stdin, "base64");
		// What Docker looks at must be one whole header of an entry.
		expect(archive.toString("latin1", 0, 3)).toBe("./\0");
		expect(archive[156]).toBe("5".charCodeAt(0));
		const entries = await unpackTar(archive);
		expect(entries.map(({ header }) => [header.name, header.mode, header.mtime?.getTime()])).toEqual([
			["./", 0o755, 1234567890000],
			["Dockerfile", 0o644, 1234567890000],
			["a", 0o644, 1234567890000],
		]);
	});

	it("gives a private context as a tar, for BuildKit has no credential", async () => {
		const commit = await commitFiles(files);
		const { file } = await tarballOf("provenance-v1");
		const { run, docker } = setUp({ env: { FAKE_TARBALL: file, TOKEN: "secret" } });
		const fetchFrom = `${gitServer.url}/${count}.git`;
		const git = gitOf(commit, { repository: fetchFrom, fetchFrom });
		const store = { directory: path.join(place, "git-cache") };
		const credentials = { [`${gitServer.url}/`]: { tokenVariable: "TOKEN" } };
		const leg = makeLeg({ git, staging: staging() });
		expect(await run(leg, { builder, git: { ...store, credentials } })).toMatchObject({ status: "built" });
		const [call] = docker.calls();
		expect(call!.argv.at(-1)).toBe("-");
		expect(call!.stdin).not.toBe("");
		expect(JSON.stringify(call)).not.toContain("secret");

		const other = makeLeg({ git, staging: staging("b".repeat(64)) });
		await run(other, { builder, git: { ...store, credentials: { [`${gitServer.url}/private/`]: { token: "x" } } } });
		expect(docker.calls()[1]!.argv.at(-1)).toBe(`${fetchFrom}#${commit}:dir`);
	});

	it.each([
		["its own address", { fetchFrom: address }, {}, `${address}#COMMIT:dir`],
		["a rewritten one where that is asked for", {}, { context: "git" }, "URL#COMMIT:dir"],
		["a tar where that is asked for", { fetchFrom: address }, { context: "tar" }, "-"],
		["a tar of a folder", { repository: "http://127.0.0.1:1/x.git", fetchFrom: "/PATH" }, {}, "-"],
		["a tar where it does not reach us", { repository: "URL", fetchFrom: "URL" }, { hostNetwork: false }, "-"],
		["our address where it reaches us", { repository: "URL", fetchFrom: "URL" }, {}, "URL#COMMIT:dir"],
	] as const)("gets as its context %s", async (_, git, more, expected) => {
		const commit = await commitFiles(files);
		const url = `${gitServer.url}/${count}.git`;
		const bare = path.join(folder, "git", `${count}.git`);
		const fill = (text: string) => text.replace("URL", url).replace("/PATH", bare).replace("COMMIT", commit);
		const { file } = await tarballOf("provenance-v1");
		const { run, docker } = setUp({ env: { FAKE_TARBALL: file } });
		const changed = Object.fromEntries(Object.entries(git).map(([key, value]) => [key, fill(value)]));
		const result = await run(makeLeg({ git: gitOf(commit, changed), staging: staging() }), {
			// A definition's own address is never fetched from in this test: there is no network.
			builder: { ...builder, ...more },
			git: { directory: path.join(place, "git-cache") },
		});
		const tarOfGithub = expected === "-" && changed["fetchFrom"] === address;
		expect(result.status).toBe(tarOfGithub ? "failed" : "built");
		expect(docker.calls().map(({ argv }) => argv.at(-1))).toEqual(tarOfGithub ? [] : [fill(expected)]);
	});

	async function pushedParent(client: ReturnType<typeof createRegistryClient>) {
		const layout = path.join(place, "parent");
		const made = await makeLayout("provenance-v1", layout, { layers: [{ base: "b" }] });
		const valid = await readLayout(layout, { attestations: "current" });
		await pushLayout(client, valid, parseReference(`${registry.host}/base:1`));
		return {
			made,
			parent: { from: "base:1", reference: `${registry.host}/base:1@${made.image.digest}`, digest: made.image.digest },
		};
	}

	it("gives parents by reference to a builder that reaches them", async () => {
		const commit = await commitFiles(files);
		const { file } = await tarballOf("provenance-v1", { layers: [{ base: "b" }, { a: "a" }] });
		const { run, docker, client } = setUp({ env: { FAKE_TARBALL: file } });
		const { parent, made } = await pushedParent(client);
		writes.length = 0;
		const result = await run(makeLeg({ git: gitOf(commit), staging: staging(), parents: [parent] }), { builder });
		expect(result.status).toBe("built");
		expect(docker.calls()[0]!.argv).toContain(`base:1=docker-image://${parent.reference}`);
		// The base's layer is there already: it is mounted, and not sent.
		const mounts = writes.filter((line) => line.includes("mount="));
		expect(mounts).toHaveLength(1);
		expect(decodeURIComponent(mounts[0]!)).toContain(`mount=${made.layers[0]!.digest}&from=base`);
		expect(writes.some((line) => line.startsWith("PUT") && line.includes(made.layers[0]!.digest))).toBe(false);
	});

	it("gives parents as layouts to a builder that does not reach them", async () => {
		const commit = await commitFiles(files);
		const { file } = await tarballOf("provenance-v1");
		const { run, docker, client } = setUp({ env: { FAKE_TARBALL: file } });
		const { parent, made } = await pushedParent(client);
		const leg = makeLeg({ git: gitOf(commit), staging: staging(), parents: [parent] });
		const result = await run(leg, { builder: { ...builder, hostNetwork: false } });
		expect(result.status).toBe("built");
		const [call] = docker.calls();
		expect(call!.argv).toContain(`base:1=oci-layout://parents@${made.image.digest}`);
		const blobs = [made.image, made.config, ...made.layers].map(({ digest }) => digest.slice("sha256:".length));
		expect(call!.files.filter((name) => name.startsWith("parents/blobs/sha256/")).toSorted()).toEqual(
			blobs.map((name) => `parents/blobs/sha256/${name}`).toSorted(),
		);
		expect(call!.files).toContain("parents/oci-layout");
	});

	it("says that a parent is gone", async () => {
		const commit = await commitFiles(files);
		const { run, docker } = setUp();
		const digest = `sha256:${"1".repeat(64)}`;
		const parents = [{ from: "base:1", reference: `${registry.host}/base@${digest}`, digest }];
		const result = await run(makeLeg({ git: gitOf(commit), staging: staging(), parents }), {
			builder: { ...builder, parents: "layout" },
		});
		expect(result).toMatchObject({ status: "failed", error: { code: "registry" } });
		expect(result.error!.message).toContain("is not in the registry any more");
		expect(docker.calls()).toEqual([]);
	});

	it.each([
		"wrong-digest",
		"wrong-size",
		"cut-blob",
		"missing-blob",
		"climbs-out",
		"second-manifest",
		"huge-manifest",
	] as const)("refuses a layout with the defect %s, and pushes nothing", async (defect) => {
		const commit = await commitFiles(files);
		const { layout, made, file } = await tarballOf("provenance-v1");
		await breakLayout(defect, layout, made);
		await writeFile(file, await layoutTar(layout));
		const { run, indexOf } = setUp({ env: { FAKE_TARBALL: file } });
		const result = await run(makeLeg({ git: gitOf(commit), staging: staging() }), { builder });
		expect(result).toMatchObject({ status: "failed", digest: null });
		expect(result.error!.code).toMatch(/^(?:layout|digest)$/);
		expect(writes).toEqual([]);
		expect(await indexOf()).toBeUndefined();
	});

	it("refuses what is for another platform", async () => {
		const commit = await commitFiles(files);
		const { file } = await tarballOf("provenance-v1", { platform: { os: "linux", architecture: "s390x" } });
		const { run } = setUp({ env: { FAKE_TARBALL: file } });
		const result = await run(makeLeg({ git: gitOf(commit), staging: staging() }), { builder });
		expect(result).toMatchObject({
			status: "failed",
			error: { code: "layout", message: "what was built is for linux/s390x, not for linux/amd64" },
		});
		expect(writes).toEqual([]);
	});

	it("refuses provenance that the old system refuses, where its rules are asked for", async () => {
		const commit = await commitFiles(files);
		const { file } = await tarballOf("provenance-v1");
		const { run } = setUp({ env: { FAKE_TARBALL: file } });
		const leg = makeLeg({ git: gitOf(commit), staging: staging() }, { attestations: "legacy" });
		expect(await run(leg, { builder })).toMatchObject({ status: "failed", error: { code: "layout" } });
	});

	it("keeps the end of the log of a build that fails", async () => {
		const commit = await commitFiles(files);
		const { run } = setUp({ env: { FAKE_MODE: "fail" } });
		const leg = makeLeg({ git: gitOf(commit), staging: staging() });
		const result = await run(leg, { builder });
		expect(result).toMatchObject({
			status: "failed",
			log: path.join(place, "logs", `${leg.id}.log`),
			error: { code: "build", message: "docker buildx build: exit code 1: failed to solve: no such package" },
		});
		expect(new Set(result.error!.lines.slice(-3))).toEqual(
			new Set(["step 1", "\\u{1b}[31mstep 2", "ERROR: failed to solve: no such package"]),
		);
		expect(readFileSync(result.log!, "utf8")).toContain("no such package");
		expect(await run(leg, { builder, logAddress: "https://example.org/log" })).toMatchObject({
			log: "https://example.org/log",
		});
	});

	it("marks what is emulated, and does so only where that is allowed", async () => {
		const commit = await commitFiles(files);
		const platform = { os: "linux", architecture: "arm64", variant: "v8" };
		const { file } = await tarballOf("provenance-v1", { platform });
		const { run } = setUp({ env: { FAKE_TARBALL: file } });
		const leg = makeLeg(
			{ git: gitOf(commit), staging: staging() },
			{ arch: "arm64v8", platform, platformString: "linux/arm64/v8" },
		);
		const refused = await run(leg, { builder });
		expect(refused).toMatchObject({ status: "failed", emulated: false, error: { code: "engine" } });
		expect(refused.error!.hint).toContain("architectures.arm64v8.emulate");
		const allowed = await run({ ...leg, runner: { ...leg.runner, emulate: true } }, { builder });
		expect(allowed).toMatchObject({ status: "built", emulated: true });
	});

	it("does not count as emulated where another architecture's machine runs it natively", async () => {
		const commit = await commitFiles(files);
		const platform = { os: "linux", architecture: "arm", variant: "v7" };
		const { file } = await tarballOf("provenance-v1", { platform });
		const { run } = setUp({ env: { FAKE_TARBALL: file } });
		const leg = makeLeg(
			{ git: gitOf(commit), staging: staging() },
			{ arch: "arm32v7", platform, platformString: "linux/arm/v7" },
		);
		const platforms = ["linux/arm64", "linux/arm/v7", "linux/amd64"];
		const arm = { platforms, emulated: platforms.slice(1), hostNetwork: true };
		expect(await run(leg, { builder: arm })).toMatchObject({ status: "failed", error: { code: "engine" } });
		const via = { os: "linux", architecture: "arm64", variant: "v8" };
		const there = { ...leg, runner: { ...leg.runner, via } };
		expect(await run(there, { builder })).toMatchObject({ status: "failed", error: { code: "engine" } });
		expect(await run(there, { builder: arm })).toMatchObject({ status: "built", emulated: false });
	});

	it("says that it needs an engine", async () => {
		const { run } = setUp();
		const leg = makeLeg({ git: gitOf("0".repeat(40)), staging: staging() });
		expect(await run(leg)).toMatchObject({ status: "failed", error: { code: "engine" } });
	});
});

describe("registryOptionsOf", () => {
	it("lets 401 and 403 hide only what was never read", () => {
		const leg = makeLeg({ git: gitOf("0".repeat(40)), staging: { ...staging(), read: true } });
		const { hides } = registryOptionsOf(leg);
		expect(hides(parseReference(`${registry.host}/staging:x`))).toBe(false);
		expect(hides(parseReference(`${registry.host}/base:x`))).toBe(true);
		const fresh = registryOptionsOf(makeLeg({ git: gitOf("0".repeat(40)), staging: staging() }));
		expect(fresh.hides(parseReference(`${registry.host}/staging:x`))).toBe(true);
	});
});

describe("being ended", () => {
	const files = { "dir/Dockerfile": "FROM scratch\n" };
	const gone = (pid: number) => {
		expect(() => process.kill(pid, 0)).toThrow("ESRCH");
	};

	it("runs into its time limit", async () => {
		const commit = await commitFiles(files);
		const real = nodeIo().clock;
		const limits: (() => void)[] = [];
		const clock: Clock = {
			now: () => real.now(),
			sleep: (milliseconds, signal) =>
				milliseconds === 60 * 60_000
					? new Promise((resolve) => limits.push(resolve))
					: real.sleep(milliseconds, signal),
		};
		const { run, docker, events } = setUp({ env: { FAKE_MODE: "hang" }, clock });
		const running = run(makeLeg({ git: gitOf(commit), staging: staging() }), { builder });
		await expect.poll(() => events.some(({ type }) => type === "output") && docker.calls().length).toBe(1);
		limits[0]!();
		expect(await running).toMatchObject({
			status: "timed-out",
			error: { code: "timeout", message: "not done after 60 minutes" },
		});
		gone(docker.calls()[0]!.pid);
	});

	it("ends its children, and writes its results, within five seconds", async () => {
		const commit = await commitFiles(files);
		const end = new AbortController();
		const { run, docker } = setUp({ env: { FAKE_MODE: "hang" }, signal: end.signal });
		const one = makeLeg({ git: gitOf(commit), staging: staging() });
		const second = { ...one.builds[0]!, buildId: "b".repeat(64) };
		const running = run({ ...one, builds: [...one.builds, second] }, { builder });
		await expect.poll(() => docker.calls().length).toBe(1);
		const started = performance.now();
		end.abort();
		expect(await running).toMatchObject({ status: "cancelled", error: { code: "cancelled" } });
		expect(performance.now() - started).toBeLessThan(5000);
		gone(docker.calls()[0]!.pid);
		const text = readFileSync(path.join(place, "results", `${one.id}.json`), "utf8");
		expect(readResult(text, { file: "x" }).builds.map(({ status }) => status)).toEqual(["cancelled", "cancelled"]);
		expect(docker.calls()).toHaveLength(1);
	});

	it("does not wait for a registry that does not answer", async () => {
		const end = new AbortController();
		const forever = new Promise<never>(() => {});
		const clock: Clock = {
			now: () => 0,
			sleep: (milliseconds) => (milliseconds < 60_000 ? Promise.resolve() : forever),
		};
		const { run, client } = setUp({ signal: end.signal, clock });
		const asked = Promise.withResolvers<void>();
		const running = run(makeLeg({ git: gitOf("0".repeat(40)), staging: staging() }), {
			client: {
				...client,
				getManifest: () => {
					asked.resolve();
					return forever;
				},
			},
		});
		await asked.promise;
		end.abort();
		expect(await running).toMatchObject({ status: "cancelled" });
	});
});

describe("classic", () => {
	it("runs its commands in order, and reads back what it pushed", async () => {
		const commit = await commitFiles({ "dir/Dockerfile": "FROM base:1\n" });
		const { made, layout } = await tarballOf("provenance-v1", { tags: ["foo:1"] });
		const digest = `sha256:${"1".repeat(64)}`;
		const { run, docker, client } = setUp({
			env: {
				FAKE_PUSH: `${registry.url}/v2/staging/manifests/${"a".repeat(64)}`,
				FAKE_MANIFEST: path.join(layout, "blobs", made.image.digest.replace(":", "/")),
			},
		});
		const valid = await readLayout(layout, { attestations: "current" });
		await pushLayout(client, valid, parseReference(`${registry.host}/staging:other`));
		const leg = makeLeg({
			builder: "classic",
			annotations: {},
			git: gitOf(commit, { repository: address, fetchFrom: address }),
			staging: staging(),
			parents: [{ from: "base:1", reference: `base@${digest}`, digest }],
		});
		expect(await run(leg, { builder })).toMatchObject({ status: "built", digest: made.image.digest });
		expect(docker.calls().map(({ argv, buildkit }) => [buildkit, ...argv])).toEqual([
			[null, "pull", `base@${digest}`],
			[null, "tag", `base@${digest}`, "base:1"],
			[
				"0",
				"build",
				"--tag",
				"foo:1",
				"--tag",
				"amd64/foo:1",
				"--tag",
				staging().reference,
				"--platform",
				"linux/amd64",
				"--file",
				"Dockerfile",
				`${address}#${commit}:dir`,
			],
			[null, "push", staging().reference],
		]);
	});

	it("fails where the push left nothing", async () => {
		const commit = await commitFiles({ "dir/Dockerfile": "FROM scratch\n" });
		const empty = path.join(place, "empty.json");
		await writeFile(empty, "{}");
		const { run } = setUp({ env: { FAKE_PUSH: `${registry.url}/v2/`, FAKE_MANIFEST: empty } });
		const leg = makeLeg({ builder: "classic", annotations: {}, git: gitOf(commit), staging: staging() });
		expect(await run(leg, { builder })).toMatchObject({ status: "failed", error: { code: "build" } });
		expect(existsSync(path.join(place, "logs"))).toBe(true);
	});
});
