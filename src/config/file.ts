import * as z from "zod/mini";
import { parseMaintainer } from "../definition/maintainer.ts";
import { nearest } from "../definition/text.ts";
import { BrewlineError } from "../errors.ts";
import { printable } from "../io/printable.ts";
import { dockerProgram } from "./defaults.ts";
import { type ImageConfig, imageSchema, scriptedImageSchema } from "./images.ts";
import { checkNames } from "./names.ts";
import { type PlacedProblem, programOf, readText } from "./parse.ts";
import { programSchema } from "./schema.ts";
import type { Configuration } from "./types.ts";

const maxImages = 100;

const image = z.union([imageSchema, scriptedImageSchema]);

/** `brewline.yaml` as it is written: everything may be left out, and unknown keys are errors. */
export const configSchema = z.extend(programSchema, {
	images: z.optional(
		z.union([image, z.array(image).check(z.minLength(1), z.maxLength(maxImages))], {
			error: "must be an image, or a list of images",
		}),
	),
});

export type ConfigInput = z.infer<typeof configSchema>;

const sameImage = {
	path: ["image"],
	message: "another image has this name",
	hint: "Each image has one definition: give both their entries in one description, or another name.",
};

/** The names of what a text has at its top, right or not; undefined: it cannot be read at all. */
export function blocksOf(text: string): readonly string[] | undefined {
	try {
		return Object.keys(readText(text, "brewline.yaml", z.record(z.string(), z.unknown())).data);
	} catch (error) {
		if (error instanceof BrewlineError) return undefined;
		throw error;
	}
}

/** The definition would be refused because of them, at a line that nobody has written. */
function checkMaintainers({ header }: ImageConfig): readonly PlacedProblem[] {
	return header.maintainers.flatMap((text, index) => {
		if (!text.includes(",") && parseMaintainer(text.trim()) !== null) return [];
		return [
			{
				path: ["header", "maintainers", String(index)],
				message: `"${printable(text, 100)}" is no maintainer`,
				hint: "Write Name <email-or-url> (@github-handle), or Name (@github-handle): one in each item, without commas.",
			},
		];
	});
}

/** An exclusion of what there is not would exclude nothing, silently. */
function checkArchitectures(
	{ architectures = [], excludeArchitectures = [] }: ImageConfig,
	known: readonly string[],
): readonly PlacedProblem[] {
	const unknown = (names: readonly string[], path: readonly string[], prefix = ""): readonly PlacedProblem[] =>
		names.flatMap((name, index) => {
			if (known.includes(prefix + name)) return [];
			const near = nearest(prefix + name, known);
			return [
				{
					path: [...path, String(index)],
					message: `there is no architecture ${printable(prefix + name, 100)}`,
					hint: `${near === undefined ? "" : `Did you mean ${near}? `}Known are: ${known.join(", ")}.`,
				},
			];
		});
	return [
		...architectures.flatMap((rule, index) =>
			"static" in rule ? unknown(rule.static, ["architectures", String(index), "static"], rule.prefix) : [],
		),
		...excludeArchitectures.flatMap((rule, index) => {
			const [key, names] = "only" in rule ? (["only", rule.only] as const) : (["arches", rule.arches] as const);
			return unknown(names, ["excludeArchitectures", String(index), key]);
		}),
	];
}

/** The two blocks of a `brewline.yaml`; `images` is empty where there is none. All errors of the text come in one. */
export function parseFile(text: string, file: string): Configuration {
	const read = readText(text, file, configSchema);
	const { images = [] } = read.data;
	const isList = Array.isArray(images);
	const list = isList ? images : [images];
	const own = Object.keys(read.data.program?.architectures ?? {});
	const known = [...new Set([...Object.keys(dockerProgram.architectures), ...own])];
	read.refuse(
		list.flatMap((image, index) =>
			[
				...("script" in image
					? []
					: [...checkNames(image), ...checkMaintainers(image), ...checkArchitectures(image, known)]),
				...(list.findIndex((other) => other.image === image.image) < index ? [sameImage] : []),
			].map((problem) => ({ ...problem, path: ["images", ...(isList ? [String(index)] : []), ...problem.path] })),
		),
	);
	return {
		program: programOf(read),
		images: list.flatMap((image) => ("script" in image ? [] : [image])),
		scripts: list.filter((image) => "script" in image),
	};
}
