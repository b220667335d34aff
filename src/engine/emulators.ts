import { readdir, readFile, writeFile } from "node:fs/promises";
import path from "node:path";
import { BrewlineError, messageOf } from "../errors.ts";
import { exists } from "./packages.ts";

export const emulatorFolder = "/proc/sys/fs/binfmt_misc";

/** A registration of binfmt_misc: programs whose first bytes, masked, are these go to that interpreter. */
export interface Registration {
	readonly name: string;
	readonly magic: Buffer;
	readonly mask: Buffer;
	readonly offset: number;
	readonly interpreter: string;
	readonly flags: string;
	readonly enabled: boolean;
}

/** Reads what the kernel shows of one registration. Undefined where it goes by the ending of a name. */
function parseRegistration(name: string, text: string): Registration | undefined {
	const field = (pattern: RegExp) => pattern.exec(text)?.[1];
	const magic = Buffer.from(field(/^magic ([0-9a-f]+)$/m) ?? "", "hex");
	if (magic.length === 0) return undefined;
	const mask = field(/^mask ([0-9a-f]+)$/m);
	return {
		name,
		magic,
		mask: mask === undefined ? Buffer.alloc(magic.length, 0xff) : Buffer.from(mask, "hex"),
		offset: Number(field(/^offset (\d+)$/m) ?? 0),
		interpreter: field(/^interpreter (.+)$/m) ?? "",
		flags: field(/^flags: ?([A-Z]*)$/m) ?? "",
		enabled: /^enabled$/m.test(text),
	};
}

/** The registrations of this machine; none where binfmt_misc is not mounted. */
export async function readRegistrations(folder = emulatorFolder): Promise<Registration[]> {
	const found: Registration[] = [];
	for (const name of await readdir(folder).catch(() => [])) {
		if (name === "register" || name === "status") continue;
		const text = await readFile(path.join(folder, name), "utf8").catch(() => "");
		const registration = parseRegistration(name, text);
		if (registration !== undefined) found.push(registration);
	}
	return found;
}

/** A line of a `binfmt.d` file (binfmt.d(5)): `:name:M:offset:magic:mask:interpreter:flags`. */
function parseBinfmtLine(line: string): Registration {
	const [, name, type, offset, magic, mask, interpreter, flags] = line.trim().split(line.trim()[0] ?? ":");
	if (name === undefined || type !== "M" || magic === undefined || interpreter === undefined)
		throw new BrewlineError("engine", "an emulator's registration cannot be read");
	const bytes = unescape(magic);
	return {
		name,
		magic: bytes,
		mask: mask === undefined || mask === "" ? Buffer.alloc(bytes.length, 0xff) : unescape(mask),
		offset: Number(offset === "" ? 0 : offset),
		interpreter,
		flags: flags ?? "",
		enabled: true,
	};
}

function unescape(text: string): Buffer {
	return Buffer.from(
		text.replace(/\\x([0-9a-fA-F]{2})/g, (_, digits: string) => String.fromCharCode(Number.parseInt(digits, 16))),
		"latin1",
	);
}

/**
 * Whether a program that `wanted` is for is already taken by `there`, in containers too: only with the flag F does the
 * kernel hold the interpreter open.
 */
function covers(there: Registration, wanted: Registration): boolean {
	return (
		there.enabled &&
		there.flags.includes("F") &&
		there.offset === wanted.offset &&
		there.magic.length <= wanted.magic.length &&
		there.magic.every((byte, index) => (byte & there.mask[index]!) === (wanted.magic[index]! & there.mask[index]!))
	);
}

/** What the kernel is to be told; the delimiter is one that the path does not hold. */
function registerLine(registration: Registration): string {
	const delimiter = [":", ",", ";", "|", "!"].find((character) => !registration.interpreter.includes(character));
	const line = [
		"",
		registration.name,
		"M",
		String(registration.offset),
		escape(registration.magic),
		escape(registration.mask),
		registration.interpreter,
		registration.flags,
	].join(delimiter ?? ":");
	// Longer ones the kernel refuses (MAX_REGISTER_LENGTH).
	if (delimiter === undefined || line.length > 1920)
		throw new BrewlineError("engine", "the folder of the emulators has a name that the kernel cannot take");
	return line;
}

function escape(bytes: Buffer): string {
	return bytes.toString("hex").replace(/../g, (byte) => `\\x${byte}`);
}

/**
 * What has to be registered so that programs of `qemu` (QEMU's name of an architecture) run: undefined where something
 * is registered already. `root` is where Debian's `qemu-user-static` was unpacked.
 */
export async function wantedRegistration(
	root: string,
	qemu: string,
	there: readonly Registration[],
): Promise<Registration | undefined> {
	const file = path.join(root, "usr/lib/binfmt.d", `qemu-${qemu}.conf`);
	if (!(await exists(file))) throw new BrewlineError("engine", `Debian has no emulator for ${qemu} on this machine`);
	const line = parseBinfmtLine(await readFile(file, "utf8"));
	if (there.some((registration) => covers(registration, line))) return undefined;
	return { ...line, name: `brewline-${qemu}`, interpreter: path.join(root, line.interpreter), flags: "POF" };
}

export async function register(registration: Registration): Promise<void> {
	await writeFile(path.join(emulatorFolder, "register"), registerLine(registration)).catch((error: unknown) => {
		throw new BrewlineError("engine", `cannot register ${registration.name}: ${messageOf(error)}`, { cause: error });
	});
}
