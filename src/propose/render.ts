import { printable } from "../io/printable.ts";
import { failuresOf, failureText } from "../report/failure.ts";
import { escapeMarkdown } from "../report/markdown.ts";
import type { Attempt } from "./attempts.ts";
import type { Proposal } from "./types.ts";

/** What came of an image in words, for a terminal or a log. */
export function attemptText(attempt: Attempt): string {
	if ("proposal" in attempt) return proposalText(attempt.proposal);
	return `${printable(attempt.image, 300)}: failed: ${failuresOf(attempt.error).map(failureText).join("\n")}`;
}

/** The same for the summary of a step. */
export function attemptMarkdown(attempt: Attempt): string {
	if ("proposal" in attempt) return proposalMarkdown(attempt.proposal);
	const why = failuresOf(attempt.error).map((failure) => escapeMarkdown(failureText(failure)));
	return `${headOf(attempt.image)}\n\n**failed**: ${why.join("; ")}`;
}

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

/** A proposal for the summary of a step. */
export function proposalMarkdown(proposal: Proposal): string {
	const { images, outcome, reason, url, branch, commits, title, dryRun } = proposal;
	const what = images.length === 0 ? branch : images.join(", ");
	const link = url === null ? `the branch ${escapeMarkdown(branch)}` : `<${url}>`;
	const list = commits.slice(0, shown).map(({ id, subject }) => `- \`${id.slice(0, 12)}\` ${escapeMarkdown(subject)}`);
	if (commits.length > shown) list.push(`- and ${commits.length - shown} more`);
	return [
		headOf(what),
		`**${outcome}**${dryRun ? " (dry run)" : ""}: ${escapeMarkdown(reason)}. ${link}`,
		...(title === null ? [] : [escapeMarkdown(title)]),
		...(list.length === 0 ? [] : [list.join("\n")]),
	].join("\n\n");
}

function headOf(what: string): string {
	return `### Proposal: ${escapeMarkdown(what)}`;
}

const shown = 20;
