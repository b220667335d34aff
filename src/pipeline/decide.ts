import { limit } from "../builds/index.ts";
import { BrewlineError } from "../errors.ts";
import { nearest } from "../definition/text.ts";
import { printable } from "../io/printable.ts";
import {
	isDigest,
	parseReference,
	platformString,
	printReference,
	repositoryOf,
	underNamespace,
	withDigest,
	type Reference,
} from "../oci/index.ts";
import { timeOf } from "../plan/index.ts";
import { childrenOf } from "../publish/index.ts";
import {
	emptyState,
	type Decided,
	type Decisions,
	type Held,
	imageOf,
	type PublishedTag,
	type State,
} from "../state/index.ts";
import { forcedTitles, requireDecidable } from "./force.ts";
import type { Workspace } from "./workspace.ts";

/** Questions about manifests at a time. */
const questionsAtOnce = 8;

export interface DecisionRequest {
	/** One line. */
	readonly reason: string;
	readonly by: string;
}

/** Everything that was decided, and what the builds are called that are made again, by the id that is replaced. */
export async function decisions(
	workspace: Workspace,
): Promise<{ readonly decisions: Decisions; readonly titles: ReadonlyMap<string, string> }> {
	const state = (await workspace.memory.read()) ?? emptyState;
	return { decisions: state.decisions, titles: forcedTitles(state) };
}

/** Decides that no tag of an image (`NAME`), or one (`NAME:TAG`), is moved until it is released; without a name, none at all. */
export async function hold(workspace: Workspace, name: string | undefined, request: DecisionRequest): Promise<void> {
	const decided = decidedBy(workspace, request);
	if (name !== undefined) requireKnown(await known(workspace), name);
	await decide(workspace, name, `Hold ${name ?? "everything"}: ${request.reason}`, (before) =>
		name === undefined ? { ...before, stop: decided } : { ...before, holds: { ...before.holds, [name]: decided } },
	);
}

/**
 * Decides that a tag holds again what it held: `to`, or without it what it held before what it holds now, or before what it was
 * taken back to already. What that is must be in the registry still, and all of it.
 */
export async function rollback(
	workspace: Workspace,
	tag: string,
	request: DecisionRequest & { readonly to?: string },
): Promise<{ readonly digest: string; readonly since: string | null }> {
	const decided = decidedBy(workspace, request);
	const state = await known(workspace);
	if (!tag.includes(":")) {
		throw new BrewlineError("usage", `${printable(tag)} is an image, and not a tag`, { hint: "write NAME:TAG" });
	}
	requireKnown({ ...state, published: {} }, tag);
	const reference = parseReference(underNamespace(workspace.program.registries.namespace, tag));
	const holds = (await workspace.client.headManifest(reference))?.digest;
	const target = request.to === undefined ? earlier(state, tag, holds) : { digest: request.to, when: null };
	if (!isDigest(target.digest)) {
		throw new BrewlineError("usage", `${printable(target.digest, 150)} is no digest`, { hint: "write sha256:…" });
	}
	await requireWhole(workspace, withDigest(repositoryOf(reference), target.digest));
	await decide(workspace, tag, `Take ${tag} back to ${target.digest}: ${request.reason}`, (before) => ({
		...before,
		rollbacks: { ...before.rollbacks, [tag]: { digest: target.digest, ...decided } },
	}));
	return { digest: target.digest, since: target.when };
}

/** Throws `registry` unless a manifest is there with all that it lists: who cleans up a repository may take away parts of an index. */
async function requireWhole({ client, io }: Workspace, at: Reference): Promise<void> {
	const hint = "choose another one that is: --to DIGEST";
	const manifest = await client.getManifest(at);
	if (manifest === undefined) {
		throw new BrewlineError("registry", `${printReference(at)} is not there any more`, { hint });
	}
	const listed = childrenOf(manifest.bytes, manifest.digest).manifests.map(({ digest }) => digest);
	const questions = limit(questionsAtOnce, io.signal);
	const found = await Promise.all(
		listed.map((digest) => questions(() => client.headManifest(withDigest(repositoryOf(at), digest)))),
	);
	const gone = listed.filter((_, place) => found[place] === undefined);
	if (gone.length > 0) {
		const text = `${gone.length} of the ${listed.length} manifests in ${printReference(at)} are not there any more: ${gone.join(", ")}`;
		throw new BrewlineError("registry", printable(text, 500), { hint });
	}
}

/** What a tag held before what it `holds`, or was taken back to. Throws `usage` where that is not known. */
function earlier({ published, decisions: { rollbacks } }: State, tag: string, holds: string | undefined): Held {
	const image = imageOf(tag);
	const ofImage = Object.hasOwn(published, image) ? published[image]! : {};
	const now = Object.hasOwn(ofImage, tag) ? ofImage[tag] : undefined;
	const held = now === undefined ? [] : [now, ...(now.before ?? [])];
	// A tag that was taken back holds something else than what is known, or will soon.
	const back = Object.hasOwn(rollbacks, tag) ? rollbacks[tag]!.digest : undefined;
	const place = held.findLastIndex(({ digest }) => digest === (back ?? holds ?? now?.digest));
	// What the registry holds and nobody wrote down is newer than all that is known.
	const found = place >= 0 ? held[place + 1] : back === undefined ? held[0] : undefined;
	if (found !== undefined) return found;
	throw new BrewlineError("usage", `it is not known what ${printable(tag)} held before`, {
		hint: "name the digest: --to sha256:…",
	});
}

/** Decides that tags go without platforms that are defined, as long as these are not there as they are defined. */
export async function shrink(
	workspace: Workspace,
	name: string,
	platforms: readonly string[],
	request: DecisionRequest,
): Promise<void> {
	const decided = decidedBy(workspace, request);
	const all = Object.values(workspace.program.architectures).map(({ platform }) => platformString(platform));
	for (const platform of platforms) {
		if (!all.includes(platform)) {
			throw new BrewlineError("usage", `${printable(platform)} is no platform of this program`, {
				hint: `its platforms are: ${[...new Set(all)].sort().join(", ")}`,
			});
		}
	}
	requireKnown(await known(workspace), name);
	await decide(workspace, name, `Let ${name} go without ${platforms.join(", ")}: ${request.reason}`, (before) => ({
		...before,
		shrink: { ...before.shrink, [name]: { platforms: withEarlier(before, name, platforms), ...decided } },
	}));
}

function withEarlier({ shrink: decided }: Decisions, name: string, platforms: readonly string[]): string[] {
	const earlier = Object.hasOwn(decided, name) ? decided[name]!.platforms : [];
	return [...new Set([...earlier, ...platforms])].sort();
}

/** Ends what was decided of an image or a tag, or without a name the stop of everything; what it was, in words. */
export async function release(workspace: Workspace, name: string | undefined, by: string): Promise<readonly string[]> {
	requireDecidable(workspace, by);
	const { decisions: now } = await known(workspace);
	const ended: string[] = [];
	if (name === undefined) {
		if (now.stop !== undefined) ended.push("the stop of everything");
	} else {
		if (Object.hasOwn(now.holds, name)) ended.push("a hold");
		if (Object.hasOwn(now.rollbacks, name)) ended.push("a rollback");
		if (Object.hasOwn(now.shrink, name)) ended.push("leave to shrink");
	}
	if (ended.length > 0) {
		const without = <T>(values: Readonly<Record<string, T>>) =>
			Object.fromEntries(Object.entries(values).filter(([key]) => key !== name));
		await decide(workspace, name, `Release ${name ?? "everything"}, by ${by}`, ({ stop, ...before }) => ({
			...before,
			holds: without(before.holds),
			rollbacks: without(before.rollbacks),
			shrink: without(before.shrink),
			...(name === undefined || stop === undefined ? {} : { stop }),
		}));
	}
	return ended;
}

function decidedBy(workspace: Workspace, request: DecisionRequest): Decided {
	requireDecidable(workspace, request.reason, request.by);
	return { by: request.by, when: timeOf(Math.floor(workspace.io.clock.now() / 1000)), why: request.reason };
}

async function known(workspace: Workspace): Promise<State> {
	return (await workspace.memory.read()) ?? emptyState;
}

/** A name that nothing has is a mistake, as far as it is known what there is. */
function requireKnown({ sources, published }: State, name: string): void {
	const tags = new Set([
		...Object.values(sources).flatMap(({ arches }) => Object.values(arches).flatMap((ofArch) => ofArch.tags)),
		...Object.values(published).flatMap((ofImage) => Object.keys(ofImage)),
	]);
	const names = new Set([...tags].map(imageOf));
	if (tags.size === 0 || tags.has(name) || names.has(name)) return;
	const near = nearest(name, name.includes(":") ? tags : names);
	throw new BrewlineError("usage", `there is no ${name.includes(":") ? "tag" : "image"} ${printable(name)}`, {
		hint: near === undefined ? "write NAME or NAME:TAG, as the definitions have it" : `did you mean ${near}?`,
	});
}

/**
 * `name`: whom it is about; the next run that may looks at these tags, whatever is known of them. Undefined: everybody, whose tags
 * nothing moves, so that what is known of them stays true.
 */
async function decide(
	workspace: Workspace,
	name: string | undefined,
	message: string,
	change: (before: Decisions) => Decisions,
): Promise<void> {
	await workspace.memory.update(
		(state) => ({
			...state,
			decisions: change(state.decisions),
			published: name === undefined ? state.published : toLookAt(state.published, name),
		}),
		message,
	);
}

/** Without what the tags of an image, or one tag, were made from. */
function toLookAt(published: State["published"], name: string): State["published"] {
	const ofTag = (image: string, tag: string, known: PublishedTag): PublishedTag => {
		const { from: _, ...others } = known;
		return name === tag || name === image ? others : known;
	};
	return Object.fromEntries(
		Object.entries(published).map(([image, tags]) => [
			image,
			Object.fromEntries(Object.entries(tags).map(([tag, known]) => [tag, ofTag(image, tag, known)])),
		]),
	);
}
