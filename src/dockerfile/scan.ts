import { BrewlineError } from "../errors.ts";
import { printable } from "../io/printable.ts";
import type { Platform } from "../oci/types.ts";
import { flagValues } from "./flags.ts";
import { readInstructions, type Instruction, type Instructions } from "./instructions.ts";
import { LexError } from "./lex-error.ts";
import { isImage } from "./reference.ts";
import { isSpace, splitBlanks } from "./text.ts";
import { expandWord, expansionBudget, type Budget } from "./words.ts";

/** What of a Dockerfile decides which images it needs: the same for every platform. */
export interface Dockerfile {
	readonly file: string;
	readonly escape: string;
	/** FROM, COPY and RUN that may name an image, and ARG above the first FROM. */
	readonly instructions: readonly Instruction[];
	/** What comes before the first FROM ends here. */
	readonly firstFrom: number;
}

export interface Froms {
	/** In order of appearance, with repetitions. */
	readonly froms: readonly string[];
	/** What the last stage stands on, through other stages. */
	readonly lastStageFrom: string;
}

/**
 * The images that a Dockerfile needs on a platform (spec/sources.md, FROMs). Takes time linear in its length.
 * `file` is its name in errors, which have the code `dockerfile` and a line.
 */
export function scanDockerfile(
	content: Uint8Array | string,
	options: { readonly platform: Platform; readonly file?: string },
): Froms {
	return resolveFroms(readDockerfile(content, options.file), options.platform);
}

/** Reads the text; what is not UTF-8 in it becomes U+FFFD. */
export function readDockerfile(content: Uint8Array | string, file = "Dockerfile"): Dockerfile {
	const decoded = typeof content === "string" ? content : new TextDecoder("utf-8", { ignoreBOM: true }).decode(content);
	return relevantOf(readInstructions(decoded.startsWith("\uFEFF") ? decoded.slice(1) : decoded, file), file);
}

/** What of a Dockerfile's instructions decides which images it needs. */
export function relevantOf({ instructions, escape }: Instructions, file: string): Dockerfile {
	const firstFrom = instructions.findIndex(({ name }) => name === "from");
	if (firstFrom < 0) {
		throw new BrewlineError("dockerfile", `${printable(file)}: there is no FROM`, {
			at: { file },
			hint: "A Dockerfile needs at least one FROM, `FROM scratch` if it stands on nothing.",
		});
	}
	const relevant = instructions.filter(
		({ name, flags }, index) =>
			name === "from" ||
			(flags.length > 0 && (name === "copy" || name === "run")) ||
			(name === "arg" && index < firstFrom),
	);
	return { file, escape, instructions: relevant, firstFrom: relevant.findIndex(({ name }) => name === "from") };
}

/** The images for one platform: predefined ARGs of a FROM depend on it, such as `TARGETARCH`. */
export function resolveFroms(dockerfile: Dockerfile, platform: Platform): Froms {
	const { instructions } = dockerfile;
	const budget: Budget = { left: expansionBudget };
	const stages = instructions.filter(({ name }) => name === "from").map((from) => stageWords(dockerfile, from));
	const variables = predefined(platform, stages.at(-1)!.name ?? "default");
	const expand = (word: string, line: number): string => {
		try {
			return expandWord(word, { escape: dockerfile.escape, variables, budget });
		} catch (error) {
			if (error instanceof LexError) return fail(dockerfile, line, error.message);
			throw error;
		}
	};
	const froms: string[] = [];
	const stageFroms: string[] = [];
	const named = new Map<string, string>();
	for (const { name, flags, rest, line } of instructions) {
		if (name === "arg") {
			for (const [key, value] of assignments(rest, dockerfile.escape)) {
				if (value !== undefined) variables.set(key, expand(value, line));
			}
		} else if (name === "from") {
			const stage = stages[stageFroms.length]!;
			const image = expand(stage.image, line);
			const from = named.get(image.toLowerCase()) ?? imageName(dockerfile, line, image, stage.image);
			froms.push(from);
			stageFroms.push(from);
			if (stage.name !== undefined) named.set(stage.name, from);
		} else {
			const wanted = name === "copy" ? flagValues(flags, "from") : flagValues(flags, "mount").map(mountFrom);
			for (const image of wanted) {
				if (image === "") continue;
				froms.push(
					numbered(dockerfile, line, image, stageFroms) ??
						named.get(image.toLowerCase()) ??
						imageName(dockerfile, line, image, image),
				);
			}
		}
	}
	return { froms, lastStageFrom: stageFroms.at(-1)! };
}

function fail(dockerfile: Dockerfile, line: number, problem: string, hint?: string): never {
	throw new BrewlineError("dockerfile", `${printable(dockerfile.file)}, line ${line}: ${problem}`, {
		at: { file: dockerfile.file, line },
		...(hint === undefined ? {} : { hint }),
	});
}

/** `FROM IMAGE [AS NAME]`; the name comes in lower case, as it is compared. */
function stageWords(dockerfile: Dockerfile, from: Instruction): { image: string; name?: string } {
	const words = splitBlanks(from.rest);
	const [image, as, name] = words;
	if (image === undefined) return fail(dockerfile, from.line, "FROM without an image");
	if (words.length === 1) return { image };
	if (words.length !== 3 || as!.toLowerCase() !== "as") {
		return fail(dockerfile, from.line, "FROM takes an image, or an image, AS and a name");
	}
	if (!/^[a-z][a-z0-9_.-]*$/.test(name!.toLowerCase())) {
		return fail(dockerfile, from.line, `"${printable(name!, 80)}" cannot be the name of a stage`);
	}
	return { image, name: name!.toLowerCase() };
}

/** `KEY` and `KEY=VALUE`, split at white space that is neither quoted nor escaped; quotes and escapes stay. */
export function assignments(
	text: string,
	escape: string,
): readonly (readonly [key: string, value: string | undefined])[] {
	const words: string[] = [];
	let start = 0;
	let quote = "";
	for (let at = 0; at <= text.length; at++) {
		const character = text.charAt(at);
		if (character === escape && quote !== "'") at++;
		else if (quote !== "") {
			if (character === quote) quote = "";
		} else if (character === "'" || character === '"') quote = character;
		else if (character !== "" && isSpace(text.charCodeAt(at))) {
			if (at > start) words.push(text.slice(start, at));
			start = at + 1;
		}
	}
	if (start < text.length) words.push(text.slice(start));
	return words.map((word) => {
		const equals = word.indexOf("=");
		return equals < 0 ? [word, undefined] : [word.slice(0, equals), word.slice(equals + 1)];
	});
}

/**
 * The ARGs that are there before any is written. As BuildKit normalises platforms, arm64 has no variant here.
 * The machine that builds counts as one of the same platform: what comes out must not depend on it.
 */
function predefined(platform: Platform, stage: string): Map<string, string> {
	const { os, architecture } = platform;
	const variant = architecture === "arm64" && platform.variant === "v8" ? "" : (platform.variant ?? "");
	const variables = new Map([["TARGETSTAGE", stage]]);
	for (const prefix of ["TARGET", "BUILD"]) {
		variables.set(`${prefix}PLATFORM`, [os, architecture, ...(variant === "" ? [] : [variant])].join("/"));
		variables.set(`${prefix}OS`, os);
		variables.set(`${prefix}OSVERSION`, platform["os.version"] ?? "");
		variables.set(`${prefix}ARCH`, architecture);
		variables.set(`${prefix}VARIANT`, variant);
	}
	return variables;
}

/** The image of a mount, if it says `type=bind`; the last of each key counts. Otherwise empty. */
function mountFrom(mount: string): string {
	let type = "";
	let from = "";
	for (const field of mount.split(",")) {
		if (field.startsWith("type=")) type = field.slice("type=".length);
		else if (field.startsWith("from=")) from = field.slice("from=".length);
	}
	return type === "bind" ? from : "";
}

/** What the stage of this number stands on; undefined where the text is no number. */
function numbered(dockerfile: Dockerfile, line: number, text: string, stages: readonly string[]): string | undefined {
	// More digits than a 64-bit number has: the text is an image's name.
	if (!/^[+-]?0*[0-9]{1,18}$/.test(text)) return undefined;
	const from = stages[Number(text)];
	if (from !== undefined) return from;
	const hint = "Stages are numbered from 0, and only those above can be used.";
	return fail(dockerfile, line, `there is no stage ${text.slice(0, 40)} here`, hint);
}

function imageName(dockerfile: Dockerfile, line: number, image: string, written: string): string {
	if (image === "scratch") return image;
	if (!isImage(image)) {
		const shown =
			image === written
				? `"${printable(image, 200)}"`
				: `"${printable(written, 200)}", here "${printable(image, 200)}",`;
		const hint = written.includes("$")
			? "A FROM knows the ARGs above the first FROM; COPY and RUN know none: give the image a stage of its own."
			: undefined;
		return fail(dockerfile, line, image === "" ? `${shown} no image is named` : `${shown} is no image`, hint);
	}
	// Also after a registry's port, as the old program does: ids depend on it.
	return image.includes(":") ? image : `${image}:latest`;
}
