import { execFileSync } from "node:child_process";
import { mkdirSync, rmSync, writeFileSync } from "node:fs";
import path from "node:path";
import { parse } from "yaml";
import { dockerProgram, type ImageConfig, parseFile } from "../../src/config/index.ts";
import { compose } from "../../src/generate/compose.ts";
import { survey } from "../../src/generate/survey.ts";
import type { Generated, Survey, SurveyInput } from "../../src/generate/types.ts";
import { buildMatrix, type Matrix, type RepositoryFile, type RepositoryFiles } from "../../src/matrix/index.ts";

/** Small image repositories: in memory, and as work trees of git. */

/** The configuration of an image `app`, from YAML that leaves out what does not matter. */
export function imageConfig(yaml: string): ImageConfig {
	const image: object = {
		image: "app",
		header: {
			repository: "https://git.example.com/app",
			self: "generate.sh",
			maintainers: ["A <a@example.com> (@a)", "B <b@example.com> (@b)"],
		},
		aliases: { list: ["{full}"] },
		tags: [""],
		...(parse(yaml) as object),
	};
	return parseFile(JSON.stringify({ images: image }), "brewline.yaml").images[0]!;
}

/** Text by path; `link:TARGET` is a link. What is no text is written as JSON. */
export type TestFiles = Readonly<Record<string, string | object>>;

function textOf(content: string | object): string {
	return typeof content === "string" ? content : `${JSON.stringify(content, undefined, 2)}\n`;
}

export function filesOf(files: TestFiles): RepositoryFiles {
	const found = Object.entries(files).map(([name, content]): [string, RepositoryFile] => {
		const text = textOf(content);
		return text.startsWith("link:") ? [name, { mode: "link", text: text.slice(5) }] : [name, { mode: "file", text }];
	});
	return { files: new Map(found.toSorted(([a], [b]) => (a < b ? -1 : 1))), source: "a test" };
}

/** `{ "1.2": "1.2.3" }` as `versions.json`, its keys in this order; a value that is an object is the version's data. */
export function versionsFile(versions: readonly (readonly [key: string, data: string | object | null])[]): string {
	const lines = versions.map(([key, data]) => {
		const value = typeof data === "string" ? { version: data } : data;
		return `  ${JSON.stringify(key)}: ${JSON.stringify(value)}`;
	});
	return `{\n${lines.join(",\n")}\n}\n`;
}

/** What a repository in memory has by a configuration. */
export function matrixOf(yaml: string, files: TestFiles, today = "2026-01-02"): Matrix {
	return buildMatrix({ config: imageConfig(yaml), files: filesOf(files), today });
}

export interface Asked {
	readonly definitions?: Readonly<Record<string, string>>;
	readonly today?: string;
	readonly branches?: ReadonlyMap<string, string>;
	readonly existing?: (object: string) => boolean;
	readonly architectures?: readonly string[];
}

/** The definition of a repository in memory: the newest commit of a query is made from its place among them. */
export function composed(
	config: ImageConfig,
	files: TestFiles,
	asked: Asked = {},
): Generated & { readonly survey: Survey } {
	const input: SurveyInput = {
		config,
		files: filesOf(files),
		committed: new Map(),
		today: asked.today ?? "2026-01-02",
		architectures: asked.architectures ?? Object.keys(dockerProgram.architectures),
		defaultArchitecture: dockerProgram.defaultArchitecture,
		branches: asked.branches ?? new Map<string, string>(),
	};
	const found = survey(input);
	const generated = compose({
		...input,
		survey: found,
		head: "f".repeat(40),
		commits: found.queries.map((_, index) => index.toString(16).padStart(40, "0")),
		existing: found.objects.map(asked.existing ?? (() => true)),
		definitions: new Map(Object.entries(asked.definitions ?? {})),
	});
	return { ...generated, uncommitted: [], warnings: [], survey: found };
}

/** A definition of a parent: `["1.0, latest", "amd64, s390x"]` for each entry. */
export function parentDefinition(
	...entries: readonly (readonly [tags: string, architectures: string, shared?: string])[]
): string {
	return [
		"Maintainers: A <a@example.com> (@a)\nGitRepo: https://git.example.com/parent.git\n",
		...entries.map(
			([tags, architectures, shared]) =>
				`Tags: ${tags}\n${shared === undefined ? "" : `SharedTags: ${shared}\n`}Architectures: ${architectures}\nGitCommit: ${"a".repeat(40)}\nDirectory: ${tags.split(",")[0]!}\n`,
		),
	].join("\n");
}

/** A work tree of git in which each call of `commit` is a commit. */
export interface WorkTree {
	readonly folder: string;
	write(files: TestFiles): void;
	/** Writes and takes out files, and commits all that is there; gives the commit. */
	commit(files: Readonly<Record<string, string | object | null>>): string;
	git(...args: readonly string[]): string;
}

export function makeWorkTree(folder: string): WorkTree {
	mkdirSync(folder, { recursive: true });
	let time = 1_767_000_000;
	const git = (...args: readonly string[]): string =>
		execFileSync("git", ["-c", "user.name=Test", "-c", "user.email=test@example.com", ...args], {
			cwd: folder,
			env: {
				PATH: process.env["PATH"],
				HOME: folder,
				GIT_CONFIG_NOSYSTEM: "1",
				GIT_CONFIG_GLOBAL: "/dev/null",
				GIT_AUTHOR_DATE: `${time} +0000`,
				GIT_COMMITTER_DATE: `${time} +0000`,
			},
			stdio: ["ignore", "pipe", "pipe"],
			encoding: "utf8",
		}).trim();
	git("init", "--quiet", "--initial-branch=main");
	const write = (files: Readonly<Record<string, string | object | null>>): void => {
		for (const [name, content] of Object.entries(files)) {
			const file = path.join(folder, name);
			if (content === null) rmSync(file);
			else {
				mkdirSync(path.dirname(file), { recursive: true });
				writeFileSync(file, textOf(content));
			}
		}
	};
	return {
		folder,
		git,
		write,
		commit: (files) => {
			write(files);
			time += 60;
			git("add", "--all");
			git("commit", "--quiet", "--allow-empty", "--message", "Change");
			return git("rev-parse", "HEAD");
		},
	};
}
