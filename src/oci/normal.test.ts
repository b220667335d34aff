import * as fc from "fast-check";
import { describe, expect, test } from "vitest";
import { orderedObject, tabJson } from "../json/index.ts";
import {
	architectureOf,
	goIndex,
	isAttestation,
	naturalAscending,
	naturalDescending,
	normalizeManifest,
	normalizeOutsidePlatform,
	parsePlatform,
	platformString,
	samePlatform,
	sortManifests,
	subjectOf,
	type Descriptor,
	type Index,
	type Platform,
} from "./index.ts";

const seed = Number(process.env["FC_SEED"] ?? 1);

const version = fc.oneof(
	fc.constantFrom(
		"",
		"v8",
		"v8.0",
		"v8.10",
		"8",
		"08",
		"v7",
		"v10",
		"10.0.20348",
		"10.0.20348.2",
		"99999999999999999999",
	),
	fc.string({ unit: fc.constantFrom("v", "a", ".", "0", "1", "10"), maxLength: 6 }),
);
const platform: fc.Arbitrary<Platform> = fc.record(
	{
		os: fc.constantFrom("linux", "windows", "Linux", "macos", "freebsd", ""),
		architecture: fc.constantFrom("amd64", "arm64", "arm", "386", "x86_64", "aarch64", "armhf", "i386", "S390X"),
		variant: version,
		"os.version": version,
	},
	{ requiredKeys: ["os", "architecture"] },
);
const digestOf = (n: number) => `sha256:${String(n).padStart(64, "0")}`;
const annotations = fc.dictionary(
	fc.oneof(fc.constantFrom("10", "9", "b", "é"), fc.string({ maxLength: 3 })),
	fc.string(),
);

/** Indexes in which images may come twice, and attestations may speak of any manifest, also of each other. */
const index: fc.Arbitrary<Index> = fc
	.array(fc.record({ platform, annotations, subject: fc.nat(), attestation: fc.boolean(), digest: fc.nat(8) }), {
		maxLength: 9,
	})
	.map((list) => ({
		schemaVersion: 2,
		mediaType: "application/vnd.oci.image.index.v1+json",
		manifests: list.map((item): Descriptor => ({
			annotations: item.attestation
				? {
						...item.annotations,
						"vnd.docker.reference.digest": digestOf(list[item.subject % list.length]!.digest),
						"vnd.docker.reference.type": "attestation-manifest",
					}
				: item.annotations,
			platform: item.platform,
			size: 3,
			digest: digestOf(item.digest),
			mediaType: "application/vnd.oci.image.manifest.v1+json",
		})),
	}));

describe("normal form", () => {
	test("is its own normal form", () => {
		fc.assert(
			fc.property(index, (value) => {
				const once = normalizeManifest(value);
				expect(tabJson(normalizeManifest(once))).toBe(tabJson(once));
			}),
			{ seed, numRuns: 500 },
		);
	});

	test("does not depend on the order of keys", () => {
		fc.assert(
			fc.property(index, (value) => {
				const backwards = JSON.parse(
					JSON.stringify(value, (_, member: unknown) =>
						typeof member === "object" && member !== null && !Array.isArray(member)
							? orderedObject(Object.entries(member).toReversed())
							: member,
					),
				) as Index;
				expect(tabJson(normalizeManifest(backwards))).toBe(tabJson(normalizeManifest(value)));
			}),
			{ seed },
		);
	});

	test("loses and invents nothing", () => {
		fc.assert(
			fc.property(index, ({ manifests }) => {
				const sorted = sortManifests(manifests);
				expect(new Set(sorted)).toStrictEqual(new Set(manifests));
				expect(sorted).toHaveLength(manifests.length);
			}),
			{ seed },
		);
	});

	test("sorting again changes nothing, and every attestation of an image stands behind it", () => {
		fc.assert(
			fc.property(index, ({ manifests }) => {
				const sorted = sortManifests(manifests);
				expect(sortManifests(sorted)).toStrictEqual(sorted);
				const images = new Set(sorted.filter((item) => !isAttestation(item)).map(({ digest }) => digest));
				for (const [place, item] of sorted.entries()) {
					const subject = subjectOf(item);
					const first = sorted.findIndex(({ digest }) => digest === subject);
					expect(subject === undefined || !images.has(subject) || images.has(item.digest) || first < place).toBe(true);
				}
			}),
			{ seed, numRuns: 500 },
		);
	});

	test("annotations called __proto__ are kept as they are", () => {
		const annotations = JSON.parse('{"__proto__":"x","a":"y"}') as Record<string, string>;
		const value = normalizeManifest({ schemaVersion: 2, annotations, manifests: [] });
		expect(tabJson(value)).toContain('"__proto__": "x"');
	});

	test("what is no manifest is refused", () => {
		for (const value of [[], { layers: {} }, { config: [] }, { manifests: ["x"] }, { annotations: "x" }]) {
			expect(() => normalizeManifest(value)).toThrow(expect.objectContaining({ code: "layout" }));
		}
	});
});

describe("natural order", () => {
	test.each([
		["ascending", naturalAscending],
		["descending", naturalDescending],
	])("%s is an order", (_, compare) => {
		fc.assert(
			fc.property(version, version, version, (a, b, c) => {
				expect(Math.sign(compare(a, b))).toBe(-Math.sign(compare(b, a)) + 0);
				expect(compare(a, a)).toBe(0);
				fc.pre(compare(a, b) <= 0 && compare(b, c) <= 0);
				expect(compare(a, c)).toBeLessThanOrEqual(0);
			}),
			{ seed, numRuns: 2000 },
		);
	});

	test("numbers of any length are compared exactly", () => {
		expect(naturalAscending("99999999999999999998", "99999999999999999999")).toBeLessThan(0);
		expect(naturalAscending("v007", "v7")).toBe(0);
	});
});

describe("platforms from outside", () => {
	test("are normalised once and for all", () => {
		fc.assert(
			fc.property(platform, (value) => {
				const once = normalizeOutsidePlatform(value);
				expect(normalizeOutsidePlatform(once)).toStrictEqual(once);
				expect(samePlatform(value, once)).toBe(true);
			}),
			{ seed },
		);
	});

	test("are the same by os, architecture and variant", () => {
		const windows = { os: "windows", architecture: "amd64", "os.version": "10.0.1" };
		expect(samePlatform(windows, { ...windows, "os.version": "10.0.2" })).toBe(true);
		expect(
			samePlatform({ os: "linux", architecture: "aarch64" }, { os: "linux", architecture: "arm64", variant: "v8" }),
		).toBe(true);
		expect(
			samePlatform({ os: "linux", architecture: "arm", variant: "v6" }, { os: "linux", architecture: "arm" }),
		).toBe(false);
		expect(platformString({ os: "linux", architecture: "arm", variant: "v7" })).toBe("linux/arm/v7");
		expect(platformString({ os: "linux", architecture: "386", variant: "" })).toBe("linux/386");
	});

	test("are written and read", () => {
		for (const text of ["linux/amd64", "linux/arm/v7", "windows/amd64"]) {
			expect(platformString(parsePlatform(text))).toBe(text);
		}
		for (const text of ["", "linux", "linux/", "linux/arm/v7/x", "linux/arm/", "linux/a\nb"]) {
			expect(() => parsePlatform(text)).toThrow(expect.objectContaining({ code: "usage" }));
		}
	});

	test("belong to an architecture that is given, under its name", () => {
		const architectures = { mine: { platform: { os: "linux", architecture: "arm64" } } };
		expect(architectureOf({ os: "Linux", architecture: "aarch64" }, architectures)).toBe("mine");
		expect(architectureOf({ os: "linux", architecture: "arm64", variant: "v9" }, architectures)).toBeUndefined();
	});
});

test("Go's order: known fields in their order, empty ones and others dropped", () => {
	const descriptor = {
		artifactType: "",
		platform: { variant: "", "os.features": [], "os.version": "1", os: "linux", architecture: "amd64", extra: 1 },
		data: "",
		annotations: { b: "", "10": "x", "9": "y" },
		urls: [],
		size: 5,
		digest: digestOf(1),
		mediaType: "m",
		extra: 1,
	};
	const full: Descriptor = {
		artifactType: "t",
		platform: { variant: "v8", "os.features": ["f"], os: "linux", architecture: "arm64" },
		data: "e30=",
		annotations: {},
		urls: ["u"],
		size: 2,
		digest: digestOf(2),
		mediaType: "m",
	};
	const text = tabJson(
		goIndex({
			annotations: {},
			subject: full,
			manifests: [descriptor, full],
			artifactType: "a",
			mediaType: "i",
			schemaVersion: 2,
		}),
	).replaceAll(/\s/g, "");
	const second = `{"mediaType":"m","digest":"${digestOf(2)}","size":2,"urls":["u"],"data":"e30=","platform":{"architecture":"arm64","os":"linux","os.features":["f"],"variant":"v8"},"artifactType":"t"}`;
	expect(text).toBe(
		`{"schemaVersion":2,"mediaType":"i","artifactType":"a","manifests":[{"mediaType":"m","digest":"${digestOf(1)}","size":5,"annotations":{"10":"x","9":"y","b":""},"platform":{"architecture":"amd64","os":"linux","os.version":"1"}},${second}],"subject":${second}}`,
	);
});
