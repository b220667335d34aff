import * as fc from "fast-check";
import { describe, expect, test } from "vitest";
import {
	compareCodePoints,
	goJson,
	orderedEntries,
	orderedKeys,
	orderedObject,
	parseJson,
	parseJsonObject,
	repeatedKeys,
	sortedByKey,
	tabJson,
	type JsonValue,
} from "./index.ts";

const seed = Number(process.env["FC_SEED"] ?? 1);
const options = { what: "the text", maxBytes: 1_000_000 };

/** Values with many keys that look like numbers, built with `orderedObject`. */
const { value: anyValue } = fc.letrec<{ value: JsonValue }>((tie) => ({
	value: fc.oneof(
		{ maxDepth: 4, withCrossShrink: true },
		fc.constantFrom<JsonValue>(null, true, false, 0, -1, 1.5, 9007199254740991),
		fc.string({ unit: "grapheme" }),
		fc.array(tie("value"), { maxLength: 4 }),
		fc
			.array(
				fc.tuple(
					fc.oneof(fc.constantFrom("10", "9", "0", "01", "a", "__proto__", "4294967295", "é\u007f"), fc.string()),
					tie("value"),
				),
				{ maxLength: 5 },
			)
			.map((entries) => orderedObject(entries)),
	),
}));

describe("order of keys", () => {
	test("keys that look like numbers stay where they were, through copies and additions", () => {
		const object = orderedObject([
			["b", 1],
			["10", 2],
			["9", 3],
		]);
		expect(orderedKeys(object)).toStrictEqual(["b", "10", "9"]);
		expect(orderedEntries({ ...object, "7": 4, b: 5 })).toStrictEqual([
			["b", 5],
			["10", 2],
			["9", 3],
			["7", 4],
		]);
		const { b: _, ...rest } = object;
		expect(tabJson(rest)).toBe('{\n\t"10": 2,\n\t"9": 3\n}\n');
	});

	test("__proto__ is a key like others", () => {
		const object = orderedObject([
			["__proto__", { polluted: true }],
			["a", {}],
		]);
		expect(Object.getPrototypeOf(object)).toBe(Object.prototype);
		expect(goJson(object)).toBe('{"__proto__":{"polluted":true},"a":{}}');
		const parsed = parseJson('{"1":0,"__proto__":{"polluted":true}}', options);
		expect(goJson(parsed)).toBe('{"1":0,"__proto__":{"polluted":true}}');
		expect((parsed as { polluted?: boolean }).polluted).toBeUndefined();
	});

	test("by code point, not by UTF-16 unit", () => {
		expect(["\u{10000}", "\uffff", "z", "", "é", "zz"].sort(compareCodePoints)).toStrictEqual([
			"",
			"z",
			"zz",
			"é",
			"\uffff",
			"\u{10000}",
		]);
		expect(goJson(sortedByKey({ b: 1, "10": 2, "9": 3 }))).toBe('{"10":2,"9":3,"b":1}');
	});

	test("by code point is the order of the bytes of UTF-8", () => {
		const text = fc.string({ unit: "binary" });
		fc.assert(
			fc.property(text, text, (a, b) => {
				expect(Math.sign(compareCodePoints(a, b))).toBe(Math.sign(Buffer.compare(Buffer.from(a), Buffer.from(b))));
			}),
			{ seed },
		);
	});
});

describe("depth", () => {
	test("is bounded, and brackets in strings do not count, whatever is escaped in them", () => {
		const nested = (depth: number, inner: string) => `${"[".repeat(depth)}${inner}${"]".repeat(depth)}`;
		const inner = fc
			.array(fc.constantFrom("[", "{", "]", '"', "\\", "a", "\n", "é"), { maxLength: 12 })
			.map((parts) => JSON.stringify(parts.join("")));
		fc.assert(
			fc.property(inner, inner, (key, value) => {
				const member = `{${key}: ${value}}`;
				expect(() => parseJson(nested(199, member), options)).not.toThrow();
				expect(() => parseJson(nested(200, member), options)).toThrow("nested more than 200 levels deep");
			}),
			{ seed },
		);
	});
});

describe("writing", () => {
	test("Go's escapes", () => {
		expect(goJson({ "<": "&>\u2028\u2029'é\u007f" })).toBe('{"\\u003c":"\\u0026\\u003e\\u2028\\u2029\'é\u007f"}');
		expect(
			goJson({
				parents: orderedObject([
					["b", "1"],
					["10", "<"],
				]),
			}),
		).toBe('{"parents":{"b":"1","10":"\\u003c"}}');
	});

	test("members that are undefined are left out, on both ways", () => {
		expect(tabJson({ a: undefined, b: [] })).toBe('{\n\t"b": []\n}\n');
		expect(goJson({ a: undefined, "1": [undefined, {}] })).toBe('{"1":[null,{}]}');
	});

	test("text that looks like a key with a number changes nothing", () => {
		const value = { text: '{"1": \n\t"2": ', list: ['"3":'] };
		expect(JSON.parse(tabJson(value))).toStrictEqual(value);
		expect(JSON.parse(goJson(value))).toStrictEqual(value);
	});

	test("what is no JSON is refused", () => {
		const circle: { self?: unknown } = {};
		circle.self = circle;
		expect(() => tabJson(circle)).toThrow(expect.objectContaining({ code: "internal" }));
		expect(() => goJson(undefined)).toThrow(expect.objectContaining({ code: "internal" }));
		let deep: JsonValue = orderedObject([["1", 1]]);
		for (let i = 0; i < 300; i++) {
			deep = [deep];
		}
		expect(() => tabJson(deep)).toThrow(expect.objectContaining({ code: "internal" }));
	});

	test("what is written reads back with the same bytes", () => {
		fc.assert(
			fc.property(anyValue, (value) => {
				const text = tabJson(value);
				expect(tabJson(parseJson(text, options))).toBe(text);
				expect(goJson(parseJson(goJson(value), options))).toBe(goJson(value));
			}),
			{ seed, numRuns: 500 },
		);
	});
});

describe("reading", () => {
	const read = (input: Uint8Array | string) => () => parseJson(input, { ...options, code: "layout" });

	test("what is not one JSON value in UTF-8", () => {
		for (const text of [
			"",
			"{",
			'{"a":1}{}',
			"\ufeff{}",
			"{'a':1}",
			'{"1":1,}',
			'{"1" 2}',
			'["\\udc00\\ud83d"]',
			'"\ud83d"',
		]) {
			expect(read(text)).toThrow(expect.objectContaining({ code: "layout" }));
		}
		expect(read(Buffer.from([0x22, 0xff, 0x22]))).toThrow("the text is not UTF-8");
	});

	test("what is too large, before it is decoded", () => {
		expect(() => parseJson(Buffer.alloc(11, 0xff), { what: "x", maxBytes: 10 })).toThrow("x is 11 bytes long");
		expect(() => parseJson('"ééééé"', { what: "x", maxBytes: 10 })).toThrow("x is 12 bytes long");
		expect(parseJson('"éééé"', { what: "x", maxBytes: 10 })).toBe("éééé");
	});

	test("what is too deep; brackets in text do not count", () => {
		expect(read("[".repeat(201) + "]".repeat(201))).toThrow("levels deep");
		expect(read('{"1":'.repeat(100_000))).toThrow("levels deep");
		expect(parseJson(`["\\"${"[".repeat(1000)}"]`, options)).toStrictEqual([`"${"[".repeat(1000)}`]);
		expect(() => parseJson("[".repeat(200) + "]".repeat(200), options)).not.toThrow();
	});

	test("a long string beside a key that looks like a number", () => {
		const text = `{"1":"${"\\\\x".repeat(200_000)}"}`;
		expect(JSON.stringify(parseJson(text, options)) === text).toBe(true);
	});

	test("an object where one must be", () => {
		expect(parseJsonObject("{}", options)).toStrictEqual({});
		for (const text of ["[]", "null", "1", '"{}"']) {
			expect(() => parseJsonObject(text, options)).toThrow("the text must be a JSON object");
		}
	});

	test("the same value as the engine's own parser", () => {
		fc.assert(
			fc.property(fc.json({ maxDepth: 4 }), (text) => {
				expect(JSON.stringify(parseJson(text, options))).toBe(JSON.stringify(JSON.parse(text)));
				const odd = `{"1":${text}, "\\u0032" : ${text}}`;
				expect(JSON.stringify(parseJson(odd, options))).toBe(JSON.stringify(JSON.parse(odd)));
			}),
			{ seed },
		);
	});
});

describe("keys that stand twice", () => {
	test("are told with their places, each in its own object, however they are written", () => {
		expect(
			repeatedKeys('{\n "a": {"a": [{"b": 1}, {"b": "\\"a\\":"}]},\n "\\u0061" : 2, "c": ["c", "c"], "a":\n3}'),
		).toStrictEqual([
			{ key: "a", line: 3, column: 2, earlier: 2 },
			{ key: "a", line: 3, column: 33, earlier: 2 },
		]);
		expect(repeatedKeys('{"__proto__": 1, "constructor": {}, "__proto__": 2}')).toMatchObject([{ key: "__proto__" }]);
		expect(repeatedKeys('"a"')).toStrictEqual([]);
		expect(repeatedKeys(`{${'"a": 1, '.repeat(1000)}"b": 2}`)).toHaveLength(20);
	});

	test("are none of what was written from a value", () => {
		fc.assert(
			fc.property(anyValue, (value) => {
				expect(repeatedKeys(tabJson(value))).toStrictEqual([]);
			}),
			{ seed },
		);
	});
});
