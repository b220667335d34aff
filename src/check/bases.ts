import { imagePattern } from "../config/policy.ts";
import type { Checks, UnsupportedBase } from "../config/types.ts";
import type { Definition, MergedEntry } from "../definition/index.ts";
import { BrewlineError } from "../errors.ts";
import { isDigest } from "../oci/index.ts";
import type { CheckedEntry, Draft } from "./types.ts";
import { entriesByTag } from "./versions.ts";

/** What the FROMs of the checked entries are. */
export interface Bases {
	/** Entries of the library that provide a FROM: the one with this tag, or all with this shared tag. */
	readonly entriesOf: (from: string) => readonly MergedEntry[];
	/** Why a FROM is not served on an architecture; undefined: it is. */
	readonly lack: (from: string, arch: string) => Lack | undefined;
	/** What could not be looked up. */
	readonly drafts: readonly Draft[];
}

export interface Lack {
	readonly why: string;
	readonly fix: string;
	readonly exception?: UnsupportedBase;
}

export interface BaseOptions {
	readonly checks: Checks;
	/** An image's definition, wherever it is found; undefined: there is none. */
	readonly find: (image: string) => Promise<Definition | undefined>;
	/** Digests of images from outside, by their FROM. Without them, images from outside are not judged. */
	readonly pins?: ReadonlyMap<string, string> | undefined;
	/** What an image from outside, with its digest, is there for; undefined: it is not there. Without this, for everything. */
	readonly architecturesOf?: ((reference: string) => Promise<ReadonlySet<string> | undefined>) | undefined;
}

/** Looks at each FROM once. */
export async function basesOf(entries: readonly CheckedEntry[], options: BaseOptions): Promise<Bases> {
	const { checks, find, pins, architecturesOf } = options;
	const used = new Map<string, CheckedEntry>();
	for (const one of entries)
		for (const from of [...one.froms.values()].flat()) if (!used.has(from)) used.set(from, one);
	const definitions = new Map<string, Definition | undefined>();
	const pinned = new Map<string, ReadonlySet<string> | undefined>();
	const drafts: Draft[] = [];
	for (const [from, { image, entry }] of used) {
		const digest = pins?.get(from) ?? "";
		if (isOurs(from)) {
			const name = from.split(":")[0]!;
			if (!definitions.has(name)) definitions.set(name, await find(name));
		} else if (from.includes("/") && isDigest(digest)) {
			if (architecturesOf === undefined) continue;
			const { found, problem } = await lookUp(`${from}@${digest}`, architecturesOf);
			pinned.set(from, found);
			if (problem === undefined) continue;
			drafts.push({
				rule: "pin",
				image,
				tag: entry.Tags[0]!,
				at: entry.at,
				message: `FROM ${from}: its pin ${digest} could not be looked up: ${problem}`,
				fix: "Check the pin, and that the registry still has it.",
				details: { from, digest },
			});
		}
	}
	const byTag = new Map([...definitions].map(([name, definition]) => [name, entriesByTag(definition?.entries ?? [])]));
	const entriesOf = (from: string): readonly MergedEntry[] => {
		if (!isOurs(from)) return [];
		const [name, tag] = from.split(":");
		return byTag.get(name!)?.get(tag!) ?? [];
	};
	const exception = (from: string, arch: string): UnsupportedBase | undefined =>
		checks.unsupported.find(
			(rule) =>
				rule.architectures.includes(arch) &&
				(from === rule.from || from.startsWith(`${rule.from}:`)) &&
				!entriesOf(from).some(({ Tags, SharedTags }) =>
					[...Tags, ...SharedTags].some((tag) =>
						rule.unless.some((pattern) => imagePattern(`x:${pattern}`)(`x:${tag}`)),
					),
				),
		);
	const lack = (from: string, arch: string): Lack | undefined => {
		const unsupported = exception(from, arch);
		if (unsupported !== undefined) {
			return {
				why: `not supported on ${arch}: ${unsupported.reason}`,
				fix: `Take ${arch} out of Architectures, or stand on another base there.`,
				exception: unsupported,
			};
		}
		if (from === "scratch") return undefined;
		if (isOurs(from)) return lackOfOurs(from, arch, definitions.has(from.split(":")[0]!), entriesOf(from));
		const judged = pins !== undefined && (architecturesOf !== undefined || !isDigest(pins.get(from) ?? ""));
		return judged || from.includes("@") ? lackOfOthers(from, arch, pinned) : undefined;
	};
	return { entriesOf, lack, drafts };

	function lackOfOurs(from: string, arch: string, known: boolean, entries: readonly MergedEntry[]): Lack | undefined {
		const name = from.split(":")[0]!;
		if (!known || definitions.get(name) === undefined) {
			return { why: `there is no image ${name} in the library`, fix: "Stand on an image of the library." };
		}
		if (entries.length === 0) {
			return { why: `${name} has no such tag`, fix: `Use a tag that the definition of ${name} has.` };
		}
		if (entries.some(({ Architectures }) => Architectures.includes(arch))) return undefined;
		return { why: `it has no ${arch}`, fix: `Take ${arch} out of Architectures, or have the base offer it.` };
	}
}

function lackOfOthers(
	from: string,
	arch: string,
	pinned: ReadonlyMap<string, ReadonlySet<string> | undefined>,
): Lack | undefined {
	if (from.includes("@")) {
		return {
			why: "a digest in a Dockerfile is never followed when the base is mended",
			fix: "Name a tag; of an image from outside, its digest belongs into the external pins.",
		};
	}
	if (!pinned.has(from)) {
		return {
			why: "it is neither in the library nor pinned",
			fix: "Stand on an image of the library (written without library/ or a host), or ask for an external pin.",
		};
	}
	const has = pinned.get(from);
	if (has?.has(arch) === true) return undefined;
	return {
		why: has === undefined ? "what its pin has could not be looked up" : `its pin has no ${arch}`,
		fix: `Take ${arch} out of Architectures, or ask for another pin.`,
	};
}

/** Whether a FROM can only be an image of the library. */
function isOurs(from: string): boolean {
	return from !== "scratch" && !from.includes("/") && !from.includes("@");
}

async function lookUp(
	reference: string,
	architecturesOf: NonNullable<BaseOptions["architecturesOf"]>,
): Promise<{ readonly found?: ReadonlySet<string>; readonly problem?: string }> {
	try {
		const found = await architecturesOf(reference);
		return found === undefined ? { problem: "the registry does not have it" } : { found };
	} catch (error) {
		if (!(error instanceof BrewlineError) || error.code === "cancelled") throw error;
		return { problem: error.message };
	}
}
