import type { ImageConfig } from "../config/index.ts";

/** The git address that the definition of an image names. */
export function gitRepoOf({ header }: Pick<ImageConfig, "header">): string {
	return `${header.repository}.git`;
}

/**
 * What images of one repository have definitions name, as `git.rewrite` to the folder that it is in: the commits are there, and
 * need not be where others can fetch them yet.
 */
export function rewriteTo(folder: string, images: readonly ImageConfig[]): Readonly<Record<string, string>> {
	return Object.fromEntries(images.map((config) => [gitRepoOf(config), folder]));
}
