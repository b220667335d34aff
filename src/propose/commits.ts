import { StringDecoder } from "node:string_decoder";
import { BrewlineError } from "../errors.ts";
import { gitIn, gitStream, isAddress, type LocalRepository } from "../git/index.ts";
import type { Io } from "../io/types.ts";
import type { Definitions, SourceChanges, SourceCommit } from "./types.ts";

/** How many commits a message lists, and how many are counted beyond these. */
const listed = 100;
const counted = 1000;

/**
 * What happened in an image's repository between the definitions that are published and the new ones: the commits that the new
 * ones name and all before them, without those that the published ones stand on. Ids that are not in the repository (of
 * another one, or of a history that was rewritten) count for nothing.
 */
export async function changesBetween(
	io: Io,
	repository: LocalRepository,
	published: Definitions,
	wanted: Definitions,
): Promise<SourceChanges> {
	const shallow = await gitIn(io, repository, ["rev-parse", "--is-shallow-repository"]);
	if (shallow.toString("latin1").trim() === "true") {
		throw new BrewlineError("git", "the image's repository was cloned without its history", {
			hint: "clone all of it: fetch-depth: 0 with actions/checkout, or git fetch --unshallow",
		});
	}
	const old = idsIn(published);
	const known = await timesOf(io, repository, new Set([...old, ...idsIn(wanted)]));
	const own = [...idsIn(wanted)].filter((id) => known.has(id));
	const before = [...old].filter((id) => known.has(id));
	// Nothing published of this history: what the new definitions name, and not all that there ever was.
	const walk = before.length === 0 ? "--no-walk" : `--max-count=${listed + counted}`;
	const input = [...own, ...before.map((id) => `^${id}`)].map((line) => `${line}\n`).join("");
	const all = own.length === 0 ? [] : await log(io, repository, walk, input);
	const commits = all.slice(0, listed).map(({ id, subject, time }) => ({ id, subject, time }));
	const newest = (ids: readonly string[]) => ids.map((id) => known.get(id)!).reduce(later, undefined);
	return {
		commits,
		more: all.length - commits.length,
		security: all.some(({ security }) => security),
		newest: newest(own),
		published: newest(before),
		page: pageOf(wanted),
	};
}

function later(a: number | undefined, b: number): number {
	return a === undefined ? b : Math.max(a, b);
}

/** The commits that definitions name: of entries, and in the header the one of what made the file. */
function idsIn(definitions: Definitions): Set<string> {
	const ids = new Set<string>();
	for (const text of definitions.values()) {
		const named =
			/^(?:[\w-]+-)?GitCommit:[\t ]*([0-9a-f]{40}|[0-9a-f]{64})[\t ]*$|^#[^\n]*\/blob\/([0-9a-f]{40}|[0-9a-f]{64})\//gim;
		for (const [, commit, generator] of text.matchAll(named)) ids.add((commit ?? generator)!.toLowerCase());
	}
	return ids;
}

/** The committer's date of those that are there and are commits. */
async function timesOf(
	io: Io,
	repository: LocalRepository,
	ids: ReadonlySet<string>,
): Promise<ReadonlyMap<string, number>> {
	const input = [...ids].map((id) => `${id}\n`).join("");
	const lines = (await gitIn(io, repository, ["cat-file", "--batch-check=%(objectname) %(objecttype)"], { input }))
		.toString("latin1")
		.split("\n");
	const commits = lines.flatMap((line) => /^([0-9a-f]+) commit$/.exec(line)?.[1] ?? []);
	if (commits.length === 0) return new Map();
	const args = ["log", "--no-walk=unsorted", "--stdin", "--format=tformat:%H %ct", "--no-show-signature"];
	const times = await gitIn(io, repository, args, { input: commits.map((id) => `${id}\n`).join("") });
	return new Map(
		[...times.toString("latin1").matchAll(/^([0-9a-f]+) (\d+)$/gm)].map(([, id, time]) => [id!, Number(time)]),
	);
}

/** Characters of a commit's message that are looked at: it may be as long as somebody likes. */
const maxMessage = 65_536;

async function log(
	io: Io,
	repository: LocalRepository,
	which: string,
	input: string,
): Promise<(SourceCommit & { readonly security: boolean })[]> {
	const args = ["log", which, "--stdin", "--format=tformat:%H%x00%ct%x00%s%x00%B%x00", "--no-show-signature"];
	const decoder = new StringDecoder("utf8");
	const commits: (SourceCommit & { readonly security: boolean })[] = [];
	let fields: string[] = [];
	let field = "";
	const take = (chunk: Buffer): boolean => {
		for (const [index, part] of decoder.write(chunk).split("\0").entries()) {
			if (index > 0) {
				fields.push(field);
				field = "";
			}
			if (fields.length === 4) {
				const [id, time, subject, message] = fields as [string, string, string, string];
				commits.push({ id: id.trim(), subject, time: Number(time), security: isSecurity(subject, message) });
				fields = [];
			}
			if (field.length < maxMessage) field += part.slice(0, maxMessage - field.length);
		}
		return false;
	};
	await gitStream(io, repository, [...args, "--encoding=UTF-8"], take, { input });
	return commits;
}

/** Whether a commit says that it is about security: in its first line in words, or by the id of what it mends. */
export function isSecurity(subject: string, message: string): boolean {
	return (
		/\[security\]|\bsecurity (?:fix|patch|release|update|upgrade)(?:e?s)?\b/i.test(subject) ||
		/\bCVE-\d{4}-\d{4,}\b|\bGHSA(?:-[0-9a-z]{4}){3}\b/i.test(message.slice(0, maxMessage))
	);
}

/** Where the commits of a repository are shown, by the address that the definitions have for it. */
function pageOf(definitions: Definitions): string | undefined {
	for (const text of definitions.values()) {
		const address = /^GitRepo:[\t ]*(https?:\/\/\S+?)[\t ]*$/im.exec(text)?.[1];
		if (address === undefined || !isAddress(address) || /[?#()<>[\]`"'\\]/.test(address)) continue;
		return address.replace(/\/+$/, "").replace(/\.git$/, "");
	}
	return undefined;
}
