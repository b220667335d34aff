import * as z from "zod/mini";
import { buildIdOf, indexSchema, outsideReference, referenceSchema, type Build, type Builds } from "../builds/index.ts";
import { BrewlineError } from "../errors.ts";
import { goJson, orderedEntries, orderedKeys, orderedObject, sortedByKey } from "../json/index.ts";
import type { Index } from "../oci/index.ts";
import type { HandoverFormat } from "../plan/index.ts";
import { architecture, digest, line, sha256Hex } from "../plan/grammar.ts";
import { sourcesSchema, type Source, type SourceArch, type Sources } from "../sources/index.ts";
import { imageName } from "../definition/index.ts";
import { ownerOf, putTogether, takeApart, type Moved } from "./order.ts";

/**
 * `images/NAME.json`: what one image's own sources, their builds and their lookups are. What follows from something
 * else in the state is not repeated: a build's source, and an index that stands elsewhere (a word then says where).
 * So a file changes with its image and with what that is built from, and with nothing else.
 */
export interface ImageFile {
	readonly moved?: readonly Moved[];
	/** In their order. */
	readonly sources: Sources;
	/** By build id, in the order of the sources. */
	readonly builds: Readonly<Record<string, StoredBuild>>;
	/** What images from outside held, by architecture and FROM. */
	readonly outside: Readonly<Record<string, Readonly<Record<string, Index>>>>;
	/** By reference. */
	readonly lookups: Readonly<Record<string, Index>>;
}

interface StoredBuild {
	readonly img: string;
	/** `lookup`: what `lookups` holds under `img`. */
	readonly resolved: Index | "lookup" | null;
	readonly sourceId: string;
	readonly arch: string;
	readonly parents: Readonly<Record<string, string>>;
	/** `build`: what the parent's own build holds; `outside`: what `outside` has. */
	readonly resolvedParents: Readonly<Record<string, Index | "build" | "outside">>;
	/** Only of a forced build. */
	readonly force?: string;
}

export const imageNameSchema = z.string().check(z.regex(imageName, { error: "must be an image's name" }));
const part = z.strictObject({ image: imageNameSchema, part: z.int().check(z.nonnegative()) });
const index = <T extends string>(...words: T[]) => z.union([z.enum(words), indexSchema]);

export const imageFormat: HandoverFormat<ImageFile> = {
	format: "brewline-state-image",
	version: 1,
	maxBytes: 64 * 1024 * 1024,
	schema: z.strictObject({
		format: z.literal("brewline-state-image"),
		version: z.literal(1),
		moved: z.exactOptional(z.array(z.strictObject({ first: sha256Hex, after: z.nullable(part) }))),
		sources: sourcesSchema,
		builds: z.record(
			sha256Hex,
			z.strictObject({
				img: referenceSchema,
				resolved: z.nullable(index("lookup")),
				sourceId: sha256Hex,
				arch: architecture,
				parents: z.record(z.string(), digest),
				resolvedParents: z.record(z.string(), index("build", "outside")),
				force: z.exactOptional(line),
			}),
		),
		outside: z.record(architecture, z.record(z.string(), indexSchema)),
		lookups: z.record(referenceSchema, indexSchema),
	}) as unknown as z.ZodMiniType<ImageFile>,
};

interface Images {
	readonly images: ReadonlyMap<string, ImageFile>;
	/** Lookups that no image asks for: of an older run. */
	readonly others: Readonly<Record<string, Index>>;
}

/**
 * Takes sources, builds and lookups apart. Throws `handover` where the builds are not those of the sources, in their
 * order: then they were computed from others.
 */
export function splitImages(sources: Sources, builds: Builds, lookups: Readonly<Record<string, Index>>): Images {
	const same = comparer();
	const byPlace = buildsByPlace(sources, builds);
	const images = new Map<string, ImageFile>();
	const asked = new Set<string>();
	for (const [image, { ids, moved }] of takeApart(sources)) {
		const outside: Record<string, Record<string, Index>> = {};
		const stored: [string, StoredBuild][] = [];
		const own = new Set<string>();
		const store = ({ build }: Build, arch: string, ofArch: SourceArch): StoredBuild => {
			const { img, resolved, sourceId, parents, resolvedParents, force } = build;
			const placed = orderedEntries(resolvedParents).map(
				([from, found]): readonly [string, Index | "build" | "outside"] => {
					const parent = ofArch.parents[from]?.sourceId ?? null;
					const built = parent === null ? undefined : byPlace.get(placeOf(parent, arch))?.build.resolved;
					if (built && same(built, found)) return [from, "build"];
					const known = ((outside[arch] ??= {})[from] ??= found);
					return [from, same(known, found) ? "outside" : found];
				},
			);
			const looked = Object.hasOwn(lookups, img) ? lookups[img] : undefined;
			return {
				img,
				resolved: resolved !== null && looked !== undefined && same(looked, resolved) ? "lookup" : resolved,
				sourceId,
				arch,
				parents,
				resolvedParents: orderedObject(placed),
				...(force === undefined ? {} : { force }),
			};
		};
		for (const id of ids) {
			for (const [arch, ofArch] of orderedEntries(sources[id]!.arches)) {
				for (const reference of outsideOf(ofArch)) own.add(reference);
				const build = byPlace.get(placeOf(id, arch));
				if (build === undefined) continue;
				own.add(build.build.img);
				stored.push([build.buildId, store(build, arch, ofArch)]);
			}
		}
		const known = [...own].filter((reference) => Object.hasOwn(lookups, reference));
		for (const reference of known) asked.add(reference);
		images.set(image, {
			...(moved.length === 0 ? {} : { moved }),
			sources: orderedObject(ids.map((id) => [id, sources[id]!])),
			builds: orderedObject(stored),
			outside: sortedByKey(
				Object.fromEntries(Object.entries(outside).map(([arch, each]) => [arch, sortedByKey(each)])),
			),
			lookups: sortedByKey(orderedObject(known.map((reference) => [reference, lookups[reference]!]))),
		});
	}
	return { images, others: orderedObject(orderedEntries(lookups).filter(([reference]) => !asked.has(reference))) };
}

/** Puts them together again. Throws `handover` where the files do not belong together. */
export function joinImages({ images, others }: Images): {
	readonly sources: Sources;
	readonly builds: Builds;
	readonly lookups: Readonly<Record<string, Index>>;
} {
	const all = new Map<string, { readonly source: Source; readonly image: string }>();
	for (const [image, file] of images) {
		for (const [id, source] of orderedEntries(file.sources)) {
			if (all.has(id) || ownerOf(source) !== image) throw contradiction(image, `the source ${id} is not its own`);
			all.set(id, { source, image });
		}
	}
	const parts = new Map(
		[...images].map(([image, { sources, moved = [] }]) => [image, { ids: orderedKeys(sources), moved }]),
	);
	const order = putTogether(
		parts,
		[...all.values()].map(({ source }) => source),
	);
	if (order === undefined) throw contradiction([...images.keys()].join(", "), "what was moved fits no order");
	const sources = orderedObject(order.map((id) => [id, all.get(id)!.source]));
	const same = comparer();
	const lookups = new Map(orderedEntries(others));
	for (const [image, file] of images) {
		for (const [reference, found] of orderedEntries(file.lookups)) {
			const known = lookups.get(reference);
			if (known !== undefined && !same(known, found))
				throw contradiction(image, `another image has another index for ${reference}`);
			lookups.set(reference, found);
		}
	}
	return { sources, builds: joinBuilds(images, all, order), lookups: sortedByKey(Object.fromEntries(lookups)) };
}

function joinBuilds(
	images: ReadonlyMap<string, ImageFile>,
	all: ReadonlyMap<string, { readonly source: Source; readonly image: string }>,
	order: readonly string[],
): Builds {
	const stored = new Map<string, { readonly id: string; readonly build: StoredBuild; readonly file: ImageFile }>();
	for (const [image, file] of images) {
		for (const [id, build] of orderedEntries(file.builds)) {
			const place = placeOf(build.sourceId, build.arch);
			const source = Object.hasOwn(file.sources, build.sourceId) ? file.sources[build.sourceId] : undefined;
			if (source === undefined || !Object.hasOwn(source.arches, build.arch) || stored.has(place))
				throw contradiction(image, `the build ${id} is of no source of this file, or one of two`);
			if (buildIdOf(build) !== id) throw contradiction(image, `${id} is not the id of the build that it holds`);
			stored.set(place, { id, build, file });
		}
	}
	const builds: [string, Build][] = [];
	const resolved = new Map<string, Index | null>();
	for (const sourceId of order) {
		const { source, image } = all.get(sourceId)!;
		for (const [arch, ofArch] of orderedEntries(source.arches)) {
			const place = placeOf(sourceId, arch);
			const found = stored.get(place);
			if (found === undefined) continue;
			const { id, build, file } = found;
			const known = (value: Index | null | undefined, what: string): Index => {
				if (value) return value;
				throw contradiction(image, `the build ${id} names ${what}, which is not there`);
			};
			const parents = orderedEntries(build.resolvedParents).map(([from, parent]): readonly [string, Index] => {
				if (parent === "outside") return [from, known(file.outside[arch]?.[from], `what ${from} held`)];
				if (parent !== "build") return [from, parent];
				return [from, known(resolved.get(placeOf(ofArch.parents[from]?.sourceId ?? "", arch)), `its parent ${from}`)];
			});
			const { img, parents: digests, force } = build;
			const index = build.resolved === "lookup" ? known(file.lookups[img], `the lookup of ${img}`) : build.resolved;
			resolved.set(place, index);
			const resolvedParents = orderedObject(parents);
			builds.push([
				id,
				{
					buildId: id,
					build: {
						img,
						resolved: index,
						sourceId,
						arch,
						parents: digests,
						resolvedParents,
						...(force === undefined ? {} : { force }),
					},
					source: { ...source, arches: { [arch]: ofArch } },
				},
			]);
		}
	}
	return orderedObject(builds);
}

/** Each build under its source and architecture, once it is certain that they are all, and in their order. */
function buildsByPlace(sources: Sources, builds: Builds): ReadonlyMap<string, Build> {
	const same = comparer();
	const byPlace = new Map<string, Build>();
	for (const [, build] of orderedEntries(builds)) byPlace.set(placeOf(build.build.sourceId, build.build.arch), build);
	const inOrder = orderedEntries(sources).flatMap(([id, source]) =>
		orderedEntries(source.arches).flatMap(([arch, ofArch]) => {
			const build = byPlace.get(placeOf(id, arch));
			if (build === undefined || !same(build.source, { ...source, arches: { [arch]: ofArch } })) return [];
			// Else it could not be read again.
			return buildIdOf(build.build) === build.buildId ? [build.buildId] : [];
		}),
	);
	if (inOrder.join() === orderedKeys(builds).join()) return byPlace;
	throw new BrewlineError("handover", "the builds are not those of the sources, in their order", {
		hint: "compute builds.json from this sources.json",
	});
}

function placeOf(sourceId: string, arch: string): string {
	return `${sourceId} ${arch}`;
}

/** The references that were asked for images from outside. */
function outsideOf(ofArch: SourceArch): readonly string[] {
	return orderedEntries(ofArch.parents).flatMap(([from, { sourceId, pin }]) => {
		if (sourceId !== null || from === "scratch") return [];
		try {
			return [outsideReference(from, pin)];
		} catch {
			// The old program's sources may name what is no reference: nothing was ever looked up for it.
			return [];
		}
	});
}

/** Whether two values are the same to the byte; each is written once. */
function comparer(): (a: object, b: object) => boolean {
	const texts = new WeakMap<object, string>();
	const textOf = (value: object): string => {
		const text = texts.get(value) ?? goJson(value);
		texts.set(value, text);
		return text;
	};
	return (a, b) => a === b || textOf(a) === textOf(b);
}

function contradiction(image: string, what: string): BrewlineError {
	return new BrewlineError("handover", `the state of ${image} contradicts itself: ${what}`);
}
