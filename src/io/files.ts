import { mkdir, rename, rm, writeFile } from "node:fs/promises";
import path from "node:path";

/** Writes a file whole or not at all, also where this process is killed. The folder is made where it is missing. */
export async function writeWhole(file: string, text: string | Uint8Array): Promise<void> {
	await mkdir(path.dirname(file), { recursive: true });
	const part = `${file}.${process.pid}.part`;
	try {
		await writeFile(part, text);
		await rename(part, file);
	} catch (error) {
		await rm(part, { force: true });
		throw error;
	}
}
