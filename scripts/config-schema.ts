/**
 * Writes what is made from the schema of `brewline.yaml`: the JSON Schema for editors, and the tables of docs/images.md.
 * `node scripts/config-schema.ts` writes; a test fails where they are stale.
 */
import { mkdir, readFile, writeFile } from "node:fs/promises";
import path from "node:path";
import * as z from "zod/mini";
import { configSchema } from "../src/config/index.ts";
import { tabJson } from "../src/json/index.ts";

const root = path.dirname(import.meta.dirname);
const schemaFile = path.join(root, "schemas/brewline.schema.json");
const pageFile = path.join(root, "docs/images.md");

/** As far as zod writes it. */
interface JsonSchema {
	$ref?: string;
	type?: string;
	enum?: readonly (string | number | boolean)[];
	const?: string | number | boolean;
	description?: string;
	properties?: Record<string, JsonSchema>;
	required?: readonly string[];
	additionalProperties?: JsonSchema | boolean;
	propertyNames?: JsonSchema;
	items?: JsonSchema;
	anyOf?: readonly JsonSchema[];
	allOf?: readonly JsonSchema[];
	definitions?: Record<string, JsonSchema>;
}

/** What the files should hold, by their paths. */
export async function schemaFiles(): Promise<ReadonlyMap<string, string>> {
	const schema = z.toJSONSchema(configSchema, { target: "draft-7", io: "input" }) as JsonSchema;
	describeProgram(schema, await readFile(path.join(root, "docs/configuration.md"), "utf8"));
	const page = await readFile(pageFile, "utf8");
	return new Map([
		[schemaFile, tabJson({ $schema: schema["$schema" as never], title: "brewline.yaml", ...schema })],
		[pageFile, replaced(page, sections(schema.definitions ?? {}))],
	]);
}

/** The block `program` has its descriptions in the tables of its page. */
function describeProgram(schema: JsonSchema, page: string): void {
	for (const [, key = "", meaning = ""] of page.matchAll(/^\| `(program[^`]*)` \| .*? ?\| (.*) \|$/gm)) {
		let at: JsonSchema | undefined = schema;
		for (const part of key.split(".")) {
			const record: JsonSchema | boolean | undefined = at?.additionalProperties;
			const below: JsonSchema | undefined = typeof record === "object" ? record : at?.items;
			at = at?.properties?.[part] ?? below?.anyOf?.find(({ type }) => type === "object") ?? below;
		}
		if (at !== undefined) at.description = meaning.replaceAll(/`|\[([^\]]*)\]\([^)]*\)/g, "$1");
	}
}

const begin = "<!-- written from the schema by scripts/config-schema.ts -->";
const end = "<!-- end -->";

function replaced(page: string, text: string): string {
	const [before, rest] = page.split(begin);
	const after = rest?.split(end)[1];
	if (before === undefined || after === undefined) throw new Error(`${pageFile} has no markers for its tables`);
	return `${before}${begin}\n\n${text}\n${end}${after}`;
}

/** One section for each part that has a name, the image first. */
function sections(definitions: Readonly<Record<string, JsonSchema>>): string {
	const names = Object.keys(definitions).filter((name) => name !== "image");
	return ["image", ...names].map((name) => section(name, definitions[name]!)).join("\n");
}

function section(name: string, schema: JsonSchema): string {
	const lines = [`## \`${name}\``, "", sentence(schema.description ?? "")];
	if (schema.anyOf === undefined) lines.push("", ...table(rowsOf(schema, "")));
	else {
		const objects = schema.anyOf.filter(({ properties }) => properties !== undefined);
		const common = commonKeys(objects);
		lines.push("", schema.anyOf.length > objects.length ? "A text, or an object with one of these:" : "One of these:");
		const rows = objects.flatMap((object) => {
			const [first, ...others] = rowsOf(object, "").filter(({ key }) => !common.has(key));
			const prefix = objects.length === 1 ? "" : `With \`${first!.key}\`: `;
			return [first!, ...others.map((row) => ({ ...row, meaning: prefix + row.meaning }))];
		});
		lines.push("", ...table(rows));
		const shared = rowsOf(objects[0]!, "").filter(({ key }) => common.has(key));
		if (shared.length > 0) lines.push("", "With each of them:", "", ...table(shared));
	}
	return `${lines.join("\n")}\n`;
}

function commonKeys(objects: readonly JsonSchema[]): ReadonlySet<string> {
	const [first, ...others] = objects.map(({ properties = {} }) => Object.keys(properties));
	return new Set(first?.filter((key) => others.length > 0 && others.every((keys) => keys.includes(key))));
}

interface TableRow {
	readonly key: string;
	readonly form: string;
	readonly meaning: string;
}

/** The keys of an object, and of those in it that have no section of their own. */
function rowsOf({ properties = {}, required = [], additionalProperties }: JsonSchema, prefix: string): TableRow[] {
	const rows = Object.entries(properties).flatMap(([key, value]): TableRow[] => {
		const name = `${prefix}${key}`;
		const form = `${formOf(value)}${required.includes(key) ? ", required" : ""}`;
		const inner = value.items ?? value;
		const below =
			inner.properties === undefined ? [] : rowsOf(inner, `${name}${value.items === undefined ? "" : ".N"}.`);
		return [{ key: name, form, meaning: meaningOf(value) }, ...below];
	});
	if (typeof additionalProperties !== "object") return rows;
	const any = rowsOf({ properties: { NAME: additionalProperties } }, prefix);
	return [...rows, ...any.map((row) => ({ ...row, meaning: row.meaning || "What the value of that name must be." }))];
}

function meaningOf({ description, $ref, allOf }: JsonSchema): string {
	if (description !== undefined) return sentence(description);
	return ($ref ?? allOf?.[0]?.$ref)?.endsWith("/condition") === true ? "Only where this holds." : "";
}

function formOf({
	$ref,
	type,
	enum: values,
	const: value,
	items,
	additionalProperties,
	anyOf,
	allOf,
}: JsonSchema): string {
	const reference = $ref ?? allOf?.[0]?.$ref;
	if (reference !== undefined) {
		const name = reference.split("/").at(-1)!;
		return `[${name}](#${name.toLowerCase()})`;
	}
	if (values !== undefined) return values.map((each) => `\`${String(each)}\``).join(" or ");
	if (value !== undefined) return `\`${String(value)}\``;
	if (anyOf !== undefined) return [...new Set(anyOf.map(formOf))].join(", or ");
	if (items !== undefined) return `list of ${formOf(items)}`;
	if (typeof additionalProperties === "object") return `names with ${formOf(additionalProperties)}`;
	return { string: "text", boolean: "`true` or `false`", object: "object" }[type ?? ""] ?? (type as string);
}

function sentence(text: string): string {
	return text.replaceAll("|", "\\|").replaceAll(/\{ ?[\w:. ]+ ?\}/g, (name) => `\`${name}\``);
}

function table(rows: readonly TableRow[]): readonly string[] {
	const lines = rows.map(({ key, form, meaning }) => `| \`${key}\` | ${form} | ${meaning} |`);
	return ["| key | form | meaning |", "|---|---|---|", ...lines];
}

if (import.meta.main) {
	await mkdir(path.dirname(schemaFile), { recursive: true });
	for (const [file, text] of await schemaFiles()) await writeFile(file, text);
}
