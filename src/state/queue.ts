import type { Builds, QueueRecord, QueueRecords } from "../builds/index.ts";
import { orderedEntries, orderedObject } from "../json/index.ts";
import { ownerOf } from "./order.ts";
import type { State } from "./types.ts";

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
