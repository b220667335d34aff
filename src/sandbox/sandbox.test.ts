import { getEventListeners } from "node:events";
import { setImmediate } from "node:timers/promises";
import { afterAll, afterEach, beforeAll, describe, expect, test, vi } from "vitest";
import { filesOf, imageConfig } from "../../test/support/image-repository.ts";
import { openSandbox, sandboxed, type Sandbox } from "./index.ts";
import { complaint } from "./jq.ts";
import { withMaximumMemory } from "./wasm.ts";

const run = (program: string, input = "null") => ({ program, input });
/** Long enough for any program that ends, so that only the memory's limit can end it. */
const patient = { timeLimit: 120_000 };
const mebibyte = 1024 * 1024;

describe("jq", () => {
	let sandbox: Sandbox;
	beforeAll(() => {
		sandbox = openSandbox();
	});
	afterAll(() => sandbox[Symbol.asyncDispose]());
	const jq = (program: string, input?: string) => sandbox.run("jq", run(program, input));

	test("gives each output as a line of JSON", async () => {
		expect(await jq(".[] | .a", '[{"a": 1.10}, {"a": "x\\ny"}, {}]')).toEqual({
			lines: ["1.10", '"x\\ny"', "null"],
			error: "",
		});
		expect(await jq("empty")).toEqual({ lines: [], error: "" });
	});

	test("keeps the order of keys that look like numbers", async () => {
		expect((await jq(".", '{"9":1,"10":2,"1":3}')).lines).toEqual(['{"9":1,"10":2,"1":3}']);
	});

	test("says what is wrong with a program, and where it failed", async () => {
		const broken = await jq("1 +");
		expect(broken.lines).toEqual([]);
		expect(complaint(broken.error)).toMatch(/^syntax error, unexpected end of file at <top-level>, line 1/);
		const failed = await jq('1, ("a" + 1)');
		expect(failed.lines).toEqual(["1"]);
		expect(complaint(failed.error)).toBe('string ("a") and number (1) cannot be added');
		expect(complaint((await jq('"\\u001b[31m\\u202e" | error')).error)).toBe("\\u{1b}[31m\\u{202e}");
	});

	test("knows no file and nothing of this process's environment", async () => {
		expect((await jq('include "/etc/hosts"; 1')).error).toContain("module not found");
		const environment = JSON.parse((await jq("env")).lines[0]!) as Record<string, string>;
		const own = Object.entries(process.env).filter(([, value]) => value!.length > 8);
		expect(own.filter(([name, value]) => environment[name] === value)).toEqual([]);
		expect(environment["LANG"]).toBe("C.UTF-8");
	});

	test("refuses programs that it cannot take", async () => {
		await expect(jq(`"${"x".repeat(mebibyte)}"`)).rejects.toMatchObject({ code: "template" });
		await expect(jq('"\0"')).rejects.toMatchObject({ code: "template" });
		expect((await jq("1")).lines).toEqual(["1"]);
	});
});

describe("limits", () => {
	afterEach(() => {
		vi.useRealTimers();
	});

	test.each([
		["a loop", "def f: f; f"],
		["outputs that are thrown away", "last(repeat(1))"],
	])("%s that does not end is ended, and the next task gets a new thread", async (_, program) => {
		await using sandbox = openSandbox({ timeLimit: 2000 });
		vi.useFakeTimers({ toFake: ["setTimeout", "clearTimeout"] });
		expect((await sandbox.run("jq", run("1"))).lines).toEqual(["1"]);
		const stopped = sandbox.run("jq", run(program)).catch((error: unknown) => error);
		const next = sandbox.run("jq", run("1"));
		// It is on its way to the thread by then.
		await setImmediate();
		vi.advanceTimersByTime(2000);
		expect(await stopped).toMatchObject({ code: "limit", hint: expect.stringContaining("loop") as string });
		expect((await next).lines).toEqual(["1"]);
	});

	test("a regular expression that does not end is called one", async () => {
		const survey = {
			config: imageConfig(
				`versions: { list: ["1"] }\nmatrix: { v: ["${"a".repeat(50)}-"] }\nsplit: { v: "^(?<part>(a+)+)$" }\ntags: ["{part}"]\nrequireDockerfile: false\n`,
			),
			files: filesOf({}),
			committed: new Map(),
			today: "2026-01-02",
			architectures: ["amd64"],
			defaultArchitecture: "amd64",
			branches: new Map(),
		};
		await expect(sandboxed("survey", survey, { timeLimit: 2000 })).rejects.toMatchObject({
			code: "limit",
			hint: expect.stringContaining("regular expression") as string,
		});
	});

	test.each([
		["a long array", "[range(1e9)] | length"],
		["a long string", '[range(1000) | "x" * 1e6] | add'],
		["recursion", "def f: [f]; f"],
		["deep nesting", "reduce range(1e9) as $i (null; [.])"],
		["many outputs, which are in JavaScript's heap", "range(1e6)"],
		["outputs without an end, which are outside of both", '("x" * 1e6) as $x | repeat($x)'],
	])("%s gets no more memory than it may", async (_, program) => {
		await using sandbox = openSandbox({ ...patient, memoryLimit: 32 * mebibyte });
		const before = process.memoryUsage.rss();
		await expect(sandbox.run("jq", run(program))).rejects.toMatchObject({ code: "limit" });
		expect(process.memoryUsage.rss() - before).toBeLessThan(300 * mebibyte);
		// The instance that ran out of it is not used again.
		expect((await sandbox.run("jq", run("[range(1000)] | add"))).lines).toEqual(["499500"]);
	});

	test("a task that is called off ends at once, and leaves no listener", async () => {
		const ending = new AbortController();
		await using sandbox = openSandbox({ ...patient, signal: ending.signal });
		expect((await sandbox.run("jq", run("1"))).lines).toEqual(["1"]);
		const running = sandbox.run("jq", run("def f: f; f"));
		ending.abort(new Error("ended by SIGINT"));
		await expect(running).rejects.toMatchObject({ code: "cancelled", message: "ended by SIGINT" });
		expect(getEventListeners(ending.signal, "abort")).toEqual([]);
	});

	test("a thread that is closed while it gets ready comes to its end, and one that does not listen is ended", async () => {
		const unused = openSandbox();
		await unused[Symbol.asyncDispose]();
		await expect(unused.run("jq", run("1"))).rejects.toMatchObject({ code: "internal" });
		const busy = openSandbox(patient);
		expect((await busy.run("jq", run("1"))).lines).toEqual(["1"]);
		const running = busy.run("jq", run("def f: f; f")).catch((error: unknown) => error);
		// It is on its way to the thread by then.
		await setImmediate();
		await busy[Symbol.asyncDispose]();
		expect(await running).toMatchObject({ code: "internal", message: "the sandbox ended by itself" });
	});

	test("one that was called off before does not begin", async () => {
		await expect(sandboxed("jq", run("1"), { signal: AbortSignal.abort(new Error("no")) })).rejects.toMatchObject({
			code: "cancelled",
		});
	});
});

describe("the maximum of a module's memory", () => {
	/** Nothing but a memory section: the minimum, and a maximum in so many bytes. */
	const module = (...limits: number[]) =>
		Uint8Array.from([0, 97, 115, 109, 1, 0, 0, 0, 5, limits.length + 1, 1, ...limits]);

	test("is lowered in place, never below its minimum and never raised", () => {
		const three = [0x80, 0x80, 0x01];
		const own = module(1, 2, ...three);
		expect([...withMaximumMemory(own, 3 * 65_536)]).toEqual([...module(1, 2, 0x83, 0x80, 0)]);
		expect([...withMaximumMemory(own, 1)]).toEqual([...module(1, 2, 0x82, 0x80, 0)]);
		expect([...withMaximumMemory(own, 1e15)]).toEqual([...own]);
		expect([...own]).toEqual([...module(1, 2, ...three)]);
		expect(new WebAssembly.Module(withMaximumMemory(own, 200 * 65_536))).toBeDefined();
	});

	test.each([
		["no maximum", module(0, 2)],
		["no memory", module(0, 2).subarray(0, 8)],
		["a number without an end", module(1, 2, 128)],
	])("is not there in a module with %s", (_, bytes) => {
		expect(() => withMaximumMemory(bytes, 65_536)).toThrow(expect.objectContaining({ code: "internal" }));
	});
});
