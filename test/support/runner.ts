import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { mkdir, mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import path from "node:path";
import { performance } from "node:perf_hooks";
import { parse } from "yaml";

const actions = path.resolve(import.meta.dirname, "../../actions");

/** A job as GitHub's runner gives it to the steps of an action: a workspace, a temporary folder, a home, an environment. */
export interface Job extends AsyncDisposable {
	/** The working directory of its steps. */
	readonly workspace: string;
	/** `RUNNER_TEMP`. */
	readonly temporary: string;
	readonly home: string;
	/** Starts the main step of an action. */
	start(action: string, inputs?: Readonly<Record<string, string>>): Promise<Step>;
	/** Starts the post step that belongs to a main step, with the state that this one saved. */
	post(main: StepResult): Promise<StepResult>;
	/** Runs a main step to its end, and then its post step, which must succeed and say nothing. */
	run(action: string, inputs?: Readonly<Record<string, string>>): Promise<StepResult>;
}

export interface Step {
	readonly child: ChildProcess;
	readonly result: Promise<StepResult>;
	/** Cancels as the runner does: SIGINT, 7.5 s later SIGTERM, 2.5 s later the end. Gives the result, and how long it took. */
	cancel(): Promise<StepResult & { readonly milliseconds: number }>;
}

export interface StepResult {
	readonly action: string;
	/** Null where a signal ended it. */
	readonly exitCode: number | null;
	/** What the runner does because of lines of the log. */
	readonly commands: readonly Command[];
	/** All lines that are not commands, and the messages of annotations. */
	readonly log: string;
	/** Everything that was written, before masking. */
	readonly raw: string;
	readonly outputs: Readonly<Record<string, string>>;
	readonly state: Readonly<Record<string, string>>;
	readonly summary: string;
}

export interface Command {
	readonly name: string;
	readonly properties: Readonly<Record<string, string>>;
	readonly message: string;
}

export interface JobOptions {
	/** The job's folders are made in here. */
	readonly root: string;
	/** Added to the environment of every step. */
	readonly env?: Readonly<Record<string, string>>;
	readonly run?: { readonly id: string; readonly attempt: number };
	/** Of the repository that the workflow runs for. */
	readonly commit?: string;
}

/** Makes a job on this machine. Its steps are the built bundles that `actions/NAME/action.yml` names. */
export async function openJob(options: JobOptions): Promise<Job> {
	await mkdir(options.root, { recursive: true });
	const root = await mkdtemp(path.join(options.root, "job-"));
	const [workspace, temporary, home, files] = ["work", "temp", "home", "commands"].map((name) => path.join(root, name));
	for (const folder of [workspace!, temporary!, home!, files!]) await mkdir(folder);
	const run = options.run ?? { id: "4711", attempt: 1 };
	const environment = {
		PATH: process.env["PATH"],
		HOME: home,
		LANG: "C.UTF-8",
		CI: "true",
		GITHUB_ACTIONS: "true",
		GITHUB_SERVER_URL: "https://github.com",
		GITHUB_REPOSITORY: "example/images",
		GITHUB_SHA: options.commit ?? "0123456789abcdef0123456789abcdef01234567",
		GITHUB_REF: "refs/heads/main",
		GITHUB_RUN_ID: run.id,
		GITHUB_RUN_ATTEMPT: String(run.attempt),
		GITHUB_WORKSPACE: workspace,
		RUNNER_OS: "Linux",
		RUNNER_TEMP: temporary,
		...options.env,
	};
	let count = 0;

	async function launch(action: string, entry: "main" | "post", env: Readonly<Record<string, string>>): Promise<Step> {
		const { runs } = await actionFile(action);
		const file = path.resolve(actions, action, runs[entry]!);
		const folder = path.join(files!, String(++count));
		await mkdir(folder);
		const command = (name: string): string => path.join(folder, name);
		for (const name of ["output", "state", "summary", "env", "path"]) await writeFile(command(name), "");
		const child = spawn(process.execPath, [file], {
			cwd: workspace,
			env: {
				...environment,
				...env,
				GITHUB_OUTPUT: command("output"),
				GITHUB_STATE: command("state"),
				GITHUB_STEP_SUMMARY: command("summary"),
				GITHUB_ENV: command("env"),
				GITHUB_PATH: command("path"),
			},
			stdio: ["ignore", "pipe", "pipe"],
		});
		const chunks: Buffer[] = [];
		for (const stream of [child.stdout, child.stderr]) stream.on("data", (chunk: Buffer) => chunks.push(chunk));
		const finish = async (): Promise<StepResult> => {
			const [exitCode] = (await once(child, "close")) as [number | null];
			for (const name of ["env", "path"])
				if ((await readFile(command(name), "utf8")) !== "") throw new Error(`${action} changed the job's ${name}`);
			const raw = Buffer.concat(chunks).toString("utf8");
			const { commands, log } = readLog(raw);
			return {
				action,
				exitCode,
				commands,
				log,
				raw,
				outputs: readFileCommands(await readFile(command("output"), "utf8")),
				state: readFileCommands(await readFile(command("state"), "utf8")),
				summary: await readFile(command("summary"), "utf8"),
			};
		};
		const result = finish();
		// Who kills a step may not wait for it at once.
		result.catch(() => {});
		const cancel = async () => {
			const began = performance.now();
			child.kill("SIGINT");
			const harder = setTimeout(() => child.kill("SIGTERM"), 7500);
			const hardest = setTimeout(() => child.kill("SIGKILL"), 10_000);
			try {
				return { ...(await result), milliseconds: performance.now() - began };
			} finally {
				clearTimeout(harder);
				clearTimeout(hardest);
			}
		};
		return { child, result, cancel };
	}

	const start: Job["start"] = async (action, inputs = {}) =>
		launch(action, "main", await inputVariables(action, inputs));
	const post: Job["post"] = async ({ action, state }) => {
		const env = Object.fromEntries(Object.entries(state).map(([name, value]) => [`STATE_${name}`, value]));
		return (await launch(action, "post", env)).result;
	};
	return {
		workspace: workspace!,
		temporary: temporary!,
		home: home!,
		start,
		post,
		run: async (action, inputs) => {
			const result = await (await start(action, inputs)).result;
			if ((await actionFile(action)).runs.post === undefined) return result;
			const after = await post(result);
			if (after.exitCode !== 0 || after.raw !== "") throw new Error(`the post step of ${action}: ${after.raw}`);
			return result;
		},
		[Symbol.asyncDispose]: () => rm(root, { recursive: true, force: true }),
	};
}

interface ActionFile {
	readonly inputs: Readonly<Record<string, { readonly default?: string }>>;
	readonly runs: { readonly main: string; readonly post?: string };
}

async function actionFile(action: string): Promise<ActionFile> {
	return parse(await readFile(path.join(actions, action, "action.yml"), "utf8")) as ActionFile;
}

/** `INPUT_*` as the runner makes them: every input is there, with its default or empty. */
async function inputVariables(
	action: string,
	given: Readonly<Record<string, string>>,
): Promise<Readonly<Record<string, string>>> {
	const { inputs } = await actionFile(action);
	// Contexts of a job, which there is none of here.
	const defaults = Object.entries(inputs).map(([name, input]) => [name, input.default?.replace(/^\$\{\{.*\}\}$/, "")]);
	const values = { ...Object.fromEntries(defaults), ...given } as Readonly<Record<string, string | undefined>>;
	return Object.fromEntries(
		Object.entries(values).map(([name, value]) => [`INPUT_${name.replaceAll(" ", "_").toUpperCase()}`, value ?? ""]),
	);
}

const commandNames = new Set([
	"add-mask",
	"add-matcher",
	"add-path",
	"debug",
	"echo",
	"endgroup",
	"error",
	"group",
	"notice",
	"remove-matcher",
	"save-state",
	"set-env",
	"set-output",
	"stop-commands",
	"warning",
]);

/** Reads lines as the runner does (its `ActionCommand.TryParseV2` and `TryParse`, and its `ActionCommandManager`). */
export function readLog(raw: string): { commands: Command[]; log: string } {
	const commands: Command[] = [];
	const lines: string[] = [];
	let word: string | undefined;
	for (const line of raw.split(/\r\n|\r|\n/)) {
		const command = newCommand(line, word) ?? oldCommand(line, word);
		if (word !== undefined) {
			if (command?.name === word) word = undefined;
			else lines.push(line);
			continue;
		}
		if (command?.name === "stop-commands") word = command.message;
		if (command === undefined) lines.push(line);
		else commands.push(command);
		if (command !== undefined && ["error", "warning", "notice"].includes(command.name)) lines.push(command.message);
	}
	return { commands, log: lines.join("\n") };
}

/** `::NAME KEY=VALUE,KEY=VALUE::MESSAGE`, after any white space (that of .NET: U+0085 too). */
function newCommand(line: string, word?: string): Command | undefined {
	const match = /^[\s\u0085]*::(.*?)::(.*)$/s.exec(line);
	if (match === null) return undefined;
	const [head = "", message = ""] = match.slice(1);
	const space = head.indexOf(" ");
	const name = space < 0 ? head : head.slice(0, space);
	if (!commandNames.has(name) && name !== word) return undefined;
	const properties = space < 0 ? "" : head.slice(space + 1).trim();
	return { name, properties: readProperties(properties, ",", unescaped), message: unescaped(message) };
}

/** `##[NAME KEY=VALUE;KEY=VALUE]MESSAGE`, anywhere in a line. */
function oldCommand(line: string, word?: string): Command | undefined {
	const begin = line.indexOf("##[");
	const end = begin < 0 ? -1 : line.indexOf("]", begin);
	if (end < 0) return undefined;
	const head = line.slice(begin + 3, end);
	const space = head.indexOf(" ");
	const name = space < 0 ? head : head.slice(0, space);
	if (!commandNames.has(name) && name !== word) return undefined;
	const properties = space < 0 ? "" : head.slice(space + 1);
	return { name, properties: readProperties(properties, ";", (text) => text), message: line.slice(end + 1) };
}

function readProperties(text: string, separator: string, decode: (text: string) => string): Record<string, string> {
	return Object.fromEntries(
		text
			.split(separator)
			.map((pair) => [pair.slice(0, pair.indexOf("=")), decode(pair.slice(pair.indexOf("=") + 1))] as const)
			.filter(([name]) => name !== ""),
	);
}

function unescaped(text: string): string {
	const characters: Readonly<Record<string, string>> = {
		"%0D": "\r",
		"%0A": "\n",
		"%3A": ":",
		"%2C": ",",
		"%25": "%",
	};
	return text.replace(/%(?:0D|0A|3A|2C|25)/g, (code) => characters[code] ?? code);
}

/** `NAME=VALUE` or `NAME<<MARK`, lines, `MARK`; anything else is an error, as for the runner. */
function readFileCommands(text: string): Record<string, string> {
	const values: Record<string, string> = {};
	const lines = text.split(/\r?\n/);
	for (let index = 0; index < lines.length; index++) {
		const line = lines[index]!;
		if (line === "") continue;
		const heredoc = /^([^=]+?)<<(.+)$/.exec(line);
		if (heredoc !== null) {
			const end = lines.indexOf(heredoc[2]!, index + 1);
			if (end < 0) throw new Error(`no ${heredoc[2]} in a file of commands`);
			values[heredoc[1]!] = lines.slice(index + 1, end).join("\n");
			index = end;
		} else {
			const equals = line.indexOf("=");
			if (equals < 1) throw new Error(`not a command in a file: ${line}`);
			values[line.slice(0, equals)] = line.slice(equals + 1);
		}
	}
	return values;
}
