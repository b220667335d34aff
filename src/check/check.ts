import { architectureOptions } from "../config/architectures.ts";
import type { Program } from "../config/types.ts";
import { parseDefinition, type Definition, type MergedEntry, type Selection } from "../definition/index.ts";
import { BrewlineError } from "../errors.ts";
import type { GitStore } from "../git/index.ts";
import { checkAliases } from "./aliases.ts";
import { basesOf, type BaseOptions } from "./bases.ts";
import { checkCommits } from "./commits.ts";
import { checkConstraints } from "./constraints.ts";
import { gather, type ReadDockerfiles } from "./dockerfiles.ts";
import { checkFroms } from "./froms.ts";
import { checkGuidelines } from "./guidelines.ts";
import { checkPublished } from "./published.ts";
import { isRule, type RuleId, rules } from "./rules.ts";
import { checkSuppressions, isAbout, sift, type Suppressed, unusedDraft } from "./suppress.ts";
import { checkLatest, checkSharedTags } from "./tags.ts";
import type { Draft, Finding } from "./types.ts";

/** A definition that may have errors. */
export interface DefinitionText {
	/** The image. */
	readonly name: string;
	/** What its file is called in findings. */
	readonly file: string;
	/** Or why it cannot be read. */
	readonly text: string | Uint8Array | BrewlineError;
}

export interface CheckInput {
	readonly definitions: readonly DefinitionText[];
	/** Digests of images from outside, by their FROM. Without them, images from outside are not judged. */
	readonly pins?: ReadonlyMap<string, string>;
}

export interface CheckIo {
	/** The library's definition of an image that is not checked; undefined: there is none. */
	readonly find: (image: string) => Promise<DefinitionText | undefined>;
	/** What is published of an image; undefined: it is new. Without this, nothing is compared. */
	readonly published?: (image: string) => Promise<DefinitionText | undefined>;
	/** Why an entry with this tag has an architecture no more, as its generator knows it. */
	readonly explained?: (image: string, tag: string, arch: string) => string | undefined;
	readonly dockerfiles: ReadDockerfiles;
	/** What is behind a pin; undefined: it is not there. Without this, pinned images are taken to have everything. */
	readonly architecturesOf?: BaseOptions["architecturesOf"];
	/** Looks at the histories behind commits. */
	readonly git: Pick<GitStore, "repository">;
}

export interface CheckOptions {
	readonly program: Pick<Program, "architectures" | "defaultArchitecture" | "checks">;
	/** Default: all. What only others need is not looked at. */
	readonly rules?: ReadonlySet<RuleId>;
	/** Whether the definitions are all of the library: a suppression that suppresses nothing then is of no use. Default: no. */
	readonly whole?: boolean;
}

export interface Checked {
	/** In the order of the definitions and their lines. */
	readonly findings: readonly Finding[];
	readonly suppressed: readonly Suppressed<Finding>[];
}

/** Checks definitions (docs/checks.md). What is wrong with them is a finding; what is thrown is about something else. */
export async function check(input: CheckInput, io: CheckIo, options: CheckOptions): Promise<Checked> {
	const { program } = options;
	checkSuppressions(program.checks.suppress);
	const wanted = options.rules ?? new Set(Object.keys(rules) as RuleId[]);
	const needs = (what: string): boolean => [...wanted].some((id) => rules[id].needs === what);
	const drafts: Draft[] = [];
	const read = ({ name, file, text }: DefinitionText, as?: "published"): Definition | undefined => {
		try {
			if (text instanceof BrewlineError) throw text;
			return parseDefinition(text, { file, ...architectureOptions(program) });
		} catch (error) {
			const errors = unreadable(name, file, error);
			// A change that mends what is published must not be stopped by it.
			if (as === "published") drafts.push({ ...errors[0]!, rule: "published-unreadable" });
			else drafts.push(...errors);
			return undefined;
		}
	};
	const definitions = new Map(input.definitions.map((one) => [one.name, read(one)]));
	const selections: Selection[] = [];
	for (const [name, definition] of definitions) {
		if (definition === undefined) continue;
		selections.push({ reference: name, name, tag: null, definition, entries: definition.entries });
		for (const { message, at, hint } of definition.warnings) {
			drafts.push({
				rule: "definition-doubtful",
				image: name,
				at,
				message,
				...(hint === undefined ? {} : { fix: hint }),
			});
		}
	}
	drafts.push(...checkLatest(selections), ...checkSharedTags(selections, program.checks), ...checkAliases(selections));
	let baseLack: (entry: MergedEntry, arch: string) => string | undefined = () => undefined;
	if (needs("dockerfiles")) {
		const gathered = await gather(selections, io.dockerfiles, (arch) => program.architectures[arch]!.platform);
		const bases = await basesOf(gathered.entries, {
			checks: program.checks,
			pins: input.pins,
			architecturesOf: io.architecturesOf,
			find: async (image) => {
				if (definitions.has(image)) return definitions.get(image);
				const found = await io.find(image);
				return found === undefined ? undefined : read(found);
			},
		});
		const fromsOf = new Map(gathered.entries.map(({ entry, froms }) => [entry, froms]));
		baseLack = (entry, arch) => {
			const froms = fromsOf.get(entry)?.values() ?? [];
			for (const from of [...froms].flat()) {
				const lack = bases.lack(from, arch);
				if (lack !== undefined) return `FROM ${from}: ${lack.why}`;
			}
			return undefined;
		};
		drafts.push(
			...gathered.drafts,
			...bases.drafts,
			...checkFroms(gathered.entries, bases),
			...checkConstraints(gathered.entries, bases, program.checks),
			...checkGuidelines(gathered.texts),
		);
	}
	if (io.published !== undefined && needs("published")) {
		const published = new Map<string, Definition | undefined>();
		for (const { name } of selections) {
			const before = await io.published(name);
			published.set(name, before === undefined ? undefined : read(before, "published"));
		}
		drafts.push(
			...checkPublished(selections, {
				published: (image) => published.get(image),
				explained: (image, entry, arch) => io.explained?.(image, entry.Tags[0]!, arch) ?? baseLack(entry, arch),
			}),
		);
	}
	if (needs("history")) drafts.push(...(await checkCommits(selections, io.git, program.checks)));
	const isBlind = ({ rule }: Draft): boolean => "blind" in rules[rule];
	const blind = new Set(drafts.filter(isBlind).map(({ image }) => image));
	// What could not be looked at may have what is suppressed.
	const names = new Set(input.definitions.map(({ name }) => name).filter((name) => !blind.has(name)));
	const whole = options.whole === true && blind.size === 0;
	const canFind = (id: RuleId): boolean =>
		wanted.has(id) && (rules[id].needs !== "published" || io.published !== undefined);
	const { left, suppressed, unused } = sift(
		drafts.filter(({ rule }) => wanted.has(rule)),
		program.checks.suppress,
		(one) => isRule(one.rule) && canFind(one.rule) && isAbout(one, names, whole),
	);
	const { documentation } = program.checks;
	const finding = (draft: Draft): Finding => ({
		...draft,
		severity: rules[draft.rule].severity,
		link: documentation.replaceAll("{rule}", draft.rule),
	});
	const order = new Map(input.definitions.map(({ name }, index) => [name, index]));
	const findings = [...left, ...(wanted.has("unused-suppression") ? unused.map(unusedDraft) : [])];
	return {
		findings: findings
			.map(finding)
			.sort(
				(a, b) =>
					(order.get(a.image) ?? order.size) - (order.get(b.image) ?? order.size) ||
					(a.at?.line ?? 0) - (b.at?.line ?? 0),
			),
		suppressed: suppressed.map((one) => ({ finding: finding(one.finding), reason: one.reason })),
	};
}

function unreadable(image: string, file: string, error: unknown): readonly Draft[] {
	if (!(error instanceof BrewlineError)) throw error;
	return (error.errors.length === 0 ? [error] : error.errors).map(({ message, at, hint }): Draft => ({
		rule: "definition",
		image,
		message,
		at: { ...at, file },
		...(hint === undefined ? {} : { fix: hint }),
	}));
}
