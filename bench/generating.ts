import { execFileSync } from "node:child_process";
import { copyFile } from "node:fs/promises";
import path from "node:path";
import type { Contender } from "./measure.ts";

/** What `npm run bench` says of definitions: whole processes that generate one from a clone, its history and its parents. */
export interface GeneratingOptions {
	readonly php?: string | undefined;
	readonly golang?: string | undefined;
	/** A clone of docker-library/official-images, for the definitions of parents. */
	readonly "official-images"?: string | undefined;
}

interface Generating {
	readonly name: string;
	readonly title: string;
	readonly ours: Contender;
	readonly peer: { readonly name: string; readonly recorded: number };
	readonly goal: number;
}

const examples = path.join(path.dirname(import.meta.dirname), "examples");

/** What their scripts took, whole, once, on this kind of machine; they need bashbrew. And what ours may take. */
const known = { golang: { recorded: 3.3, seconds: 0.4 }, php: { recorded: 2.1, seconds: 0.6 } } as const;

export async function generatings(
	cli: (...args: string[]) => [string, ...string[]],
	scratch: string,
	options: GeneratingOptions,
): Promise<readonly Generating[]> {
	const official = options["official-images"];
	if (official === undefined) return [];
	const library = path.join(scratch, "official-images");
	clone(official, library, "library");
	const all: Generating[] = [];
	for (const [image, { recorded, seconds }] of Object.entries(known)) {
		const repository = options[image as keyof typeof known];
		if (repository === undefined) continue;
		const folder = path.join(scratch, `${image}-generate`);
		clone(repository, folder, ".");
		await copyFile(path.join(examples, image, "brewline.yaml"), path.join(folder, "brewline.yaml"));
		const argv = cli("--library", path.join(library, "library"), "generate");
		const [program, ...args] = argv;
		const definition = execFileSync(program, args, { cwd: folder, encoding: "utf8" });
		all.push({
			name: "generate",
			title: `the definition of ${image}, ${definition.match(/^Tags: /gm)!.length} entries`,
			ours: { argv, cwd: folder },
			peer: { name: "its script with git and bashbrew", recorded },
			goal: seconds / recorded,
		});
	}
	return all;
}

function clone(repository: string, folder: string, checkedOut: string): void {
	const git = (...args: readonly string[]): void => void execFileSync("git", args, { stdio: "pipe" });
	git("clone", "--quiet", "--shared", "--no-checkout", path.resolve(repository), folder);
	git("-C", folder, "checkout", "--quiet", "HEAD", "--", checkedOut);
}
