import type { Command } from "commander";
import { BrewlineError } from "../errors.ts";

/** The completion script of a shell, made from the commands themselves. */
export function completionScript(shell: string, program: Command): string {
	const words = new Map<string, string[]>();
	const collect = (command: Command, path: string): void => {
		const options = command.options
			.flatMap((option) => [option.long, option.short])
			.filter((name) => name !== undefined);
		words.set(path, [...command.commands.map((child) => child.name()), ...options]);
		for (const child of command.commands) collect(child, `${path} ${child.name()}`.trim());
	};
	collect(program, "");
	if (shell === "bash") return bash(words);
	if (shell === "zsh") return `#compdef brewline\nautoload -U +X bashcompinit && bashcompinit\n${bash(words)}`;
	if (shell === "fish") return fish(words);
	throw new BrewlineError("usage", "there is no completion for that shell", {
		hint: "it is made for bash, zsh and fish",
	});
}

function bash(words: ReadonlyMap<string, readonly string[]>): string {
	const cases = [...words].map(([path, list]) => `\t\t"${path}") words="${list.join(" ")}" ;;`).join("\n");
	return `_brewline() {
	local current="\${COMP_WORDS[COMP_CWORD]}" path="" words="" word
	for word in "\${COMP_WORDS[@]:1:COMP_CWORD-1}"; do
		case "$word" in -*) ;; *) path="\${path:+$path }$word" ;; esac
	done
	case "$path" in
${cases}
	esac
	COMPREPLY=($(compgen -W "$words" -- "$current"))
	[ "\${#COMPREPLY[@]}" -gt 0 ] || COMPREPLY=($(compgen -f -- "$current"))
}
complete -F _brewline brewline
`;
}

function fish(words: ReadonlyMap<string, readonly string[]>): string {
	return [...words]
		.map(([path, list]) => {
			const condition =
				path === ""
					? "__fish_use_subcommand"
					: path
							.split(" ")
							.map((word) => `__fish_seen_subcommand_from ${word}`)
							.join("; and ");
			return `complete -c brewline -n '${condition}' -a '${list.join(" ")}'`;
		})
		.join("\n")
		.concat("\n");
}
