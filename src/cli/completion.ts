import type { Command, Option } from "commander";

export const shells = ["bash", "zsh", "fish"] as const;
export type Shell = (typeof shells)[number];

/** What can follow at one place of a command line. */
interface Place {
	/** The commands that lead here, joined by blanks; empty at the start. */
	readonly path: string;
	/** Commands and arguments with a fixed choice, each with its description. */
	readonly words: readonly (readonly [word: string, description: string])[];
	/** The command's own and the global ones. */
	readonly options: readonly Option[];
}

/** The completion script of a shell, made from the commands themselves. */
export function completionScript(shell: Shell, program: Command): string {
	const places = placesOf(program);
	return { bash, zsh, fish }[shell](places);
}

function placesOf(program: Command): Place[] {
	const places: Place[] = [];
	const collect = (command: Command, path: string): void => {
		const help = command.createHelp();
		const commands = help.visibleCommands(command);
		const choices = command.registeredArguments.flatMap(({ argChoices, description }) =>
			(argChoices ?? []).map((choice) => [choice, description] as const),
		);
		const all = [...help.visibleOptions(command), ...(command === program ? [] : help.visibleOptions(program))];
		places.push({
			path,
			words: [...commands.map((child) => [child.name(), child.description()] as const), ...choices],
			options: [...new Map(all.map((option) => [option.flags, option])).values()],
		});
		for (const child of command.commands) collect(child, `${path} ${child.name()}`.trim());
	};
	collect(program, "");
	return places;
}

/** `-c` and `--config`, those that the option has. */
function flagsOf({ short, long }: Option): string[] {
	return [long, short].filter((flag) => flag !== undefined);
}

/** Flags that are followed by a value, as a pattern of `case`. */
function valueFlags(places: readonly Place[]): string[] {
	const options = places.flatMap((place) => place.options).filter(({ required }) => required);
	return [...new Set(options.flatMap(flagsOf))];
}

function pathsBelow(places: readonly Place[]): string[] {
	return places.map(({ path }) => path).filter((path) => path !== "");
}

/** The place of the cursor in `at`, from the words before it; `skip` says that the value of an option comes now. */
function walk(places: readonly Place[]): string {
	return `		case "$word" in
			${valueFlags(places).join(" | ")}) skip=1; continue ;;
		esac
		case "\${at:+$at }$word" in
			${pathsBelow(places)
				.map((path) => `"${path}"`)
				.join(" | ")}) at="\${at:+$at }$word" ;;
		esac`;
}

function table(places: readonly Place[]): string {
	const rows = places.map(({ path, words, options }) => {
		const commands = words.map(([word]) => word).join(" ");
		return `\t\t"${path}") commands="${commands}" options="${options.flatMap(flagsOf).join(" ")}" ;;`;
	});
	return `\tcase "$at" in\n${rows.join("\n")}\n\tesac`;
}

function bash(places: readonly Place[]): string {
	return `# For this shell: source <(brewline completion bash)
# For all to come: brewline completion bash > ~/.local/share/bash-completion/completions/brewline
_brewline() {
	local current="\${COMP_WORDS[COMP_CWORD]}" at="" skip="" commands="" options="" word
	COMPREPLY=()
	for word in "\${COMP_WORDS[@]:1:COMP_CWORD-1}"; do
		# Readline takes --option=value for three words.
		if [ -n "$skip" ]; then
			[ "$word" = "=" ] || skip=""
			continue
		fi
${walk(places)}
	done
	# Where nothing is offered, files are completed.
	[ -z "$skip" ] || return 0
${table(places)}
	case "$current" in
		-*) COMPREPLY=($(compgen -W "$options" -- "$current")) ;;
		*) COMPREPLY=($(compgen -W "$commands" -- "$current")) ;;
	esac
}
complete -o bashdefault -o default -F _brewline brewline
`;
}

function zsh(places: readonly Place[]): string {
	return `#compdef brewline
# For this shell, after compinit: source <(brewline completion zsh)
# For all to come: brewline completion zsh > FOLDER/_brewline, where FOLDER is one of $fpath
_brewline() {
	local at="" skip="" commands="" options="" word
	for word in "\${(@)words[2,CURRENT-1]}"; do
		if [[ -n "$skip" ]]; then
			skip=""
			continue
		fi
${walk(places)}
	done
${table(places)}
	if [[ -n "$skip" ]]; then
		_files
	elif [[ "$PREFIX" == -* ]]; then
		compadd -- \${=options}
	elif [[ -n "$commands" ]]; then
		compadd -- \${=commands}
	else
		_files
	fi
}
if [[ "\${funcstack[1]}" == _brewline ]]; then
	_brewline "$@"
else
	compdef _brewline brewline
fi
`;
}

function fish(places: readonly Place[]): string {
	const quote = (text: string): string => `'${text.replaceAll(/['\\]/g, (character) => `\\${character}`)}'`;
	const lines = places.flatMap(({ path, words, options }) => {
		const start = `complete -c brewline -n ${quote(`__brewline_at ${quote(path)}`)}`;
		return [
			...words.map(([word, description]) => `${start} -f -a ${quote(word)} -d ${quote(description)}`),
			...options.map(({ short, long, required, description }) =>
				[
					start,
					...(short === undefined ? [] : [`-s ${short.slice(1)}`]),
					...(long === undefined ? [] : [`-l ${long.slice(2)}`]),
					...(required ? ["-r"] : []),
					`-d ${quote(description)}`,
				].join(" "),
			),
		];
	});
	return `# For this shell: brewline completion fish | source
# For all to come: brewline completion fish > ~/.config/fish/completions/brewline.fish
function __brewline_at
	set -l at
	set -l skip
	set -l before (commandline -opc)
	set -e before[1]
	for word in $before
		if set -q skip[1]
			set skip
			continue
		end
		switch $word
			case ${valueFlags(places).join(" ")}
				set skip 1
				continue
		end
		switch "$at $word"
			case ${pathsBelow(places)
				.map((path) => quote(path.includes(" ") ? path : ` ${path}`))
				.join(" ")}
				set -a at $word
		end
	end
	not set -q skip[1]; and test "$at" = "$argv[1]"
end
${lines.join("\n")}
`;
}
