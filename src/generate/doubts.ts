import type { ImageConfig } from "../config/index.ts";
import type { Io } from "../io/index.ts";
import { printable } from "../io/printable.ts";
import { compareCodePoints } from "../json/index.ts";
import type { Generated } from "./types.ts";

/** More names than these are a number. */
const maxNames = 5;

/** Says what is doubtful about definitions of one repository; each thing once, also where several images have it. */
export function sayDoubts(images: readonly ImageConfig[], done: ReadonlyMap<string, Generated>, { log }: Io): void {
	const all = [...done.values()];
	const changed = [...new Set(all.flatMap(({ uncommitted }) => uncommitted))].sort(compareCodePoints);
	if (changed.length > 0) {
		const one = changed.length === 1;
		log({
			type: "message",
			level: "warning",
			text: `${some(changed)} ${one ? "is" : "are"} not as in the newest commit: the definition is made from what is here, and names commits that do not have it`,
			hint: `Commit ${one ? "it" : "them"}, and generate once more.`,
		});
	}
	const warnings = new Map(all.flatMap(({ warnings }) => warnings.map((one) => [JSON.stringify(one), one] as const)));
	for (const { message, at, hint } of warnings.values()) {
		log({ type: "message", level: "warning", text: message, at, hint });
	}
	for (const config of images) sayLeft(config, done.get(config.image)!, log);
}

function sayLeft({ templates }: ImageConfig, { image, left }: Generated, log: Io["log"]): void {
	const missing = left.filter(({ rule }) => rule === "requireDockerfile").map(({ what }) => what);
	if (missing.length > 0) {
		const render = templates === undefined ? "Add" : 'Render the templates ("brewline render"), or add';
		log({
			type: "message",
			level: "warning",
			text: `${image}: there is no ${some(missing)}: what would be built from ${missing.length === 1 ? "it" : "them"} is left out (requireDockerfile)`,
			hint: `${render} what is missing; what is not meant to be there, let versions or matrix leave out.`,
		});
	}
	for (const { what, reason, rule } of left) {
		// What names a version that is gone is easily overlooked, and takes an alias away.
		const level = rule.startsWith("aliases.") ? "warning" : "debug";
		log({ type: "message", level, text: `${image}: without ${what}: ${reason} (${rule})` });
	}
}

function some(names: readonly string[]): string {
	const shown = names.slice(0, maxNames).map((name) => printable(name, 200));
	const rest = names.length - shown.length;
	const last = rest > 0 ? `${rest} more` : shown.pop()!;
	return shown.length === 0 ? last : `${shown.join(", ")} and ${last}`;
}
