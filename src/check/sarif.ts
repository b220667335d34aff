import { isAbsolute } from "node:path";
import { pathToFileURL } from "node:url";
import type { Checks } from "../config/types.ts";
import { printable } from "../io/printable.ts";
import { version } from "../version.ts";
import type { Checked } from "./check.ts";
import { type Rule, type RuleId, rules } from "./rules.ts";
import type { Finding } from "./types.ts";

/** Findings as a log in SARIF 2.1.0; those that are suppressed are in it, with the reasons. */
export function sarifOf({ findings, suppressed }: Checked, { documentation }: Pick<Checks, "documentation">): object {
	const ids = Object.keys(rules) as RuleId[];
	const result = (finding: Finding, reason?: string): object => ({
		ruleId: finding.rule,
		ruleIndex: ids.indexOf(finding.rule),
		level: finding.severity,
		message: { text: message(finding) },
		locations: finding.at === undefined ? [] : [{ physicalLocation: physical(uriOf(finding.at.file), finding.at) }],
		...related(finding),
		...(reason === undefined ? {} : { suppressions: [{ kind: "external", justification: reason }] }),
		properties: {
			image: finding.image,
			...(finding.tag === undefined ? {} : { tag: finding.tag }),
			...(finding.details === undefined ? {} : { details: finding.details }),
		},
	});
	return {
		$schema: "https://json.schemastore.org/sarif-2.1.0.json",
		version: "2.1.0",
		runs: [
			{
				tool: {
					driver: {
						name: "brewline",
						semanticVersion: version,
						informationUri: documentation.split("#")[0]!.replaceAll("{rule}", ""),
						rules: ids.map((id) => descriptor(id, documentation)),
					},
				},
				columnKind: "utf16CodeUnits",
				results: [
					...findings.map((finding) => result(finding)),
					...suppressed.map(({ finding, reason }) => result(finding, reason)),
				],
			},
		],
	};
}

function descriptor(id: RuleId, documentation: string): object {
	const { summary, why, severity }: Rule = rules[id];
	return {
		id,
		shortDescription: { text: summary },
		fullDescription: { text: why },
		helpUri: documentation.replaceAll("{rule}", id),
		defaultConfiguration: { level: severity },
	};
}

/** Braces and brackets would be placeholders and links (sections 3.11.5 and 3.11.6). */
function message({ message: text, fix }: Finding): string {
	const whole = fix === undefined ? text : `${text}. ${fix}`;
	return printable(whole, 4000)
		.replace(/[\\[\]]/g, "\\$&")
		.replace(/[{}]/g, "$&$&");
}

interface Place {
	readonly line?: number;
	readonly column?: number;
}

function physical(uri: string, { line, column }: Place): object {
	return {
		artifactLocation: { uri },
		...(line === undefined
			? {}
			: { region: { startLine: line, ...(column === undefined ? {} : { startColumn: column }) } }),
	};
}

function related({ source }: Finding): object {
	// What is no address on the web could be a link that does something.
	if (source === undefined || !/^https?:\/\//.test(source.repository)) return {};
	const { repository, commit, file, line } = source;
	// As BuildKit names a place in git.
	const uri = `${encodeURI(repository.toWellFormed())}#${pathUri(commit)}:${pathUri(file)}`;
	return {
		relatedLocations: [
			{
				id: 1,
				message: { text: "the Dockerfile" },
				physicalLocation: physical(uri, line === undefined ? {} : { line }),
			},
		],
	};
}

function uriOf(file: string): string {
	if (/^https?:\/\//.test(file)) return encodeURI(file.toWellFormed());
	return isAbsolute(file) ? pathToFileURL(file).href : pathUri(file);
}

function pathUri(file: string): string {
	return file
		.split("/")
		.map((part) => encodeURIComponent(part.toWellFormed()))
		.join("/");
}
