import { createHash } from "node:crypto";
import { BrewlineError } from "../errors.ts";
import { printable } from "../io/printable.ts";

export type DigestAlgorithm = "sha256" | "sha384" | "sha512";

const digits: Readonly<Record<DigestAlgorithm, number>> = { sha256: 64, sha384: 96, sha512: 128 };

export interface ParsedDigest {
	readonly algorithm: DigestAlgorithm;
	/** Lower-case hex: safe as a file name. */
	readonly encoded: string;
}

/** `ALGORITHM:HEX`: sha256, sha384 or sha512, lower-case, of the right length; undefined for all else. */
export function tryParseDigest(text: string): ParsedDigest | undefined {
	const match = /^(sha256|sha384|sha512):([0-9a-f]+)$/.exec(text);
	if (match === null) {
		return undefined;
	}
	const algorithm = match[1] as DigestAlgorithm;
	const encoded = match[2]!;
	return encoded.length === digits[algorithm] ? { algorithm, encoded } : undefined;
}

/** As `tryParseDigest`; throws `reference` with the reason. */
export function parseDigest(text: string): ParsedDigest {
	const parsed = tryParseDigest(text);
	if (parsed === undefined) {
		throw new BrewlineError("reference", `"${printable(text, 160)}" is not a digest`, {
			hint: "A digest is sha256:, sha384: or sha512: and lower-case hex digits: 64, 96 or 128 of them.",
		});
	}
	return parsed;
}

export function isDigest(text: string): boolean {
	return tryParseDigest(text) !== undefined;
}

/** `sha256:…` of bytes, or of text as UTF-8. */
export function sha256Of(content: Uint8Array | string): string {
	return `sha256:${createHash("sha256").update(content).digest("hex")}`;
}
