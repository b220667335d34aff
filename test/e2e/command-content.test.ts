import { mkdirSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import path from "node:path";
import { afterAll, beforeAll, beforeEach, describe, expect, it } from "vitest";
import type { Report } from "../../src/report/index.ts";
import { breakLayout, type Defect, makeLayout } from "../fixtures/layouts/make-layout.ts";
import {
	type CommandWorld,
	commitFolder,
	definition,
	openCommandWorld,
	type Place,
	reportOf,
} from "../support/command.ts";
import { makeRepository, type TestRepository } from "../support/git-repository.ts";

// What git servers and registries give that cannot be used, each with an error that says so, and nothing half-done.

let world: CommandWorld;
let place: Place;
let repository: TestRepository;
const address = "https://github.com/brewline/samples-bad.git";
beforeAll(async () => {
	world = await openCommandWorld();
	repository = makeRepository(path.join(world.repositories, "samples-bad.git"));
});
afterAll(() => world[Symbol.asyncDispose]());
beforeEach(async () => {
	place = await world.place();
});

/** A commit of these files; what begins with `->` is a symbolic link. */
const commit = (files: Readonly<Record<string, string>>): string => {
	const folder = path.join(world.folder, "commit");
	mkdirSync(folder);
	for (const [name, text] of Object.entries(files)) {
		if (text.startsWith("->")) symlinkSync(text.slice(2), path.join(folder, name));
		else writeFileSync(path.join(folder, name), text);
	}
	const made = commitFolder(repository, folder);
	rmSync(folder, { recursive: true });
	return made;
};

const dockerfile = (id: string, fields: Readonly<Record<string, string>> = {}): string =>
	definition(address, { Builder: "buildkit", File: "Dockerfile", GitCommit: id, ...fields });

/** A run that ends before anything is written, to the registry or the work folder. */
const refused = async (args = "run"): Promise<{ code: number | null; error: string }> => {
	const before = { files: place.workFiles(), content: place.content() };
	place.requests.length = 0;
	const { code, stderr } = await place.brewline(args);
	expect({ files: place.workFiles(), content: place.content() }).toEqual(before);
	expect(place.writes()).toEqual([]);
	const lines = stderr.replaceAll(place.folder, "FOLDER").split("\n");
	return { code, error: lines.slice(lines.findIndex((line) => /^[a-z-]+: /.test(line))).join("\n") };
};

describe("git", () => {
	it("does not have the commit: both ways to it are told, with their reasons", async () => {
		const there = commit({ Dockerfile: "FROM scratch\n" });
		const gone = "1".repeat(40);
		await place.define({ image: dockerfile(gone) });
		const unknown = await refused();
		expect(unknown.code).toBe(4);
		expect(unknown.error).toMatch(
			/^git: FOLDER\/library\/image:3:1: image:1 \(amd64\): cannot fetch 1{40} of .*samples-bad\.git .*: by its id: .*not our ref.*; by refs\/heads\/main: it is not in the history of that ref\n {2}check GitCommit, and that GitFetch names a ref/,
		);
		await place.define({ image: dockerfile(gone, { GitFetch: "refs/tags/none" }) });
		expect((await refused("sources")).error).toMatch(
			/by its id: .*not our ref.*; by refs\/tags\/none: .*couldn't find remote ref refs\/tags\/none/,
		);
		await place.define({
			image: definition("https://github.com/brewline/samples-nowhere.git", { GitCommit: there }),
		});
		expect(await refused()).toEqual({
			code: 4,
			error: expect.stringMatching(/samples-nowhere\.git.*not found; by refs\/heads\/main: .*\n {2}check the address/),
		});
	});

	it("has no such folder or file, or a link out of the tree", async () => {
		const plain = commit({ Dockerfile: "FROM scratch\n" });
		const cases: readonly (readonly [text: string, error: RegExp])[] = [
			[
				dockerfile(plain, { Directory: "no/such" }),
				/:no\/such: there is no no\n {2}check GitCommit, Directory and File/,
			],
			[
				dockerfile(plain, { File: "Containerfile" }),
				/there is no Containerfile\n {2}check GitCommit, Directory and File/,
			],
			[dockerfile(plain, { File: "../../etc/passwd" }), /File leads out of the repository/],
			[dockerfile(plain, { Directory: "../.." }), /Directory leads out of the repository/],
			[dockerfile(commit({ Dockerfile: "->../../etc/passwd" })), /the symlink Dockerfile leads out of the repository/],
			[dockerfile(commit({ Dockerfile: "->/etc/passwd" })), /the symlink Dockerfile has an absolute target/],
			[dockerfile(commit({ Dockerfile: "->Dockerfile" })), /Dockerfile is a symlink that leads back to itself/],
		];
		for (const [text, error] of cases) {
			await place.define({ image: text });
			expect(await refused()).toEqual({ code: 4, error: expect.stringMatching(error) });
		}
	});

	it("is asked for everything: what is wrong with one image does not hide what is wrong with another", async () => {
		await place.define({
			a: dockerfile("1".repeat(40)),
			b: dockerfile(commit({ Dockerfile: "FROM scr$\n" })),
			c: dockerfile(commit({ Dockerfile: "FROM scratch\n" })),
		});
		const { code, error } = await refused();
		// Several kinds of errors at once have no code of their own.
		expect(code).toBe(1);
		expect(error).toMatch(/^git: FOLDER\/library\/a:3:1: /m);
		expect(error).toMatch(
			/^dockerfile: FOLDER\/library\/b:3:1: b:1 \(amd64\): Dockerfile, line 1: "scr\$" is no image/m,
		);
		expect(error).not.toContain("library/c");
	});
});

describe("FROMs in a circle", () => {
	it("are named, whether through others or an image's own tag", async () => {
		const from = (image: string): string => dockerfile(commit({ Dockerfile: `FROM ${image}\n` }));
		await place.define({ a: from("b:1"), b: from("c:latest"), c: from("a:1"), d: from("scratch") });
		expect(await refused()).toEqual({
			code: 3,
			error: expect.stringMatching(
				/^cycle: FOLDER\/library\/a:3:1: .*"a" needs "b:1".*"b" needs "c:latest".*"c" needs "a:1"/,
			),
		});
		await place.define({ a: from("a:latest") });
		expect(await refused()).toEqual({
			code: 3,
			error: expect.stringMatching(/^cycle: .*on amd64: a:1 FROM a:1\n {2}Take one of these FROMs out, or pin it/),
		});
	});
});

describe("a layout in git", () => {
	const imported = async (defect?: Defect): Promise<string> => {
		const folder = path.join(world.folder, `layout-${defect ?? "sound"}`);
		const made = await makeLayout("provenance-v1", folder);
		// What is imported is one image, without an attestation.
		const index = { schemaVersion: 2, manifests: [made.image] };
		writeFileSync(path.join(folder, "index.json"), JSON.stringify(index));
		if (defect !== undefined) await breakLayout(defect, folder, made);
		return definition(address, { GitCommit: commitFolder(repository, folder) });
	};

	it("that is sound is imported", async () => {
		await place.define({ image: await imported() });
		const ended = await place.brewline("run --json");
		expect(ended.code).toBe(0);
		expect(reportOf(ended).tags.map(({ change }) => change)).toEqual(["created", "created"]);
	});

	it.each([
		["wrong-digest", "digest", /is not what its digest says|has the digest/],
		["cut-blob", "digest", /bytes/],
		["missing-blob", "layout", /blobs\/sha256\/[0-9a-f]{64}/],
		["climbs-out", "layout", /"sha256:\.\.\/\.\.\/\.\.\/oci-layout" is no digest/],
		["second-manifest", "layout", /exactly one manifest, not 2/],
		["huge-manifest", "layout", /a manifest has 3 bytes to 4 MiB/],
		["symlink", "git", /the symlink blobs\/sha256\/[0-9a-f]{64} leads out of the directory/],
	] as const)("%s: the build fails, and nothing of it gets into the registry", async (defect, code, message) => {
		await place.define({ image: await imported(defect) });
		const ended = await place.brewline("run --json");
		const report = reportOf(ended);
		expect({ code: ended.code, outcome: report.outcome }).toEqual({ code: 1, outcome: "failed" });
		expect(report.builds.map(({ state, error }) => ({ state, error }))).toEqual([
			{ state: "failed", error: expect.objectContaining({ code, message: expect.stringMatching(message) }) },
		]);
		expect(report.tags.map(({ change, digest, notes }) => ({ change, digest, notes }))).toEqual(
			Array.from({ length: 2 }, () => ({ change: "held", digest: null, notes: ["amd64: missing: not built yet"] })),
		);
		expect(place.content()).toEqual({});
		expect(place.writes()).toEqual([]);
	});
});

describe("a registry", () => {
	it("that is down ends the run after a few tries, with the way to mend it", async () => {
		expect((await place.brewline("sources")).code).toBe(0);
		await place.registry.close();
		const { code, error } = await refused("plan");
		expect(code).toBe(5);
		expect(error).toMatch(
			/^registry: reading .* failed 5 times: connect ECONNREFUSED .*\n {2}Check that the registry is up/m,
		);
	});

	it.each([401, 403])("that answers %i to every push has each build say where to log in", async (status) => {
		place.fail(({ method }) => (method === "GET" || method === "HEAD" ? undefined : { kind: "answer", status }));
		const ended = await place.brewline("run --json");
		const report = reportOf(ended);
		expect({ code: ended.code, outcome: report.outcome }).toEqual({ code: 1, outcome: "failed" });
		expect(report.builds.map(({ error }) => error)).toEqual(
			Array.from({ length: 3 }, () => ({
				code: "credentials",
				message: expect.stringMatching(new RegExp(`^uploading .* was refused without credentials: HTTP ${status}`)),
				hint: `Log in with "docker login ${place.registry.host}", or check what the credential may do.`,
			})),
		);
		expect(place.content()).toEqual({});
	});

	it.each([401, 403])("that answers %i to what could be read before is not taken for an empty one", async (status) => {
		expect((await place.brewline("run")).code).toBe(0);
		const before = place.content();
		place.requests.length = 0;
		place.fail(() => ({ kind: "answer", status }));
		const ended = await place.brewline("publish --json");
		expect(ended.code).toBe(5);
		const { errors } = JSON.parse(ended.stdout) as Pick<Report, "errors">;
		expect(errors).toMatchObject([{ code: "credentials", hint: expect.stringMatching(/^Log in with /) }]);
		expect(place.content()).toEqual(before);
		expect(place.writes()).toEqual([]);
	});

	it("that wants a password is given Docker's, and told from one that does not take it", async () => {
		const closed = await world.place({ auth: { kind: "bearer", username: "builder", password: "right" } });
		const config = (password: string): void => {
			const auth = Buffer.from(`builder:${password}`).toString("base64");
			mkdirSync(path.join(closed.folder, ".docker"), { recursive: true });
			writeFileSync(
				path.join(closed.folder, ".docker/config.json"),
				JSON.stringify({ auths: { [closed.registry.host]: { auth } } }),
			);
		};
		config("wrong");
		const wrong = await closed.brewline("run --json");
		expect(wrong.code).not.toBe(0);
		expect(wrong.stdout).toContain('"code": "credentials"');
		expect(wrong.stdout + wrong.stderr).not.toContain(Buffer.from("builder:wrong").toString("base64"));
		expect(closed.content()).toEqual({});
		config("right");
		expect((await closed.brewline("run")).code).toBe(0);
	});

	it("that gives other bytes than the digest says is not believed", async () => {
		for (const step of ["sources", "plan", "build"]) expect((await place.brewline(step)).code).toBe(0);
		place.fail(({ path }) => (/staging-arm64v8\/manifests\//.test(path) ? { kind: "corrupt" } : undefined));
		const { code, error } = await refused("publish");
		expect(code).toBe(5);
		expect(error).toMatch(
			/^digest: reading .*staging-arm64v8:.* has the digest sha256:.*, not sha256:.*\n {2}Nothing of it was used/,
		);
	});
});
