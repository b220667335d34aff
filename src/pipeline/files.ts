import { constants } from "node:fs";
import { open } from "node:fs/promises";
import { BrewlineError } from "../errors.ts";

/** Bytes of a hand-over file; Docker's own `sources.json` and `builds.json` have less than a tenth. */
const maxBytes = 256 * 1024 * 1024;

/** A file's bytes; undefined where there is none. As `readForeign`: it may have come as an artifact of any job. */
export async function readIfThere(file: string, limit = maxBytes): Promise<Buffer | undefined> {
	try {
		return await readForeign(file, limit);
	} catch (error) {
		if (error instanceof BrewlineError) throw error;
		if ((error as NodeJS.ErrnoException).code === "ENOENT") return undefined;
		throw new BrewlineError("handover", `cannot read ${file}`, { cause: error });
	}
}

/** A hand-over file that an earlier step must have written; where it cannot be used, the error says which step that is. */
export async function readRequired<T>(
	file: string,
	step: string,
	read: (bytes: Buffer) => T,
	limit?: number,
): Promise<T> {
	const bytes = await readIfThere(file, limit);
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
		if (found.size > limit)
			throw new BrewlineError("handover", `${file} has ${found.size} bytes; at most ${limit} are read`);
		return await handle.readFile();
	} finally {
		await handle.close();
	}
}
