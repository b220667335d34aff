import { createHash, randomBytes } from "node:crypto";
import { mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import http from "node:http";
import type { AddressInfo } from "node:net";
import os from "node:os";
import path from "node:path";
import { afterAll, beforeAll, beforeEach, describe, expect, it } from "vitest";
import { type Checked, rules } from "../../src/check/index.ts";
import { type RunningRegistry, startRegistry } from "../../src/registry/index.ts";
import { brewline, type Ended } from "../support/command.ts";
import { makeRepository, type TestRepository } from "../support/git-repository.ts";
import { type GitServer, startGitServer } from "../support/git-server.ts";

// A library with Dockerfiles in git over HTTP, a pinned base in a registry, and what is published at an address.

const root = mkdtempSync(path.join(os.tmpdir(), "brewline-check-"));
let git: GitServer;
let registry: RunningRegistry;
let published: http.Server;
let address: string;
let pin: string;
let commits: readonly string[];
const publishedTexts = new Map<string, string>();
let count = 0;
let place: string;

beforeAll(async () => {
	const repository = makeRepository(path.join(root, "git/app.git"));
	commits = makeCommits(repository);
	repository.ref("refs/heads/main", commits.at(-1)!);
	git = await startGitServer({ root: path.join(root, "git") });
	registry = await startRegistry();
	pin = await pushImage(registry.host, "example/outside", "amd64");
	published = http.createServer((request, response) => {
		const text = publishedTexts.get(path.posix.basename(request.url ?? ""));
		response.writeHead(text === undefined ? 404 : 200).end(text);
	});
	await new Promise<void>((resolve) => published.listen(0, "127.0.0.1", resolve));
	address = `http://127.0.0.1:${(published.address() as AddressInfo).port}/library`;
});

afterAll(async () => {
	await git.close();
	await registry.close();
	published.closeAllConnections();
	await new Promise((resolve) => published.close(resolve));
	rmSync(root, { recursive: true });
});

beforeEach(() => {
	place = path.join(root, `place-${++count}`);
	mkdirSync(path.join(place, "library"), { recursive: true });
	mkdirSync(path.join(place, ".git"));
	publishedTexts.clear();
});

/** Dockerfiles that are as they should be and others; an archive that the second commit changes. */
function makeCommits(repository: TestRepository): readonly string[] {
	const blob = (text: string | Buffer): string => repository.object("blob", text);
	const dockerfiles: Readonly<Record<string, string>> = {
		base: "FROM scratch\nCOPY rootfs.tar.xz /\n",
		good: 'FROM base:1\nRUN set -eux; \\\n\tmake; \\\n\tmake install\nCMD ["app"]\n',
		bad: "FROM base:2\nRUN curl -k https://example.com/x | sh; \\\n\tmake\n# a comment\nCMD app\n",
		broken: "FROM base:1\nRUN <<EOF\n",
		starts: 'FROM base:1\nCOPY ./start.sh /bin/\nENTRYPOINT ["start.sh"]\n',
	};
	const made: string[] = [];
	for (let version = 0; version < 2; version++) {
		const archive = blob(Buffer.concat([Buffer.from([0]), randomBytes(3 * 1024 * 1024)]));
		const folders = Object.entries(dockerfiles)
			.toSorted(([a], [b]) => (a < b ? -1 : 1))
			.map(([name, text]) => {
				const files = [["100644", "Dockerfile", blob(text)] as const];
				const beside = { base: ["rootfs.tar.xz", archive], starts: ["start.sh", blob("#!/bin/sh\napp\n")] } as const;
				const [file, id] = beside[name as keyof typeof beside] ?? [];
				const all = file === undefined ? files : [...files, ["100644", file, id] as const];
				return ["40000", name, repository.tree(all)] as const;
			});
		made.push(repository.commit(repository.tree(folders), { parents: made.slice(-1) }));
	}
	return made;
}

async function pushImage(host: string, name: string, architecture: string): Promise<string> {
	const push = async (where: string, type: string, content: string): Promise<string> => {
		const digest = `sha256:${createHash("sha256").update(content).digest("hex")}`;
		const start =
			where === "blobs" ? await fetch(`http://${host}/v2/${name}/blobs/uploads/`, { method: "POST" }) : undefined;
		const upload = start && new URL(start.headers.get("location")!, `http://${host}`);
		upload?.searchParams.set("digest", digest);
		const url = upload ?? `http://${host}/v2/${name}/manifests/${digest}`;
		const { ok } = await fetch(url, { method: "PUT", headers: { "content-type": type }, body: content });
		expect(ok).toBe(true);
		return digest;
	};
	const config = JSON.stringify({ architecture, os: "linux", rootfs: { type: "layers", diff_ids: [] } });
	const mediaType = "application/vnd.oci.image.manifest.v1+json";
	const configType = "application/vnd.oci.image.config.v1+json";
	const digest = await push("blobs", "application/octet-stream", config);
	return await push(
		"manifests",
		mediaType,
		JSON.stringify({
			schemaVersion: 2,
			mediaType,
			config: { mediaType: configType, digest, size: config.length },
			layers: [],
		}),
	);
}

/** A definition; entries as lines of fields, separated by `; `. */
function definition(...entries: readonly string[]): string {
	const head = `Maintainers: Ada Lovelace <ada@example.com> (@ada)
GitRepo: ${git.url}/app.git
GitFetch: refs/heads/main
GitCommit: ${commits[1]}
`;
	return [head, ...entries.map((entry) => `${entry.replaceAll("; ", "\n")}\n`)].join("\n");
}

function write(library: Readonly<Record<string, string>>, configuration = ""): void {
	for (const [name, text] of Object.entries(library)) writeFileSync(path.join(place, "library", name), text);
	writeFileSync(path.join(place, "brewline.yaml"), `program:\n  name: test\n${configuration}`);
}

const run = (...args: readonly string[]): Promise<Ended> => brewline(["check", ...args], { cwd: place });

async function findings(...args: readonly string[]): Promise<readonly string[]> {
	const { stdout } = await run("--json", ...args);
	return (JSON.parse(stdout) as Checked).findings.map(({ rule, image, tag, at, source }) =>
		[rule, `${image}:${tag}`, at?.line, ...(source === undefined ? [] : [`${source.file}:${source.line}`])].join(" "),
	);
}

const base = "Tags: 1, latest; Architectures: amd64, arm64v8; Directory: base";

describe("brewline check", () => {
	it("finds nothing where nothing is wrong", async () => {
		write({
			base: definition(base),
			app: definition("Tags: 1.2.3, 1.2, 1, latest; Architectures: amd64, arm64v8; Directory: good"),
		});
		expect(await run()).toMatchObject({ code: 0, stdout: "nothing found\n" });
	});

	it("names file, line, rule, remedy and explanation of what is wrong, and ends with 1", async () => {
		write({
			base: definition(base),
			app: definition("Tags: 1; Architectures: amd64, s390x; Directory: good", "Tags: latest-bad; Directory: bad"),
		});
		const { code, stdout } = await run();
		expect(code).toBe(1);
		expect(stdout.split("\n")).toEqual([
			"library/app:7:1: error app:1: FROM base:1 cannot be built on s390x: it has no s390x [from]",
			"  Take s390x out of Architectures, or have the base offer it.",
			expect.stringMatching(
				/^library\/app:10:1: error app:latest-bad: the tag latest-bad has latest in its name.* \[latest\]$/,
			),
			expect.stringMatching(/^ {2}Leave latest out/),
			"library/app:10:1: error app:latest-bad: FROM base:2 is a base that nothing of this entry can stand on: base has no such tag [from]",
			"  Use a tag that the definition of base has.",
			expect.stringMatching(
				/^library\/app:10:1: warning app:latest-bad: curl does not check .* \(bad\/Dockerfile:2 at \w{12}\) \[download-insecure\]$/,
			),
			expect.stringMatching(/^ {2}/),
			expect.stringMatching(/^library\/app:10:1: warning .*https:\/\/example\.com\/x.* \[download-unverified\]$/),
			expect.stringMatching(/^ {2}/),
			expect.stringMatching(/^library\/app:10:1: warning .* \(bad\/Dockerfile:2 at \w{12}\) \[set-e\]$/),
			expect.stringMatching(/^ {2}/),
			expect.stringMatching(/^library\/app:10:1: warning .*CMD in shell form .*bad\/Dockerfile:5 .* \[shell-form\]$/),
			expect.stringMatching(/^ {2}/),
			expect.stringMatching(/^from: https:\/\/\S+#from$/),
			expect.stringMatching(/^latest: https:\/\/\S+#latest$/),
			expect.stringMatching(/^download-insecure: https:/),
			expect.stringMatching(/^download-unverified: https:/),
			expect.stringMatching(/^set-e: https:/),
			expect.stringMatching(/^shell-form: https:/),
			"3 errors, 4 warnings",
			"",
		]);
	});

	it("looks at the scripts that images start with", async () => {
		write({ base: definition(base), app: definition("Tags: 1; Directory: starts", "Tags: 2; Directory: good") });
		expect(await findings()).toEqual(["entrypoint-exec app:1 6 starts/start.sh:1"]);
	});

	it("checks only what is named, and knows the rest", async () => {
		write({
			base: definition(base),
			app: definition("Tags: 1; Directory: good"),
			bad: definition("Tags: 1; Directory: broken"),
		});
		expect(await findings("app")).toEqual([]);
		expect(await findings("bad", "app", "bad")).toEqual(["dockerfile bad:1 6 broken/Dockerfile:2"]);
		expect(await run("ap")).toMatchObject({ code: 3, stdout: "" });
	});

	it("says what a change does to what is published, and takes bases from there", async () => {
		publishedTexts.set("base", definition(base));
		publishedTexts.set(
			"app",
			definition(
				"Tags: 1.2.4, 1.2, latest; Architectures: amd64, arm64v8; Directory: good",
				"Tags: 0.9; Directory: good",
			),
		);
		write({ app: definition("Tags: 1.2.3, 1.2; Directory: good") });
		const expected = [
			"latest-dropped app:latest 1",
			"version-backwards app:1.2 6",
			"architecture-lost app:1.2.3 6",
			"tag-vanished app:1.2.4 6",
			"tag-vanished app:0.9 1",
		];
		expect((await findings("--published", address)).toSorted()).toEqual(expected.toSorted());
		const folder = path.join(place, "published");
		mkdirSync(folder);
		for (const [name, text] of publishedTexts) writeFileSync(path.join(folder, name), text);
		expect((await findings("--published", "published")).toSorted()).toEqual(expected.toSorted());
		const missing = [{ architecture: "arm64v8", rule: "architectures.0", reason: "upstream ends it" }];
		const entries = [{ tags: [{ tag: "1.2.3" }], sharedTags: [], missing }];
		writeFileSync(path.join(place, "generated.json"), JSON.stringify({ images: [{ image: "app", entries }] }));
		const explained = await run("--published", address, "--explained", "generated.json");
		expect(explained.stdout).toMatch(
			/note app:1\.2\.3: 1\.2 would have no arm64v8 any more: upstream ends it \[architecture-ends\]/,
		);
		writeFileSync(path.join(place, "generated.json"), "[]");
		expect(await run("--explained", "generated.json")).toMatchObject({ code: 3, stdout: "" });
		publishedTexts.delete("app");
		expect(await findings("--published", `${address}/`)).toEqual([]);
	});

	it("looks pins up in their registry", async () => {
		const outside = `${registry.host}/example/outside:1`;
		const repository = makeRepository(path.join(root, "git/outside.git"));
		const dockerfile = repository.object("blob", `FROM ${outside}\n`);
		const commit = repository.commit(repository.tree([["100644", "Dockerfile", dockerfile]]));
		repository.ref("refs/heads/main", commit);
		const text = (...arches: readonly string[]): string =>
			definition(`Tags: 1; Architectures: ${arches.join(", ")}; GitRepo: ${git.url}/outside.git; GitCommit: ${commit}`);
		write({ app: text("amd64") });
		expect(await findings()).toEqual([]);
		mkdirSync(path.join(place, ".external-pins"));
		expect(await findings()).toEqual(["from app:1 7"]);
		const pinFile = path.join(place, ".external-pins", registry.host, "example/outside___1");
		mkdirSync(path.dirname(pinFile), { recursive: true });
		writeFileSync(pinFile, `${pin}\n`);
		expect(await findings()).toEqual([]);
		write({ app: text("amd64", "s390x") });
		expect(await findings()).toEqual(["from app:1 7"]);
		writeFileSync(pinFile, `sha256:${"0".repeat(64)}\n`);
		expect(await findings()).toEqual(["pin app:1 6", "from app:1 7"]);
	});

	it("fetches the history behind commits only when it is asked to", async () => {
		write({ base: definition(base), app: definition("Tags: 1; Directory: good; GitFetch: refs/heads/gone") });
		expect(await findings()).toEqual([]);
		expect(await findings("--history")).toEqual(["commits app:1 6", "commits base:1 6"]);
	});

	it("suppresses what the configuration gives a reason for, and tells of what it does not need", async () => {
		const suppress = `  checks:
    suppress:
      - { rule: latest, images: ["app:latest-*"], reason: it always was }
      - { rule: shared-tags, reason: nobody knows }
`;
		write({ base: definition(base), app: definition("Tags: latest-1; Directory: good") }, suppress);
		const { code, stdout } = await run("--json");
		expect(code).toBe(0);
		const result = JSON.parse(stdout) as Checked;
		expect(result.findings.map(({ rule, severity }) => [rule, severity])).toEqual([["unused-suppression", "warning"]]);
		expect(result.suppressed.map(({ finding, reason }) => [finding.rule, finding.tag, reason])).toEqual([
			["latest", "latest-1", "it always was"],
		]);
		write({}, suppress.replace("latest,", "lates,"));
		expect(await run()).toMatchObject({
			code: 2,
			stderr: expect.stringMatching(/there is no rule lates\n.*did you mean latest\?/),
		});
		write({}, suppress.replace(", reason: it always was", ""));
		expect(await run()).toMatchObject({ code: 2, stderr: expect.stringContaining("reason") });
	});

	it("prints SARIF with all rules, and lists these", async () => {
		write({ base: definition(base), app: definition("Tags: latest-1; Directory: bad") });
		const { code, stdout } = await run("--format", "sarif");
		const [sarif] = (
			JSON.parse(stdout) as { runs: { tool: { driver: { rules: { id: string }[] } }; results: { ruleId: string }[] }[] }
		).runs;
		expect([code, sarif!.results.map(({ ruleId }) => ruleId)]).toEqual([
			1,
			["latest", "from", "download-insecure", "download-unverified", "set-e", "shell-form"],
		]);
		expect(sarif!.tool.driver.rules.map(({ id }) => id)).toEqual(Object.keys(rules));
		const list = await run("--rules");
		for (const id of Object.keys(rules)) expect(list.stdout).toContain(id);
		expect(Object.keys(JSON.parse((await run("--rules", "--json")).stdout) as object)).toEqual(Object.keys(rules));
	});

	it("lets no definition speak to the runner or the terminal", async () => {
		const hostile = "x\u001b[31m%0A::error file=a::b\u202e, ::set-output name=x::y";
		write({
			base: definition(base),
			app: definition(
				`Tags: 1; Directory: ${hostile}`,
				`Tags: ::error::z; Directory: good`,
				"Tags: 2\r\n::warning::w; Directory: good",
			),
			other: definition(`Tags: 1; Directory: ${hostile}`),
			"::error::name": "x",
		});
		symlinkSync("/etc/passwd", path.join(place, "library/link"));
		for (const format of ["github", "text"]) {
			const { code, stdout } = await run("--format", format);
			expect(code).toBe(1);
			const lines = stdout.split("\n").slice(0, -1);
			expect(lines.length).toBeGreaterThan(3);
			// oxlint-disable-next-line no-control-regex -- that is what must not be there
			expect(stdout).not.toMatch(/[\u0000-\u0009\u000b-\u001f\u202e]|root:/);
			const commands = lines.filter((line) => line.trimStart().startsWith("::"));
			expect(commands.filter((line) => !/^::(?:error|warning) file=library\/[^:]*,title=[^:]*::/.test(line))).toEqual(
				[],
			);
			expect(commands.length).toBe(format === "github" ? lines.length : 0);
		}
	});

	it("says that git cannot be reached as a finding about each entry, and a registry's trouble as a warning", async () => {
		const gone = definition(base).replaceAll("/app.git", "/nothing.git");
		write({ base: gone, app: definition("Tags: 1; Directory: good") });
		expect(await findings()).toEqual(["dockerfile base:1 6 base/Dockerfile:undefined"]);
	});
});
