import { execFileSync } from "node:child_process";
import { existsSync } from "node:fs";
import { chmod, copyFile, mkdir, rm, writeFile } from "node:fs/promises";
import path from "node:path";
import type { Contender } from "./measure.ts";

/** What `npm run bench` says of renderings: whole processes that write all Dockerfiles of a repository. */
export interface RenderingOptions {
	/** A clone of docker-library/php, of golang: its own script is the peer. */
	readonly php?: string | undefined;
	readonly golang?: string | undefined;
	/** A folder with jq-template.awk, for these scripts; they need gawk, jq and bash. */
	readonly "bashbrew-scripts"?: string | undefined;
}

interface Rendering {
	readonly name: string;
	readonly title: string;
	readonly ours: Contender;
	readonly peer?: { readonly name: string; readonly recorded: number | undefined; readonly contender?: Contender };
	readonly goal: number;
}

type Cli = (...args: string[]) => [string, ...string[]];

const examples = path.join(path.dirname(import.meta.dirname), "examples");

/** Dockerfiles of a template as long as php's, for who has no clone; then those of the clones that are given. */
export async function renderings(cli: Cli, scratch: string, options: RenderingOptions): Promise<readonly Rendering[]> {
	const all = [await made(cli, path.join(scratch, "made"))];
	if (options.php !== undefined)
		all.push(await cloned(cli, scratch, "php", options.php, { goal: 0.24, recorded: 2.5 }, options));
	if (options.golang !== undefined) {
		all.push(await cloned(cli, scratch, "golang", options.golang, { goal: 0.24, recorded: undefined }, options));
	}
	return all;
}

function git(folder: string, ...args: readonly string[]): string {
	return execFileSync("git", ["-C", folder, ...args], { encoding: "utf8", maxBuffer: 2 ** 28 });
}

/** A contender that begins with nothing rendered: what is measured is all of it. */
function rendering(argv: [string, ...string[]], folder: string, env: Record<string, string> = {}): Contender {
	return { argv, cwd: folder, env, before: () => emptied(folder) };
}

/** Takes away the folders of the versions. */
async function emptied(folder: string): Promise<void> {
	const tracked = git(folder, "ls-files").split("\n");
	const folders = new Set(tracked.filter((file) => file.endsWith("/Dockerfile")).map((file) => file.split("/")[0]!));
	for (const name of folders) await rm(path.join(folder, name), { recursive: true, force: true });
}

async function cloned(
	cli: Cli,
	scratch: string,
	image: string,
	repository: string,
	{ goal, recorded }: { readonly goal: number; readonly recorded: number | undefined },
	options: RenderingOptions,
): Promise<Rendering> {
	const [ours, theirs] = [path.join(scratch, image), path.join(scratch, `${image}-peer`)];
	for (const folder of [ours, theirs]) git(".", "clone", "--quiet", "--shared", path.resolve(repository), folder);
	await copyFile(path.join(examples, image, "brewline.yaml"), path.join(ours, "brewline.yaml"));
	const count = git(ours, "ls-files").match(/\/Dockerfile$/gm)!.length;
	const scripts = options["bashbrew-scripts"];
	const contender =
		scripts === undefined
			? undefined
			: rendering(["bash", "apply-templates.sh"], theirs, { BASHBREW_SCRIPTS: path.resolve(scripts) });
	return {
		name: "render",
		title: `${count} Dockerfiles of ${image} rendered and written`,
		ours: rendering(cli("render"), ours),
		peer: {
			name: "its script with gawk and jq",
			recorded,
			...(contender === undefined ? {} : { contender }),
		},
		goal,
	};
}

/** 70 Dockerfiles of one template with 200 expressions, and five files beside each. */
async function made(cli: Cli, folder: string): Promise<Rendering> {
	if (!existsSync(folder)) await mkdir(folder, { recursive: true });
	const variants = ["trixie", "bookworm"].flatMap((suite) =>
		["cli", "fpm", "apache", "zts", "embed", "debug", "litespeed"].map((name) => `${suite}/${name}`),
	);
	const versions = ["5", "4", "3", "2", "1"].map((version) => [
		version,
		{ version: `${version}.2.9`, sha256: version.repeat(64), keys: ["A", "B", "C"], variants },
	]);
	const block = (index: number): string => `
{{ if (.version | split(".") | .[0] | tonumber) > ${index % 5} and env.variant != "zts" then ( -}}
RUN set -eux; \\
	echo {{ .version | @sh }} "${index}"; \\
{{ .keys | map( -}}
	gpg --recv-keys {{ @sh }}; \\
{{ ) | add -}}
	echo {{ env.suite | ascii_upcase | @sh }}
{{ ) else "" end -}}
`;
	const template = `FROM {{ env.suite }}\n${Array.from({ length: 40 }, (_, index) => block(index)).join("")}`;
	await writeFile(path.join(folder, "versions.json"), JSON.stringify(Object.fromEntries(versions)));
	await writeFile(path.join(folder, "Dockerfile.template"), template);
	const copied = ["a", "b", "c", "d", "e"].map((name) => `entry-${name}.sh`);
	for (const name of copied) {
		await writeFile(path.join(folder, name), "#!/bin/sh\nset -e\n".repeat(50));
		await chmod(path.join(folder, name), 0o755);
	}
	await writeFile(
		path.join(folder, "brewline.yaml"),
		`images:
  image: made
  header: { repository: https://example.com/made, self: generate.sh, maintainers: ["A <a@example.com> (@a)"] }
  aliases: { list: ["{version}"] }
  matrix: { path: [ { path: [variants] } ] }
  split: { path: "^(?<suite>[^/]+)/(?<variant>[^/]+)$" }
  tags: [""]
  templates:
    env: { version: "{version}", suite: "{suite}", variant: "{variant}" }
    rules: [ { template: Dockerfile.template } ]
    copy: [ { files: ["entry-*.sh"] } ]
`,
	);
	git(".", "init", "--quiet", folder);
	execFileSync(cli("render")[0], cli("render").slice(1), { cwd: folder, stdio: "ignore" });
	git(folder, "add", "--all");
	return {
		name: "render",
		title: "70 Dockerfiles of a made repository rendered and written",
		ours: rendering(cli("render"), folder),
		goal: 0.6,
	};
}
