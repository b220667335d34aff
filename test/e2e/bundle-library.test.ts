import { execFileSync } from "node:child_process";
import {
	existsSync,
	mkdirSync,
	mkdtempSync,
	readdirSync,
	readFileSync,
	rmSync,
	symlinkSync,
	writeFileSync,
} from "node:fs";
import os from "node:os";
import path from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { parse } from "yaml";
import { branch, libraryWorld, token, type LibraryWorld } from "../support/library-world.ts";
import { openJob, type Job, type StepResult } from "../support/runner.ts";
import { dockerfileOf, makeToolRepository, type ToolRepository } from "../support/tool-repository.ts";

const action = "generate-library";
let folder: string;
beforeAll(() => {
	folder = mkdtempSync(path.join(os.tmpdir(), "brewline-jobs-"));
});
afterAll(() => {
	rmSync(folder, { recursive: true, force: true });
});

interface Event {
	readonly name?: string;
	readonly ref?: string;
	readonly payload?: unknown;
}

interface Bench extends AsyncDisposable {
	readonly w: LibraryWorld;
	readonly image: ToolRepository;
	readonly job: Job;
	run(inputs?: Readonly<Record<string, string>>): Promise<StepResult>;
}

/** A job for an event, with an image's repository checked out. */
async function bench(event: Event = {}, files: Readonly<Record<string, string>> = {}, auth = true): Promise<Bench> {
	const w = await libraryWorld({ auth });
	const payload = path.join(mkdtempSync(path.join(folder, "event-")), "event.json");
	writeFileSync(payload, JSON.stringify(event.payload ?? { repository: { default_branch: "main", fork: false } }));
	const env = {
		GITHUB_EVENT_NAME: event.name ?? "push",
		GITHUB_EVENT_PATH: payload,
		GITHUB_REF: event.ref ?? "refs/heads/main",
	};
	const job = await openJob({ root: folder, env });
	const image = makeToolRepository(w, job.workspace, files);
	return {
		w,
		image,
		job,
		run: (inputs) => job.run(action, { token, ...inputs }),
		[Symbol.asyncDispose]: async () => {
			await Promise.all([w[Symbol.asyncDispose](), job[Symbol.asyncDispose]()]);
		},
	};
}

function annotations({ commands }: StepResult, level = "error"): string[] {
	return commands.filter(({ name }) => name === level).map(({ message }) => message);
}

describe("the bundle of generate-library", () => {
	it("renders, generates, checks and proposes, and leaves nothing but the definition", async () => {
		await using b = await bench();
		const step = await b.run();
		expect(step.exitCode).toBe(0);
		const file = parse(readFileSync(path.resolve("actions", action, "action.yml"), "utf8")) as { outputs: object };
		expect(Object.keys(step.outputs)).toEqual(Object.keys(file.outputs));
		expect(step.outputs).toEqual({
			definition: ".brewline/library/tool",
			changed: "true",
			stale: "0",
			findings: "0",
			errors: "0",
			outcome: "proposed",
			proposal: "https://github.example/official/images/pull/1",
		});
		const definition = readFileSync(path.join(b.job.workspace, ".brewline/library/tool"), "utf8");
		expect(definition.trim()).toBe(b.w.show(branch, "library/tool"));
		expect(step.summary).toContain("+Tags: 1.2.3, 1.2, latest");
		expect(step.log).toContain("tool: proposed: it is new to the library");
		expect(step.commands.filter(({ name }) => name === "add-mask").map(({ message }) => message)).toEqual([token]);
		expect(step.raw.replace(`::add-mask::${token}`, "")).not.toContain(token);
		expect(readdirSync(b.job.temporary)).toEqual([]);
		expect(
			execFileSync("git", ["config", "--list", "--local"], { cwd: b.image.folder, encoding: "utf8" }),
		).not.toContain(token);

		const again = await b.run();
		expect(again.outputs).toMatchObject({ changed: "true", outcome: "unchanged" });
	});

	it.each([
		["a pull request", { name: "pull_request" }, "nothing is proposed on pull_request"],
		["another branch", { ref: "refs/heads/topic" }, "only what is on the default branch"],
		["a fork", { payload: { repository: { default_branch: "main", fork: true } } }, "nothing is proposed from a fork"],
	])("of %s proposes nothing, even with a token, which no server gets", async (_, event, reason) => {
		// Its own configuration says where the library is, and names what is in the environment.
		await using b = await bench(event, {}, false);
		const config = path.join(b.image.folder, "brewline.yaml");
		const credentials = `program: { git: { credentials: { "${b.w.git.url}": { tokenVariable: INPUT_TOKEN } } } }\n`;
		b.image.commit("Ask for it", { "brewline.yaml": readFileSync(config, "utf8") + credentials });
		const step = await b.run();
		expect(step).toMatchObject({ exitCode: 0, outputs: { changed: "true", outcome: "", proposal: "" } });
		expect(step.log).toContain(reason);
		expect([b.w.pushes(), b.w.api.requests]).toEqual([0, []]);
		expect(b.w.git.requests.length).toBeGreaterThan(0);
		expect(b.w.git.requests.filter(({ authorization }) => authorization !== undefined)).toEqual([]);
	});

	it("reads no folder of the machine for what nobody has merged", async () => {
		await using b = await bench({ name: "pull_request" }, {}, false);
		const config = path.join(b.image.folder, "brewline.yaml");
		const text = readFileSync(config, "utf8");
		const mapped = (to: string) => `${text}program: { git: { rewrite: { "${b.w.git.url}": "${to}" } } }\n`;
		b.image.commit("Read another folder", { "brewline.yaml": mapped(`file://${folder}`) });
		// The address is asked as it stands.
		expect(await b.run()).toMatchObject({ exitCode: 0, outputs: { changed: "true" } });
		expect(b.w.git.requests.length).toBeGreaterThan(0);
	});

	it.each([".brewline", ".brewline/library"])("writes nothing through a link: %s", async (name) => {
		await using b = await bench({ name: "pull_request" }, {}, false);
		const outside = mkdtempSync(path.join(folder, "outside-"));
		mkdirSync(path.dirname(path.join(b.image.folder, name)), { recursive: true });
		symlinkSync(outside, path.join(b.image.folder, name));
		const step = await b.run();
		expect(step.exitCode).toBe(1);
		expect(annotations(step).join()).toContain(`${name} is a link`);
		expect(readdirSync(outside)).toEqual([]);
	});

	it.each(["pull_request_target", "workflow_run"])("is none for %s", async (name) => {
		await using b = await bench({ name });
		const step = await b.run();
		expect(step.exitCode).toBe(2);
		expect(annotations(step).join()).toContain(`this is no step for ${name}`);
		expect(existsSync(path.join(b.job.workspace, ".brewline"))).toBe(false);
	});

	it("proposes nothing where something is wrong, and says what: files, and findings", async () => {
		await using b = await bench({}, { "1.1/Dockerfile": `${dockerfileOf("1.1.9")}# by hand\n` });
		const stale = await b.run();
		expect(stale).toMatchObject({ exitCode: 1, outputs: { stale: "1", outcome: "" } });
		expect(annotations(stale).join()).toContain("1.1/Dockerfile is not as it is rendered");
		const dockerfile = dockerfileOf("1.1.9");
		b.image.commit("Mend it", { "1.1/Dockerfile": dockerfile });
		// The default of GitFetch is a branch that there is none of.
		const config = path.join(b.image.folder, "brewline.yaml");
		b.image.commit("Break it", {
			"brewline.yaml": readFileSync(config, "utf8").replace("refs/heads/main", "refs/heads/gone"),
		});
		const found = await b.run();
		expect(found).toMatchObject({ exitCode: 1, outputs: { stale: "0", outcome: "" } });
		expect(Number(found.outputs["errors"])).toBeGreaterThan(0);
		expect(annotations(found).join()).toContain("refs/heads/gone cannot be fetched");
		expect(found.summary).toContain("### Checks: ");
		expect(b.w.pushes()).toBe(0);
	});

	it("takes what the library pins to be there, and nothing else from outside", async () => {
		const outside = "COPY --from=outside.example/thing:1 /thing /\n";
		const files = Object.fromEntries(
			Object.entries({ "1.2": "1.2.3", "1.1": "1.1.9" }).map(([name, version]) => [
				`${name}/Dockerfile`,
				dockerfileOf(version) + outside,
			]),
		);
		const template = `FROM base:1\nENV TOOL_VERSION={{ .version }}\n${outside}`;
		await using b = await bench({}, { ...files, "Dockerfile.template": template });
		const library = {
			"library/base": `${b.w.show("main", "library/base")}\n`,
			".external-pins/list.sh": "#!/bin/sh\n",
		};
		b.w.commit(library);
		const unpinned = await b.run();
		expect(unpinned).toMatchObject({ exitCode: 1, outputs: { stale: "0", outcome: "" } });
		expect(annotations(unpinned).join()).toContain("outside.example/thing:1");
		b.w.commit({ ...library, ".external-pins/outside.example/thing___1": `sha256:${"1".repeat(64)}\n` });
		expect(await b.run()).toMatchObject({ exitCode: 0, outputs: { errors: "0", outcome: "proposed" } });
	});

	it("tells what it found before something failed", async () => {
		await using b = await bench({}, { "versions.json": "{", "1.1/Dockerfile": "FROM base:1\n" });
		const step = await b.run();
		expect(step.exitCode).not.toBe(0);
		expect(annotations(step).join()).toContain("versions.json");
	});

	it("does nothing that a commit says: to the runner, in the summary, or in the library", async () => {
		await using b = await bench();
		const hostile = "::error::x ##[error]y @everyone fixes #1 [skip ci] ``` <img src=x> | [a](https://b.example)";
		b.image.commit(hostile, {
			"1.2/Dockerfile": `${dockerfileOf("1.2.3")}# more\n`,
			"Dockerfile.template": "FROM base:1\nENV TOOL_VERSION={{ .version }}\n# more\n",
			"1.1/Dockerfile": `${dockerfileOf("1.1.9")}# more\n`,
		});
		// The library has the image as it was before.
		const before = await b.run();
		expect(before.exitCode).toBe(0);
		b.w.commit({
			"library/tool": `${b.w.show(branch, "library/tool")}\n`,
			"library/base": `${b.w.show("main", "library/base")}\n`,
		});
		b.image.commit(hostile, {
			"1.1/Dockerfile": `${dockerfileOf("1.1.9")}# even more\n`,
			"1.2/Dockerfile": `${dockerfileOf("1.2.3")}# even more\n`,
			"Dockerfile.template": "FROM base:1\nENV TOOL_VERSION={{ .version }}\n# even more\n",
		});
		const step = await b.run();
		expect(step).toMatchObject({ exitCode: 0, outputs: { outcome: "updated" } });
		expect(step.commands.filter(({ name }) => name !== "add-mask" && name !== "debug")).toEqual([]);
		expect(step.summary).not.toMatch(/@everyone|<img|https:\/\/b\.example|fixes #1/);
		const { body } = b.w.api.pulls.at(-1)!;
		const message = b.w.library.git("log", "-1", "--format=%B", branch);
		for (const text of [body!, message]) expect(text).not.toMatch(/@everyone|#1|\[skip ci\]|https:\/\/b\.example/);
		expect(body).toMatch(/````.*at everyone fixes no\. 1 \(skip ci\) ``` <img src=x>.*````/);
		expect(body).toContain("Maintainers: @ada");
	});

	it("leaves what others committed, and overwrites it when it is told so", async () => {
		await using b = await bench();
		b.w.commit({ "library/tool": "theirs\n" }, { branch });
		const left = await b.run();
		expect(left).toMatchObject({ exitCode: 7, outputs: { outcome: "foreign" } });
		expect(annotations(left).join()).toContain("its last commit is by A Person");
		expect(await b.run({ overwrite: "true" })).toMatchObject({ exitCode: 0, outputs: { outcome: "proposed" } });
	});

	it("says how to mend a shallow clone, a missing token and wrong steps", async () => {
		await using b = await bench({}, {}, false);
		const none = await b.run({ token: "" });
		expect(none.exitCode).toBe(5);
		expect(annotations(none).join()).toContain("there is no token");
		const steps = await b.run({ steps: "generate, sing" });
		expect(steps.exitCode).toBe(2);
		expect(annotations(steps).join()).toContain("there is no step sing");
		expect((await b.run({ steps: "propose" })).exitCode).toBe(2);
		expect(await b.run({ steps: "generate", token: "" })).toMatchObject({ exitCode: 0, outputs: { outcome: "" } });
		writeFileSync(path.join(b.image.folder, ".git/shallow"), `${b.image.commit("More", { more: "x\n" })}\n`);
		const shallow = await b.run();
		expect(annotations(shallow).join()).toContain("fetch-depth: 0");
	});
});
