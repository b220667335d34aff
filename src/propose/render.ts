import { printable } from "../io/printable.ts";
import { escapeMarkdown } from "../report/markdown.ts";
import type { Proposal } from "./types.ts";

/** A proposal in words, for a terminal or a log. */
export function proposalText(proposal: Proposal): string {
	const { images, outcome, reason, url, branch, commit, commits, title, dryRun } = proposal;
	const what = images.length === 0 ? branch : images.join(", ");
	const lines = [`${printable(what, 300)}: ${outcome}${dryRun ? " (dry run)" : ""}: ${printable(reason, 500)}`];
	if (title !== null) lines.push(`  ${printable(title, 300)}`);
	for (const { id, subject } of commits.slice(0, shown))
		lines.push(`    ${id.slice(0, 12)} ${printable(subject, 200)}`);
	if (commits.length > shown) lines.push(`    and ${commits.length - shown} more`);
	if (url !== null) lines.push(`  ${printable(url)}`);
	else if (commit !== null) lines.push(`  ${printable(branch)} ${commit}`);
	return lines.join("\n");
}

/** The same for the summary of a step. */
export function proposalMarkdown(proposal: Proposal): string {
	const { images, outcome, reason, url, branch, commits, title, dryRun } = proposal;
	const what = images.length === 0 ? branch : images.join(", ");
	const link = url === null ? `the branch ${escapeMarkdown(branch)}` : `<${url}>`;
	const list = commits.slice(0, shown).map(({ id, subject }) => `- \`${id.slice(0, 12)}\` ${escapeMarkdown(subject)}`);
	if (commits.length > shown) list.push(`- and ${commits.length - shown} more`);
	return [
		`### Proposal: ${escapeMarkdown(what)}`,
		`**${outcome}**${dryRun ? " (dry run)" : ""}: ${escapeMarkdown(reason)}. ${link}`,
		...(title === null ? [] : [escapeMarkdown(title)]),
		...(list.length === 0 ? [] : [list.join("\n")]),
	].join("\n\n");
}

const shown = 20;
