import { printable } from "../io/printable.ts";
import { failureText } from "./failure.ts";
import type { BuildReport, Report, TagReport } from "./schema.ts";
import type { Style } from "./style.ts";

/** Of more tags than these of which there is nothing to say, only the number is: what changed would drown in them. */
const maxQuiet = 100;

/** The end of a run for a terminal or a log: what was built, what waits, every tag with its platforms and digest. */
export function renderText(report: Report, style: Style): string {
	const lines: string[] = [];
	const built = report.builds.filter(({ state }) => state !== "present");
	if (built.length > 0) {
		lines.push(style.bold("Builds"));
		for (const build of built) lines.push(`  ${buildLine(build, style)}`);
	}
	lines.push(
		...reusedLines(
			report.builds.filter(({ state }) => state === "present"),
			style,
		),
	);
	if (report.waiting.length > 0) {
		lines.push(style.bold("Waiting"));
		for (const { tag, arch, reason } of report.waiting) {
			lines.push(`  ${printable(tag)} ${printable(arch)}: ${printable(reason)}`);
		}
	}
	if (report.tags.length > 0) {
		lines.push(style.bold("Tags"));
		const width = Math.min(60, Math.max(...report.tags.map(({ reference }) => reference.length)));
		const isQuiet = (tag: TagReport): boolean => tag.change === "unchanged" && notesOf(tag).length === 0;
		const quiet = report.tags.filter(isQuiet).length;
		for (const tag of report.tags) {
			if (quiet <= maxQuiet || !isQuiet(tag)) lines.push(...tagLines(tag, width, style));
		}
		if (quiet > maxQuiet) lines.push(style.dim(`  and ${quiet} that hold what they held: report.json has them all`));
	}
	for (const failure of report.errors) lines.push(`${style.red("error")} ${failureText(failure)}`);
	lines.push(closingLine(report, style));
	return `${lines.join("\n")}\n`;
}

/** Nearly everything is reused in most runs, for one and the same reason: that is said once, with some names. */
function reusedLines(reused: readonly BuildReport[], style: Style): string[] {
	return [...Map.groupBy(reused, ({ reason }) => reason)].map(([reason, builds]) => {
		const names = builds.slice(0, 3).map(({ tags, buildId, arch }) => printable(`${tags[0] ?? buildId} ${arch}`));
		const more = builds.length > names.length ? ` and ${builds.length - names.length} more` : "";
		return style.dim(`Reused ${names.join(", ")}${more}: ${printable(reason)}`);
	});
}

function buildLine(build: BuildReport, style: Style): string {
	const name = `${printable(build.tags[0] ?? build.buildId)} ${printable(build.arch)}`;
	const time = build.seconds > 0 ? `, ${build.seconds.toFixed(1)} s` : "";
	const emulated = build.emulated ? ", emulated" : "";
	const color = build.state === "built" ? style.green : build.state === "planned" ? style.yellow : style.red;
	const error = build.error === null ? "" : `\n    ${failureText(build.error).replaceAll("\n", "\n    ")}`;
	const log = build.log === null || build.error === null ? "" : `\n    log: ${printable(build.log)}`;
	return `${color(build.state)} ${name} (${printable(build.reason)}${emulated}${time})${error}${log}`;
}

function tagLines(tag: TagReport, width: number, style: Style): string[] {
	const change =
		tag.change === "unchanged"
			? style.dim(tag.change)
			: tag.change === "held" || tag.change === "failed"
				? style.red(tag.change)
				: style.green(tag.change);
	const head = `  ${printable(tag.reference).padEnd(width)}  ${tag.digest ?? "-"}  ${change}`;
	return [
		head,
		`    ${style.dim(tag.platforms.map((platform) => printable(platform)).join(", ") || "no platform")}`,
		...notesOf(tag).map((note) => `    ${style.yellow(printable(note, 1000))}`),
	];
}

/** All that is to be said of a tag, a line each. */
export function notesOf({ notes, removed = [], unserved = [] }: TagReport): readonly string[] {
	return [
		...notes,
		...removed.map((platform) => `no longer defined for ${platform}`),
		...(unserved.length === 0 ? [] : [`not built here: ${unserved.join(", ")}`]),
	];
}

/** One line: the outcome and the counts that matter. */
export function closingLine(report: Report, style: Style): string {
	const counts = countsOf(report)
		.filter(([, count]) => count > 0)
		.map(([name, count]) => `${count} ${name}`);
	const color =
		report.outcome === "complete" ? style.green : report.outcome === "incomplete" ? style.yellow : style.red;
	const dry = report.dryRun ? "dry run, nothing was changed; " : "";
	return `${color(report.outcome)}: ${dry}${counts.join(", ") || "nothing to do"} in ${report.seconds.toFixed(1)} s`;
}

/** What a run did, as pairs of a name and a number. */
export function countsOf(report: Report): (readonly [string, number])[] {
	const builds = (...states: readonly BuildReport["state"][]) =>
		report.builds.filter(({ state }) => states.includes(state)).length;
	const tags = (change: TagReport["change"], what: string): readonly [string, number] => {
		const count = report.tags.filter((tag) => tag.change === change).length;
		return [`${count === 1 ? "tag" : "tags"} ${what}`, count];
	};
	return [
		["built", builds("built")],
		["to build", builds("planned")],
		["reused", builds("present")],
		["failed", builds("failed", "timed-out", "cancelled")],
		["waiting", report.waiting.length],
		tags("created", report.dryRun ? "to create" : "created"),
		tags("updated", report.dryRun ? "to update" : "updated"),
		tags("unchanged", "unchanged"),
		tags("held", "held"),
		tags("failed", "failed"),
	];
}
