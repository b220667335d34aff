import { BrewlineError } from "../errors.ts";

/**
 * Runs tasks, at most so many at a time, in the order in which they were given. One that only waits for others any more may
 * leave, so that the next begins.
 */
export type Limit = <T>(task: (leave: () => void) => Promise<T>) => Promise<T>;

/**
 * After the first task that failed, and once the signal is aborted, no further one is started: those that still wait
 * fail with the same error, or with `cancelled`. With `keepGoing` a failure stops nothing.
 */
export function limit(atOnce: number, signal: AbortSignal, options: { readonly keepGoing?: boolean } = {}): Limit {
	const waiting: (() => void)[] = [];
	let head = 0;
	let running = 0;
	let failure: { readonly error: unknown } | undefined;
	// A slot is handed on, not given back, so that nobody who comes in between can take it.
	const done = () => {
		const next = waiting[head++];
		if (next === undefined) {
			head = 0;
			waiting.length = 0;
			running--;
			return;
		}
		// Cut now and then instead of shifted each time, so that thousands of tasks cost linear time.
		if (head > 1024 && head * 2 > waiting.length) {
			waiting.splice(0, head);
			head = 0;
		}
		next();
	};
	return async (task) => {
		let isGone = false;
		const leave = () => {
			if (!isGone) done();
			isGone = true;
		};
		if (running >= atOnce) {
			await new Promise<void>((resolve) => {
				waiting.push(resolve);
			});
		} else {
			running++;
		}
		try {
			if (signal.aborted) {
				throw new BrewlineError("cancelled", "ended before all was done", { cause: signal.reason });
			}
			if (failure !== undefined) {
				throw failure.error;
			}
			return await task(leave);
		} catch (error) {
			if (options.keepGoing !== true) {
				failure ??= { error };
			}
			throw error;
		} finally {
			leave();
		}
	};
}
