import { printable } from "../io/printable.ts";
import type { Checked } from "./check.ts";
import { type Finding, runnerLevels, sourceText } from "./types.ts";

/**
 * Findings as commands of GitHub's runner, a line each. Whatever a definition has in it, it stays in its line, and in its
 * part of it.
 */
export function annotationsOf({ findings }: Pick<Checked, "findings">): string {
	return findings.map((finding) => `${annotation(finding)}\n`).join("");
}

function annotation(finding: Finding): string {
	const { severity, rule, image, tag, at, message, fix, link } = finding;
	const place =
		at === undefined
			? []
			: [
					`file=${property(at.file)}`,
					...(at.line === undefined ? [] : [`line=${at.line}`]),
					...(at.column === undefined ? [] : [`col=${at.column}`]),
				];
	const title = `title=${property(`${rule}: ${tag === undefined ? image : `${image}:${tag}`}`)}`;
	const lines = [`${message}${sourceText(finding)}`, ...(fix === undefined ? [] : [fix]), link];
	return `::${runnerLevels[severity]} ${[...place, title].join(",")}::${lines.map(data).join("%0A")}`;
}

function data(text: string): string {
	return printable(text, 2000).replaceAll("%", "%25").replaceAll("\r", "%0D").replaceAll("\n", "%0A");
}

function property(text: string): string {
	return data(text).replaceAll(":", "%3A").replaceAll(",", "%2C");
}
