import { createReadStream } from "node:fs";
import { readFile, realpath, rm, stat } from "node:fs/promises";
import path from "node:path";
import { BrewlineError } from "../errors.ts";
import { printable } from "../io/printable.ts";
import { parseJsonObject, type JsonObject } from "../json/index.ts";
import { maxManifestSize, oneDescriptor, writeIndexJson, type Descriptor, type Index } from "../oci/index.ts";
import { unpackTar } from "../tar/index.ts";

/** Unpacks BuildKit's tarball into a new folder, and removes it. */
export async function unpackLayout(tarball: string, layout: string, signal: AbortSignal): Promise<void> {
	await unpackTar(createReadStream(tarball), layout, { signal });
	await rm(tarball);
}

/** Reduces the `index.json` of BuildKit's layout to its one distinct descriptor, and returns that. */
export async function reduceIndex(layout: string): Promise<Descriptor> {
	const index = await readJson(await realpath(layout), "index.json");
	const reduced = oneDescriptor(index as unknown as Index);
	await writeIndexJson(layout, reduced);
	return reduced.manifests[0]!;
}

/** The real path of a file in the extracted folder; symlinks within it are followed, none leads out of it. */
export async function inside(root: string, file: string): Promise<string> {
	const name = printable(file);
	const real = await realpath(path.join(root, file)).catch((cause: unknown) => {
		throw new BrewlineError("layout", `${name} is missing`, { cause });
	});
	if (!real.startsWith(root + path.sep)) {
		throw new BrewlineError("layout", `${name} leads out of the folder of the image`);
	}
	if (!(await stat(real)).isFile()) {
		throw new BrewlineError("layout", `${name} is no file`);
	}
	return real;
}

export async function readSmall(root: string, file: string): Promise<Buffer> {
	const real = await inside(root, file);
	if ((await stat(real)).size > maxManifestSize) {
		throw new BrewlineError("layout", `${printable(file)} is larger than 4 MiB`);
	}
	return readFile(real);
}

export async function readJson(root: string, file: string): Promise<JsonObject> {
	const bytes = await readSmall(root, file);
	return parseJsonObject(bytes, { what: printable(file), maxBytes: maxManifestSize, code: "layout" });
}
