import posix from "node:path/posix";
import { BrewlineError } from "../errors.ts";

/** What a commit must have changed: files and directories, and patterns, as `git log -- PATHS` in a directory takes them. */
export interface PathQuery {
	/** Relative to the top of the repository; empty: the top. */
	readonly directory: string;
	/** Git's pathspecs without magic: a file, a directory with all in it, or a pattern with `*`, `?` and `[…]`. */
	readonly paths: readonly string[];
}

export interface Pathspecs {
	/** The queries (by their numbers) that any of these paths touches. */
	touched(paths: Iterable<string>, into: Set<number>): void;
}

interface Pattern {
	readonly query: number;
	readonly prefix: string;
	readonly tokens: readonly Token[];
}

type Token = { readonly kind: "text"; readonly text: string } | { readonly kind: "star" } | Single;
type Single =
	| { readonly kind: "any" }
	| { readonly kind: "class"; readonly negated: boolean; readonly ranges: readonly (readonly [string, string])[] };

/**
 * Comparisons of patterns with paths of one walk, by parts of a pattern: some seconds. Patterns come from
 * Dockerfiles, and a hostile one could have very many.
 */
const maxSteps = 50_000_000;

/** Paths that lead out of the repository name nothing in it, and are left out. */
export function compilePathspecs(queries: readonly PathQuery[], limit = maxSteps): Pathspecs {
	// A path of the tree, and the queries that it or anything below it touches.
	const literal = new Map<string, number[]>();
	const patterns: Pattern[] = [];
	for (const [query, { directory, paths }] of queries.entries()) {
		for (const path of paths) {
			const clean = inside(directory, path);
			if (clean === undefined) continue;
			const at = literal.get(clean);
			if (at === undefined) literal.set(clean, [query]);
			else at.push(query);
			if (!/[*?[\\]/.test(path)) continue;
			let prefix = directory === "" ? "" : `${directory}/`;
			// What is above the directory is above what stands there as it is.
			while (!clean.startsWith(prefix)) prefix = prefix.slice(0, prefix.lastIndexOf("/", prefix.length - 2) + 1);
			patterns.push({ query, prefix, tokens: tokensOf(clean.slice(prefix.length)) });
		}
	}
	let steps = 0;
	const count = (more: number): void => {
		if ((steps += more) <= limit) return;
		throw new BrewlineError("limit", "comparing the history with what is copied takes too long", {
			hint: "Name fewer patterns (*, ?, []) in COPY.",
		});
	};
	return {
		touched(paths, into) {
			for (const path of paths) {
				for (let at = path.length; at > 0; at = path.lastIndexOf("/", at - 1)) {
					for (const query of literal.get(path.slice(0, at)) ?? []) into.add(query);
				}
				for (const query of literal.get("") ?? []) into.add(query);
				count(patterns.length);
				for (const { query, prefix, tokens } of patterns) {
					if (into.has(query) || !path.startsWith(prefix)) continue;
					if (matches(tokens, path.slice(prefix.length), count)) into.add(query);
				}
			}
		},
	};
}

function inside(directory: string, path: string): string | undefined {
	const joined = posix.normalize(posix.join(directory, path));
	if (joined === "." || joined === "./") return "";
	if (joined === ".." || joined.startsWith("../") || joined.startsWith("/")) return undefined;
	return joined.endsWith("/") ? joined.slice(0, -1) : joined;
}

function tokensOf(pattern: string): readonly Token[] {
	const tokens: Token[] = [];
	const text = (character: string): void => {
		const last = tokens.at(-1);
		if (last?.kind === "text") tokens[tokens.length - 1] = { kind: "text", text: last.text + character };
		else tokens.push({ kind: "text", text: character });
	};
	// Where one class has no end, none that begins later has one.
	let ends = true;
	for (let at = 0; at < pattern.length; at++) {
		const character = pattern.charAt(at);
		if (character === "*") {
			if (tokens.at(-1)?.kind !== "star") tokens.push({ kind: "star" });
		} else if (character === "?") tokens.push({ kind: "any" });
		else if (character === "\\" && at + 1 < pattern.length) text(pattern.charAt(++at));
		else if (character === "[") {
			const found = !ends ? null : /^\[([!^]?)(\]?(?:\\.|[^\]\\])*)\]/s.exec(pattern.slice(at));
			if (found === null) {
				ends = false;
				text(character);
				continue;
			}
			at += found[0].length - 1;
			const ranges = [...found[2]!.matchAll(/(\\.|[^\\])(?:-(\\.|[^\\]))?/gs)].map(
				([, from, to]) => [from!.at(-1)!, (to ?? from!).at(-1)!] as const,
			);
			tokens.push({ kind: "class", negated: found[1] !== "", ranges });
		} else text(character);
	}
	return tokens;
}

/** A star takes in `/` too. Only the last star is tried anew, so the time is bounded by both lengths multiplied. */
function matches(tokens: readonly Token[], path: string, count: (steps: number) => void): boolean {
	let steps = 0;
	let token = 0;
	let at = 0;
	let star = -1;
	let resume = 0;
	for (;;) {
		if (++steps % 16 === 0) count(16);
		const current = tokens[token];
		if (current === undefined && at === path.length) return true;
		if (current?.kind === "star") {
			star = token++;
			resume = at;
			continue;
		}
		const length = current === undefined ? -1 : lengthOf(current, path, at);
		if (length >= 0) {
			at += length;
			token++;
			continue;
		}
		if (star < 0 || resume >= path.length) return false;
		token = star + 1;
		at = ++resume;
	}
}

/** How much of the path the token takes at this place; -1: it does not match. */
function lengthOf(token: Exclude<Token, { kind: "star" }>, path: string, at: number): number {
	if (token.kind === "text") return path.startsWith(token.text, at) ? token.text.length : -1;
	const character = path.charAt(at);
	if (character === "") return -1;
	if (token.kind === "any") return 1;
	return token.ranges.some(([from, to]) => character >= from && character <= to) !== token.negated ? 1 : -1;
}
