import { cpSync, existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import os from "node:os";
import path from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { act, localActions, readRun, type WorkflowRun } from "../support/act.ts";
import { runProgram } from "../support/command.ts";
import { dockerfileOf, makeToolRepository, versionsOf } from "../support/tool-repository.ts";
import { branch, libraryWorld, token } from "../support/library-world.ts";

const root = path.resolve(import.meta.dirname, "../..");
const shipped = readFileSync(path.join(root, "workflows/generate-library.yml"), "utf8");

it("is what a maintainer adds: twelve lines", () => {
	const lines = shipped.split("\n").filter((line) => line.trim() !== "" && !line.startsWith("#"));
	expect(lines.length).toBeLessThanOrEqual(12);
});

function tests(): void {
	let folder: string;
	beforeAll(() => {
		folder = mkdtempSync(path.join(os.tmpdir(), "brewline-workflow-"));
		// As a release has it.
		for (const name of ["actions", "dist"])
			cpSync(path.join(root, name), path.join(folder, "release", name), { recursive: true });
		writeFileSync(path.join(folder, "secrets"), `LIBRARY_TOKEN=${token}\n`);
	});
	afterAll(() => {
		rmSync(folder, { recursive: true, force: true });
	});

	async function run(repository: string, event: string): Promise<WorkflowRun & { readonly said: string }> {
		const args = [
			event,
			"--json",
			"--no-cache-server",
			"--container-daemon-socket=-",
			`--secret-file=${path.join(folder, "secrets")}`,
			"-P",
			"ubuntu-24.04=-self-hosted",
			...localActions(shipped, path.join(folder, "release")).flatMap((action) => ["--local-repository", action]),
		];
		const { code, stdout, stderr } = await runProgram(act, args, {
			cwd: repository,
			env: { HOME: path.join(folder, "home") },
		});
		// The one line that says what is to be masked has it.
		const said = `${stdout}${stderr}`.split("\n").filter((line) => !line.includes('"command":"add-mask"'));
		return { ...readRun(code, stdout), said: said.join("\n") };
	}

	it("checks a pull request without the token, proposes what is pushed, and changes nothing the second time", async () => {
		await using w = await libraryWorld({ auth: "pushes" });
		const image = makeToolRepository(w, path.join(folder, "tool"), {
			".github/workflows/library.yml": shipped,
			"1.2/Dockerfile": `${dockerfileOf("1.2.3")}# by hand\n`,
		});
		const stale = await run(image.folder, "pull_request");
		expect(stale.jobs).toEqual({ library: "failure" });
		expect(stale.summaries["library"]).toContain("| 1.2/Dockerfile | updated | Dockerfile.template |");
		expect(stale.errors["library"]?.join()).toContain("1.2/Dockerfile is not as it is rendered");

		image.commit("Mend the Dockerfile", { "1.2/Dockerfile": dockerfileOf("1.2.3") });
		const sound = await run(image.folder, "pull_request");
		expect(sound).toMatchObject({ code: 0, jobs: { library: "success" } });
		expect(sound.summaries["library"]).toContain("tool is new to the library");
		expect(sound.summaries["library"]).toContain("nothing is proposed on pull&#95;request");
		expect([w.pushes(), w.api.requests, w.at(branch)]).toEqual([0, [], undefined]);

		const first = await run(image.folder, "push");
		expect(first).toMatchObject({ code: 0, jobs: { library: "success" } });
		expect(w.api.pulls).toMatchObject([{ state: "open", title: "Add tool", branch, commit: w.at(branch) }]);
		expect(first.summaries["library"]).toContain(`<https://github.example/official/images/pull/1>`);
		const definition = w.show(branch, "library/tool");
		expect(definition).toMatch(/^Tags: 1\.2\.3, 1\.2, latest$/m);
		expect(definition).toMatch(/^Architectures: amd64, arm64v8$/m);

		const before = [w.pushes(), w.api.changes().length];
		const second = await run(image.folder, "push");
		expect(second.summaries["library"]).toContain("**unchanged**");
		expect([w.pushes(), w.api.changes().length]).toEqual(before);

		image.commit("Update 1.2 to 1.2.4", {
			"versions.json": versionsOf({ "1.2": "1.2.4", "1.1": "1.1.9" }),
			"1.2/Dockerfile": dockerfileOf("1.2.4"),
		});
		expect((await run(image.folder, "push")).summaries["library"]).toContain("**updated**");
		expect(w.show(branch, "library/tool")).toMatch(/^Tags: 1\.2\.4, 1\.2, latest$/m);
		expect(w.api.pulls).toHaveLength(1);
		for (const { said } of [stale, sound, first, second]) expect(said).not.toContain(token);
	});
}

if (existsSync(act)) describe("the workflow of an image", tests);
// oxlint-disable-next-line vitest/no-disabled-tests -- it is counted and named at the end of every run
else it.skip("the workflow of an image (act is not installed: scripts/ci-tools.sh .cache/tools)", () => {});
