import { execFileSync } from "node:child_process";
import { lstatSync, readFileSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import path from "node:path";
import { afterAll, beforeAll, beforeEach, describe, expect, it } from "vitest";
import type { Adopted, PruneResult } from "../../src/pipeline/index.ts";
import { nodeIo } from "../../src/io/index.ts";
import { tabJson } from "../../src/json/index.ts";
import { type Index, parseReference, printReference, sha256Of } from "../../src/oci/index.ts";
import { printLeg, printPlan, readLeg, readPlan } from "../../src/plan/index.ts";
import { createRegistryClient } from "../../src/registry/index.ts";
import { importedLayout } from "../fixtures/samples/layout.ts";
import { type CommandWorld, type Ended, openCommandWorld, type Place, reportOf } from "../support/command.ts";
import { makeRepository } from "../support/git-repository.ts";
import { stageImage } from "../support/publishing.ts";

// Registries that are full already, and staging that fills up: by the commands as a user starts them.

let world: CommandWorld;
let place: Place;
beforeAll(async () => {
	world = await openCommandWorld();
});
afterAll(() => world[Symbol.asyncDispose]());
beforeEach(async () => {
	place = await world.place();
});

const succeed = (args: string | readonly string[]): Promise<Ended> => place.succeed(args);

/** The definition of the sample, with other content for amd64. */
function changed(text: string): string {
	const definition = readFileSync(path.join(place.program.library, "imported"), "utf8");
	const repository = path.join(world.repositories, "samples-imported.git");
	const parts: (string | Buffer)[] = [
		"commit refs/heads/dist-amd64\ncommitter Somebody <somebody@example.com> 1760172800 +0000\ndata 0\nfrom refs/heads/dist-amd64^0\ndeleteall\n",
	];
	for (const [file, { content, link }] of importedLayout(
		new Map([["etc/imported", Buffer.from(text)]]),
		"amd64",
		1_760_172_800,
	)) {
		parts.push(
			`M ${link === true ? "120000" : "100644"} inline latest/amd64/${file}\ndata ${content.length}\n`,
			content,
			"\n",
		);
	}
	execFileSync("git", ["--git-dir", repository, "fast-import", "--quiet"], {
		input: Buffer.concat(parts.map((part) => Buffer.from(part))),
	});
	const commit = execFileSync("git", ["--git-dir", repository, "rev-parse", "dist-amd64"], { encoding: "utf8" }).trim();
	return definition.replace(/^amd64-GitCommit: \w+$/m, `amd64-GitCommit: ${commit}`);
}

describe("adopt", () => {
	/** What is published stays; what is staged and remembered is forgotten. */
	async function forget(): Promise<void> {
		const { registry, program } = place;
		const staging = `${registry.host}/other-ARCH:BUILD`;
		await place.configure({ registries: { ...program.registries, staging } });
		rmSync(place.file("."), { recursive: true, force: true });
		place.requests.length = 0;
	}

	it("takes over what is published: nothing is built again, and no tag moves", async () => {
		await succeed("run");
		await forget();
		const content = place.content();
		expect((await succeed("adopt --dry-run")).stdout).toBe("3 can be taken over, 0 staged already, 0 to build\n");
		expect(place.content()).toEqual(content);

		const adopted = JSON.parse((await succeed("adopt --json")).stdout) as Adopted;
		expect(adopted.builds.map(({ arch, state, note }) => [arch, state, note])).toEqual(
			["amd64", "arm64v8", "s390x"].map((arch) => [
				arch,
				"adopted",
				`taken from ${place.registry.host}/${arch}/imported:1.0`,
			]),
		);
		expect(adopted.moves).toEqual([]);
		expect(place.writes().filter((request) => !request.includes("/v2/other-"))).toEqual([]);
		expect((await succeed("adopt")).stdout).toBe("0 taken over, 3 staged already, 0 to build\n");

		await succeed("sources");
		expect(reportOf(await succeed("plan --json")).builds.map(({ state }) => state)).toEqual([
			"present",
			"present",
			"present",
		]);
		const published = reportOf(await succeed("run --json"));
		expect(new Set(published.tags.map(({ change }) => change))).toEqual(new Set(["unchanged"]));
	});

	it("does not take what is published for a build that was decided to be made again", async () => {
		await succeed("run");
		await succeed("force imported:latest amd64 --reason broken --by Somebody");
		const ended = await place.brewline("adopt");
		expect(ended).toMatchObject({
			code: 7,
			stdout: "to build imported:1.0 amd64: is to be built again: broken\n0 taken over, 2 staged already, 1 to build\n",
		});
		expect(reportOf(await succeed("plan --json")).builds.map(({ state }) => state)).toEqual([
			"planned",
			"present",
			"present",
		]);
	});

	it("does not take an imported image that is not what is in git, whatever it says", async () => {
		await succeed("run");
		await forget();
		const client = createRegistryClient(nodeIo());
		const platform = { os: "linux", architecture: "amd64" };
		const at = (repository: string) => `${place.registry.host}/${repository}/imported`;
		const published = await client.getManifest(parseReference(`${at("amd64")}:1.0`));
		const right = JSON.parse(Buffer.from(published!.bytes).toString()) as Index;
		// Another image, under the annotations of the right one.
		for (const repository of ["amd64", "library"]) {
			const { image } = await stageImage(client, `${at(repository)}:other`, platform, "other");
			const { annotations } = right.manifests[0]!;
			const wrong = { ...right, manifests: [{ ...image, platform, annotations }] };
			for (const tag of ["1.0", "1", "latest"]) {
				const reference = parseReference(`${at(repository)}:${tag}`);
				await client.putManifest(reference, right.mediaType, Buffer.from(JSON.stringify(wrong)));
			}
		}
		const ended = await place.brewline("adopt --unverified");
		expect(ended).toMatchObject({
			code: 7,
			stdout: expect.stringMatching(
				/^to build imported:1\.0 amd64: .* is not what is in git: sha256:.*, and there sha256:/,
			),
		});
	});

	it("on staging that was emptied does not forget what is still missing", async () => {
		await succeed("run");
		// All is gone from staging, and two of three from the tags as well.
		const hidden = /^\/v2\/(?:staging-|(?:amd64|s390x|library)\/)/;
		const pushed = new Set<string>();
		place.fail(({ method, path: target }) => {
			if (method === "PUT") pushed.add(target);
			const asked = (method === "GET" || method === "HEAD") && target.includes("/manifests/");
			return asked && hidden.test(target) && !pushed.has(target) ? { kind: "answer", status: 404 } : undefined;
		});
		const ended = await place.brewline("adopt");
		expect(ended).toMatchObject({ code: 5, stderr: expect.stringContaining("2 of 3 images that were known to be") });
		// What was found is staged, and the next plan still knows of the others.
		expect([...pushed].filter((target) => /\/manifests\/[0-9a-f]{64}$/.test(target))).toEqual([
			expect.stringMatching(/^\/v2\/staging-arm64v8\//),
		]);
		expect((await place.brewline("plan")).stderr).toContain("2 of 3 images that were known to be staged");
		expect(await place.brewline("adopt --accept-missing")).toMatchObject({
			code: 7,
			stdout: expect.stringContaining("0 taken over, 1 staged already, 2 to build"),
		});
	});

	it("leaves what is of another commit, or of nobody knows which, to be built", async () => {
		await succeed("run");
		await forget();
		await place.define({ imported: changed("another\n") });
		const staging = `${place.registry.host}/other-ARCH:BUILD`;
		const library = path.join(place.folder, "library");
		await place.configure({ library, registries: { ...place.program.registries, staging } });
		const ended = await place.brewline("adopt");
		expect(ended.code).toBe(7);
		expect(ended.stdout).toMatch(
			/^to build imported:1\.0 amd64: .* is of another commit: [0-9a-f]{40}\n2 taken over, 0 staged already, 1 to build\n$/,
		);
	});
});

describe("prune", () => {
	const prune = async (args: string): Promise<PruneResult> =>
		JSON.parse((await succeed(`prune --json --imported ${args}`)).stdout) as PruneResult;
	const states = ({ images }: PruneResult): string[] => images.map(({ state }) => state);

	it("deletes old builds that nothing names, says so first, and keeps all that is in use", async () => {
		for (const text of ["one\n", "two\n", "three\n"]) {
			await place.define({ imported: changed(text) });
			await succeed("run");
		}
		place.requests.length = 0;
		const dry = await prune("--keep 0 --older 1m");
		expect(dry).toMatchObject({ staged: 5, named: 3 });
		expect(states(dry)).toEqual(["to-delete", "to-delete"]);
		expect(dry.images[0]).toMatchObject({
			of: "https://github.com/brewline/samples-imported.git",
			created: expect.stringMatching(/^2025-/),
			reason: "it is old, and nothing names it",
		});
		expect(place.writes()).toEqual([]);
		expect(states(await prune("--keep 1 --older 1m"))).toEqual(expect.arrayContaining(["to-delete", "kept"]));
		expect(states(await prune("--keep 0 --older 9999d"))).toEqual(["kept", "kept"]);

		const done = await prune("--keep 0 --older 1m --delete");
		expect(states(done)).toEqual(["deleted", "deleted"]);
		expect(place.writes().every((request) => request.startsWith("DELETE /v2/staging-amd64/manifests/"))).toBe(true);
		expect(await prune("--keep 0 --older 1m")).toMatchObject({ staged: 3, named: 3, images: [] });
		expect(reportOf(await succeed("run --json")).outcome).toBe("complete");
	});

	it("deletes by digest where the registry deletes no tags, but not what something else needs", async () => {
		for (const text of ["four\n", "five\n"]) {
			await place.define({ imported: changed(text) });
			await succeed("run");
		}
		// Built, not published, and then built again with the same content under another id.
		await place.define({ imported: changed("six\n") });
		for (const step of ["sources", "plan", "build"]) await succeed(step);
		await succeed("force imported amd64 --reason again");
		for (const step of ["plan", "build"]) await succeed(step);
		// Without the decision the first of the two ids stands again.
		rmSync(place.file("state"), { recursive: true });
		await succeed("plan");
		place.fail(({ method, path: target }) =>
			method === "DELETE" && !target.includes("sha256:") ? { kind: "answer", status: 405 } : undefined,
		);
		const { images } = await prune("--keep 0 --older 1m --delete");
		expect(images.map(({ state, reason }) => `${state}: ${reason}`).sort()).toEqual([
			"deleted: it is old, and nothing names it",
			"kept: a tag holds it",
			"kept: the registry deletes by digest only, and a tag that stays holds the same",
		]);
		expect(reportOf(await succeed("run --json")).outcome).toBe("complete");
	});

	it("deletes no digest that any tag of staging holds, itself or in its index", async () => {
		const client = createRegistryClient(nodeIo());
		const at = (tag: string) => parseReference(`${place.registry.host}/staging-amd64:${tag}`);
		for (const text of ["one\n", "two\n", "three\n", "four\n"]) {
			await place.define({ imported: changed(text) });
			await succeed("run");
		}
		place.fail(({ method, path: target }) =>
			method === "DELETE" && !target.includes("sha256:") ? { kind: "answer", status: 405 } : undefined,
		);
		const { images: going } = await prune("--keep 0 --older 1m");
		const manifests = await Promise.all(
			going.map(async ({ reference }) => (await client.getManifest(parseReference(reference)))!),
		);
		expect(manifests).toHaveLength(3);
		const [pinned, inner] = manifests;
		await client.putManifest(at("pinned"), pinned!.mediaType, pinned!.bytes);
		const { mediaType, digest, bytes } = inner!;
		const outer = { schemaVersion: 2, mediaType, manifests: [{ mediaType, digest, size: bytes.length }] };
		const nested = Buffer.from(JSON.stringify(outer));
		const { digest: middle } = await client.putManifest(at("bundle"), mediaType, nested);
		const outermost = { ...outer, manifests: [{ mediaType, digest: middle, size: nested.length }] };
		await client.putManifest(at("bundle"), mediaType, Buffer.from(JSON.stringify(outermost)));
		const { images } = await prune("--keep 0 --older 1m --delete");
		const held = "the registry deletes by digest only, and a tag that stays holds the same";
		expect(images.map(({ state, reason }) => [state, reason])).toEqual([
			["kept", held],
			["kept", held],
			["deleted", "it is old, and nothing names it"],
		]);
		expect(reportOf(await succeed("run --json")).outcome).toBe("complete");
	});

	it("keeps imported images, unless the age of their commits may count", async () => {
		for (const text of ["one\n", "two\n"]) {
			await place.define({ imported: changed(text) });
			await succeed("run");
		}
		place.requests.length = 0;
		const kept = await succeed("prune --keep 0 --older 1m --delete");
		expect(kept.stdout).toBe(
			"imported images: 1 kept, as they do not say since when they are staged (--imported goes by their commits)\n4 images are staged, 3 of them named; 0 of the others were deleted\n",
		);
		expect(place.writes()).toEqual([]);
		// What was built says when, and is of another kind.
		const client = createRegistryClient(nodeIo());
		const reference = parseReference(`${place.registry.host}/staging-amd64:${"0".repeat(64)}`);
		await stageImage(client, printReference(reference), { os: "linux", architecture: "amd64" }, "built");
		const { bytes, mediaType } = (await client.getManifest(reference))!;
		const annotations = {
			"org.opencontainers.image.source": `https://example.org/x.git#${"1".repeat(40)}:.`,
			"org.opencontainers.image.created": "2020-01-01T00:00:00Z",
		};
		const built = { ...(JSON.parse(Buffer.from(bytes).toString()) as object), annotations };
		await client.putManifest(reference, mediaType, Buffer.from(JSON.stringify(built)));
		const { stdout } = await succeed("prune --keep 0 --older 1m --json");
		const { images } = JSON.parse(stdout) as PruneResult;
		const states = images.map(({ state, imported }) => `${state}, ${imported ? "imported" : "built"}`);
		expect(states.sort()).toEqual(["kept, imported", "to-delete, built"]);
	});

	it("keeps what a plan in the work folder builds on", async () => {
		for (const text of ["seven\n", "eight\n"]) {
			await place.define({ imported: changed(text) });
			await succeed("run");
		}
		await place.define({ imported: changed("nine\n") });
		for (const step of ["sources", "plan"]) await succeed(step);
		const { images: going } = await prune("--keep 0 --older 1m");
		expect(going).toMatchObject([{ state: "to-delete" }]);
		// As if what is planned had that as its base.
		const found = await createRegistryClient(nodeIo()).getManifest(parseReference(going[0]!.reference));
		const { manifests } = JSON.parse(Buffer.from(found!.bytes).toString()) as { manifests?: { digest: string }[] };
		const digest = manifests?.[0]?.digest ?? found!.digest;
		const plan = readPlan(readFileSync(place.file("plan.json")), { file: "plan.json" });
		const file = place.file(`legs/${plan.legs[0]!.id}.json`);
		const leg = readLeg(readFileSync(file), { file });
		const parents = [{ from: "base:1", reference: `${going[0]!.reference}@${digest}`, digest }];
		const changedLeg = printLeg({ ...leg, builds: leg.builds.map((build) => ({ ...build, parents })) });
		writeFileSync(file, changedLeg);
		const legs = plan.legs.map((one) => ({ ...one, digest: sha256Of(changedLeg) }));
		writeFileSync(place.file("plan.json"), printPlan({ ...plan, legs }));
		expect((await prune("--keep 0 --older 1m --delete")).images).toMatchObject([
			{ state: "kept", reason: "what the plan in the work folder has is built on it" },
		]);
	});

	it("keeps what a tag holds although nothing else names it", async () => {
		await succeed("run");
		await place.define({ imported: changed("newer\n") });
		// Planned and built, and not published: the tag still holds the old one.
		for (const step of ["sources", "plan", "build"]) await succeed(step);
		rmSync(place.file("state"), { recursive: true });
		const { images } = await prune("--keep 0 --older 1m --delete");
		expect(images).toMatchObject([{ state: "kept", reason: "a tag holds it" }]);
	});

	it("deletes nothing where nothing is defined: that is another folder than the one that was meant", async () => {
		await succeed("run");
		await place.define({});
		rmSync(place.file("."), { recursive: true, force: true });
		place.requests.length = 0;
		const ended = await place.brewline("prune --imported --keep 0 --older 1m --delete");
		expect(ended.code).not.toBe(0);
		expect(ended.stderr).toContain("nothing is defined");
		expect(place.writes()).toEqual([]);
	});

	it("deletes nothing where a list or a tag cannot be read", async () => {
		await place.define({ imported: changed("one\n") });
		await succeed("run");
		await place.define({ imported: changed("two\n") });
		await succeed("run");
		for (const part of ["/staging-s390x/tags/list", "/s390x/imported/manifests/"]) {
			place.fail(({ path: target }) => (target.includes(part) ? { kind: "answer", status: 403 } : undefined));
			const ended = await place.brewline("prune --imported --keep 0 --older 1m --delete");
			expect({ part, code: ended.code }).toEqual({ part, code: 5 });
		}
		place.fail(() => undefined);
		expect(place.writes().filter((request) => request.startsWith("DELETE"))).toEqual([]);
		expect((await place.brewline("prune --older soon")).code).toBe(2);
	});
});

describe("architectures", () => {
	/** Incident 9: what three definitions are built from, with the image from outside that has amd64 alone by now. */
	async function incident(name: string): Promise<{ base: string; texts: Record<string, string> }> {
		const base = `${place.registry.host}/others/base:1`;
		await stageImage(createRegistryClient(nodeIo()), base, { os: "linux", architecture: "amd64" }, "base");
		const repository = makeRepository(path.join(world.repositories, `samples-${name}.git`));
		const froms = { base, os: "os:1", slim: "os:1-slim", lang: `lang:all\nCOPY --from=${base} /a /b` };
		const commit = repository.commit(
			repository.tree(
				Object.entries(froms)
					.toSorted(([a], [b]) => (a < b ? -1 : 1))
					.map(([directory, from]) => {
						const blob = repository.object("blob", `FROM ${from}\n`);
						return ["40000", directory, repository.tree([["100644", "Dockerfile", blob]])] as const;
					}),
			),
		);
		repository.ref("refs/heads/main", commit);
		const head = `Maintainers: Test <test@example.com> (@test)\nGitRepo: https://github.com/brewline/samples-${name}.git\nGitFetch: refs/heads/main\nGitCommit: ${commit}\n`;
		const texts = {
			os: `${head}Architectures: s390x, amd64\n\nTags: 1\nDirectory: base\n\nTags: 1-slim\nDirectory: base\nFile: ./Dockerfile\n`,
			lang: `${head}\n# the newest\nTags: 2, latest\nSharedTags: all\nArchitectures: amd64,\r\n# of the bank\r\n  s390x\r\nDirectory: os\n`,
			app: `${head}\nTags: 3\nDirectory: lang\nArchitectures:amd64,s390x\n\nTags: 3-slim\nArchitectures: s390x\nDirectory: slim`,
		};
		await place.define(texts);
		return { base, texts };
	}
	const library = (name: string): string => readFileSync(path.join(place.folder, "library", name), "utf8");

	it("takes what a base dropped from all that stands on it, with one patch over all definitions", async () => {
		const { base, texts } = await incident("dropped");
		execFileSync("git", ["init", "--quiet", place.folder]);
		const elsewhere = ["--config", path.join(place.folder, "brewline.yaml"), "--work", place.file("")];
		place.requests.length = 0;
		const found = await place.brewline([...elsewhere, "architectures"], { cwd: world.folder });
		expect({ code: found.code, stdout: found.stdout }).toEqual({
			code: 7,
			stdout: `${base} has no s390x: 5 entries in 3 definitions cannot have it
  app:3 (on lang:all)
  app:3-slim (on os:1-slim)
  lang:2 (on os:1)
  os:1
  os:1-slim
app:3-slim would have no architecture left: take the entry out by hand
4 entries in 3 files would change (--patch prints that, --write does it; --changes drops)
`,
		});
		expect(place.requests.filter((request) => request === "GET /v2/others/base/manifests/1")).toHaveLength(1);
		const { stdout: patch, stderr } = await place.brewline([...elsewhere, "architectures", "--patch"], {
			cwd: world.folder,
		});
		expect(stderr).toContain("app:3-slim would have no architecture left");
		execFileSync("git", ["apply", "--whitespace=nowarn"], { cwd: place.folder, input: patch });
		const after = {
			app: texts["app"]!.replace("amd64,s390x", "amd64"),
			lang: texts["lang"]!.replace("amd64,\r\n", "amd64\r\n").replace("  s390x\r\n", ""),
			os: texts["os"]!.replace("s390x, amd64", "amd64"),
		};
		expect({ app: library("app"), lang: library("lang"), os: library("os") }).toEqual(after);
		expect((await place.brewline("architectures --patch")).stdout).toBe("");
		// What is left is for people.
		expect((await place.brewline("architectures --write")).code).toBe(7);
		expect((await place.brewline("architectures os lang")).code).toBe(0);
		expect((await place.brewline("architectures oz")).stderr).toContain("there is no definition oz");
	});

	it("takes a base that is hidden or gone for no reason to drop anything, and trouble for an error", async () => {
		const { base } = await incident("hidden");
		for (const status of [401, 404]) {
			place.fail(({ path: target }) =>
				target.includes("/others/base/manifests/") ? { kind: "answer", status } : undefined,
			);
			const { code, stdout, stderr } = await place.brewline("architectures --patch");
			expect({ status, code, stdout }).toEqual({ status, code: 7, stdout: "" });
			expect(stderr).toContain(`${base} is not there at all (s390x): 3 entries in 2 definitions cannot be judged`);
		}
		place.fail(({ path: target }) =>
			target.includes("/others/base/manifests/") ? { kind: "answer", status: 400 } : undefined,
		);
		expect(await place.brewline("architectures")).toMatchObject({ code: 5, stdout: "" });
	});

	it("finds what a base has no more, prints a patch, and changes the definitions in place", async () => {
		const base = `${place.registry.host}/others/base:1`;
		await stageImage(createRegistryClient(nodeIo()), base, { os: "linux", architecture: "amd64" }, "base");
		const repository = makeRepository(path.join(world.repositories, "samples-on-base.git"));
		const blob = repository.object("blob", `FROM ${base}\n`);
		const commit = repository.commit(repository.tree([["100644", "Dockerfile", blob]]));
		repository.ref("refs/heads/main", commit);
		const text = [
			"Maintainers: Test <test@example.com> (@test)",
			"GitRepo: https://github.com/brewline/samples-on-base.git",
			"GitFetch: refs/heads/main",
			`GitCommit: ${commit}`,
			"",
			"# the only one",
			"Tags: 1, latest",
			"Architectures: amd64, s390x",
			"",
		].join("\n");
		await place.define({ child: text });
		// One file under two names is edited once, and stays one.
		const twin = path.join(place.folder, "library/twin");
		symlinkSync("child", twin);
		const found = await place.brewline("architectures");
		expect(found.code).toBe(7);
		expect(found.stdout).toBe(
			`${base} has no s390x: 2 entries in 2 definitions cannot have it\n  child:1\n  twin:1\n2 entries in 1 file would change (--patch prints that, --write does it; --changes drops)\n`,
		);
		const patch = await place.brewline("architectures --patch");
		expect(patch.stdout).toContain("--- a/library/child\n+++ b/library/child\n");
		expect(readFileSync(path.join(place.folder, "library/child"), "utf8")).toBe(text);
		await succeed("architectures --write");
		expect(readFileSync(path.join(place.folder, "library/child"), "utf8")).toBe(text.replace(", s390x", ""));
		expect(lstatSync(twin).isSymbolicLink()).toBe(true);
		expect((await succeed("architectures")).stdout).toBe("all architectures are those of the bases\n");
		expect((await succeed("architectures --changes gains --json")).stdout).toBe(tabJson({ findings: [], entries: [] }));
	});
});
