import { execFileSync } from "node:child_process";
import { mkdirSync, writeFileSync } from "node:fs";
import path from "node:path";
import { person } from "./act.ts";
import type { LibraryWorld } from "./library-world.ts";

/** An image's repository with templates, versions and a configuration, as its maintainer has it. */
export interface ToolRepository {
	readonly folder: string;
	/** Writes files, and commits all that is there. */
	commit(message: string, files?: Readonly<Record<string, string>>): string;
}

/** What the template gives for a version. */
export function dockerfileOf(version: string): string {
	return `#\n# NOTE: THIS DOCKERFILE IS GENERATED VIA "apply-templates.sh"\n#\n# PLEASE DO NOT EDIT IT DIRECTLY.\n#\n\nFROM base:1\nENV TOOL_VERSION=${version}\n`;
}

export const versionsOf = (versions: Readonly<Record<string, string>>): string =>
	`${JSON.stringify(Object.fromEntries(Object.entries(versions).map(([key, version]) => [key, { version }])), null, 2)}\n`;

/** Makes one that proposes to the library of a world, which gets the definition of its base. */
export function makeToolRepository(
	w: LibraryWorld,
	folder: string,
	more: Readonly<Record<string, string>> = {},
): ToolRepository {
	mkdirSync(folder, { recursive: true });
	const git = (...args: string[]): string =>
		execFileSync("git", args, { cwd: folder, env: { ...process.env, ...person }, encoding: "utf8" }).trim();
	git("init", "--quiet", "--initial-branch=main");
	git("remote", "add", "origin", "https://github.com/somebody/tool.git");
	const repository: ToolRepository = {
		folder,
		commit: (message, files = {}) => {
			for (const [name, text] of Object.entries(files)) {
				mkdirSync(path.dirname(path.join(folder, name)), { recursive: true });
				writeFileSync(path.join(folder, name), text);
			}
			git("add", "--all");
			git("commit", "--quiet", `--message=${message}`);
			return git("rev-parse", "HEAD");
		},
	};
	w.commit({
		"README.md": "the library\n",
		"library/base": `Maintainers: Other (@other)\nGitRepo: https://github.com/other/base.git\n\nTags: 1\nArchitectures: amd64, arm64v8\nGitCommit: ${"1".repeat(40)}\n`,
	});
	repository.commit("Begin", {
		".gitignore": ".brewline\n",
		"brewline.yaml": `images:
  image: tool
  header: { repository: https://github.com/somebody/tool, self: brewline.yaml, maintainers: ["Ada Example <ada@example.org> (@ada)"], fields: { GitFetch: refs/heads/main } }
  aliases: { list: ["{full}", "{version}", { alias: latest, once: true }] }
  tags: [""]
  templates: { rules: [{ template: Dockerfile.template }], env: { version: "{version}" } }
  propose: { library: "${w.git.url}/official/images.git", api: "${w.api.url}", minAge: 0m }
`,
		"versions.json": versionsOf({ "1.2": "1.2.3", "1.1": "1.1.9" }),
		"Dockerfile.template": "FROM base:1\nENV TOOL_VERSION={{ .version }}\n",
		"1.2/Dockerfile": dockerfileOf("1.2.3"),
		"1.1/Dockerfile": dockerfileOf("1.1.9"),
		...more,
	});
	return repository;
}
