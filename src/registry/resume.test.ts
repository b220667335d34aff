import { once } from "node:events";
import { Readable } from "node:stream";
import { setImmediate as soon } from "node:timers/promises";
import { describe, expect, test } from "vitest";
import { BrewlineError } from "../errors.ts";
import { contentCheck, digestOfBytes, type ContentCheck } from "./digest.ts";
import { createPace } from "./pace.ts";
import { resumed, type Part, type Resuming } from "./resume.ts";

// What the client's own tests do not come to: a body that ends in each way before, while and after it is wanted.

const content = Buffer.from("0123456789");
const described = { digest: digestOfBytes(content), size: content.length };
const unchecked: ContentCheck = { take: (piece) => piece, end: () => undefined };
const reset = Object.assign(new Error("reset"), { code: "ECONNRESET" });

/** From `at` on, and then an end of this kind. */
function part(at: number, text: string, end: "whole" | "cut" | Error): Part {
	async function* pieces(): AsyncGenerator<Buffer> {
		for (const letter of text) yield Buffer.from(letter);
		await soon();
		if (end instanceof Error) throw end;
	}
	return { body: Readable.from(pieces(), { objectMode: false }), at };
}

function reading(first: Part, more: readonly Part[] = [], change: Partial<Resuming> = {}) {
	const rest = [...more];
	const asked: string[] = [];
	const whole = resumed(first, {
		size: content.length,
		doing: "reading it",
		tries: 4,
		pace: () => createPace({ now: () => 0 }),
		signal: new AbortController().signal,
		check: contentCheck(described, "it"),
		again: (position, failures) => {
			asked.push(`${position} after ${failures}`);
			return Promise.resolve(rest.shift()!);
		},
		...change,
	});
	return { whole, asked };
}

const textOf = async (whole: Readable): Promise<string> => Buffer.concat(await whole.toArray()).toString();

describe("a body", () => {
	test("goes on where it broke off, was cut off, and where another part begins before that", async () => {
		const more = [part(3, "34", "cut"), part(0, "012345", reset), part(6, "6789", "whole")];
		const { whole, asked } = reading(part(0, "012", reset), more);
		expect(await textOf(whole)).toBe(content.toString());
		expect(asked).toEqual(["3 after 0", "5 after 1", "6 after 2"]);
	});

	test("goes on as long as each brings a good part, however often it breaks; with less it ends", async () => {
		const long = (at: number, bytes: number): Part => {
			async function* pieces(): AsyncGenerator<Buffer> {
				yield Buffer.alloc(bytes);
				await soon();
				throw reset;
			}
			return { body: Readable.from(pieces(), { objectMode: false }), at };
		};
		const mebibyte = 1024 * 1024;
		const size = 8 * mebibyte;
		const again = (position: number): Promise<Part> => Promise.resolve(long(position, mebibyte));
		const { whole } = reading(long(0, mebibyte), [], { size, again, check: unchecked });
		expect((await Array.fromAsync(whole)).reduce((sum, { length }) => sum + length, 0)).toBe(size);

		const few = (position: number): Promise<Part> => Promise.resolve(long(position, mebibyte - 1));
		await expect(
			reading(long(0, mebibyte), [], { size, again: few, check: unchecked }).whole.toArray(),
		).rejects.toThrow("broke off");
	});

	test("goes on in the middle of a piece of what comes from the beginning again", async () => {
		const body = Readable.from(
			["01234", "56789"].map((piece) => Buffer.from(piece)),
			{ objectMode: false },
		);
		const { whole } = reading(part(0, "012", reset), [{ body, at: 0 }]);
		expect(await textOf(whole)).toBe(content.toString());
	});

	test("that broke before anybody read it goes on, too, however it broke", async () => {
		for (const error of [undefined, reset]) {
			const first = part(0, "0123456789", "whole");
			first.body.once("error", () => {});
			first.body.destroy(error);
			await soon();
			const { whole, asked } = reading(first, [part(0, "0123456789", "whole")]);
			expect(await textOf(whole)).toBe(content.toString());
			expect(asked).toEqual(["0 after 0"]);
		}
	});

	test.each<[string, Part, Part[], string]>([
		["other bytes", part(0, "012345678X", "whole"), [], "it has the digest"],
		["other bytes, and breaks at its end", part(0, "012345678X", reset), [], "it has the digest"],
		["other bytes in one of its parts", part(0, "01X", reset), [part(3, "3456789", "whole")], "it has the digest"],
		["more bytes", part(0, "01234567890", "whole"), [], "it has more than its 10 bytes"],
	])("that has %s fails before its last piece", async (_, first, more, message) => {
		const { whole, asked } = reading(first, more);
		const got: Buffer[] = [];
		whole.on("data", (piece: Buffer) => got.push(piece));
		await expect(once(whole, "end")).rejects.toThrow(message);
		expect(got.length).toBeLessThan(content.length);
		expect(asked).toHaveLength(more.length);
	});

	test("that nobody wants any more ends, and so does what is asked for meanwhile", async () => {
		const first = part(0, "01", reset);
		const { whole } = reading(first);
		whole.destroy();
		await soon();
		expect(first.body.destroyed).toBe(true);

		const next = part(2, "23456789", "whole");
		const { promise: waits, resolve: asks } = Promise.withResolvers<void>();
		const { promise: given, resolve: give } = Promise.withResolvers<Part>();
		const again = (): Promise<Part> => {
			asks();
			return given;
		};
		const late = reading(part(0, "01", reset), [], { again });
		late.whole.resume();
		await waits;
		late.whole.destroy();
		give(next);
		await soon();
		expect(next.body.destroyed).toBe(true);
	});

	test("is taken in no faster than it is wanted", async () => {
		let given = 0;
		const body = new Readable({
			highWaterMark: 1000,
			read() {
				given += 1000;
				this.push(Buffer.alloc(1000));
			},
		});
		const { whole } = reading({ body, at: 0 }, [], { size: Infinity, check: unchecked });
		whole.once("readable", () => {});
		for (let turn = 0; turn < 200; turn++) await soon();
		expect(given).toBeLessThan(whole.readableHighWaterMark + 10_000);
		const before = given;
		whole.read();
		for (let turn = 0; turn < 200; turn++) await soon();
		expect(given).toBeGreaterThan(before);
		whole.destroy();
	});

	test.each<[string, Part, Partial<Resuming>, string]>([
		["an error of ours", part(0, "01", new BrewlineError("digest", "ours")), {}, "ours"],
		["what is no connection's", part(0, "01", new Error("no")), {}, "reading it broke off after 2 of 10 bytes"],
		["the last try", part(0, "01", reset), { tries: 1 }, "reading it broke off after 2 of 10 bytes"],
		[
			"one that was ended",
			part(0, "01", reset),
			{ signal: AbortSignal.abort() },
			"reading it broke off after 2 of 10 bytes",
		],
		["another that is not given", part(0, "01", reset), { again: () => Promise.reject(new Error("gone")) }, "gone"],
	])("ends with %s", async (_, first, change, message) => {
		await expect(textOf(reading(first, [], change).whole)).rejects.toThrow(message);
	});
});
