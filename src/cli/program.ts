import { readFileSync } from "node:fs";
import http from "node:http";
import { Argument, Command, CommanderError, InvalidArgumentError, Option, type OptionValues } from "commander";
import { BrewlineError, errorCodes } from "../errors.ts";
import { printable } from "../io/index.ts";
import { tabJson } from "../json/index.ts";
import { exitCodeOf, type FailureReport, failuresOf, failureText, plainStyle, styleFor } from "../report/index.ts";
import { completionScript, type Shell, shells } from "./completion.ts";
import type { Context, GlobalOptions } from "./context.ts";

/** Runs one command line; returns the exit code. */
export async function main(argv: readonly string[]): Promise<number> {
	// For what fetches by the platform's own means; the registry client has agents of its own.
	http.setGlobalProxyFromEnv?.();
	const program = commandLine();
	try {
		await program.parseAsync([...argv]);
		return exitCode.get(program) ?? 0;
	} catch (error) {
		if (!(error instanceof CommanderError)) return fail(error, program.opts<GlobalOptions>().json === true);
		if (error.exitCode === 0) return 0;
		// Commander has said it in words; whether it came to --json before it stopped is not known.
		const message = error.message.replace(/^error: /, "");
		if (argv.includes("--json") && !error.code.startsWith("commander.help")) {
			printFailures([{ code: "usage", message: printable(message) }]);
		}
		return errorCodes.usage.exit;
	}
}

const exitCode = new WeakMap<Command, number>();

function printFailures(failures: readonly FailureReport[]): void {
	process.stdout.write(tabJson({ errors: failures }));
}

function fail(error: unknown, json: boolean): number {
	const failures = failuresOf(error);
	if (json) printFailures(failures);
	const style = styleFor(process.stderr, process.env);
	for (const failure of failures) process.stderr.write(`${style.red(failure.code)}: ${failureText(failure)}\n`);
	if (!(error instanceof BrewlineError) && error instanceof Error) process.stderr.write(`${error.stack}\n`);
	return exitCodeOf(error);
}

/** The commands, their options and help; what they do is loaded when one is called. */
export function commandLine(): Command {
	const program = new Command("brewline")
		.description("From library definitions to published multi-architecture tags.")
		.version(packageVersion(), "--version", "print the version")
		.helpOption("-h, --help", "explain a command")
		.option("-c, --config <file>", "the configuration (default: brewline.yaml, where there is one)")
		.option("-w, --work <folder>", "where the hand-over files, git objects and logs are kept", ".brewline")
		.option("--library <folder>", "the folder of the definitions (default: the configuration's)")
		.option("--json", "print the result as JSON on standard output; everything else goes to standard error")
		.option("-v, --verbose", "show the output of builds, and what is done in detail")
		.option("--no-progress", "plain lines instead of a live view, also on a terminal")
		.showHelpAfterError("(add --help for an explanation)")
		.exitOverride()
		.addHelpText(
			"after",
			`
One command does everything:
  brewline run                 build what is missing, layer by layer, and publish every tag
  brewline run --dry-run       say what that would do
The same in steps that talk through files in the work folder:
  brewline sources && brewline plan && brewline build && brewline publish

Exit codes: ${exitCodeHelp()}
NO_COLOR turns colours off. BREWLINE_CONFIG names the configuration like --config.`,
		);
	const command = (name: string, description: string): Command =>
		program.command(name).description(description).exitOverride().configureHelp({ showGlobalOptions: true });
	/** Runs a handler of a module that is loaded now. */
	const does =
		<Options extends OptionValues>(
			load: () => Promise<(context: Context, options: Options, args: string[]) => Promise<number>>,
		) =>
		async (...received: unknown[]): Promise<void> => {
			const self = received.at(-1) as Command;
			const [{ withContext }, handler] = await Promise.all([import("./context.ts"), load()]);
			const options = self.opts<Options>();
			exitCode.set(
				program,
				await withContext(program.opts<GlobalOptions>(), (context) => handler(context, options, self.args)),
			);
		};

	const arch = new Option("--arch <names>", "only these architectures, separated by commas").argParser((text: string) =>
		text.split(",").filter((name) => name !== ""),
	);
	const dryRun = new Option("--dry-run", "say what would be done, and change nothing");
	const parallel = new Option(
		"--parallel <number>",
		"builds at once (default: one for every two processors)",
	).argParser(positive);

	command("sources", "compute what there is to build: definitions and git to sources.json")
		.addOption(dryRun)
		.action(does(async () => (await import("./steps.ts")).sourcesStep));
	command("plan", "compute what has to be built: sources.json and the registry to builds.json, plan.json and legs/")
		.addOption(arch)
		.addOption(dryRun)
		.action(does(async () => (await import("./steps.ts")).planStep));
	command("build", "build legs of the plan, all of them where none is named: legs/ID.json to results/ID.json")
		.argument("[leg...]", "ids of legs")
		.addOption(new Option("--digest <sha256>", "the digest that the leg must have (with one leg)"))
		.addOption(parallel)
		.addOption(dryRun)
		.action(does(async () => (await import("./steps.ts")).buildStep));
	command("publish", "move what is staged to its tags: architecture tags, then one index for each tag")
		.addOption(dryRun)
		.action(does(async () => (await import("./steps.ts")).publishStep));
	command("run", "do all of that, layer by layer, until nothing is left to build")
		.addOption(arch)
		.addOption(parallel)
		.addOption(dryRun)
		.action(does(async () => (await import("./steps.ts")).runStep));

	const inspect = command("inspect", "look at one thing of the pipeline");
	const inspects = (name: string, description: string): Command =>
		inspect.command(name).description(description).exitOverride().configureHelp({ showGlobalOptions: true });
	inspects("definition", "a definition, or one tag's entry, printed canonically")
		.argument("<reference...>", "NAME, NAME:TAG, a path or an address")
		.action(does(async () => (await import("./inspect-library.ts")).inspectDefinition));
	inspects("list", "all full tags that references select")
		.argument("[reference...]", "as for definition; all definitions where none is given")
		.option("--uniq", "only the first tag of each entry")
		.option("--repos", "only the names")
		.option("--arch-filter", "skip entries without the architecture")
		.option("--arch <name>", "the architecture of --arch-filter")
		.option("--apply-constraints", "skip what constraints exclude")
		.option("--constraint <name...>", "a constraint that is met")
		.option("--exclusive-constraints", "with --apply-constraints: skip entries without constraints")
		.option("--build-order", "parents before what is built from them")
		.option("--namespace <name>", "stands before every name")
		.action(does(async () => (await import("./inspect-library.ts")).inspectList));
	inspects("checksum", "the content checksum of a directory of a commit")
		.argument("<repository>", "the address of a git repository")
		.argument("<commit>", "the full id of a commit")
		.argument("[directory]", "counts from the root", ".")
		.option("--fetch <ref>", "where to find the commit if the server gives none by its id", "refs/heads/master")
		.action(does(async () => (await import("./inspect.ts")).inspectChecksum));
	inspects("froms", "the images that a Dockerfile needs")
		.argument("<file>", "a Dockerfile, or - for standard input")
		.option("--platform <platform>", "for predefined variables", "linux/amd64")
		.action(does(async () => (await import("./inspect.ts")).inspectFroms));
	inspects("reference", "the parts of an image reference")
		.argument("<reference>", "[HOST/]REPOSITORY[:TAG][@DIGEST]")
		.action(does(async () => (await import("./inspect.ts")).inspectReference));
	inspects("index", "what a registry has under a reference: each platform with its digest")
		.argument("<reference>", "[HOST/]REPOSITORY[:TAG][@DIGEST]")
		.action(does(async () => (await import("./inspect.ts")).inspectIndex));

	command("doctor", "check this machine: engine, BuildKit, emulators, credentials, with the way to mend each").action(
		does(async () => (await import("./doctor.ts")).doctorStep),
	);
	command("registry", "serve a small registry on this machine until it is ended")
		.option("--port <number>", "0: the system's choice", positiveOrZero, 5000)
		.option("--storage <folder>", "keep the content here (default: in memory)")
		.action(does(async () => (await import("./registry.ts")).registryStep));
	command("completion", "print the completion script of a shell")
		.addArgument(new Argument("<shell>", "what reads it").choices(shells))
		.action((shell: Shell) => {
			process.stdout.write(completionScript(shell, program));
		});
	return program;
}

function positive(text: string): number {
	const number = Number(text);
	if (!Number.isSafeInteger(number) || number < 1) throw new InvalidArgumentError("it must be a whole number from 1.");
	return number;
}

function positiveOrZero(text: string): number {
	const number = Number(text);
	if (!Number.isSafeInteger(number) || number < 0 || number > 65_535) {
		throw new InvalidArgumentError("it must be a port.");
	}
	return number;
}

function exitCodeHelp(): string {
	const byExit = new Map<number, string[]>();
	for (const [code, { exit }] of Object.entries(errorCodes)) byExit.set(exit, [...(byExit.get(exit) ?? []), code]);
	const parts = [...byExit].sort(([a], [b]) => a - b).map(([exit, codes]) => `${exit} ${codes.join(", ")}`);
	return plainStyle.bold(`0 all is done; ${parts.join("; ")}.`);
}

function packageVersion(): string {
	const text = readFileSync(new URL("../../package.json", import.meta.url), "utf8");
	return (JSON.parse(text) as { version: string }).version;
}
