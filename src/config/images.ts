import * as z from "zod/mini";
import { described } from "./described.ts";
import { entryFields } from "./defaults.ts";
import { proposeSchema } from "./propose.ts";
import { expressionProblem, isRepositoryPath, templateProblem } from "./text.ts";

/**
 * The `images` block of `brewline.yaml`: what an image repository has, and how its definition and its Dockerfiles come
 * of it. The descriptions are what editors and the reference page show.
 */

/** What the JSON Schema and the reference page know by a name, as it stands at several places. */
function named<Schema extends z.ZodMiniType>(id: string, schema: Schema, description: string): Schema {
	z.globalRegistry.add(schema, { id, description });
	return schema;
}

function problem(find: (text: string) => string | undefined) {
	return z.check<string>((context) => {
		const message = find(context.value);
		if (message !== undefined) context.issues.push({ code: "custom", message, input: context.value });
	});
}

/** A control character would break the lines of a definition, and a text of kilobytes is none. */
const line = z.string().check(z.maxLength(2000), z.regex(/^[^\p{Cc}]*$/u, { error: "must be one line" }));

const template = line.check(problem(templateProblem));
const glob = template;
const expression = z.string().check(z.maxLength(500), problem(expressionProblem));

/** A name that configurations give: of a variable, an axis, a group. */
const givenName = z
	.string()
	.check(z.maxLength(60), z.regex(/^[A-Za-z][A-Za-z0-9_]*$/, { error: "must be letters, digits and _" }));

const pathPattern = template.check(
	z.refine((text) => isRepositoryPath(text), { error: "must be a path inside the repository, without .." }),
);

const architecture = z
	.string()
	.check(z.maxLength(60), z.regex(/^[a-z0-9]+(?:-[a-z0-9]+)*$/, { error: "must be an architecture" }));
const tagPart = z
	.string()
	.check(z.maxLength(128), z.regex(/^[A-Za-z0-9_][A-Za-z0-9_.-]*$/, { error: "must be fit for a tag" }));
const maxItems = 200;

function list<Item extends z.ZodMiniType>(item: Item) {
	return z.array(item).check(z.maxLength(maxItems));
}

export type ConditionValue =
	| string
	| readonly string[]
	| { readonly matches: string }
	| { readonly le: string }
	| { readonly ge: string };

/** All names must hold; of a list one must match; a name that has several values matches by any of them. */
export interface Condition {
	readonly not?: Condition | undefined;
	readonly any?: readonly Condition[] | undefined;
	readonly [name: string]: ConditionValue | Condition | readonly Condition[] | undefined;
}

const conditionValue = z.union([
	glob,
	z.array(glob).check(z.minLength(1), z.maxLength(maxItems)),
	z.strictObject({ matches: described(expression, "A regular expression that matches a part of it.") }),
	z.strictObject({ le: described(template, "It comes before this text, or is it.") }),
	z.strictObject({ ge: described(template, "It comes after this text, or is it.") }),
]);
const condition: z.ZodMiniType<Condition, Condition> = named(
	"condition",
	z.lazy(() =>
		z.catchall(
			z.object({
				not: z.optional(condition),
				any: z.optional(
					described(z.array(condition).check(z.minLength(1), z.maxLength(maxItems)), "One of these must hold."),
				),
			}),
			conditionValue,
		),
	) as unknown as z.ZodMiniType<Condition, Condition>,
	"Every name must match: NAME: GLOB, or one of a list, or { matches: REGEXP }, { le: TEXT }, { ge: TEXT }. not and any combine conditions. A name without a value matches nothing.",
);
const when = z.optional(condition);

const refined = {
	capture: z.optional(
		described(expression, "Takes the first group of this regular expression, or all of what it matches."),
	),
	default: z.optional(described(template, "The value where there would be none.")),
};
/** A place in the data of a version: one key, or one after the other. */
const dataPath = z.union([template, list(template)]);
const variable = named(
	"variable",
	z.union([
		template,
		z.strictObject({ path: described(dataPath, "Where the value is in the version's data."), ...refined }),
		z.strictObject({ value: described(template, "This text."), ...refined }),
		z.strictObject({
			map: described(z.record(line, template), "From a key to the value."),
			key: z.optional(described(template, "Default: {version}.")),
			...refined,
		}),
		z.strictObject({
			first: described(glob, "The first value of the axis that matches."),
			axis: described(givenName, "An axis of the matrix or a group of a split."),
			except: z.optional(described(z.union([glob, list(glob)]), "Values that are passed over.")),
			scope: z.optional(
				described(z.enum(["version", "definition"]), "Whether the axis of this version is looked at, or of all."),
			),
			...refined,
		}),
		z.strictObject({
			dockerfile: described(pathPattern, "A Dockerfile."),
			env: described(line, "The name of the ENV variable in it."),
			...refined,
		}),
		z.strictObject({ from: described(pathPattern, "The Dockerfile whose first FROM is the value."), ...refined }),
	]),
	"What a name stands for: a text with {names}, or where to find it.",
);
const variables = z.record(givenName, variable);

const field = named(
	"headerField",
	z.union([
		template,
		z.strictObject({ paths: described(list(line), "The newest commit of these git pathspecs.") }),
		z.strictObject({ head: described(z.literal(true), "The newest commit of all.") }),
	]),
	"A text, or a commit.",
);

const header = z.strictObject({
	repository: described(
		z
			.string()
			.check(
				z.maxLength(500),
				z.regex(/^https?:\/\/[^\s\p{Cc}]+$/u, { error: "must be an http(s) address" }),
				z.regex(/(?<!\/|\.git)$/, { error: "must be the address without .git or / at its end" }),
			),
		"The address of the image repository, without .git.",
	),
	self: described(pathPattern, "The file that the definition is generated by: its newest commit stands in the header."),
	comment: z.optional(
		described(
			template,
			"The first line, without #; {repository}, {commit} and {self} are known. Empty: there is none.",
		),
	),
	maintainers: described(
		z.array(line).check(z.minLength(1), z.maxLength(maxItems)),
		"Name <email-or-url> (@github-handle).",
	),
	selfCommit: z.optional(
		described(z.enum(["file", "head"]), "Whether {commit} is that of the file (default) or the newest of all."),
	),
	fields: z.optional(
		described(
			z.strictObject({
				GitFetch: z.optional(described(field, "The ref that commits are fetched by.")),
				GitCommit: z.optional(described(field, "The commit of all entries.")),
				Builder: z.optional(described(field, "What builds them.")),
				File: z.optional(described(field, "The name of their Dockerfiles.")),
			}),
			"What all entries share.",
		),
	),
	branchFields: z.optional(
		described(template, "A branch for each {arch}: ARCH-GitFetch and ARCH-GitCommit of each stand in the header."),
	),
	trailingBlankLine: z.optional(described(z.boolean(), "Whether the definition ends in a blank line.")),
});

const order = z.union([
	described(
		z.enum(["version-desc", "file", "name", "name-desc"]),
		"By version, the highest first; as in the file; by name, or by name from the end.",
	),
	described(list(line), "The keys that come first, in this order; the others follow as in the file."),
]);

const versions = z.strictObject({
	file: z.optional(described(pathPattern, "Default: versions.json.")),
	list: z.optional(described(list(line), "The versions, where no file has them.")),
	directories: z.optional(described(z.literal(true), "The versions are the directories that begin with a digit.")),
	order: z.optional(described(order, "Default: version-desc.")),
	full: z.optional(
		described(variable, "The full version: the key in the version's data (default: version), or a variable."),
	),
	entryFull: z.optional(described(variable, "The full version where it may differ by entry.")),
	prereleaseSuffix: z.optional(described(line, "What a prerelease's key ends with; default: -rc.")),
	prerelease: z.optional(described(expression, "What a prerelease's full version matches.")),
	drop: z.optional(
		described(list(z.strictObject({ if: condition })), "Versions that are left out, although the data has them."),
	),
	dropSupersededPrereleases: z.optional(
		described(z.boolean(), "Whether a prerelease goes when its release is there; default: yes."),
	),
});

const claim = {
	once: z.optional(described(z.boolean(), "Only the first version that may have it has it.")),
	if: when,
};
const aliasRule = named(
	"aliasRule",
	z.union([
		template,
		z.strictObject({ alias: described(template, "One alias."), ...claim }),
		z.strictObject({
			truncate: described(template, "This, and this without its last component, and so on."),
			until: z.optional(described(template, "Where it ends.")),
			separators: z.optional(described(z.string().check(z.minLength(1), z.maxLength(10)), 'Default: ".-".')),
			inclusive: z.optional(described(z.boolean(), "Whether the end is one of them.")),
			...claim,
		}),
	]),
	"An alias, or several: each is written with {names} of the version.",
);
const aliases = z.strictObject({
	list: described(list(aliasRule), "Rules for the aliases of a version, in order."),
	pin: z.optional(described(z.record(tagPart, line), "Aliases that one version has, whatever the rules say.")),
	extra: z.optional(described(z.record(line, list(tagPart)), "Aliases of one version, after all others.")),
});

const axisValue = named(
	"axisValue",
	z.union([
		template,
		z.strictObject({
			path: described(dataPath, "A list, or an object's keys, in the version's data."),
			prefix: z.optional(described(line, "What stands before each of them.")),
		}),
	]),
	"A value, or where values are.",
);

const suffix = named(
	"suffix",
	z.union([
		template,
		z.strictObject({
			suffix: described(template, "ALIAS-SUFFIX for every alias, the suffix alone for latest; empty: the alias alone."),
			aliases: z.optional(
				described(
					z.union([z.enum(["all", "first"]), list(template)]),
					"Which aliases it is put to: all (default), the first, or others.",
				),
			),
			if: when,
		}),
	]),
	"What is put to the aliases. Where a {name} has no value, the rule is passed over.",
);

const intersect = named(
	"intersection",
	z.strictObject({
		path: described(dataPath, "Architectures as a list, or as an object's keys, in the version's data."),
		where: z.optional(described(line, "Only keys whose value has this as neither null nor false.")),
		stripPrefix: z.optional(described(line, "Only those with this prefix, and without it.")),
		version: z.optional(described(template, "The version whose data it is; default: the entry's own.")),
		order: z.optional(described(z.literal("data"), "As the data has them, instead of sorted.")),
		if: when,
	}),
	"Architectures that the version's data has.",
);
const archCommon = {
	if: when,
	prefix: z.optional(described(line, "What stands before each of them.")),
	intersect: z.optional(described(list(intersect), "Only those that the version's data has, too.")),
};
const archRule = named(
	"architectureRule",
	z.union([
		z.strictObject({
			parents: described(
				z.array(z.enum(["from", "copy"])).check(z.minLength(1)),
				"Those that all images have which the Dockerfile names in FROM, or in COPY --from too.",
			),
			dockerfile: z.optional(described(pathPattern, "The Dockerfile that names them; default: the entry's own.")),
			...archCommon,
		}),
		z.strictObject({ data: described(dataPath, "Those in the version's data."), ...archCommon }),
		z.strictObject({ static: described(list(architecture), "These."), ...archCommon }),
		z.strictObject({
			glob: described(pathPattern, "Those for whose {arch} such a file is there, with * for any text but /."),
			...archCommon,
		}),
		z.strictObject({
			branches: described(template, "Those that have such a branch."),
			requires: described(template, "A file that must be on it."),
			union: z.optional(described(givenName, "Where this axis is empty: the first of its values that has it.")),
			...archCommon,
		}),
	]),
	"Where the architectures of an entry come from.",
);

const reason = z.optional(described(line, "Why, for people."));
const exclusion = named(
	"exclusion",
	z.union([
		z.strictObject({ arches: described(list(architecture), "These."), reason, if: when }),
		z.strictObject({ only: described(list(architecture), "All but these."), reason, if: when }),
	]),
	"Architectures that entries do not have, whatever the rules say.",
);

const conditional = named(
	"conditional",
	z.strictObject({ value: described(template, "The value."), if: when }),
	"A text with {names}, where its condition holds.",
);
const archField = z.strictObject({
	field: described(z.enum(["Directory", "GitCommit", "GitFetch"]), "Which field."),
	value: described(template, "Its value, with {arch}."),
	if: when,
});
const entryField = z.enum(entryFields);

const templates = z.strictObject({
	vars: z.optional(described(variables, "Variables for what follows.")),
	env: z.optional(
		described(
			z.record(
				z.string().check(z.regex(/^[A-Za-z_][A-Za-z0-9_]*$/, { error: "must be the name of a variable" })),
				z.union([template, z.strictObject({ files: described(pathPattern, "A list of files, by name.") })]),
			),
			"What templates see of env.",
		),
	),
	header: z.optional(described(z.string().check(z.maxLength(10_000)), "What a rendered file begins with.")),
	if: when,
	exists: z.optional(described(variable, "Nothing is rendered where this has no value.")),
	clean: z.optional(described(z.boolean(), "Whether a directory is emptied first; default: yes.")),
	keep: z.optional(described(list(line), "What stays in it.")),
	rules: described(
		list(
			z.strictObject({
				template: described(pathPattern, "The template."),
				output: z.optional(described(pathPattern, "The file that it becomes; default: file.")),
				if: when,
			}),
		),
		"Which template a directory has: the first rule that matches.",
	),
	copy: z.optional(
		described(
			list(
				z.strictObject({
					files: described(list(pathPattern), "With * for any text but /."),
					as: z.optional(described(pathPattern, "Its name there, where it is one file.")),
					replace: z.optional(
						described(
							list(
								z.strictObject({
									from: described(z.string().check(z.minLength(1), z.maxLength(2000)), "What stands in the file."),
									to: described(template, "What takes its place, every time."),
								}),
							),
							"Texts in it that are replaced.",
						),
					),
					if: when,
				}),
			),
			"Files that are put beside it.",
		),
	),
});

const imageName = z
	.string()
	.check(z.regex(/^[0-9A-Za-z][0-9A-Za-z._-]{0,127}$/, { error: "must be the name of an image" }));

export const imageSchema = named(
	"image",
	z.strictObject({
		image: described(imageName, "The name of the image, and of its definition."),
		header: described(header, "What the definition begins with."),
		versions: z.optional(described(versions, "Which versions there are, and in which order.")),
		versionVars: z.optional(described(variables, "Variables of each version.")),
		aliases: described(aliases, "What a version is called in tags."),
		matrix: z.optional(
			described(
				z.record(givenName, z.array(axisValue).check(z.minLength(1), z.maxLength(maxItems))),
				"Axes: entries are their product.",
			),
		),
		split: z.optional(
			described(z.record(givenName, expression), "An axis's value in parts: named groups become variables."),
		),
		directory: z.optional(described(template, "Default: the version and the axes that are not empty, with / between.")),
		file: z.optional(described(pathPattern, "Default: Dockerfile.")),
		requireDockerfile: z.optional(described(z.boolean(), "Whether entries without one are left out; default: yes.")),
		vars: z.optional(described(variables, "Variables of each entry.")),
		tagPrefix: z.optional(described(template, "What stands before every tag, with a - where it is not empty.")),
		tags: described(
			z.array(suffix).check(z.minLength(1), z.maxLength(maxItems)),
			"What is put to the aliases, in order.",
		),
		sharedTags: z.optional(described(list(suffix), "The same for SharedTags.")),
		tagSort: z.optional(described(z.boolean(), "Whether the tags of an entry are sorted.")),
		tagUnique: z.optional(described(z.literal("definition"), "A tag goes to the first entry that would have it.")),
		architectures: z.optional(described(list(archRule), "The first that matches; default: those of the FROMs.")),
		excludeArchitectures: z.optional(described(list(exclusion), "Architectures that are left out.")),
		commit: z.optional(
			described(
				z.enum(["dockerfile", "directory", "none"]),
				"Whose newest commit an entry has: the Dockerfile's with what it copies (default), or the directory's.",
			),
		),
		constraints: z.optional(described(list(conditional), "Constraints: every one whose condition holds.")),
		builder: z.optional(described(list(conditional), "Builder: the first whose condition holds.")),
		archFields: z.optional(described(list(archField), "ARCH-Directory and the like, for each architecture.")),
		fieldOrder: z.optional(
			described(list(entryField), "The order of the fields of an entry; those that are not named follow."),
		),
		omitDirectory: z.optional(described(z.boolean(), "Whether entries have no Directory.")),
		templates: z.optional(described(templates, "How the Dockerfiles are rendered.")),
		propose: z.optional(described(proposeSchema, "How the definition gets to the library.")),
	}),
	"An image of this repository.",
);

/** An image that no description was found for: a program of the repository prints its definition. */
export const scriptedImageSchema = named(
	"scriptedImage",
	z.strictObject({
		image: described(imageName, "The name of the image, and of its definition."),
		script: described(pathPattern, "An executable file of the repository that prints the definition."),
		propose: z.optional(described(proposeSchema, "How the definition gets to the library.")),
	}),
	"The last resort, where no rules give the definition: the repository's own script. It runs only where that is allowed.",
);

export type ScriptedImage = z.infer<typeof scriptedImageSchema>;
export type ImageConfig = z.infer<typeof imageSchema>;
export type Variable = z.infer<typeof variable>;
export type Variables = z.infer<typeof variables>;
export type AliasRule = z.infer<typeof aliasRule>;
export type AxisValue = z.infer<typeof axisValue>;
export type SuffixRule = z.infer<typeof suffix>;
export type ArchRule = z.infer<typeof archRule>;
export type IntersectRule = z.infer<typeof intersect>;
export type Exclusion = z.infer<typeof exclusion>;
export type HeaderField = z.infer<typeof field>;
export type EntryField = z.infer<typeof entryField>;
export type VersionsConfig = z.infer<typeof versions>;
export type TemplatesConfig = z.infer<typeof templates>;
