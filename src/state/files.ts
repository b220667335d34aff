import * as z from "zod/mini";
import { indexSchema, referenceSchema, type QueueRecords } from "../builds/index.ts";
import { BrewlineError } from "../errors.ts";
import { printable } from "../io/printable.ts";
import { orderedEntries, orderedObject, sortedByKey } from "../json/index.ts";
import type { Index } from "../oci/index.ts";
import { architecture, digest, imageReference, instant, line, platformString, sha256Hex } from "../plan/grammar.ts";
import { readHandover, writeHandover, type HandoverFormat, type Predecessor } from "../plan/index.ts";
import { sourceEntrySchema } from "../sources/index.ts";
import { imageFormat, imageNameSchema, joinImages, splitImages, type ImageFile } from "./images.ts";
import type { Decisions, PassedTest, PublishedTag, State } from "./types.ts";

const mebibyte = 1024 * 1024;
/** What is written with `format` and `version` before it, and read without them. */
const version = 1;
const formatOf = <T>(name: string, maxBytes: number, shape: z.core.$ZodShape): HandoverFormat<T> => ({
	format: name,
	version,
	maxBytes,
	schema: z.strictObject({
		format: z.literal(name),
		version: z.literal(version),
		...shape,
	}) as unknown as z.ZodMiniType<T>,
});

const when = instant;
const person = line.check(z.minLength(1));
const decided = { by: person, when, why: person };
const held = { digest, platforms: z.array(platformString), when };
/** Up to the end of the year 9999, and as far back: a date cannot be much further away, and plans print them. */
const farthest = 253_402_300_799;
const seconds = z.int().check(z.minimum(-farthest), z.maximum(farthest));

/** `format.json`: that this is a state, and of which version. */
export const stateFormat = formatOf<object>("brewline-state", 1024, {});

interface QueueFile {
	readonly records: QueueRecords;
	readonly replaced?: readonly Predecessor[];
}

/** `queue/NAME.json`: the records of spec/builds.md, by build id, and what the builds that are not there will replace. */
export const queueFormat = formatOf<QueueFile>("brewline-state-queue", 16 * mebibyte, {
	records: z.record(
		sha256Hex,
		z.strictObject({
			count: z.int().check(z.nonnegative()),
			skip: z.exactOptional(z.boolean()),
			lastTime: z.exactOptional(z.nullable(seconds)),
			firstTime: z.exactOptional(seconds),
			url: z.exactOptional(line),
			identifier: z.exactOptional(line),
			reason: z.exactOptional(line),
		}),
	),
	replaced: z.exactOptional(
		z.array(
			z.strictObject({
				buildId: sha256Hex,
				arch: architecture,
				tags: z.array(imageReference),
				checksum: sha256Hex,
				entry: sourceEntrySchema,
				parents: z.record(z.string(), digest),
			}),
		),
	),
});

/** `published/NAME.json`: what each tag held when it was last published. */
export const publishedFormat = formatOf<{ readonly tags: Readonly<Record<string, PublishedTag>> }>(
	"brewline-state-published",
	16 * mebibyte,
	{
		tags: z.record(
			referenceSchema,
			z.strictObject({
				...held,
				from: z.exactOptional(sha256Hex),
				before: z.exactOptional(z.array(z.strictObject(held))),
			}),
		),
	},
);

/** `tested/NAME.json`: which digests passed their tests. */
export const testedFormat = formatOf<{ readonly tests: Readonly<Record<string, PassedTest>> }>(
	"brewline-state-tested",
	16 * mebibyte,
	{ tests: z.record(digest, z.strictObject({ when, log: z.exactOptional(line) })) },
);

/** `decisions.json`: what people decided. */
export const decisionsFormat = formatOf<Decisions>("brewline-state-decisions", 4 * mebibyte, {
	forced: z.record(sha256Hex, z.strictObject({ text: line, by: person, when })),
	shrink: z.record(imageReference, z.strictObject({ platforms: z.array(platformString), ...decided })),
	holds: z.record(imageReference, z.strictObject(decided)),
	rollbacks: z.record(imageReference, z.strictObject({ digest, ...decided })),
	stop: z.exactOptional(z.strictObject(decided)),
});

/** `lookups.json`, only where there are some: lookups that no image asks for any more. */
export const lookupsFormat = formatOf<{ readonly lookups: Readonly<Record<string, Index>> }>(
	"brewline-state-lookups",
	64 * mebibyte,
	{ lookups: z.record(referenceSchema, indexSchema) },
);

const folderFormats = {
	images: imageFormat,
	queue: queueFormat,
	published: publishedFormat,
	tested: testedFormat,
} as const;
export type StateFolder = keyof typeof folderFormats;
export const stateFolders = Object.keys(folderFormats) as readonly StateFolder[];

const fileFormats: Readonly<Record<string, HandoverFormat<unknown>>> = {
	"format.json": stateFormat,
	"decisions.json": decisionsFormat,
	"lookups.json": lookupsFormat,
};

/** The format of a path of the state; undefined for what is none. An image's name is checked. */
export function formatOfPath(path: string): HandoverFormat<unknown> | undefined {
	if (Object.hasOwn(fileFormats, path)) return fileFormats[path];
	const [, folder = "", name = ""] = /^([a-z]+)\/(.+)\.json$/.exec(path) ?? [];
	return Object.hasOwn(folderFormats, folder) && imageNameSchema.safeParse(name).success
		? folderFormats[folder as StateFolder]
		: undefined;
}

/** The files of a state, by path: canonical texts. Throws `handover` where a part of it is not fit to be written. */
export function splitState(state: State): ReadonlyMap<string, string> {
	const files = new Map<string, string>();
	const add = <T extends object>(path: string, format: HandoverFormat<T>, value: T): void => {
		if (formatOfPath(path) !== format)
			throw new BrewlineError("handover", `not an image's name: ${printable(path, 200)}`);
		const text = writeHandover({ format: format.format, version: format.version, ...value }, format, path);
		const size = Buffer.byteLength(text);
		if (size > format.maxBytes)
			throw new BrewlineError("handover", `${path} would have ${size} bytes, of ${format.maxBytes} at most`);
		files.set(path, text);
	};
	const lookups = orderedEntries(state.cache.indexes).filter((entry): entry is [string, Index] => entry[1] !== null);
	const { images, others } = splitImages(state.sources, state.builds, orderedObject(lookups));
	add("format.json", stateFormat, {});
	const { forced, shrink, holds, rollbacks, stop } = state.decisions;
	add("decisions.json", decisionsFormat, {
		forced: sortedByKey(forced),
		shrink: sortedByKey(shrink),
		holds: sortedByKey(holds),
		rollbacks: sortedByKey(rollbacks),
		...(stop === undefined ? {} : { stop }),
	});
	if (Object.keys(others).length > 0) add("lookups.json", lookupsFormat, { lookups: sortedByKey(others) });
	for (const [image, file] of images) add(`images/${image}.json`, imageFormat, file);
	const queue = new Map(orderedEntries(state.queue));
	const replacedIn = new Map(orderedEntries(state.replaced));
	for (const image of new Set([...queue.keys(), ...replacedIn.keys()])) {
		const records = queue.get(image) ?? {};
		const replaced = replacedIn.get(image) ?? [];
		if (Object.keys(records).length === 0 && replaced.length === 0) continue;
		add(`queue/${image}.json`, queueFormat, {
			records: sortedByKey(records),
			...(replaced.length === 0 ? {} : { replaced }),
		});
	}
	for (const [image, tags] of orderedEntries(state.published)) {
		if (Object.keys(tags).length > 0) add(`published/${image}.json`, publishedFormat, { tags: sortedByKey(tags) });
	}
	for (const [image, tests] of orderedEntries(state.tested)) {
		if (Object.keys(tests).length > 0) add(`tested/${image}.json`, testedFormat, { tests: sortedByKey(tests) });
	}
	return files;
}

/** Reads one file of the state; throws `handover`. */
export function readStateFile(path: string, bytes: Uint8Array | string): unknown {
	const format = formatOfPath(path);
	if (format === undefined) throw new BrewlineError("handover", `no file of a state: ${printable(path, 300)}`);
	return readHandover(bytes, format, { file: path });
}

/** The state from what its files hold, by path. Throws `handover` where one is missing, or they do not fit together. */
export function joinState(files: ReadonlyMap<string, unknown>): State {
	for (const path of ["format.json", "decisions.json"]) {
		if (!files.has(path)) throw new BrewlineError("handover", `there is no ${path} in it`);
	}
	const folder = <T>(name: StateFolder): ReadonlyMap<string, T> =>
		new Map(
			[...files]
				.filter(([path]) => path.startsWith(`${name}/`))
				.map(([path, value]) => [path.slice(name.length + 1, -".json".length), value as T]),
		);
	const { lookups: others } = (files.get("lookups.json") ?? { lookups: {} }) as { lookups: Record<string, Index> };
	const { sources, builds, lookups } = joinImages({ images: folder<ImageFile>("images"), others });
	const { forced, shrink, holds, rollbacks, stop } = files.get("decisions.json") as Decisions;
	const queue = [...folder<QueueFile>("queue")];
	return {
		sources,
		builds,
		cache: { indexes: lookups },
		queue: orderedObject(
			queue.flatMap(([name, { records }]) => (Object.keys(records).length === 0 ? [] : [[name, records] as const])),
		),
		replaced: orderedObject(
			queue.flatMap(([name, { replaced }]) => (replaced === undefined ? [] : [[name, replaced] as const])),
		),
		published: orderedObject(
			[...folder<{ tags: Record<string, PublishedTag> }>("published")].map(([name, { tags }]) => [name, tags]),
		),
		tested: orderedObject(
			[...folder<{ tests: Record<string, PassedTest> }>("tested")].map(([name, { tests }]) => [name, tests]),
		),
		decisions: { forced, shrink, holds, rollbacks, ...(stop === undefined ? {} : { stop }) },
	};
}
