import type { ChildProcess } from "node:child_process";
import { once } from "node:events";
import { readFileSync, writeFileSync } from "node:fs";
import path from "node:path";
import { afterAll, beforeAll, beforeEach, describe, expect, it } from "vitest";
import { reportSchema } from "../../src/report/index.ts";
import { type CommandWorld, openCommandWorld, type Place } from "../support/command.ts";

// What the program shows of one thing of the pipeline, and of the machine; and the registry that it serves.

let world: CommandWorld;
let place: Place;
beforeAll(async () => {
	world = await openCommandWorld();
});
afterAll(() => world[Symbol.asyncDispose]());
beforeEach(async () => {
	place = await world.place();
});

const imported = "https://github.com/brewline/samples-imported.git";

describe("inspect", () => {
	const list = (text: string): string[] => text.trimEnd().split("\n");

	it("prints a definition canonically, or the entry of a tag in full", async () => {
		const whole = await place.brewline("inspect definition imported");
		expect(whole.code).toBe(0);
		writeFileSync(path.join(place.folder, "again"), whole.stdout);
		expect((await place.brewline("inspect definition ./again")).stdout).toBe(whole.stdout);
		const entry = await place.brewline("inspect definition imported:1 --json");
		expect(JSON.parse(entry.stdout)).toEqual([
			expect.objectContaining({
				reference: "imported:1",
				tag: "1",
				entries: [
					expect.objectContaining({
						Tags: ["1.0", "1", "latest"],
						byArch: expect.objectContaining({ s390x: expect.objectContaining({ Directory: "latest/s390x" }) }),
					}),
				],
			}),
		]);
		for (const [reference, error] of [
			["nosuch", /^reference: there is no definition "nosuch"\n {2}A name is looked up in the library folder/],
			["imported:9", /"imported" has no tag "9"\n {2}Did you mean imported:/],
		] as const) {
			const { code, stderr } = await place.brewline(`inspect definition ${reference}`);
			expect(code).toBe(3);
			expect(stderr).toMatch(error);
		}
	});

	it("lists tags", async () => {
		expect(list((await place.brewline("inspect list")).stdout)).toEqual([
			"imported:1.0",
			"imported:1",
			"imported:latest",
		]);
		expect(JSON.parse((await place.brewline("inspect list imported --uniq --json")).stdout)).toEqual(["imported:1.0"]);
		expect((await place.brewline("inspect list --arch-filter --arch i386")).stdout).toBe("");
	});

	it("prints the checksum of a commit's directory, the same as sources.json has", async () => {
		expect((await place.brewline("sources")).code).toBe(0);
		const sources = Object.values<{
			reproducibleGitChecksum: string;
			entries: { GitCommit: string; GitFetch: string; Directory: string; SOURCE_DATE_EPOCH: number }[];
		}>(JSON.parse(readFileSync(place.file("sources.json"), "utf8")));
		for (const { reproducibleGitChecksum, entries } of sources) {
			const { GitCommit, GitFetch, Directory, SOURCE_DATE_EPOCH } = entries[0]!;
			const args = ["inspect", "checksum", imported, GitCommit, Directory, "--fetch", GitFetch, "--json"];
			expect(JSON.parse((await place.brewline(args)).stdout)).toEqual({ reproducibleGitChecksum, SOURCE_DATE_EPOCH });
		}
		expect(sources).toHaveLength(3);
		const { code, stderr } = await place.brewline(["inspect", "checksum", imported, "1".repeat(40)]);
		expect([code, stderr]).toEqual([4, expect.stringMatching(/by its id: .*; by refs\/heads\/master: /)]);
	});

	it("prints the FROMs of a Dockerfile, from a file or standard input", async () => {
		const text =
			"ARG V=3\nFROM alpine:$V AS a\nCOPY --from=busybox:1 / /\nFROM a\nRUN --mount=type=bind,from=tools:2,target=/t true\n";
		writeFileSync(path.join(place.folder, "Dockerfile"), text);
		const froms = ["alpine:3", "busybox:1", "tools:2"];
		const file = list((await place.brewline("inspect froms Dockerfile")).stdout);
		expect([...new Set(file)].sort()).toEqual(froms);
		const input = await place.brewline("inspect froms - --json", { input: text });
		expect(JSON.parse(input.stdout).froms).toEqual(file);
		const missing = await place.brewline("inspect froms nowhere");
		expect([missing.code, missing.stderr]).toEqual([
			3,
			expect.stringMatching(/^dockerfile: nowhere cannot be read: ENOENT/),
		]);
		const broken = await place.brewline("inspect froms -", { input: "FROM scr$\n" });
		expect([broken.code, broken.stderr]).toEqual([3, expect.stringMatching(/^dockerfile: .*line 1/)]);
	});

	it("prints the parts of a reference", async () => {
		const digest = `sha256:${"a".repeat(64)}`;
		const { stdout } = await place.brewline(`inspect reference localhost:5000/a/b:1@${digest} --json`);
		expect(JSON.parse(stdout)).toMatchObject({ host: "localhost:5000", repository: "a/b", tag: "1", digest });
		const { code, stderr } = await place.brewline("inspect reference A:::");
		expect([code, stderr]).toEqual([3, expect.stringMatching(/^reference: .*\n {2}A reference is /)]);
	});

	it("prints what a registry has under a tag", async () => {
		expect((await place.brewline("run")).code).toBe(0);
		const reference = `${place.registry.host}/library/imported:1`;
		const { stdout } = await place.brewline(`inspect index ${reference}`);
		expect(list(stdout).map((line) => line.split(/ +/).slice(0, 2))).toEqual([
			["amd64", "linux/amd64"],
			["arm64v8", "linux/arm64/v8"],
			["s390x", "linux/s390x"],
		]);
		const index = JSON.parse((await place.brewline(`inspect index ${reference} --json`)).stdout);
		expect(index.manifests.map(({ digest }: { digest: string }) => digest)).toEqual(
			list(stdout).map((line) => /sha256:[0-9a-f]{64}/.exec(line)![0]),
		);
		const { code, stderr } = await place.brewline(`inspect index ${place.registry.host}/no/thing:1`);
		expect([code, stderr]).toEqual([3, expect.stringContaining("/no/thing:1 is in no registry")]);
	});
});

describe("doctor", () => {
	interface Check {
		readonly name: string;
		readonly status: string;
		readonly detail: string;
		readonly mend?: string;
	}
	const look = async (): Promise<{ code: number | null; checks: ReadonlyMap<string, Check> }> => {
		const { code, stdout } = await place.brewline("doctor --json");
		const checks = JSON.parse(stdout) as Check[];
		expect(checks.filter(({ status, mend }) => status !== "ok" && !mend)).toEqual([]);
		return { code, checks: new Map(checks.map((check) => [check.name, check])) };
	};

	it("says that the engine is missing, what goes without one, and how to mend it", async () => {
		const { code, checks } = await look();
		expect(code).toBe(6);
		expect(checks.get("engine")).toMatchObject({
			status: "missing",
			detail: expect.stringContaining("only oci-import builds"),
		});
		for (const name of ["node", "git", "disk"]) expect(checks.get(name)?.status).toBe("ok");
		expect(checks.get(`access ${place.registry.host}/staging-s390x`)).toMatchObject({ detail: "read and write" });
		expect(place.content()).toEqual({});
		const { stdout } = await place.brewline("doctor");
		expect(stdout).toMatch(/^missing engine: .*\n {8}Start Docker/m);
	});

	it("says what a registry refuses, and leaves nothing in one that does not", async () => {
		const staging = `access ${place.registry.host}/staging-amd64`;
		place.fail(({ method }) => (method === "GET" || method === "HEAD" ? undefined : { kind: "answer", status: 403 }));
		expect((await look()).checks.get(staging)).toMatchObject({
			status: "warning",
			detail: expect.stringMatching(/^read only: .*403/),
		});
		place.fail(() => ({ kind: "answer", status: 401 }));
		const { checks } = await look();
		expect(checks.get(staging)).toMatchObject({
			status: "warning",
			detail: expect.stringMatching(/^no access: .*401/),
		});
		expect(checks.get(`credential ${place.registry.host}`)).toMatchObject({
			mend: `Log in: docker login ${place.registry.host}`,
		});
		await place.registry.close();
		expect((await look()).checks.get(staging)).toMatchObject({
			status: "missing",
			detail: expect.stringContaining("ECONNREFUSED"),
		});
	});
});

describe("registry", () => {
	it("serves one until it is ended, and keeps what it is given a folder for", async () => {
		const storage = path.join(place.folder, "kept");
		const config = readFileSync(path.join(place.folder, "brewline.yaml"), "utf8");
		for (const expected of [3, 0]) {
			let built = -1;
			let address = "";
			const publish = async (registry: ChildProcess): Promise<void> => {
				const [chunk] = (await once(registry.stdout!, "data")) as [Buffer];
				address = chunk.toString();
				const host = address.trim().replace("http://", "");
				writeFileSync(path.join(place.folder, "served.yaml"), config.replaceAll(place.registry.host, host));
				const { stdout } = await place.brewline("--config served.yaml run --json");
				built = reportSchema.parse(JSON.parse(stdout)).builds.filter(({ state }) => state === "built").length;
				registry.kill("SIGTERM");
			};
			let published: Promise<void> | undefined;
			const served = await place.brewline(["registry", "--port", "0", "--storage", storage], {
				started: (running) => {
					published = publish(running).catch((error: unknown) => {
						running.kill("SIGKILL");
						throw error;
					});
				},
			});
			await published;
			expect({ code: served.code, built }).toEqual({ code: 0, built: expected });
			expect(served.stdout).toBe(address);
			expect(address).toMatch(/^http:\/\/127\.0\.0\.1:\d+\n$/);
		}
	});
});
