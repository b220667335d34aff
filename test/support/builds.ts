import { execFileSync } from "node:child_process";
import { chmodSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import os from "node:os";
import path from "node:path";
import type { Leg, LegBuild } from "../../src/plan/index.ts";

/** A folder for one test file. */
export function temporaryFolder(): { readonly folder: string; readonly remove: () => void } {
	const folder = mkdtempSync(path.join(os.tmpdir(), "brewline-"));
	return {
		folder,
		remove: () => {
			rmSync(folder, { recursive: true, force: true });
		},
	};
}

const identity = {
	GIT_CONFIG_NOSYSTEM: "1",
	GIT_CONFIG_GLOBAL: "/dev/null",
	GIT_AUTHOR_NAME: "A",
	GIT_AUTHOR_EMAIL: "a@example.org",
	GIT_AUTHOR_DATE: "1234567890 +0000",
	GIT_COMMITTER_NAME: "A",
	GIT_COMMITTER_EMAIL: "a@example.org",
	GIT_COMMITTER_DATE: "1234567890 +0000",
};

/** Commits all of a folder into the bare repository `ROOT/NAME.git`, and returns the commit's id. */
export function commitFolder(folder: string, root: string, name: string): string {
	const bare = path.join(root, `${name}.git`);
	const git = (...args: readonly string[]) =>
		execFileSync("git", ["--git-dir", bare, ...args], {
			env: { PATH: process.env["PATH"], ...identity },
			encoding: "utf8",
		}).trim();
	execFileSync("git", ["init", "--quiet", "--bare", "--initial-branch=main", bare], { env: process.env });
	execFileSync("git", ["--git-dir", bare, "--work-tree", folder, "add", "--all", "--force", "."], { env: process.env });
	const commit = git("commit-tree", git("write-tree"), "-m", "x");
	git("update-ref", "refs/heads/main", commit);
	return commit;
}

export interface DockerCall {
	readonly argv: readonly string[];
	readonly buildkit: string | null;
	readonly builder: string | null;
	readonly cwd: string;
	readonly pid: number;
	/** Base64. */
	readonly stdin: string;
	/** What lies in its folder, recursively. */
	readonly files: readonly string[];
}

/**
 * A program `docker` that stands in for the real one where only its command line, its end or its failure is tested.
 * Every call is written down. Its environment says what it does: FAKE_TARBALL, the OCI tarball that a build writes;
 * FAKE_MODE, `fail` or `hang`: it prints something, and ends with 1 or not at all; FAKE_PUSH, where `push` puts
 * FAKE_MANIFEST.
 */
export function fakeDocker(folder: string): {
	readonly env: Readonly<Record<string, string>>;
	readonly calls: () => readonly DockerCall[];
} {
	const bin = path.join(folder, "bin");
	const record = path.join(folder, "calls");
	mkdirSync(bin, { recursive: true });
	writeFileSync(record, "");
	const program = `#!${process.execPath}
const fs = require("node:fs");
const { env, argv, cwd, pid } = process;
const chunks = [];
process.stdin.on("data", (chunk) => chunks.push(chunk)).on("end", async () => {
	const call = {
		argv: argv.slice(2),
		buildkit: env.DOCKER_BUILDKIT ?? null,
		builder: env.BUILDX_BUILDER ?? null,
		cwd: cwd(),
		pid,
		stdin: Buffer.concat(chunks).toString("base64"),
		files: fs.readdirSync(".", { recursive: true }),
	};
	fs.appendFileSync(${JSON.stringify(record)}, JSON.stringify(call) + "\\n");
	console.log("step 1\\n\\x1b[31mstep 2");
	if (env.FAKE_MODE === "hang") return setInterval(() => {}, 1000);
	if (env.FAKE_MODE === "fail") { console.error("ERROR: failed to solve: no such package"); process.exitCode = 1; return; }
	const output = /"dest=(.*)"/.exec(argv.join(" "));
	if (output) fs.copyFileSync(env.FAKE_TARBALL, output[1]);
	if (argv[2] === "push") {
		const body = fs.readFileSync(env.FAKE_MANIFEST);
		const type = JSON.parse(body).mediaType;
		const answer = await fetch(env.FAKE_PUSH, { method: "PUT", body, headers: { "content-type": type } });
		if (!answer.ok) process.exitCode = 1;
	}
});
`;
	writeFileSync(path.join(bin, "docker"), program);
	chmodSync(path.join(bin, "docker"), 0o755);
	return {
		env: { PATH: `${bin}${path.delimiter}${process.env["PATH"]}` },
		calls: () =>
			readFileSync(record, "utf8")
				.split("\n")
				.filter((line) => line !== "")
				.map((line) => JSON.parse(line) as DockerCall),
	};
}

/** A leg for linux/amd64 with one build. */
export function makeLeg(build: Partial<LegBuild> & Pick<LegBuild, "git" | "staging">, leg: Partial<Leg> = {}): Leg {
	return {
		format: "brewline-leg",
		version: 1,
		id: "foo-1-amd64-aaaaaaaa",
		program: "test",
		arch: "amd64",
		platform: { os: "linux", architecture: "amd64" },
		platformString: "linux/amd64",
		runner: { label: "ubuntu-24.04", builder: null, emulate: false, via: null },
		timeLimit: 60,
		buildkit: { syntax: null, image: "moby/buildkit:x", provenanceBuilderId: "https://example.org/builder" },
		registries: { mirrors: {}, plainHttp: [], rates: {}, tokenServers: {} },
		architectureAnnotation: "com.docker.official-images.bashbrew.arch",
		attestations: "current",
		...leg,
		builds: [
			{
				buildId: "a".repeat(64),
				builder: "buildkit",
				tags: ["foo:1"],
				archTags: ["amd64/foo:1"],
				parents: [],
				annotations: {
					"org.opencontainers.image.revision": build.git.commit,
					"com.docker.official-images.bashbrew.arch": "amd64",
				},
				sbom: null,
				windowsVersion: null,
				...build,
			},
		],
	};
}
