/**
 * `npm run acceptance -- DIR`: the examples against the repositories that they describe. DIR holds copies of these and of
 * docker-library/official-images, bare or not, as OWNER+NAME, OWNER/NAME, OWNER-NAME or NAME. Everything is rendered as it is
 * now, and every change of a definition in the last twelve months is generated again at the repository's commit of that moment.
 *   --examples DIR   other descriptions than the shipped ones, each as NAME/brewline.yaml
 *   --only NAMES     only these images, separated by commas
 *   --months N       how far back (default 12)
 *   --diff           show how what is different differs
 *   --json           the result as JSON
 */
import { readdir } from "node:fs/promises";
import path from "node:path";
import { parseArgs } from "node:util";
import { loadImages, type ImageConfig } from "../src/config/index.ts";
import { fileDiff } from "../src/check/index.ts";
import { mainLineOf } from "../src/init/moment.ts";
import { nodeIo, whenOutputIsLost } from "../src/io/index.ts";
import { tabJson } from "../src/json/index.ts";
import { openSandbox } from "../src/sandbox/index.ts";
import { findCopy, openCopy, type Copy } from "./acceptance/copies.ts";
import { replay, type Moment } from "./acceptance/definitions.ts";
import { changesOf, earlierChanges, type Change } from "./acceptance/history.ts";
import { renderAt, type RenderedRepository } from "./acceptance/render.ts";

const { values: options, positionals } = parseArgs({
	allowPositionals: true,
	options: {
		examples: { type: "string" },
		only: { type: "string" },
		months: { type: "string", default: "12" },
		diff: { type: "boolean", default: false },
		json: { type: "boolean", default: false },
	},
});

interface Row {
	readonly image: string;
	readonly repository: string;
	readonly rendered: RenderedRepository;
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

const examples = options.examples ?? path.join(path.dirname(import.meta.dirname), "examples");
const only = options.only?.split(",");
const all = (await readdir(examples)).sort();
const names = all.filter((name) => only === undefined || only.includes(name));
const libraryFolder = findCopy(folder, "docker-library", ["official-images"]);
if (libraryFolder === undefined) throw new Error(`there is no copy of docker-library/official-images in ${folder}`);
await using library = openCopy(io, libraryFolder);
await using sandbox = openSandbox({ signal: io.signal });
const changes = await changesOf(library, all, Number(options.months));

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
const isRight = ({ rendered, moments }: Row): boolean =>
	rendered.error === undefined &&
	rendered.differences.length === 0 &&
	!moments.some(({ outcome }) => outcome === "different");
if (options.json) process.stdout.write(tabJson({ rows, missing }));
else {
	process.stdout.write(table(rows));
	if (missing.length > 0) process.stdout.write(`\nNot there: ${missing.join(", ")}\n`);
	for (const row of rows) process.stdout.write(differences(row));
}
process.exitCode = rows.every(isRight) ? 0 : 1;

async function accept(config: ImageConfig, all: readonly Change[]): Promise<Row | undefined> {
	const started = performance.now();
	const [, owner = "", repository = ""] = /([^/]+)\/([^/]+?)(?:\.git)?$/.exec(config.header.repository) ?? [];
	const found = findCopy(folder!, owner, [repository, config.image]);
	if (found === undefined) return undefined;
	await using copy: Copy = openCopy(io, found);
	const line = await mainLineOf(io, { folder: found, gitDirectory: found });
	const head = line.commits.at(-1);
	if (head === undefined) throw new Error(`${found} has no commits`);
	const today = new Date(head.time * 1000).toISOString().slice(0, 10);
	const rendered = await renderAt(config, copy, { commit: head.id, today }, { sandbox, io });
	const input = { config, repository: copy, library, line, sandbox };
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
		rendered,
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
	const { rendered } = row;
	return `${row.image}: ${rendered.equal} of ${rendered.files} files, ${equal} of ${equal + different} definitions equal, ${row.seconds.toFixed(1)} s`;
}

function table(all: readonly Row[]): string {
	const head = [
		"repository",
		"rendered",
		"files",
		"equal",
		"comparable",
		"moments",
		"other script",
		"copy older",
		"by hand",
		"seconds",
	];
	const lines = all.map((row) => {
		const { equal, different, older, script, hand } = counted(row);
		const rest = [
			row.rendered.equal,
			row.rendered.files,
			equal,
			equal + different,
			row.moments.length,
			script,
			older,
			hand,
		];
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

function differences({ image, moments, rendered }: Row): string {
	let text = "";
	if (rendered.error !== undefined) text += `\n${image}: nothing is rendered: ${rendered.error}\n`;
	for (const { path: file, kind, diff } of rendered.differences) {
		text += `\n${image}: ${file}: ${kind === "deleted" ? "should not be there" : kind}\n${options.diff ? diff : ""}`;
	}
	for (const { outcome, library: commit, date, commit: of, error, generated, published } of moments) {
		if (outcome !== "different") continue;
		text += `\n${image}: the change ${commit} of ${date}, at the repository's ${of}: ${error ?? "different"}\n`;
		if (!options.diff || generated === undefined || published === undefined) continue;
		text += fileDiff(`library/${image}`, { text: published }, { text: generated });
	}
	return text;
}
