import { countsOf, type Finding, runnerLevels } from "../../check/index.ts";
import { printable } from "../../io/index.ts";
import { type Attempt, attemptMarkdown, attemptText } from "../../propose/index.ts";
import { escapeMarkdown, exitCodeOf, failuresOf, failureText } from "../../report/index.ts";
import type { Change } from "../../template/index.ts";
import type { Annotation, Told } from "../runner.ts";
import type { Written } from "./steps.ts";

/** What came of the steps; of one that was not taken, nothing. */
export interface Done {
	/** What is not as the templates would have it. */
	readonly rendered?: readonly Change[];
	readonly definitions?: readonly Written[];
	readonly findings?: readonly Finding[];
	readonly proposals?: readonly Attempt[];
	/** Why nothing was proposed. */
	readonly idle?: string;
	/** What ended the steps. */
	readonly error?: unknown;
}

/** Characters of one diff, and of all: a step's summary may have a million. */
const maxDiff = 100_000;
const maxDiffs = 500_000;
const maxRows = 200;

export function isSound({ rendered = [], findings = [] }: Done): boolean {
	return rendered.length === 0 && !findings.some(({ severity }) => severity === "error");
}

/** What the steps say: first what is wrong, then what is new, then what was proposed. */
export function toldOf(done: Done): Told {
	const { rendered, definitions = [], findings, proposals = [], idle, error } = done;
	const failures = error === undefined ? [] : failuresOf(error);
	const foreign = proposals.flatMap((one) =>
		"proposal" in one && one.proposal.outcome === "foreign" ? [one.proposal] : [],
	);
	const annotations: Annotation[] = [
		...failures,
		...(rendered ?? []).map(({ path, kind }) => ({
			code: "template",
			message: `${path} is not as it is rendered: it would be ${kind}`,
			hint: 'run "brewline render", and commit what it changes',
			at: { file: path },
		})),
		...(findings ?? []).map(annotationOf),
		...foreign.map(({ reason }) => ({ code: "incomplete", message: reason, hint: overwriting })),
	];
	const exitCode = error !== undefined ? exitCodeOf(error) : !isSound(done) ? 1 : foreign.length > 0 ? 7 : 0;
	const names = definitions.map(({ image }) => image).join(", ");
	const icon = exitCode === 0 ? "✅" : "❌";
	const sections = [
		`## ${icon} ${escapeMarkdown(names === "" ? "templates" : names)}`,
		...(failures.length === 0 ? [] : [failures.map((one) => `- ${escapeMarkdown(failureText(one))}`).join("\n")]),
		...(rendered === undefined ? [] : renderedSection(rendered)),
		...(findings === undefined ? [] : findingsSection(findings)),
		...definitions.map((one) => definitionSection(one, Math.min(maxDiff, Math.floor(maxDiffs / definitions.length)))),
		...proposals.map(attemptMarkdown),
		...(idle === undefined ? [] : [`Not proposed: ${escapeMarkdown(idle)}.`]),
	];
	const lines = [
		...(rendered === undefined
			? []
			: [`templates: ${rendered.length === 0 ? "all as rendered" : `not as rendered: ${rendered.length}`}`]),
		...definitions.map(
			({ image, diff }) =>
				`${printable(image)}: ${diff === "" ? "as the library has it" : "differs from the library's"}`,
		),
		...(findings === undefined ? [] : [`checks: ${countsOf(findings)}`]),
		...proposals.map(attemptText),
		...(idle === undefined ? [] : [`not proposed: ${idle}`]),
	];
	return { text: lines.join("\n"), markdown: `${sections.join("\n\n")}\n`, annotations, exitCode };
}

const overwriting = "take their commits over into the repository, or run this once with overwrite: true";

function annotationOf({ rule, severity, message, fix, at, source }: Finding): Annotation {
	// A definition is no file of the repository: a Dockerfile is the place to look at, if it is one of here.
	const place =
		source === undefined ? at : { file: source.file, ...(source.line === undefined ? {} : { line: source.line }) };
	return {
		level: runnerLevels[severity],
		code: rule,
		message,
		...(fix === undefined ? {} : { hint: fix }),
		...(place === undefined ? {} : { at: place }),
	};
}

function renderedSection(changes: readonly Change[]): string[] {
	if (changes.length === 0) return ["All files are as the templates render them."];
	const rows = changes.map(({ path, kind, after }) => [path, kind, after?.source ?? ""].map(escapeMarkdown));
	return [
		"### Not as rendered\n\nRun `brewline render`, and commit what it changes.",
		table(["file", "would be", "from"], rows),
	];
}

function findingsSection(findings: readonly Finding[]): string[] {
	if (findings.length === 0) return ["The checks found nothing."];
	const order = Object.keys(runnerLevels);
	const sorted = findings.toSorted((a, b) => order.indexOf(a.severity) - order.indexOf(b.severity));
	const rows = sorted.map(({ rule, severity, image, tag, message, fix, link }) => [
		severity,
		/^https?:\/\/[\w.~:/?#&=%-]+$/.test(link) ? `[${rule}](${link})` : rule,
		escapeMarkdown(tag === undefined ? image : `${image}:${tag}`),
		escapeMarkdown(message) + (fix === undefined ? "" : `<br>${escapeMarkdown(fix)}`),
	]);
	return [`### Checks: ${countsOf(findings)}`, table(["", "rule", "where", "what"], rows)];
}

function definitionSection({ image, diff, published }: Written, most: number): string {
	const name = escapeMarkdown(image);
	if (diff === "") return `The definition of ${name} is as the library has it.`;
	const shown = diff.length > most ? `${diff.slice(0, diff.lastIndexOf("\n", most))}\n…` : diff.trimEnd();
	const lines = shown.split("\n").map((line) => printable(line, 4000));
	const fence = "`".repeat(
		Math.max(3, ...lines.flatMap((line) => [...line.matchAll(/`+/g)].map(([ticks]) => ticks.length + 1))),
	);
	const title = published === undefined ? `${name} is new to the library` : `${name}, compared with the library`;
	return `### ${title}\n\n${fence}diff\n${lines.join("\n")}\n${fence}`;
}

function table(head: readonly string[], rows: readonly (readonly string[])[]): string {
	const left = rows.length - maxRows;
	const lines = [head, head.map(() => "---"), ...rows.slice(0, maxRows)].map((row) => `| ${row.join(" | ")} |`);
	return [...lines, ...(left > 0 ? [`\nand ${left} more, which the log and the files have`] : [])].join("\n");
}
