import { createHash } from "node:crypto";

/** What a source is: its content, and how it is built (spec/sources.md, Source id). */
export function sourceIdOf(checksum: string, file: string, builder: string): string {
	return createHash("sha256").update(`${checksum}\n${file}\n${builder}\n`).digest("hex");
}
