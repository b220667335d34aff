import { describe, expect, it } from "vitest";
import { dockerProgram } from "../config/index.ts";
import { proposeOptionsOf } from "./index.ts";

const token = "t0ken";

describe("what a configuration says of proposals", () => {
	it("is the rules of the library where it says nothing", () => {
		expect(proposeOptionsOf(undefined, dockerProgram, { token })).toMatchObject({
			library: "https://github.com/docker-library/official-images.git",
			folder: "library",
			minAge: 7 * 24 * 3600,
			author: dockerProgram.state.author,
			gitHub: { api: "https://api.github.com", token },
		});
	});

	it("gives the token to the repositories that it is for, as they are reached, and to no other server", () => {
		const rewrite = { "https://github.com/": "https://mirror.example.org/" };
		const program = {
			...dockerProgram,
			git: { rewrite, credentials: { "https://other.example/": { tokenVariable: "X" } } },
		};
		const fork = "https://github.com/example/official-images.git";
		const { credentials } = proposeOptionsOf({ fork }, program, { token });
		expect(Object.keys(credentials ?? {}).sort()).toEqual([
			"https://mirror.example.org/docker-library/official-images.git",
			"https://mirror.example.org/example/official-images.git",
			"https://other.example/",
		]);
		const elsewhere = { fork: "https://git.example.net/example/official-images.git", pullRequest: false };
		const own = proposeOptionsOf(elsewhere, dockerProgram, { token });
		expect(own.gitHub).toBeUndefined();
		expect(Object.keys(own.credentials ?? {})).toEqual([elsewhere.fork]);
	});

	it.each([
		["git@git.example.net:example/images.git", "https://git.example.net/api/v3"],
		["ssh://git@git.example.net/example/images.git", "https://git.example.net/api/v3"],
		["https://github.com/example/images", "https://api.github.com"],
	])("finds the API for %s", (library, api) => {
		expect(proposeOptionsOf({ library }, dockerProgram, { token }).gitHub?.api).toBe(api);
	});

	it("wants a token for a pull request, and a time that is one", () => {
		expect(() => proposeOptionsOf({}, dockerProgram, {})).toThrow("no token");
		for (const settings of [{ dryRun: true }, { branchOnly: true }])
			expect(proposeOptionsOf({}, dockerProgram, settings).gitHub).toBeUndefined();
		expect(() => proposeOptionsOf({}, dockerProgram, { token, minAge: "soon" })).toThrow("is no time");
		expect(proposeOptionsOf({ minAge: "2d" }, dockerProgram, { token, minAge: "90m" }).minAge).toBe(5400);
	});
});
