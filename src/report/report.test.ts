import { describe, expect, it } from "vitest";
import { BrewlineError } from "../errors.ts";
import {
	closingLine,
	colourStyle,
	escapeMarkdown,
	exitCodeOf,
	exitCodeOfReport,
	failuresOf,
	plainStyle,
	type Report,
	renderMarkdown,
	renderText,
	reportSchema,
	styleFor,
	terminalLog,
} from "./index.ts";

const digest = `sha256:${"a".repeat(64)}`;
const report: Report = {
	format: "brewline-report",
	version: 1,
	program: "samples",
	library: null,
	dryRun: false,
	started: "2026-01-01T00:00:00Z",
	seconds: 12.34,
	outcome: "incomplete",
	builds: [
		{
			buildId: "1".repeat(64),
			arch: "amd64",
			tags: ["base:1"],
			state: "built",
			reason: "new content",
			digest,
			seconds: 3,
			emulated: false,
			log: null,
			error: null,
		},
		{
			buildId: "2".repeat(64),
			arch: "s390x",
			tags: ["base:1"],
			state: "failed",
			reason: "new content",
			digest: null,
			seconds: 1,
			emulated: true,
			log: "logs/x",
			error: { code: "build", message: "exit code 1\u001b[31m::set-output name=a::b" },
		},
		{
			buildId: "3".repeat(64),
			arch: "amd64",
			tags: ["old:1"],
			state: "present",
			reason: "already there",
			digest,
			seconds: 0,
			emulated: false,
			log: null,
			error: null,
		},
	],
	waiting: [{ tag: "app:1", arch: "s390x", reason: "base:1 is not built", wave: 1 }],
	tags: [
		{
			reference: "library/base:1",
			digest,
			platforms: ["linux/amd64"],
			change: "created",
			notes: ["s390x is not built: |<img src=x>@everyone"],
		},
		{ reference: "library/old:1", digest, platforms: ["linux/amd64"], change: "unchanged", notes: [] },
	],
	errors: [],
};

describe("a report", () => {
	it("fits its schema", () => {
		expect(reportSchema.parse(report)).toEqual(report);
	});

	it("is shown as text with every tag, digest and platform, and without what terminals obey", () => {
		const text = renderText(report, plainStyle);
		expect(text).toContain(`library/base:1  ${digest}  created`);
		expect(text).toContain("failed base:1 s390x (new content, emulated, 1.0 s)");
		expect(text).toContain("log: logs/x");
		expect(text).toContain("app:1 s390x: base:1 is not built");
		expect(text).not.toContain("\u001b");
		expect(text.trimEnd().split("\n").at(-1)).toBe(
			"incomplete: 1 built, 1 reused, 1 failed, 1 waiting, 1 tag created, 1 tag unchanged in 12.3 s",
		);
	});

	it("says as text what was reused and why, in one line for each reason", () => {
		const old = report.builds[2]!;
		const builds = ["amd64", "arm64v8", "s390x", "i386", "riscv64"].map((arch) => ({ ...old, arch }));
		const text = renderText({ ...report, builds: [...builds, { ...old, reason: "another" }] }, plainStyle);
		expect(text).toContain("Reused old:1 amd64, old:1 arm64v8, old:1 s390x and 2 more: already there\n");
		expect(text).toContain("Reused old:1 amd64: another\n");
	});

	it("counts as text what is unchanged where that is much, and shows all of which there is something to say", () => {
		const unchanged = report.tags[1]!;
		const many = (count: number) =>
			renderText(
				{
					...report,
					tags: [
						...report.tags,
						{ ...unchanged, reference: "library/noted:1", notes: ["s390x: kept"] },
						...Array.from({ length: count }, (_, index) => ({ ...unchanged, reference: `library/many:${index}` })),
					],
				},
				plainStyle,
			);
		expect(many(99)).toContain("library/many:98");
		expect(many(99)).not.toContain("hold what they held");
		const text = many(100);
		expect(text).not.toContain("library/many:");
		expect(text).not.toContain("library/old:1");
		expect(text).toContain("  and 101 that hold what they held: report.json has them all\n");
		expect(text).toContain("library/base:1");
		expect(text).toContain("library/noted:1");
		expect(text).toContain("102 tags unchanged");
	});

	it("is shown as Markdown in which text from outside does nothing", () => {
		const text = renderMarkdown(report);
		expect(text).toContain("### Builds");
		expect(text).toContain("**1** tag created · **1** tag unchanged");
		expect(text).not.toContain("<img");
		expect(text).not.toContain("@everyone");
		expect(text).not.toContain("\u001b");
		for (const row of text.split("\n").filter((line) => line.startsWith("| base"))) {
			expect([4, 6]).toContain(row.split("|").length - 1);
		}
	});

	it("is cut to what a step summary takes", () => {
		const tags = Array.from({ length: 20_000 }, (_, index) => ({
			...report.tags[0]!,
			reference: `library/base:${index}`,
		}));
		const text = renderMarkdown({ ...report, tags });
		expect(Buffer.byteLength(text)).toBeLessThan(1024 * 1024);
		expect(text.trimEnd().endsWith("report.json has everything.")).toBe(true);
	});

	it("gives exit codes", () => {
		expect(exitCodeOfReport(report)).toBe(7);
		expect(exitCodeOfReport({ ...report, outcome: "complete" })).toBe(0);
		expect(exitCodeOfReport({ ...report, outcome: "failed" })).toBe(1);
		expect(exitCodeOfReport({ ...report, outcome: "cancelled" })).toBe(130);
		expect(exitCodeOfReport({ ...report, errors: [{ code: "registry", message: "x" }] })).toBe(5);
	});
});

describe("failures", () => {
	it("are all errors that one stands for", () => {
		const errors = [
			new BrewlineError("definition", "a", { at: { file: "f", line: 1 } }),
			new BrewlineError("definition", "b", { hint: "h" }),
		];
		expect(failuresOf(new BrewlineError("definition", "2 errors", { errors }))).toEqual([
			{ code: "definition", message: "a", at: { file: "f", line: 1 } },
			{ code: "definition", message: "b", hint: "h" },
		]);
		expect(exitCodeOf(errors[0])).toBe(3);
		expect(exitCodeOf(new TypeError("x"))).toBe(70);
	});
});

describe("escapeMarkdown", () => {
	it.each(["`", "*", "_", "[", "]", "|", "<", ">", "@", "#", "\\", "~", "!"])("leaves no %s", (character) => {
		expect(escapeMarkdown(`a${character}b`)).not.toBe(`a${character}b`);
	});
	it("leaves no new line", () => {
		expect(escapeMarkdown("a\n::error::b\r\nc")).not.toMatch(/[\r\n]/);
	});
});

describe("terminalLog", () => {
	function written(live: boolean, verbose = false): { text: () => string; log: ReturnType<typeof terminalLog> } {
		const chunks: string[] = [];
		const log = terminalLog(
			{ write: (text: string) => chunks.push(text), columns: 60 },
			{ style: plainStyle, live, verbose, now: () => 0 },
		);
		return { text: () => chunks.join(""), log };
	}

	it("writes plain lines where there is no terminal, once for each step", () => {
		const { text, log } = written(false);
		log.log({ type: "progress", task: "base:1 amd64", state: "running", detail: "building" });
		log.log({ type: "progress", task: "base:1 amd64", state: "running", detail: "building" });
		log.log({ type: "output", task: "base:1 amd64", text: "secret output\n" });
		log.log({ type: "progress", task: "base:1 amd64", state: "built" });
		log.log({
			type: "message",
			level: "warning",
			text: "odd\u001b[2J",
			at: { file: "library/x", line: 3 },
			hint: "mend it",
		});
		log.end();
		expect(text()).toBe(
			"▶ running base:1 amd64: building\n✔ built base:1 amd64\nwarning library/x:3: odd\\u{1b}[2J\n  mend it\n",
		);
	});

	it("writes what waits, and for what, once where there is no terminal", () => {
		const { text, log } = written(false);
		log.log({ type: "waiting", lines: ["b waits for a", "c waits for b"] });
		log.log({ type: "waiting", lines: ["c waits for b"] });
		expect(text()).toBe("… b waits for a\n… c waits for b\n");
	});

	it("shows the output of builds where it is asked to", () => {
		const { text, log } = written(false, true);
		log.log({ type: "output", task: "base:1 amd64", text: "step 1\n" });
		expect(text()).toBe("base:1 amd64 | step 1\n");
	});

	it("redraws in place on a terminal, and leaves nothing of it behind", () => {
		const { text, log } = written(true);
		log.log({ type: "progress", task: "a", state: "running", detail: "building" });
		log.log({ type: "waiting", lines: ["b waits for a", "c", "d", "e", "f", "g", "h"] });
		log.log({ type: "waiting", lines: ["d waits for c"] });
		log.log({ type: "progress", task: "a", state: "built" });
		log.end();
		expect(text()).toContain("▶ a 0s building\n… b waits for a\n… c\n… d\n… e\n… f\n… and 2 more wait\n");
		expect(text()).toContain("▶ a 0s building\n… d waits for c\n");
		expect(text()).toContain("✔ built a\n… d waits for c\n");
		expect(text().endsWith("\u001b[1A\u001b[0J")).toBe(true);
	});
});

describe("styleFor", () => {
	it("obeys NO_COLOR, TERM and the terminal", () => {
		expect(styleFor({ isTTY: true }, {})).toBe(colourStyle);
		expect(styleFor({ isTTY: true }, { NO_COLOR: "1" })).toBe(plainStyle);
		expect(styleFor({ isTTY: true }, { TERM: "dumb" })).toBe(plainStyle);
		expect(styleFor({}, {})).toBe(plainStyle);
		expect(styleFor({}, { FORCE_COLOR: "1" })).toBe(colourStyle);
	});
	it("marks the closing line", () => {
		expect(closingLine(report, colourStyle)).toContain("\u001b[33mincomplete");
	});
});
