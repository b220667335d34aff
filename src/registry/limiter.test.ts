import * as fc from "fast-check";
import { describe, expect, test } from "vitest";
import { eventClock, reply, scripted, testIo } from "../../test/support/scripted.ts";
import type { HttpRequest } from "../io/types.ts";
import { parseReference } from "../oci/index.ts";
import { createRegistryClient, startRegistry } from "./index.ts";
import { createLimiter, type Admission } from "./limiter.ts";

const seed = Number(process.env["FC_SEED"] ?? 1);
const minute = 60_000;
const ok = { status: 200, headers: {} };
const refusal = (after?: string) => ({ status: 429, headers: after === undefined ? {} : { "retry-after": after } });

function limited(perMinute: number | undefined, options: { readonly signal?: AbortSignal } = {}) {
	const clock = eventClock();
	const start = clock.now();
	const { signal, log } = testIo(options);
	const limiter = createLimiter({ clock, signal, log }, { random: () => 0.5 });
	/** When each was let through, in milliseconds from the start, in the order in which they were. */
	const sent: { readonly number: number; readonly at: number }[] = [];
	const ask = async (number: number, answer: (admission: Admission) => void = (a) => a.answered(ok), first = false) => {
		const admission = await limiter.admit("docker.io", perMinute, first);
		sent.push({ number, at: clock.now() - start });
		answer(admission);
	};
	return { clock, start, limiter, sent, ask };
}

describe("rates", () => {
	test("3,000 requests at once take nine minutes at 300 a minute, in their order", async () => {
		const { clock, ask, sent } = limited(300);
		const asked = Array.from({ length: 3000 }, (_, number) => ask(number));
		await clock.run();
		await Promise.all(asked);
		expect(sent.map(({ number }) => number)).toEqual(asked.map((_, number) => number));
		expect(sent.map(({ at }) => at)).toEqual(asked.map((_, number) => Math.floor(number / 300) * minute));
	});

	test("no minute has more requests than it may, whenever they come, and nobody waits longer than those before them need", async () => {
		await fc.assert(
			fc.asyncProperty(
				fc.integer({ min: 1, max: 20 }),
				fc.array(fc.integer({ min: 0, max: 90_000 }), { maxLength: 120 }),
				async (perMinute, gaps) => {
					const { clock, start, ask, sent } = limited(perMinute);
					const arrived: number[] = [];
					const world = (async () => {
						const asked: Promise<void>[] = [];
						for (const [number, gap] of gaps.entries()) {
							await clock.sleep(gap);
							arrived.push(clock.now() - start);
							asked.push(ask(number));
						}
						await Promise.all(asked);
					})();
					while (sent.length < gaps.length) await clock.run();
					await world;
					expect(sent.map(({ number }) => number)).toEqual(gaps.map((_, number) => number));
					for (const [number, { at }] of sent.entries()) {
						const before = sent[number - perMinute];
						// Exactly as soon as it may: this is what nobody starves and no rate is broken mean.
						const earliest = Math.max(
							arrived[number]!,
							sent[number - 1]?.at ?? 0,
							before === undefined ? 0 : before.at + minute,
						);
						expect(at).toBe(earliest);
					}
				},
			),
			{ seed },
		);
	});

	test("without a rate nobody waits, and hosts do not wait for each other", async () => {
		const { clock, ask, limiter, sent } = limited(undefined);
		await Promise.all(Array.from({ length: 1000 }, (_, number) => ask(number)));
		expect(sent.at(-1)!.at).toBe(0);
		await limiter.admit("slow", 1);
		const second = limiter.admit("slow", 1);
		await limiter.admit("other", 1);
		await clock.run();
		await second;
	});

	test("what all others wait for goes first", async () => {
		const { clock, ask, sent } = limited(1);
		const asked = [ask(0), ask(1), ask(2), ask(3, undefined, true)];
		await clock.run();
		await Promise.all(asked);
		expect(sent.map(({ number }) => number)).toEqual([0, 3, 1, 2]);
	});

	test("a host whose rate is known later has it from then on", async () => {
		const { clock, limiter, start } = limited(undefined);
		await limiter.admit("both", undefined);
		await limiter.admit("both", 1);
		const last = limiter.admit("both", 1);
		await clock.run();
		await last;
		expect(clock.now() - start).toBe(minute);
	});
});

describe("429", () => {
	test("holds all requests to the host, until the time that it states, and spreads them then", async () => {
		const { clock, start, ask, sent } = limited(60);
		await ask(0, (admission) => admission.answered(refusal("10")));
		const asked = Array.from({ length: 120 }, (_, number) => ask(number + 1));
		await clock.run();
		await Promise.all(asked);
		// A second apart, as of 60 a minute; those that follow have their places back after a minute.
		expect(sent.slice(1).map(({ at }) => at)).toEqual(asked.map((_, number) => 11_000 + number * 1000));
		const again = ask(0, (admission) => admission.answered(refusal(new Date(clock.now() + 90_000).toUTCString())));
		await clock.run();
		await again;
		const before = clock.now();
		const late = ask(1);
		await clock.run();
		await late;
		expect(start + sent.at(-1)!.at - before).toBeGreaterThanOrEqual(90_000);
	});

	test("holds a host without a rate, too, for ever longer; many at once are one, and a good answer ends it", async () => {
		const { clock, ask, sent, limiter } = limited(undefined);
		const admissions = await Promise.all(Array.from({ length: 50 }, () => limiter.admit("docker.io", undefined)));
		for (const admission of admissions) admission.answered(refusal());
		const waits: number[] = [];
		for (const answer of [refusal(), refusal("0"), ok, refusal(), ok]) {
			const before = sent.at(-1)?.at ?? 0;
			const asked = ask(0, (admission) => admission.answered(answer));
			await clock.run();
			await asked;
			waits.push(sent.at(-1)!.at - before);
		}
		expect(waits).toEqual([500, 1000, 1000, 0, 500]);
	});

	test("that says each time that the next may go at once is obeyed once", async () => {
		const { clock, ask, sent } = limited(undefined);
		for (let number = 0; number < 8; number++) {
			const asked = ask(number, (admission) => admission.answered(refusal("0")));
			await clock.run();
			await asked;
		}
		expect(sent.map(({ at }) => at)).toEqual([0, 0, 500, 1500, 3500, 7500, 15_500, 31_500]);
	});

	test("a good answer to what was under way before does not end it", async () => {
		const { clock, ask, sent, limiter } = limited(undefined);
		const [one, two, three] = await Promise.all([1, 2, 3].map(() => limiter.admit("docker.io", undefined)));
		one!.answered(refusal());
		two!.answered(ok);
		const asked = ask(0, (admission) => admission.answered(refusal()));
		await clock.run();
		await asked;
		three!.answered(ok);
		const again = ask(1);
		await clock.run();
		await again;
		expect(sent.map(({ at }) => at)).toEqual([500, 1500]);
	});

	test("a later time that is stated while others wait holds these, too; an earlier one lets nobody through", async () => {
		const { clock, ask, sent, limiter } = limited(undefined);
		const [one, two, three] = await Promise.all([1, 2, 3].map(() => limiter.admit("docker.io", undefined)));
		one!.answered(refusal("5"));
		const asked = ask(0);
		two!.answered(refusal("60"));
		three!.answered(refusal("1"));
		await clock.run();
		await asked;
		expect(sent).toEqual([{ number: 0, at: 60_000 }]);
	});

	test.each([
		["3000", "before 2026-01-01T00:50:00.000Z"],
		["999999999", "before 2057-09-09"],
	])("nobody waits for %s seconds: it is an error at once, for those who wait already, too", async (after, message) => {
		const { ask, clock, limiter } = limited(undefined);
		const [one, two] = await Promise.all([1, 2].map(() => limiter.admit("docker.io", undefined)));
		one!.answered(refusal("5"));
		const waiting = ask(0);
		two!.answered(refusal(after));
		const caught = waiting.catch((error: unknown) => error);
		await clock.run();
		expect(await caught).toMatchObject({ code: "registry", message: expect.stringContaining(message) });
		await expect(ask(1)).rejects.toMatchObject({ code: "registry", hint: expect.stringContaining("rate limit") });
	});

	test("who is asked to end waits no more", async () => {
		const ending = new AbortController();
		const { ask } = limited(1, { signal: ending.signal });
		await ask(0);
		const waiting = [ask(1), ask(2)];
		ending.abort();
		for (const one of waiting) await expect(one).rejects.toMatchObject({ code: "cancelled" });
	});
});

describe("a client", () => {
	test("keeps to the rate that is configured for a registry, tokens included, and renews one that expires on the way", async () => {
		const clock = eventClock();
		await using server = await guarded(() => clock.now());
		const sent: { readonly at: number; readonly path: string }[] = [];
		const answers = await clock.runWith(testIo(), ({ http }) => {
			const io = {
				...testIo(),
				clock,
				http: (request: HttpRequest) => {
					sent.push({ at: clock.now(), path: request.url.pathname });
					return http(request);
				},
			};
			const limiter = createLimiter(io);
			const clients = [1, 2].map(() => createRegistryClient(io, { rates: { [server.host]: 10 }, limiter }));
			const get = (at: number) => clients[at % 2]!.getManifest(parseReference(`${server.host}/name:${at}`));
			return Promise.all(Array.from({ length: 100 }, (_, at) => get(at)));
		});
		expect(answers).toEqual(Array(100).fill(undefined));
		for (const [number, { at }] of sent.slice(10).entries())
			expect(at - sent[number]!.at).toBeGreaterThanOrEqual(minute);
		const tokens = sent.filter(({ path }) => path === "/token").length;
		// They live for 90 s, and all takes ten minutes; of each client the first request goes without.
		expect(tokens).toBeGreaterThan(4);
		expect(sent.length).toBeLessThan(150);
	});

	test("whose one request is answered 429 holds the others back", async () => {
		const io = testIo();
		const times: number[] = [];
		await using server = await scripted((_, response, number) => {
			times.push(io.clock.now());
			reply(response, number === 1 ? 429 : 404, { "retry-after": "30" });
		});
		const start = io.clock.now();
		const client = createRegistryClient(io);
		const get = (tag: string) => client.getManifest(parseReference(`${server.host}/name:${tag}`));
		await Promise.all([get("one"), get("two"), get("three")]);
		expect(times).toHaveLength(4);
		for (const time of times.slice(1)) expect(time - start).toBeGreaterThanOrEqual(30_000);
	});
});

async function guarded(now: () => number) {
	const auth = { kind: "bearer", username: "u", password: "p", anonymousPull: true, tokenSeconds: 100, now } as const;
	const server = await startRegistry({ auth });
	return { ...server, [Symbol.asyncDispose]: () => server.close() };
}
