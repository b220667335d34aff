import { randomBytes } from "node:crypto";
import { fstatSync } from "node:fs";

/**
 * GitHub's runner takes lines of a step's log for commands: `::NAME::` at the start of one, after blanks, and `##[NAME]`
 * anywhere in one. A line ends at a carriage return, too.
 */
const command = /##\[|^(?:[^\S\r\n]|\u0085)*::/m;
const commands = /##\[|^((?:[^\S\r\n]|\u0085)*)::/gm;

/** Whether a runner may read what is written to a file descriptor. Another program behind a pipe looks the same from here. */
export function isReadByRunner(env: Readonly<Record<string, string | undefined>>, descriptor: number): boolean {
	if (env["GITHUB_ACTIONS"] !== "true") return false;
	try {
		return !fstatSync(descriptor).isFile();
	} catch {
		return true;
	}
}

/** What becomes of text that is written to a file descriptor. */
export function textFor(
	env: Readonly<Record<string, string | undefined>>,
	descriptor: number,
): (text: string) => string {
	return isReadByRunner(env, descriptor) ? withoutCommands : (text) => text;
}

/** Text, or JSON, of which no line is a command; JSON stays what it says. */
function withoutCommands(text: string): string {
	return text.replace(commands, (found, blanks: string | undefined) =>
		found === "##[" ? "#\\u0023[" : `${blanks ?? ""}\\u003a:`,
	);
}

/**
 * Bytes that must stay as they are: where a line of them is a command, the runner is told to take none for one until a
 * word that nobody can have known. `git apply` and `patch` pass over these two lines.
 */
export function suspendCommands(bytes: Uint8Array): Uint8Array {
	const text = Buffer.from(bytes).toString("utf8");
	if (!command.test(text)) return bytes;
	const word = randomBytes(16).toString("hex");
	const end = `${text.endsWith("\n") ? "" : "\n"}::${word}::\n`;
	return Buffer.concat([Buffer.from(`::stop-commands::${word}\n`), bytes, Buffer.from(end)]);
}
