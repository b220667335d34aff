import { readFileSync } from "node:fs";
import { Argument, Command, CommanderError, InvalidArgumentError, Option, type OptionValues } from "commander";
import { BrewlineError, errorCodes } from "../errors.ts";
import { printable, standardError, standardOutput } from "../io/index.ts";
import { tabJson } from "../json/index.ts";
import { exitCodeOf, type FailureReport, failuresOf, failureText, styleFor, textFor } from "../report/index.ts";
import { completionScript, type Shell, shells } from "./completion.ts";
import type { Context, GlobalOptions } from "./context.ts";

// For the entry, which may import nothing but this: all of ../io would be a file with all that uses it.
export { isUnread, standardError, whenOutputIsLost } from "../io/index.ts";

/** Runs one command line; returns the exit code. */
export async function main(argv: readonly string[]): Promise<number> {
	// For what fetches by the platform's own means; the registry client has agents of its own.
	if (Object.keys(process.env).some((name) => /^https?_proxy$/i.test(name))) {
		(await import("node:http")).setGlobalProxyFromEnv?.();
	}
	const program = commandLine(argv.slice(2));
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
	standardOutput().write(textFor(process.env, 1)(tabJson({ errors: failures })));
}

function fail(error: unknown, json: boolean): number {
	const failures = failuresOf(error);
	if (json) printFailures(failures);
	const stream = standardError();
	const style = styleFor(stream, process.env);
	const lines = failures.map((failure) => `${style.red(failure.code)}: ${failureText(failure)}\n`);
	if (!(error instanceof BrewlineError) && error instanceof Error) lines.push(`${error.stack}\n`);
	stream.write(textFor(process.env, 2)(lines.join("")));
	return exitCodeOf(error);
}

/**
 * The commands, their options and help; what they do is loaded when one is called. Given the words of a command line, those that
 * it names, since all of them take longer than a short command does.
 */
export function commandLine(words: readonly string[] = []): Command {
	const program = new Command("brewline")
		.description("From library definitions to published multi-architecture tags.")
		.version(packageVersion(), "--version", "print the version")
		.helpOption("-h, --help", "explain a command")
		.option("-c, --config <file>", "the configuration (default: brewline.yaml, where there is one)")
		.option("-w, --work <folder>", "where the hand-over files, git objects and logs are kept", ".brewline")
		.option(
			"--library <folder>",
			"the folder of the definitions (default: the configuration's); for generate also an address",
		)
		.option("--json", "print the result as JSON on standard output; everything else goes to standard error")
		.option("-v, --verbose", "show the output of builds, and what is done in detail")
		.option("--no-progress", "plain lines instead of a live view, also on a terminal")
		.showHelpAfterError("(add --help for an explanation)")
		.exitOverride()
		.configureOutput({
			writeOut: (text) => standardOutput().write(text),
			writeErr: (text) => standardError().write(textFor(process.env, 2)(text)),
		})
		.addHelpText(
			"after",
			() => `
One command does everything:
  brewline run                 build what is missing, layer by layer, and publish every tag
  brewline run --dry-run       say what that would do
The same in steps that talk through files in the work folder:
  brewline sources && brewline plan && brewline build && brewline publish
What it works with:
  brewline doctor              whether this machine and its credentials can do that
  brewline inspect list        the tags that the definitions have
In the repository of an image:
  brewline init                propose its brewline.yaml from its Dockerfiles and what is published of it
  brewline generate            its definition; brewline render: its Dockerfiles

A brewline.yaml begins like this; what it leaves out has Docker's values:
${exampleConfig}

Exit codes, and the errors that end with them:${exitCodeHelp()}

NO_COLOR turns colours off. BREWLINE_CONFIG names the configuration like --config.`,
		);
	const below = (parent: Command, name: string, description: string, more: string): Command =>
		parent
			.command(name)
			.description(description)
			.exitOverride()
			.configureHelp({ showGlobalOptions: true })
			.addHelpText("after", `\n${more}`);
	const command = (name: string, description: string, more: string): Command => below(program, name, description, more);
	/** Runs a handler of a module that is loaded now. */
	const does =
		<Options extends OptionValues>(
			load: () => Promise<(context: Context, options: Options, args: string[]) => Promise<number>>,
			how: { readonly replacesConfiguration?: boolean } = {},
		) =>
		async (...received: unknown[]): Promise<void> => {
			const self = received.at(-1) as Command;
			const [{ withContext }, handler] = await Promise.all([import("./context.ts"), load()]);
			const options = self.opts<Options>();
			exitCode.set(
				program,
				await withContext(program.opts<GlobalOptions>(), (context) => handler(context, options, self.args), how),
			);
		};

	const arch = new Option("--arch <names>", "only these architectures, separated by commas").argParser(
		(text: string) => {
			const names = text.split(",").filter((name) => name !== "");
			// An empty variable of a script would have nothing built, without a word.
			if (names.length === 0) throw new InvalidArgumentError("it names no architecture.");
			return names;
		},
	);
	const dryRun = new Option("--dry-run", "say what would be done, and change nothing");
	const retry = new Option("--retry", "try again at once what waits because it failed");
	const acceptMissing = new Option(
		"--accept-missing",
		"go on where much that was known to be staged is not there any more",
	);
	const audit = new Option(
		"--audit",
		"look at every tag, also those that are made from what they were made from before",
	);
	const allowOlder = new Option("--allow-older", "let tags go back to older versions");
	const by = new Option("--by <name>", "who decides (default: who runs this)");
	const parallel = new Option(
		"--parallel <number>",
		"builds at once (default: one for every two processors)",
	).argParser(positive);

	// Whoever asks for help, or names nothing that there is, is told of all.
	const needsAll = words.some((word) => /^(?:help|-h|--help|completion)$/.test(word));
	/** Defines those that are named. */
	const define = (commands: Readonly<Record<string, () => void>>): void => {
		const all = Object.keys(commands);
		const named = needsAll ? [] : all.filter((name) => words.includes(name));
		for (const name of named.length === 0 ? all : named) commands[name]!();
	};
	// In the order of the help.
	define({
		sources: () => {
			command(
				"sources",
				"compute what there is to build: definitions and git to sources.json",
				`Asks git for what is not in sources.json yet, and no registry. --json prints sources.json.`,
			)
				.addOption(dryRun)
				.action(does(async () => (await import("./steps.ts")).sourcesStep));
		},
		plan: () => {
			command(
				"plan",
				"compute what has to be built: sources.json and the registry to builds.json, plan.json and legs/",
				`A leg is one build on one architecture that can be done now; what waits for it comes with the next plan.
  brewline plan --arch amd64,arm64v8      only legs of these`,
			)
				.addOption(arch)
				.addOption(retry)
				.addOption(acceptMissing)
				.addOption(dryRun)
				.action(does(async () => (await import("./steps.ts")).planStep));
		},
		build: () => {
			command(
				"build",
				"build legs of the plan, all of them where none is named: legs/ID.json to results/ID.json",
				`Pushes to the staging repositories only; what is there already is not built again.
  brewline build                          every leg of the plan
  brewline build hello-1-amd64-0123abcd   one, by its id in plan.json`,
			)
				.argument("[leg...]", "ids of legs")
				.addOption(new Option("--digest <sha256>", "the digest that the leg must have (with one leg)"))
				.addOption(parallel)
				.addOption(dryRun)
				.action(does(async () => (await import("./steps.ts")).buildStep));
		},
		publish: () => {
			command(
				"publish",
				"move what is staged to its tags: architecture tags, then one index for each tag",
				`Reads the registry again, and writes only what differs. An architecture that is missing keeps what its tag had.
  brewline publish --dry-run              every tag, and what would become of it
  brewline publish --audit                also those that nothing changed for`,
			)
				.addOption(audit)
				.addOption(allowOlder)
				.addOption(dryRun)
				.action(does(async () => (await import("./steps.ts")).publishStep));
		},
		run: () => {
			command(
				"run",
				"do all of that, layer by layer, until nothing is left to build",
				`May be ended at any time: the next run goes on from what the registry holds.
  brewline run --dry-run                  what would be built and published
  brewline run --arch amd64 --parallel 4  one architecture, four builds at once`,
			)
				.addOption(arch)
				.addOption(parallel)
				.addOption(retry)
				.addOption(acceptMissing)
				.addOption(audit)
				.addOption(allowOlder)
				.addOption(dryRun)
				.action(does(async () => (await import("./steps.ts")).runStep));
		},
		tested: () => {
			command(
				"tested",
				"write down what came of a test of a staged image, for publishing: to tests/ID.json",
				`Where a policy says require: [test], a digest is published only once this said that it passed. Another result for the
same digest takes the place of the one before. --json prints the file and its digest, which the action publish takes.
  brewline tested registry.example.com/staging-amd64:BUILD --digest sha256:… --result passed
  brewline tested BUILD --digest sha256:… --result failed --log https://example.com/log --id amd64`,
			)
				.argument("<build>", "the id of the build, or its staging reference")
				.requiredOption("--digest <digest>", "of the image's manifest, as report.json names it")
				.addOption(
					new Option("--result <result>", "what came of it")
						.choices(["passed", "failed", "skipped", "timed-out"])
						.makeOptionMandatory(),
				)
				.option("--seconds <number>", "how long it took", positiveOrZeroCount)
				.option("--log <address>", "where its log is")
				.option("--id <name>", "what the file is called: one for each job", "tests")
				.action(does(async () => (await import("./tested.ts")).testedStep));
		},
		remember: () => {
			command(
				"remember",
				"write what was planned, tried and published into the state, for the next plans",
				`run does that by itself; after single steps it makes the next plan wait for what failed often, and name what changed.
  brewline build && brewline publish && brewline remember`,
			).action(does(async () => (await import("./decide.ts")).rememberStep));
		},
		explain: () => {
			command(
				"explain",
				"say why an image is built or not, with all that it stands on",
				`Reads definitions, registry and state, and writes nothing.
  brewline explain hello                  all tags and architectures of an image
  brewline explain hello:latest s390x     one of them`,
			)
				.argument("<image>", "NAME or NAME:TAG, as the definitions have it")
				.argument("[architecture]", "only this one")
				.action(does(async () => (await import("./decide.ts")).explainStep));
		},
		force: () => {
			command(
				"force",
				"decide that an image is built again although nothing changed",
				`The decision is in the state, with who, when and why; the next plan has the build. What is built from it follows.
  brewline force hello:latest amd64 --reason "the mirror served an old package"`,
			)
				.argument("<image>", "NAME or NAME:TAG, as the definitions have it")
				.argument("[architecture]", "only this one")
				.requiredOption("--reason <text>", "why, in one line")
				.addOption(by)
				.addOption(dryRun)
				.action(does(async () => (await import("./decide.ts")).forceStep));
		},
		hold: () => {
			command(
				"hold",
				"decide that tags are not moved until they are released",
				`The decision is in the state, with who, when and why; every run obeys it, and says so.
  brewline hold hello --reason "upstream withdrew the release"
  brewline hold --all --reason "the registry has an incident"`,
			)
				.argument("[image]", "NAME or NAME:TAG")
				.option("--all", "nothing at all is published")
				.requiredOption("--reason <text>", "why, in one line")
				.addOption(by)
				.addOption(dryRun)
				.action(does(async () => (await import("./decide.ts")).holdStep));
		},
		rollback: () => {
			command(
				"rollback",
				"decide that a tag holds again what it held before",
				`What that was is in the state, and must be in the registry still. The next run moves the tag, and keeps it there until
it is released.
  brewline rollback hello:latest --reason "crashes at start"
  brewline rollback hello:latest --to sha256:… --reason "crashes at start"`,
			)
				.argument("<tag>", "NAME:TAG")
				.option("--to <digest>", "what it is to hold (default: what it held before)")
				.requiredOption("--reason <text>", "why, in one line")
				.addOption(by)
				.addOption(dryRun)
				.action(does(async () => (await import("./decide.ts")).rollbackStep));
		},
		shrink: () => {
			command(
				"shrink",
				"decide that tags go without platforms that are not there as they are defined",
				`Without it, a tag keeps what it had for an architecture that is late, or waits for it.
  brewline shrink hello:latest linux/s390x --reason "the old image has a hole, and the new one does not build"`,
			)
				.argument("<image>", "NAME or NAME:TAG")
				.argument("<platform...>", "OS/ARCHITECTURE[/VARIANT]")
				.requiredOption("--reason <text>", "why, in one line")
				.addOption(by)
				.addOption(dryRun)
				.action(does(async () => (await import("./decide.ts")).shrinkStep));
		},
		release: () => {
			command(
				"release",
				"end what was decided with hold, rollback or shrink",
				`  brewline release hello:latest
  brewline release --all                  publish again, after hold --all`,
			)
				.argument("[image]", "NAME or NAME:TAG, as it was decided")
				.option("--all", "the stop of everything")
				.addOption(by)
				.addOption(dryRun)
				.action(does(async () => (await import("./decide.ts")).releaseStep));
		},
		decisions: () => {
			command(
				"decisions",
				"list what was decided and is in force, with who, when and why",
				"  brewline decisions --json",
			).action(does(async () => (await import("./decide.ts")).decisionsStep));
		},
		adopt: () => {
			command(
				"adopt",
				"take over what is published already, so that nothing of it is built again",
				`For registries that are full before the first run. What a tag holds of the commit that is defined, on the parents of now,
is staged under its build's id. Writes to staging and the state alone; ends with 7 where something has to be built.
  brewline adopt --dry-run                what could be taken over, and what could not, with the reason`,
			)
				.option("--unverified", "also what does not say of which commit or file it is, or on what it stands")
				.addOption(acceptMissing)
				.addOption(dryRun)
				.action(does(async () => (await import("./upkeep.ts")).adoptStep));
		},
		prune: () => {
			command(
				"prune",
				"clear staging of old builds that no tag, no plan and no state names",
				`Says what would go; --delete has it go. Nothing goes where tags, state or lists cannot be read.
  brewline prune --keep 3 --older 30d
  brewline prune --keep 3 --older 30d --delete`,
			)
				.option("--keep <number>", "so many of the newest of each kind stay", positiveOrZeroCount, 3)
				.option("--older <age>", "only what is older goes: 90m, 48h, 30d", "30d")
				.option("--imported", "also imported images, by the age of their commits")
				.option("--delete", "delete, instead of saying what would be deleted")
				.action(does(async () => (await import("./upkeep.ts")).pruneStep));
		},
		architectures: () => {
			command(
				"architectures",
				"compare the architectures of definitions with those that their bases have",
				`A base that drops an architecture takes it from all that stands on it, one that gains some gives them; scratch says nothing.
Ends with 7 where a definition names what its bases do not have. All definitions are looked at; names choose which are told of.
  brewline architectures
  brewline architectures php wordpress
  brewline architectures --patch > drops.patch
  brewline architectures --changes gains --write`,
			)
				.argument("[name...]", "only these definitions")
				.option("--patch", "print one patch over all definitions, for git apply")
				.option("--write", "change the definitions in place")
				.addOption(
					new Option("--changes <which>", "what is proposed").choices(["drops", "gains", "all"]).default("drops"),
				)
				.action(does(async () => (await import("./architectures.ts")).architecturesStep));
		},
		render: () => {
			command(
				"render",
				"render the templates of an image repository: Dockerfiles, and what is copied beside them",
				`Writes what differs, and deletes what no template gives any more; docs/templates.md has the language and the rules.
  brewline render
  brewline render 3.13 3.14               only these versions
  brewline render --check > fix.patch     change nothing; where anything differs, print that and end with 1`,
			)
				.argument("[version...]", "only these versions, by their keys in versions.json")
				.option("--check", "print a diff of what would change, and fail where there is any")
				.option("--image <name>", "only this image of the configuration")
				.option("--repository <folder>", "the image's repository (default: the configuration's folder)")
				.option("--today <date>", "what {today} stands for (default: the day in UTC)")
				.addOption(dryRun)
				.action(does(async () => (await import("./render.ts")).renderStep));
		},
		init: () => {
			command(
				"init",
				"propose the brewline.yaml of an image repository that has a script",
				`Looks at versions.json, Dockerfiles, templates and the published definition, infers the rules that give the one from the
other, tries them, and says what it could not explain, tag by tag. Ends with 7 where something is left.
  brewline init                                 compared with what the official library has
  brewline init --library ../official-images/library   the same, with what a clone's history knows of that time
  brewline init --published ../official-images/library/php --library ../official-images/library
  brewline init --run-scripts --dry-run --diff  compared with what the repository's own script prints`,
			)
				.argument("[folder]", "the image's repository (default: here)")
				.option("--image <name>", "the image's name, where the repository does not say it")
				.option("--published <file>", "the definition that is to come out (default: the library's)")
				.option("--run-scripts", "run the repository's own script, which is code of the repository, and compare")
				.option("--diff", "show how definitions differ, line by line")
				.option("--force", "replace a brewline.yaml that is there")
				.option("--today <date>", "YYYY-MM-DD, for what depends on it")
				.addOption(dryRun)
				.action(does(async () => (await import("./init.ts")).initStep, { replacesConfiguration: true }));
		},
		generate: () => {
			command(
				"generate",
				"write the definition of an image from its repository: versions, Dockerfiles and git history",
				`Reads the block images of brewline.yaml, and the definitions of parents from --library, a folder or an address
(default: the configuration's folder, or the official library). Same repository, same library, same day: same bytes.
  brewline generate                       the definition on standard output
  brewline generate --output library/     as a file of the image's name
  brewline generate --explain 1.2-slim    which rules made the tag, and what took architectures away`,
			)
				.option("--image <name>", "only this one of several")
				.option("--output <path>", "a file, or a folder in which each image has one")
				.option("--explain <tag>", "say where a tag comes from, instead of the definition")
				.option("--allow-script", "run the repository's own script where the configuration keeps one (images.script)")
				.option("--today <date>", "YYYY-MM-DD, for what depends on it")
				.addOption(dryRun)
				.action(does(async () => (await import("./generate.ts")).generateStep));
		},
		check: () => {
			command(
				"check",
				"check definitions and their Dockerfiles: tags, bases, constraints, guidelines, and what a change does to tags",
				`Ends with 1 where it finds an error. docs/checks.md explains each rule; program.checks suppresses findings, with a reason.
Where brewline.yaml describes images, and no library is beside it, what the repository would propose is checked: against
--published (default: the official library), with commits that may still be on this machine alone.
  brewline check
  brewline check php --published ../official-images/library      also what changes for the tags that are published
  brewline check --format github          annotations on GitHub; --format sarif: for code scanning
  brewline check --rules                  all rules`,
			)
				.argument("[name...]", "only these definitions")
				.option(
					"--published <place>",
					"the library as it is published, a folder or an address: to compare with, and for bases",
				)
				.addOption(
					new Option("--format <name>", "how findings are printed").choices(["text", "json", "sarif", "github"]),
				)
				.option("--explained <file>", "what generate --json printed: it says why architectures end")
				.option("--history", "also fetch all that is behind each commit, and look at it")
				.option("--rules", "list the rules, and check nothing")
				.action(does(async () => (await import("./check.ts")).checkStep));
		},
		copy: () => {
			command(
				"copy",
				"copy an image to other repositories and registries, byte for byte",
				`A whole index with its attestations, and the signatures and other artifacts about any of it. What is there already is
not sent again; a copy that is ended leaves no tag that is incomplete, and the next one goes on from there.
  brewline copy staging.example.com/x:1 registry.example.com/x:1 registry.example.com/x:latest
  brewline copy x:1 localhost:5000/x:1 --platform linux/amd64,linux/arm64   as a new index of these`,
			)
				.argument("<source>", "[HOST/]REPOSITORY[:TAG][@DIGEST]")
				.argument("<target...>", "where to; without a tag by its digest alone")
				.addOption(
					new Option("--platform <names>", "of an index only these, separated by commas").argParser((text: string) =>
						text.split(","),
					),
				)
				.option("--no-referrers", "leave out what has it as its subject and stands in no index, such as signatures")
				.addOption(dryRun)
				.action(does(async () => (await import("./copy.ts")).copyStep));
		},
		state: () => {
			const state = command(
				"state",
				"the state between runs, as the files of the existing system",
				`  brewline state export folder
  brewline state import --sources sources.json --builds builds.json --cache cache.json`,
			);
			below(state, "export", "write sources.json, builds.json and cache.json", "  brewline state export folder")
				.argument("[folder]", "where to (default: here)")
				.action(does(async () => (await import("./decide.ts")).exportState));
			below(
				state,
				"import",
				"take sources, builds and lookups over into the state",
				`Decisions, tries and what is known of tags stay as they are.
  brewline state import --sources sources.json --builds builds.json`,
			)
				.requiredOption("--sources <file>", "a sources.json")
				.requiredOption("--builds <file>", "its builds.json")
				.option("--cache <file>", "its cache of lookups")
				.addOption(dryRun)
				.action(does(async () => (await import("./decide.ts")).importState));
		},
		inspect: () => {
			const inspect = command(
				"inspect",
				"look at one thing of the pipeline",
				`  brewline inspect definition hello       a definition of the library
  brewline inspect index alpine:3         the platforms and digests of a tag`,
			);
			const inspects = (name: string, description: string, more: string): Command =>
				below(inspect, name, description, more);
			define({
				definition: () => {
					inspects(
						"definition",
						"a definition, or one tag's entry, printed canonically",
						`  brewline inspect definition hello:latest
  brewline inspect definition ./file --json`,
					)
						.argument("<reference...>", "NAME, NAME:TAG, a path or an address")
						.action(does(async () => (await import("./inspect-library.ts")).inspectDefinition));
				},
				list: () => {
					inspects(
						"list",
						"all full tags that references select",
						`  brewline inspect list --build-order
  brewline inspect list hello --arch-filter --arch s390x`,
					)
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
				},
				checksum: () => {
					inspects(
						"checksum",
						"the content checksum of a directory of a commit",
						`The same for the same content: it is what a build's id is made from. --json adds the commit's time.
  brewline inspect checksum https://example.com/hello.git 0123456789012345678901234567890123456789 amd64`,
					)
						.argument("<repository>", "the address of a git repository")
						.argument("<commit>", "the full id of a commit")
						.argument("[directory]", "counts from the root", ".")
						.option("--fetch <ref>", "where to find the commit if the server gives none by its id", "refs/heads/master")
						.action(does(async () => (await import("./inspect.ts")).inspectChecksum));
				},
				froms: () => {
					inspects(
						"froms",
						"the images that a Dockerfile needs",
						`  brewline inspect froms Dockerfile --platform linux/arm64/v8`,
					)
						.argument("<file>", "a Dockerfile, or - for standard input")
						.option("--platform <platform>", "for predefined variables", "linux/amd64")
						.action(does(async () => (await import("./inspect.ts")).inspectFroms));
				},
				reference: () => {
					inspects(
						"reference",
						"the parts of an image reference",
						`  brewline inspect reference localhost:5000/a/b:1 --json`,
					)
						.argument("<reference>", "[HOST/]REPOSITORY[:TAG][@DIGEST]")
						.action(does(async () => (await import("./inspect.ts")).inspectReference));
				},
				index: () => {
					inspects(
						"index",
						"what a registry has under a reference: each platform with its digest",
						`One line for each manifest: architecture, platform, digest, size, kind. --json prints the index.
  brewline inspect index registry.example.com/library/hello:latest`,
					)
						.argument("<reference>", "[HOST/]REPOSITORY[:TAG][@DIGEST]")
						.action(does(async () => (await import("./inspect.ts")).inspectIndex));
				},
			});
		},
		propose: () => {
			command(
				"propose",
				"propose the definitions of an image's repository to the library: a branch, and a pull request for it",
				`One branch and one open pull request for each image, on top of the library's default branch; what is proposed already
is left alone, and what the library has is taken back. Ends with 7 where others committed to the branch: that is not touched.
  brewline propose --dry-run              what would be proposed, and what it would say
  brewline propose --branch-only          push the branch; a pull request is made by hand
  GITHUB_TOKEN=… brewline propose golang  one of several images`,
			)
				.argument("[image...]", "only these images of the configuration")
				.option("--definitions <folder>", "definitions that were generated, as files by the names of their images")
				.option("--token-variable <name>", "the environment variable with a token for GitHub", "GITHUB_TOKEN")
				.option("--min-age <time>", "how old the last proposal must be: 90m, 48h, 7d (default: the configuration's)")
				.option("--security", "it is about security, and does not wait")
				.option("--overwrite", "what others committed to the branch may be lost")
				.option("--again", "propose again what people closed")
				.option("--branch-only", "push the branch, and open no pull request")
				.addOption(dryRun)
				.action(does(async () => (await import("./propose.ts")).proposeStep));
		},
		doctor: () => {
			command(
				"doctor",
				"check this machine: engine, BuildKit, emulators, credentials, with the way to mend each",
				`Ends with 6 where something is missing, and 0 with warnings. It asks for an upload in each staging repository, to
see whether it may, and sends nothing.`,
			).action(does(async () => (await import("./doctor.ts")).doctorStep));
		},
		registry: () => {
			command(
				"registry",
				"serve a small registry on this machine until it is ended",
				`Prints its address once it serves, and needs no log-in: for a laptop, not for a network.
  brewline registry --storage images      as localhost:5000, kept in the folder images`,
			)
				.option("--port <number>", "0: the system's choice", positiveOrZero, 5000)
				.option("--storage <folder>", "keep the content here (default: in memory)")
				.action(does(async () => (await import("./registry.ts")).registryStep));
		},
		completion: () => {
			command(
				"completion",
				"print the completion script of a shell",
				`  source <(brewline completion bash)
  source <(brewline completion zsh)       after compinit
  brewline completion fish | source`,
			)
				.addArgument(new Argument("<shell>", "what reads it").choices(shells))
				.action((shell: Shell) => {
					standardOutput().write(completionScript(shell, program));
				});
		},
	});
	return program;
}

function positive(text: string): number {
	const number = Number(text);
	if (!Number.isSafeInteger(number) || number < 1) throw new InvalidArgumentError("it must be a whole number from 1.");
	return number;
}

function positiveOrZeroCount(text: string): number {
	const number = Number(text);
	if (!Number.isSafeInteger(number) || number < 0 || text === "")
		throw new InvalidArgumentError("it must be a whole number.");
	return number;
}

function positiveOrZero(text: string): number {
	const number = Number(text);
	if (!Number.isSafeInteger(number) || number < 0 || number > 65_535) {
		throw new InvalidArgumentError("it must be a port.");
	}
	return number;
}

/** One line for each exit code: the error codes that end with it. */
function exitCodeHelp(): string {
	const byExit = new Map<number, string[]>();
	for (const [code, { exit }] of Object.entries(errorCodes)) byExit.set(exit, [...(byExit.get(exit) ?? []), code]);
	const lines = [...byExit].sort(([a], [b]) => a - b).map(([exit, codes]) => `\n  ${exit}\t${codes.join(", ")}`);
	return `\n  0\tall is done${lines.join("")}`;
}

function packageVersion(): string {
	const text = readFileSync(new URL("../../package.json", import.meta.url), "utf8");
	return (JSON.parse(text) as { version: string }).version;
}

const exampleConfig = `  program:
    name: my-images
    library: library            # the folder of the definitions
    architectures:
      amd64: { namespace: registry.example.com/amd64 }
      arm64v8: { namespace: registry.example.com/arm64v8, emulate: true }
    registries:
      staging: registry.example.com/staging-ARCH:BUILD
      namespace: registry.example.com/library`;
