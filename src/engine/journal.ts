import { lstat, mkdir, open, readFile, rename, rm } from "node:fs/promises";
import path from "node:path";
import * as z from "zod/mini";
import { BrewlineError } from "../errors.ts";
import type { Io } from "../io/types.ts";
import { undoStep } from "./undo.ts";

const absolute = z.string().check(z.regex(/^\/./));

const stepSchema = z.discriminatedUnion("kind", [
	// The number in that file; `argument` is one of its arguments, so that no later process of that number is taken for it.
	z.strictObject({ kind: z.literal("process"), pidFile: absolute, argument: absolute }),
	z.strictObject({ kind: z.literal("bridge"), name: z.string().check(z.regex(/^[a-z][a-z0-9]{0,14}$/)) }),
	// The engine's ends of cables to containers; `others` were there before.
	z.strictObject({ kind: z.literal("cables"), others: z.array(z.string().check(z.regex(/^[^/\s]{1,15}$/))) }),
	z.strictObject({ kind: z.literal("cgroup"), name: z.string().check(z.regex(/^[a-z][a-z-]*$/)) }),
	z.strictObject({ kind: z.literal("emulator"), name: z.string().check(z.regex(/^brewline-[a-z0-9_]+$/)) }),
	z.strictObject({ kind: z.literal("mount"), at: z.literal("/proc/sys/fs/binfmt_misc") }),
	z.strictObject({ kind: z.literal("empty-folder"), path: z.string().check(z.regex(/^\/run\/[a-z]+$/)) }),
	z.strictObject({ kind: z.literal("data"), path: z.string().check(z.regex(/^\/.+\/brewline-engine-data$/)) }),
]);

/** One change to the machine, with all that it takes to put it back. */
export type Step = z.infer<typeof stepSchema>;

const journalSchema = z.strictObject({
	format: z.literal("brewline-engine-journal"),
	version: z.literal(1),
	/** The kernel's id of this start of the machine: after another one only files are left of what was changed. */
	boot: z.string(),
	busybox: absolute,
	steps: z.array(stepSchema),
});

type JournalFile = z.infer<typeof journalSchema>;

export interface Journal {
	/** Written to the disk before it returns; to be called before the change is made. */
	record(step: Step): Promise<void>;
	/** Puts everything back, the last change first, and deletes the state; says what it did. */
	undo(): Promise<string[]>;
}

/**
 * Begins the journal of one engine in its state folder, which belongs to root alone and whose lock the caller holds.
 * `busybox` is the program that later takes back mounts and bridges.
 */
export async function beginJournal(io: Io, state: string, busybox: string): Promise<Journal> {
	await mkdir(state, { mode: 0o700 });
	let file: JournalFile = {
		format: "brewline-engine-journal",
		version: 1,
		boot: await bootId(),
		busybox,
		steps: [],
	};
	await write(state, file);
	return {
		record: async (step) => {
			file = { ...file, steps: [...file.steps, step] };
			await write(state, file);
		},
		undo: () => undoAll(io, state, file),
	};
}

/**
 * Puts back what an engine left that was killed; nothing where there is no state. The caller holds the lock.
 */
export async function recoverJournal(io: Io, state: string): Promise<string[]> {
	const stat = await lstat(state).catch(() => undefined);
	if (stat === undefined) return [];
	// In /run only root can have made it; elsewhere a stranger's journal would choose what root deletes.
	if (!stat.isDirectory() || stat.uid !== process.getuid?.() || (stat.mode & 0o022) !== 0)
		throw new BrewlineError("engine", `${state} is not a folder of ours`, { hint: `Look at it and delete it.` });
	const text = await readFile(path.join(state, journalName), "utf8").catch(() => undefined);
	if (text === undefined) {
		await rm(state, { recursive: true, force: true });
		return [];
	}
	return undoAll(io, state, parse(text, state));
}

const journalName = "journal.json";

function parse(text: string, state: string): JournalFile {
	let json: unknown;
	try {
		json = JSON.parse(text);
	} catch {
		json = undefined;
	}
	const result = journalSchema.safeParse(json);
	if (!result.success)
		throw new BrewlineError("engine", `${path.join(state, journalName)} cannot be read`, {
			hint: "Another version of the program wrote it: let that one end its engine, or restart the machine and delete it.",
		});
	return result.data;
}

async function write(state: string, file: JournalFile): Promise<void> {
	const target = path.join(state, journalName);
	const handle = await open(`${target}.new`, "w", 0o600);
	try {
		await handle.writeFile(`${JSON.stringify(file, null, "\t")}\n`);
		await handle.sync();
	} finally {
		await handle.close();
	}
	await rename(`${target}.new`, target);
}

async function undoAll(io: Io, state: string, file: JournalFile): Promise<string[]> {
	const lasting = file.boot === (await bootId());
	const done: string[] = [];
	const left: Step[] = [];
	for (const step of file.steps.toReversed()) {
		if (!lasting && step.kind !== "data" && step.kind !== "empty-folder") continue;
		try {
			const what = await undoStep(io, step, file.busybox);
			if (what !== undefined) done.push(what);
		} catch (error) {
			left.unshift(step);
			io.log({
				type: "message",
				level: "warning",
				text: error instanceof Error ? error.message : String(error),
				code: "engine",
				hint: "The next start tries it again.",
			});
		}
	}
	if (left.length > 0) await write(state, { ...file, steps: left });
	else await rm(state, { recursive: true, force: true });
	return done;
}

async function bootId(): Promise<string> {
	return (await readFile("/proc/sys/kernel/random/boot_id", "utf8").catch(() => "")).trim();
}
