/** A command of a shell script, as far as a linter has to know it. */
export interface Command {
	/** Without quotes, assignments in front and words like `if` and `do`; variables stay as they are written. */
	readonly words: readonly string[];
	/** What ended it; the end of the script is empty. */
	readonly end: "&&" | "||" | "|" | ";" | "&" | "";
	/** How many loops, branches, groups and functions it is in. */
	readonly depth: number;
}

const opening = new Set(["if", "for", "while", "until", "case", "select", "{"]);
const closing = new Set(["fi", "done", "esac", "}"]);
const passed = new Set(["then", "else", "elif", "do", "!", "time"]);
/** What follows up to the separator is no command. */
const heads = new Set(["for", "case", "select"]);

/**
 * The commands of a shell script, in order: words, quotes, comments and separators, no more. What is in `$(…)` outside of
 * quotes comes as commands of their own. Takes time linear in its length.
 */
export function commandsOf(script: string): readonly Command[] {
	const commands: Command[] = [];
	const open: string[] = [];
	let words: string[] = [];
	let word: string | undefined;
	let head = false;
	const endWord = (): void => {
		if (word === undefined) return;
		const text = word;
		word = undefined;
		if (words.length > 0 || head) words.push(text);
		else if (opening.has(text)) {
			open.push(text);
			head = heads.has(text);
		} else if (closing.has(text)) open.pop();
		else if (!passed.has(text) && !/^\w+\+?=/.test(text)) words.push(text);
	};
	const end = (how: Command["end"]): void => {
		endWord();
		if (words.length > 0 && !head) commands.push({ words, end: how, depth: open.length });
		else if (words.length === 0 && how !== "" && how !== "|") {
			// What stands behind the end of a loop or group is behind its last command.
			const last = commands.pop();
			if (last !== undefined) commands.push({ ...last, end: last.end === ";" ? how : last.end });
		}
		words = [];
		head = false;
	};
	for (let at = 0; at < script.length; at++) {
		const character = script.charAt(at);
		if (character === "\\") {
			const next = script.charAt(++at);
			if (next !== "\n") word = (word ?? "") + next;
		} else if (character === "'" || character === '"') {
			let text = "";
			for (at++; at < script.length && script.charAt(at) !== character; at++) {
				if (character === '"' && script.charAt(at) === "\\") at++;
				text += script.charAt(at);
			}
			word = (word ?? "") + text;
		} else if (character === "#" && word === undefined) {
			while (at + 1 < script.length && script.charAt(at + 1) !== "\n") at++;
		} else if (character === "$" && script.charAt(at + 1) === "{") {
			const start = at;
			while (at < script.length && script.charAt(at) !== "}") at++;
			word = (word ?? "") + script.slice(start, at + 1);
		} else if (character === " " || character === "\t" || character === "\r") endWord();
		else if (character === "\n" || character === ";") {
			end(";");
			while (script.charAt(at + 1) === ";") at++;
		} else if (character === "&" || character === "|") {
			const twice = script.charAt(at + 1) === character;
			// `2>&1` and `&>file`.
			if (
				!twice &&
				((word !== undefined && "<>".includes(script.charAt(at - 1))) ||
					(character === "&" && script.charAt(at + 1) === ">"))
			) {
				word = (word ?? "") + character;
			} else {
				if (twice) at++;
				end(twice ? (character === "&" ? "&&" : "||") : character);
			}
		} else if (character === "(") {
			endWord();
			// A function, or the beginning of a substitution in the middle of a command.
			if (words.length > 0 || head) end("|");
			open.push("(");
		} else if (character === ")") {
			if (open.at(-1) === "case") {
				// The pattern of a branch.
				word = undefined;
				words = [];
				head = false;
			} else {
				end(";");
				if (open.at(-1) === "(") open.pop();
			}
		} else word = (word ?? "") + character;
	}
	end("");
	return commands;
}
