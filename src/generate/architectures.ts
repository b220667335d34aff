import type { ArchRule, IntersectRule } from "../config/index.ts";
import { parseDefinition, type Definition } from "../definition/index.ts";
import { BrewlineError } from "../errors.ts";
import { printable } from "../io/printable.ts";
import { compareCodePoints, orderedEntries, type JsonValue } from "../json/index.ts";
import {
	asValue,
	expand,
	holds,
	matchesPath,
	valueAt,
	type Matrix,
	type MatrixEntry,
	type Scope,
} from "../matrix/index.ts";
import { ruleOf, splitImage, withArchitecture } from "./rules.ts";
import { branchObject, parentDockerfile, parentsOf } from "./survey.ts";
import type { ComposeInput, MissingArchitecture } from "./types.ts";

/** An architecture that an entry has. */
export interface FoundArchitecture {
	readonly name: string;
	/** The names of the entry, with `{arch}`; where the entry is a union, of the entry that has it. */
	readonly scope: Scope;
}

export interface ArchitecturesResult {
	readonly found: readonly FoundArchitecture[];
	readonly missing: readonly MissingArchitecture[];
	/** The images that gave architectures. */
	readonly parents: readonly string[];
}

/** The entries with their tags, for images that are built from others of the same name. */
export interface TaggedEntry {
	readonly entry: MatrixEntry;
	readonly tags: ReadonlySet<string>;
	readonly sharedTags: ReadonlySet<string>;
}

/** Answers for each entry which architectures it has, and what took the others away (spec/library-generation.md, 6). */
export function architecturesOf(
	input: ComposeInput,
	matrix: Matrix,
	tagged: readonly TaggedEntry[],
): (entry: MatrixEntry) => ArchitecturesResult {
	const { config } = input;
	const known = new Map<MatrixEntry, ArchitecturesResult>();
	const active: MatrixEntry[] = [];
	const library = definitionReader(input);
	const objects = new Map(input.survey.objects.map((object, index) => [object, input.existing[index] === true]));

	function resolve(entry: MatrixEntry): ArchitecturesResult {
		let result = known.get(entry);
		if (result === undefined) {
			if (active.includes(entry)) {
				const circle = [...active.slice(active.indexOf(entry)), entry].map(({ directory }) => printable(directory));
				throw new BrewlineError("cycle", `entries are built from one another in a circle: ${circle.join(" → ")}`);
			}
			active.push(entry);
			try {
				result = evaluate(entry);
			} finally {
				active.pop();
			}
			known.set(entry, result);
		}
		return result;
	}

	/** The architectures of an image, and what it is called in explanations. */
	function ofImage(image: string, entry: MatrixEntry): { readonly names: readonly string[]; readonly what: string } {
		const { name, tag } = splitImage(image);
		if (name === config.image) {
			const own = tagged.find(({ tags }) => tags.has(tag)) ?? tagged.find(({ sharedTags }) => sharedTags.has(tag));
			if (own === undefined) throw noParent(entry, image, "the definition that is generated has no such tag");
			return { names: resolve(own.entry).found.map((each) => each.name), what: `${image}, of this image,` };
		}
		const definition = library(name);
		if (definition === undefined) throw noParent(entry, image, "the library has no such image");
		const parent =
			definition.unmerged.find(({ Tags }) => Tags.includes(tag)) ??
			definition.unmerged.find(({ SharedTags }) => SharedTags.includes(tag));
		if (parent === undefined) throw noParent(entry, image, `the library's ${name} has no such tag`);
		return { names: parent.Architectures, what: image };
	}

	function evaluate(entry: MatrixEntry): ArchitecturesResult {
		const { rule, name } = ruleOf(config, entry);
		const missing = new Map<string, MissingArchitecture>();
		const take = (architecture: string, by: string, reason: string): void => {
			if (!missing.has(architecture)) missing.set(architecture, { architecture, rule: by, reason });
		};
		let { found, parents, why } = start(entry, rule, take, name);
		for (const architecture of input.architectures) {
			if (!found.some((each) => each.name === architecture)) take(architecture, name, why);
		}
		for (const [index, intersect] of (rule.intersect ?? []).entries()) {
			const has = holds(intersect.if, entry.scope) ? supported(matrix, entry, intersect) : undefined;
			if (has === undefined) continue;
			const by = `${name}.intersect.${index}`;
			for (const each of found) {
				if (!has.names.includes(each.name)) take(each.name, by, `${has.what} does not have it`);
			}
			found = found.filter((each) => has.names.includes(each.name));
			if (intersect.order === "data") {
				found = found.toSorted((a, b) => has.names.indexOf(a.name) - has.names.indexOf(b.name));
			}
		}
		for (const [index, exclusion] of (config.excludeArchitectures ?? []).entries()) {
			if (!holds(exclusion.if, entry.scope)) continue;
			const stays = ({ name: architecture }: FoundArchitecture): boolean =>
				"only" in exclusion ? exclusion.only.includes(architecture) : !exclusion.arches.includes(architecture);
			const reason = exclusion.reason ?? "it is excluded";
			for (const each of found) if (!stays(each)) take(each.name, `excludeArchitectures.${index}`, reason);
			found = found.filter(stays);
		}
		return {
			found,
			parents,
			missing: [...missing.values()].sort((a, b) => compareCodePoints(a.architecture, b.architecture)),
		};
	}

	interface Start {
		readonly found: readonly FoundArchitecture[];
		readonly parents: readonly string[];
		/** Why those are missing for which nothing else was said. */
		readonly why: string;
	}

	function start(
		entry: MatrixEntry,
		rule: ArchRule,
		take: (architecture: string, by: string, reason: string) => void,
		by: string,
	): Start {
		const prefix = rule.prefix ?? "";
		const named = (names: readonly string[], why: string, parents: readonly string[] = []): Start => ({
			found: [...new Set(names)].map((each) => ({ name: prefix + each, scope: withArchitecture(entry.scope, each) })),
			parents,
			why,
		});
		if ("static" in rule) return named(rule.static, "it is not among those that the rule lists");
		if ("data" in rule) {
			const value = asValue(valueAt(entry.version.data, rule.data, entry.scope)) ?? [];
			return named(typeof value === "string" ? [value] : value, "the version's data does not have it");
		}
		if ("parents" in rule) {
			const images = parentsOf(config, entry, matrix.dockerfile);
			if (images.length === 0) {
				const file = printable(parentDockerfile(rule, entry));
				throw new BrewlineError(
					"config",
					`${file} has no parent in the library that it could have architectures from`,
					{
						hint: "List them in a rule of architectures: { static: [amd64, …] }, or take them from the data.",
						at: { file: parentDockerfile(rule, entry) },
					},
				);
			}
			let names: readonly string[] | undefined;
			for (const image of images) {
				const parent = ofImage(image, entry);
				for (const each of new Set([...input.architectures, ...(names ?? [])])) {
					if (!parent.names.includes(each)) take(prefix + each, by, `${parent.what} does not have it`);
				}
				names = names?.filter((each) => parent.names.includes(each)) ?? parent.names;
			}
			return named(names!.toSorted(compareCodePoints), "no parent has it", images);
		}
		const candidates = input.architectures
			.filter((each) => each.startsWith(prefix))
			.map((each) => each.slice(prefix.length))
			.sort(compareCodePoints);
		if ("glob" in rule) {
			const has = (each: string): boolean => hasFile(input, rule.glob, withArchitecture(entry.scope, each));
			return named(candidates.filter(has), "there is no such file");
		}
		const members =
			rule.union !== undefined && entry.axes[rule.union] === "" ? siblings(matrix, entry, rule.union) : [entry];
		const found = new Map<string, FoundArchitecture>();
		for (const member of members) {
			for (const each of candidates) {
				const object = branchObject(input, rule, member, each);
				if (object === undefined || objects.get(object) !== true || found.has(each)) continue;
				found.set(each, { name: prefix + each, scope: withArchitecture(member.scope, each) });
			}
		}
		return { found: [...found.values()], parents: [], why: "there is no such branch, or not with what it must have" };
	}

	return resolve;
}

function noParent(entry: MatrixEntry, image: string, why: string): BrewlineError {
	return new BrewlineError(
		"reference",
		`${printable(entry.directory)} is built from ${printable(image, 200)}: ${why}`,
		{
			hint: "Check the FROM, and that the library is the newest: --library names its folder or address.",
		},
	);
}

/** The other entries of a union's version, in their order. */
function siblings(matrix: Matrix, entry: MatrixEntry, union: string): readonly MatrixEntry[] {
	return matrix.entries.filter(
		(other) =>
			other.version === entry.version &&
			other.axes[union] !== "" &&
			Object.keys(entry.axes).every((axis) => axis === union || other.axes[axis] === entry.axes[axis]),
	);
}

function hasFile({ files }: ComposeInput, template: string, scope: Scope): boolean {
	const path = expand(template, scope);
	if (path === undefined) return false;
	if (!path.includes("*")) return files.files.has(path);
	return [...files.files.keys()].some((each) => matchesPath(template, each, scope));
}

/** What the version's data says upstream supports; undefined: the rule is about a version that is not there. */
function supported(
	matrix: Matrix,
	entry: MatrixEntry,
	rule: IntersectRule,
): { readonly names: readonly string[]; readonly what: string } | undefined {
	const { scope, version } = entry;
	const key = rule.version === undefined ? version.key : expand(rule.version, scope);
	if (key === undefined || !matrix.data.has(key)) return undefined;
	const data = valueAt(matrix.data.get(key), rule.path, scope);
	const { where, stripPrefix } = rule;
	let names: readonly string[];
	if (where !== undefined && typeof data === "object" && data !== null && !Array.isArray(data)) {
		names = orderedEntries(data as Readonly<Record<string, JsonValue>>)
			.filter(([, value]) => isTrue(value, where))
			.map(([name]) => name);
	} else {
		const value = asValue(data) ?? [];
		names = typeof value === "string" ? [value] : value;
	}
	if (stripPrefix !== undefined) {
		names = names.filter((name) => name.startsWith(stripPrefix)).map((name) => name.slice(stripPrefix.length));
	}
	const path = typeof rule.path === "string" ? [rule.path] : rule.path;
	const place = path.map((part) => expand(part, scope) ?? part).join(".");
	const what = `${place} of ${key}${where === undefined ? "" : ` (${where})`}`;
	return { names, what: printable(what) };
}

function isTrue(value: JsonValue, key: string): boolean {
	if (typeof value !== "object" || value === null || !Object.hasOwn(value, key)) return false;
	const member = (value as Readonly<Record<string, JsonValue>>)[key];
	return member !== null && member !== false;
}

/** Each parent's definition is parsed once, and only if it is asked for. */
function definitionReader(input: ComposeInput): (name: string) => Definition | undefined {
	const known = new Map<string, Definition>();
	return (name) => {
		const text = input.definitions.get(name);
		if (text === undefined) return undefined;
		let definition = known.get(name);
		if (definition === undefined) {
			const { architectures, defaultArchitecture } = input;
			definition = parseDefinition(text, { file: name, architectures, defaultArchitecture });
			known.set(name, definition);
		}
		return definition;
	};
}
