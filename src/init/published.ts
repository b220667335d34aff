import { readdirSync, readFileSync, statSync } from "node:fs";
import path from "node:path";
import { architectureOptions } from "../config/architectures.ts";
import { dockerProgram } from "../config/defaults.ts";
import { decodeText, definitionLimit, type Entry, parseDefinition } from "../definition/index.ts";
import { printMaintainer } from "../definition/maintainer.ts";

/** A definition that somebody published, as far as a configuration is inferred from it. */
export interface Published {
	readonly file: string;
	readonly text: string;
	/** The text of the first line, without `#`. */
	readonly comment: string | undefined;
	/** The repository: what the comment says, or else what all entries are from. */
	readonly repository: string | undefined;
	/** The file that made the definition, as the comment says. */
	readonly self: string | undefined;
	readonly maintainers: readonly string[];
	readonly gitRepo: string;
	/** Of the first paragraph, or the same in all others; without maintainers and repository. */
	readonly fields: Readonly<Record<string, string>>;
	readonly entries: readonly Entry[];
	/** The fields of entries, in an order that none of them contradicts. */
	readonly fieldOrder: readonly string[];
	readonly trailingBlankLine: boolean;
}

const sharedFields = ["GitFetch", "GitCommit", "Builder", "File"] as const;

export function readPublished(text: string, file: string): Published {
	const definition = parseDefinition(text, { file, ...architectureOptions(dockerProgram) });
	const { global, unmerged } = definition;
	const comment = /^#[ \t]*(.*)/.exec(text)?.[1];
	const address = /(https?:\/\/[^\s]+?)\/blob\/[0-9a-f]+\/(\S+)/.exec(comment ?? "");
	const fields = sharedFields.filter((name) => global.positions.has(name)).map((name) => [name, global[name]] as const);
	const shared = (name: "GitRepo" | "GitFetch"): string | undefined => {
		const values = new Set(unmerged.map((entry) => entry[name]));
		return values.size === 1 && unmerged.every(({ positions }) => positions.has(name)) ? [...values][0] : undefined;
	};
	const gitRepo = global.positions.has("GitRepo") ? global.GitRepo : (shared("GitRepo") ?? "");
	const gitFetch = shared("GitFetch");
	return {
		file,
		text,
		comment,
		repository: address?.[1] ?? (gitRepo === "" ? undefined : gitRepo.replace(/\.git$/, "")),
		self: address?.[2],
		maintainers: global.Maintainers.map(printMaintainer),
		gitRepo,
		fields: { ...(gitFetch === undefined ? {} : { GitFetch: gitFetch }), ...Object.fromEntries(fields) },
		entries: unmerged,
		fieldOrder: orderOf(unmerged),
		trailingBlankLine: text.endsWith("\n\n"),
	};
}

/** `amd64-Directory` and its like stand together. */
function orderOf(entries: readonly Entry[]): readonly string[] {
	const order: string[] = [];
	for (const { positions } of entries) {
		const here = [...positions]
			.toSorted(([, a], [, b]) => a.line - b.line || a.column - b.column)
			.map(([key]) => (/-(?:Directory|GitCommit|GitFetch|File|Builder|GitRepo)$/.test(key) ? "ArchFields" : key));
		let after = 0;
		for (const key of new Set(here)) {
			const known = order.indexOf(key);
			if (known >= 0) after = known + 1;
			else order.splice(after++, 0, key);
		}
	}
	return order;
}

/** The images of a library's folder whose definitions name a repository, however its address is written. */
export function imagesFrom(address: string, library: string): readonly string[] {
	const wanted = plainAddress(address);
	return readdirSync(library, { withFileTypes: true })
		.filter((file) => file.isFile() && statSync(path.join(library, file.name)).size <= definitionLimit)
		.filter(({ name }) => {
			const text = decodeText(readFileSync(path.join(library, name)));
			return [...text.matchAll(/^GitRepo:(.*)$/gm)].some(([, named]) => plainAddress(named!) === wanted);
		})
		.map(({ name }) => name)
		.toSorted();
}

/** `git@HOST:PATH.git` and `https://HOST/PATH` are one. */
function plainAddress(address: string): string {
	return address
		.trim()
		.toLowerCase()
		.replace(/^[a-z+]+:\/\//, "")
		.replace(/^[^@/]*@/, "")
		.replace(/^([^/:]+):(?![0-9]+\/)/, "$1/")
		.replace(/(?:\.git)?\/?$/, "");
}
