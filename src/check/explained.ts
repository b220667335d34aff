import * as z from "zod/mini";
import { BrewlineError } from "../errors.ts";
import { printable } from "../io/printable.ts";
import type { CheckIo } from "./check.ts";

const tags = z.array(z.object({ tag: z.string() }));
const schema = z.object({
	images: z.array(
		z.object({
			image: z.string(),
			entries: z.array(
				z.object({
					tags,
					sharedTags: tags,
					missing: z.array(z.object({ architecture: z.string(), reason: z.string() })),
				}),
			),
		}),
	),
});

/**
 * Why entries do without architectures, out of what `brewline generate --json` printed; `file` is its name in errors.
 * @throws BrewlineError `handover` where it is something else
 */
export function readExplanations(text: string, file: string): NonNullable<CheckIo["explained"]> {
	const wrong = (problem: string, cause?: unknown): BrewlineError =>
		new BrewlineError("handover", `${printable(file)}: ${printable(problem)}`, {
			at: { file },
			hint: "It is what brewline generate --json prints.",
			cause,
		});
	let value: unknown;
	try {
		value = JSON.parse(text);
	} catch (error) {
		throw wrong("it is no JSON", error);
	}
	const parsed = schema.safeParse(value, { error: z.locales.en().localeError });
	if (!parsed.success) {
		const [issue] = parsed.error.issues;
		throw wrong(`${issue?.path.map(String).join(".") ?? ""}: ${issue?.message ?? "invalid"}`);
	}
	return explanationsOf(parsed.data.images);
}

/** What of generated definitions explains architectures: the shape of their JSON, and of `Generated` of brewline/generate. */
interface Explained {
	readonly image: string;
	readonly entries: readonly {
		readonly tags: readonly { readonly tag: string }[];
		readonly sharedTags: readonly { readonly tag: string }[];
		readonly missing: readonly { readonly architecture: string; readonly reason: string }[];
	}[];
}

/** Why entries do without architectures, as the rules have it that generated them. */
export function explanationsOf(images: readonly Explained[]): NonNullable<CheckIo["explained"]> {
	const reasons = new Map<string, string>();
	for (const { image, entries } of images) {
		for (const entry of entries) {
			for (const { architecture, reason } of entry.missing) {
				for (const { tag } of [...entry.tags, ...entry.sharedTags])
					reasons.set(`${image}:${tag} ${architecture}`, reason);
			}
		}
	}
	return (image, tag, arch) => reasons.get(`${image}:${tag} ${arch}`);
}
