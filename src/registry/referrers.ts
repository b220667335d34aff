import { BrewlineError } from "../errors.ts";
import type { HttpResponse, Io } from "../io/types.ts";
import { parseJsonObject } from "../json/index.ts";
import {
	isIndexType,
	maxManifestSize,
	mediaTypes,
	parseDigest,
	type Descriptor,
	type Reference,
} from "../oci/index.ts";
import { discard, readAnswer } from "./answer.ts";
import { readDescriptor } from "./synthesize.ts";
import { nextPage, type ListPage } from "./tags.ts";
import type { Ask } from "./transport.ts";
import type { RegistryManifest } from "./types.ts";

/** No manifest has nearly so many, and each of them costs whoever follows them several requests. */
const maxReferrers = 10_000;
const maxPages = 1000;

/**
 * The tag that lists the referrers of a digest where the registry does not (OCI distribution 1.1, Referrers Tag Schema).
 * Throws `reference` where that is no digest.
 */
export function referrersTag(digest: string): string {
	const { algorithm, encoded } = parseDigest(digest);
	return `${algorithm}-${encoded.slice(0, 64)}`;
}

/** A manifest that names a subject, as lists of that subject's referrers have it; undefined where it names none. */
export function asReferrer(
	manifest: RegistryManifest,
): { readonly subject: string; readonly descriptor: Descriptor } | undefined {
	const { mediaType, digest, bytes } = manifest;
	// Most have none, and are not read a second time.
	if (!Buffer.from(bytes).includes('"subject"')) return undefined;
	const what = `the manifest ${digest}`;
	const body = parseJsonObject(bytes, { what, maxBytes: maxManifestSize, code: "registry" });
	if ((body["subject"] ?? null) === null) return undefined;
	const subject = readDescriptor(body["subject"], `${what}: subject`);
	const config = (body["config"] ?? null) === null ? undefined : readDescriptor(body["config"], `${what}: config`);
	const described = { mediaType, digest, size: bytes.length, annotations: body["annotations"] ?? null };
	const artifactType = body["artifactType"] ?? config?.mediaType ?? null;
	return { subject: subject.digest, descriptor: readDescriptor({ ...described, artifactType }, what) };
}

/**
 * The answer of a registry to a question for referrers; undefined where it does not know the question: most say 404, some
 * take the digest for something else, and some send a web page.
 */
export async function referrersAnswer(
	response: HttpResponse,
	now: number,
): Promise<{ readonly page: HttpResponse } | { readonly lacking: "surely" | "here" } | undefined> {
	const type = response.headers["content-type"]?.split(";", 1)[0]?.trim();
	if (response.status === 200 && type === mediaTypes.ociIndex) return { page: response };
	if (![200, 400, 404, 405, 406, 501].includes(response.status)) return undefined;
	if (response.status !== 404) {
		await discard(response.body);
		return { lacking: "surely" };
	}
	// One that knows the question may not know the repository; one that does not has no code for that.
	return { lacking: (await readAnswer(response, now)).codes.length === 0 ? "surely" : "here" };
}

/**
 * All referrers that a registry's own list has, page by page; undefined where it has no such lists.
 * @param read Gets one page; undefined where the registry does not know the question.
 */
export async function listedReferrers(
	first: Ask,
	doing: string,
	read: (page: Ask) => Promise<ListPage | undefined>,
): Promise<readonly Descriptor[] | undefined> {
	const found = new Map<string, Descriptor>();
	const seen = new Set<string>();
	for (let page: Ask | undefined = first; page !== undefined;) {
		const url = new URL(page.path, page.endpoint.origin);
		if (seen.has(url.href)) throw new BrewlineError("registry", `${doing}: the registry's pages lead in a circle`);
		if (seen.size >= maxPages) throw new BrewlineError("registry", `${doing}: there are more than ${maxPages} pages`);
		seen.add(url.href);
		const answer = await read(page);
		if (answer === undefined) {
			if (seen.size === 1) return undefined;
			throw new BrewlineError("registry", `${doing}: the list ends in the middle`);
		}
		for (const descriptor of referrersIn(answer.bytes, doing)) found.set(descriptor.digest, descriptor);
		if (found.size > maxReferrers) throw tooMany(doing);
		page = nextPage(page, url, answer.link);
	}
	return [...found.values()];
}

function referrersIn(bytes: Uint8Array, doing: string): readonly Descriptor[] {
	const what = `${doing}: the answer`;
	const body = parseJsonObject(bytes, { what, maxBytes: bytes.length, code: "registry" });
	const list = body["manifests"] ?? [];
	if (!Array.isArray(list)) throw new BrewlineError("registry", `${what}'s "manifests" is not a list`);
	if (list.length > maxReferrers) throw tooMany(doing);
	return list.map((entry, at) => readDescriptor(entry as never, `${what}: manifests[${at}]`));
}

function tooMany(doing: string): BrewlineError {
	return new BrewlineError("registry", `${doing}: there are more than ${maxReferrers} of them`);
}

/** Milliseconds: others that read the list before ours was in it have written theirs by then. */
const settlingTime = 300;
const maxRounds = 9;

interface TaggedList {
	readonly read: (reference: Reference) => Promise<RegistryManifest | undefined>;
	readonly write: (reference: Reference, mediaType: string, bytes: Uint8Array) => Promise<unknown>;
}

/** The referrers that the tag for them lists; none where there is no such tag, or it is no index. */
export async function taggedReferrers(
	repository: Reference,
	subject: string,
	read: TaggedList["read"],
	doing: string,
): Promise<readonly Descriptor[]> {
	const found = await read({ ...repository, tag: referrersTag(subject) });
	return found === undefined || !isIndexType(found.mediaType) ? [] : referrersIn(found.bytes, doing);
}

/**
 * Lists a manifest under the tag for its subject's referrers. Registries cannot change a tag only if nobody else did, so the
 * list is read again after it was written, at once and a while later, and what another writer took away is put back: of
 * two that do so, the one that was overwritten sees it. What was seen once stays, also where reads lag writes.
 */
export async function addTaggedReferrer(
	io: Pick<Io, "clock" | "signal">,
	repository: Reference,
	referrer: { readonly subject: string; readonly descriptor: Descriptor },
	list: TaggedList,
	doing: string,
): Promise<void> {
	const target = { ...repository, tag: referrersTag(referrer.subject) };
	const known = new Map<string, Descriptor>();
	/** What stood there before ours was written. */
	let replaced: string | undefined;
	let held = 0;
	for (let round = 0; round < maxRounds; round++) {
		const now = await list.read(target);
		if (now !== undefined && !isIndexType(now.mediaType)) {
			throw new BrewlineError("registry", `${doing}: the tag ${target.tag} is in use for something else`, {
				hint: "the registry does not list referrers by itself, and its tag for them is no list: delete that tag",
			});
		}
		const listed = now === undefined ? [] : referrersIn(now.bytes, doing);
		for (const descriptor of listed) known.set(descriptor.digest, descriptor);
		known.set(referrer.descriptor.digest, referrer.descriptor);
		const has = new Set(listed.map(({ digest }) => digest));
		const complete = [...known.keys()].every((digest) => has.has(digest));
		// What was there before needs no proof that it stays.
		if (complete && (round === 0 || ++held === 2)) return;
		if (!complete) {
			held = 0;
			// As it was: it is shown late, and writing it again would not mend that.
			if (round === 0 || now?.digest !== replaced) {
				const index = { schemaVersion: 2, mediaType: mediaTypes.ociIndex, manifests: [...known.values()] };
				const bytes = Buffer.from(JSON.stringify(index));
				if (known.size > maxReferrers || bytes.length > maxManifestSize) throw tooMany(doing);
				await list.write(target, mediaTypes.ociIndex, bytes);
				replaced = now?.digest;
			}
		}
		if (round > 0) await io.clock.sleep(complete ? settlingTime : settlingTime * 2 ** (round - 1), io.signal);
	}
	throw new BrewlineError("registry", `${doing}: what is written to ${target.tag} does not stay there`, {
		hint: "others write to it at the same time, or the registry shows it late: run it again",
	});
}
