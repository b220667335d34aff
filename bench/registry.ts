import { spawn, type ChildProcess } from "node:child_process";
import { createHash, randomBytes } from "node:crypto";
import { once } from "node:events";
import { rm } from "node:fs/promises";
import path from "node:path";
import { createInterface } from "node:readline";
import { Readable } from "node:stream";
import { nodeIo } from "../src/io/index.ts";
import { mediaTypes, parseReference, type Descriptor } from "../src/oci/index.ts";
import { push, type DeployObject } from "../src/publish/index.ts";
import { createRegistryClient } from "../src/registry/index.ts";
import { contentAt, stageImage, world } from "../test/support/publishing.ts";
import { measure, median, type Contender, type Figure } from "./measure.ts";

export interface Peers {
	readonly crane?: string | undefined;
	readonly skopeo?: string | undefined;
}

const gibibyte = 2 ** 30;

/** An image of eight layers from one registry on this machine to another, each a process of its own, with files on the disk. */
export async function copying(
	cli: (...args: string[]) => [string, ...string[]],
	scratch: string,
	runs: number,
	{ crane, skopeo }: Peers,
): Promise<void> {
	await using from = await serve(cli, path.join(scratch, "copy-from"));
	await using to = await serve(cli, path.join(scratch, "copy-to"));
	const before = () => to.clear();
	const contender = (...argv: [string, ...string[]]): Contender => ({ argv, before, cwd: scratch });
	const target = `${to.host}/dst/x:1`;
	const small = `${from.host}/src/small:1`;
	await upload(small, gibibyte);
	const peers: readonly (readonly [name: string, recorded: string, ...Contender[]])[] = [
		["crane", "5.8 s, 16 MB", ...(crane === undefined ? [] : [contender(crane, "copy", "--insecure", small, target)])],
		[
			"skopeo --all",
			"7.0 s, 23 MB",
			...(skopeo === undefined
				? []
				: [
						contender(
							skopeo,
							"copy",
							"--all",
							"--src-tls-verify=false",
							"--dest-tls-verify=false",
							`docker://${small}`,
							`docker://${target}`,
						),
					]),
		],
		["imagetools", "6.7 s"],
	];
	const contenders = [contender(...cli("copy", small, target)), ...peers.flatMap(([, , ...measured]) => measured)];
	const [ours, ...theirs] = await measure(contenders, runs);
	const ratio = (of: (one: Figure) => number): string => (of(ours!) / Math.min(...theirs.map(of))).toFixed(3);
	const ratios =
		theirs.length === 0
			? ""
			: `; ratio ${ratio(({ seconds }) => seconds)} by the least, ${ratio(({ all }) => median(all))} by the median (goal: 1)`;
	const others = peers.map(([name, recorded, ...measured]) =>
		measured.length === 0 ? `${name}: ${recorded}, recorded, not measured now` : `${name}: ${figure(theirs.shift()!)}`,
	);
	console.log(`an image of 8 layers, 1 GiB, copied: ${figure(ours!, 200)}; ${others.join("; ")}${ratios}`);
	const large = `${from.host}/src/large:1`;
	await upload(large, 4 * gibibyte);
	const [much] = await measure([contender(...cli("copy", large, target))], 1);
	console.log(`the same, 4 GiB: ${figure(much!, 200)}; ${Math.round(much!.megabytes - ours!.megabytes)} MB more`);
}

function figure({ seconds, megabytes }: Figure, most = Infinity): string {
	return `${seconds.toFixed(3)} s, ${Math.round(megabytes)} MB${megabytes > most ? `, more than ${most} MB` : ""}`;
}

async function serve(cli: (...args: string[]) => [string, ...string[]], storage: string) {
	const [program, ...args] = cli("registry", "--port", "0", "--storage", storage);
	const child: ChildProcess = spawn(program, args, { stdio: ["ignore", "pipe", "ignore"] });
	const [url] = (await once(createInterface(child.stdout!), "line")) as [string];
	return {
		host: new URL(url).host,
		/** As if nothing had ever been put there. */
		clear: async () => {
			for (const folder of ["blobs", "repositories"]) {
				await rm(path.join(storage, folder), { recursive: true, force: true });
			}
		},
		[Symbol.asyncDispose]: async () => {
			child.kill("SIGTERM");
			await once(child, "close");
		},
	};
}

const block = 2 ** 20;

/** Random, so that nothing is saved by what is the same in two of them. */
async function upload(reference: string, bytes: number): Promise<void> {
	const client = createRegistryClient(nodeIo());
	const target = parseReference(reference);
	const { blob, manifest } = contentAt(client, target);
	const layers: Descriptor[] = [];
	const size = bytes / 8;
	for (let number = 0; number < 8; number++) {
		const random = randomBytes(block);
		const pieces = function* (): Generator<Buffer> {
			for (let at = 0; at < size; at += block) {
				random.writeUInt32LE(at / block);
				yield Buffer.from(random);
			}
		};
		const hash = createHash("sha256");
		for (const piece of pieces()) hash.update(piece);
		const layer = { mediaType: "application/vnd.oci.image.layer.v1.tar", digest: `sha256:${hash.digest("hex")}`, size };
		await client.putBlob(target, layer, () => Readable.from(pieces(), { objectMode: false }));
		layers.push(layer);
	}
	const platform = { os: "linux", architecture: "amd64" };
	const config = await blob(
		mediaTypes.ociConfig,
		JSON.stringify({ ...platform, rootfs: { type: "layers", diff_ids: [] } }),
	);
	const image = await manifest({ config, layers });
	const index = { schemaVersion: 2, mediaType: mediaTypes.ociIndex, manifests: [{ ...image, platform }] };
	await client.putManifest(target, mediaTypes.ociIndex, Buffer.from(JSON.stringify(index)));
}

/** How many requests it takes to make one index of eleven images from as many repositories. */
export async function indexing(scratch: string, { crane }: Peers): Promise<void> {
	const { signal } = new AbortController();
	for (const [shape, goal, recorded] of [
		["none", 46, "imagetools: 123, crane index append: 113, both recorded"],
		["image", 90, "nothing recorded of others"],
	] as const) {
		await using at = await world();
		const manifests: Descriptor[] = [];
		const lookup: Record<string, string> = {};
		const sources: string[] = [];
		for (let number = 0; number < 11; number++) {
			const source = `${at.registry.host}/staging-${number}:1`;
			const platform = { os: "linux", architecture: `arch${number}` };
			const made = await stageImage(at.client, source, platform, String(number), undefined, shape);
			const all = shape === "none" ? [made.image] : [made.image, made.attestation];
			for (const { digest } of all) lookup[digest] = source;
			manifests.push(...all);
			sources.push(source);
		}
		const data = { schemaVersion: 2, mediaType: mediaTypes.ociIndex, manifests };
		const object = { type: "manifest", refs: [`${at.registry.host}/library/x:1`], lookup, data } as const;
		const count = async (work: () => Promise<unknown>): Promise<number> => {
			at.requests.length = 0;
			await work();
			return at.requests.length;
		};
		const pushed = () => push([object as unknown as DeployObject], at.client, { signal });
		const [first, again] = [await count(pushed), await count(pushed)];
		const append = (): Promise<unknown> => {
			const target = `${at.registry.host}/library/peer:1`;
			const args = ["index", "append", "--insecure", ...sources.flatMap((source) => ["-m", source]), "-t", target];
			return once(spawn(crane!, args, { cwd: scratch, stdio: "ignore" }), "close");
		};
		const measured =
			crane === undefined || shape !== "none"
				? ""
				: `; crane index append now: ${await count(append)}, and again ${await count(append)}`;
		console.log(
			`an index of 11 images${shape === "none" ? "" : " with attestations"} of 11 repositories: ${first} requests (goal: ${goal}), and unchanged ${again} (goal: 1; imagetools: 101, recorded); ${recorded}${measured}`,
		);
	}
}
