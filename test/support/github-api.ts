import { spawnSync } from "node:child_process";
import { createServer, type IncomingMessage, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";

/** A pull request as the API shows it. */
export interface StoredPull {
	readonly number: number;
	title: string;
	body: string | null;
	state: "open" | "closed";
	base: string;
	/** `OWNER/NAME` of the repository that the branch is in. */
	from: string;
	readonly branch: string;
	/** The commit of the branch, as it was last seen open. */
	commit: string;
	readonly created: number;
	closed: number | undefined;
	merged: number | undefined;
}

export interface ApiRequest {
	readonly method: string;
	readonly path: string;
	readonly authorization: string | undefined;
	readonly body: Readonly<Record<string, unknown>> | undefined;
}

/** In place of the answer; `lost`: all of it is done, and the connection ends before the answer. */
export type ApiFailure =
	| { readonly status: number; readonly headers?: Readonly<Record<string, string>>; readonly body?: unknown }
	| "reset"
	| "lost";

export interface GitHubApiOptions {
	/** `OWNER/NAME` of the library, and the bare repositories by their `OWNER/NAME`, in which branches are looked up. */
	readonly repository: string;
	readonly library: string;
	readonly repositories: Readonly<Record<string, string>>;
	readonly token: string;
	readonly now: () => number;
	readonly fail?: (request: ApiRequest) => ApiFailure | undefined;
}

export interface GitHubApi extends AsyncDisposable {
	readonly url: string;
	readonly pulls: StoredPull[];
	readonly requests: ApiRequest[];
	/** The methods and paths, without queries, that changed something. */
	changes(): string[];
}

/** A server for those parts of GitHub's API that are used here, over real repositories: what it says of a branch is so. */
export async function startGitHubApi(options: GitHubApiOptions): Promise<GitHubApi> {
	const pulls: StoredPull[] = [];
	const requests: ApiRequest[] = [];
	const git = (directory: string, ...args: string[]) =>
		spawnSync("git", ["--git-dir", directory, ...args], { encoding: "utf8" });
	const at = (directory: string | undefined, branch: string): string | undefined => {
		const { status, stdout } = git(directory ?? "", "rev-parse", "--verify", "--quiet", `refs/heads/${branch}`);
		return status === 0 ? stdout.trim() : undefined;
	};

	/** What GitHub does by itself: it follows branches, and sees what is deleted or merged. */
	function follow(): void {
		for (const pull of pulls.filter(({ state }) => state === "open")) {
			const commit = at(options.repositories[pull.from], pull.branch);
			if (commit === undefined) Object.assign(pull, { state: "closed", closed: options.now() });
			else pull.commit = commit;
			const base = at(options.library, pull.base);
			if (base === undefined || git(options.library, "merge-base", "--is-ancestor", pull.commit, base).status !== 0)
				continue;
			Object.assign(pull, { state: "closed", closed: options.now(), merged: options.now() });
		}
	}

	const invalid = (...messages: string[]) => ({
		status: 422,
		body: { message: "Validation Failed", errors: messages.map((message) => ({ resource: "PullRequest", message })) },
	});

	function answer({ method, path, authorization, body = {} }: ApiRequest): { status: number; body: unknown } {
		if (authorization !== `Bearer ${options.token}`) return { status: 401, body: { message: "Bad credentials" } };
		follow();
		const url = new URL(path, "http://localhost");
		const prefix = `/api/v3/repos/${options.repository}/pulls`;
		const text = (key: string) => (typeof body[key] === "string" ? body[key] : undefined);
		if (method === "GET" && url.pathname === prefix) {
			const head = url.searchParams.get("head");
			const found = pulls.filter(({ from, branch }) => head === `${ownerOf(from)}:${branch}`);
			const sorted = found.toSorted((a, b) => b.created - a.created || b.number - a.number);
			return { status: 200, body: sorted.slice(0, Number(url.searchParams.get("per_page") ?? 30)).map(shown) };
		}
		const [, name = ""] = /^\/api\/v3\/repos\/([^/]+\/[^/]+)$/.exec(url.pathname) ?? [];
		if (method === "GET" && Object.hasOwn(options.repositories, name)) {
			return { status: 200, body: { full_name: name } };
		}
		if (method === "POST" && url.pathname === prefix) {
			const [owner = "", branch = ""] = text("head")?.split(":") ?? [];
			// As GitHub: the owner tells the repository, unless there are several of them.
			const names = Object.keys(options.repositories).filter((one) => ownerOf(one) === owner);
			const from = names.find((one) => one === `${owner}/${text("head_repo")}`) ?? names[0] ?? "";
			const commit = at(options.repositories[from], branch);
			const base = at(options.library, text("base") ?? "");
			if (commit === undefined || base === undefined) return invalid("head or base is invalid");
			if (commit === base) return invalid(`No commits between ${text("base")} and ${branch}`);
			if (pulls.some((pull) => pull.state === "open" && pull.from === from && pull.branch === branch))
				return invalid(`A pull request already exists for ${owner}:${branch}.`);
			const pull: StoredPull = {
				number: pulls.length + 1,
				title: text("title") ?? "",
				body: text("body") ?? null,
				state: "open",
				base: text("base")!,
				from,
				branch,
				commit,
				created: options.now(),
				closed: undefined,
				merged: undefined,
			};
			pulls.push(pull);
			return { status: 201, body: shown(pull) };
		}
		const number = Number(new RegExp(`^${prefix}/(\\d+)$`).exec(url.pathname)?.[1]);
		const pull = pulls.find((one) => one.number === number);
		if (method !== "PATCH" || pull === undefined) return { status: 404, body: { message: "Not Found" } };
		if (text("state") === "open" && pull.state === "closed") {
			const commit = at(options.repositories[pull.from], pull.branch);
			if (pull.merged !== undefined || commit !== pull.commit)
				return invalid(`state cannot be changed. The ${pull.branch} branch was force-pushed or recreated.`);
			Object.assign(pull, { state: "open", closed: undefined });
		}
		if (text("state") === "closed" && pull.state === "open")
			Object.assign(pull, { state: "closed", closed: options.now() });
		for (const key of ["title", "body", "base"] as const) pull[key] = text(key) ?? (pull[key] as string);
		return { status: 200, body: shown(pull) };
	}

	const ownerOf = (name: string): string => name.split("/")[0]!;
	const date = (time: number | undefined) =>
		time === undefined ? null : new Date(time).toISOString().replace(/\.\d+/, "");
	const shown = (pull: StoredPull) => ({
		number: pull.number,
		html_url: `https://github.example/${options.repository}/pull/${pull.number}`,
		state: pull.state,
		title: pull.title,
		body: pull.body,
		created_at: date(pull.created),
		closed_at: date(pull.closed),
		merged_at: date(pull.merged),
		head: { ref: pull.branch, sha: pull.commit, repo: { full_name: pull.from } },
		base: { ref: pull.base },
	});

	const server = createServer((request, response) => {
		void handle(request, response);
	});
	async function handle(request: IncomingMessage, response: ServerResponse): Promise<void> {
		const chunks: Buffer[] = [];
		for await (const chunk of request as AsyncIterable<Buffer>) chunks.push(chunk);
		const sent = Buffer.concat(chunks).toString("utf8");
		const entry: ApiRequest = {
			method: request.method ?? "GET",
			path: request.url ?? "/",
			authorization: request.headers.authorization,
			body: sent === "" ? undefined : (JSON.parse(sent) as Record<string, unknown>),
		};
		requests.push(entry);
		const failure = options.fail?.(entry);
		if (failure === "reset") return void request.socket.destroy();
		const { status, body, headers } =
			typeof failure === "object"
				? { headers: {}, body: { message: "" }, ...failure }
				: { ...answer(entry), headers: {} };
		if (failure === "lost") return void request.socket.destroy();
		response.writeHead(status, { "content-type": "application/json", ...headers }).end(JSON.stringify(body));
	}
	await new Promise<void>((resolve) => {
		server.listen(0, "127.0.0.1", resolve);
	});
	return {
		url: `http://127.0.0.1:${(server.address() as AddressInfo).port}/api/v3`,
		pulls,
		requests,
		changes: () =>
			requests
				.filter(({ method }) => method !== "GET")
				.map(({ method, path }) => `${method} ${path.replace(/^.*\/pulls/, "pulls")}`),
		[Symbol.asyncDispose]: () =>
			new Promise((resolve) => {
				server.close(() => resolve());
				server.closeAllConnections();
			}),
	};
}
