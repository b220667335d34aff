/**
 * Tar headers as the content checksum needs them, byte for byte (spec/sources.md, Content checksum). Libraries pad and
 * close numbers in other ways, so that the stream cannot be had from them.
 *
 * Names and targets are byte strings: one character (U+0000 to U+00FF) for each byte, as `buffer.toString("latin1")`
 * gives them, because git's names are bytes and need not be text.
 */
export interface TarEntry {
	/** Relative, as a byte string; a directory's ends with `/`. */
	readonly name: string;
	readonly type: "file" | "directory" | "symlink";
	/** Permission bits. */
	readonly mode: number;
	/** Bytes of content: of files only. */
	readonly size?: number;
	/** What a symlink points to, as a byte string. */
	readonly target?: string;
	/** Unix seconds; default 0, which is what checksums have. */
	readonly mtime?: number;
}

const blockSize = 512;
const nameSize = 100;
const prefixSize = 155;
const typeFlags = { file: "0", directory: "5", symlink: "2", extended: "x" } as const;

/** The largest content that a header can state: 8 GiB less one byte. */
export const maxTarSize = 0o77777777777;

/**
 * All blocks that stand before the content of one entry: its header and, where name or target do not fit into that,
 * an extended header before it. A name or target with a NUL byte, an empty one, or a size above `maxTarSize` is a
 * `RangeError`: the caller, who knows where it came from, is to check first.
 */
export function tarHeader(entry: TarEntry): Buffer {
	const { name, type, mode, size = 0, target = "", mtime = 0 } = entry;
	if (name === "" || name.includes("\0") || target.includes("\0") || (type === "symlink") !== (target !== ""))
		throw new RangeError("a name or target that fits no tar header");
	if (size > maxTarSize || mtime < 0 || mtime > maxTarSize) throw new RangeError("a number that fits no tar header");
	const numbers = { mode, size, mtime };
	const longTarget = target.length > nameSize || !isAscii(target);
	const split = name.length > nameSize ? splitName(name) : { prefix: "", rest: name };
	if (!longTarget && split !== undefined && isAscii(name))
		return block({ ...numbers, type, name: split.rest, prefix: split.prefix, target, deviceNumbers: true });

	const records: Buffer[] = [];
	if (longTarget) records.push(record("linkpath", target));
	if (name.length > nameSize || !isAscii(name)) records.push(record("path", name));
	const content = Buffer.concat(records);
	const header = block({
		mode: 0,
		size: content.length,
		mtime: 0,
		type: "extended",
		name: ascii(extendedName(name)).slice(0, nameSize).replace(/\/+$/, ""),
		prefix: "",
		target: "",
		deviceNumbers: false,
	});
	const own = block({
		...numbers,
		type,
		name: ascii(name),
		prefix: "",
		target: ascii(target),
		deviceNumbers: true,
	});
	return Buffer.concat([header, content, tarPadding(content.length), own]);
}

/** What fills up the last block of `size` bytes of content. */
export function tarPadding(size: number): Buffer {
	return Buffer.alloc((blockSize - (size % blockSize)) % blockSize);
}

/** The two empty blocks that close an archive (a checksum's stream has none). */
export const tarEndSize = 2 * blockSize;

interface Block {
	readonly type: keyof typeof typeFlags;
	readonly name: string;
	readonly prefix: string;
	readonly target: string;
	readonly mode: number;
	readonly size: number;
	readonly mtime: number;
	readonly deviceNumbers: boolean;
}

/** One ustar header block. */
function block(fields: Block): Buffer {
	const buffer = Buffer.alloc(blockSize);
	text(buffer, 0, nameSize, fields.name);
	octal(buffer, 100, 8, fields.mode);
	octal(buffer, 108, 8, 0);
	octal(buffer, 116, 8, 0);
	octal(buffer, 124, 12, fields.size);
	octal(buffer, 136, 12, fields.mtime);
	buffer.write(typeFlags[fields.type], 156, "latin1");
	text(buffer, 157, nameSize, fields.target);
	buffer.write("ustar\x0000", 257, "latin1");
	if (fields.deviceNumbers) {
		octal(buffer, 329, 8, 0);
		octal(buffer, 337, 8, 0);
	}
	buffer.write(fields.prefix, 345, "latin1");
	// The sum is taken with its own field filled with blanks.
	buffer.fill(" ", 148, 156);
	let sum = 0;
	for (const byte of buffer) sum += byte;
	buffer.write(`${sum.toString(8).padStart(6, "0")}\0 `, 148, "latin1");
	return buffer;
}

function octal(buffer: Buffer, offset: number, length: number, value: number): void {
	buffer.write(value.toString(8).padStart(length - 1, "0"), offset, "latin1");
}

/** Cuts what is too long; a slash that the cut left at the end becomes NUL, the first one of several. */
function text(buffer: Buffer, offset: number, length: number, value: string): void {
	buffer.write(value.slice(0, length), offset, "latin1");
	if (value.length <= length || value[length - 1] !== "/") return;
	let end = length;
	while (end > 0 && value[end - 1] === "/") end--;
	buffer[offset + end] = 0;
}

/** The two parts of a name that is too long for its own field, split at the one slash that is tried. */
function splitName(name: string): { readonly prefix: string; readonly rest: string } | undefined {
	const end = name.length > prefixSize + 1 ? prefixSize + 1 : name.endsWith("/") ? name.length - 1 : name.length;
	const at = name.slice(0, end).lastIndexOf("/");
	const rest = name.slice(at + 1);
	return at <= 0 || rest.length === 0 || rest.length > nameSize ? undefined : { prefix: name.slice(0, at), rest };
}

function extendedName(name: string): string {
	const at = name.lastIndexOf("/");
	const directory = at < 0 ? "" : name.slice(0, at + 1);
	return `${directory}PaxHeaders.0/${name.slice(at + 1)}`;
}

/** `LENGTH KEY=VALUE` and a newline, where the length counts its own digits. */
function record(key: string, value: string): Buffer {
	const bare = key.length + value.length + 3;
	let length = bare + String(bare).length;
	length = bare + String(length).length;
	return Buffer.from(`${length} ${key}=${value}\n`, "latin1");
}

/** Of a byte string without NUL. */
function isAscii(bytes: string): boolean {
	return !/[\x80-\xff]/.test(bytes);
}

function ascii(bytes: string): string {
	return bytes.replace(/[\x80-\xff]/g, "");
}
