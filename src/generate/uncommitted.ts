import { compilePathspecs, type PathQuery } from "../git/index.ts";
import type { ImageConfig } from "../config/index.ts";
import { compareCodePoints } from "../json/index.ts";
import { joinPath } from "../matrix/index.ts";
import type { Composed, Survey } from "./types.ts";

interface Made {
	readonly config: ImageConfig;
	/** The configuration's path in the work tree. */
	readonly configuration: string | undefined;
	readonly composed: Composed;
	readonly survey: Survey;
	/** Files that git has, and has otherwise. */
	readonly changed: readonly string[];
	readonly untracked: ReadonlySet<string>;
}

/** Which files of a work tree the definition is made from, and are not as in the newest commit; sorted. */
export function uncommittedOf(made: Made): readonly string[] {
	const { survey, changed, untracked } = made;
	if (changed.length === 0 && untracked.size === 0) return [];
	const read = readBy(made);
	const pathspecs = compilePathspecs(survey.queries);
	const isAskedFor = (path: string): boolean => {
		const queries = new Set<number>();
		pathspecs.touched([path], queries);
		return queries.size > 0;
	};
	// A new file somewhere in a folder that is copied may be anything, such as this definition.
	const named = new Set([...read, ...survey.queries.flatMap(namedBy)]);
	return [
		...changed.filter((path) => read.has(path) || isAskedFor(path)),
		...[...untracked].filter((path) => named.has(path)),
	].sort(compareCodePoints);
}

/** What is read, whatever git is asked about: also Dockerfiles that are gone, which leave entries out. */
function readBy({ config, configuration, composed, survey }: Made): ReadonlySet<string> {
	const { versions } = config;
	return new Set([
		...(versions?.directories === true ? [] : [versions?.file ?? "versions.json"]),
		...(configuration === undefined ? [] : [configuration]),
		...survey.dockerfiles.keys(),
		...composed.entries.map(({ directory, file }) => joinPath(directory, file)),
		...composed.left.flatMap(({ rule, what }) => (rule === "requireDockerfile" ? [what] : [])),
	]);
}

function namedBy({ directory, paths }: PathQuery): readonly string[] {
	return paths.map((path) => joinPath(directory, path.replace(/^\.\//, "")));
}
