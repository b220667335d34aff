import type { Command } from "./shell.ts";

/** A command that installs packages as they are on that day. */
export interface Unpinned {
	/** `pip install`. */
	readonly call: string;
	/** As they are named, at least one. */
	readonly packages: readonly string[];
	readonly fix: string;
}

type Options = ReadonlyMap<string, string>;

/** A program that installs packages of a language. */
interface Installer {
	readonly name: string;
	/** What its file may be called. */
	readonly program: RegExp;
	readonly subcommands: ReadonlySet<string>;
	/** Options whose value is the next word, or the rest of a short one. */
	readonly valued: ReadonlySet<string>;
	/** Whether such a call has to name versions at all. */
	readonly judges: (options: Options) => boolean;
	readonly pins: (name: string) => boolean;
	readonly fix: string;
}

const words = (text: string): ReadonlySet<string> => new Set(text.split(" "));
const hasAny = (options: Options, ...names: readonly string[]): boolean => names.some((name) => options.has(name));

const installers: readonly Installer[] = [
	{
		name: "pip",
		program: /^pip[\d.]*$/,
		subcommands: words("install"),
		valued: words(
			"-r --requirement -c --constraint -e --editable -t --target -i --index-url --extra-index-url -f --find-links --prefix --root --src --platform --python-version --implementation --abi --trusted-host --no-binary --only-binary --progress-bar --cache-dir --log --proxy --retries --timeout --cert --client-cert --upgrade-strategy --report -C --config-settings --global-option --exists-action --python --root-user-action --use-feature --keyring-provider --group",
		),
		judges: (options) => !hasAny(options, "-c", "--constraint", "--no-index", "--require-hashes"),
		pins: (name) => /\.(?:whl|zip|tgz|tar\.\w+)$/.test(name) || (name.includes("==") && !name.includes("*")),
		fix: "Write NAME==VERSION, or name a file of requirements that does.",
	},
	{
		name: "npm",
		program: /^npm$/,
		subcommands: words("install i add"),
		valued: words("--prefix -C --registry --cache --userconfig --loglevel --omit --include --tag --location"),
		// What is installed into a folder goes by its package-lock.json.
		judges: (options) => hasAny(options, "-g", "--global") || options.get("--location") === "global",
		pins: (name) => name.endsWith(".tgz") || /[^@]@[=v]*\d+\.\d+\.\d[\w.+-]*$/.test(name),
		fix: "Write NAME@VERSION, with all three numbers.",
	},
	{
		name: "gem",
		program: /^gem[\d.]*$/,
		subcommands: words("install i"),
		valued: words(
			"-v --version -i --install-dir -n --bindir --platform -s --source -P --trust-policy -g --file --document",
		),
		judges: (options) =>
			!hasAny(options, "-g", "--file", "-l", "--local") &&
			!isExact(options.get("-v") ?? options.get("--version") ?? ""),
		pins: (name) => name.endsWith(".gem") || /:[\s=]*\d/.test(name),
		fix: "Write NAME:VERSION, or add --version.",
	},
];

/** Whether it is one version of a gem, as far as is known: not `~> 2.0`. */
function isExact(version: string): boolean {
	return version.includes("$") || /^[\s=]*\d/.test(version);
}

/** The calls of pip, npm and gem that name packages without a version. What only a variable or a file says is not judged. */
export function unpinnedInstalls(commands: readonly Command[]): readonly Unpinned[] {
	return commands.flatMap(({ words: all }) => {
		// Not only at the beginning: `python3 -m pip install`.
		const at = all.findIndex((word) => installerOf(word) !== undefined);
		const installer = installerOf(all[at] ?? "");
		if (installer === undefined) return [];
		const { options, names } = parseArguments(all.slice(at + 1), installer.valued);
		const [subcommand = "", ...packages] = names;
		if (!installer.subcommands.has(subcommand) || !installer.judges(options)) return [];
		const unpinned = packages.filter((name) => isPackage(name) && !installer.pins(name));
		if (unpinned.length === 0) return [];
		return [{ call: `${installer.name} install`, packages: unpinned, fix: installer.fix }];
	});
}

function installerOf(word: string): Installer | undefined {
	const file = word.slice(word.lastIndexOf("/") + 1);
	return installers.find(({ program }) => program.test(file));
}

/** Not a variable, an address, a path, or what another program puts in. */
function isPackage(name: string): boolean {
	return /^(?:@[^/:$`]+\/)?\w[^/:$`]*(?::[^/$`]*)?$/.test(name);
}

function parseArguments(
	given: readonly string[],
	valued: ReadonlySet<string>,
): { readonly options: Options; readonly names: readonly string[] } {
	const options = new Map<string, string>();
	const names: string[] = [];
	for (let at = 0; at < given.length; at++) {
		const word = given[at]!;
		if (word === "--") break;
		const redirected = /^(?:\d*|&)[<>]+(.?)/.exec(word);
		if (redirected !== null) {
			// The file may be a word of its own.
			if (redirected[1] === "") at++;
		} else if (!word.startsWith("-")) names.push(word);
		else if (valued.has(word)) options.set(word, given[++at] ?? "");
		else if (!word.startsWith("--") && valued.has(word.slice(0, 2))) options.set(word.slice(0, 2), word.slice(2));
		else {
			const [, name = word, value = ""] = /^(--[^=]+)=(.*)$/s.exec(word) ?? [];
			options.set(name, value);
		}
	}
	return { options, names };
}
