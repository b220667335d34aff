import type { ImageConfig } from "../config/index.ts";
import { readDockerfileFacts, type DockerfileFacts } from "../dockerfile/index.ts";
import type { PathQuery } from "../git/index.ts";
import { compareCodePoints } from "../json/index.ts";
import { buildMatrix, expand, joinPath, type Matrix, type MatrixEntry } from "../matrix/index.ts";
import { ruleOf, splitImage, withArchitecture } from "./rules.ts";
import type { Survey, SurveyInput } from "./types.ts";

/** Finds out what has to be asked of git and of the library before the definition can be composed. Pure. */
export function survey(input: SurveyInput): Survey {
	const { config } = input;
	const dockerfiles = new Map<string, DockerfileFacts>();
	const matrix = buildMatrix(input);
	const read = (path: string): DockerfileFacts | undefined => {
		const facts = matrix.dockerfile(path);
		if (facts !== undefined) dockerfiles.set(path, facts);
		return facts;
	};
	const parents = new Set<string>();
	const objects = new Set<string>();
	for (const entry of matrix.entries) {
		for (const image of parentsOf(config, entry, read)) {
			const { name } = splitImage(image);
			if (name !== config.image) parents.add(name);
		}
		for (const object of objectsOf(input, entry)) objects.add(object);
	}
	return {
		parents: [...parents].sort(compareCodePoints),
		queries: queriesOf(input, matrix, read),
		objects: [...objects],
		dockerfiles,
	};
}

/** The images whose architectures an entry's are: those without a namespace, which are the library's own. */
export function parentsOf(
	config: ImageConfig,
	entry: MatrixEntry,
	dockerfile: (path: string) => DockerfileFacts | undefined,
): readonly string[] {
	const { rule } = ruleOf(config, entry);
	if (!("parents" in rule)) return [];
	const facts = dockerfile(parentDockerfile(rule, entry));
	const images = [
		...(rule.parents.includes("from") ? (facts?.froms ?? []) : []),
		...(rule.parents.includes("copy") ? (facts?.copyFroms ?? []) : []),
	];
	return images.filter((image) => !image.includes("/") && image !== "scratch");
}

export function parentDockerfile(rule: { readonly dockerfile?: string | undefined }, entry: MatrixEntry): string {
	const own = joinPath(entry.directory, entry.file);
	return rule.dockerfile === undefined ? own : (expand(rule.dockerfile, entry.scope) ?? own);
}

function objectsOf(input: SurveyInput, entry: MatrixEntry): readonly string[] {
	const { rule } = ruleOf(input.config, entry);
	if (!("branches" in rule)) return [];
	return input.architectures.flatMap((arch) => {
		const object = branchObject(input, rule, entry, arch);
		return object === undefined ? [] : [object];
	});
}

/** The file that has to be on an architecture's branch, as `COMMIT:PATH`; undefined: there is no such branch. */
export function branchObject(
	{ branches }: Pick<SurveyInput, "branches">,
	rule: { readonly branches: string; readonly requires: string },
	entry: MatrixEntry,
	arch: string,
): string | undefined {
	const scope = withArchitecture(entry.scope, arch);
	const commit = branches.get(expand(rule.branches, scope) ?? "");
	const path = expand(rule.requires, scope);
	return commit === undefined || path === undefined ? undefined : `${commit}:${path}`;
}

/** In the order in which `compose` takes the answers: the file in the header, the header's fields, the entries. */
function queriesOf(
	{ config, committed }: SurveyInput,
	matrix: Matrix,
	dockerfile: (path: string) => DockerfileFacts | undefined,
): readonly PathQuery[] {
	const queries: PathQuery[] = [{ directory: "", paths: [config.header.self] }];
	for (const value of Object.values(config.header.fields ?? {})) {
		if (typeof value === "object" && "paths" in value) queries.push({ directory: "", paths: value.paths });
	}
	const { commit = "dockerfile" } = config;
	if (commit === "none") return queries;
	for (const { directory, file } of matrix.entries) {
		if (commit === "directory") {
			queries.push({ directory, paths: ["."] });
			continue;
		}
		const path = joinPath(directory, file);
		const before = committed.get(path);
		const facts = before === undefined ? dockerfile(path) : readDockerfileFacts(before, path);
		queries.push({ directory, paths: [file, ...(facts?.sources ?? [])] });
	}
	return queries;
}
