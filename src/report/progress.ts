import { printable } from "../io/printable.ts";
import type { Log, LogEvent, Progress } from "../io/types.ts";
import { locationText } from "./failure.ts";
import type { Style } from "./style.ts";

export interface TerminalOptions {
	readonly style: Style;
	/** Redraw what runs and waits in place; otherwise every step is a line. */
	readonly live: boolean;
	/** Show the output of builds and debug messages too. */
	readonly verbose: boolean;
	/** Milliseconds. */
	readonly now: () => number;
}

export interface TerminalLog {
	readonly log: Log;
	/** Takes the live part away, so that what follows stands below what was said. */
	end(): void;
}

interface Target {
	write(text: string): unknown;
	readonly columns?: number;
}

const shownTasks = 8;
const shownWaits = 5;

/** Shows events to a person: messages as lines, tasks in place on a terminal, or as lines elsewhere. */
export function terminalLog(target: Target, options: TerminalOptions): TerminalLog {
	const { style, live, verbose, now } = options;
	const tasks = new Map<string, Progress & { since: number; lastLine: string }>();
	let waiting: readonly string[] = [];
	/** Lines of what waits that were written, where nothing is redrawn. */
	const told = new Set<string>();
	let drawn = 0;

	const erase = (): string => (drawn === 0 ? "" : `\u001b[${drawn}A\u001b[0J`);
	const draw = (): string => {
		const running = [...tasks.values()].filter(({ state }) => state === "running");
		// Some terminals, as of jobs that run in one, say that they have no columns.
		const width = Math.max(20, (target.columns || 80) - 1);
		const lines = running
			.slice(0, shownTasks)
			.map(
				(task) => `▶ ${task.task} ${Math.floor((now() - task.since) / 1000)}s ${task.lastLine || (task.detail ?? "")}`,
			);
		if (running.length > shownTasks) lines.push(`  and ${running.length - shownTasks} more`);
		lines.push(...waitingLines(waiting));
		drawn = lines.length;
		return lines.map((line) => `${style.dim(printable(line, width))}\n`).join("");
	};
	const line = (text: string): void => {
		if (live) {
			const before = erase();
			target.write(`${before}${text}\n${draw()}`);
		} else target.write(`${text}\n`);
	};

	const log = (event: LogEvent): void => {
		if (event.type === "message") {
			if (event.level === "debug" && !verbose) return;
			line(messageLine(event, style));
		} else if (event.type === "output") {
			const known = tasks.get(event.task);
			const text = printable(event.text.trimEnd(), 2000);
			if (known !== undefined) known.lastLine = text;
			if (verbose) line(`${style.dim(`${printable(event.task)} |`)} ${text}`);
		} else if (event.type === "waiting") {
			waiting = event.lines;
			if (live) target.write(`${erase()}${draw()}`);
			else {
				for (const text of waitingLines(waiting.filter((text) => !told.has(text)))) line(style.dim(text));
				for (const text of waiting) told.add(text);
			}
		} else {
			const known = tasks.get(event.task);
			const since = known?.state === event.state ? known.since : now();
			tasks.set(event.task, { ...event, since, lastLine: "" });
			const changed = known?.state !== event.state || known.detail !== event.detail;
			if (event.state !== "running") {
				tasks.delete(event.task);
				line(taskLine(event, style));
			} else if (live) target.write(`${erase()}${draw()}`);
			else if (changed) line(taskLine(event, style));
		}
	};
	return {
		log,
		end: () => {
			if (live && drawn > 0) target.write(erase());
			drawn = 0;
			tasks.clear();
			waiting = [];
		},
	};
}

/** A message with its place and its hint. */
export function messageLine(event: Extract<LogEvent, { type: "message" }>, style: Style): string {
	const { at } = event;
	const place = at === undefined ? "" : `${locationText(at)}: `;
	const mark = {
		debug: style.dim("debug "),
		info: "",
		notice: "",
		warning: style.yellow("warning "),
		error: style.red("error "),
	}[event.level];
	return `${mark}${place}${printable(event.text, 4000)}${event.hint === undefined ? "" : `\n  ${printable(event.hint, 1000)}`}`;
}

/** The first of them, and how many more there are. */
function waitingLines(waiting: readonly string[]): readonly string[] {
	const lines = waiting.slice(0, shownWaits).map((text) => `… ${printable(text)}`);
	return waiting.length > shownWaits ? [...lines, `… and ${waiting.length - shownWaits} more wait`] : lines;
}

const marks: Readonly<Record<Progress["state"], string>> = {
	running: "▶",
	built: "✔",
	copied: "✔",
	present: "=",
	failed: "✘",
	"timed-out": "✘",
	cancelled: "✘",
};

function taskLine(event: Progress, style: Style): string {
	const color =
		event.state === "built" || event.state === "copied"
			? style.green
			: event.state === "present" || event.state === "running"
				? style.dim
				: style.red;
	return `${color(`${marks[event.state]} ${event.state}`)} ${printable(event.task)}${event.detail === undefined ? "" : `: ${printable(event.detail)}`}`;
}
