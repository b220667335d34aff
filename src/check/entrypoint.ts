import posix from "node:path/posix";
import { readInstructions } from "../dockerfile/index.ts";
import { BrewlineError } from "../errors.ts";

/** A script that an image starts with, as it stands beside the Dockerfile. */
export interface EntrypointScript {
	/** From the top of the repository. */
	readonly file: string;
	readonly text: string;
}

interface Stage {
	/** The one that it stands on; undefined: an image, of which nothing is known. */
	readonly below: Stage | undefined;
	/** By the name of the file in the image: its path in the directory of the Dockerfile. */
	readonly copied: Map<string, string>;
	entrypoint: readonly string[] | undefined;
}

/**
 * The path, in the directory of a Dockerfile, of the file that its `ENTRYPOINT` starts, also by way of `tini` or a shell;
 * undefined: that is no file of the directory. Takes time linear in the length of the text.
 */
export function entrypointFile(text: string, file: string): string | undefined {
	const stages: Stage[] = [];
	for (let stage = lastStage(text, file); stage !== undefined; stage = stage.below) stages.push(stage);
	const words = stages.find(({ entrypoint }) => entrypoint !== undefined)?.entrypoint ?? [];
	// What a stage copies covers what those below it have by that name.
	const copied = new Map(stages.toReversed().flatMap((stage) => [...stage.copied]));
	return words.map((word) => copied.get(posix.basename(word))).find((path) => path !== undefined);
}

function lastStage(text: string, file: string): Stage | undefined {
	const named = new Map<string, Stage>();
	let stage: Stage | undefined;
	for (const { name, rest, flags } of instructionsOf(text, file)) {
		if (name === "from") {
			const [from, , as] = rest.toLowerCase().split(/\s+/);
			stage = { below: named.get(from ?? ""), copied: new Map(), entrypoint: undefined };
			if (as !== undefined) named.set(as, stage);
		} else if (stage !== undefined && name === "entrypoint") {
			stage.entrypoint = wordsOf(rest) ?? [];
		} else if (stage !== undefined && name === "copy" && !flags.some((flag) => flag.startsWith("--from="))) {
			for (const [known, path] of copies(wordsOf(rest) ?? rest.split(/\s+/))) stage.copied.set(known, path);
		}
	}
	return stage;
}

function instructionsOf(text: string, file: string) {
	try {
		return readInstructions(text, file).instructions;
	} catch (error) {
		// That it cannot be read is a finding of another rule.
		if (error instanceof BrewlineError) return [];
		throw error;
	}
}

/** The words of the exec form, `["a", "b"]`; undefined: it is another one. */
function wordsOf(rest: string): readonly string[] | undefined {
	if (!rest.startsWith("[")) return undefined;
	try {
		const words: unknown = JSON.parse(rest);
		return Array.isArray(words) ? words.filter((word) => typeof word === "string") : undefined;
	} catch {
		return undefined;
	}
}

function copies(words: readonly string[]): readonly (readonly [string, string])[] {
	const to = words.at(-1) ?? "";
	const from = words.slice(0, -1);
	return from.flatMap((path) => {
		if (/[$*?[]/.test(path)) return [];
		const own = [posix.basename(path), path] as const;
		// Given another name, unless what it is copied to is a folder.
		return from.length > 1 || to.endsWith("/") ? [own] : [own, [posix.basename(to), path] as const];
	});
}

/** Whether a script gives its process to a program: without that the shell stays process 1, and passes no signals on. */
export function passesOn(script: string): boolean {
	// Other languages do it by other means, and what is read in may do it.
	if (!/^#![^\n]*\b(?:ba|da|a|k|mk|z)?sh\b/.test(script) || /^[ \t]*(?:\.|source)[ \t]/m.test(script)) return true;
	return /(?:^|[;&|{(]|\b(?:then|else|do|eval|command)\b)[ \t]*exec[ \t]+[^\s<>0-9{]/m.test(script);
}
