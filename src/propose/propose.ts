import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import path from "node:path";
import { definitionLimit, imageName } from "../definition/library.ts";
import { BrewlineError } from "../errors.ts";
import type { LocalRepository } from "../git/index.ts";
import { printable } from "../io/printable.ts";
import type { Io } from "../io/types.ts";
import { changesBetween } from "./commits.ts";
import { openGitHub, type GitHub, type GitHubOptions, type Head, type PullRequest } from "./github.ts";
import { digestOfText, messageOf, type Message } from "./message.ts";
import { missingIn, openRepositories, type Repositories, type RepositoryOptions, type Tip } from "./repositories.ts";
import type { Definitions, Outcome, Proposal, SourceChanges } from "./types.ts";

export interface ProposeInput {
	/** What the library is to have. */
	readonly definitions: Definitions;
	/** The image's repository, with its history: where the commits are told from. */
	readonly repository: LocalRepository;
}

export interface ProposeOptions extends Omit<RepositoryOptions, "branch" | "folder"> {
	/** Default: `brewline/NAME`, of the first definition. */
	readonly branch?: string;
	/** The folder of the library's definitions; default `library`. */
	readonly folder?: string;
	/** Who the commit is by. */
	readonly author: { readonly name: string; readonly email: string };
	/** Seconds that have to be between one proposal and the next one, unless it is about security. */
	readonly minAge: number;
	/** That it is about security, even if no commit says so. */
	readonly security?: boolean;
	/** What somebody else committed to the branch may be lost. */
	readonly overwrite?: boolean;
	/** What people closed is proposed again. */
	readonly again?: boolean;
	readonly dryRun?: boolean;
	/** Where pull requests are opened; undefined: the branch is pushed, and that is all. */
	readonly gitHub?: Omit<GitHubOptions, "repository"> & {
		/** `OWNER/NAME`; default: what the library's address ends with. */
		readonly repository?: string;
	};
	/** Where a folder for git objects is made, which is removed at the end; default: the system's. */
	readonly temporary?: string;
}

/** All that is decided by. */
interface Scene {
	readonly options: ProposeOptions;
	readonly branch: string;
	readonly repositories: Repositories;
	readonly wanted: Definitions;
	/** Of these, what the library has not got. */
	readonly missing: Definitions;
	readonly gitHub: GitHub | undefined;
	/** Where the branch is, as GitHub names it; without a name where it is no matter. */
	readonly head: Head;
	/** The name of the fork, where the library has the same owner. */
	readonly sibling: string | undefined;
	/** Of the branch, the latest first. */
	readonly pulls: readonly PullRequest[];
}

/**
 * Proposes definitions to the library (spec/library-generation.md, at the end): one commit on one branch, made on top of what the
 * library's default branch is now, and one pull request for it. Does as little as can be: what is proposed already is left
 * alone, what the library has is taken back, and what others did to the branch is not undone. A run that was ended anywhere is
 * finished by the next one.
 */
export async function propose(input: ProposeInput, io: Io, options: ProposeOptions): Promise<Proposal> {
	const names = [...input.definitions.keys()];
	const [first] = names;
	const wrong = names.find((name) => !imageName.test(name));
	if (first === undefined || wrong !== undefined || names.length > 100) {
		throw new BrewlineError(
			"usage",
			first === undefined
				? "there is no definition to propose"
				: `not an image's name, or too many: ${printable(wrong ?? first)}`,
		);
	}
	const broken = names.find((name) => !isText(input.definitions.get(name)!));
	if (broken !== undefined) {
		throw new BrewlineError("definition", `the definition of ${printable(broken)} is empty, too large or not UTF-8`);
	}
	const { folder = "library", branch = `brewline/${first}` } = options;
	if (!/^[\w.-]+(?:\/[\w.-]+)*$/.test(folder) || folder.split("/").some((part) => /^\.{1,2}$/.test(part))) {
		throw new BrewlineError("usage", `${printable(folder)} is no folder of a library`);
	}
	const target = repositoryOf(options.fork ?? options.library);
	const gitHub = options.gitHub === undefined ? undefined : openGitHub(io, gitHubOf(options.gitHub, options.library));
	if (gitHub !== undefined && target === undefined) {
		throw new BrewlineError("usage", `whose repository is ${printable(options.fork ?? options.library)}?`, {
			hint: "write an address that ends with OWNER/NAME",
		});
	}
	const directory = await mkdtemp(path.join(options.temporary ?? tmpdir(), "brewline-propose-"));
	try {
		await using repositories = await openRepositories(io, directory, names, { ...options, folder, branch });
		const head = { owner: "", name: "", ...target, branch };
		const pulls = gitHub === undefined ? [] : await gitHub.pulls(head);
		const missing = missingIn(repositories.published, input.definitions);
		const sibling =
			target?.owner === repositoryOf(options.library)?.owner && options.fork !== undefined ? target?.name : undefined;
		const scene: Scene = {
			options,
			branch,
			repositories,
			wanted: input.definitions,
			missing,
			gitHub,
			head,
			sibling,
			pulls,
		};
		if (missing.size === 0) return await withdraw(scene);
		const published = new Map(
			[...repositories.published].flatMap(([name, text]) => (text === undefined ? [] : [[name, text]])),
		);
		return await put(scene, await changesBetween(io, input.repository, published, missing), io, folder);
	} finally {
		await rm(directory, { recursive: true, force: true });
	}
}

function isText(definition: string): boolean {
	return definition.isWellFormed() && definition.trim() !== "" && Buffer.byteLength(definition) <= definitionLimit;
}

/** The library has all of it: what is left of the proposal goes. */
async function withdraw(scene: Scene): Promise<Proposal> {
	const { repositories, pulls, gitHub, options } = scene;
	const { tip, target } = repositories;
	const open = pulls.find(({ state }) => state === "open");
	if (tip === undefined) return result(scene, "published", "the library has it all");
	if (tip.foreign !== undefined && options.overwrite !== true) {
		return result(scene, "published", `the library has it all; the branch is left, since ${tip.foreign}`, {
			url: open?.url,
		});
	}
	if (options.dryRun !== true) {
		if (open !== undefined) await gitHub?.change(open.number, { state: "closed" });
		if (!(await target.remove(tip.commit))) throw moved(scene.branch);
	}
	return result(scene, "published", "the library has it all: the branch is not needed any more", { url: open?.url });
}

/** Has the branch and its pull request say what the library is to have. */
async function put(scene: Scene, changes: SourceChanges, io: Io, folder: string): Promise<Proposal> {
	const { options, branch, repositories, missing, pulls, gitHub } = scene;
	const { tip, base, target, published } = repositories;
	const security = options.security ?? changes.security;
	const added = new Set([...missing.keys()].filter((name) => published.get(name) === undefined));
	const open = pulls.find(({ state }) => state === "open");
	const [last] = pulls;
	// GitHub opens none again whose branch was pushed to in the meantime.
	const closed =
		open === undefined && last !== undefined && !last.merged && last.commit === tip?.commit ? last : undefined;
	const replaced = open ?? closed;
	const message = messageOf({
		definitions: missing,
		added,
		changes,
		security,
		branch,
		replaced: replaced && digestOfText(replaced),
	});
	const say = (outcome: Outcome, reason: string, more: Details = {}): Proposal =>
		result(scene, outcome, reason, { message, security, changes, ...more });
	const same = tip !== undefined && isSame(tip, scene.wanted, missing, published);

	if (tip?.foreign !== undefined && !same && options.overwrite !== true) {
		return say("foreign", `${branch} is not touched: ${tip.foreign}`, { commit: tip.commit, url: open?.url });
	}
	if (same) {
		const current =
			open === undefined ? gitHub === undefined : open.base === base.branch && !isStale(open, message, tip);
		if (current) {
			return say("unchanged", "just this is proposed already", { commit: tip.commit, url: open?.url });
		}
		if (open === undefined && last?.commit === tip.commit && options.again !== true) {
			const how = last.merged ? "merged, and the library has it no more" : "closed";
			return say("declined", `just this was proposed, and ${how}`, { commit: tip.commit, url: last.url });
		}
	}
	const rolls = open !== undefined || (gitHub === undefined && tip !== undefined);
	const after = rolls || same || security ? undefined : tooEarly(last, changes, options.minAge * 1000, io.clock.now());
	if (after !== undefined) {
		const date = new Date(after).toISOString();
		return say("waits", `the last proposal is too young: this one can be made from ${date} on`, { after: date });
	}
	const outcome = rolls ? "updated" : "proposed";
	const isNew = added.size === missing.size;
	const first = isNew ? "it is new to the library" : "the library has it otherwise";
	const reason = rolls ? "what was proposed before is now this" : first;
	if (options.dryRun === true) return say(outcome, reason, { commit: tip?.commit, url: open?.url });

	const reopened = closed === undefined ? undefined : await gitHub?.change(closed.number, { state: "open" });
	const commit = same ? tip.commit : await push(scene, message, changes, folder);
	if (gitHub === undefined) return say(outcome, reason, { commit });
	const pull = await pullRequest(scene, gitHub, message, open ?? reopened);
	return say(outcome, reason, { commit, url: pull.url });

	async function push(of: Scene, { title, text }: Message, { newest }: SourceChanges, into: string): Promise<string> {
		const { epoch } = await of.repositories.target.objects().commit(base.commit);
		const made = await target.commit({
			parent: base.commit,
			changes: new Map([...missing].map(([name, definition]) => [`${into}/${name}`, definition])),
			author: options.author,
			time: newest ?? epoch,
			message: `${title}\n\n${text}`,
		});
		if (!(await target.push(made, tip?.commit))) throw moved(branch);
		return made;
	}
}

/** The pull request that is open, with this text, or a new one. */
async function pullRequest(
	scene: Scene,
	gitHub: GitHub,
	message: Message,
	known: PullRequest | undefined,
): Promise<PullRequest> {
	const { title, body } = message;
	const base = scene.repositories.base.branch;
	const label = `${scene.head.owner}:${scene.head.branch}`;
	let open = known;
	if (open === undefined) {
		const opened = await gitHub.open({
			head: label,
			...(scene.sibling === undefined ? {} : { head_repo: scene.sibling }),
			base,
			title,
			body,
		});
		if (opened !== undefined) return opened;
		// Somebody opened one in the meantime; or we did, and the answer was lost.
		open = (await gitHub.pulls(scene.head)).find(({ state }) => state === "open");
	}
	if (open !== undefined && open.title === title && open.body === body && open.base === base) return open;
	const changed = open === undefined ? undefined : await gitHub.change(open.number, { title, body, base });
	if (changed !== undefined) return changed;
	throw new BrewlineError("github", `the pull request of ${printable(label)} cannot be opened or changed`, {
		hint: "look at the branch's pull requests, and run it again",
	});
}

/** Whether a pull request still says what the branch's commit was to replace: the run that pushed it was ended before it did. */
function isStale(open: PullRequest, { title, body }: Message, { replaced }: Tip): boolean {
	return replaced !== undefined && replaced === digestOfText(open) && (open.title !== title || open.body !== body);
}

/** Whether the branch has just what is missing, and is made on what the library still has of these definitions. */
function isSame(
	tip: Tip,
	wanted: Definitions,
	missing: Definitions,
	published: ReadonlyMap<string, string | undefined>,
): boolean {
	if ([...wanted].some(([name, text]) => tip.texts.get(name) !== text)) return false;
	// Of others' commits nothing more is known; there is nothing to add to them.
	if (tip.foreign !== undefined) return true;
	return (
		tip.changed.every((name) => missing.has(name)) &&
		[...missing.keys()].every((name) => tip.before.get(name) === published.get(name))
	);
}

/** Until when (milliseconds) there is to be no other proposal; undefined: there may be one. */
function tooEarly(
	last: PullRequest | undefined,
	{ published }: SourceChanges,
	minAge: number,
	now: number,
): number | undefined {
	// Where no proposal is known of: the newest commit that the library has is no younger than the last one.
	const since =
		last === undefined
			? published === undefined
				? undefined
				: published * 1000
			: last.merged
				? last.opened
				: Math.max(last.opened, last.closed ?? 0);
	return since !== undefined && since + minAge > now ? since + minAge : undefined;
}

interface Details {
	readonly commit?: string | undefined;
	readonly url?: string | undefined;
	readonly after?: string;
	readonly message?: Message;
	readonly security?: boolean;
	readonly changes?: SourceChanges;
}

function result(scene: Scene, outcome: Outcome, reason: string, details: Details = {}): Proposal {
	const { message, changes } = details;
	return {
		outcome,
		reason,
		images: [...scene.missing.keys()],
		branch: scene.branch,
		base: scene.repositories.base,
		commit: details.commit ?? null,
		url: details.url ?? null,
		title: message?.title ?? null,
		body: message?.body ?? null,
		after: details.after ?? null,
		security: details.security ?? false,
		commits: changes?.commits ?? [],
		dryRun: scene.options.dryRun ?? false,
	};
}

function moved(branch: string): BrewlineError {
	return new BrewlineError("git", `${printable(branch)} was changed by somebody else while it was to be changed`, {
		hint: "run it again: it looks at what is there now",
	});
}

function gitHubOf(gitHub: NonNullable<ProposeOptions["gitHub"]>, library: string): GitHubOptions {
	const known = repositoryOf(library);
	return { ...gitHub, repository: gitHub.repository ?? (known === undefined ? "" : `${known.owner}/${known.name}`) };
}

/** Owner and name of a repository, by the end of its address. */
function repositoryOf(address: string): { readonly owner: string; readonly name: string } | undefined {
	const [, owner, name] = /[/:]([\w.-]+)\/([\w.-]+?)(?:\.git)?\/?$/.exec(address) ?? [];
	return owner === undefined || name === undefined ? undefined : { owner, name };
}
