import type { Send } from "../../src/io/index.ts";

/**
 * Lets several runs take turns, request by request: `choose` says which of those that wait goes on, once all wait or have
 * ended, and no request is under way. So a schedule can be repeated, where each run asks one thing at a time.
 */
export function takingTurns(count: number, choose: (waiting: readonly number[]) => number): readonly Turn[] {
	const runs = Array.from({ length: count }, () => ({ waiting: [] as (() => void)[], ended: false }));
	let underWay = 0;
	const next = (): void => {
		if (underWay > 0 || runs.some(({ waiting, ended }) => waiting.length === 0 && !ended)) return;
		const ready = [...runs.keys()].filter((number) => runs[number]!.waiting.length > 0);
		if (ready.length > 0) runs[choose(ready)]!.waiting.shift()!();
	};
	return runs.map((run) => ({
		wrap: (send) => async (request) => {
			await new Promise<void>((resolve) => {
				run.waiting.push(() => {
					underWay++;
					resolve();
				});
				next();
			});
			try {
				return await send(request);
			} finally {
				underWay--;
				next();
			}
		},
		end: () => {
			run.ended = true;
			next();
		},
	}));
}

interface Turn {
	/** Waits for its turn before each request. */
	readonly wrap: (send: Send) => Send;
	/** The run has ended. */
	readonly end: () => void;
}
