import { execFileSync } from "node:child_process";
import { readFileSync, rmSync, writeFileSync } from "node:fs";
import path from "node:path";
import { afterAll, beforeAll, beforeEach, describe, expect, it } from "vitest";
import type { Report } from "../../src/report/index.ts";
import {
	type CommandWorld,
	commitVersion,
	definition,
	type Ended,
	openCommandWorld,
	type Place,
	reportOf,
} from "../support/command.ts";
import { makeRepository, type TestRepository } from "../support/git-repository.ts";

// What people decide about tags, and what a run does not ask for, by the commands as a user starts them.

const address = "https://github.com/brewline/samples-hello.git";
const platforms = {
	amd64: { os: "linux", architecture: "amd64" },
	s390x: { os: "linux", architecture: "s390x" },
} as const;
let world: CommandWorld;
let place: Place;
let repository: TestRepository;
beforeAll(async () => {
	world = await openCommandWorld();
	repository = makeRepository(path.join(world.repositories, "samples-hello.git"));
});
afterAll(() => world[Symbol.asyncDispose]());
beforeEach(async () => {
	place = await world.place();
	await nextVersion();
});

const succeed = (args: string | readonly string[]): Promise<Ended> => place.succeed(args);

const decide = (command: string, ...more: string[]) =>
	place.brewline([...command.split(" "), "--by", "Somebody", ...more]);

let made = 0;

/** Defines another version of the image, of other content. */
async function nextVersion(): Promise<void> {
	made++;
	const folder = path.join(world.folder, `version-${made}`);
	const fields = await commitVersion(repository, folder, platforms, String(made));
	await place.define({ hello: definition(address, fields) });
}

const tagOf = (report: Report, tag: string) =>
	report.tags.find(({ reference }) => reference.endsWith(`/hello:${tag}`))!;

describe("a bad day", () => {
	it("a hold holds, a stop stops everything, and a release lets go on", async () => {
		const before = reportOf(await succeed("run --json"));
		await nextVersion();
		const held = await decide("hold hello", "--reason", "upstream withdrew it");
		expect(held).toMatchObject({
			code: 0,
			stdout: expect.stringMatching(
				/^hello is not moved until it is released: brewline release hello; it is in the state at /,
			),
		});
		const during = reportOf(await succeed("run --json"));
		expect(during.builds.some(({ state }) => state === "built")).toBe(true);
		expect(tagOf(during, "latest")).toMatchObject({
			change: "held",
			decision: "hold",
			digest: tagOf(before, "latest").digest,
			notes: [expect.stringMatching(/^held by Somebody, .*Z: upstream withdrew it$/)],
		});
		expect((await succeed("decisions")).stdout).toMatch(/hello is held, by Somebody, .*: upstream withdrew it\n/);
		expect((await succeed("release hello --dry-run")).stdout).toBe("would end: a hold; nothing was written\n");
		expect(JSON.parse((await succeed("release hello --dry-run --json")).stdout)).toEqual({
			ended: ["a hold"],
			dryRun: true,
		});
		expect((await succeed("release hello")).stdout).toBe("ended: a hold\n");
		expect((await place.brewline("release hello")).code).toBe(7);

		await decide("hold --all", "--reason", "an incident");
		place.requests.length = 0;
		const stopped = reportOf(await succeed("run --json"));
		expect(stopped.tags.map(({ change, decision }) => `${change} ${decision}`)).toEqual(
			stopped.tags.map(() => "held stop"),
		);
		expect(place.writes()).toEqual([]);
		expect((await succeed("run")).stdout).toContain("publishing is stopped by Somebody");
		expect((await succeed("release --all")).stdout).toBe("ended: the stop of everything\n");
		expect(tagOf(reportOf(await succeed("run --json")), "latest")).toMatchObject({ change: "updated", notes: [] });
		expect((await succeed("decisions --json")).stdout).toContain('"holds": {}');
	});

	it("a rollback takes a tag to what it held before, and before that, until it is released", async () => {
		const digests = [tagOf(reportOf(await succeed("run --json")), "latest").digest!];
		for (let number = 2; number <= 3; number++) {
			await nextVersion();
			digests.push(tagOf(reportOf(await succeed("run --json")), "latest").digest!);
		}
		expect(new Set(digests).size).toBe(3);
		const back = JSON.parse((await decide("--json rollback hello:latest", "--reason", "it crashes")).stdout) as object;
		expect(back).toMatchObject({ digest: digests[1], dryRun: false });
		const after = reportOf(await succeed("publish --json"));
		expect(tagOf(after, "latest")).toMatchObject({ change: "updated", digest: digests[1], decision: "rollback" });
		expect(tagOf(after, "1")).toMatchObject({ change: "unchanged", digest: digests[2] });
		expect(tagOf(reportOf(await succeed("run --json")), "latest")).toMatchObject({
			change: "unchanged",
			digest: digests[1],
		});
		const further = await decide("rollback hello:latest", "--reason", "that one too");
		expect(further.stdout).toContain(`hello:latest is to hold ${digests[0]}, which it held from `);
		expect(tagOf(reportOf(await succeed("run --json")), "latest")).toMatchObject({
			change: "updated",
			digest: digests[0],
		});
		// Also where a single step moved it in between.
		expect((await succeed("release hello:latest --dry-run")).stdout).toBe(
			"would end: a rollback; nothing was written\n",
		);
		expect((await succeed("release hello:latest")).stdout).toBe("ended: a rollback\n");
		expect(tagOf(reportOf(await succeed("run --json")), "latest")).toMatchObject({
			change: "updated",
			digest: digests[2],
			notes: [],
		});
	});

	it("a rollback to an index of which a part is gone is refused", async () => {
		const { digest } = tagOf(reportOf(await succeed("run --json")), "latest");
		await nextVersion();
		await succeed("run");
		const manifests = `http://${place.registry.host}/v2/library/hello/manifests`;
		const accept = "application/vnd.oci.image.index.v1+json";
		const index = (await (await fetch(`${manifests}/${digest}`, { headers: { accept } })).json()) as {
			manifests: { digest: string }[];
		};
		const gone = index.manifests[0]!.digest;
		expect((await fetch(`${manifests}/${gone}`, { method: "DELETE" })).status).toBe(202);
		const refused = await decide("rollback hello:latest", "--reason", "it crashes");
		expect(refused).toMatchObject({
			code: 5,
			stderr: expect.stringMatching(
				new RegExp(`1 of the \\d manifests in .*${digest} are not there any more: ${gone}\n  choose another one`),
			),
		});
		expect((await succeed("decisions")).stdout).toBe("nothing is decided\n");
	});

	it("a tag that moved without being written down is not taken for what it was", async () => {
		const good = tagOf(reportOf(await succeed("run --json")), "latest").digest!;
		const library = readFileSync(path.join(place.folder, "library/hello"), "utf8");
		await nextVersion();
		// The state cannot be written once tags move, so that the next run knows nothing of it.
		const repository = place.file("state/repository.git");
		place.fail(({ method, path: target }) => {
			if (method === "PUT" && target.includes("/library/hello/manifests/"))
				rmSync(path.join(repository, "HEAD"), { force: true });
			return undefined;
		});
		const lost = await place.brewline("run --json");
		expect(lost.stderr).toContain("what this run learned is not remembered");
		const bad = reportOf(lost);
		expect(tagOf(bad, "latest").digest).not.toBe(good);
		place.fail(() => undefined);
		writeFileSync(path.join(repository, "HEAD"), "ref: refs/heads/none\n");
		// Back to what the state says is published.
		await place.define({ hello: library });
		const back = tagOf(reportOf(await succeed("run --json")), "latest");
		expect(back).toMatchObject({ change: "updated", digest: good });
		expect(back).not.toHaveProperty("remembered");
	});

	it("what cannot be decided is said, with what can; a dry run decides nothing", async () => {
		await succeed("run");
		const wrong: readonly (readonly [string[], number, string])[] = [
			[["hold", "helo", "--reason", "x"], 2, "there is no image helo\n  did you mean hello?"],
			[["hold", "hello:x", "--reason", "x"], 2, "there is no tag hello:x"],
			[["hold", "--reason", "x"], 2, "neither an image nor a tag is named"],
			[["hold", "hello", "--all", "--reason", "x"], 2, "--all is for all images"],
			[["hold", "hello", "--reason", "two\nlines"], 2, "must be one line"],
			[
				["rollback", "hello:latest", "--reason", "x"],
				2,
				"it is not known what hello:latest held before\n  name the digest",
			],
			[["rollback", "hello", "--reason", "x"], 2, "hello is an image, and not a tag"],
			[["rollback", "hello:latest", "--to", "sha256:1", "--reason", "x"], 2, "sha256:1 is no digest"],
			[["rollback", "hello:latest", "--to", `sha256:${"1".repeat(64)}`, "--reason", "x"], 5, "is not there any more"],
			[
				["shrink", "hello", "linux/vax", "--reason", "x"],
				2,
				"linux/vax is no platform of this program\n  its platforms are: linux/",
			],
		];
		for (const [args, code, text] of wrong) {
			const ended = await place.brewline([...args, "--by", "me"]);
			expect({ args, code: ended.code, stderr: ended.stderr }).toEqual({
				args,
				code,
				stderr: expect.stringContaining(text),
			});
		}
		expect((await decide("hold hello --dry-run", "--reason", "x")).stdout).toContain("nothing was written");
		expect((await succeed("decisions")).stdout).toBe("nothing is decided\n");
	});

	it("who has no name on this system has to give one", async () => {
		const nameless = `
			import os from "node:os";
			import { syncBuiltinESMExports } from "node:module";
			os.userInfo = () => { throw new Error("uv_os_get_passwd returned ENOENT"); };
			syncBuiltinESMExports();`;
		const env = { NODE_OPTIONS: `--import=data:text/javascript,${encodeURIComponent(nameless)}` };
		const args = ["hold", "hello", "--reason", "x"];
		expect(await place.brewline(args, { env })).toMatchObject({
			code: 2,
			stderr: expect.stringContaining("this system has no name for who runs this\n  name who it is: --by NAME"),
		});
		expect((await place.brewline([...args, "--by", "me"], { env })).code).toBe(0);
	});

	it("a tag goes without a platform that is not built, where that was decided", async () => {
		await succeed("run");
		await nextVersion();
		await place.configure({ library: path.join(place.folder, "library"), policies: [{ platforms: "required" }] });
		place.fail(({ method, path }) =>
			method === "POST" && path.startsWith("/v2/staging-s390x/") ? { kind: "answer", status: 403 } : undefined,
		);
		expect(tagOf(reportOf(await place.brewline("run --json")), "latest").change).toBe("held");
		await decide("shrink hello linux/s390x", "--reason", "the old one has a hole");
		const without = reportOf(await place.brewline("run --json"));
		expect(tagOf(without, "latest")).toMatchObject({ change: "updated", decision: "shrink", removed: ["linux/s390x"] });
		place.fail(() => undefined);
		const whole = tagOf(reportOf(await succeed("run --json --retry")), "latest");
		expect(whole.platforms).toContain("linux/s390x");
		expect(whole.notes).toEqual([]);
	});
});

describe("what is known to be the same", () => {
	it("is not asked for; an audit finds what somebody moved", async () => {
		const first = reportOf(await succeed("run --json"));
		place.requests.length = 0;
		const again = reportOf(await succeed("run --json"));
		expect(again.tags.some(({ remembered }) => remembered)).toBe(true);
		expect(again.tags.map(({ digest, change }) => [digest, change])).toEqual(
			first.tags.map(({ digest }) => [digest, "unchanged"]),
		);
		expect(place.requests.filter((request) => request.includes("/library/")).length).toBeLessThanOrEqual(1);
		const git = [
			"--git-dir",
			place.file("state/repository.git"),
			"log",
			"-1",
			"--format=%H",
			"brewline-state",
			"--",
			"published",
		];
		const head = execFileSync("git", git, { encoding: "utf8" });
		await succeed("run");
		expect(execFileSync("git", git, { encoding: "utf8" })).toBe(head);
		// A stop moves nothing, so what is known stays known.
		await decide("hold --all", "--reason", "an incident");
		await succeed("run");
		await succeed("release --all");
		expect(reportOf(await succeed("run --json")).tags.some(({ remembered }) => remembered)).toBe(true);
		expect(reportOf(await succeed("publish --audit --json")).tags.some(({ remembered }) => remembered)).toBe(false);
	});

	it("a report that is no report's is not believed to say what tags are made from", async () => {
		await succeed("sources");
		await succeed("plan");
		await succeed("build");
		await succeed("publish");
		const report = reportOf({
			stdout: execFileSync("cat", [place.file("report.json")], { encoding: "utf8" }),
		});
		const from = tagOf(report, "latest").from;
		expect(from).toMatch(/^[0-9a-f]{64}$/);
		writeFileSync(
			place.file("report.json"),
			JSON.stringify({ ...report, tags: report.tags.map((tag) => ({ ...tag, from: "x" })) }),
		);
		await succeed("remember");
		expect(reportOf(await succeed("publish --json")).tags.some(({ remembered }) => remembered)).toBe(false);
	});
});
