import * as fc from "fast-check";
import { unpackTar } from "modern-tar";
import { describe, expect, test } from "vitest";
import { maxTarSize, tarEndSize, tarHeader, tarPadding, type TarEntry } from "./index.ts";

const seed = Number(process.env["FC_SEED"] ?? 1);

/** One field of a block, with NULs and blanks as they stand there. */
function field(block: Buffer, offset: number, length: number): string {
	return block.toString("latin1", offset, offset + length);
}

const file = (name: string): TarEntry => ({ name, type: "file", mode: 0o664, size: 5 });

describe("a plain header", () => {
	test("has every field where ustar has it", () => {
		const block = tarHeader({ name: "conf/app.conf", type: "file", mode: 0o775, size: 0o12345, mtime: 8 });
		expect(block).toHaveLength(512);
		expect(field(block, 0, 100)).toBe("conf/app.conf".padEnd(100, "\0"));
		expect(field(block, 100, 8)).toBe("0000775\0");
		expect(field(block, 108, 16)).toBe("0000000\x000000000\0");
		expect(field(block, 124, 12)).toBe("00000012345\0");
		expect(field(block, 136, 12)).toBe("00000000010\0");
		expect(field(block, 148, 8)).toMatch(/^[0-7]{6}\0 $/);
		expect(field(block, 156, 1)).toBe("0");
		expect(field(block, 157, 100)).toBe("\0".repeat(100));
		expect(field(block, 257, 8)).toBe("ustar\x0000");
		expect(field(block, 265, 64)).toBe("\0".repeat(64));
		expect(field(block, 329, 16)).toBe("0000000\x000000000\0");
		expect(field(block, 345, 167)).toBe("\0".repeat(167));
		const sum = block.reduce((sum, byte, at) => sum + (at >= 148 && at < 156 ? 32 : byte), 0);
		expect(Number.parseInt(field(block, 148, 6), 8)).toBe(sum);
	});

	test("splits a long name at the last slash of its first 156 bytes, and at no other", () => {
		const split = (name: string) => {
			const header = tarHeader(file(name));
			return header.length === 512
				? [field(header, 345, 155), field(header, 0, 100)].map((text) => text.replace(/\0+$/, ""))
				: null;
		};
		const a = "a".repeat(60);
		expect(split(`${a}/${a}`)).toEqual([a, a]);
		expect(split(`${"a".repeat(155)}/${"b".repeat(100)}`)).toEqual(["a".repeat(155), "b".repeat(100)]);
		expect(split(`${"a".repeat(156)}/b`)).toBeNull();
		expect(split(`x/${"b".repeat(101)}`)).toBeNull();
		// A slash further left would fit; it is not tried.
		expect(split(`${a}/b/${"c".repeat(101)}`)).toBeNull();
		expect(split("a".repeat(100))).toEqual(["", "a".repeat(100)]);
		expect(split("a".repeat(101))).toBeNull();
		const directory = tarHeader({ name: `${a}/${a}/`, type: "directory", mode: 0o775 });
		expect(field(directory, 345, 60)).toBe(a);
		expect(field(directory, 0, 61)).toBe(`${a}/`);
	});
});

describe("an extended header", () => {
	test("stands before the entry's own, without device numbers and with its records as bytes", () => {
		const name = Buffer.from("é".repeat(3)).toString("latin1");
		const header = tarHeader(file(`d/${name}.txt`));
		expect(header).toHaveLength(512 * 3);
		expect(field(header, 156, 1)).toBe("x");
		expect(field(header, 0, 100).replace(/\0+$/, "")).toBe("d/PaxHeaders.0/.txt");
		expect(field(header, 100, 8)).toBe("0000000\0");
		expect(field(header, 329, 16)).toBe("\0".repeat(16));
		const record = `21 path=d/${name}.txt\n`;
		expect(record).toHaveLength(21);
		expect(field(header, 512, record.length + 1)).toBe(`${record}\0`);
		expect(field(header, 124, 12)).toBe("00000000025\0");
		expect(field(header, 1024, 100).replace(/\0+$/, "")).toBe("d/.txt");
		expect(field(header, 1024 + 345, 155)).toBe("\0".repeat(155));
	});

	test("counts its length's own digits", () => {
		for (let length = 101; length < 1100; length++) {
			const header = tarHeader({ name: "l", type: "symlink", mode: 0o777, target: "t".repeat(length) });
			const size = Number.parseInt(field(header, 124, 11), 8);
			const text = field(header, 512, size);
			expect(text).toBe(`${size} linkpath=${"t".repeat(length)}\n`);
		}
	});

	test("has the target before the name, and cuts both in the entry's own block", () => {
		const header = tarHeader({ name: "n".repeat(200), type: "symlink", mode: 0o777, target: `${"t".repeat(99)}/x` });
		const own = header.subarray(header.length - 512);
		expect(header.toString("latin1", 512)).toMatch(/^\d+ linkpath=t{99}\/x\n\d+ path=n{200}\n/);
		expect(field(own, 0, 100)).toBe("n".repeat(100));
		// A cut that leaves a slash at the end makes it NUL.
		expect(field(own, 157, 100)).toBe(`${"t".repeat(99)}\0`);
	});
});

test("what fits no header is refused", () => {
	expect(() => tarHeader(file(""))).toThrow(RangeError);
	expect(() => tarHeader(file("a\0"))).toThrow(RangeError);
	expect(() => tarHeader({ ...file("a"), size: maxTarSize + 1 })).toThrow(RangeError);
	expect(() => tarHeader({ ...file("a"), mtime: -1 })).toThrow(RangeError);
	expect(() => tarHeader({ name: "a", type: "symlink", mode: 0o777, target: "" })).toThrow(RangeError);
	expect(() => tarHeader({ name: "a", type: "symlink", mode: 0o777, target: "x\0" })).toThrow(RangeError);
	expect(() => tarHeader({ ...file("a"), target: "x" })).toThrow(RangeError);
});

test("a reader that is not ours finds the names, targets and contents that went in", async () => {
	const part = fc.stringMatching(/^[a-zé.€ -]{1,90}$/).filter((part) => !/^\.+$/.test(part) && part.trim() === part);
	const path = fc.array(part, { minLength: 1, maxLength: 5 }).map((parts) => parts.join("/"));
	await fc.assert(
		fc.asyncProperty(
			fc.uniqueArray(fc.tuple(path, path, fc.uint8Array({ maxLength: 1100 })), { maxLength: 6 }),
			async (entries) => {
				const bytes = (text: string) => Buffer.from(text).toString("latin1");
				const parts: Buffer[] = [];
				for (const [name, target, content] of entries) {
					parts.push(tarHeader({ name: bytes(name), type: "file", mode: 0o644, size: content.length }));
					parts.push(Buffer.from(content), tarPadding(content.length));
					parts.push(tarHeader({ name: bytes(`${name}/`), type: "directory", mode: 0o755 }));
					parts.push(tarHeader({ name: bytes(name), type: "symlink", mode: 0o777, target: bytes(target) }));
				}
				parts.push(Buffer.alloc(tarEndSize));
				const read = await unpackTar(Buffer.concat(parts), { strict: true });
				expect(
					read.map(({ header, data }) => [
						header.name,
						header.type,
						header.linkname ?? "",
						Buffer.from(data ?? []).toString("hex"),
					]),
				).toEqual(
					entries.flatMap(([name, target, content]) => [
						[name, "file", "", Buffer.from(content).toString("hex")],
						[`${name}/`, "directory", "", ""],
						[name, "symlink", target, ""],
					]),
				);
			},
		),
		{ seed, numRuns: 200 },
	);
});
