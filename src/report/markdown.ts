import { printable } from "../io/printable.ts";
import { failureText } from "./failure.ts";
import type { Report } from "./schema.ts";
import { countsOf, notesOf } from "./text.ts";

/** What fits one step's summary on GitHub (1 MiB), with room for what others add. */
const maxSummaryBytes = 900_000;

/** The same for a step summary. All text from outside is escaped: no Markdown, HTML or mention in it takes effect. */
export function renderMarkdown(report: Report): string {
	const icon = { complete: "✅", incomplete: "⏳", failed: "❌", cancelled: "🛑" }[report.outcome];
	const sections: string[] = [
		`## ${icon} ${escapeMarkdown(report.program)}: ${report.outcome}${report.dryRun ? " (dry run)" : ""}`,
	];
	const counts = countsOf(report).filter(([, count]) => count > 0);
	if (counts.length > 0) sections.push(counts.map(([name, count]) => `**${count}** ${name}`).join(" · "));
	if (report.errors.length > 0) sections.push(errorsOf(report.errors));
	const builds = report.builds.filter(({ state }) => state !== "present");
	if (builds.length > 0) {
		sections.push(
			"### Builds",
			table(
				["image", "architecture", "", "why", "seconds"],
				builds.map((build) => [
					escapeMarkdown(build.tags[0] ?? build.buildId.slice(0, 12)),
					escapeMarkdown(build.arch + (build.emulated ? " (emulated)" : "")),
					build.state,
					escapeMarkdown(build.error === null ? build.reason : build.error.message),
					build.seconds.toFixed(1),
				]),
			),
		);
	}
	if (report.waiting.length > 0) {
		sections.push(
			"### Waiting",
			table(
				["image", "architecture", "for"],
				report.waiting.map(({ tag, arch, reason }) => [tag, arch, reason].map(escapeMarkdown)),
			),
		);
	}
	const changed = report.tags.filter(({ change, notes }) => change !== "unchanged" || notes.length > 0);
	if (changed.length > 0) {
		sections.push(
			"### Tags",
			table(
				["tag", "", "platforms", "digest", "notes"],
				changed.map((tag) => [
					escapeMarkdown(tag.reference),
					tag.change,
					escapeMarkdown(tag.platforms.join(", ")),
					tag.digest === null ? "" : `\`${tag.digest}\``,
					notesOf(tag).map(escapeMarkdown).join("<br>"),
				]),
			),
		);
	}
	return cut(`${sections.join("\n\n")}\n`);
}

/** The summary of a step that failed before there was anything to report. */
export function renderFailures(failures: Report["errors"]): string {
	return cut(`## ❌ failed\n\n${errorsOf(failures)}\n`);
}

function errorsOf(failures: Report["errors"]): string {
	return `### Errors\n\n${failures.map((failure) => `- ${escapeMarkdown(failureText(failure))}`).join("\n")}`;
}

function table(head: readonly string[], rows: readonly (readonly string[])[]): string {
	return [head, head.map(() => "---"), ...rows].map((row) => `| ${row.join(" | ")} |`).join("\n");
}

/** Text that stays text in GitHub's Markdown, within a table too. */
export function escapeMarkdown(text: string): string {
	return printable(text.replaceAll("\n", " "), 2000)
		.replace(/[&<>]/g, (character) => ({ "&": "&amp;", "<": "&lt;", ">": "&gt;" })[character] ?? character)
		.replace(/[\\`*_{}[\]()#+!|~]/g, (character) => `&#${character.charCodeAt(0)};`)
		.replaceAll("@", "&#64;")
		.replaceAll("://", "&#58;//");
}

function cut(text: string): string {
	if (Buffer.byteLength(text) <= maxSummaryBytes) return text;
	const kept = Buffer.from(text).subarray(0, maxSummaryBytes).toString("utf8");
	return `${kept.slice(0, kept.lastIndexOf("\n"))}\n\nThe rest did not fit into this summary; report.json has everything.\n`;
}
