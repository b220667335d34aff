import { describe, expect, it, test } from "vitest";
import { readDockerfileFacts } from "./index.ts";

const facts = (...lines: readonly string[]) => readDockerfileFacts(`${lines.join("\n")}\n`, "Dockerfile");

describe("what a Dockerfile says about itself", () => {
	test.each<readonly [lines: readonly string[], froms: string, copyFroms: string]>([
		[["FROM a:1"], "a:1", ""],
		[["ARG V=2", "FROM a:$V AS b", "FROM b", "FROM scratch", "FROM a:2"], "a:2 scratch", ""],
		[["FROM a", "COPY --from=b:1 / /", "COPY --from=a / /", "RUN --mount=type=bind,from=c x"], "a:latest", "b:1"],
		[
			["FROM a AS x", "FROM b", "COPY --from=x / /", "COPY --from=0 / /", "COPY --link --from=c/d:1 / /"],
			"a:latest b:latest",
			"c/d:1",
		],
		[["\uFEFF# escape=`", "FROM `", "  a:1"], "a:1", ""],
	])("%j stands on %s and takes from %s", (lines, froms, copyFroms) => {
		const found = facts(...lines);
		expect([found.froms.join(" "), found.copyFroms.join(" ")]).toEqual([froms, copyFroms]);
	});

	test.each<readonly [lines: readonly string[], sources: string]>([
		[["COPY a b c/", 'COPY ["d e", "f*", "/"]', "copy a /"], "a|b|d e|f*"],
		[["COPY --chmod=755 --link a \\", "# between", "  b /"], "a|b"],
		[["COPY --from=x:1 a /", "ADD b /", "COPY <<EOF c /", "COPY inside /", "EOF"], "c"],
		[["COPY [a /"], "[a"],
		[["COPY"], ""],
	])("%j copies %s", (lines, sources) => {
		expect(facts("FROM a", ...lines).sources.join("|")).toBe(sources);
	});

	it("has the variables that ENV sets, in both forms, with what they are made of", () => {
		const { environment } = facts(
			"FROM a",
			"ENV A 1.2 3",
			'ENV B=$A-x C="d e" D=${B}',
			"ENV BROKEN=${",
			"FROM b",
			"ENV A=2 \\",
			"  E=",
		);
		expect([...environment]).toEqual([
			["A", "2"],
			["B", "1.2 3-x"],
			["C", "d e"],
			["D", ""],
			["E", ""],
		]);
	});

	it("is refused where there is no FROM", () => {
		expect(() => facts("RUN x")).toThrow(/there is no FROM/);
	});
});
