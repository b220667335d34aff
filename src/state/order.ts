import type { Builds, QueueRecord, QueueRecords } from "../builds/index.ts";
import { orderInRounds } from "../definition/index.ts";
import { compareCodePoints, orderedEntries, orderedObject } from "../json/index.ts";
import type { Source, Sources } from "../sources/index.ts";
import type { State } from "./types.ts";

/**
 * The order of sources is that of images, then that within an image. Images of a whole library are sorted by name and
 * put out in rounds (spec/manifest.md, References, `--build-order`), which follows from their FROMs and is computed.
 * What stands elsewhere (a run over hand-picked references) is written down where it begins, with what it stands after.
 */
export interface Part {
	readonly image: string;
	/** From 0: an image's sources are in several parts where those of another stand between them. */
	readonly part: number;
}

export interface Moved {
	/** The source with which the part begins. */
	readonly first: string;
	/** Null: it stands before all others. */
	readonly after: Part | null;
}

export interface OrderedImage {
	/** Source ids, in order. */
	readonly ids: readonly string[];
	readonly moved: readonly Moved[];
}

/** `NAME` of `NAME:TAG`. */
export function imageOf(tag: string): string {
	return tag.slice(0, tag.lastIndexOf(":"));
}

/** The image whose file a source stands in: the first of those that have it. */
export function ownerOf(source: Source): string {
	return imageOf(orderedEntries(source.arches)[0]![1].tags[0]!);
}

/**
 * Records of the queue as the state keeps them: by the image whose source a build is made of, so that a try of one image
 * changes no file of another. Records of builds that are not there, or need no building any more, are dropped.
 */
export function recordsByImage(records: QueueRecords, builds: Builds): State["queue"] {
	const images = new Map<string, (readonly [string, QueueRecord])[]>();
	for (const [id, record] of orderedEntries(records)) {
		const build = Object.hasOwn(builds, id) ? builds[id] : undefined;
		if (build === undefined || build.build.resolved !== null) continue;
		// A build knows its own architecture alone: the image that is named first there has it.
		const image = ownerOf(build.source);
		const known = images.get(image);
		if (known === undefined) images.set(image, [[id, record]]);
		else known.push([id, record]);
	}
	return orderedObject([...images].map(([image, entries]) => [image, orderedObject(entries)]));
}

/** All records by build id, as the queue of an architecture takes them. */
export function allRecords(queue: State["queue"]): QueueRecords {
	return orderedObject(orderedEntries(queue).flatMap(([, records]) => orderedEntries(records)));
}

/** Every image, in the order in which a whole library is built; those in circles of FROMs come last, by name. */
function imageOrder(sources: Iterable<Source>): readonly string[] {
	const needed = new Map<string, Set<string>>();
	const owners = new Map<string, string>();
	const all = [...sources].flatMap(({ arches }) => Object.values(arches));
	for (const { tags } of all) {
		for (const tag of tags) {
			const image = imageOf(tag);
			owners.set(tag, image);
			if (!needed.has(image)) needed.set(image, new Set());
		}
	}
	for (const { tags, froms } of all) {
		const bases = new Set(froms.flatMap((from) => owners.get(from) ?? []));
		for (const image of new Set(tags.map(imageOf))) {
			for (const base of bases) if (base !== image) needed.get(image)!.add(base);
		}
	}
	const names = [...needed.keys()].sort(compareCodePoints);
	const indexes = new Map(names.map((name, index) => [name, index]));
	const order = orderInRounds(names.map((name) => [...needed.get(name)!].map((base) => indexes.get(base)!)));
	const out = new Set(order);
	return [...order, ...names.keys().filter((index) => !out.has(index))].map((index) => names[index]!);
}

/** Takes the order apart: what is needed of it, image by image. */
export function takeApart(sources: Sources): ReadonlyMap<string, OrderedImage> {
	const parts: (Part & { readonly first: string })[] = [];
	const images = new Map<string, { ids: string[]; moved: Moved[]; parts: number }>();
	for (const [id, source] of orderedEntries(sources)) {
		const image = ownerOf(source);
		const known = images.get(image) ?? { ids: [], moved: [], parts: 0 };
		images.set(image, known);
		known.ids.push(id);
		if (parts.at(-1)?.image !== image) parts.push({ image, part: known.parts++, first: id });
	}
	const place = new Map(imageOrder(Object.values(sources)).map((image, index) => [image, index]));
	const staying = longestRising(parts.map(({ image, part }) => (part === 0 ? place.get(image)! : -1)));
	for (const [index, { image, first }] of parts.entries()) {
		if (staying.has(index)) continue;
		const before = parts[index - 1];
		const after = before === undefined ? null : { image: before.image, part: before.part };
		images.get(image)!.moved.push({ first, after });
	}
	return images;
}

/** The indexes of a longest rising sequence among the numbers, those below 0 aside. */
function longestRising(numbers: readonly number[]): ReadonlySet<number> {
	/** The index of the smallest number that ends a sequence of this length, and what stands before each. */
	const ends: number[] = [];
	const before: (number | undefined)[] = [];
	for (const [index, number] of numbers.entries()) {
		if (number < 0) continue;
		const longer = ends.findIndex((end) => numbers[end]! >= number);
		const at = longer < 0 ? ends.length : longer;
		before[index] = ends[at - 1];
		ends[at] = index;
	}
	const rising = new Set<number>();
	for (let index = ends.at(-1); index !== undefined; index = before[index]) rising.add(index);
	return rising;
}

/** Puts the order together again; undefined where what is written down contradicts itself. */
export function putTogether(
	images: ReadonlyMap<string, OrderedImage>,
	sources: Iterable<Source>,
): readonly string[] | undefined {
	const key = ({ image, part }: Part) => `${image} ${part}`;
	const followers = new Map<string, string>();
	const parts = new Map<string, readonly string[]>();
	const staying = new Set<string>();
	for (const [image, { ids, moved }] of images) {
		const places = new Map(moved.map(({ first, after }) => [first, after]));
		const cuts = ids.flatMap((id, index) => (index === 0 || places.has(id) ? [index] : []));
		if (places.size < moved.length || moved.some(({ first }) => !ids.includes(first))) return undefined;
		for (const [part, cut] of cuts.entries()) {
			const own = key({ image, part });
			parts.set(own, ids.slice(cut, cuts[part + 1]));
			const after = places.get(ids[cut]!);
			if (after === undefined) staying.add(own);
			else {
				const before = after === null ? "" : key(after);
				if (followers.has(before)) return undefined;
				followers.set(before, own);
			}
		}
	}
	const order: string[] = [];
	let done = 0;
	const putOut = (first: string | undefined): void => {
		for (let next = first; next !== undefined && done < parts.size; next = followers.get(next), done++) {
			order.push(...parts.get(next)!);
		}
	};
	putOut(followers.get(""));
	for (const image of imageOrder(sources)) {
		const own = key({ image, part: 0 });
		if (staying.has(own)) putOut(own);
	}
	return done === parts.size && new Set(order).size === order.length ? order : undefined;
}
