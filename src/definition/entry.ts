import {
	checkKeys,
	checkTags,
	cleanArchDirectories,
	commitHint,
	type Context,
	fetchHint,
	gitCommitForm,
	gitFetchForm,
	lineOfTag,
	listItems,
	misspelt,
	placeOf,
	readArchFields,
	readArchitectures,
	readBuildFields,
	readMaintainers,
	readTags,
	type TagList,
	texts,
} from "./fields.ts";
import type { Paragraph } from "./paragraphs.ts";
import { type Problems, quote } from "./problems.ts";
import { cleanPath } from "./text.ts";
import type { BuildFields, Entry, Fields } from "./types.ts";

/** What one entry has to be read against. */
export interface WholeFile {
	readonly first: Paragraph;
	readonly global: Fields;
	/** The global paragraph's shared tags without repetitions. */
	readonly sharedTags: TagList;
	/** Of each tag and shared tag so far: the line in which it appeared first. */
	readonly tagLines: Map<string, number>;
	readonly sharedTagLines: Map<string, number>;
	/** Inherited fields that have been looked at: one error is enough. */
	readonly reported: Set<string>;
}

/** Reads an entry, with all that it inherits, and checks it (spec/manifest.md, Validation). */
export function readEntry(paragraph: Paragraph, whole: WholeFile, context: Context): Entry {
	const { problems, file } = context;
	const { fields } = paragraph;
	const { global, reported, first } = whole;
	checkKeys(paragraph, context, false);
	const tagsField = fields.get("Tags");
	const tags = readTags(tagsField, false);
	const Tags = tags.texts;
	let named: string | undefined;
	// Made once, where it is needed: a hostile entry may have an error for each of very many tags.
	const name = () =>
		(named ??= tagsField === undefined ? `the entry in line ${paragraph.line}` : `the entry ${quote(Tags.join(", "))}`);
	const build = readBuildFields(paragraph, global);
	checkBuild(paragraph, build, { whole, name }, problems);
	if (tagsField === undefined && !paragraph.damaged) {
		problems.error(paragraph, `${name()} has no Tags`, misspelt(paragraph, "Tags"));
	}
	checkTags(tags, () => `in ${name()}: the tag`, problems);
	checkOwnTags(tags, name, whole, problems);

	const sharedField = fields.get("SharedTags");
	const shared = sharedField === undefined ? whole.sharedTags : readTags(sharedField, true);
	if (sharedField !== undefined) {
		checkTags(shared, () => `in ${name()}: the shared tag`, problems);
		checkSharedTags(shared, name, whole, problems);
	} else if (first.fields.has("SharedTags") && !reported.has("SharedTags")) {
		// Further entries with the same list can add nothing to this but their own tags.
		reported.add("SharedTags");
		checkTags(shared, () => `inherited by ${name()}: the shared tag`, problems);
		checkSharedTags(shared, () => `${name()}, which inherits it`, whole, problems);
	}

	const own = readMaintainers(fields.get("Maintainers"), problems);
	const architectures = fields.get("Architectures");
	const constraints = fields.get("Constraints");
	return {
		Maintainers: own.length === 0 ? global.Maintainers : [...global.Maintainers, ...own],
		Tags,
		SharedTags: shared.texts,
		Architectures: architectures === undefined ? global.Architectures : readArchitectures(architectures, context),
		GitRepo: build.GitRepo,
		GitFetch: build.GitFetch,
		GitCommit: build.GitCommit,
		Directory: cleanPath(build.Directory),
		File: build.File,
		Builder: build.Builder,
		archFields: cleanArchDirectories(readArchFields(paragraph, global.archFields)),
		Constraints:
			constraints === undefined ? global.Constraints : [...global.Constraints, ...texts(listItems(constraints))],
		at: { file, line: paragraph.line, column: paragraph.column },
		positions: fields,
	};
}

function checkBuild(
	paragraph: Paragraph,
	build: BuildFields,
	{ whole, name }: { readonly whole: WholeFile; readonly name: () => string },
	problems: Problems,
): void {
	const { first, reported } = whole;
	const refuse = (key: "GitRepo" | "GitFetch" | "GitCommit", advice: { readonly hint?: string }) => {
		const own = paragraph.fields.get(key);
		const field = own ?? first.fields.get(key);
		if (field === undefined) {
			if (paragraph.damaged || first.damaged) return;
			problems.error(paragraph, `${name()} has no ${key}`, { ...advice, ...misspelt(paragraph, key) });
			return;
		}
		if (own === undefined) {
			if (reported.has(key)) return;
			reported.add(key);
		}
		const what = `${own === undefined ? "inherited by" : "in"} ${name()}: ${key}`;
		problems.error(field, field.value === "" ? `${what} is empty` : `${what} ${quote(field.value)} is invalid`, advice);
	};
	if (build.GitRepo === "") refuse("GitRepo", { hint: "Give GitRepo in the entry or in the global paragraph." });
	if (!gitFetchForm.test(build.GitFetch)) refuse("GitFetch", fetchHint(build.GitFetch));
	if (!gitCommitForm.test(build.GitCommit)) refuse("GitCommit", commitHint(build.GitCommit));
}

/** A tag belongs to one entry, once. */
function checkOwnTags(tags: TagList, name: () => string, whole: WholeFile, problems: Problems): void {
	const { texts: all } = tags;
	for (let index = 0; index < all.length; index++) {
		const text = all[index]!;
		const shared = whole.sharedTagLines.get(text);
		const earlier = whole.tagLines.get(text) ?? shared;
		if (earlier === undefined) {
			whole.tagLines.set(text, lineOfTag(tags, index));
			continue;
		}
		const as = earlier === shared ? ", as a shared tag" : "";
		const place = placeOf(tags.items()[index]!);
		problems.error(place, `in ${name()}: the tag ${quote(text)} stands in line ${earlier} already${as}`, {
			hint: "A tag belongs to one entry: remove one of the two, or make both shared tags.",
		});
	}
}

/** A shared tag may be in several entries, but is no tag of any. */
function checkSharedTags(tags: TagList, name: () => string, whole: WholeFile, problems: Problems): void {
	const { texts: all } = tags;
	for (let index = 0; index < all.length; index++) {
		const text = all[index]!;
		const earlier = whole.tagLines.get(text);
		if (earlier !== undefined) {
			problems.error(
				placeOf(tags.items()[index]!),
				`in ${name()}: the shared tag ${quote(text)} stands in line ${earlier} already, as a tag`,
				{ hint: "A shared tag is no tag of any entry: remove one of the two." },
			);
		} else if (!whole.sharedTagLines.has(text)) {
			whole.sharedTagLines.set(text, lineOfTag(tags, index));
		}
	}
}
