import { spawn } from "node:child_process";
import { once } from "node:events";
import { readFileSync } from "node:fs";
import { setTimeout as wait } from "node:timers/promises";

/** A program as it is started: no shell, standard output thrown away. */
export interface Contender {
	readonly argv: readonly [string, ...string[]];
	readonly env?: Readonly<Record<string, string>>;
	readonly cwd?: string;
	/** Another program that reads what the first one writes. */
	readonly into?: readonly [string, ...string[]];
	/** Is run before each start, and not measured. */
	readonly before?: () => Promise<unknown>;
}

export interface Figure {
	/** Of whole processes: the least of all runs, and all of them. */
	readonly seconds: number;
	readonly all: readonly number[];
	/** Megabytes, the most that was seen. */
	readonly megabytes: number;
}

/** Runs contenders in turn, so that a machine that becomes slower does so for all of them. */
export async function measure(contenders: readonly Contender[], runs: number): Promise<Figure[]> {
	const seconds: number[][] = contenders.map(() => []);
	const peaks = contenders.map(() => 0);
	// The first round warms up files and is not counted.
	for (let round = 0; round <= runs; round++) {
		for (const [place, contender] of contenders.entries()) {
			await contender.before?.();
			const { took, peak } = await start(contender);
			peaks[place] = Math.max(peaks[place]!, peak);
			if (round > 0) seconds[place]!.push(took);
		}
	}
	return seconds.map((all, place) => ({ seconds: Math.min(...all), all, megabytes: peaks[place]! }));
}

async function start({ argv, env, cwd, into }: Contender): Promise<{ took: number; peak: number }> {
	const started = performance.now();
	const [program, ...args] = argv;
	const child = spawn(program, args, {
		stdio: ["ignore", into === undefined ? "ignore" : "pipe", "pipe"],
		env: { ...process.env, ...env },
		...(cwd === undefined ? {} : { cwd }),
	});
	const errors: Buffer[] = [];
	child.stderr!.on("data", (chunk: Buffer) => errors.push(chunk));
	const reader =
		into === undefined ? undefined : spawn(into[0], into.slice(1), { stdio: ["pipe", "ignore", "inherit"] });
	if (reader !== undefined) child.stdout!.pipe(reader.stdin);
	const watching = new AbortController();
	const peak = watchMemory(child.pid!, watching.signal);
	const ended = [once(child, "close"), ...(reader === undefined ? [] : [once(reader, "close")])];
	const codes = (await Promise.all(ended)) as [number | null][];
	const took = (performance.now() - started) / 1000;
	watching.abort();
	if (codes.some(([code]) => code !== 0)) {
		throw new Error(
			`${argv.join(" ").slice(0, 200)} ended with ${codes.join()}: ${Buffer.concat(errors).toString().slice(0, 800)}`,
		);
	}
	return { took, peak: await peak };
}

/** The kernel keeps the peak; it is read often enough to be there shortly before the end. Zero where there is no /proc. */
async function watchMemory(pid: number, signal: AbortSignal): Promise<number> {
	let peak = 0;
	while (!signal.aborted) {
		try {
			const kilobytes = /^VmHWM:\s+(\d+)/m.exec(readFileSync(`/proc/${pid}/status`, "utf8"))?.[1];
			peak = Math.max(peak, Number(kilobytes ?? 0) / 1024);
		} catch {
			break;
		}
		await wait(5, undefined, { signal }).catch(() => {});
	}
	return peak;
}

export function median(values: readonly number[]): number {
	const sorted = values.toSorted((one, other) => one - other);
	const half = Math.floor(sorted.length / 2);
	return sorted.length % 2 === 1 ? sorted[half]! : (sorted[half - 1]! + sorted[half]!) / 2;
}
