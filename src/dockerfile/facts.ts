import type { Platform } from "../oci/types.ts";
import { readInstructions } from "./instructions.ts";
import { LexError } from "./lex-error.ts";
import { assignments, relevantOf, resolveFroms } from "./scan.ts";
import { cutWord, splitBlanks } from "./text.ts";
import { expandWord, expansionBudget, type WordOptions } from "./words.ts";

/** What a Dockerfile says about itself, for who describes the repository that it is in. */
export interface DockerfileFacts {
	/** The images of its FROMs, in order of appearance, other stages left out; `:latest` where no tag is written. */
	readonly froms: readonly string[];
	/** The images of COPY's `--from`, likewise. */
	readonly copyFroms: readonly string[];
	/** What its COPYs take from the context, as it is written: paths and patterns. */
	readonly sources: readonly string[];
	/** Its ENVs, those of later stages over those of earlier ones. */
	readonly environment: ReadonlyMap<string, string>;
}

const platform: Platform = { os: "linux", architecture: "amd64" };

/** `file` is its name in errors, which have the code `dockerfile` and a line. */
export function readDockerfileFacts(text: string, file: string): DockerfileFacts {
	const whole = readInstructions(text.startsWith("\uFEFF") ? text.slice(1) : text, file);
	const dockerfile = relevantOf(whole, file);
	const without = dockerfile.instructions.filter(({ name }) => name === "from" || name === "arg");
	const firstFrom = without.findIndex(({ name }) => name === "from");
	const { froms } = resolveFroms({ ...dockerfile, instructions: without, firstFrom }, platform);
	const withCopy = dockerfile.instructions.filter(({ name }) => name !== "run");
	const all = withCopy.some(({ name }) => name === "copy")
		? resolveFroms({ ...dockerfile, instructions: withCopy }, platform).froms
		: froms;
	const known = new Set(froms);
	const { instructions, escape } = whole;
	const budget = { left: expansionBudget };
	const environment = new Map<string, string>();
	const sources = new Set<string>();
	for (const { name, flags, rest } of instructions) {
		if (name === "copy" && !flags.some((flag) => flag.startsWith("--from="))) {
			for (const source of copySources(rest)) sources.add(source);
		}
		if (name !== "env") continue;
		const [first, value] = cutWord(rest);
		const pairs = first.includes("=") ? assignments(rest, escape) : [[first, value] as const];
		// What one instruction sets, it does not see itself.
		const set = pairs.map(
			([key, text = ""]) => [key, valueOf(text, { escape, variables: environment, budget })] as const,
		);
		for (const [key, expanded] of set) if (key !== "" && expanded !== undefined) environment.set(key, expanded);
	}
	return {
		froms: [...known],
		copyFroms: [...new Set(all)].filter((image) => !known.has(image)),
		sources: [...sources],
		environment,
	};
}

/** What cannot be read has no value: whether it is right is for the builder to say. */
function valueOf(text: string, options: WordOptions): string | undefined {
	try {
		return expandWord(text, options);
	} catch (error) {
		if (error instanceof LexError) return undefined;
		throw error;
	}
}

/** All words but the last one, in either form of the instruction; heredocs are no files. */
function copySources(rest: string): readonly string[] {
	let words: unknown = splitBlanks(rest);
	if (rest.startsWith("[")) {
		try {
			words = JSON.parse(rest);
		} catch {
			// Docker then takes it for the other form too.
		}
	}
	return (words as readonly unknown[])
		.slice(0, -1)
		.filter((word): word is string => typeof word === "string" && word !== "" && !word.startsWith("<<"));
}
