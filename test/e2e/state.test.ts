import { describe, expect, test } from "vitest";
import { nodeIo, type Io } from "../../src/io/index.ts";
import type { GitServerOptions } from "../support/git-server.ts";
import { testIo } from "../support/scripted.ts";
import { added, adding, stateWorld, type StateWorld } from "../support/state-world.ts";

test("two over many rounds lose no update", { timeout: 120_000 }, async () => {
	await using w = await stateWorld();
	const rounds = 12;
	const tried = [0, 0];
	await Promise.all(
		[0, 1].map(async (writer) => {
			await using store = w.open();
			for (let round = 0; round < rounds; round++) {
				const number = round * 2 + writer;
				await store.update((state) => {
					tried[writer]! += 1;
					return adding(number, `image-${writer}`)(state);
				}, `Writer ${writer}, round ${round}`);
			}
		}),
	);
	expect(added(w.now())).toEqual([...Array(2 * rounds).keys()]);
	expect(w.log()).toHaveLength(2 * rounds);
	// They did get into one another's way.
	expect(tried[0]! + tried[1]!).toBeGreaterThan(2 * rounds);
});

test("two programs that share a cache lose no update", { timeout: 120_000 }, async () => {
	await using w = await stateWorld();
	const directory = w.cache();
	await Promise.all(
		[0, 1].map(async (writer) => {
			// They wait for each other's lock, by the real clock.
			await using store = w.open({ directory }, nodeIo({ log: () => {} }));
			for (let round = 0; round < 3; round++) await store.update(adding(round * 2 + writer), "One more");
		}),
	);
	expect(added(w.now())).toEqual([0, 1, 2, 3, 4, 5]);
});

describe("ended at any point", () => {
	/** Runs an update that fails as `fail` says, and then another one from the same cache; the branch is sound throughout. */
	async function goesOn(w: StateWorld, directory: string, io: Io, heal: () => void): Promise<boolean> {
		const before = w.log().length;
		const store = w.open({ directory }, io);
		const done = await store.update(adding(1), "The one that is ended").then(
			() => true,
			() => false,
		);
		heal();
		const between = added(w.now());
		const landed = w.log().length - before;
		expect(between.filter((number) => number === 1)).toHaveLength(landed);
		expect(done && landed === 0).toBe(false);
		await using next = w.open({ directory });
		await next.update(adding(2), "The next one");
		expect(added(w.now())).toEqual(landed === 1 ? [0, 1, 2] : [0, 2]);
		expect(w.log()).toHaveLength(before + landed + 1);
		await store.close().catch(() => {});
		return done;
	}

	async function begun(options: Partial<GitServerOptions> = {}): Promise<StateWorld> {
		const w = await stateWorld(options);
		await using store = w.open();
		await store.update(adding(0), "Begin");
		return w;
	}

	test("the server fails at any request, from then on or once", { timeout: 240_000 }, async () => {
		let requests = 0;
		await using counted = await begun();
		{
			const before = counted.server.requests.length;
			await using store = counted.open();
			await store.update(adding(1), "Counted");
			requests = counted.server.requests.length - before;
		}
		expect(requests).toBeGreaterThanOrEqual(6);
		const outcomes: boolean[] = [];
		for (const { kind, once } of [
			{ kind: "reset", once: false },
			{ kind: "lost", once: false },
			{ kind: "reset", once: true },
			{ kind: "lost", once: true },
			{ kind: "truncate", once: true },
			{ kind: 500, once: true },
		] as const) {
			for (let number = 1; number <= requests; number++) {
				let seen = -Infinity;
				const fails = () => {
					seen++;
					return once ? seen === number : seen >= number;
				};
				await using w = await begun({ fail: () => (fails() ? kind : undefined) });
				seen = 0;
				const done = await goesOn(w, w.cache(), testIo(), () => {
					seen = -Infinity;
				});
				if (once) outcomes.push(done);
			}
		}
		// What fails once does not fail the update.
		expect(outcomes.filter((done) => !done)).toEqual([]);
	});

	test("the program is ended before, in or after any of its git commands", { timeout: 240_000 }, async () => {
		/** Ends at a command: before it is started, together with it, or once it is done. */
		const ended = (at: number, when: "before" | "with" | "after"): { io: Io; commands: () => number } => {
			const real = testIo();
			let commands = 0;
			const io: Io = {
				...real,
				exec: (argv, options) => {
					commands++;
					if (commands > at || (commands === at && when === "before")) throw new Error("ended");
					const child = real.exec(argv, options);
					if (commands < at) return child;
					if (when === "with") child.kill("SIGKILL");
					const exited = child.exited.then(() => {
						throw new Error("ended");
					});
					exited.catch(() => {});
					return { ...child, exited };
				},
			};
			return { io, commands: () => commands };
		};
		await using w = await begun();
		const all = ended(Infinity, "before");
		{
			await using store = w.open({}, all.io);
			await store.update(adding(3), "Counted");
		}
		expect(all.commands()).toBeGreaterThanOrEqual(5);
		for (const when of ["before", "with", "after"] as const) {
			for (let number = 1; number <= all.commands(); number++) {
				await using fresh = await begun();
				await goesOn(fresh, fresh.cache(), ended(number, when).io, () => {});
			}
		}
	});
});
