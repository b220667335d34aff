import type { Send } from "../../src/io/index.ts";
import {
	createRegistryClient,
	startRegistry,
	type RegistryClient,
	type RunningRegistry,
} from "../../src/registry/index.ts";
import type { SampleName } from "../fixtures/samples/make.ts";
import { failing, faultOf, recording, type Asked, type Way } from "./faults.ts";
import { faultsOfTag, publishSamples, stageSamples } from "./published-samples.ts";
import { reply, scripted, testIo, type ScriptedServer, type VirtualClock } from "./scripted.ts";
import { createShelf, type Shelf } from "./shelf.ts";

/** A publish run of samples between two embedded registries with tokens, which can be repeated with something going wrong. */
export interface PublishFaults extends AsyncDisposable {
	/** The requests of the run in which nothing goes wrong. */
	readonly asked: readonly Asked[];
	/** A server that is none of these registries. */
	readonly elsewhere: ScriptedServer;
	/**
	 * Lets runs work on what there was before the run, each over a connection of its own, and says what was wrong: what `work`
	 * says, what a tag pointed at on the way, and in what the end differs from that of an undisturbed run.
	 */
	fromBeginning(work: (publishing: Publishing) => Promise<readonly string[]>): Promise<readonly string[]>;
	/** What is wrong after a run in which a request goes wrong, and another one after it. */
	inject(way: Way, at: number): Promise<readonly string[]>;
}

/** One run, over what is made of the connection; which tags failed. */
type Publishing = (wrap: (send: Send) => Send) => Promise<readonly string[]>;

const login = { username: "publisher", password: "secret" };

export async function openPublishFaults(names: readonly SampleName[]): Promise<PublishFaults> {
	const io = testIo();
	let clock: VirtualClock = io.clock;
	const shelves = [createShelf(), createShelf()] as const;
	const auth = { kind: "bearer", ...login, now: () => clock.now() } as const;
	const start = ({ files }: Shelf): Promise<RunningRegistry> => startRegistry({ auth, fault: faultOf, files });
	const [staging, published] = [await start(shelves[0]), await start(shelves[1])];
	const elsewhere = await scripted((_, response) => {
		reply(response, 200, { "content-type": "text/html" }, "<html>");
	});
	const client = (http = io.http): RegistryClient =>
		createRegistryClient(
			{ ...io, http, clock },
			{
				credentials: () => Promise.resolve({ ...login, origin: "the test" }),
				chunkSize: 40_000,
				retry: { random: () => 0.5 },
			},
		);
	const samples = await stageSamples(io, client(), names, {
		staging: staging.host,
		published: published.host,
	});
	const begin = shelves.map((shelf) => shelf.save());
	const all = (): readonly string[] =>
		shelves.flatMap((shelf, number) => shelf.all().map((line) => `${number}: ${line}`));

	const faults: string[] = [];
	/** Indexes that some tag pointed at on the way: they stay, without a tag. */
	const passed = new Set<string>();
	for (const shelf of shelves) {
		shelf.onTag = async (tag) => {
			passed.add(tag.digest);
			faults.push(...(await faultsOfTag(samples, shelf.content, tag)));
		};
	}
	const run = async (http = io.http): Promise<readonly string[]> => {
		const { tags, archTags } = await publishSamples(samples, io, client(http));
		const failed = [...archTags, ...tags].filter(({ change }) => change === "failed");
		return failed.map(({ reference, notes }) => `${reference} failed: ${notes.join("; ")}`);
	};

	const asked: Asked[] = [];
	faults.push(...(await run(recording(io.http, asked))));
	const end = all();
	if (faults.length > 0) throw new Error(`without anything going wrong: ${faults.join("\n")}`);

	const fromBeginning: PublishFaults["fromBeginning"] = async (work) => {
		for (const [number, shelf] of shelves.entries()) shelf.putBack(begin[number]!);
		faults.length = 0;
		passed.clear();
		clock = testIo().clock;
		const said = await work((wrap) => run(wrap(io.http)));
		const left = new Set(end);
		const isPassed = (line: string): boolean => {
			const [, encoded] = /(?:blobs|\/_manifests)\/sha256\/([0-9a-f]+)/.exec(line) ?? [];
			return passed.has(`sha256:${encoded}`);
		};
		return [
			...said,
			...faults,
			...all()
				.filter((line) => !left.delete(line) && !isPassed(line))
				.map((line) => `too much: ${line}`),
			...[...left].map((line) => `missing: ${line}`),
			...shelves.flatMap(({ removed }) => removed).map((file) => `removed: ${file}`),
		];
	};

	const inject = async (way: Way, at: number): Promise<readonly string[]> => {
		const effectOf = way.make(at);
		let reached = false;
		const wrong = await fromBeginning(async (publishing) => {
			const disturbed = await publishing((send) =>
				failing(send, (request, number) => {
					reached ||= number === at;
					return effectOf(request, number);
				}),
			);
			const mustPass = way.passing?.(asked[at]!, asked[at - 1]) === true;
			const after = await publishing((send) => send);
			return [...(reached ? [] : ["there was no such request"]), ...(mustPass ? disturbed : []), ...after];
		});
		const { method, url } = asked[at]!;
		return wrong.map((fault) => `${way.name} at ${at}, ${method} ${url.pathname}: ${fault}`);
	};
	return {
		asked,
		elsewhere,
		fromBeginning,
		inject,
		[Symbol.asyncDispose]: async () => {
			await Promise.all([staging.close(), published.close()]);
			await elsewhere[Symbol.asyncDispose]();
		},
	};
}
