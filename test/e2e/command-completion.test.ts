import { execFileSync, spawnSync } from "node:child_process";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import os from "node:os";
import path from "node:path";
import type { Command } from "commander";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { commandLine } from "../../src/cli/program.ts";
import { brewline } from "../support/command.ts";

// Completion as a user has it: the script of the real program, in the real shell.

const shells = ["bash", "zsh", "fish"] as const;
const isHere = (shell: string): boolean => spawnSync(shell, ["-c", "exit 0"]).status === 0;

let folder: string;
const scriptOf = (shell: string): string => path.join(folder, `completion.${shell}`);

beforeAll(async () => {
	folder = mkdtempSync(path.join(os.tmpdir(), "brewline-completion-"));
	for (const shell of shells) {
		const { code, stdout, stderr } = await brewline(["completion", shell], { cwd: folder });
		if (code !== 0) throw new Error(stderr);
		writeFileSync(scriptOf(shell), stdout);
	}
	writeFileSync(path.join(folder, "brewline.yaml"), "");
});

afterAll(() => rmSync(folder, { recursive: true, force: true }));

const run = (shell: string, args: readonly string[]): string =>
	execFileSync(shell, args, { cwd: folder, encoding: "utf8", timeout: 30_000, env: { ...process.env, HOME: folder } });

/** What is offered for each of these command lines, the last word of which is being written. */
const inBash = (lines: readonly (readonly string[])[]): string[][] => {
	const program = `
source "$1"
function=$(complete -p brewline | sed 's/.* -F \\([^ ]*\\) .*/\\1/')
while IFS= read -r line; do
	IFS=$'\\t' read -ra COMP_WORDS <<< "$line"
	[[ "$line" != *$'\\t' ]] || COMP_WORDS+=("")
	COMP_CWORD=$((\${#COMP_WORDS[@]} - 1))
	$function brewline "\${COMP_WORDS[COMP_CWORD]}" "\${COMP_WORDS[COMP_CWORD-1]}"
	echo "\${COMPREPLY[*]}"
done`;
	const output = execFileSync("bash", ["--norc", "-c", program, "bash", scriptOf("bash")], {
		cwd: folder,
		encoding: "utf8",
		input: lines.map((words) => `${["brewline", ...words].join("\t")}\n`).join(""),
		timeout: 30_000,
	});
	return output
		.replace(/\n$/, "")
		.split("\n")
		.map((line) => (line === "" ? [] : line.split(" ")));
};

/** Completes through fish's own command for that. */
const inFish = (lines: readonly (readonly string[])[]): string[][] =>
	lines.map((words) => {
		const line = ["brewline", ...words].join(" ");
		const output = run("fish", ["--no-config", "-c", `source '${scriptOf("fish")}'; complete -C '${line}'`]);
		return output
			.split("\n")
			.filter((text) => text !== "")
			.map((text) => text.split("\t")[0]!);
	});

/** Runs the function that zsh would call; what it adds is filtered by the word, as zsh does it. */
const inZsh = (lines: readonly (readonly string[])[]): string[][] =>
	lines.map((words) => {
		const program = `
compdef() { registered=$1 }
compadd() { shift; print -l -- "$@" }
_files() { print -l -- *(N) }
source "$1"; shift
words=(brewline "$@"); CURRENT=$#words; PREFIX=$words[-1]
$registered`;
		return run("zsh", ["-f", "-c", program, "zsh", scriptOf("zsh"), ...words])
			.split("\n")
			.filter((word) => word !== "" && word.startsWith(words.at(-1)!));
	});

interface Place {
	readonly words: readonly string[];
	readonly command: Command;
}

const placesOf = (command: Command, words: readonly string[] = []): Place[] => [
	{ words, command },
	...command.commands.flatMap((child) => placesOf(child, [...words, child.name()])),
];

const completers = { bash: inBash, zsh: inZsh, fish: inFish };

describe.each(shells)("completion for %s", (shell) => {
	const complete = completers[shell];
	const skipped = !isHere(shell);
	const where = skipped ? " (this shell is not on this machine)" : "";

	it.skipIf(skipped)(`offers every command and every option, its own and the global ones${where}`, () => {
		const root = commandLine();
		const places = placesOf(root);
		const commands = complete(places.map(({ words }) => [...words, ""]));
		const options = complete(places.map(({ words }) => [...words, "--"]));
		const sorted = (words: Iterable<string>): string[] => [...new Set(words)].sort();
		const expected = places.map(({ words, command }) => ({
			words,
			commands: command.commands.length === 0 ? [] : sorted([...command.commands.map((child) => child.name()), "help"]),
			options: sorted([...command.options, ...root.options].map(({ long }) => long!).concat("--help")),
		}));
		// Where there are no commands, it may be anything: arguments are completed as files.
		const offered = places.map(({ words, command }, index) => ({
			words,
			commands: command.commands.length === 0 ? [] : sorted(commands[index]!),
			options: sorted(options[index]!),
		}));
		expect(offered).toEqual(expected);
	});

	it.skipIf(skipped)(
		`takes the value of an option for no command, and offers the values that are fixed${where}`,
		() => {
			const offered = complete([
				["-w", "run", "pub"],
				["--work", "inspect", "inspect", "che"],
				["inspect", "--json", "fr"],
				["completion", ""],
				["build", "plan", "--dig"],
			]);
			expect(offered.map((words) => [...words].sort())).toEqual([
				["publish"],
				["checksum"],
				["froms"],
				["bash", "fish", "zsh"],
				["--digest"],
			]);
		},
	);
});

describe("completion for bash", () => {
	it("leaves values and arguments to the completion of files", () => {
		expect(
			inBash([
				["--config", "bre"],
				["--config", "=", "bre"],
				["build", ""],
				["run", "--work", ""],
			]),
		).toEqual([[], [], [], []]);
		const registered = run("bash", ["--norc", "-c", 'source "$1"; complete -p brewline', "bash", scriptOf("bash")]);
		expect(registered).toContain("-o default");
	});
});

it("names the shells that there are scripts for", async () => {
	const { code, stdout, stderr } = await brewline(["completion", "tcsh"], { cwd: folder });
	expect([code, stdout]).toEqual([2, ""]);
	expect(stderr).toContain("bash, zsh, fish");
});
