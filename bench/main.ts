/**
 * `npm run bench`: the work of the planner at the scale of the Docker Official Images, whole processes, against the existing
 * programs where their paths are given; without them it prints what was recorded of them once, and claims nothing.
 *   --runs N                  each case so often (default 10); the least counts
 *   --only NAMES              only these cases, separated by commas
 *   --bashbrew FILE           the program bashbrew
 *   --builds FILE             the program builds of meta-scripts
 *   --meta-scripts FOLDER     a clone of meta-scripts, for its jq libraries
 *   --php REPOSITORY          a clone of docker-library/php, for the cases "checksums", "render" and "generate"
 *   --golang REPOSITORY       a clone of docker-library/golang, for the cases "render" and "generate"
 *   --official-images REPOSITORY   a clone of docker-library/official-images, for the case "generate"
 *   --bashbrew-scripts FOLDER bashbrew's scripts, for the scripts of these clones; they need gawk
 *   --crane FILE, --skopeo FILE   these programs, for the cases "copy" and "index"
 */
import { execFileSync, spawn } from "node:child_process";
import { createWriteStream, existsSync } from "node:fs";
import { copyFile, mkdir, mkdtemp, readdir, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import path from "node:path";
import { once } from "node:events";
import { parseArgs } from "node:util";
import { build, bundleProgram } from "../scripts/build.ts";
import { sha256Of } from "../src/oci/index.ts";
import { conformance } from "../test/support/conformance-data.ts";
import { publishedLibrary } from "../test/support/published-library.ts";
import { startGitServer } from "../test/support/git-server.ts";
import { measure, type Contender, type Figure } from "./measure.ts";
import { copying, indexing } from "./registry.ts";
import { generatings } from "./generating.ts";
import { renderings } from "./rendering.ts";

const { values: options } = parseArgs({
	options: {
		runs: { type: "string", default: "10" },
		only: { type: "string" },
		bashbrew: { type: "string" },
		builds: { type: "string" },
		"meta-scripts": { type: "string" },
		php: { type: "string" },
		golang: { type: "string" },
		"official-images": { type: "string" },
		"bashbrew-scripts": { type: "string" },
		crane: { type: "string" },
		skopeo: { type: "string" },
	},
});
const runs = Number(options.runs);
const only = options.only?.split(",");
const isAsked = (...names: string[]): boolean => only === undefined || names.some((name) => only.includes(name));
const root = path.dirname(import.meta.dirname);
const production = conformance("production-2024-06-20");

interface Case {
	readonly name: string;
	readonly title: string;
	readonly ours: Contender;
	readonly peer?: {
		readonly name: string;
		readonly recorded: number | undefined;
		readonly contender?: Contender | undefined;
	};
	/** Ours over the peer's, or our own seconds where there is none. */
	readonly goal: number;
	readonly megabytes?: number;
}

const node = process.execPath;
const scratch = await mkdtemp(path.join(tmpdir(), "brewline-bench-"));
const work = (...args: string[]): [string, ...string[]] => [node, path.join(scratch, "work/work.js"), ...args];
const cli = (...args: string[]): [string, ...string[]] => [node, path.join(root, "lib/cli/main.js"), ...args];

async function cases(scratch: string): Promise<Case[]> {
	const { bashbrew, "meta-scripts": metaScripts } = options;
	const library = conformance("library-2026-08");
	const names = (await readdir(library)).filter((name) => !name.endsWith(".md"));
	const all: Case[] = [
		{
			name: "definitions",
			title: `${names.length} definitions parsed, validated, printed`,
			ours: { argv: cli("--library", library, "inspect", "definition", ...names), cwd: scratch },
			peer: {
				name: "bashbrew cat",
				recorded: 0.1,
				contender: bashbrew === undefined ? undefined : { argv: [bashbrew, "--library", library, "cat", "--all"] },
			},
			goal: 1.2,
		},
		{
			name: "sources",
			title: "912 sources recomputed, heavy fields taken over",
			ours: { argv: work("sources", production) },
			goal: 0.5,
		},
	];
	for (const scale of [1, 2, 4]) {
		const folder = path.join(scratch, `scale-${scale}`);
		execFileSync("python3", [path.join(production, "replay/scale.py"), String(scale), folder]);
		const ours: Contender = { argv: work("builds", folder) };
		// The peer writes into its cache, and leaves out what it has not used.
		const cache = path.join(folder, "peer-lookups.json");
		const theirs: Contender | undefined =
			options.builds === undefined
				? undefined
				: {
						argv: [options.builds, "--cache", cache, `${folder}/sources.json`],
						env: { BASHBREW_STAGING_TEMPLATE: "oisupport/staging-ARCH:BUILD" },
						before: () => copyFile(`${folder}/lookups.json`, cache),
					};
		all.push({
			name: "builds",
			title: `builds, scale ${scale}, all lookups cached`,
			ours,
			peer: { name: "Go builds alone", recorded: { 1: 0.52, 2: 0.92 }[scale], contender: theirs },
			goal: 1,
			...(scale === 4 ? {} : { megabytes: 300 }),
		});
		all.push({
			name: "plan",
			title: `all builds through the state and back, and a plan of all that can be built now, scale ${scale}`,
			ours: { argv: work("plan", folder) },
			goal: scale * 1.5,
		});
		const file = path.join(folder, "builds.json");
		await outputTo(file, ours);
		const jq: Contender | undefined =
			metaScripts === undefined
				? undefined
				: {
						argv: [
							"jq",
							"--tab",
							"-L",
							metaScripts,
							'include "deploy"; tagged_manifests(true; .source.arches[.build.arch].tags) | deploy_objects',
							file,
						],
					};
		all.push({
			name: "deploy",
			title: `deploy objects of all tags, scale ${scale}`,
			// As a plan gives it: the file was checked when it was written.
			ours: { argv: work("deploy", file, sha256Of(await readFile(file))) },
			peer: { name: "jq", recorded: { 1: 12.8, 2: 32 }[scale], contender: scale === 4 ? undefined : jq },
			goal: 0.04,
		});
	}
	if (options.php !== undefined) all.push(await checksums(path.resolve(options.php), scratch));
	return all.filter(({ name }) => isAsked(name));
}

async function outputTo(file: string, { argv: [program, ...args] }: Contender): Promise<void> {
	const child = spawn(program, args, { stdio: ["ignore", "pipe", "inherit"] });
	child.stdout.pipe(createWriteStream(file));
	await once(child, "close");
}

/** Every Dockerfile of the last 40 commits of php, from a repository that was fetched before. */
async function checksums(php: string, scratch: string): Promise<Case> {
	const git = (...args: string[]): string =>
		execFileSync("git", ["-C", php, ...args], { encoding: "utf8", maxBuffer: 2 ** 28 });
	const folder = path.join(scratch, "checksums");
	const address = "https://github.com/docker-library/php.git";
	const entries = git("rev-list", "-n", "40", "HEAD")
		.trim()
		.split("\n")
		.flatMap((commit) =>
			git("ls-tree", "-r", "--name-only", commit)
				.split("\n")
				.filter((file) => file.endsWith("/Dockerfile"))
				.map((file) => `GitCommit: ${commit}\nDirectory: ${path.dirname(file)}`),
		);
	const head = `Maintainers: A (@a)\nGitRepo: ${address}\nGitFetch: refs/heads/master\n`;
	const text = entries.map((entry, place) => `Tags: c${place}\n${entry}\n`).join("\n");
	await mkdir(path.join(folder, "library"), { recursive: true });
	await writeFile(path.join(folder, "library/php"), `${head}\n${text}`);
	// Ours is fetched from a server as a user's would be; the peer's from the folder.
	await using server = await startGitServer({ root: path.dirname(php), allow: "any" });
	const rewrite = { [address]: `${server.url}/${path.basename(php)}` };
	await writeFile(path.join(folder, "brewline.yaml"), JSON.stringify({ program: { git: { rewrite } } }));
	const ours: Contender = {
		argv: cli("sources"),
		cwd: folder,
		before: () => rm(path.join(folder, ".brewline/sources.json"), { force: true }),
	};
	await outputTo("/dev/null", { argv: ["env", "-C", folder, ...ours.argv] });
	const { bashbrew } = options;
	await mkdir(path.join(folder, "peer"), { recursive: true });
	await writeFile(path.join(folder, "peer/php"), `${head.replace(address, `file://${php}`)}\n${text}`);
	const template =
		'{{ range .Entries }}{{ $.ArchGitChecksum arch . }} {{ ($.ArchGitTime arch .).Unix }} {{ join "," ($.ArchDockerFroms arch .) }}\n{{ end }}';
	return {
		name: "checksums",
		title: `checksum, epoch and FROMs of ${entries.length} contexts`,
		ours,
		peer: {
			name: "bashbrew cat, heavy",
			recorded: 1.8,
			contender:
				bashbrew === undefined
					? undefined
					: {
							argv: [bashbrew, "--library", path.join(folder, "peer"), "cat", "--format", template, "php"],
							env: { BASHBREW_CACHE: path.join(folder, "cache") },
						},
		},
		goal: 0.33,
	};
}

function line({ title, peer, goal, megabytes }: Case, [ours, theirs]: readonly (Figure | undefined)[]): string {
	const own = `${ours!.seconds.toFixed(3)} s, ${Math.round(ours!.megabytes)} MB`;
	const tooLarge = megabytes !== undefined && ours!.megabytes > megabytes ? `, more than ${megabytes} MB` : "";
	if (peer === undefined) return `${title}: ${own} (goal: ${goal} s)${tooLarge}`;
	if (theirs === undefined) {
		const recorded =
			peer.recorded === undefined ? "nothing recorded" : `${peer.recorded} s, recorded, not measured now`;
		return `${title}: ${own}; ${peer.name}: ${recorded}${tooLarge}`;
	}
	const ratio = ours!.seconds / theirs.seconds;
	const other = `${theirs.seconds.toFixed(3)} s, ${Math.round(theirs.megabytes)} MB`;
	return `${title}: ${own}; ${peer.name}: ${other}; ratio ${ratio.toFixed(3)} (goal: ${goal})${tooLarge}`;
}

/** 3,700 tags in a registry that takes 20 ms to answer, and asks for tokens, which are counted, too. */
async function publishing(): Promise<void> {
	await using library = await publishedLibrary(370, 20);
	await library.publish();
	for (const changed of [0, 37]) {
		await library.change(changed);
		const { requests, seconds } = await library.publish();
		const most = changed === 0 ? " (goal: 37)" : "";
		console.log(
			`3700 tags, ${changed * 10} of them changed: ${requests.length} requests${most}, ${seconds.toFixed(1)} s; the existing program: 540 s, recorded, of one request or more for each tag`,
		);
	}
}

if (!existsSync(production))
	throw new Error(`no conformance data in ${conformance()}: BREWLINE_CONFORMANCE says where`);
await build();
await bundleProgram(path.join(root, "bench/work.ts"), path.join(scratch, "work"));
try {
	const planned = isAsked("definitions", "sources", "builds", "plan", "deploy", "checksums");
	const measured = planned ? await cases(scratch) : [];
	if (isAsked("render")) measured.push(...(await renderings(cli, scratch, options)));
	if (isAsked("generate")) measured.push(...(await generatings(cli, scratch, options)));
	for (const one of measured) {
		const contender = one.peer?.contender;
		const figures = await measure(contender === undefined ? [one.ours] : [one.ours, contender], runs);
		console.log(line(one, figures));
	}
	if (isAsked("publish")) await publishing();
	if (isAsked("index")) await indexing(scratch, options);
	if (isAsked("copy")) await copying(cli, scratch, runs, options);
} finally {
	await rm(scratch, { recursive: true, force: true });
}
