import type { Send } from "../../src/io/index.ts";

/**
 * Lets several runs that each ask one thing at a time take turns, request by request: `choose` says which of those that wait
 * goes on, once all wait or have ended. So a schedule can be repeated.
 */
export function takingTurns(count: number, choose: (waiting: readonly number[]) => number): readonly Turn[] {
	const waiting = new Map<number, () => void>();
	let active = count;
	const next = (): void => {
		if (active > 0 || waiting.size === 0) return;
		const chosen = choose([...waiting.keys()].sort((a, b) => a - b));
		const go = waiting.get(chosen)!;
		waiting.delete(chosen);
		active++;
		go();
	};
	return Array.from({ length: count }, (_, number) => ({
		wrap: (send) => async (request) => {
			active--;
			await new Promise<void>((resolve) => {
				waiting.set(number, resolve);
				next();
			});
			return send(request);
		},
		end: () => {
			active--;
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
