import { createHash } from "node:crypto";
import { parseMaintainer } from "../definition/maintainer.ts";
import { printable } from "../io/printable.ts";
import type { Definitions, SourceChanges } from "./types.ts";

/** What a proposal says, in a commit and in a pull request. */
export interface Message {
	readonly title: string;
	/** Of the commit; without the title. */
	readonly text: string;
	/** Of the pull request, in GitHub's Markdown. */
	readonly body: string;
}

export interface MessageInput {
	/** The definitions that the library gets; those that it has not got yet are in `added`. */
	readonly definitions: Definitions;
	readonly added: ReadonlySet<string>;
	readonly changes: SourceChanges;
	readonly security: boolean;
	readonly branch: string;
	/** `digestOfText` of the pull request that is there already; undefined: there is none. */
	readonly replaced?: string | undefined;
}

const maxSubject = 200;
/** GitHub takes 65,536 characters. */
const maxBody = 60_000;
const maxMentions = 20;
/** Ends the commit's message: by it a later run knows the branch's commit for its own. */
export const trailer = "Brewline-Branch";
/** Stands before that: by it a later run knows that this one was ended before the pull request said what it was to say. */
const replacing = "Brewline-Replaces";

/** What a pull request says, in a word. */
export function digestOfText({ title, body }: Pick<Message, "title" | "body">): string {
	return createHash("sha256")
		.update(JSON.stringify([title, body]))
		.digest("hex");
}

/** What the pull request said before it was to say what is in the message of a commit; undefined: there was none. */
export function replacedBy(message: string): string | undefined {
	return new RegExp(`\\n${replacing}: ([0-9a-f]{64})\\n[^\\n]+\\n*$`).exec(message)?.[1];
}

/**
 * What is said of a proposal. Subjects of commits and names of people are text from outside: in a commit of the library, and in a
 * pull request, none of them mentions anybody, closes an issue, keeps workflows from running or is Markdown.
 */
export function messageOf({ definitions, added, changes, security, branch, replaced }: MessageInput): Message {
	const names = [...definitions.keys()];
	const verb = names.every((name) => added.has(name)) ? "Add" : "Update";
	const some = names.length > 5 ? [...names.slice(0, 4), `${names.length - 4} more`] : names;
	const title = `${verb} ${some.join(", ")}${security ? " [security]" : ""}`;
	const people = maintainersOf(definitions);
	const { commits, more, page } = changes;
	const linkOf = (id: string): string | undefined => (page === undefined ? undefined : `${page}/commit/${id}`);
	const head =
		commits.length > 0
			? "Changes:"
			: verb === "Add"
				? "The library has no such image yet."
				: "No commit of the image's repository: what changed is what is made of it.";
	const lines = commits.map(({ id, subject }) => `- ${linkOf(id) ?? id}: ${harmless(subject)}`);
	const items = commits.map(({ id, subject }) => {
		const short = `\`${id.slice(0, 7)}\``;
		const link = linkOf(id);
		return `- ${link === undefined ? short : `[${short}](${link})`} ${code(harmless(subject))}`;
	});
	const rest = more > 0 ? [`- and ${more} more`] : [];
	const of = people.map(({ name }) => harmless(name)).join(", ");
	const trailers = [
		...(of === "" ? [] : [`Maintainers: ${of}`]),
		...(replaced === undefined ? [] : [`${replacing}: ${replaced}`]),
		`${trailer}: ${branch}`,
	];
	return {
		title,
		text: `${[head, ...lines, ...rest].join("\n")}\n\n${trailers.join("\n")}\n`,
		body: bodyOf(head, items, more, people),
	};
}

function bodyOf(head: string, items: readonly string[], more: number, people: readonly Person[]): string {
	const mentioned = people.flatMap(({ handle }) => (handle === undefined ? [] : [`@${handle}`])).slice(0, maxMentions);
	const tail = mentioned.length === 0 ? "" : `\n\nMaintainers: ${mentioned.join(" ")}`;
	const kept: string[] = [];
	let size = head.length + tail.length;
	for (const item of items) {
		size += item.length + 1;
		if (size > maxBody) break;
		kept.push(item);
	}
	const left = more + items.length - kept.length;
	const list = [...kept, ...(left > 0 ? [`- and ${left} more`] : [])];
	return `${[head, ...(list.length === 0 ? [] : ["", ...list])].join("\n")}${tail}\n`;
}

interface Person {
	readonly name: string;
	/** Undefined where it is none of a person's account of GitHub. */
	readonly handle: string | undefined;
}

/** The people that the definitions name, each once; machines have no use for a mention. */
function maintainersOf(definitions: Definitions): readonly Person[] {
	const people = new Map<string, Person>();
	for (const text of definitions.values()) {
		const value = /^Maintainers:((?:[^\n]*\n)(?:[\t ]+[^\n]*(?:\n|$))*)/m.exec(`${text}\n`)?.[1] ?? "";
		for (const part of value.split(",")) {
			const person = parseMaintainer(part.replace(/\s+/g, " ").trim());
			if (person === null || /\[?bot\]?$/i.test(person.handle)) continue;
			const handle = /^[a-z\d](?:-?[a-z\d]){0,38}$/i.test(person.handle) ? person.handle : undefined;
			people.set(person.handle.toLowerCase(), { name: person.name, handle });
		}
	}
	return [...people.values()];
}

/**
 * A line of text from outside as plain text that GitHub makes nothing of, wherever it ends up: pull requests are merged with their
 * text as the message of a commit, where nothing can be escaped.
 */
export function harmless(text: string): string {
	return (
		printable(text.replace(/\s+/g, " ").trim(), maxSubject)
			// `@name` mentions, also in `host/@name` and `owner/repository@commit`.
			.replace(/\s?@(?=\w)/g, " at ")
			// `#1`, `owner/repository#1` and `GH-1` are issues of the library, which "fixes" in front of them closes.
			.replace(/#(?=\d)/g, " no. ")
			.replace(/\b(gh)-(?=\d)/gi, "$1 ")
			// So does the address of one.
			.replace(/:\/\//g, ": ")
			.replace(/(\/(?:issues|pull|discussions))\/(?=\d)/gi, "$1 no. ")
			// Such a commit is checked by nobody.
			.replace(/\[(skip ci|ci skip|no ci|skip actions|actions skip)\]/gi, "($1)")
			.replace(/ {2,}/g, " ")
			.trim()
	);
}

/** A code span, in which GitHub looks for nothing at all. */
function code(text: string): string {
	const longest = Math.max(0, ...[...text.matchAll(/`+/g)].map(([ticks]) => ticks.length));
	const fence = "`".repeat(longest + 1);
	const pad = text === "" || /^[` ]|[` ]$/.test(text) ? " " : "";
	return `${fence}${pad}${text}${pad}${fence}`;
}
