import { imagePattern } from "../config/policy.ts";
import type { Suppression } from "../config/types.ts";
import { nearest } from "../definition/text.ts";
import { BrewlineError } from "../errors.ts";
import { printable } from "../io/printable.ts";
import { isRule, type Rule, type RuleId, rules } from "./rules.ts";
import type { Draft } from "./types.ts";

export interface Suppressed<Found extends Draft> {
	readonly finding: Found;
	readonly reason: string;
}

export interface Sifted<Found extends Draft> {
	readonly left: readonly Found[];
	readonly suppressed: readonly Suppressed<Found>[];
	readonly unused: readonly Suppression[];
}

/** @throws BrewlineError `config` where a suppression names no rule, or one that cannot be suppressed */
export function checkSuppressions(suppressions: readonly Suppression[]): void {
	for (const [index, { rule }] of suppressions.entries()) {
		const at = `program.checks.suppress.${index}.rule`;
		if (!isRule(rule)) {
			const near = nearest(rule, Object.keys(rules));
			throw new BrewlineError("config", `${at}: there is no rule ${printable(rule, 80)}`, {
				hint: near === undefined ? "brewline check --rules lists them" : `did you mean ${near}?`,
			});
		}
		const { blind }: Rule = rules[rule];
		if (blind === true || rule === "unused-suppression") {
			throw new BrewlineError("config", `${at}: ${rule} cannot be suppressed`, {
				hint: "it says that something could not be checked at all",
			});
		}
	}
}

/**
 * Takes out what is suppressed. A finding about several tags is suppressed only where all of them are.
 * `looked`: whether a suppression could have had something to suppress; others are not called unused.
 */
export function sift<Found extends Draft>(
	findings: readonly Found[],
	suppressions: readonly Suppression[],
	looked: (suppression: Suppression) => boolean,
): Sifted<Found> {
	const used = new Set<Suppression>();
	const left: Found[] = [];
	const suppressed: Suppressed<Found>[] = [];
	for (const finding of findings) {
		const by = suppressions.find((one) => one.rule === finding.rule && covers(one, finding));
		if (by === undefined) left.push(finding);
		else {
			used.add(by);
			suppressed.push({ finding, reason: by.reason });
		}
	}
	return { left, suppressed, unused: suppressions.filter((one) => !used.has(one) && looked(one)) };
}

function covers({ images }: Suppression, { image, tag = "", details }: Draft): boolean {
	if (images === undefined) return true;
	const patterns = images.map(imagePattern);
	const tags: unknown = details?.["tags"];
	const names = Array.isArray(tags)
		? tags.map((one) => (String(one).includes(":") ? String(one) : `${image}:${String(one)}`))
		: [`${image}:${tag}`];
	return names.every((name) => patterns.some((pattern) => pattern(name)));
}

/** Whether a suppression is for one of these images; where they are all of the library, one for all images is too. */
export function isAbout({ images }: Suppression, names: ReadonlySet<string>, whole: boolean): boolean {
	if (images === undefined) return whole;
	return whole || images.some((pattern) => names.has(pattern.split(":")[0]!));
}

export function unusedDraft({ rule, images, reason }: Suppression): Draft {
	return {
		rule: "unused-suppression" satisfies RuleId,
		image: images?.[0]?.split(":")[0] ?? "*",
		message: `nothing of ${rule}${images === undefined ? "" : ` in ${images.join(", ")}`} is there to be suppressed`,
		fix: `Take it out of program.checks.suppress; its reason was: ${reason}`,
	};
}
