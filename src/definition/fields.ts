import { parseMaintainer } from "./maintainer.ts";
import { buildFieldsBy, fieldNames, isFieldName } from "./names.ts";
import { type Field, type Paragraph, placeInValue } from "./paragraphs.ts";
import { type Problems, quote } from "./problems.ts";
import { cleanPath, compareBytes, isListSpace, nearest, skipSpace, skipSpaceBack } from "./text.ts";
import type { BuildFields, Fields, Maintainer, Position } from "./types.ts";

/** What a field has that neither the entry nor the global paragraph names. */
export const buildDefaults: BuildFields = {
	GitRepo: "",
	GitFetch: "refs/heads/master",
	GitCommit: "",
	Directory: ".",
	File: "Dockerfile",
	Builder: "",
};

export const gitFetchForm = /^refs\/(?:heads|tags)\/[^*?:]+$/;
export const gitCommitForm = /^(?:[0-9a-f]{40}|[0-9a-f]{64})$/;
const tagForm = /^[0-9A-Za-z_][0-9A-Za-z_.-]{0,127}$/;
/** Tags as nearly all definitions write them: valid, with one blank after each comma. */
const plainTagsForm = /^[0-9A-Za-z_][0-9A-Za-z_.-]{0,127}(?:, [0-9A-Za-z_][0-9A-Za-z_.-]{0,127})*$/;
const archFieldForm = /-(?:GitRepo|GitFetch|GitCommit|Directory|File|Builder)$/;

/** The existing program stores its own data under these names, and fails on a field of that name. */
const refusedFields: ReadonlySet<string> = new Set(["Values", "Paragraph", "ArchValues"]);

/** An item of a list, and where in the field's value it starts. */
export interface Item {
	readonly text: string;
	readonly field: Field;
	readonly offset: number;
}

/** Where an item stands in the file. */
export function placeOf({ field, offset }: Item): Position {
	return placeInValue(field, offset);
}

export interface Context {
	readonly file: string;
	readonly problems: Problems;
	readonly architectures: ReadonlySet<string>;
	readonly defaultArchitecture: string;
	/** Values of Architectures that were read before: most entries of a file repeat one. */
	readonly knownLists: Map<string, readonly string[]>;
}

/** The items of a list field; an empty value is a list of one empty item. */
export function listItems(field: Field): readonly Item[] {
	const items: Item[] = [];
	const { value } = field;
	for (let start = 0; start <= value.length;) {
		const comma = value.indexOf(",", start);
		const end = comma === -1 ? value.length : comma;
		const from = skipSpace(value, start, end, isListSpace);
		const to = skipSpaceBack(value, from, end, isListSpace);
		// The place of an empty item is where it could have begun.
		items.push({ text: value.slice(from, to), field, offset: from < to ? from : start });
		start = end + 1;
	}
	return items;
}

export function texts(items: readonly Item[]): readonly string[] {
	return items.map(({ text }) => text);
}

/** The tags of a field. */
export interface TagList {
	readonly texts: readonly string[];
	/** The same tags with their places: found when somebody asks, since of valid ones hardly anybody does. */
	readonly items: () => readonly Item[];
	/** The line of all of them, which are valid; undefined where that has to be looked at. */
	readonly line: number | undefined;
}

const noTags: TagList = { texts: [], items: () => [], line: undefined };

/** The tags of a field; with `once` without repetitions: the first of several stays. */
export function readTags(field: Field | undefined, once: boolean): TagList {
	if (field === undefined) return noTags;
	const found = (): readonly Item[] => (once ? uniqueItems(listItems(field)) : listItems(field));
	if (field.continuations.length === 0 && plainTagsForm.test(field.value)) {
		const all = field.value.split(", ");
		let items: readonly Item[] | undefined;
		// Found once: there may be an error for each of very many.
		return { texts: once ? [...new Set(all)] : all, items: () => (items ??= found()), line: field.line };
	}
	const items = found();
	return { texts: texts(items), items: () => items, line: undefined };
}

/** In which line the tag at `index` stands. */
export function lineOfTag(tags: TagList, index: number): number {
	return tags.line ?? placeOf(tags.items()[index]!).line;
}

function uniqueItems(items: readonly Item[]): readonly Item[] {
	const seen = new Set<string>();
	return items.filter(({ text }) => !seen.has(text) && seen.add(text));
}

/** The valid ones of a list of maintainers; each other one is an error. */
export function readMaintainers(field: Field | undefined, problems: Problems): readonly Maintainer[] {
	if (field === undefined) return [];
	return listItems(field).flatMap((item) => {
		const { text } = item;
		const maintainer = parseMaintainer(text);
		if (maintainer !== null) return [maintainer];
		problems.error(placeOf(item), text === "" ? "a maintainer is empty" : `invalid maintainer ${quote(text)}`, {
			hint:
				text === ""
					? "Remove the comma too many, or name a maintainer."
					: "Write Name <email-or-url> (@github-handle), or Name (@github-handle), with commas in between.",
		});
		return [];
	});
}

/** Sorted by byte, without repetitions; an unknown one is an error. */
export function readArchitectures(field: Field, context: Context): readonly string[] {
	const known = context.knownLists.get(field.value);
	if (known !== undefined) return known;
	const items = listItems(field);
	const unknown = items.filter(({ text }) => !context.architectures.has(text));
	for (const item of unknown) {
		const { text } = item;
		const near = nearest(text, context.architectures);
		const all = [...context.architectures].toSorted(compareBytes).join(", ");
		context.problems.error(
			placeOf(item),
			text === "" ? "an architecture is empty" : `unknown architecture ${quote(text)}`,
			{
				hint: `${near === undefined || text === "" ? "" : `Did you mean ${near}? `}Known are ${all}.`,
			},
		);
	}
	const named = [...new Set(texts(items))];
	if (unknown.length > 0) return named.toSorted(compareBytes);
	// The known ones are ASCII, which JavaScript's own order has by byte too.
	const sorted = named.toSorted();
	context.knownLists.set(field.value, sorted);
	return sorted;
}

/** Reports every item that is no tag; `kind` says what it should be, and of what. */
export function checkTags(tags: TagList, kind: () => string, problems: Problems): void {
	if (tags.line !== undefined) return;
	for (const item of tags.items()) {
		const { text } = item;
		if (tagForm.test(text)) continue;
		const what = kind();
		problems.error(placeOf(item), text === "" ? `${what} is empty` : `${what} ${quote(text)} is invalid`, {
			hint:
				text === ""
					? "Remove the comma too many, or the empty field."
					: "A tag has 1 to 128 letters, digits, _, . and -, and starts with none of the last two; commas separate tags.",
		});
	}
}

/** The plain fields: the paragraph's own, else those it inherits. An empty value replaces too. */
export function readBuildFields(paragraph: Paragraph, inherited: BuildFields): BuildFields {
	return buildFieldsBy((name) => paragraph.fields.get(name)?.value ?? inherited[name]);
}

/** `ARCH-Field` values, the paragraph's over those it inherits, as written, without empty ones. */
export function readArchFields(
	paragraph: Paragraph,
	inherited: Readonly<Record<string, string>>,
): Readonly<Record<string, string>> {
	if (paragraph.unusual.size === 0) return inherited;
	const own = [...paragraph.unusual.values()].filter(({ key }) => archFieldForm.test(key));
	if (own.length === 0) return inherited;
	const values = new Map(Object.entries(inherited));
	for (const { key, value } of own) {
		if (value === "") values.delete(key);
		else values.set(key, value);
	}
	return Object.fromEntries([...values].toSorted(([a], [b]) => compareBytes(a, b)));
}

/** An entry's `ARCH-Directory` values are path-cleaned as its `Directory` is. */
export function cleanArchDirectories(fields: Fields["archFields"]): Fields["archFields"] {
	const entries = Object.entries(fields);
	if (!entries.some(([key]) => key.endsWith("-Directory"))) return fields;
	return Object.fromEntries(
		entries.map(([key, value]) => [key, key.endsWith("-Directory") ? cleanPath(value) : value]),
	);
}

/** Where a continued list field was written with blanks or line ends inside an item, the item is hardly what was meant. */
function warnOfNewlines(field: Field, problems: Problems): void {
	if (field.key === "Constraints") {
		for (const item of listItems(field)) {
			const { text } = item;
			if (text.includes("\n"))
				problems.warn(placeOf(item), `the constraint ${quote(text)} has a line end in it`, commaHint);
		}
		return;
	}
	if (field.key === "Tags" || field.key === "SharedTags" || field.key === "Architectures") return;
	if (field.key === "Maintainers") {
		for (const item of listItems(field)) {
			const { text } = item;
			if (/\n/.test(parseMaintainer(text)?.name ?? "")) {
				problems.warn(placeOf(item), `the maintainer's name in ${quote(text)} has a line end in it`, commaHint);
			}
		}
		return;
	}
	problems.warn(field, `the value of ${field.key} has line ends in it: it is continued in line ${field.line + 1}`, {
		hint: "Write the value in one line.",
	});
}

const commaHint = { hint: "Line ends separate no items: write a comma." };

/** Refuses what the existing program refuses by its names, and warns of what it ignores or misreads. */
export function checkKeys(paragraph: Paragraph, context: Context, isGlobal: boolean): void {
	const { problems } = context;
	if (paragraph.unusual.size === 0) return;
	for (const field of paragraph.unusual.values()) {
		const { key, value } = field;
		if (isFieldName(key)) {
			if (field.continuations.length > 0) warnOfNewlines(field, problems);
			if (value === "") warnOfEmptied(field, isGlobal, problems);
		} else if (refusedFields.has(key)) {
			problems.error(field, `the field ${key} is refused`, {
				hint: "The existing system cannot read a field of that name: choose another one, or a comment.",
			});
		} else if (archFieldForm.test(key)) {
			if (field.continuations.length > 0) warnOfNewlines(field, problems);
			checkArchField(field, context);
		} else {
			warnOfUnknown(field, context);
		}
	}
}

function warnOfEmptied(field: Field, isGlobal: boolean, problems: Problems): void {
	const { key } = field;
	const inherit = isGlobal ? "" : ", and not to what the global paragraph says";
	if (key === "File" || key === "GitFetch") {
		problems.warn(field, `${key} is emptied, and does not fall back to its default${inherit}`, {
			hint: `Remove the field, or write ${key}: ${buildDefaults[key]}.`,
		});
	} else if (key === "Directory" || key === "Builder") {
		problems.warn(
			field,
			`${key} is emptied${isGlobal ? ", which is its default" : inherit.replace("and not", "not")}`,
			{
				hint: "Remove the field, or give it a value.",
			},
		);
	} else if (key === "Constraints") {
		problems.warn(field, "Constraints is empty, which is one empty constraint that nothing meets", {
			hint: "Remove the field.",
		});
	}
}

function checkArchField(field: Field, { architectures, problems }: Context): void {
	const dash = field.key.lastIndexOf("-");
	const arch = field.key.slice(0, dash);
	const name = field.key.slice(dash + 1);
	if (!architectures.has(arch)) {
		const near = nearest(arch, architectures);
		problems.warn(field, `the field ${quote(field.key)} is for the unknown architecture ${quote(arch)}`, {
			hint: near === undefined ? undefined : `Did you mean ${near}-${name}?`,
		});
	} else if (field.value !== "" && name === "GitCommit" && !gitCommitForm.test(field.value)) {
		problems.warn(field, `${field.key} ${quote(field.value)} is no commit`, commitHint(field.value));
	} else if (field.value !== "" && name === "GitFetch" && !gitFetchForm.test(field.value)) {
		problems.warn(field, `${field.key} ${quote(field.value)} is not valid`, fetchHint(field.value));
	}
}

function warnOfUnknown(field: Field, { problems }: Context): void {
	if (field.key.charCodeAt(0) === 0xfeff) {
		problems.warn(field, `a byte order mark is part of the key ${quote(field.key)}`, {
			hint: "Save the file without a byte order mark.",
		});
		return;
	}
	const near = meantField(field.key);
	problems.warn(field, `the unknown field ${quote(field.key)} is ignored`, {
		hint:
			near === undefined
				? "Remove it, or make it a comment with # in front."
				: `Did you mean ${near}? Names are case-sensitive.`,
	});
}

/** The known field that an unknown key was probably meant to be. */
function meantField(key: string): string | undefined {
	const from = key.charCodeAt(0) === 0xfeff ? key.slice(1) : key;
	const dash = from.lastIndexOf("-");
	const near = nearest(from.slice(dash + 1), fieldNames);
	return near === undefined || dash === -1 ? near : `${from.slice(0, dash)}-${near}`;
}

/** A hint for a field that is missing: the unknown field in its paragraph that was probably meant. */
export function misspelt(paragraph: Paragraph, missing: string): { readonly hint?: string } {
	for (const field of paragraph.unusual.values()) {
		if (field.key !== missing && !isFieldName(field.key) && meantField(field.key) === missing) {
			return {
				hint:
					field.key.charCodeAt(0) === 0xfeff
						? "Save the file without a byte order mark: it is part of the first key."
						: `Line ${field.line} has ${quote(field.key)}: write ${missing}, names are case-sensitive.`,
			};
		}
	}
	return {};
}

export function fetchHint(value: string): { readonly hint: string } {
	const branch = /^[\w./-]+$/.test(value) && !value.startsWith("refs/");
	return {
		hint: `Write refs/heads/BRANCH or refs/tags/TAG without *, ? and :${branch ? `, as in refs/heads/${value}` : ""}.`,
	};
}

export function commitHint(value: string): { readonly hint: string } {
	if (value.endsWith("\n")) {
		return {
			hint: "Nothing may follow in a line that starts with a blank, not even blanks alone: it continues the value.",
		};
	}
	return {
		hint: gitCommitForm.test(value.toLowerCase())
			? "Write it in lower case."
			: "A commit is given in full: 40 or 64 lower-case hex digits.",
	};
}
