import type { ImageConfig } from "../config/index.ts";
import { nearest } from "../definition/text.ts";
import { BrewlineError } from "../errors.ts";
import { printable } from "../io/printable.ts";
import type { Generated, GeneratedEntry, MissingArchitecture, TagReason } from "./types.ts";

/** Why a tag is what it is, in one entry; a shared tag has one for each of its entries. */
export interface Explanation {
	readonly tag: string;
	readonly shared: boolean;
	readonly entry: GeneratedEntry;
	readonly reason: TagReason;
}

/**
 * The entries that have a tag, with the rules that gave it to them.
 * @throws BrewlineError `reference` where there is no such tag
 */
export function explainTag(generated: Generated, tag: string): readonly Explanation[] {
	const found = generated.entries.flatMap((entry) =>
		[entry.tags, entry.sharedTags].flatMap((reasons, index) =>
			reasons
				.filter((reason) => reason.tag === tag)
				.map((reason): Explanation => ({ tag, shared: index === 1, entry, reason })),
		),
	);
	if (found.length > 0) return found;
	const tags = generated.entries.flatMap(({ tags, sharedTags }) => [...tags, ...sharedTags].map((each) => each.tag));
	const near = nearest(tag, tags);
	const left = generated.left.map(({ what, reason, rule }) => `${what}: ${reason} (${rule})`);
	throw new BrewlineError("reference", `${printable(generated.image)} has no tag ${printable(tag, 150)}`, {
		hint: [
			near === undefined ? "--json lists all tags with their rules." : `Did you mean ${near}?`,
			...(left.length === 0 ? [] : [`Left out: ${printable(left.join("; "), 400)}.`]),
		].join(" "),
	});
}

/** An explanation for people. */
export function explanationText(config: ImageConfig, explanations: readonly Explanation[]): string {
	return explanations.map((each) => linesOf(config, each).join("\n")).join("\n\n");
}

function linesOf(config: ImageConfig, { tag, shared, entry, reason }: Explanation): readonly string[] {
	const axes = Object.entries(entry.axes).map(([axis, value]) => `${axis} "${value}"`);
	const rule = (name: string): string => `${name}${textOf(config, name)}`;
	return [
		`${config.image}:${tag}${shared ? ", a shared tag," : ""} is ${[`version ${entry.version}`, ...axes].join(", ")}`,
		`  from          ${entry.directory === "" ? "" : `${entry.directory}/`}${entry.file}`,
		`  tag           ${rule(reason.rule)}`,
		`  alias         ${reason.alias}, by ${rule(reason.aliasRule)}`,
		...(entry.commit === undefined ? [] : [`  commit        ${entry.commit}`]),
		`  built for     ${entry.architectures.join(", ")}`,
		...entry.missing.map((each) => `  not for       ${missingText(each)}`),
	].map((line) => printable(line, 1000));
}

function missingText({ architecture, rule, reason }: MissingArchitecture): string {
	return `${architecture}: ${reason} (${rule})`;
}

const maxRule = 160;

/** What the configuration has at the path of a rule, in one line. */
function textOf(config: ImageConfig, rule: string): string {
	const value = rule
		.split(".")
		.reduce<unknown>(
			(at, key) => (typeof at === "object" && at !== null && Object.hasOwn(at, key) ? at[key as never] : undefined),
			config,
		);
	if (value === undefined) return "";
	const text = JSON.stringify(value);
	return `: ${text.length > maxRule ? `${text.slice(0, maxRule)}…` : text}`;
}
