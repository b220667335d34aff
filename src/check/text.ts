import { counted, printable } from "../io/printable.ts";
import { locationText } from "../report/failure.ts";
import type { Style } from "../report/index.ts";
import type { Checked } from "./check.ts";
import { type Finding, sourceText } from "./types.ts";

/** Findings for a terminal or a log; what is the same for several entries of an image is said once. */
export function textOf({ findings, suppressed }: Checked, style: Style): string {
	const lines: string[] = [];
	const color = { error: style.red, warning: style.yellow, note: style.dim };
	for (const group of Map.groupBy(findings, ({ rule, image, message }) =>
		JSON.stringify([rule, image, message]),
	).values()) {
		const [finding] = group as [Finding];
		const { severity, rule, image, tag, at, message, fix } = finding;
		const place = at === undefined ? "" : `${locationText(at)}: `;
		const name = printable(tag === undefined ? image : `${image}:${tag}`);
		lines.push(
			`${place}${color[severity](severity)} ${style.bold(name)}: ${printable(message, 2000)}${printable(sourceText(finding))} [${rule}]`,
		);
		if (group.length > 1) lines.push(`  and in ${counted(group.length - 1, "more place")}`);
		if (fix !== undefined) lines.push(`  ${printable(fix, 2000)}`);
	}
	for (const [rule, [finding]] of Map.groupBy(findings, ({ rule }) => rule)) {
		lines.push(style.dim(`${rule}: ${printable(finding!.link)}`));
	}
	const hidden = suppressed.length === 0 ? "" : `; ${suppressed.length} suppressed`;
	lines.push(`${countsOf(findings)}${hidden}`);
	return lines.map((line) => `${line}\n`).join("");
}

/** `1 error, 2 warnings`. */
export function countsOf(findings: readonly Finding[]): string {
	const counts = (["error", "warning", "note"] as const).flatMap((severity) => {
		const count = findings.filter((one) => one.severity === severity).length;
		return count === 0 ? [] : [counted(count, severity)];
	});
	return counts.length === 0 ? "nothing found" : counts.join(", ");
}
