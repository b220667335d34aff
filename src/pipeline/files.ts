import { constants } from "node:fs";
import { open, readFile } from "node:fs/promises";
import { BrewlineError } from "../errors.ts";

/** A file's bytes; undefined where there is none. */
export async function readIfThere(file: string): Promise<Buffer | undefined> {
	try {
		return await readFile(file);
	} catch (error) {
		if ((error as NodeJS.ErrnoException).code === "ENOENT") return undefined;
		throw new BrewlineError("handover", `cannot read ${file}`, { cause: error });
	}
}

/** A hand-over file that an earlier step must have written; where it cannot be used, the error says which step that is. */
export async function readRequired<T>(file: string, step: string, read: (bytes: Buffer) => T): Promise<T> {
	const bytes = await readIfThere(file);
	if (bytes === undefined) {
		throw new BrewlineError("handover", `there is no ${file}`, { hint: `it is written by: brewline ${step}` });
	}
	try {
		return read(bytes);
	} catch (error) {
		if (!(error instanceof BrewlineError) || error.hint !== undefined) throw error;
		const hint = `have it written anew: brewline ${step}`;
		throw new BrewlineError(error.code, error.message, { hint, at: error.at ?? { file }, cause: error });
	}
}

/**
 * The bytes of a file that anybody may have put there: no link is followed, nothing but a file is read, and none that is
 * larger than `limit` bytes. Where there is none, the system's own error (`ENOENT`) is thrown.
 */
export async function readForeign(file: string, limit: number): Promise<Buffer> {
	// Opening a pipe would wait for its writer.
	const flags = constants.O_RDONLY | (constants.O_NOFOLLOW ?? 0) | (constants.O_NONBLOCK ?? 0);
	const handle = await open(file, flags).catch((error: unknown) => {
		if ((error as NodeJS.ErrnoException).code !== "ELOOP") throw error;
		throw new BrewlineError("handover", `${file} is no file, but a link`);
	});
	try {
		const found = await handle.stat();
		if (!found.isFile()) throw new BrewlineError("handover", `${file} is no file`);
		if (found.size > limit) throw new BrewlineError("handover", `${file} has ${found.size} bytes`);
		return await handle.readFile();
	} finally {
		await handle.close();
	}
}
