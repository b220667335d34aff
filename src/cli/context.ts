import { existsSync } from "node:fs";
import path from "node:path";
import { BrewlineError, messageOf } from "../errors.ts";
import {
	type Configuration,
	dockerProgram,
	type ImageConfig,
	loadConfiguration,
	type ScriptedImage,
	type Program,
	withoutImages,
} from "../config/index.ts";
import { type Io, nodeIo, printable, standardError, standardOutput, whenOutputIsLost } from "../io/index.ts";
import {
	isReadByRunner,
	type Style,
	styleFor,
	suspendCommands,
	terminalLog,
	type TerminalLog,
	textFor,
} from "../report/index.ts";

export interface GlobalOptions {
	readonly config?: string;
	readonly work: string;
	readonly library?: string;
	readonly json?: boolean;
	readonly verbose?: boolean;
	readonly progress: boolean;
}

/** What every command works with. */
export interface Context {
	readonly io: Io;
	readonly program: Program;
	/** Whether there is a configuration: without one, the program is Docker's. */
	readonly configured: boolean;
	/** Why the configuration that lies here cannot be used; only a command that replaces it goes on then. */
	readonly unread?: BrewlineError;
	/** The configuration, or where one would be. */
	readonly file: string;
	/** What the configuration says of an image repository; empty in the repository of a library. */
	readonly images: readonly ImageConfig[];
	/** The images whose definitions scripts print. */
	readonly scripts: readonly ScriptedImage[];
	/** The folder that the configuration is in, or would be. */
	readonly folder: string;
	/** What --library says, which may be an address where only definitions of parents are read. */
	readonly libraryGiven: string | undefined;
	/** The absolute path of the work folder. */
	readonly work: string;
	readonly json: boolean;
	readonly style: Style;
	/**
	 * Writes a command's result to standard output; everything else goes to standard error. A runner that reads it takes
	 * nothing of it for a command to itself: in text that is escaped, and bytes stay as they are.
	 */
	readonly print: (text: string | Uint8Array) => void;
	/** The same for text that is commands to a runner, each in its line. */
	readonly printCommands: (text: string) => void;
}

/** Runs a command with its configuration and the terminal; ends what runs when the terminal asks for it. */
export async function withContext(
	options: GlobalOptions,
	command: (context: Context) => Promise<number>,
	{ replacesConfiguration = false }: { readonly replacesConfiguration?: boolean } = {},
): Promise<number> {
	const { env } = process;
	// Opened when something is said: many commands only print their result.
	let terminal: TerminalLog | undefined;
	const log: Io["log"] = (event) => {
		terminal ??= openTerminal(options, env);
		terminal.log(event);
	};
	const ending = new AbortController();
	const end = (signal: NodeJS.Signals): void => {
		// Who asks twice does not want to wait for what is being put in order.
		if (ending.signal.aborted) process.exit(130);
		log({ type: "message", level: "notice", text: "ending what runs; once more to leave at once" });
		ending.abort(new Error(`ended by ${signal}`));
	};
	process.on("SIGINT", end);
	process.on("SIGTERM", end);
	process.on("SIGHUP", end);
	const isRead = isReadByRunner(env, 1);
	const printed = textFor(env, 1);
	const write = (text: string | Uint8Array): void => {
		terminal?.end();
		standardOutput().write(text);
	};
	const ignoreOutput = whenOutputIsLost((error) => {
		ending.abort(new Error(`the output cannot be written: ${error.message}`));
	});
	try {
		return await command({
			io: nodeIo({ log, signal: ending.signal, env }),
			...(await programOf(options, env, replacesConfiguration)),
			work: path.resolve(options.work),
			json: options.json === true,
			style: styleFor(standardOutput(), env),
			print: (text) => {
				if (typeof text === "string") write(printed(text));
				else write(isRead ? suspendCommands(text) : text);
			},
			printCommands: write,
		});
	} catch (error) {
		if (!ending.signal.aborted || (error instanceof BrewlineError && error.code === "cancelled")) throw error;
		// Whatever came of it, it came of being ended.
		throw new BrewlineError("cancelled", messageOf(ending.signal.reason), { cause: error });
	} finally {
		terminal?.end();
		process.off("SIGINT", end);
		process.off("SIGTERM", end);
		process.off("SIGHUP", end);
		ignoreOutput();
	}
}

function openTerminal(options: GlobalOptions, env: Io["env"]): TerminalLog {
	const stream = standardError();
	const verbose = options.verbose === true;
	const live = options.progress && stream.isTTY && env["TERM"] !== "dumb" && !verbose;
	const said = textFor(env, 2);
	const target = {
		write: (text: string) => stream.write(said(text)),
		get columns() {
			return stream.columns;
		},
	};
	return terminalLog(target, { style: styleFor(stream, env), live, verbose, now: () => Date.now() });
}

type Configured = Pick<
	Context,
	"program" | "configured" | "unread" | "images" | "scripts" | "file" | "folder" | "libraryGiven"
>;

async function programOf(options: GlobalOptions, env: Io["env"], replaces: boolean): Promise<Configured> {
	const named = options.config ?? env["BREWLINE_CONFIG"];
	const file = named ?? "brewline.yaml";
	let configured = named !== undefined || existsSync(file);
	let unread: BrewlineError | undefined;
	const { program, images, scripts } = await (configured ? loadConfiguration(file) : none()).catch((error: unknown) => {
		if (!replaces || named !== undefined || !(error instanceof BrewlineError)) throw error;
		unread = error;
		configured = false;
		return none();
	});
	return {
		...(unread === undefined ? {} : { unread }),
		images,
		scripts,
		folder: path.dirname(path.resolve(file)),
		libraryGiven: options.library,
		program: options.library === undefined ? program : { ...program, library: path.resolve(options.library) },
		configured,
		file,
	};
}

async function none(): Promise<Configuration> {
	return await Promise.resolve({ program: dockerProgram, images: [], scripts: [] });
}

/** Says where things would go without a configuration: hardly anybody means Docker's own namespaces. */
export function sayUnconfigured({ configured, program, io }: Context): void {
	if (configured) return;
	const { namespace, staging } = program.registries;
	io.log({
		type: "message",
		level: "warning",
		text: `there is no brewline.yaml here: images go where Docker's own go, to ${staging} and ${namespace}/NAME`,
		hint: 'name the configuration with --config, or write one: "brewline --help" shows how it starts',
	});
}

/** The images that a command is for: all, or the one that is named. */
export function chosenImages({ images, file, configured }: Context, name: string | undefined): readonly ImageConfig[] {
	if (!configured) {
		throw new BrewlineError("config", `there is no ${printable(file)} here`, {
			hint: 'Go to the top of the image repository, or have one proposed: "brewline init".',
		});
	}
	if (images.length === 0) throw withoutImages(file);
	const chosen = images.filter(({ image }) => name === undefined || image === name);
	if (chosen.length > 0) return chosen;
	throw new BrewlineError("reference", `the configuration has no image ${printable(name ?? "", 200)}`, {
		at: { file },
		hint: `It has ${images.map(({ image }) => image).join(", ")}.`,
	});
}
