import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { propose, type Proposal, type ProposeOptions } from "../../src/propose/index.ts";
import { makeRepository, type TestEntry, type TestRepository } from "./git-repository.ts";
import { startGitServer, type GitServer, type GitServerOptions } from "./git-server.ts";
import { startGitHubApi, type ApiFailure, type ApiRequest, type GitHubApi } from "./github-api.ts";
import { testIo } from "./scripted.ts";

export const token = "ghp_s3cretTokenOfTheProposals";
export const bot = { name: "Some Bot", email: "bot@example.org" };
const person = { name: "A Person", email: "person@example.org" };

/** Text by path. */
export type Files = Readonly<Record<string, string>>;

export interface CommitOptions {
	readonly message?: string;
	/** Unix seconds. */
	readonly time?: number;
	readonly by?: { readonly name: string; readonly email: string };
	/** Default: who it is by. */
	readonly committer?: { readonly name: string; readonly email: string };
	readonly branch?: string;
	/** Default: what the branch is at. */
	readonly parents?: readonly string[];
}

/** A library and an image's repository on real servers, and what people do to them. */
export interface LibraryWorld extends AsyncDisposable {
	readonly io: ReturnType<typeof testIo>;
	readonly library: TestRepository;
	readonly fork: TestRepository;
	readonly image: TestRepository;
	readonly git: GitServer;
	readonly api: GitHubApi;
	/** What the servers do in place of answering; asked for each request. */
	fail: {
		git?: GitServerOptions["fail"];
		api?: (request: ApiRequest) => ApiFailure | undefined;
	};
	/** Another repository (`OWNER/NAME`) on both servers, without a commit. */
	serve(name: string): TestRepository;
	/** A commit of the library with all of these files, or of another repository. */
	commit(files: Files, options?: CommitOptions, repository?: TestRepository): string;
	/** A commit of the image's repository, an hour after the last one. */
	change(subject: string, more?: CommitOptions): string;
	/** The definition of the image at a commit. */
	definition(commit: string, more?: string): string;
	/** Proposes it, by GitHub's API unless told otherwise. */
	propose(text: string | ReadonlyMap<string, string>, options?: Partial<ProposeOptions>): Promise<Proposal>;
	/** The commit of a branch; undefined: there is none. */
	at(branch: string, repository?: TestRepository): string | undefined;
	/** What a branch has. */
	show(branch: string, path: string, repository?: TestRepository): string;
	/** How many times something was pushed. */
	pushes(): number;
}

/** Of the first commit of the image; the clock begins on 1 January 2026. */
export const firstTime = Date.UTC(2025, 11, 1) / 1000;
export const branch = "brewline/tool";

export async function libraryWorld(options: { readonly auth?: boolean | "pushes" } = {}): Promise<LibraryWorld> {
	const root = mkdtempSync(join(tmpdir(), "brewline-library-"));
	const io = testIo();
	const make = (name: string) => {
		const repository = makeRepository(join(root, `served/${name}.git`));
		repository.git("symbolic-ref", "HEAD", "refs/heads/main");
		return repository;
	};
	const [library, fork, image] = [make("official/images"), make("somebot/images"), make("somebody/tool")];
	const repositories: Record<string, string> = {
		"official/images": library.directory,
		"somebot/images": fork.directory,
	};
	const fail: LibraryWorld["fail"] = {};
	const git = await startGitServer({
		root: join(root, "served"),
		push: true,
		fail: (request) => fail.git?.(request),
		...(options.auth
			? {
					auth: {
						username: "x-access-token",
						password: token,
						...(options.auth === "pushes" ? { for: "pushes" } : {}),
					},
				}
			: {}),
	});
	const api = await startGitHubApi({
		repository: "official/images",
		library: library.directory,
		repositories,
		token,
		now: () => io.clock.now(),
		fail: (request) => fail.api?.(request),
	});
	let time = firstTime;

	const at: LibraryWorld["at"] = (name, repository = library) => {
		const found = repository.git("for-each-ref", "--format=%(objectname)", `refs/heads/${name}`);
		return found === "" ? undefined : found;
	};
	const commit: LibraryWorld["commit"] = (files, more = {}, repository = library) => {
		const { message = "Change", time: when = time, by = person, branch: target = "main" } = more;
		const current = at(target, repository);
		const parents = more.parents ?? (current === undefined ? [] : [current]);
		const [author, committer] = [by, more.committer ?? by].map(({ name, email }) => `${name} <${email}> ${when} +0000`);
		const lines = parents.map((parent) => `parent ${parent}\n`).join("");
		const id = repository.object(
			"commit",
			`tree ${treeOf(repository, files)}\n${lines}author ${author}\ncommitter ${committer}\n\n${message}\n`,
		);
		repository.ref(`refs/heads/${target}`, id);
		return id;
	};
	commit({ "README.md": "the library\n", "library/other": "Maintainers: Other (@other)\n" });
	fork.git("fetch", "--quiet", library.directory, "refs/heads/main:refs/heads/main");
	return {
		io,
		library,
		fork,
		image,
		git,
		api,
		fail,
		serve: (name) => {
			const repository = make(name);
			repositories[name] = repository.directory;
			return repository;
		},
		commit,
		at,
		change: (subject, more = {}) => {
			time += 3600;
			return commit({ "1/Dockerfile": `FROM scratch\n# ${subject}\n` }, { message: subject, time, ...more }, image);
		},
		definition: (id, more = "") =>
			`# this file is generated\n\nMaintainers: Ada Example <ada@example.org> (@ada),\n             Team Bot (@tool-bot),\n             Bob Example (@bob)\nGitRepo: https://github.com/somebody/tool.git\n${more}\nTags: 1, latest\nGitCommit: ${id}\n`,
		propose: (text, more = {}) =>
			propose(
				{
					definitions: typeof text === "string" ? new Map([["tool", text]]) : text,
					repository: { folder: image.directory, gitDirectory: image.directory },
				},
				io,
				{
					library: `${git.url}/official/images.git`,
					author: bot,
					minAge: 0,
					gitHub: { api: api.url, token },
					temporary: root,
					...(options.auth ? { credentials: { [git.url]: { token } } } : {}),
					...more,
				},
			),
		show: (name, path, repository = library) => repository.git("show", `refs/heads/${name}:${path}`),
		pushes: () => git.requests.filter(({ method, path }) => method === "POST" && path.endsWith("receive-pack")).length,
		[Symbol.asyncDispose]: async () => {
			await Promise.all([git.close(), api[Symbol.asyncDispose]()]);
			rmSync(root, { recursive: true, force: true });
		},
	};
}

function treeOf(repository: TestRepository, files: Files): string {
	const folders = new Map<string, Record<string, string>>();
	const entries: TestEntry[] = [];
	for (const [path, text] of Object.entries(files)) {
		const slash = path.indexOf("/");
		const [name, below] = slash < 0 ? [path] : [path.slice(0, slash), path.slice(slash + 1)];
		if (below === undefined) entries.push(["100644", path, repository.object("blob", text)]);
		else folders.set(name, { ...folders.get(name), [below]: text });
	}
	for (const [name, own] of folders) entries.push(["40000", name, treeOf(repository, own)]);
	return repository.tree(entries.sort(([, a], [, b]) => (String(a) < String(b) ? -1 : 1)));
}
