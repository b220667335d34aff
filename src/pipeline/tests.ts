import { readdir } from "node:fs/promises";
import path from "node:path";
import { BrewlineError, messageOf } from "../errors.ts";
import { printable, type Io } from "../io/index.ts";
import { isDigest, sha256Of, tryParseReference } from "../oci/index.ts";
import type { TestVerdict } from "../publish/index.ts";
import type { State } from "../state/index.ts";
import { readSuiteResult, verdicts, writeSuiteResult, type SuiteResult, type TestResult } from "../suite/index.ts";
import { readForeign, readIfThere } from "./files.ts";
import { filesOf } from "./workspace.ts";

/** Anybody may have put something there. */
const maxFiles = 1000;
const maxBytes = 4 * 1024 * 1024;
const fileName = /^([a-z0-9][a-z0-9-]{0,62})\.json$/;

/**
 * What is known of tests, by digest of an image: what `tests/` in the work folder says, and of others that earlier runs saw them
 * pass. `believed`: the digests of the files that are believed, where any job can write there; undefined: all of them, as
 * on a laptop. A file that cannot be used is left out with a warning: what it was to prove is held back then.
 */
export async function knownTests(
	work: string,
	io: Pick<Io, "log">,
	state: State | undefined,
	believed?: readonly string[],
): Promise<ReadonlyMap<string, TestVerdict>> {
	const known = new Map<string, TestVerdict>();
	for (const [digest, { when, log }] of Object.values(state?.tested ?? {}).flatMap((one) => Object.entries(one))) {
		known.set(digest, { result: "passed", start: when, log: log ?? null, remembered: true });
	}
	for (const [digest, verdict] of verdicts(await readTests(filesOf(work).tests, io, believed))) {
		known.set(digest, verdict);
	}
	return known;
}

async function readTests(
	folder: string,
	io: Pick<Io, "log">,
	believed: readonly string[] | undefined,
): Promise<readonly SuiteResult[]> {
	const warn = (text: string, hint?: string): void =>
		io.log({ type: "message", level: "warning", text: printable(text, 1000), ...(hint === undefined ? {} : { hint }) });
	const all = (await readdir(folder).catch(() => [])).filter((name) => fileName.test(name)).sort();
	if (all.length > maxFiles) warn(`${folder} has ${all.length} files: the first ${maxFiles} are read`);
	const results: SuiteResult[] = [];
	const missing = new Set(believed);
	for (const name of all.slice(0, maxFiles)) {
		const file = path.join(folder, name);
		try {
			const bytes = await readForeign(file, maxBytes);
			const digest = sha256Of(bytes);
			if (believed !== undefined && !believed.includes(digest)) {
				warn(
					`${file} is not believed: no job that tests named its digest`,
					"give its digest to publishing: input tests",
				);
				continue;
			}
			missing.delete(digest);
			results.push(readSuiteResult(bytes, { file, id: fileName.exec(name)![1]! }));
		} catch (error) {
			warn(`not used: ${messageOf(error)}`);
		}
	}
	for (const digest of missing) warn(`there is no file with the digest ${digest} in ${folder}`);
	return results;
}

export interface TestRecord {
	/** The build's id, or its staging reference. */
	readonly build: string;
	/** Of the image's manifest. */
	readonly digest: string;
	readonly result: TestResult["result"];
	readonly seconds?: number;
	readonly log?: string;
	/** What the file is called; default: `tests`. */
	readonly id?: string;
}

/** Writes down what came of a test, into `tests/ID.json` of the work folder. Gives back the file, and its digest. */
export async function recordTest(
	work: string,
	io: Pick<Io, "clock">,
	{ build, digest, result, seconds = 0, log, id = "tests" }: TestRecord,
): Promise<{ readonly file: string; readonly digest: string }> {
	const buildId = /^[0-9a-f]{64}$/.test(build) ? build : (tryParseReference(build)?.tag ?? "");
	if (!/^[0-9a-f]{64}$/.test(buildId)) {
		throw new BrewlineError(
			"usage",
			`${printable(build, 200)} is neither the id of a build nor its staging reference`,
			{
				hint: "both stand in report.json and in the leg of the plan",
			},
		);
	}
	if (!isDigest(digest)) {
		throw new BrewlineError("usage", `${printable(digest, 150)} is no digest`, { hint: "write sha256:…" });
	}
	if (!fileName.test(`${id}.json`)) {
		throw new BrewlineError("usage", `${printable(id, 100)} is no id`, { hint: "lower-case letters, digits and -" });
	}
	const folder = filesOf(work).tests;
	const file = path.join(folder, `${id}.json`);
	const bytes = await readIfThere(file, maxBytes);
	const before = bytes && readSuiteResult(bytes, { file, id });
	const start = new Date(io.clock.now() - seconds * 1000).toISOString();
	const test: TestResult = { buildId, digest, result, start, seconds, log: log ?? null };
	return await writeSuiteResult(folder, id, [test], before);
}
