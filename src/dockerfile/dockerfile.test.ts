import * as fc from "fast-check";
import { describe, expect, test } from "vitest";
import { BrewlineError } from "../errors.ts";
import { findMatch, matchPrefix, matchSuffix, parsePattern } from "./pattern.ts";
import { readDockerfile, resolveFroms, scanDockerfile } from "./scan.ts";

fc.configureGlobal({ seed: Number(process.env["FC_SEED"] ?? 1) });

const amd64 = { os: "linux", architecture: "amd64" };

function froms(text: string): readonly string[] {
	return scanDockerfile(text, { platform: amd64 }).froms;
}

function errorOf(text: string): BrewlineError {
	try {
		scanDockerfile(text, { platform: amd64, file: "12/Dockerfile" });
	} catch (error) {
		if (error instanceof BrewlineError && error.code === "dockerfile") return error;
		throw error;
	}
	throw new Error("there was no error");
}

describe("platforms", () => {
	const text =
		'FROM a AS base-amd64\nFROM b AS base-armv7\nFROM c AS base-arm64\nFROM "base-$TARGETARCH$TARGETVARIANT"\nFROM x:$BUILDOS';

	test("one text read once has the FROMs of each platform", () => {
		const dockerfile = readDockerfile(text);
		const last = (architecture: string, variant?: string): string | undefined =>
			resolveFroms(dockerfile, { os: "linux", architecture, ...(variant === undefined ? {} : { variant }) }).froms.at(
				3,
			);
		expect(last("amd64")).toBe("a:latest");
		expect(last("arm", "v7")).toBe("b:latest");
		expect(last("arm64", "v8")).toBe("c:latest");
		expect(resolveFroms(dockerfile, { os: "linux", architecture: "amd64" }).lastStageFrom).toBe("x:linux");
	});

	test("the name of the last stage is known to the first", () => {
		expect(froms("ARG A=${TARGETSTAGE}\nFROM debian:$A\nFROM scratch AS Final")).toEqual(["debian:final", "scratch"]);
		expect(froms("FROM debian:$TARGETSTAGE")).toEqual(["debian:default"]);
	});
});

describe("variables", () => {
	test.each([
		["ARG V=a-b-c\nFROM x:${V#*-}", "x:b-c"],
		["ARG V=a-b-c\nFROM x:${V##*-}", "x:c"],
		["ARG V=a-b-c\nFROM x:${V%-*}", "x:a-b"],
		["ARG V=a-b-c\nFROM x:${V%%-?}", "x:a-b"],
		["ARG V=a-b-c\nFROM x:${V//-/.}", "x:a.b.c"],
		["ARG V=a/b\nFROM x:${V/\\//-}", "x:a-b"],
		["ARG V=\nFROM x:${V-1}${V:-2}", "x:2"],
		["ARG V=1\nFROM x:${V:?gone}${V?}", "x:11"],
		["ARG V=1 W='$V' X=\"$V\"\nFROM x:a$X", "x:a1"],
		["ARG V=${W:-${X:-deep}}\nFROM x:$V", "x:deep"],
		["FROM x:1\\.2", "x:1.2"],
	])("%j", (text, from) => {
		expect(froms(text)).toEqual([from]);
	});

	test.each([
		"${",
		"${}",
		"${:-x}",
		"${V",
		"${V:-x",
		"${V*x}",
		"${V:#x}",
		"${V?}",
		"${V:?gone}",
		"'x",
		'"x',
		"${V/x}",
		"${X#\\a}",
	])("%s cannot be read", (word) => {
		expect(errorOf(`ARG X=1\nFROM x:${word}\n`).at).toEqual({ file: "12/Dockerfile", line: 2 });
	});
});

describe("errors say where", () => {
	test.each([
		["RUN true\n\n", "12/Dockerfile: there is no FROM", undefined],
		["\n# x\nFROM\n", "12/Dockerfile, line 3: FROM without an image", 3],
		["FROM a \\\n b\n", "12/Dockerfile, line 1: FROM takes an image, or an image, AS and a name", 1],
		["FROM a AS 1x\n", '12/Dockerfile, line 1: "1x" cannot be the name of a stage', 1],
		["FROM a\nCOPY \\\n --from=$X / /\n", '12/Dockerfile, line 2: "$X" is no image', 2],
		["ARG V\nFROM a:$V\n", '12/Dockerfile, line 2: "a:$V", here "a:", is no image', 2],
		["FROM a\nCOPY --from=1 / /\n", "12/Dockerfile, line 2: there is no stage 1 here", 2],
		["FROM a\nRUN <<EOF\nFROM b", '12/Dockerfile, line 2: the heredoc "EOF" is never closed', 2],
		["# escape=x\nFROM a\n", "12/Dockerfile, line 1: the escape character is neither ` nor \\", 1],
		["# syntax=a\n# syntax=b\nFROM a\n", '12/Dockerfile, line 2: the directive "syntax" stands twice', 2],
		["FROM a\x1b[31m\u202e\n", '12/Dockerfile, line 1: "a\\u{1b}[31m\\u{202e}" is no image', 1],
	])("%j", (text, message, line) => {
		const error = errorOf(text);
		expect(error.message).toBe(message);
		expect(error.at).toEqual(line === undefined ? { file: "12/Dockerfile" } : { file: "12/Dockerfile", line });
	});
});

describe("patterns", () => {
	const letters = fc.string({ unit: fc.constantFrom("a", "b"), maxLength: 8 });
	const patterns = fc.string({ unit: fc.constantFrom("a", "b", "*", "?"), maxLength: 5 });
	const expression = (pattern: string, star: string): string => pattern.replaceAll("?", ".").replaceAll("*", star);

	test("match what regular expressions match", () => {
		fc.assert(
			fc.property(patterns, letters, (pattern, value) => {
				const tokens = parsePattern(pattern);
				expect(matchPrefix(tokens, value, true)).toBe(
					new RegExp(`^${expression(pattern, ".*")}`).exec(value)?.[0].length ?? -1,
				);
				expect(matchPrefix(tokens, value, false)).toBe(
					new RegExp(`^${expression(pattern, ".*?")}`).exec(value)?.[0].length ?? -1,
				);
				const endings = Array.from({ length: value.length + 1 }, (_, length) => length).filter((length) =>
					new RegExp(`^${expression(pattern, ".*")}$`).test(value.slice(value.length - length)),
				);
				expect(matchSuffix(tokens, value, true)).toBe(endings.at(-1) ?? -1);
				expect(matchSuffix(tokens, value, false)).toBe(endings[0] ?? -1);
				const found = new RegExp(expression(pattern, ".*")).exec(value);
				expect(findMatch(tokens, value)).toEqual(
					found === null ? undefined : { start: found.index, end: found.index + found[0].length },
				);
			}),
			{ numRuns: 2000 },
		);
	});
});

describe("hostile text", () => {
	const piece = fc.constantFrom(
		...'FROM |RUN |COPY |ARG |ONBUILD |# escape=`\n|# syntax=x\n|--from=|--mount=type=bind,from=| AS |a|b:1|0|-1|$A|${A|:-|%%|/|}|\\|`|\n|\r\n|\'|"|<<|<<-|EOF|["x"]|,|=| |\t|\u00a0|\uFEFF|*|é|\u{1F600}|\0'.split(
			"|",
		),
	);

	test("gives FROMs or an error with the code dockerfile", () => {
		let scanned = 0;
		fc.assert(
			fc.property(fc.array(piece, { maxLength: 40 }), (pieces) => {
				const text = `FROM a AS b\n${pieces.join("")}`;
				try {
					const result = scanDockerfile(text, { platform: amd64 });
					scanned++;
					expect(result.froms).toContain(result.lastStageFrom);
					for (const from of result.froms) expect(from).toMatch(/^(scratch|[\w.:/@-]*:[\w.:/@-]+)$/);
				} catch (error) {
					if (!(error instanceof BrewlineError && error.code === "dockerfile")) throw error;
				}
			}),
			{ numRuns: 5000 },
		);
		expect(scanned).toBeGreaterThan(500);
	});

	test("gives the same for bytes that are anything", () => {
		fc.assert(
			fc.property(fc.uint8Array({ maxLength: 200 }), (bytes) => {
				const scan = (): unknown => {
					try {
						return scanDockerfile(bytes, { platform: amd64 });
					} catch (error) {
						return error instanceof BrewlineError && error.code === "dockerfile" ? error.message : undefined;
					}
				};
				expect(scan()).toBeDefined();
			}),
		);
	});

	const adversaries: Readonly<Record<string, (length: number) => string>> = {
		"a run of blanks": (n) => `FROM a\nRUN ${" ".repeat(n)}x`,
		"runs of blanks before text": (n) => `FROM a\n${" x".repeat(n / 2)}`,
		"carriage returns": (n) => `FROM a\nRUN x${"\r".repeat(n)}x\\\r\r\n`,
		"a directive with blanks": (n) => `# escape${" ".repeat(n)}x\nFROM a`,
		continuations: (n) => `FROM a\nRUN ${"\\\n".repeat(n / 2)}`,
		"comments in a continuation": (n) => `FROM a\nRUN \\\n${"#\n".repeat(n / 2)}`,
		"blanks after an open heredoc": (n) => `FROM a\nRUN <<${" ".repeat(n)}<`,
		heredocs: (n) => `FROM a\nRUN ${"<<A ".repeat(n / 6)}\n${"A\n".repeat(n / 6)}`,
		"heredocs that are none": (n) => `FROM a\n${"RUN <<\n".repeat(n / 7)}`,
		"open quotes": (n) => `FROM a\n${"RUN '<<A\n".repeat(n / 9)}`,
		"nested braces": (n) => `FROM a\nRUN <<A ${"${a:-".repeat(n / 5)}`,
		"nested braces that close": (n) =>
			`FROM a\n${`RUN <<A ${"${a:-".repeat(90)}${"}".repeat(90)}\nA\n`.repeat(n / 550)}`,
		flags: (n) => `FROM a\nCOPY ${"--x=' ' ".repeat(n / 8)}`,
		mounts: (n) => `FROM a\nRUN --mount=type=bind,${"from=a,".repeat(n / 7)}`,
		"a long image": (n) => `FROM a${"-".repeat(n)}`,
		"a long stage number": (n) => `FROM a\nCOPY --from=${"0".repeat(n)}x / /`,
		stages: (n) => Array.from({ length: n / 20 }, (_, i) => `FROM s${i} AS s${i + 1}\n`).join(""),
		"growing variables": (n) => `ARG A=aa\n${"ARG A=$A$A\n".repeat(n / 11)}FROM a`,
		patterns: (n) => `ARG A=${"a".repeat(1000)}\n${"ARG B=${A%%*a*a*a*a*b}\n".repeat(n / 24)}FROM a`,
		"one long pattern": (n) => `ARG A=${"a".repeat(n / 2)}\nARG B=\${A%%${"*a".repeat(n / 4)}}\nFROM a`,
		JSON: (n) => `FROM a\nRUN ${"[".repeat(n)} <<A`,
	};

	/** Milliseconds of processor time of one scan. */
	function cost(text: string): number {
		const before = process.cpuUsage();
		try {
			scanDockerfile(text, { platform: amd64 });
		} catch (error) {
			if (!(error instanceof BrewlineError)) throw error;
		}
		return process.cpuUsage(before).user / 1000;
	}

	test.each(Object.entries(adversaries))("costs time in proportion to its length: %s", (_name, make) => {
		// In two steps: what is quadratic fails at the first, where it does not take minutes yet.
		for (const exponent of [13, 16]) {
			const short = make(2 ** exponent);
			const long = make(2 ** (exponent + 3));
			let best = { short: Infinity, long: Infinity };
			// Eight times the text: linear is 8, quadratic 64. The best of each counts, and a millisecond is noise; other
			// work on the machine may spoil some rounds, but no number of rounds makes quadratic linear.
			const ratio = (): number => best.long / Math.max(best.short, 1);
			for (let round = 0; round < 2 || (round < 20 && ratio() >= 24); round++) {
				best = { short: Math.min(best.short, cost(short)), long: Math.min(best.long, cost(long)) };
			}
			expect(ratio()).toBeLessThan(24);
		}
	});

	test("of a megabyte is dealt with", () => {
		const text = `FROM a\n${"RUN <<A cat '\\\n x' ${b:-c}\nFROM x\nA\nCOPY --from=0 / /\n".repeat(2 ** 14)}`;
		expect(text.length).toBeGreaterThan(2 ** 19);
		expect(scanDockerfile(text, { platform: amd64 }).froms.length).toBe(2 ** 14 + 1);
	});
});
