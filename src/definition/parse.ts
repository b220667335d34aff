import {
	buildDefaults,
	checkKeys,
	checkTags,
	cleanArchDirectories,
	commitHint,
	type Context,
	fetchHint,
	gitCommitForm,
	gitFetchForm,
	type Item,
	listItems,
	misspelt,
	readArchFields,
	readArchitectures,
	readBuildFields,
	readMaintainers,
	readPositions,
	texts,
} from "./fields.ts";
import { mergeEntries } from "./merge.ts";
import { type Paragraph, readParagraphs } from "./paragraphs.ts";
import { collectProblems, type Problems, quote } from "./problems.ts";
import { cleanPath, decodeText } from "./text.ts";
import type { Definition, Entry, Fields } from "./types.ts";

export interface DefinitionOptions {
	/** What the file is called in errors. */
	readonly file: string;
	/** The architectures that an entry may name. */
	readonly architectures: Iterable<string>;
	/** The architecture of an entry that names none. */
	readonly defaultArchitecture: string;
}

/**
 * Reads a library definition (spec/manifest.md).
 * Bytes that are not UTF-8 are carried along as lone surrogates: `encodeText` gives them back.
 * A clear-signed message is refused, since nobody would check its signature.
 * @throws BrewlineError `definition` with all that is wrong in `errors`, in the order of the file
 */
export function parseDefinition(input: Uint8Array | string, options: DefinitionOptions): Definition {
	const { file, defaultArchitecture } = options;
	const problems = collectProblems(file);
	const context: Context = { file, problems, architectures: new Set(options.architectures), defaultArchitecture };
	const text = typeof input === "string" ? input : decodeText(input);
	if (!text.isWellFormed()) {
		problems.warn({ line: 1, column: 1 }, "the file is not UTF-8", { hint: "Save it as UTF-8." });
	}
	const [first, ...rest] = readParagraphs(text, problems);
	if (first === undefined) {
		problems.error({ line: 1, column: 1 }, "there is no paragraph in this definition", {
			hint: "It starts with a global paragraph that has the field Maintainers.",
		});
		problems.throwErrors();
	}
	const global = readGlobal(first!, context);
	const seen: SeenTags = new Map();
	const reported = new Set<string>();
	const unmerged = rest.map((paragraph) => readEntry(paragraph, { first: first!, global, seen, reported }, context));
	problems.throwErrors();
	return { file, global, entries: mergeEntries(unmerged), unmerged, warnings: problems.warnings, defaultArchitecture };
}

function readGlobal(paragraph: Paragraph, context: Context): Fields {
	const { problems } = context;
	const { fields } = paragraph;
	const at = { file: context.file, line: paragraph.line, column: paragraph.column };
	checkKeys(paragraph, context, true);
	const maintainers = fields.get("Maintainers");
	if (maintainers === undefined && !paragraph.damaged) {
		problems.error(paragraph, "the global paragraph names no Maintainers", {
			hint: "The first paragraph is the global one, and needs Maintainers: Name <email-or-url> (@github-handle).",
			...misspelt(paragraph, "Maintainers"),
		});
	}
	const tags = fields.get("Tags");
	if (tags !== undefined) {
		problems.error(tags, "Tags may not stand in the global paragraph, which is the first one", {
			hint: "Put an empty line between the global paragraph and the first entry; a comment line is none.",
		});
	}
	const sharedTags = fields.get("SharedTags");
	const architectures = fields.get("Architectures");
	const constraints = fields.get("Constraints");
	return {
		Maintainers: readMaintainers(maintainers, problems),
		SharedTags: sharedTags === undefined ? [] : texts(listItems(sharedTags)),
		Architectures:
			architectures === undefined ? [context.defaultArchitecture] : readArchitectures(architectures, context),
		...readBuildFields(paragraph, buildDefaults),
		archFields: readArchFields(paragraph, {}),
		Constraints: constraints === undefined ? [] : texts(listItems(constraints)),
		at,
		positions: readPositions(paragraph, context.file),
	};
}

/** By tag: whether it is a shared one, and the line of its first appearance. */
type SeenTags = Map<string, { readonly shared: boolean; readonly line: number }>;

interface File {
	readonly first: Paragraph;
	readonly global: Fields;
	readonly seen: SeenTags;
	/** Inherited fields that have been found invalid: one error is enough. */
	readonly reported: Set<string>;
}

function readEntry(paragraph: Paragraph, file: File, context: Context): Entry {
	const { problems } = context;
	const { fields } = paragraph;
	const { global } = file;
	checkKeys(paragraph, context, false);
	const tagsField = fields.get("Tags");
	const tags = tagsField === undefined ? [] : listItems(tagsField);
	const Tags = texts(tags);
	const name = tagsField === undefined ? `the entry in line ${paragraph.line}` : `the entry ${quote(Tags.join(", "))}`;
	const build = readBuildFields(paragraph, global);
	checkBuild(paragraph, build, { file, name }, problems);
	if (tagsField === undefined && !paragraph.damaged) {
		problems.error(paragraph, `${name} has no Tags`, misspelt(paragraph, "Tags"));
	}
	checkTags(tags, `in ${name}: the tag`, problems);

	const sharedField = fields.get("SharedTags") ?? file.first.fields.get("SharedTags");
	const inherited = !fields.has("SharedTags");
	const shared = sharedField === undefined ? [] : uniqueItems(listItems(sharedField));
	if (sharedField !== undefined && !(inherited && file.reported.has("SharedTags"))) {
		if (inherited) file.reported.add("SharedTags");
		checkTags(shared, inherited ? `inherited by ${name}: the shared tag` : `in ${name}: the shared tag`, problems);
	}
	checkRepeatedTags(
		tags,
		shared,
		{ seen: file.seen, name, inheritedAt: inherited ? (tagsField ?? paragraph) : null },
		problems,
	);

	const own = readMaintainers(fields.get("Maintainers"), problems);
	const architectures = fields.get("Architectures");
	const constraints = fields.get("Constraints");
	return {
		Maintainers: own.length === 0 ? global.Maintainers : [...global.Maintainers, ...own],
		Tags,
		SharedTags: texts(shared),
		Architectures: architectures === undefined ? global.Architectures : readArchitectures(architectures, context),
		...build,
		Directory: cleanPath(build.Directory),
		archFields: cleanArchDirectories(readArchFields(paragraph, global.archFields)),
		Constraints:
			constraints === undefined ? global.Constraints : [...global.Constraints, ...texts(listItems(constraints))],
		at: { file: context.file, line: paragraph.line, column: paragraph.column },
		positions: readPositions(paragraph, context.file),
	};
}

function uniqueItems(items: readonly Item[]): readonly Item[] {
	const seen = new Set<string>();
	return items.filter(({ text }) => !seen.has(text) && seen.add(text));
}

function checkBuild(
	paragraph: Paragraph,
	build: { readonly GitRepo: string; readonly GitFetch: string; readonly GitCommit: string },
	{ file, name }: { readonly file: File; readonly name: string },
	problems: Problems,
): void {
	const check = (key: "GitRepo" | "GitFetch" | "GitCommit", valid: boolean, hint: { readonly hint?: string }) => {
		if (valid) return;
		const own = paragraph.fields.get(key);
		const from = own ?? file.first.fields.get(key);
		if (from === undefined) {
			if (!paragraph.damaged)
				problems.error(paragraph, `${name} has no ${key}`, { ...hint, ...misspelt(paragraph, key) });
			return;
		}
		if (own === undefined) {
			if (file.reported.has(key)) return;
			file.reported.add(key);
		}
		const what = own === undefined ? `inherited by ${name}: ${key}` : `in ${name}: ${key}`;
		problems.error(from, from.value === "" ? `${what} is empty` : `${what} ${quote(from.value)} is invalid`, hint);
	};
	check("GitRepo", build.GitRepo !== "", { hint: "Give GitRepo in the entry or in the global paragraph." });
	check("GitFetch", gitFetchForm.test(build.GitFetch), fetchHint(build.GitFetch));
	check("GitCommit", gitCommitForm.test(build.GitCommit), commitHint(build.GitCommit));
}

interface TagContext {
	readonly seen: SeenTags;
	readonly name: string;
	/** Where an entry that inherits its shared tags is blamed for them. */
	readonly inheritedAt: { readonly line: number; readonly column: number } | null;
}

/** A tag belongs to one entry, once; a shared tag may be in several entries, but is no tag of any. */
function checkRepeatedTags(
	tags: readonly Item[],
	shared: readonly Item[],
	{ seen, name, inheritedAt }: TagContext,
	problems: Problems,
): void {
	for (const item of tags) {
		const earlier = seen.get(item.text);
		if (earlier === undefined) {
			seen.set(item.text, { shared: false, line: item.place.line });
			continue;
		}
		problems.error(
			item.place,
			`in ${name}: the tag ${quote(item.text)} stands in line ${earlier.line} already${earlier.shared ? ", as a shared tag" : ""}`,
			{ hint: "Each tag belongs to one entry: remove one of the two, or make both shared tags." },
		);
	}
	for (const item of shared) {
		const earlier = seen.get(item.text);
		if (earlier === undefined) {
			seen.set(item.text, { shared: true, line: item.place.line });
		} else if (!earlier.shared) {
			problems.error(
				inheritedAt ?? item.place,
				`in ${name}: the ${inheritedAt === null ? "" : "inherited "}shared tag ${quote(item.text)} stands in line ${earlier.line} already, as a tag`,
				{ hint: "A shared tag is no tag of any entry: remove one of the two." },
			);
		}
	}
}
