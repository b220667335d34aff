import { readEntry, type WholeFile } from "./entry.ts";
import {
	buildDefaults,
	checkKeys,
	type Context,
	listItems,
	misspelt,
	readArchFields,
	readArchitectures,
	readBuildFields,
	readMaintainers,
	readTags,
	texts,
} from "./fields.ts";
import { mergeEntries } from "./merge.ts";
import { type Paragraph, readParagraphs } from "./paragraphs.ts";
import { collectProblems, type Problems } from "./problems.ts";
import { decodeText } from "./text.ts";
import type { Definition, Fields } from "./types.ts";

export interface DefinitionOptions {
	/** What the file is called in errors. */
	readonly file: string;
	/** The architectures that an entry may name. */
	readonly architectures: Iterable<string>;
	/** The architecture of an entry that names none. */
	readonly defaultArchitecture: string;
}

/** The length of the global paragraph's values times the number of entries: each of them has a copy. */
const inheritanceLimit = 16 * 1024 * 1024;

/**
 * Reads a library definition (spec/manifest.md), in time linear in its length.
 * Bytes that are not UTF-8 are carried along as lone surrogates: `encodeText` gives them back.
 * A clear-signed message is refused, since nobody would check its signature.
 * @throws BrewlineError `definition` with all that is wrong in `errors`, in the order of the file
 */
export function parseDefinition(input: Uint8Array | string, options: DefinitionOptions): Definition {
	const { file, defaultArchitecture } = options;
	const problems = collectProblems(file);
	const context: Context = {
		file,
		problems,
		architectures: new Set(options.architectures),
		defaultArchitecture,
		knownLists: new Map(),
	};
	const text = typeof input === "string" ? input : decodeText(input);
	if (!text.isWellFormed()) {
		problems.warn({ line: 1, column: 1 }, "the file is not UTF-8", { hint: "Save it as UTF-8." });
	}
	const [first, ...rest] = readParagraphs(text, problems);
	if (first === undefined) {
		problems.error({ line: 1, column: 1 }, "there is no paragraph in this definition", {
			hint: "It starts with a global paragraph that has the field Maintainers.",
		});
		return problems.throwAll();
	}
	const global = readGlobal(first, context);
	const whole: WholeFile = {
		first,
		global,
		sharedTags: readTags(first.fields.get("SharedTags"), true),
		tagLines: new Map(),
		sharedTagLines: new Map(),
		reported: new Set(),
	};
	const unmerged = isTooMuchToInherit(first, rest.length, problems)
		? []
		: rest.map((paragraph) => readEntry(paragraph, whole, context));
	if (problems.found()) return problems.throwAll();
	return {
		file,
		global,
		entries: mergeEntries(unmerged),
		unmerged,
		warnings: problems.warnings(),
		defaultArchitecture,
	};
}

function isTooMuchToInherit(paragraph: Paragraph, entries: number, problems: Problems): boolean {
	const length = paragraph.fields.values().reduce((sum, { key, value }) => sum + key.length + value.length, 0);
	if (length * entries <= inheritanceLimit) return false;
	problems.error(paragraph, `the global paragraph is too long for ${entries} entries to inherit it`, {
		hint: "Write in the entries what not all of them share.",
	});
	return true;
}

function readGlobal(paragraph: Paragraph, context: Context): Fields {
	const { problems } = context;
	const { fields } = paragraph;
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
		at: { file: context.file, line: paragraph.line, column: paragraph.column },
		positions: fields,
	};
}
