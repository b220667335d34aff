import { BrewlineError } from "../errors.ts";
import { counted, printable } from "../io/printable.ts";
import type { Io } from "../io/types.ts";
import type { Proposal } from "./types.ts";

/** What came of an image's proposal, where several are made one after the other. */
export type Attempt =
	| { readonly image: string; readonly proposal: Proposal }
	| { readonly image: string; readonly error: BrewlineError };

/** Proposes an image, so that others can be tried if it fails. Being ended, and defects, end all of them. */
export async function attempt(image: string, io: Io, propose: () => Promise<Proposal>): Promise<Attempt> {
	try {
		return { image, proposal: await propose() };
	} catch (error) {
		if (io.signal.aborted || !(error instanceof BrewlineError)) throw error;
		return { image, error };
	}
}

/** What failed in all of them, by the code of the first that did; undefined: nothing. */
export function failureOf(attempts: readonly Attempt[]): BrewlineError | undefined {
	const failed = attempts.flatMap((one) => ("error" in one ? [one] : []));
	const [first] = failed;
	if (first === undefined) return undefined;
	return new BrewlineError(first.error.code, `${failed.length} of ${counted(attempts.length, "proposal")} failed`, {
		cause: first.error,
		errors: failed.flatMap(({ image, error }) => partsOf(error).map((part) => ofImage(image, part))),
	});
}

function partsOf(error: BrewlineError): readonly BrewlineError[] {
	return error.errors.length === 0 ? [error] : error.errors.flatMap(partsOf);
}

function ofImage(image: string, error: BrewlineError): BrewlineError {
	const { code, message, hint, at } = error;
	return new BrewlineError(code, `${printable(image, 150)}: ${message}`, {
		cause: error,
		...(hint === undefined ? {} : { hint }),
		...(at === undefined ? {} : { at }),
	});
}
