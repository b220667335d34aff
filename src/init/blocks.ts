/** The tags of an entry that one suffix gave. */
export interface Block {
	readonly suffix: string;
	/** The aliases that it was put to, in order. */
	readonly aliases: readonly string[];
}

/**
 * Takes a list of tags apart: for each suffix all aliases, `alias-suffix`, or the suffix alone for `latest`. Every block begins
 * with the first alias, so this has to be known.
 */
export function blocksOf(tags: readonly string[], first: string): readonly Block[] | undefined {
	const blocks: { suffix: string; aliases: string[] }[] = [];
	for (const tag of tags) {
		if (tag === first || tag.startsWith(`${first}-`)) {
			blocks.push({ suffix: tag.slice(first.length + 1), aliases: [first] });
			continue;
		}
		const block = blocks.at(-1);
		if (block === undefined) return undefined;
		const { suffix, aliases } = block;
		if (suffix === "") aliases.push(tag);
		else if (tag === suffix) aliases.push("latest");
		else if (tag.endsWith(`-${suffix}`)) aliases.push(tag.slice(0, -suffix.length - 1));
		else return undefined;
	}
	return blocks;
}

/** The same for tags that are written alias by alias, with all suffixes of each. */
export function mixedBlocksOf(tags: readonly string[], first: string): readonly Block[] | undefined {
	const place = ({ suffix }: Block): number => tags.indexOf(suffix === "" ? first : `${first}-${suffix}`);
	return sortedBlocksOf(tags, first)?.toSorted((a, b) => place(a) - place(b));
}

/** The same for tags that were sorted afterwards: a tag belongs to the longest suffix that it ends in. */
export function sortedBlocksOf(tags: readonly string[], first: string): readonly Block[] | undefined {
	const suffixes = tags
		.filter((tag) => tag === first || tag.startsWith(`${first}-`))
		.map((tag) => tag.slice(first.length + 1))
		.toSorted((a, b) => b.length - a.length);
	const blocks = new Map(suffixes.map((suffix) => [suffix, [] as string[]]));
	for (const tag of tags) {
		const suffix = suffixes.find((one) => one === "" || tag === one || tag.endsWith(`-${one}`));
		if (suffix === undefined) return undefined;
		const alias = suffix === "" ? tag : tag === suffix ? "latest" : tag.slice(0, -suffix.length - 1);
		blocks.get(suffix)!.push(alias);
	}
	return [...blocks].map(([suffix, aliases]) => ({ suffix, aliases }));
}
