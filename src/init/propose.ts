import { architectureOptions } from "../config/architectures.ts";
import { dockerProgram, entryFields } from "../config/defaults.ts";
import type { EntryField, ImageConfig } from "../config/index.ts";
import { parseDefinition, type Definition, type Entry } from "../definition/index.ts";
import { readDockerfileFacts, type DockerfileFacts } from "../dockerfile/index.ts";
import { BrewlineError } from "../errors.ts";
import type { Definitions } from "../generate/index.ts";
import { textOfFile } from "../matrix/index.ts";
import { readVersionsFile } from "../matrix/data.ts";
import { inferArchitectures } from "./architectures.ts";
import { join, tagRules, vocabularies, type Joined, type JoinedEntry, type Repository } from "./infer.ts";
import type { Published } from "./published.ts";
import { inferTexts } from "./tags.ts";
import { withoutUnused } from "./variables.ts";

export interface ProposeInput extends Omit<Repository, "versions"> {
	readonly image: string;
	/** What is to come out. */
	readonly published: Published;
}

/**
 * Proposes the description of an image repository that comes as near to a definition as the rules can be told from it, with each
 * choice of definitions that parents may have had.
 */
export function propose(input: ProposeInput): (definitions: Definitions) => Promise<ImageConfig> {
	const { image, published, files } = input;
	const versions = files.files.has("versions.json") ? readVersionsFile(files, "versions.json") : undefined;
	const joined = join({ ...input, versions }, published, { image, header: headerOf(published) });
	if (joined === undefined || joined.entries.length === 0) {
		throw new BrewlineError("config", "nothing of the definition has its place in this repository");
	}
	const dockerfiles = new Map<JoinedEntry, DockerfileFacts>();
	for (const one of joined.entries) {
		const path = [one.entry.directory, one.entry.file].filter(Boolean).join("/");
		const text = textOfFile(files, path);
		if (text !== undefined) dockerfiles.set(one, readDockerfileFacts(text, path));
	}
	const { entry: vocabulary } = vocabularies(joined);
	const tags = tagRules(joined);
	const fields = fieldsOf(joined, published);
	return async (definitions) => {
		const rules = inferArchitectures({
			image,
			entries: joined.entries,
			wanted: new Map(joined.entries.map((one) => [one, written(one.published, published.text)])),
			dockerfile: (one) => dockerfiles.get(one),
			definitions: await parentsOf(image, dockerfiles.values(), definitions),
			known: new Set(Object.keys(dockerProgram.architectures)),
			axes: joined.axes,
			vocabulary,
		});
		return ordered(withoutUnused({ ...joined.config, ...tags, ...rules, ...fields }));
	};
}

function headerOf({
	repository,
	self,
	maintainers,
	fields,
	comment,
	trailingBlankLine,
}: Published): ImageConfig["header"] {
	const usual = "this file is generated via {repository}/blob/{commit}/{self}";
	const template = comment?.replace(/https?:\/\/\S+?\/blob\/[0-9a-f]+\/\S+/, "{repository}/blob/{commit}/{self}") ?? "";
	// Commits are not the same for ever: what is one is that of now.
	const { GitCommit, ...texts } = fields;
	const shared = { ...(GitCommit === undefined ? {} : { GitCommit: { head: true as const } }), ...texts };
	return {
		repository: repository ?? "",
		self: self ?? "brewline.yaml",
		...(template === usual ? {} : { comment: template }),
		maintainers: [...maintainers],
		...(Object.keys(shared).length === 0 ? {} : { fields: shared }),
		...(trailingBlankLine ? { trailingBlankLine } : {}),
	};
}

/** The architectures of an entry in the order in which they stand in the text. */
function written({ Architectures, positions }: Entry, text: string): readonly string[] {
	const line = text.split("\n")[(positions.get("Architectures")?.line ?? 0) - 1];
	const listed = (line?.replace(/^[^:]*:/, "") ?? "").split(",").map((name) => name.trim());
	return listed.filter(Boolean).toSorted().join() === Architectures.join() ? listed.filter(Boolean) : Architectures;
}

async function parentsOf(
	image: string,
	dockerfiles: Iterable<DockerfileFacts>,
	definitions: Definitions,
): Promise<ReadonlyMap<string, Definition>> {
	const names = new Set<string>();
	for (const { froms, copyFroms } of dockerfiles) {
		for (const from of [...froms, ...copyFroms]) {
			if (!from.includes("/") && from !== "scratch") names.add(from.split(/[:@]/, 1)[0]!);
		}
	}
	names.delete(image);
	const options = architectureOptions(dockerProgram);
	const found = await Promise.all(
		[...names].map(async (name) => {
			const text = await definitions(name);
			return text === undefined ? [] : [[name, parseDefinition(text, { file: name, ...options })] as const];
		}),
	);
	return new Map(found.flat());
}

/** Builder, constraints, and which fields there are. */
function fieldsOf(joined: Joined, published: Published): Partial<ImageConfig> {
	const { entries, axes, candidates } = joined;
	const { entry: vocabulary } = vocabularies(joined);
	const names = [...axes, ...Object.keys(candidates.vars).filter((name) => !candidates.defaults.includes(name))];
	const learnt = (itemsOf: (entry: Entry) => readonly string[]): ReturnType<typeof inferTexts> =>
		inferTexts(
			entries.map((one) => ({ names: one.names, items: itemsOf(one.published) })),
			names,
			vocabulary,
		);
	const constraints = learnt(({ Constraints }) => Constraints);
	const builder = learnt(({ Builder, positions }) => (positions.has("Builder") ? [Builder] : []));
	const order = published.fieldOrder.filter((field): field is EntryField => entryFields.includes(field as EntryField));
	const isUsual = order.join() === entryFields.filter((field) => order.includes(field)).join();
	return {
		...(constraints.length === 0 ? {} : { constraints: [...constraints] }),
		...(builder.length === 0 ? {} : { builder: [...builder] }),
		...(entries.some(({ published: one }) => one.positions.has("GitCommit")) ? {} : { commit: "none" as const }),
		...(isUsual ? {} : { fieldOrder: order }),
	};
}

const keys: readonly (keyof ImageConfig)[] = [
	"image",
	"header",
	"versions",
	"versionVars",
	"aliases",
	"matrix",
	"split",
	"directory",
	"file",
	"vars",
	"tags",
	"sharedTags",
	"tagSort",
	"architectures",
	"excludeArchitectures",
	"commit",
	"constraints",
	"builder",
	"fieldOrder",
	"templates",
];

/** As people read it. */
function ordered(config: ImageConfig): ImageConfig {
	const known = keys.filter((key) => config[key] !== undefined).map((key) => [key, config[key]] as const);
	return Object.fromEntries(known) as unknown as ImageConfig;
}
