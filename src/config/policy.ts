import type { Architecture, PolicyRule, Program } from "./types.ts";

/** What holds for an image on an architecture. */
export interface Policy {
	/** Whether tags wait for it: `required`, always; `optional`, until the deadline; `best-effort`, never. */
	readonly platforms: "required" | "optional" | "best-effort";
	/** Seconds since it was first seen to be missing; null where it is not optional. */
	readonly deadline: number | null;
	/** Minutes. */
	readonly timeLimit: number;
	readonly runner: string | null;
	readonly builder: string | null;
	readonly emulate: boolean;
	readonly via: string | null;
	/** What a digest must have before it is published: nothing, or a test that it passed. */
	readonly require: readonly "test"[];
}

/** Seconds after which what is optional is not waited for any more, where no rule says another. */
const usualDeadline = 24 * 3600;

const unitSeconds = { m: 60, h: 3600, d: 24 * 3600 } as const;

/** `90m`, `48h`, `7d` in seconds; undefined: it is no duration. */
export function durationOf(text: string): number | undefined {
	const [, number, unit] = /^([0-9]{1,6})([mhd])$/.exec(text) ?? [];
	return unit === undefined ? undefined : Number(number) * unitSeconds[unit as keyof typeof unitSeconds];
}

/** Patterns are written once for many questions, and asked for tens of thousands of tags. */
const compiled = new WeakMap<PolicyRule, (tag: string) => boolean>();

/**
 * The policy of an image with these full tags (`NAME:TAG`): what the architecture itself says, changed by the rules that
 * match one of them, later ones first.
 */
export function policyOf(
	program: Pick<Program, "architectures" | "policies" | "timeLimit">,
	tags: readonly string[],
	arch: string,
): Policy {
	const own: Architecture | undefined = Object.hasOwn(program.architectures, arch)
		? program.architectures[arch]
		: undefined;
	const settings: Omit<PolicyRule, "images" | "architectures"> = Object.assign(
		{
			platforms: "best-effort" as const,
			timeLimit: program.timeLimit,
			runner: own?.runner ?? null,
			...(own?.builder === undefined ? {} : { builder: own.builder }),
			...(own?.emulate === undefined ? {} : { emulate: own.emulate }),
			...(own?.via === undefined ? {} : { via: own.via }),
		},
		...program.policies.filter((rule) => matches(rule, tags, arch)),
	);
	const platforms = settings.platforms ?? "best-effort";
	return {
		platforms,
		deadline: platforms === "optional" ? (durationOf(settings.deadline ?? "") ?? usualDeadline) : null,
		timeLimit: settings.timeLimit ?? program.timeLimit,
		runner: settings.runner ?? null,
		builder: settings.builder ?? null,
		emulate: settings.emulate ?? false,
		via: settings.via ?? null,
		require: settings.require ?? [],
	};
}

/**
 * Seconds after which no tag of a build waits for it any more because it is optional: the longest deadline of those for
 * which it is; null where it is for none. Rules are for tags, so that those of one build can have different ones.
 */
export function deadlineOf(
	program: Pick<Program, "architectures" | "policies" | "timeLimit">,
	tags: readonly string[],
	arch: string,
): number | null {
	const deadlines = tags.flatMap((tag) => policyOf(program, [tag], arch).deadline ?? []);
	return deadlines.length === 0 ? null : Math.max(...deadlines);
}

function matches(rule: PolicyRule, tags: readonly string[], arch: string): boolean {
	if (rule.architectures !== undefined && !rule.architectures.includes(arch)) return false;
	if (rule.images === undefined) return true;
	let matcher = compiled.get(rule);
	if (matcher === undefined) {
		const patterns = rule.images.map(imagePattern);
		matcher = (tag) => patterns.some((pattern) => pattern(tag));
		compiled.set(rule, matcher);
	}
	return tags.some(matcher);
}

/**
 * The images in rules that are none of these full tags, as `program.policies.0.images.1: NAME`: a rule that is mistyped holds
 * for nothing, and nobody would miss it before the day on which it is needed.
 */
export function unmatchedImages({ policies }: Pick<Program, "policies">, tags: ReadonlySet<string>): readonly string[] {
	return policies.flatMap(({ images = [] }, rule) =>
		images.flatMap((image, index) =>
			tags.values().some(imagePattern(image)) ? [] : [`program.policies.${rule}.images.${index}: ${image}`],
		),
	);
}

/** `NAME` is all tags of an image; `*` in it, or in `NAME:TAG`, any run of characters. */
export function imagePattern(pattern: string): (tag: string) => boolean {
	const whole = pattern.includes(":") ? pattern : `${pattern}:*`;
	const [start, ...rest] = whole.split("*");
	const end = rest.pop();
	if (end === undefined) return (tag) => tag === whole;
	return (tag) => {
		if (!tag.startsWith(start!)) return false;
		let at = start!.length;
		// Each part as early as it can be: what comes after it then has the most room.
		for (const part of rest) {
			const found = tag.indexOf(part, at);
			if (found < 0) return false;
			at = found + part.length;
		}
		return tag.length - end.length >= at && tag.endsWith(end);
	};
}
