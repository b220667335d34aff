/**
 * `npm run acceptance -- DIR`: the examples against the repositories that they describe. DIR holds copies of these and of
 * docker-library/official-images, bare or not, as OWNER+NAME, OWNER/NAME, OWNER-NAME or NAME. Everything is rendered as it is
 * now, and every change of a definition in the last twelve months is generated again at the repository's commit of that moment.
 *   --only NAMES     only these images, separated by commas
 *   --months N       how far back (default 12)
 *   --diff           show how what is different differs
 *   --json           the result as JSON
 */
import { mkdtemp, readdir, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import path from "node:path";
import { parseArgs } from "node:util";
import { loadImages, type ImageConfig } from "../src/config/index.ts";
import { nodeIo, runCommand, whenOutputIsLost } from "../src/io/index.ts";
import { tabJson } from "../src/json/index.ts";
import { findCopy, openCopy, type Copy } from "./acceptance/copies.ts";
import { replay, type Moment } from "./acceptance/definitions.ts";
import { changesOf, earlierChanges, mainLineOf, type Change } from "./acceptance/history.ts";

const { values: options, positionals } = parseArgs({
	allowPositionals: true,
	options: {
		only: { type: "string" },
		months: { type: "string", default: "12" },
		diff: { type: "boolean", default: false },
		json: { type: "boolean", default: false },
	},
});

interface Row {
	readonly image: string;
	readonly repository: string;
	readonly moments: readonly Moment[];
	readonly seconds: number;
}

const [folder] = positionals;
if (folder === undefined) throw new Error("name the folder of the copies: npm run acceptance -- DIR");
const ending = new AbortController();
process.once("SIGINT", () => ending.abort());
whenOutputIsLost(() => ending.abort());
const io = nodeIo({ signal: ending.signal });
const say = (text: string): void => void process.stderr.write(`${text}\n`);

const examples = path.join(path.dirname(import.meta.dirname), "examples");
const only = options.only?.split(",");
const names = (await readdir(examples)).filter((name) => only === undefined || only.includes(name)).sort();
const libraryFolder = findCopy(folder, "docker-library", ["official-images"]);
if (libraryFolder === undefined) throw new Error(`there is no copy of docker-library/official-images in ${folder}`);
await using library = openCopy(io, libraryFolder);
const changes = await changesOf(library, names, Number(options.months));

const rows: Row[] = [];
const missing: string[] = [];
for (const name of names) {
	for (const config of await loadImages(path.join(examples, name, "brewline.yaml"))) {
		const row = await accept(config, changes.get(config.image) ?? []);
		if (row === undefined) missing.push(config.header.repository);
		else rows.push(row);
		say(row === undefined ? `${config.image}: no copy` : summary(row));
	}
}
const different = rows.flatMap(({ moments }) => moments.filter(({ outcome }) => outcome === "different"));
if (options.json) process.stdout.write(tabJson({ rows, missing }));
else {
	process.stdout.write(table(rows));
	if (missing.length > 0) process.stdout.write(`\nNot there: ${missing.join(", ")}\n`);
	for (const row of rows) process.stdout.write(await differences(row));
}
process.exitCode = different.length > 0 ? 1 : 0;

async function accept(config: ImageConfig, all: readonly Change[]): Promise<Row | undefined> {
	const started = performance.now();
	const [, owner = "", repository = ""] = /([^/]+)\/([^/]+?)(?:\.git)?$/.exec(config.header.repository) ?? [];
	const found = findCopy(folder!, owner, [repository, config.image]);
	if (found === undefined) return undefined;
	await using copy: Copy = openCopy(io, found);
	const input = { config, repository: copy, library, line: await mainLineOf(copy) };
	const moments = [...(await replay(input, all, io))];
	if (!moments.some(isComparable)) {
		// The copy is older than all of these: then one moment that it knows.
		for (const change of await earlierChanges(library, config.image, all)) {
			const [moment] = await replay(input, [change], io);
			if (!isComparable(moment!)) continue;
			moments.push(moment!);
			break;
		}
	}
	return {
		image: config.image,
		repository: `${owner}/${repository}`,
		moments,
		seconds: (performance.now() - started) / 1000,
	};
}

function isComparable({ outcome }: Moment): boolean {
	return outcome === "equal" || outcome === "different";
}

function counted({ moments }: Row): Readonly<Record<Moment["outcome"], number>> {
	const count = (wanted: Moment["outcome"]): number => moments.filter(({ outcome }) => outcome === wanted).length;
	return {
		equal: count("equal"),
		different: count("different"),
		older: count("older"),
		script: count("script"),
		hand: count("hand"),
	};
}

function summary(row: Row): string {
	const { equal, different } = counted(row);
	return `${row.image}: ${equal} of ${equal + different} definitions equal, ${row.seconds.toFixed(1)} s`;
}

function table(all: readonly Row[]): string {
	const head = ["repository", "equal", "comparable", "moments", "other script", "copy older", "by hand", "seconds"];
	const lines = all.map((row) => {
		const { equal, different, older, script, hand } = counted(row);
		const rest = [equal, equal + different, row.moments.length, script, older, hand];
		return [row.repository, ...rest, row.seconds.toFixed(1)];
	});
	const sums = head.map((_, at) =>
		at === 0 ? `${lines.length} repositories` : lines.reduce((sum, cells) => sum + Number(cells[at]), 0),
	);
	const texts = [head, ...lines, sums.map((sum, at) => (at === head.length - 1 ? Number(sum).toFixed(1) : sum))].map(
		(cells) => cells.map(String),
	);
	const widths = head.map((_, at) => Math.max(...texts.map((cells) => cells[at]!.length)));
	return texts
		.map((cells) =>
			cells.map((cell, at) => (at === 0 ? cell.padEnd(widths[at]!) : cell.padStart(widths[at]!))).join("  "),
		)
		.map((line) => `${line.trimEnd()}\n`)
		.join("");
}

async function differences({ image, moments }: Row): Promise<string> {
	let text = "";
	for (const { outcome, library: commit, date, commit: of, error, generated, published } of moments) {
		if (outcome !== "different") continue;
		text += `\n${image}: the change ${commit} of ${date}, at the repository's ${of}: ${error ?? "different"}\n`;
		if (options.diff && generated !== undefined && published !== undefined) text += await diff(published, generated);
	}
	return text;
}

async function diff(before: string, after: string): Promise<string> {
	const scratch = await mkdtemp(path.join(tmpdir(), "brewline-acceptance-"));
	try {
		await writeFile(path.join(scratch, "published"), before);
		await writeFile(path.join(scratch, "generated"), after);
		const argv = ["sh", "-c", "git diff --no-index --no-color --no-prefix published generated || true"] as const;
		return (await runCommand(io, argv, { cwd: scratch })).stdout.toString("utf8");
	} finally {
		await rm(scratch, { recursive: true });
	}
}
