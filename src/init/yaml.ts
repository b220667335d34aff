import { Document, isCollection, isMap, isScalar, visit } from "yaml";
import type { ImageConfig } from "../config/index.ts";
import { printable } from "../io/index.ts";

/** Where editors find the schema of the file. */
const schema = "https://raw.githubusercontent.com/brewline/brewline/main/schemas/brewline.schema.json";

/** The text of a `brewline.yaml` with one image; notes stand above it as comments. */
export function printConfig(
	image: ImageConfig | { readonly image: string; readonly script: string },
	notes: readonly string[],
): string {
	const document = new Document({ images: image });
	visit(document, {
		Collection(key, node, path) {
			// Below the blocks of an image, what fits on a line stands on one.
			const depth = path.filter(isCollection).length;
			if (depth < 2) return undefined;
			const length = JSON.stringify(node.toJSON()).length;
			const parent = path.at(-2);
			const isBlock = isMap(parent) && isScalar(key) && key.value === "maintainers";
			if (length <= 90 && !isBlock) {
				node.flow = true;
			}
			return undefined;
		},
		Scalar(_key, node) {
			// What looks like something of the language's own is easier to read in quotes, also where it needs none.
			const { value } = node;
			if (
				typeof value === "string" &&
				!value.startsWith("http") &&
				/[{}*?|^$()\\]|^$/.test(value) &&
				!value.includes("@")
			) {
				node.type = "QUOTE_DOUBLE";
			}
		},
	});
	const comments = [
		`# yaml-language-server: $schema=${schema}`,
		...notes.map((note) => (note === "" ? "#" : `# ${printable(note, 600)}`)),
	];
	return `${comments.join("\n")}\n${document.toString({ lineWidth: 0, flowCollectionPadding: true })}`;
}
