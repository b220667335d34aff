import * as z from "zod/mini";
import { BrewlineError } from "../errors.ts";
import { printable } from "../io/printable.ts";
import { parseJsonObject, tabJson } from "../json/index.ts";
import { sha256Of } from "../oci/index.ts";

/** What is common to all hand-over files of ours (docs/design.md, Hand-over files). */
export interface HandoverFormat<T> {
	/** The value of the key `format`. */
	readonly format: string;
	readonly version: number;
	readonly schema: z.ZodMiniType<T>;
	/** Larger files are refused unread. */
	readonly maxBytes: number;
}

export interface ReadOptions {
	/** The file's name, for messages. */
	readonly file: string;
	/**
	 * `sha256:…` of the file, from where it can be believed. The bytes must have it; they are not checked against
	 * the schema again then, because their writer did that.
	 */
	readonly digest?: string;
}

/** Parses a hand-over file. Anything that is not exactly as expected is an error with the code `handover`. */
export function readHandover<T>(bytes: Uint8Array | string, format: HandoverFormat<T>, options: ReadOptions): T {
	const file = printable(options.file);
	if (options.digest !== undefined && sha256Of(bytes) !== options.digest) {
		throw new BrewlineError("handover", `${file} is not the file that was planned: its SHA-256 differs`, {
			hint: `expected ${printable(options.digest)}, found ${sha256Of(bytes)}; take both files from the same run`,
			at: { file },
		});
	}
	const value = parseJsonObject(bytes, { what: file, maxBytes: format.maxBytes });
	if (value["format"] !== format.format) {
		throw new BrewlineError(
			"handover",
			`${file} is no ${format.format} file: its "format" is ${shown(value["format"])}`,
			{ at: { file } },
		);
	}
	if (value["version"] !== format.version) {
		throw new BrewlineError(
			"handover",
			`${file} has version ${shown(value["version"])} of the format ${format.format}; this program knows version ${format.version}`,
			{ hint: "let the same version of Brewline write and read it", at: { file } },
		);
	}
	if (options.digest !== undefined) {
		return value as T;
	}
	return checked(value, format, file);
}

/** The canonical text of a hand-over file: tabs, keys in the schema's order, a final newline. Checks the schema. */
export function writeHandover<T>(value: T, format: HandoverFormat<T>, file: string): string {
	return tabJson(checked(value, format, file));
}

function checked<T>(value: unknown, format: HandoverFormat<T>, file: string): T {
	const result = format.schema.safeParse(value, { error: z.locales.en().localeError });
	if (!result.success) {
		const issues = result.error.issues.map((issue) => {
			const where = issue.path.map(String).join(".");
			return printable(`${where === "" ? "" : `${where}: `}${issue.message}`, 300);
		});
		const more = issues.length > 5 ? `; and ${issues.length - 5} more` : "";
		throw new BrewlineError("handover", `${file}: ${issues.slice(0, 5).join("; ")}${more}`, { at: { file } });
	}
	return result.data;
}

function shown(value: unknown): string {
	return value === undefined ? "missing" : printable(JSON.stringify(value), 60);
}
