import path from "node:path/posix";
import type { Build, BuildsOutput, Lookup } from "../builds/index.ts";
import { restrictedTo } from "../builds/index.ts";
import { BrewlineError, messageOf } from "../errors.ts";
import type { GitStore } from "../git/index.ts";
import { counted, printable } from "../io/index.ts";
import { parseJsonObject } from "../json/index.ts";
import {
	isAttestation,
	maxManifestSize,
	normalizeImportedIndex,
	type Descriptor,
	type Index,
	underNamespace,
} from "../oci/index.ts";
import { titleOf } from "../plan/index.ts";
import { indexObject, type PublishedTag, push } from "../publish/index.ts";
import type { SourceEntry, Sources } from "../sources/index.ts";
import { recordLearned } from "./memory.ts";
import { noProof, type Proof, provenanceOf } from "./proof.ts";
import { publishStaged } from "./publish.ts";
import { computeBuilds, computeSources, openLookups, type Lookups } from "./steps.ts";
import type { Workspace } from "./workspace.ts";

export interface Adoption {
	readonly tag: string;
	readonly arch: string;
	readonly buildId: string;
	/** `present`: it was staged already; `adopted`, in a dry run: would be; `refused`: it has to be built. */
	readonly state: "present" | "adopted" | "refused";
	/** What was taken over, or why nothing was. */
	readonly note: string;
}

export interface Adopted {
	/** In the order of the sources; what waits for something that was refused is not in it. */
	readonly builds: readonly Adoption[];
	/** Tags that publishing would move all the same, as it would report them. */
	readonly moves: readonly Pick<PublishedTag, "reference" | "change" | "notes">[];
}

export interface AdoptOptions {
	/**
	 * Whether an image is taken for what is defined although it does not say of which commit it is, of which file, or on what
	 * it stands. What it says must be right in any case. Default: no.
	 */
	readonly unverified?: boolean;
	/** Whether much that was known to be staged may still be missing at the end (`checkMissing`). Default: no. */
	readonly acceptMissing?: boolean;
}

const revision = "org.opencontainers.image.revision";
const sourceUrl = "org.opencontainers.image.source";
const baseDigest = "org.opencontainers.image.base.digest";
/** What is built of a directory where nobody says otherwise. */
const usualFile = "Dockerfile";

/**
 * Takes over what is published already: where a tag holds an image of the commit that is defined, on the parents of now, it is
 * staged under the id of its build, so that nothing is built again. Goes from parents to children. Writes to staging and the
 * state alone: no tag is touched. Throws where much that was known to be staged is still not there after that: what was found
 * is staged then, and the state as it was.
 */
export async function adopt(workspace: Workspace, options: AdoptOptions = {}): Promise<Adopted> {
	const { io, client, dryRun } = workspace;
	const sources = await computeSources(workspace);
	const lookups = openLookups(workspace);
	/** What was staged in this run, by its reference; in a dry run it is nowhere else. */
	const staged = new Map<string, Index>();
	const withStaged: Lookups = { ...lookups, lookup: async (at) => staged.get(at) ?? (await lookups.lookup(at)) };
	const done = new Map<string, Adoption>();
	const own = ownTags(sources);
	const shared = sharedDirectories(sources);
	// What an earlier run knew stays known until the end: what is missing then is not forgotten.
	const looking = { ...workspace, dryRun: true };
	let output: BuildsOutput;
	for (let before = -1; ;) {
		output = await computeBuilds(looking, sources, withStaged);
		const open = Object.values(output.builds).filter(({ buildId }) => !done.has(buildId));
		if (open.length === 0 || done.size === before) break;
		before = done.size;
		const found = await Promise.all(
			open.map((build) => published(build, lookups.lookup, workspace, { own, shared }, options)),
		);
		const taken = found.flatMap(({ build, index }) => (index === undefined ? [] : [{ build, index }]));
		const objects = taken.map(({ build, index }) => ({
			type: "manifest" as const,
			refs: [build.build.img],
			...indexObject(index.manifests),
		}));
		const { outcomes } = await push(objects, client, { signal: io.signal, dryRun });
		const failures = new Map(outcomes.flatMap(({ ref, error }) => (error === undefined ? [] : [[ref, error]])));
		for (const { build, index, state, note } of found) {
			const failure = failures.get(build.build.img);
			if (index !== undefined && failure === undefined) staged.set(build.build.img, index);
			done.set(build.buildId, {
				tag: titleOf(build),
				arch: build.build.arch,
				buildId: build.buildId,
				state: failure === undefined ? state : "refused",
				note: failure === undefined ? note : messageOf(failure),
			});
		}
		// A list that was read before does not have them.
		lookups.pushed([...staged.keys()]);
		io.log({
			type: "message",
			level: "info",
			text: `${counted(done.size, "build")} looked at, ${staged.size} taken over`,
		});
	}
	if (!dryRun) {
		output = await computeBuilds(workspace, sources, withStaged, { acceptMissing: options.acceptMissing ?? false });
		await recordLearned(workspace, { sources, output, tries: [], tags: [] });
	}
	const inOrder = Object.keys(output.builds).flatMap((id) => done.get(id) ?? []);
	return { builds: inOrder, moves: dryRun ? [] : await movesOf(workspace, sources, output) };
}

interface Found {
	readonly build: Build;
	readonly state: Adoption["state"];
	readonly note: string;
	/** What is to be staged. */
	readonly index?: Index;
}

/** What is published of a build: under its architecture's own tag, else under the joined one. */
async function published(
	build: Build,
	lookup: Lookup,
	{ program, git, client }: Workspace,
	{ own, shared }: { readonly own: ReadonlySet<string>; readonly shared: ReadonlySet<string> },
	{ unverified = false }: AdoptOptions,
): Promise<Found> {
	if (build.build.resolved !== null) return { build, state: "present", note: "is staged already" };
	if (build.build.force !== undefined) {
		// What is published is what somebody decided to replace, or may be.
		return { build, state: "refused", note: `is to be built again: ${build.build.force}` };
	}
	const { arch } = build.build;
	const ofArch = build.source.arches[arch]!;
	const ours = ofArch.tags.flatMap((tag, index) => (own.has(`${arch} ${tag}`) ? [index] : []));
	const tags = ours.map((index) => ofArch.tags[index]!);
	const archTags = ours.flatMap((index) => ofArch.archTags[index] ?? []);
	const { namespace } = program.registries;
	const options = { unverified, oneOfSeveral: build.source.entries.some((entry) => shared.has(directoryOf(entry))) };
	let imported: Promise<string | undefined> | undefined;
	let why = "nothing is published under its tags";
	for (const reference of [...archTags, ...tags.map((tag) => underNamespace(namespace, tag))]) {
		try {
			const all = await lookup(reference);
			const index = all && restrictedTo(all, arch, program.annotations.architecture);
			if (index === undefined) continue;
			imported ??= importedDigest(build, git);
			const known = { ...options, imported: await imported, proof: noProof };
			let problem = mismatch(build, index, known);
			if (problem !== undefined && mismatch(build, index, { ...known, unverified: true }) === undefined) {
				// It says nothing wrong, and not enough: its provenance may say more.
				problem = mismatch(build, index, { ...known, proof: await provenanceOf(client, index) });
			}
			if (problem === undefined) return { build, state: "adopted", note: `taken from ${reference}`, index };
			why = `${reference} ${problem}`;
		} catch (error) {
			// A registry that does not answer must not be taken for an empty one.
			if (!(error instanceof BrewlineError) || (error.code !== "reference" && error.code !== "layout")) throw error;
			why = error.message;
		}
	}
	return { build, state: "refused", note: why };
}

/** The tags that hold one source alone on an architecture: of others it is not known which image is whose. */
function ownTags(sources: Sources): ReadonlySet<string> {
	const all = Object.values(sources).flatMap(({ arches }) =>
		Object.entries(arches).flatMap(([arch, { tags }]) => [...new Set(tags)].map((tag) => `${arch} ${tag}`)),
	);
	const once = new Set<string>();
	const twice = new Set<string>();
	for (const tag of all) (once.has(tag) ? twice : once).add(tag);
	return new Set([...once].filter((tag) => !twice.has(tag)));
}

/** How a directory of a repository is named, at any commit. */
function directoryOf({ GitRepo, Directory }: SourceEntry): string {
	return `${GitRepo} ${path.normalize(Directory)}`;
}

/** Directories of which several files are built: an image says of which directory it is, and not of which file. */
function sharedDirectories(sources: Sources): ReadonlySet<string> {
	const entries = Object.values(sources).flatMap((source) => source.entries);
	const several = [...Map.groupBy(entries, directoryOf)].filter(
		([, own]) => new Set(own.map(({ File }) => path.normalize(File))).size > 1,
	);
	return new Set(several.map(([directory]) => directory));
}

/** The digest of what is imported, as git has it: that proves an image, whatever it says. Undefined: it is built, not imported. */
async function importedDigest(build: Build, git: GitStore): Promise<string | undefined> {
	const [entry] = build.source.entries;
	if (entry?.Builder !== "oci-import") return undefined;
	const { GitRepo, GitCommit, GitFetch, Directory, File } = entry;
	const repository = git.repository(GitRepo);
	await repository.ensure([{ commit: GitCommit, fetch: GitFetch }], { history: false });
	const bytes = await repository.readFile(GitCommit, Directory, File, maxManifestSize);
	const json = parseJsonObject(bytes, { what: `${Directory}/${File}`, maxBytes: maxManifestSize, code: "layout" });
	const { platform } = build.source.arches[build.build.arch]!;
	const index = normalizeImportedIndex(json, { platform, annotations: {}, lone: File !== "index.json" });
	return index.manifests[0]!.digest;
}

interface Verified {
	readonly unverified: boolean;
	/** Whether the definitions build other files of its directory too. */
	readonly oneOfSeveral: boolean;
	/** The digest that it must have, where that is known. */
	readonly imported: string | undefined;
	readonly proof: Proof;
}

/** Why an image is not what is defined, or does not prove it; undefined: it is. */
export function mismatch(
	{ build, source }: Pick<Build, "build" | "source">,
	index: Index,
	{ unverified, oneOfSeveral, imported, proof }: Verified,
): string | undefined {
	const images = index.manifests.filter((manifest) => !isAttestation(manifest));
	const said = (key: string): readonly string[] =>
		images.flatMap(({ annotations }: Descriptor) => annotations?.[key] ?? []);
	if (images.length === 0) return "holds no image";
	const defined = source.entries.map(({ GitCommit }) => GitCommit);
	const other = said(revision).find((commit) => !defined.includes(commit));
	if (other !== undefined) return `is of another commit: ${other.slice(0, 40)}`;
	// A tag may have moved from one directory to another of the same commit.
	const directories = said(sourceUrl).flatMap((url) => /#[0-9a-f]{40,64}:(.*)$/s.exec(url)?.[1] ?? []);
	const elsewhere = directories.find((name) => !source.entries.some(({ Directory }) => Directory === name));
	if (elsewhere !== undefined) return `is of another directory: ${printable(elsewhere, 300)}`;
	if (imported !== undefined) {
		const foreign = images.find(({ digest }) => digest !== imported);
		return foreign === undefined ? undefined : `is not what is in git: ${foreign.digest}, and there ${imported}`;
	}
	const from = source.arches[build.arch]!.lastStageFrom;
	const base = build.parents[from];
	const moved = base === undefined ? undefined : said(baseDigest).find((digest) => digest !== base);
	if (moved !== undefined) return `stands on an older ${from}: ${printable(moved, 80)}`;
	if (unverified) return undefined;
	const silent = (key: string): boolean => said(key).length < images.length;
	if (silent(revision)) return "does not say of which commit it is";
	if (directories.length < images.length) return "does not say of which directory it is";
	const file = source.entries
		.map(({ File }) => path.normalize(File))
		.find((name) => (oneOfSeveral || name !== usualFile) && name !== proof.file);
	if (file !== undefined) return `does not say of which file it is, and ${printable(file, 200)} is defined`;
	if (base !== undefined && silent(baseDigest) && !proof.digests.has(base))
		return `does not say on which ${printable(from, 200)} it stands`;
	const others = Object.entries(build.parents).flatMap(([parent, digest]) =>
		parent === from || proof.digests.has(digest) ? [] : [parent],
	);
	if (others.length > 0) return `does not say with which ${printable(others.join(", "), 300)} it was built`;
	return undefined;
}

/** What publishing would do to tags after that: nothing, where all was taken over. */
async function movesOf(workspace: Workspace, sources: Sources, { builds }: BuildsOutput): Promise<Adopted["moves"]> {
	const { tags, archTags } = await publishStaged(workspace, { sources, builds }, { dryRun: true });
	return [...archTags, ...tags].filter(({ change }) => change !== "unchanged" && change !== "held");
}
