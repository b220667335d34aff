import { readFile } from "node:fs/promises";
import { buffer } from "node:stream/consumers";
import { registryLookup } from "../builds/index.ts";
import { scanDockerfile } from "../dockerfile/index.ts";
import { BrewlineError, messageOf } from "../errors.ts";
import { openGitStore } from "../git/index.ts";
import { printable } from "../io/index.ts";
import { tabJson } from "../json/index.ts";
import { canonicalReference, parsePlatform, parseReference, platformString, printReference } from "../oci/index.ts";
import { filesOf, openWorkspace } from "../pipeline/index.ts";
import type { Context } from "./context.ts";

const maxDockerfileBytes = 16 * 1024 * 1024;

/** The FROMs of a Dockerfile, one a line. */
export async function inspectFroms(context: Context, options: { platform: string }, args: string[]): Promise<number> {
	const [file = "-"] = args;
	const bytes =
		file === "-"
			? await buffer(process.stdin)
			: await readFile(file).catch((error: unknown) => {
					throw new BrewlineError("dockerfile", `${printable(file)} cannot be read: ${messageOf(error)}`, {
						hint: "Name a Dockerfile, or - for standard input.",
						cause: error,
					});
				});
	if (bytes.length > maxDockerfileBytes) {
		throw new BrewlineError("dockerfile", `${printable(file)} is larger than ${maxDockerfileBytes} bytes`);
	}
	const found = scanDockerfile(bytes, { platform: parsePlatform(options.platform), file });
	context.print(context.json ? tabJson(found) : found.froms.map((from) => `${from}\n`).join(""));
	return 0;
}

/** Host, repository, tag and digest of a reference, and how it is written in full and in short. */
export async function inspectReference(context: Context, _options: object, args: string[]): Promise<number> {
	const reference = parseReference(args[0] ?? "");
	const parts = {
		host: reference.host,
		repository: reference.repository,
		...(reference.tag === undefined ? {} : { tag: reference.tag }),
		...(reference.digest === undefined ? {} : { digest: reference.digest }),
		canonical: canonicalReference(reference),
		printed: printReference(reference),
	};
	context.print(
		context.json
			? tabJson(parts)
			: Object.entries(parts)
					.map(([name, value]) => `${name.padEnd(10)} ${value}\n`)
					.join(""),
	);
	return 0;
}

/** The content checksum of a directory, with the commit's epoch. */
export async function inspectChecksum(context: Context, options: { fetch: string }, args: string[]): Promise<number> {
	const [address = "", commit = "", directory = "."] = args;
	const { io, program, work } = context;
	await using git = openGitStore(io, { directory: filesOf(work).git, ...program.git });
	const repository = git.repository(address);
	await repository.ensure([{ commit, fetch: options.fetch }]);
	const [checksum, epoch] = [await repository.checksum(commit, directory), await repository.commitEpoch(commit)];
	context.print(
		context.json ? tabJson({ reproducibleGitChecksum: checksum, SOURCE_DATE_EPOCH: epoch }) : `${checksum}\n`,
	);
	return 0;
}

/** What a registry has under a reference: each manifest with its architecture, platform and digest. */
export async function inspectIndex(context: Context, _options: object, args: string[]): Promise<number> {
	const text = args[0] ?? "";
	await using workspace = openWorkspace(context.program, context.io, { work: context.work });
	const index = await registryLookup(workspace.client, context.program)(text);
	if (index === undefined) throw new BrewlineError("reference", `${printable(text)} is in no registry`);
	if (context.json) context.print(tabJson(index));
	else {
		for (const { digest, size, platform, annotations } of index.manifests) {
			const arch = annotations?.[context.program.annotations.architecture] ?? "-";
			const name = platform === undefined ? "-" : platformString(platform);
			const kind = annotations?.["vnd.docker.reference.type"] ?? "image";
			context.print(
				`${printable(arch).padEnd(14)} ${printable(name).padEnd(16)} ${digest} ${size} ${printable(kind)}\n`,
			);
		}
	}
	return 0;
}
