import { existsSync } from "node:fs";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import path from "node:path";
import { dockerProgram } from "../config/index.ts";
import { imageName } from "../definition/library.ts";
import { BrewlineError } from "../errors.ts";
import { defaultBranchOf, openGitBranch } from "../git/index.ts";
import { printable } from "../io/printable.ts";
import type { Io } from "../io/types.ts";
import { readExternalPins } from "../sources/index.ts";
import { textsAt } from "./repositories.ts";
import type { ProposeOptions } from "./propose.ts";

/** A library as its git repository has it, which is asked once, when the first definition is. */
export interface Library extends AsyncDisposable {
	/** The definition of an image on the default branch; undefined: there is none. */
	definition(image: string): Promise<string | undefined>;
	/** Its external pins: digests of images from outside, by the FROM that names them; undefined: it pins none. */
	pins(): Promise<ReadonlyMap<string, string> | undefined>;
}

/** Opens the library that an image is proposed to: it has the definitions of parents, and what is published of the image. */
export function openLibrary(
	io: Io,
	options: Pick<ProposeOptions, "library" | "folder" | "rewrite" | "credentials" | "temporary">,
): Library {
	const { library, folder = "library", rewrite = {}, credentials = {}, temporary = tmpdir() } = options;

	async function open() {
		const directory = await mkdtemp(path.join(temporary, "brewline-library-"));
		const remove = () => rm(directory, { recursive: true, force: true });
		try {
			const where = { directory, address: library, rewrite, credentials };
			const name = await defaultBranchOf(io, where);
			const branch = name === undefined ? undefined : openGitBranch(io, { ...where, branch: name });
			const commit = await branch?.head();
			if (branch === undefined || commit === undefined) {
				throw new BrewlineError("git", `${printable(library)} has no default branch`, {
					hint: "check the address of the library",
				});
			}
			const close = async () => {
				await branch.close();
				await remove();
			};
			return { branch, commit, close, directory };
		} catch (error) {
			await remove();
			throw error;
		}
	}

	let opened: ReturnType<typeof open> | undefined;
	return {
		definition: async (image) => {
			if (!imageName.test(image)) {
				throw new BrewlineError("reference", `${printable(image, 150)} cannot be the name of an image`);
			}
			const { branch, commit } = await (opened ??= open());
			return (await textsAt(branch.objects(), commit, folder, [image])).get(image);
		},
		pins: async () => {
			const { branch, commit, directory } = await (opened ??= open());
			const { tree } = await branch.objects().commit(commit);
			const entry = (await branch.objects().tree(tree)).find(({ name }) => name === dockerProgram.externalPins);
			if (entry?.kind !== "directory") return undefined;
			const into = path.join(directory, "pins");
			if (!existsSync(into)) await branch.exportTree(commit, dockerProgram.externalPins, into);
			return await readExternalPins(into);
		},
		[Symbol.asyncDispose]: async () => {
			const open = await opened?.catch(() => undefined);
			await open?.close();
		},
	};
}
