import { readFileSync, rmSync, truncateSync, writeFileSync } from "node:fs";
import path from "node:path";
import { afterAll, beforeAll, beforeEach, describe, expect, it } from "vitest";
import { type CommandWorld, type Ended, openCommandWorld, type Place } from "../support/command.ts";

// Files that cannot be used, each with an error that says what, where and how to mend it, and nothing half-done.

let world: CommandWorld;
let place: Place;
beforeAll(async () => {
	world = await openCommandWorld();
});
afterAll(() => world[Symbol.asyncDispose]());
beforeEach(async () => {
	place = await world.place();
});

/** Runs a command that must leave the registry and the work folder as they were; `FOLDER` stands for the place's. */
const refused = async (args: string): Promise<Pick<Ended, "code" | "stderr">> => {
	const before = { files: place.workFiles(), content: place.content() };
	place.requests.length = 0;
	const { code, stdout, stderr } = await place.brewline(args);
	expect({ files: place.workFiles(), content: place.content() }).toEqual(before);
	expect({ stdout, writes: place.writes() }).toEqual({ stdout: "", writes: [] });
	return { code, stderr: stderr.replaceAll(place.folder, "FOLDER") };
};

const errorsOf = (stdout: string) =>
	(JSON.parse(stdout) as { errors: { code: string; message: string; hint?: string; at?: object }[] }).errors;

describe("a definition", () => {
	const ids = "0123456789".repeat(4);
	const global = "Maintainers: A <a@example.com> (@a)\nGitRepo: https://github.com/brewline/samples-x.git\n";
	const entry = (tags: string, ...fields: string[]): string =>
		["", `Tags: ${tags}`, `GitCommit: ${ids}`, ...fields, ""].join("\n");

	// Each rule of spec/manifest.md: the text, and where the error must be and what it must say.
	const rules: readonly (readonly [rule: string, text: string, error: RegExp])[] = [
		["no paragraph", "# nothing\n", /^definition: FOLDER\/library\/image:1:1: there is no paragraph/],
		["no Maintainers", `GitRepo: https://x.example/a.git\n${entry("1")}`, /image:1:1: .*names no Maintainers/],
		[
			"an invalid maintainer in global",
			`${global.replace("A <a@example.com> (@a)", "nobody")}${entry("1")}`,
			/image:1:14: .*"nobody"/,
		],
		["an invalid maintainer in an entry", global + entry("1", "Maintainers: nobody"), /image:6:14: .*"nobody"/],
		["Tags in global", `${global}Tags: 1\n${entry("2")}`, /image:3:1: .*Tags may not stand in the global/],
		["an unknown architecture in global", `${global}Architectures: amd64, vax\n${entry("1")}`, /image:3:23: .*"vax"/],
		["an unknown architecture", global + entry("1", "Architectures: vax"), /image:6:16: .*"vax"/],
		["an invalid GitFetch", global + entry("1", "GitFetch: main"), /image:6:1: .*"main"/],
		["an invalid GitCommit", `${global}\nTags: 1\nGitCommit: abc\n`, /image:5:1: .*"abc"/],
		["no GitCommit", `${global}\nTags: 1\n`, /image:4:1: .*GitCommit/],
		["no Tags", `${global}\nGitCommit: ${ids}\n`, /image:4:1: .*Tags/],
		["no GitRepo", `Maintainers: A (@a)\n${entry("1")}`, /image:3:1: .*GitRepo/],
		["an invalid tag", global + entry("a/b"), /image:4:7: .*"a\/b"/],
		["an invalid shared tag", global + entry("1", "SharedTags: a b"), /image:6:13: .*"a b"/],
		["a tag twice in an entry", global + entry("1, 1"), /image:4:10: .*"1"/],
		["a tag in two entries", global + entry("1") + entry("1"), /image:7:7: .*"1"/],
		["a tag that is a shared tag too", global + entry("1", "SharedTags: 1"), /image:\d+:\d+: .*"1"/],
		["a line that is no field", `${global}nonsense\n${entry("1")}`, /image:3:1: the line "nonsense"/],
	];

	it("is refused for each rule, with its line and column, before anything is done", async () => {
		const library = path.join(place.folder, "library");
		for (const [rule, text, error] of rules) {
			await place.define({ image: text });
			const { code, stderr } = await refused("run");
			expect({ rule, code }).toEqual({ rule, code: 3 });
			expect({ rule, stderr }).toEqual({ rule, stderr: expect.stringMatching(error) });
			expect({ rule, lines: stderr.split("\n").filter((line) => line.startsWith("definition: ")).length }).toEqual({
				rule,
				lines: 1,
			});
		}
		rmSync(library, { recursive: true });
		expect((await refused("run")).stderr).toMatch(/^reference: the library folder ".*library" cannot be read: ENOENT/);
	});

	it("has all its errors reported at once, with those of the other definitions", async () => {
		await place.define(Object.fromEntries(rules.map(([, text], index) => [`image-${index}`, text])));
		const { code, stderr } = await refused("run");
		expect(code).toBe(3);
		const lines = stderr.split("\n").filter((line) => line.startsWith("definition: "));
		for (const [index, [rule]] of rules.entries()) {
			const own = lines.filter((line) => line.startsWith(`definition: FOLDER/library/image-${index}:`));
			expect({ rule, errors: own.length }).toEqual({ rule, errors: 1 });
		}
		await place.define({ image: `${global}Tags: 1\n${entry("a/b", "GitFetch: main", "Architectures: vax")}` });
		const several = await place.brewline("run --json");
		expect(errorsOf(several.stdout).map(({ code, at }) => ({ code, at }))).toEqual(
			[
				[3, 1],
				[5, 7],
				[7, 1],
				[8, 16],
			].map(([line, column]) => ({
				code: "definition",
				at: { file: path.join(place.folder, "library/image"), line, column },
			})),
		);
		expect(errorsOf(several.stdout).every(({ hint }) => hint !== undefined)).toBe(true);
	});

	it("is read with a warning where it is odd", async () => {
		await place.define({ image: `${global}${entry("1").replace("Tags", "Tags: 0\nTags")}` });
		const { code, stderr } = await place.brewline("inspect list");
		expect({ code, stderr: stderr.replaceAll(place.folder, "FOLDER") }).toEqual({
			code: 0,
			stderr: expect.stringMatching(/^warning FOLDER\/library\/image:5:1: the field "Tags" stands twice/),
		});
	});
});

describe("the configuration", () => {
	const cases: readonly (readonly [what: string, text: string, errors: readonly RegExp[]])[] = [
		[
			"unknown keys and wrong types, all at once and in the file's order",
			"program:\n  nmae: x\n  registries:\n    stagin: a\n  timeLimit: soon\n  architectures:\n    amd64: {runer: x}\n",
			[
				/bad\.yaml:2:3: program\.nmae: no such key\n {2}did you mean name\?/,
				/bad\.yaml:4:5: program\.registries\.stagin: no such key\n {2}did you mean staging\?/,
				/bad\.yaml:5:3: program\.timeLimit: .*expected number, received string/,
				/bad\.yaml:7:13: program\.architectures\.amd64\.runer: no such key\n {2}did you mean runner\?/,
			],
		],
		["no YAML", "program: [\n", [/bad\.yaml:\d+:\d+: .*\n$/]],
		[
			"a key twice",
			"program:\n  name: a\n  name: b\n",
			[/bad\.yaml:3:3: name: keys must be unique, and this one stands twice\n/],
		],
		["a list", "- 1\n", [/bad\.yaml:1:1: .*expected object, received array/]],
		[
			"aliases that unfold without end",
			[
				"a: &a [x,x,x,x,x,x,x,x,x]",
				"b: &b [*a,*a,*a,*a,*a,*a,*a,*a,*a]",
				"c: &c [*b,*b,*b,*b,*b,*b,*b,*b,*b]",
				"d: [*c,*c]",
			]
				.join("\n")
				.concat("\n"),
			[/bad\.yaml:2:8: its aliases cannot be resolved: .*\n {2}Write out/],
		],
		["an alias of nothing", "program: *nowhere\n", [/bad\.yaml:1:10: /]],
		[
			"an architecture that nobody knows",
			"program:\n  architectures:\n    vax: {runner: x}\n",
			[/bad\.yaml:3:5: program\.architectures\.vax: platform is missing\n {2}give one/],
		],
		[
			"a default that is not there",
			"program:\n  defaultArchitecture: vax\n",
			[/bad\.yaml:2:3: program\.defaultArchitecture: there is no architecture vax/],
		],
		[
			"a staging repository without the build's id",
			"program: {registries: {staging: a/b}}\n",
			[/1:24: .*must contain BUILD/],
		],
	];

	it.each(cases)("is refused: %s", async (_, text, errors) => {
		writeFileSync(path.join(place.folder, "bad.yaml"), text);
		const { code, stderr } = await refused("--config bad.yaml run");
		expect(code).toBe(2);
		const found = stderr.split(/^(?=config: )/m);
		expect(found).toHaveLength(errors.length);
		for (const [index, error] of errors.entries()) expect(found[index]).toMatch(error);
	});

	it("is refused where it cannot be read", async () => {
		writeFileSync(path.join(place.folder, "huge.yaml"), Buffer.alloc(1024 * 1024 + 1, "#"));
		for (const [file, error] of [
			["nowhere.yaml", /cannot read the configuration nowhere\.yaml: ENOENT.*\n {2}name another file with --config/],
			[".", /cannot read the configuration \.: EISDIR/],
			["huge.yaml", /huge\.yaml: the configuration is larger than 1048576 bytes/],
		] as const) {
			const { code, stderr } = await refused(`run --config ${file}`);
			expect(code).toBe(2);
			expect(stderr).toMatch(error);
		}
	});

	it("is named by the environment where no option does", async () => {
		const { code, stderr } = await place.brewline("run", { env: { BREWLINE_CONFIG: "elsewhere.yaml" } });
		expect([code, stderr]).toEqual([2, expect.stringContaining("cannot read the configuration elsewhere.yaml")]);
	});
});

describe("a hand-over file", () => {
	const prepare = async (): Promise<{ plan: string; leg: string; sources: string }> => {
		for (const step of ["sources", "plan"]) expect((await place.brewline(step)).code).toBe(0);
		const legs = (JSON.parse(readFileSync(place.file("plan.json"), "utf8")) as { legs: { id: string }[] }).legs;
		return { plan: "plan.json", leg: `legs/${legs[0]!.id}.json`, sources: "sources.json" };
	};
	const change = (name: string, edit: (text: string) => string): void =>
		writeFileSync(place.file(name), edit(readFileSync(place.file(name), "utf8")));

	it("of an unknown format or version, damaged or cut short, is refused by the step that reads it", async () => {
		const { plan, sources } = await prepare();
		const cut = (text: string): string => text.slice(0, text.length / 2);
		const cases: readonly (readonly [step: string, name: string, edit: (text: string) => string, error: RegExp])[] = [
			[
				"build",
				plan,
				(text) => text.replace('"version": 1', '"version": 2'),
				/has version 2 of the format brewline-plan; .*\n {2}let the same version/,
			],
			[
				"build",
				plan,
				(text) => text.replace("brewline-plan", "brewline-leg"),
				/is no brewline-plan file: its "format" is "brewline-leg"\n {2}.*brewline plan/,
			],
			["build", plan, (text) => text.replace(/"format": .*\n/, ""), /its "format" is missing/],
			["build", plan, (text) => text.replace('"legs"', '"lgs"'), /Unrecognized key: "lgs"\n {2}.*brewline plan/],
			["build", plan, cut, /plan\.json is not JSON: .*\n {2}have it written anew: brewline plan/],
			["build", plan, () => "", /plan\.json is not JSON/],
			["plan", sources, cut, /sources\.json is not JSON: .*\n {2}have it written anew: brewline sources/],
			["publish", sources, () => "[]", /sources\.json must be a JSON object/],
			["plan", sources, (text) => text.replace('"sourceId"', '"sourceID"'), /sourceId/],
		];
		for (const [step, name, edit, error] of cases) {
			const text = readFileSync(place.file(name), "utf8");
			change(name, edit);
			const { code, stderr } = await refused(step);
			expect({ step, name, code }).toEqual({ step, name, code: 3 });
			expect(stderr).toMatch(error);
			expect(stderr).toMatch(/^handover: FOLDER\/\.brewline\//);
			// The file is named once.
			expect(stderr.split(`FOLDER/.brewline/${name}`)).toHaveLength(2);
			writeFileSync(place.file(name), text);
		}
	});

	it("that is another than the plan's is refused, whatever it says", async () => {
		const { leg } = await prepare();
		const text = readFileSync(place.file(leg), "utf8");
		change(leg, (old) => old.replace("/staging-amd64:", "/library:"));
		const { code, stderr } = await refused("build");
		expect(code).toBe(3);
		expect(stderr).toMatch(/is not the file that was planned: its SHA-256 differs\n {2}expected sha256:/);
		writeFileSync(place.file(leg), text);

		const id = path.basename(leg, ".json");
		const wrong = await refused(`build ${id} --digest sha256:${"0".repeat(64)}`);
		expect([wrong.code, wrong.stderr]).toEqual([3, expect.stringContaining("its SHA-256 differs")]);
		const unknown = await refused("build nothing-1-amd64-00000000");
		expect([unknown.code, unknown.stderr]).toEqual([
			2,
			expect.stringMatching(/there is no leg nothing.*\n {2}its legs are: /),
		]);
		const outside = await refused("build ../plan");
		expect([outside.code, outside.stderr]).toEqual([2, expect.stringContaining("there is no leg ../plan")]);
	});

	it("that only informs is left out with a warning, and nothing but time is lost", async () => {
		await prepare();
		expect((await place.brewline("build")).code).toBe(0);
		const name = Object.keys(place.workFiles()).find((file) => file.startsWith("results/"))!;
		for (const edit of [() => truncateSync(place.file(name), 20), () => rmSync(place.file(name))]) {
			edit();
			const { code, stderr } = await place.brewline("publish");
			expect(code).toBe(0);
			expect(stderr).toContain(`warning leg ${path.basename(name, ".json")}: `);
		}
		for (const file of ["cache.json", "sources.json"]) {
			truncateSync(place.file(file), 20);
			const { code, stderr } = await place.brewline("run");
			expect({ file, code }).toEqual({ file, code: 0 });
			expect(stderr).toMatch(new RegExp(`^warning not used: .*${file} is not JSON`, "m"));
		}
		expect(place.writes().filter((request) => request.startsWith("PUT") && request.includes("/library/"))).not.toEqual(
			[],
		);
	});
});
