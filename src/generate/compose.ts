import { entryFields } from "../config/defaults.ts";
import type { EntryField, HeaderField, ImageConfig } from "../config/index.ts";
import { parseDefinition } from "../definition/index.ts";
import { BrewlineError } from "../errors.ts";
import { printable } from "../io/printable.ts";
import { compareCodePoints } from "../json/index.ts";
import {
	buildMatrix,
	createScope,
	emptyScope,
	expand,
	holds,
	type Left,
	type MatrixEntry,
	nothingLeft,
} from "../matrix/index.ts";
import { gitRepoOf } from "./address.ts";
import { architecturesOf, type FoundArchitecture } from "./architectures.ts";
import { withArchitecture } from "./rules.ts";
import { tagsOf } from "./tags.ts";
import type { Composed, ComposeInput, GeneratedEntry, TagReason } from "./types.ts";

/** The definition, from all that the survey asked for. The same input gives the same bytes. Pure. */
export function compose(input: ComposeInput): Composed {
	const { config } = input;
	const matrix = buildMatrix(input, input.survey.dockerfiles);
	const answers = input.commits[Symbol.iterator]();
	const next = (): string | undefined => answers.next().value;
	const header = headerLines(input, next);
	const tagged = matrix.entries.map((entry) => ({
		entry,
		tags: tagsOf(config, "tags", entry),
		sharedTags: tagsOf(config, "sharedTags", entry),
		commit: (config.commit ?? "dockerfile") === "none" ? undefined : next(),
	}));
	const architectures = architecturesOf(
		input,
		matrix,
		tagged.map(({ entry, tags, sharedTags }) => ({ entry, tags: names(tags), sharedTags: names(sharedTags) })),
	);
	const left: Left[] = [...matrix.left];
	const owners: Owners = new Map();
	const entries: GeneratedEntry[] = [];
	const parents = new Set<string>();
	const paragraphs: string[] = [];
	for (const { entry, commit, ...reasons } of tagged) {
		const result = architectures(entry);
		for (const parent of result.parents) parents.add(parent);
		const what = placeOf(entry);
		if (result.found.length === 0) {
			left.push({ what, rule: "architectures", reason: "no architecture is left" });
			continue;
		}
		const tags = claimTags(config, owners, entry, reasons.tags, false);
		const sharedTags = claimTags(config, owners, entry, reasons.sharedTags, true);
		if (tags.length === 0) {
			left.push({ what, rule: "tags", reason: "no tag is left" });
			continue;
		}
		const generated: GeneratedEntry = {
			version: entry.version.key,
			axes: entry.axes,
			directory: entry.directory,
			file: entry.file,
			tags,
			sharedTags,
			architectures: result.found.map(({ name }) => name),
			missing: result.missing,
			...(commit === undefined ? {} : { commit }),
		};
		if (commit === undefined && (config.commit ?? "dockerfile") !== "none") throw notCommitted(what);
		entries.push(generated);
		paragraphs.push(paragraph(config, entry, generated, result.found));
	}
	if (entries.length === 0) {
		throw nothingLeft(config, left);
	}
	const text = `${[header, ...paragraphs].join("\n")}${config.header.trailingBlankLine === true ? "\n" : ""}`;
	// What comes out of data must not be able to make a field, and what is wrong is said here rather than by the library.
	const { architectures: all, defaultArchitecture } = input;
	parseDefinition(text, { file: config.image, architectures: all, defaultArchitecture });
	return { image: config.image, text, entries, left, parents: [...parents].sort(compareCodePoints) };
}

function names(tags: readonly TagReason[]): ReadonlySet<string> {
	return new Set(tags.map(({ tag }) => tag));
}

function placeOf(entry: MatrixEntry): string {
	const axes = Object.values(entry.axes).filter(Boolean).join(" ");
	return printable(entry.directory || [entry.version.key, axes].filter(Boolean).join(" "));
}

function notCommitted(what: string): BrewlineError {
	return new BrewlineError("git", `${what}: no commit has its Dockerfile`, {
		hint: "Commit what was rendered first: a definition names the commit that it is built from.",
	});
}

type Owners = Map<string, { readonly entry: MatrixEntry; readonly shared: boolean; readonly rule: string }>;

/** The tags that are still to be had; one that another entry has already is an error, unless the first shall have it. */
function claimTags(
	config: ImageConfig,
	owners: Owners,
	entry: MatrixEntry,
	tags: readonly TagReason[],
	shared: boolean,
): readonly TagReason[] {
	return tags.filter(({ tag, rule }) => {
		const owner = owners.get(tag);
		if (owner === undefined) {
			owners.set(tag, { entry, shared, rule });
			return true;
		}
		if (shared && owner.shared) return true;
		if (config.tagUnique === "definition" && !shared && !owner.shared) return false;
		const twice =
			owner.entry === entry
				? `${placeOf(entry)} has the tag ${printable(tag)} twice: by ${owner.rule}, and by ${rule}`
				: `two entries have the tag ${printable(tag)}: ${placeOf(owner.entry)} by ${owner.rule}, ${placeOf(entry)} by ${rule}`;
		throw new BrewlineError("config", twice, { hint: "Let only one rule give it, give an alias once, or pin it." });
	});
}

/** The comment and the global paragraph; `next` gives the answers of the survey's queries. */
function headerLines(input: ComposeInput, next: () => string | undefined): string {
	const { config, head } = input;
	const { repository, self, comment, maintainers, fields = {}, branchFields } = config.header;
	const selfCommit = next();
	const commit = config.header.selfCommit === "head" ? head : selfCommit;
	const lines: string[] = [];
	const template = comment ?? "this file is generated via {repository}/blob/{commit}/{self}";
	if (template !== "") {
		if (commit === undefined && template.includes("{commit}")) {
			throw new BrewlineError("git", `no commit has ${printable(self)}, which header.self names`, {
				hint: "Commit it, or name the file that the definition is generated by.",
			});
		}
		const values = new Map([
			["repository", () => repository],
			["commit", () => commit],
			["self", () => self],
		]);
		const scope = createScope(values, { parent: emptyScope() });
		lines.push(`# ${expand(template, scope) ?? ""}`, "");
	}
	const indent = " ".repeat("Maintainers: ".length);
	lines.push(`Maintainers: ${maintainers.join(`,\n${indent}`)}`, `GitRepo: ${gitRepoOf(config)}`);
	const answered = new Map(
		Object.entries(fields).map(([name, value]) => [name, fieldValue(name, value, head, next)] as const),
	);
	for (const name of ["GitFetch", "GitCommit", "Builder", "File"]) {
		const value = answered.get(name);
		if (value !== undefined && value !== "") lines.push(`${name}: ${value}`);
	}
	if (branchFields !== undefined) lines.push(...branchLines(input, branchFields));
	return `${lines.join("\n")}\n`;
}

function fieldValue(
	name: string,
	value: HeaderField | undefined,
	head: string,
	next: () => string | undefined,
): string | undefined {
	if (value === undefined || typeof value === "string") return value;
	if (!("paths" in value)) return head;
	const commit = next();
	if (commit !== undefined) return commit;
	const paths = printable(value.paths.join(" "), 200);
	throw new BrewlineError("git", `no commit has ${paths}, which header.fields.${name} names`, {
		hint: "They are git's pathspecs, from the top of the repository.",
	});
}

function branchLines(input: ComposeInput, template: string): readonly string[] {
	return [...input.architectures].sort(compareCodePoints).flatMap((arch) => {
		const scope = withArchitecture(emptyScope(), arch);
		const branch = expand(template, scope) ?? "";
		const commit = input.branches.get(branch);
		if (commit === undefined) return [];
		return [
			`# ${input.config.header.repository}/tree/${branch}`,
			`${arch}-GitFetch: refs/heads/${branch}`,
			`${arch}-GitCommit: ${commit}`,
		];
	});
}

/** The fields of an entry in their order, with a newline at the end of each. */
function paragraph(
	config: ImageConfig,
	{ scope, directory, file }: MatrixEntry,
	{ tags, sharedTags, architectures, commit }: GeneratedEntry,
	found: readonly FoundArchitecture[],
): string {
	const constraints = (config.constraints ?? [])
		.filter((rule) => holds(rule.if, scope))
		.map((rule) => expand(rule.value, scope) ?? "")
		.filter(Boolean);
	const builder = (config.builder ?? []).find((rule) => holds(rule.if, scope));
	const values: Readonly<Record<Exclude<EntryField, "ArchFields">, string>> = {
		Tags: tags.map(({ tag }) => tag).join(", "),
		SharedTags: sharedTags.map(({ tag }) => tag).join(", "),
		Architectures: architectures.join(", "),
		GitCommit: commit ?? "",
		Directory: config.omitDirectory === true ? "" : directory,
		File: file === "Dockerfile" ? "" : file,
		Builder: builder === undefined ? "" : (expand(builder.value, scope) ?? ""),
		Constraints: constraints.join(", "),
	};
	const order = new Set([...(config.fieldOrder ?? []), ...entryFields]);
	const lines = [...order].flatMap((field) => {
		if (field === "ArchFields") return archFieldLines(config, found);
		const value = values[field];
		return value === "" ? [] : [line(field, value)];
	});
	return `${lines.join("\n")}\n`;
}

function archFieldLines(config: ImageConfig, found: readonly FoundArchitecture[]): readonly string[] {
	return found.flatMap(({ name, scope }) =>
		(config.archFields ?? [])
			.filter((rule) => holds(rule.if, scope))
			.map((rule) => ({ rule, value: expand(rule.value, scope) ?? "" }))
			.filter(({ value }) => value !== "")
			.map(({ rule, value }) => line(`${name}-${rule.field}`, value)),
	);
}

/** A value with a newline would be a field of its own. */
function line(field: string, value: string): string {
	if (!/\p{Cc}/u.test(value)) return `${field}: ${value}`;
	throw new BrewlineError("config", `${field} would be "${printable(value, 100)}", which is not one line`);
}
