import { mkdir } from "node:fs/promises";
import path from "node:path";
import {
	check,
	dockerfilesOfGit,
	explanationsOf,
	fileDiff,
	type Finding,
	type RuleId,
	rules,
} from "../../check/index.ts";
import { architectureOptions, type ImageConfig, type Program } from "../../config/index.ts";
import { encodeText } from "../../definition/index.ts";
import { generateAll, type Generated, rewriteTo } from "../../generate/index.ts";
import { openGitStore } from "../../git/index.ts";
import { type Io, refuseLinks, writeWhole } from "../../io/index.ts";
import type { Library } from "../../propose/index.ts";

/** What the steps work with. */
export interface Repository {
	readonly program: Program;
	readonly images: readonly ImageConfig[];
	/** Of the configuration, and so of the repository. */
	readonly folder: string;
	/** The configuration's name in it. */
	readonly configuration: string;
	readonly library: Library;
	/** Where git objects are kept; nothing of it is needed afterwards. */
	readonly temporary: string;
}

/** A definition that was generated. */
export interface Written extends Generated {
	readonly file: string;
	/** What the library has; undefined: the image is new to it. */
	readonly published: string | undefined;
	/** From that to this; empty: they are the same. */
	readonly diff: string;
}

/** Generates all definitions and writes them into a folder, each as a file by the name of its image. */
export async function writeDefinitions(
	{ program, images, folder, configuration, library }: Repository,
	io: Io,
	output: string,
): Promise<readonly Written[]> {
	const input = {
		repository: { folder },
		configuration,
		definitions: (image: string) => library.definition(image),
		...architectureOptions(program),
	};
	const generated = await generateAll(images, input, io);
	// The repository's own files could have put a link there.
	refuseLinks(folder, output);
	await mkdir(output, { recursive: true });
	const written: Written[] = [];
	for (const [image, one] of generated) {
		const published = await library.definition(image);
		const file = path.join(output, image);
		await writeWhole(file, encodeText(one.text));
		const before = published === undefined ? undefined : { text: published, mode: "100644" };
		const diff = published === one.text ? "" : fileDiff(`library/${image}`, before, { text: one.text, mode: "100644" });
		written.push({ ...one, file, published, diff });
	}
	return written;
}

/**
 * Checks what was generated, against the commits of this repository and what the library has; nobody else is asked. `merged`:
 * the commits are on a branch that others can fetch, so their history can be looked at.
 */
export async function checkDefinitions(
	{ program, images, folder, library, temporary }: Repository,
	written: readonly Written[],
	merged: boolean,
	io: Io,
): Promise<readonly Finding[]> {
	// The commits that the definitions name are here, under the addresses that they will have for others.
	await using git = openGitStore(io, {
		directory: path.join(temporary, "commits"),
		rewrite: { ...program.git.rewrite, ...rewriteTo(folder, images) },
	});
	const textOf = async (image: string) => {
		const text = await library.definition(image);
		return text === undefined ? undefined : { name: image, file: `library/${image}`, text };
	};
	// Where the library has none, images from outside are not judged. No registry is asked: what it pins is taken to have everything.
	const pins = await library.pins();
	const ids = Object.keys(rules) as RuleId[];
	const { findings } = await check(
		{
			definitions: written.map(({ image, file, text }) => ({ name: image, file, text })),
			...(pins === undefined ? {} : { pins }),
		},
		{
			find: textOf,
			published: textOf,
			explained: explanationsOf(written),
			dockerfiles: dockerfilesOfGit(io, git),
			git,
		},
		{ program, rules: new Set(ids.filter((id) => merged || rules[id].needs !== "history")) },
	);
	return findings;
}
