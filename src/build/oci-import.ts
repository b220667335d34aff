import { constants } from "node:fs";
import { copyFile, mkdir, readFile, realpath } from "node:fs/promises";
import path from "node:path";
import { BrewlineError } from "../errors.ts";
import { parseJsonObject } from "../json/index.ts";
import {
	blobFile,
	blobName,
	initLayout,
	isAttestation,
	maxManifestSize,
	normalizeImportedIndex,
	normalizeManifest,
	readLayout,
	referenceDigest,
	validateLayoutFile,
	writeBlob,
	writeRootIndex,
	type Annotations,
	type Descriptor,
	type Index,
	type Platform,
} from "../oci/index.ts";
import { withCreated } from "../plan/index.ts";
import { environmentOf } from "./buildkit.ts";
import { sbomCommand } from "./commands.ts";
import { readBelow } from "./content.ts";
import { fetchedRepository, type BuilderContext } from "./context.ts";
import { inside, readJson, readSmall, reduceIndex, unpackLayout } from "./layout.ts";
import { runLogged } from "./log.ts";

export interface ImportInput {
	/** The extracted folder: hostile. */
	readonly source: string;
	/** Below it: `index.json`, or a file with a lone descriptor. */
	readonly file: string;
	/** The folder of the new layout. */
	readonly layout: string;
	readonly platform: Platform;
	/** All of them, `created` too. */
	readonly annotations: Annotations;
}

/** Builds an `oci-import` image as an OCI layout, and returns its folder (spec/build.md, oci-import). */
export async function importFromGit(context: BuilderContext): Promise<string> {
	const { leg, build, scratch, progress } = context;
	const source = path.join(scratch, "source");
	const layout = path.join(scratch, "layout");
	progress("fetching the layout from git");
	const repository = await fetchedRepository(context);
	await repository.exportTree(build.git.commit, build.git.directory, source);
	const index = await importLayout({
		source,
		file: build.git.file,
		layout,
		platform: leg.platform,
		annotations: withCreated(build.annotations, build.git.epoch),
	});
	if (build.sbom !== null) {
		progress("scanning for the SBOM");
		await addSbom(context, layout, index, build.sbom);
	}
	return layout;
}

/**
 * Steps 2 to 4: checks the index or descriptor in git, and makes a layout with what it needs and nothing else.
 * Returns the index. Blobs are copied, not checked: the layout is to be validated.
 */
export async function importLayout(input: ImportInput): Promise<Index> {
	const { layout, file } = input;
	const root = await realpath(input.source);
	validateLayoutFile(await readJson(root, "oci-layout"));
	const index = normalizeImportedIndex(await readJson(root, file), {
		platform: input.platform,
		annotations: input.annotations,
		lone: file !== "index.json",
	});
	const image = index.manifests[0]!;
	await initLayout(layout);
	const manifest = await readSmall(root, blobName(image.digest));
	const { config, layers } = readBelow(image.mediaType, manifest, "the image", "layout");
	for (const digest of new Set([image, config!, ...layers].map((blob) => blob.digest))) {
		const source = await inside(root, blobName(digest));
		const target = blobFile(layout, digest);
		await mkdir(path.dirname(target), { recursive: true });
		await copyFile(source, target, constants.COPYFILE_FICLONE);
	}
	await writeRootIndex(layout, index);
	return index;
}

/** Step 5: an SBOM attestation made by BuildKit becomes the second manifest of the index. */
async function addSbom(context: BuilderContext, layout: string, index: Index, generator: string): Promise<void> {
	const { io, leg, scratch, log, builder } = context;
	if (builder === undefined) {
		throw new BrewlineError("engine", "an SBOM is due for this image, and it takes Docker with BuildKit to make it", {
			hint: "start an engine, or take the image off sbom.repositories in the configuration",
		});
	}
	const image = index.manifests[0]!;
	// A scanner unpacks what it is given.
	await readLayout(layout, { attestations: leg.attestations, signal: io.signal });
	const command = sbomCommand(leg, generator, { layout: "layout", digest: image.digest, output: "sbom.tar" });
	await runLogged(io, command, {
		cwd: scratch,
		log,
		input: command.dockerfile,
		env: environmentOf(builder),
	});
	const scanned = path.join(scratch, "sbom");
	await unpackLayout(path.join(scratch, "sbom.tar"), scanned, io.signal);
	const attestation = await takeAttestation(scanned, layout, image);
	await writeRootIndex(layout, normalizeManifest({ ...index, manifests: [image, attestation] }));
}

/** Copies the one attestation of a scanned layout, and makes it speak of the real image. */
async function takeAttestation(scanned: string, layout: string, image: Descriptor): Promise<Descriptor> {
	const root = await realpath(scanned);
	const top = await reduceIndex(scanned);
	const bytes = await readSmall(root, blobName(top.digest));
	const attestations = readBelow(top.mediaType, bytes, "the scanned index", "layout").manifests.filter(isAttestation);
	const [found, second] = attestations;
	if (found === undefined || second !== undefined) {
		throw new BrewlineError("build", `the scanner made ${attestations.length} attestations, not one`);
	}
	const text = await readSmall(root, blobName(found.digest));
	const { config, layers } = readBelow(found.mediaType, text, "the attestation", "layout");
	for (const digest of new Set([config!, ...layers].map((blob) => blob.digest))) {
		await writeBlob(layout, await readFile(await inside(root, blobName(digest))));
	}
	// As an OCI artifact it names its subject itself too: that image was made of `FROM fake`, and is another one.
	const manifest = parseJsonObject(text, { what: "the attestation", maxBytes: maxManifestSize, code: "layout" });
	const { mediaType, digest, size } = image;
	const ours =
		manifest["subject"] === undefined ? text : JSON.stringify({ ...manifest, subject: { mediaType, digest, size } });
	return {
		...found,
		...(await writeBlob(layout, ours)),
		annotations: { ...found.annotations, [referenceDigest]: digest },
	};
}
