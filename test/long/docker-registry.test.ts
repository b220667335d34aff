import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import path from "node:path";
import { afterAll, describe, expect, test } from "vitest";
import type { Send } from "../../src/io/index.ts";
import { isTag, parseReference } from "../../src/oci/index.ts";
import { createRegistryClient, startRegistry, type RegistryClient } from "../../src/registry/index.ts";
import { dockerRegistryBinary, startDockerRegistry } from "../support/docker-registry.ts";
import { startFaultProxy } from "../support/fault-proxy.ts";
import { failing, recording, waysOfBeingKilled, waysOfFailing, type Asked, type Way } from "../support/faults.ts";
import { partName, partOf } from "../support/part.ts";
import {
	faultsOfTag,
	publishSamples,
	stageSamples,
	type Content,
	type StagedSamples,
} from "../support/published-samples.ts";
import { reply, scripted, testIo } from "../support/scripted.ts";
import { createTokenSigner, issuer, service } from "../support/token-server.ts";
import { takingTurns } from "../support/turns.ts";

/**
 * As publish-faults.test.ts, in a smaller form, against another registry than ours: Debian's (the distribution project's), with
 * tokens that a server of ours signs.
 */
const found = await dockerRegistryBinary();

if ("unavailable" in found) {
	// oxlint-disable-next-line vitest/no-disabled-tests -- it is counted and named at the end of every run
	test.skip(`Debian's docker-registry (${found.unavailable})`, () => {});
} else {
	// A blob is copied from where it is staged, or mounted.
	for (const staged of ["elsewhere", "there"] as const) await withDebian(found.binary, staged);
}

async function withDebian(binary: string, staged: "elsewhere" | "there"): Promise<void> {
	const world = await openDebian(binary, staged);
	afterAll(world.close);
	const { asked, elsewhere, inject } = world;

	const ways = [...waysOfFailing(elsewhere), ...waysOfBeingKilled];
	const some = [...asked.entries()].filter(([at]) => at % 4 === (staged === "there" ? 2 : 0));
	const cases = partOf(some).map(([at, one]) => {
		const possible = ways.filter((way) => way.applies?.(one) ?? true);
		return { at, way: possible[at % possible.length]! };
	});
	const schedules = partOf(Array.from({ length: 20 }, (_, number) => number));

	const counts = `${cases.length} injections, ${schedules.length} schedules`;
	describe(`Debian's docker-registry, staged ${staged} (${partName()}, ${counts})`, () => {
		test(`every fourth of ${asked.length} requests goes wrong in one way`, async () => {
			const wrong: string[] = [];
			for (const { at, way } of cases) wrong.push(...(await inject(way, at)));
			expect(wrong).toEqual([]);
		});

		test(`two publishers take turns`, async () => {
			const wrong: string[] = [];
			for (const number of schedules) {
				wrong.push(
					...(await world.fromBeginning(`turns-${number}`, async (publishing) => {
						const choose = (waiting: readonly number[]): number => waiting[(step++ * (number + 1)) % waiting.length]!;
						let step = number;
						const runs = takingTurns(2, choose).map(({ wrap, end }) => publishing(wrap).finally(end));
						return (await Promise.all(runs)).flat();
					})),
				);
			}
			expect(wrong).toEqual([]);
		});
	});
}

type Publishing = (wrap: (send: Send) => Send) => Promise<readonly string[]>;

async function openDebian(binary: string, staged: "elsewhere" | "there") {
	const folder = await mkdtemp(path.join(tmpdir(), "brewline-debian-"));
	const signer = createTokenSigner();
	const proxy = await startFaultProxy((url) => {
		if (url.pathname !== "/token") return undefined;
		return JSON.stringify({ token: signer.token(url.searchParams.getAll("scope")), expires_in: 300 });
	});
	const token = { realm: `http://${proxy.host}/token`, service, issuer, certificate: signer.certificate };
	const debian = await startDockerRegistry(binary, folder, token);
	proxy.upstream = debian.host;
	const embedded = await startRegistry();
	const elsewhere = await scripted((_, response) => reply(response, 200, { "content-type": "text/html" }, "<html>"));

	const io = testIo();
	const client = (http = io.http): RegistryClient =>
		createRegistryClient(
			{ ...testIo(), http },
			{
				credentials: () => Promise.resolve({ username: "publisher", password: "any", origin: "the test" }),
				chunkSize: 40_000,
				retry: { random: () => 0.5 },
			},
		);
	const clean = client();
	// Nothing is ever taken away: what was there is asked for once.
	const known = new Map<string, unknown>();
	const once = async <T>(key: string, ask: () => Promise<T>): Promise<T> => {
		const answer = (known.get(key) as T | undefined) ?? (await ask());
		known.set(key, answer);
		return answer;
	};
	const at = (rest: string) => parseReference(`${proxy.host}/${rest}`);
	const content: Content = {
		manifest: (repository, digest) =>
			once(`${repository}@${digest}`, async () => (await clean.getManifest(at(`${repository}@${digest}`)))?.bytes),
		blobSize: (repository, digest) =>
			once(`size ${repository}@${digest}`, () => clean.blobSize(at(repository), digest)),
		blob: (repository, digest) =>
			once(`blob ${repository}@${digest}`, async () => {
				const size = (await content.blobSize(repository, digest))!;
				return Buffer.concat(await Array.fromAsync((await clean.getBlob(at(repository), { digest, size }))!));
			}),
	};
	/** What tags point at, as the registry said it, by `NAME:TAG`. */
	const tags = new Map<string, string>();
	const faults: string[] = [];
	let watched: StagedSamples | undefined;
	proxy.done = async ({ method, path: asking, status, headers }) => {
		const [, repository, tag] = /^\/v2\/(.+)\/manifests\/([^/]+)$/.exec(asking) ?? [];
		if (method !== "PUT" || status !== 201 || repository === undefined || !isTag(tag!)) return;
		const digest = headers["docker-content-digest"] as string;
		const previous = tags.get(`${repository}:${tag}`);
		tags.set(`${repository}:${tag}`, digest);
		if (watched === undefined || repository.startsWith("staging-")) return;
		const moved = { repository, tag: tag!, digest, ...(previous === undefined ? {} : { before: previous }) };
		faults.push(...(await faultsOfTag(watched, content, moved)));
	};
	const first = "begin";
	const staging = staged === "there" ? proxy.host : embedded.host;
	const { before, ...now } = await stageSamples(io, clean, ["tool"], {
		staging,
		published: proxy.host,
		prefix: `${first}/`,
	});
	/** The same under names that nothing was ever published to. */
	const under = (samples: StagedSamples, name: string): StagedSamples => {
		const { images, ...rest } = samples;
		return { images, ...(JSON.parse(JSON.stringify(rest).replaceAll(`/${first}/`, `/${name}/`)) as typeof rest) };
	};

	const tagsUnder = async (name: string): Promise<readonly string[]> => {
		const list = [...tags.keys()].filter((tag) => tag.startsWith(`${name}/`)).sort();
		const digests = await Promise.all(list.map((tag) => clean.headManifest(at(tag))));
		return list.map((tag, number) => `${tag.slice(name.length)} ${digests[number]?.digest}`);
	};

	const run = async (samples: StagedSamples, http = io.http): Promise<readonly string[]> => {
		const result = await publishSamples(samples, io, client(http));
		const failed = [...result.archTags, ...result.tags].filter(({ change }) => change === "failed");
		return failed.map(({ reference, notes }) => `${reference} failed: ${notes.join("; ")}`);
	};
	const asked: Asked[] = [];
	const said = await run(now, recording(io.http, asked));
	const end = await tagsUnder(first);
	if (said.length > 0 || end.length === 0) throw new Error(`without anything going wrong: ${said.join("\n")}`);

	const fromBeginning = async (
		name: string,
		work: (publishing: Publishing) => Promise<readonly string[]>,
	): Promise<readonly string[]> => {
		faults.length = 0;
		await run(under(before, name));
		watched = under(now, name);
		const wrong = await work((wrap) => run(watched!, wrap(io.http)));
		const tagsNow = await tagsUnder(name);
		const differs = [
			...tagsNow.filter((tag) => !end.includes(tag)),
			...end.filter((tag) => !tagsNow.includes(tag)).map((tag) => `missing: ${tag}`),
		];
		return [...wrong, ...faults, ...differs].map((fault) => `${name}: ${fault}`);
	};
	const inject = async (way: Way, at: number): Promise<readonly string[]> => {
		const effectOf = way.make(at);
		const wrong = await fromBeginning(`at-${at}`, async (publishing) => {
			const disturbed = await publishing((send) => failing(send, effectOf));
			const mustPass = way.passing?.(asked[at]!, asked[at - 1]) === true;
			const after = await publishing((send) => send);
			return [...(mustPass ? disturbed : []), ...after];
		});
		return wrong.map((fault) => `${way.name} at ${at}, ${asked[at]!.method} ${asked[at]!.url.pathname}: ${fault}`);
	};
	const close = async (): Promise<void> => {
		await Promise.all([
			proxy[Symbol.asyncDispose](),
			elsewhere[Symbol.asyncDispose](),
			debian.close(),
			embedded.close(),
		]);
		await rm(folder, { recursive: true });
	};
	return { asked, elsewhere: elsewhere.url, inject, fromBeginning, close };
}
