import { dockerProgram, type ImageConfig } from "../../src/config/index.ts";
import { messageOf } from "../../src/errors.ts";
import { generate } from "../../src/generate/index.ts";
import type { Io } from "../../src/io/index.ts";
import type { MainLine } from "../../src/init/moment.ts";
import type { Sandbox } from "../../src/sandbox/index.ts";
import type { Copy } from "./copies.ts";
import { blobAt, branchesOf, momentsOf, namedBranches, readText, type Change } from "./history.ts";

/** What became of one moment: a change of a published definition. */
export interface Moment {
	/** The commit of the library, and when it was written. */
	readonly library: string;
	readonly date: string;
	/** The commit of the repository that was taken for it. */
	readonly commit?: string;
	/**
	 * `older`: the copy does not have what the definition names, or a branch has moved on since. `script`: the repository's own
	 * generator was another one then, so the example does not speak of it. `hand`: what is generated was published later, in the
	 * place of something else.
	 */
	readonly outcome: "equal" | "different" | "older" | "script" | "hand";
	/** What was generated, or why nothing was. */
	readonly generated?: string;
	readonly published?: string;
	readonly error?: string;
}

export interface Replay {
	readonly config: ImageConfig;
	readonly repository: Copy;
	readonly library: Copy;
	readonly line: MainLine;
	readonly sandbox: Sandbox;
}

/** Generates the definition of each change, the newest first, at the repository's commit of that moment, and compares the bytes. */
export async function replay(input: Replay, changes: readonly Change[], io: Io): Promise<readonly Moment[]> {
	const moments: Moment[] = [];
	const later = new Set<string>();
	for (const change of changes) {
		const moment = await replayOne(input, change, io);
		const isLate = moment.outcome === "different" && later.has(moment.generated ?? "");
		moments.push(isLate ? { ...moment, outcome: "hand" } : moment);
		if (moment.published !== undefined) later.add(moment.published);
	}
	return moments.map(({ published, generated, ...moment }) =>
		moment.outcome === "different" ? { ...moment, ...given({ published, generated }) } : moment,
	);
}

async function replayOne(input: Replay, change: Change, io: Io): Promise<Moment> {
	const { config, repository, library, line } = input;
	const known = { library: change.commit, date: dateOf(change.time) };
	const published = await readText(library, change.commit, `library/${config.image}`);
	const commits = published === undefined ? undefined : momentsOf(line, published, change.time);
	if (published === undefined || commits === undefined) return { ...known, outcome: "older" };
	const branches = await branchesOf(repository);
	if (namedBranches(published).some(([branch, commit]) => branches.get(branch) !== commit)) {
		return { ...known, outcome: "older" };
	}
	const { self } = config.header;
	// Some definitions say that another program made them, and all that say it, as of which commit.
	const [, madeAt, maker] = /^#.*\/blob\/([0-9a-f]+)\/(\S+)$/m.exec(published) ?? [];
	const today = await blobAt(repository, line.commits.at(-1)!.id, self);
	const made = madeAt === undefined ? today : await blobAt(repository, madeAt, self);
	if ((maker !== undefined && maker !== self) || made !== today) {
		return { ...known, commit: commits[0]!, outcome: "script" };
	}
	const same: string[] = [];
	for (const commit of commits) if ((await blobAt(repository, commit, self)) === made) same.push(commit);
	if (same.length === 0) return { ...known, commit: commits[0]!, outcome: "script" };
	let last: Moment | undefined;
	for (const commit of same) {
		// A change of many definitions at once was made by hand, with what it makes of the parents in mind.
		for (const at of [change.parent, change.commit]) {
			if (at === undefined || (at === change.commit && !change.isOfMany)) continue;
			const found = await compare(input, { time: change.time, at }, commit, published, io);
			if (found.outcome === "equal") return { ...known, ...found };
			last = { ...known, ...found };
		}
	}
	return last ?? { ...known, outcome: "older" };
}

async function compare(
	{ config, repository, library, sandbox }: Replay,
	{ time, at }: { readonly time: number; readonly at: string },
	commit: string,
	published: string,
	io: Io,
): Promise<Pick<Moment, "commit" | "outcome" | "generated" | "published" | "error">> {
	try {
		const { text } = await generate(
			{
				config,
				repository: { gitDirectory: repository.directory, commit },
				definitions: (image) => readText(library, at, `library/${image}`),
				architectures: Object.keys(dockerProgram.architectures),
				today: dateOf(time),
				sandbox,
			},
			io,
		);
		return text === published
			? { commit, outcome: "equal", published }
			: { commit, outcome: "different", generated: text, published };
	} catch (error) {
		return { commit, outcome: "different", error: messageOf(error) };
	}
}

/** Without what is undefined. */
function given(texts: { readonly [name in "published" | "generated"]: string | undefined }): Partial<Moment> {
	return Object.fromEntries(Object.entries(texts).filter(([, text]) => text !== undefined));
}

function dateOf(seconds: number): string {
	return new Date(seconds * 1000).toISOString().slice(0, 10);
}
