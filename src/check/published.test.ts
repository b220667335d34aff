import * as fc from "fast-check";
import { describe, expect, test } from "vitest";
import { dockerProgram } from "../config/index.ts";
import { check, type CheckIo } from "./check.ts";
import type { Finding } from "./types.ts";
import { compareVersions, isAliasOf, versionOf } from "./versions.ts";

fc.configureGlobal({ seed: Number(process.env["FC_SEED"] ?? 1) });

/** Entries as `TAGS | SHAREDTAGS | ARCHITECTURES`; each has a directory of its own. */
function definition(...entries: readonly string[]): string {
	const head = `Maintainers: Ada Lovelace <ada@example.com> (@ada)
GitRepo: https://git.example.com/app.git
GitFetch: refs/heads/main
GitCommit: 0123456789012345678901234567890123456789
`;
	return [
		head,
		...entries.map((entry, index) => {
			const [tags, shared = "", architectures = ""] = entry.split("|").map((part) => part.trim());
			const lines = [`Tags: ${tags}`];
			if (shared !== "") lines.push(`SharedTags: ${shared}`);
			if (architectures !== "") lines.push(`Architectures: ${architectures}`);
			return [...lines, `Directory: ${index}`, ""].join("\n");
		}),
	].join("\n");
}

const nothing: CheckIo = {
	find: async () => undefined,
	dockerfiles: async () => ({ texts: new Map(), errors: new Map() }),
	architecturesOf: async () => undefined,
	git: {
		repository: () => {
			throw new Error("git is not asked here");
		},
	},
};

async function findings(
	before: readonly string[] | undefined,
	after: readonly string[],
	explained?: CheckIo["explained"],
): Promise<readonly Finding[]> {
	const text = (entries: readonly string[]) => ({ name: "app", file: "library/app", text: definition(...entries) });
	const io = {
		...nothing,
		...(before === undefined ? {} : { published: async () => text(before) }),
		...(explained === undefined ? {} : { explained }),
	};
	const result = await check({ definitions: [text(after)], pins: new Map() }, io, {
		program: dockerProgram,
		rules: new Set([
			"prerelease-latest",
			"prerelease-alias",
			"alias-of-another-version",
			"alias-not-newest",
			"version-backwards",
			"latest-dropped",
			"latest-moved",
			"tag-vanished",
			"architecture-lost",
			"architecture-ends",
		]),
	});
	return result.findings;
}

/** `RULE TAG` of each. */
async function found(before: readonly string[] | undefined, after: readonly string[]): Promise<readonly string[]> {
	return (await findings(before, after)).map(({ rule, tag }) => `${rule} ${tag}`);
}

describe("aliases", () => {
	test.each<[what: string, entries: readonly string[], rules: readonly string[]]>([
		[
			"of one version",
			["8.3.4, 8.3, 8, latest, 8.3.4-slim, 8.3-slim", "8.2.9, 8.2", "8.1.30-alpine3.20, 8.1-alpine3.20"],
			[],
		],
		["of another version", ["6.8.0-jdk8, 6.7-jdk8, jdk8, latest"], ["alias-of-another-version 6.7-jdk8"]],
		["of another year", ["2026.2, 2025.9, 2026"], ["alias-of-another-version 2025.9"]],
		["of the year, beside a version", ["2026.2-u0, 2026.2, 11.1.0, 11.1, latest"], []],
		["that are no versions", ["bookworm-20240211, bookworm, 12.5, 12, latest", "8u392-jdk, 8-jdk"], []],
		["of prereleases", ["8.4.0RC1, 8.4-rc", "1.16beta1, 1.16-rc", "10.1.0-M17, 10.1-m17", "3.14.0a1-slim"], []],
		["of a prerelease as of a release", ["8.4.0-rc.1, 8.4-rc, 8.4"], ["prerelease-alias 8.4"]],
		["of a prerelease and no version", ["8.4.0-rc.1, latest"], ["prerelease-latest latest"]],
		["of a prerelease's first number", ["16rc1, 16, 16rc1-trixie"], ["prerelease-alias 16"]],
		["that are behind", ["8.3.4, 8.3", "8.3.5"], ["alias-not-newest 8.3"]],
		["that are behind in numbers", ["8.3.9, 8.3", "8.3.10"], ["alias-not-newest 8.3"]],
		["that are behind by a prerelease alone", ["8.3.4, 8.3", "8.4.0rc1, 8.4-rc", "8.3.5rc1"], []],
		["of a prerelease, behind its release's", ["1.16, 1.16beta1"], ["prerelease-alias 1.16"]],
		["of a prerelease that is behind", ["8.4.0rc1, 8.4", "8.4.1"], ["prerelease-alias 8.4"]],
		["of a prerelease and another version", ["8.4.0rc1, 8.3"], ["alias-of-another-version 8.3"]],
		["of a release, beside a prerelease's", ["4.0.0-rc1-next, 3.9.0, latest"], []],
		["of other variants", ["8.3.4-alpine3.20, 8.3-alpine3.20", "8.3.5-alpine3.21, 8.3-alpine3.21", "8.30.1"], []],
		["of the major", ["8.3.4, 8.3, 8", "8.4.0, 8.4"], ["alias-not-newest 8"]],
		["that are shared", ["8.3.4-a | 8.3.4, 8.3", "8.3.5-a | 8.3.5"], ["alias-not-newest 8.3"]],
	])("%s", async (_, entries, rules) => {
		expect(await found(undefined, entries)).toEqual(rules);
	});
});

describe("what is published", () => {
	test.each<[what: string, before: readonly string[], after: readonly string[], rules: readonly string[]]>([
		["a patch", ["3.13.1, 3.13, 3, latest"], ["3.13.2, 3.13, 3, latest"], []],
		["a minor", ["3.13.1, 3.13, 3, latest"], ["3.14.0, 3.14, 3, latest"], []],
		["a rebuild of upstream's", ["25.0.4-x, 25-x"], ["25.0.4.0.1-x, 25-x"], []],
		["a new series beside the old one", ["3.13.1, 3.13, 3, latest"], ["3.14.0, 3.14, 3, latest", "3.13.2, 3.13"], []],
		["a release after its candidate", ["3.13.1, latest", "3.14.0rc2, 3.14-rc"], ["3.14.0, 3.14, latest", "3.13.1"], []],
		["dated tags", ["bookworm-20240101, bookworm, 12.4, 12"], ["bookworm-20240201, bookworm, 12.5, 12"], []],
		["a second build of a day", ["noble-20260610, noble"], ["noble-20260730.1, noble"], []],
		["the day after a second build", ["noble-20260730.1, noble"], ["noble-20260810, noble"], []],
		["another base", ["3.1.0-alpine3.20, 3.1.0-alpine"], ["3.1.0-alpine3.21, 3.1.0-alpine"], []],
		[
			"a version back",
			["3.13.10, 3.13, latest"],
			["3.13.9, 3.13, latest"],
			["version-backwards 3.13", "tag-vanished 3.13.10"],
		],
		[
			"a version back to its candidate",
			["4.0.0, 4"],
			["4.0.0rc1, 4"],
			["prerelease-alias 4", "version-backwards 4", "tag-vanished 4.0.0"],
		],
		["a variant's version back", ["2.1-a, a, 2.1"], ["2.0-a, a", "2.1"], ["version-backwards a", "tag-vanished 2.1-a"]],
		["less said about a version", ["3.13.1, 3.13"], ["3.13"], ["tag-vanished 3.13.1"]],
		["latest dropped", ["3.1, 3, latest"], ["3.2, 3"], ["latest-dropped latest"]],
		[
			"latest at the next major",
			["24.04, noble, latest"],
			["26.04, resolute, latest", "24.04, noble"],
			["latest-moved latest"],
		],
		["latest at another variant", ["a, latest", "b"], ["a", "b, latest"], ["latest-moved latest"]],
		["a series that ends", ["3.1, latest", "2.9.9, 2.9, 2"], ["3.2, latest"], ["tag-vanished 2.9.9"]],
		[
			"a variant that ends",
			["3.1.1, 3.1", "3.1.1-alpine3.19, 3.1-alpine3.19"],
			["3.1.2, 3.1"],
			["tag-vanished 3.1.1-alpine3.19"],
		],
		[
			"an architecture less",
			["1 || amd64, s390x", "2 || amd64"],
			["1 || amd64", "2 || amd64"],
			["architecture-lost 1"],
		],
		[
			"an architecture of a shared tag",
			["1-a | 1 | amd64", "1-b | 1 | windows-amd64"],
			["1-a | 1 | amd64"],
			["architecture-lost 1-a", "tag-vanished 1-b"],
		],
		["an architecture more", ["1 || amd64"], ["1 || amd64, s390x"], []],
		[
			"an index of two, both renewed",
			["1.0-a | s | amd64", "1.0-b | s | s390x"],
			["2.0-a | s | amd64", "2.0-b | s | s390x"],
			[],
		],
		["a minor series that ends", ["3.14.0, 3", "3.13.1"], ["3.14.1, 3"], ["tag-vanished 3.13.1"]],
		["a short tag dropped", ["3.13, 3.13-x"], ["3.13.1, 3.13-x"], ["tag-vanished 3.13"]],
		["an old tag in place of another", ["x1, a", "x2"], ["x2, a"], ["tag-vanished x1"]],
		["all of the image", ["1, latest", "2"], [], ["tag-vanished 1", "tag-vanished 2"]],
		["latest without another name", ["latest"], ["1, latest"], []],
		["latest by date", ["bookworm-20240101, latest"], ["bookworm-20240201, latest"], []],
		[
			"a name's version back, by the plain tag",
			["2.1, 5.0-x, stable"],
			["2.0, 5.0-x, stable"],
			["version-backwards stable", "tag-vanished 2.1"],
		],
		["entries in another order", ["1", "2, latest"], ["2, latest", "1"], []],
	])("%s", async (_, before, after, rules) => {
		expect((await found(before, after)).toSorted()).toEqual(rules.toSorted());
	});

	test("a shared tag is compared by architecture, in whatever order its entries are", async () => {
		const linux = "2.2-a | 2.2, 2 | amd64";
		const windows = (version: string): string => `${version}-b | ${version}, 2 | windows-amd64`;
		const back = async (before: readonly string[], after: readonly string[]): Promise<readonly string[]> =>
			(await found(before, after)).filter((rule) => rule.startsWith("version-backwards"));
		expect(await back([linux, windows("2.1")], [windows("2.1"), linux])).toEqual([]);
		expect(await back([linux, windows("2.2")], [linux, windows("2.1")])).toEqual(["version-backwards 2"]);
	});

	test("an architecture that goes with a reason is a note", async () => {
		const lost = await findings(["1 || amd64, s390x, riscv64"], ["1 || amd64"], (image, tag, arch) =>
			image === "app" && tag === "1" && arch === "s390x" ? "upstream ends it" : undefined,
		);
		expect(lost.map(({ rule, severity, details }) => [rule, severity, details])).toEqual([
			["architecture-lost", "error", { tags: ["1"], architectures: ["riscv64"] }],
			["architecture-ends", "note", { tags: ["1"], architectures: ["s390x"], reason: "upstream ends it" }],
		]);
	});

	test("Gradle 6.8 under the tags of 6.7, with the line and a link", async () => {
		const [finding] = await findings(
			["6.7.1-jdk8, 6.7-jdk8, jdk8, 6.7.1, 6.7, latest"],
			["6.8.0-jdk8, 6.7-jdk8, jdk8, 6.8.0, 6.7, latest"],
		);
		expect(finding).toEqual({
			rule: "alias-of-another-version",
			severity: "error",
			image: "app",
			tag: "6.7-jdk8",
			at: { file: "library/app", line: 6, column: 1 },
			message: "6.7-jdk8, 6.7 would be 6.8.0",
			fix: "Give an entry the tags of one version.",
			link: dockerProgram.checks.documentation.replace("{rule}", "alias-of-another-version"),
			details: { tags: ["6.7-jdk8", "6.7"], version: "6.8.0" },
		});
	});

	test("what cannot be read is compared with nothing, and stops nobody", async () => {
		const io = { ...nothing, published: async () => ({ name: "app", file: "old/app", text: "Tags: 1" }) };
		const definitions = [{ name: "app", file: "library/app", text: definition("1") }];
		const rules = new Set(["definition", "published-unreadable", "tag-vanished"] as const);
		const found = await check({ definitions }, io, { program: dockerProgram, rules });
		expect(found.findings).toMatchObject([
			{ rule: "published-unreadable", severity: "warning", image: "app", at: { file: "old/app", line: 1 } },
		]);
	});

	test("the same definition gives nothing, whatever its tags are", async () => {
		const tag = fc.stringMatching(/^[a-z0-9][a-z0-9.-]{0,9}$/);
		await fc.assert(
			fc.asyncProperty(fc.uniqueArray(tag, { minLength: 1, maxLength: 8 }), fc.nat(), async (tags, cut) => {
				const at = cut % tags.length;
				const entries = [tags.slice(0, at), tags.slice(at)]
					.filter((list) => list.length > 0)
					.map((list) => list.join(", "));
				const compared = new Set([
					"version-backwards",
					"latest-dropped",
					"latest-moved",
					"tag-vanished",
					"architecture-lost",
				]);
				const rules = (await findings(entries, entries.toReversed())).map(({ rule }) => rule);
				expect(rules.filter((rule) => compared.has(rule))).toEqual([]);
			}),
		);
	});
});

describe("versions", () => {
	test.each([
		["1.9", "1.10"],
		["1.16beta1", "1.16"],
		["8.4.0RC1", "8.4.0"],
		["10.1.0-M9", "10.1.0-M17"],
		["3.14.0a2", "3.14.0b1"],
		["1.2.3-rc.2", "1.2.3-rc.10"],
		["09.1", "10"],
		["09.1", "9.2"],
	])("%s is before %s", (a, b) => {
		expect(compareVersions(versionOf(a)!, versionOf(b)!)).toBeLessThan(0);
		expect(compareVersions(versionOf(b)!, versionOf(a)!)).toBeGreaterThan(0);
	});

	test("the order is one", () => {
		const version = fc
			.tuple(fc.array(fc.nat(12), { minLength: 3, maxLength: 3 }), fc.constantFrom("", "rc1", "rc2", "beta1", "-M3"))
			.map(([numbers, pre]) => versionOf(`${numbers.join(".")}${pre}`)!);
		fc.assert(
			fc.property(version, version, version, (a, b, c) => {
				expect(Math.sign(compareVersions(a, b))).toBe(-Math.sign(compareVersions(b, a)) + 0);
				const [first, , last] = [a, b, c].toSorted(compareVersions);
				expect(compareVersions(first!, last!)).toBeLessThanOrEqual(0);
			}),
		);
	});

	test("8.1 is not 8.10", () => {
		expect(isAliasOf(versionOf("8.1")!, versionOf("8.10.1")!)).toBe(false);
		expect(isAliasOf(versionOf("8.1")!, versionOf("8.1.10")!)).toBe(true);
	});

	test.each(["latest", "bookworm-20240101", "8u392-jdk", "1.2.3.4.5.6.7", "1.", "", "jdk17-6.8"])(
		"%s is none",
		(tag) => {
			expect(versionOf(tag)).toBeUndefined();
		},
	);
});
