import * as fc from "fast-check";
import { expect, it } from "vitest";
import { readLog } from "../../test/support/runner.ts";
import { suspendCommands, textFor } from "./runner.ts";

const seed = Number(process.env["FC_SEED"] ?? 1);
const piece = fc.constantFrom(
	"::",
	":",
	"##[",
	"#",
	"[",
	"]",
	"add-mask",
	"stop-commands",
	"set-output name=a",
	" ",
	"\t",
	"\u0085",
	"\u00a0",
	"\r",
	"\n",
	"\r\n",
	"é",
	'"',
	"\\",
);
const text = fc.array(piece, { maxLength: 12 }).map((pieces) => pieces.join(""));
const inWorkflow = textFor({ GITHUB_ACTIONS: "true" }, -1);

it("leaves no command in text, and JSON what it says", () => {
	fc.assert(
		fc.property(text, (said) => {
			expect(readLog(inWorkflow(said)).commands).toEqual([]);
			const json = `[\n\t${JSON.stringify(said)}\n]\n`;
			expect(readLog(inWorkflow(json)).commands).toEqual([]);
			expect(JSON.parse(inWorkflow(json))).toEqual([said]);
		}),
		{ seed, numRuns: 2000 },
	);
});

it("has bytes stand between two lines where there is a command among them, and alone where there is none", () => {
	fc.assert(
		fc.property(text, (said) => {
			const bytes = Buffer.from(said);
			const shown = Buffer.from(suspendCommands(bytes)).toString();
			const names = readLog(`${shown}\n::notice::after`).commands.map(({ name }) => name);
			const isAlone = shown === said;
			expect(names).toEqual(isAlone ? ["notice"] : ["stop-commands", "notice"]);
			expect(isAlone ? shown : shown.slice(shown.indexOf("\n") + 1)).toContain(said);
		}),
		{ seed, numRuns: 2000 },
	);
	expect(suspendCommands(Buffer.from("a::b\n# [x] ##\n")).toString()).toBe("a::b\n# [x] ##\n");
});

it("changes nothing where no runner reads", () => {
	expect(textFor({}, 1)("::add-mask::a")).toBe("::add-mask::a");
});

it("takes its time by the length of the text alone", () => {
	const blanks = " \n".repeat(200_000) + " ".repeat(200_000);
	expect(inWorkflow(blanks)).toBe(blanks);
	expect(suspendCommands(Buffer.from(blanks)).length).toBe(blanks.length);
});
