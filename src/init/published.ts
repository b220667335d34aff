import { dockerProgram } from "../config/defaults.ts";
import { type Entry, parseDefinition } from "../definition/index.ts";
import { printMaintainer } from "../definition/maintainer.ts";

/** A definition that somebody published, as far as a configuration is inferred from it. */
export interface Published {
	readonly file: string;
	readonly text: string;
	/** The text of the first line, without `#`. */
	readonly comment: string | undefined;
	/** What the comment says: the repository, and the file that made the definition. */
	readonly repository: string | undefined;
	readonly self: string | undefined;
	readonly maintainers: readonly string[];
	readonly gitRepo: string;
	/** Of the first paragraph, without maintainers and repository. */
	readonly fields: Readonly<Record<string, string>>;
	readonly entries: readonly Entry[];
	/** The fields of entries, in an order that none of them contradicts. */
	readonly fieldOrder: readonly string[];
	readonly trailingBlankLine: boolean;
}

const sharedFields = ["GitFetch", "GitCommit", "Builder", "File"] as const;

export function readPublished(text: string, file: string): Published {
	const { defaultArchitecture, architectures } = dockerProgram;
	const definition = parseDefinition(text, { file, defaultArchitecture, architectures: Object.keys(architectures) });
	const { global, unmerged } = definition;
	const comment = /^#[ \t]*(.*)/.exec(text)?.[1];
	const address = /(https?:\/\/[^\s]+?)\/blob\/[0-9a-f]+\/(\S+)/.exec(comment ?? "");
	const fields = sharedFields.filter((name) => global.positions.has(name)).map((name) => [name, global[name]] as const);
	return {
		file,
		text,
		comment,
		repository: address?.[1] ?? (global.GitRepo === "" ? undefined : global.GitRepo.replace(/\.git$/, "")),
		self: address?.[2],
		maintainers: global.Maintainers.map(printMaintainer),
		gitRepo: global.GitRepo,
		fields: Object.fromEntries(fields),
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
