import * as z from "zod/mini";
import { BrewlineError, messageOf } from "../errors.ts";
import { counted, printable } from "../io/printable.ts";
import type { HttpRequest, HttpResponse, Io } from "../io/types.ts";
import { parseRetryAfter, readLimited } from "../registry/answer.ts";
import { paced } from "../registry/pace.ts";
import { isConnectionError } from "../registry/retry.ts";

export interface GitHubOptions {
	/** Where its API is: `https://api.github.com`, of an enterprise server `https://HOST/api/v3`. */
	readonly api: string;
	/** `OWNER/NAME` of the repository that pull requests are opened in. */
	readonly repository: string;
	readonly token: string;
}

/** A pull request, as far as a proposal needs it. */
export interface PullRequest {
	readonly number: number;
	/** Its page. */
	readonly url: string;
	readonly state: "open" | "closed";
	readonly merged: boolean;
	readonly title: string;
	readonly body: string;
	/** The commit that it was at last. */
	readonly commit: string;
	/** The branch that it is to be merged into. */
	readonly base: string;
	/** Milliseconds since the epoch. */
	readonly opened: number;
	readonly closed: number | undefined;
}

export interface PullRequestChanges {
	readonly title?: string;
	readonly body?: string;
	readonly base?: string;
	readonly state?: "open" | "closed";
}

/** A branch of a repository. */
export interface Head {
	readonly owner: string;
	readonly name: string;
	readonly branch: string;
}

/** The few things of GitHub's API that a proposal needs. */
export interface GitHub {
	/** The pull requests of a branch, the latest first, among the last 20 of all branches that its owner has by that name. */
	pulls(head: Head): Promise<readonly PullRequest[]>;
	/** Undefined: there is an open one for that branch already. */
	open(pull: {
		readonly head: string;
		/** The name of a fork that has the same owner as the library: there, the owner does not tell it. */
		readonly head_repo?: string;
		readonly base: string;
		readonly title: string;
		readonly body: string;
	}): Promise<PullRequest | undefined>;
	/** Undefined: it cannot be changed so, such as one that is to be opened again after its branch was deleted. */
	change(number: number, changes: PullRequestChanges): Promise<PullRequest | undefined>;
}

const id = z.string().check(z.regex(/^(?:[0-9a-f]{40}|[0-9a-f]{64})$/));
const time = z.string().check(z.regex(/^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(?:\.\d+)?Z$/));
const page = z.string().check(z.regex(/^https?:\/\/[\w.~:/?#[\]@!$&'()*+,;=%-]{1,2000}$/));
/** What is read of an answer; GitHub says much more. */
const pullAnswer = z.object({
	number: z.int().check(z.minimum(1)),
	html_url: page,
	state: z.enum(["open", "closed"]),
	title: z.string(),
	body: z.optional(z.nullable(z.string())),
	merged_at: z.optional(z.nullable(time)),
	created_at: time,
	closed_at: z.optional(z.nullable(time)),
	// Null: the fork was deleted.
	head: z.object({ sha: id, ref: z.string(), repo: z.nullable(z.object({ full_name: z.string() })) }),
	base: z.object({ ref: z.string() }),
});

/** Bytes; a list of 20 pull requests with long texts has some hundred thousand. */
const maxAnswer = 16 * 1024 * 1024;
const pauses = [1000, 3000, 9000];
/** Milliseconds that one request waits in all because GitHub asks it to. */
const patience = 15 * 60_000;
const maxRedirects = 3;
const passing = new Set([408, 500, 502, 503, 504]);

interface Answer {
	readonly status: number;
	readonly headers: HttpResponse["headers"];
	readonly text: string;
}

/**
 * Asks GitHub's API. Servers that are down, and limits of rate, are waited for; the token goes to the API's own origin alone and
 * is in no message.
 * @throws BrewlineError `github`, or `credentials` where the token is refused
 */
export function openGitHub(io: Io, { api, repository, token }: GitHubOptions): GitHub {
	const root = apiAddress(api);
	const pulls = `repos/${repository}/pulls`;
	if (!/^[\w.-]{1,100}\/[\w.-]{1,100}$/.test(repository) || /(?:^|\/)\.\.?(?:\/|$)/.test(repository)) {
		throw new BrewlineError("usage", `${printable(repository, 200)} is no repository of GitHub`, {
			hint: "write OWNER/NAME",
		});
	}
	if (!/^[\x21-\x7e]{1,1000}$/.test(token)) {
		throw new BrewlineError("credentials", "the token for GitHub's API is empty, or has characters that no token has");
	}

	async function once(method: HttpRequest["method"], url: URL, body: object | undefined): Promise<Answer> {
		const response = await io.http({
			method,
			url,
			signal: io.signal,
			headers: {
				authorization: `Bearer ${token}`,
				accept: "application/vnd.github+json",
				"x-github-api-version": "2022-11-28",
				"user-agent": "brewline",
				...(body === undefined ? {} : { "content-type": "application/json" }),
			},
			...(body === undefined ? {} : { body: Buffer.from(JSON.stringify(body)) }),
		});
		const { bytes, more } = await readLimited(paced(response.body, io.clock), maxAnswer);
		if (more) throw new BrewlineError("github", `${url.host} answered with more than ${maxAnswer} bytes`);
		return { status: response.status, headers: response.headers, text: bytes.toString("utf8") };
	}

	/** One request, until there is an answer that another try would not change. */
	async function ask(method: HttpRequest["method"], path: string, body?: object): Promise<Answer> {
		const what = `${method} ${path.split("?")[0]} at ${root.host}`;
		let url = new URL(path, root);
		let waited = 0;
		let redirects = 0;
		for (let failures = 0; ;) {
			let answer: Answer | undefined;
			let reason: string;
			try {
				answer = await once(method, url, body);
				const to = redirectOf(answer, method, url);
				if (to !== undefined && redirects++ < maxRedirects) {
					url = to;
					continue;
				}
				reason = `HTTP ${answer.status}`;
			} catch (error) {
				if (io.signal.aborted) throw new BrewlineError("cancelled", `${what} was ended`, { cause: error });
				if (!isConnectionError(error)) throw error;
				reason = messageOf(error) || String((error as NodeJS.ErrnoException).code);
			}
			const limited = answer === undefined ? undefined : limitOf(answer, io.clock.now());
			const pause = limited ?? pauses[failures];
			if (limited === undefined) {
				if (answer !== undefined && !passing.has(answer.status)) return answer;
				failures++;
			}
			if (pause === undefined || (waited += pause) > patience) {
				if (limited !== undefined) throw rateLimited(what, limited);
				throw new BrewlineError("github", `${what} failed ${counted(failures, "time")}: ${printable(reason, 300)}`, {
					hint: "check that it is up and can be reached from here, also through the proxy that is set",
				});
			}
			io.log({
				type: "message",
				level: "notice",
				text: `${what}: ${printable(reason, 300)}; again in ${(pause / 1000).toFixed(0)} s`,
			});
			await io.clock.sleep(pause, io.signal).catch((cause: unknown) => {
				throw new BrewlineError("cancelled", `${what} was ended`, { cause });
			});
		}
	}

	function refused(answer: Answer, what: string): BrewlineError {
		// Before anything is cut: a part of a token is masked by nobody.
		const said = saidIn({ ...answer, text: answer.text.replaceAll(token, "…") });
		const message = `${what}: HTTP ${answer.status}${said === "" ? "" : ` (${said})`}`;
		const hints: Readonly<Record<number, string>> = {
			401: "the token was refused: renew it",
			403: "the token must be one that may open pull requests there: Pull requests: write, or the scope public_repo",
			404: `check the name ${printable(repository)}, and that the token may see it`,
		};
		const code = answer.status === 401 || answer.status === 403 ? "credentials" : "github";
		const hint = hints[answer.status];
		return new BrewlineError(code, message, hint === undefined ? {} : { hint });
	}

	/** What a repository is called now: one that was renamed answers to its old name, too. */
	async function nameOf(known: string): Promise<string> {
		const answer = await ask("GET", `repos/${known}`);
		return answer.status === 200 ? read(z.object({ full_name: z.string() }), answer).full_name : known;
	}

	return {
		pulls: async (head) => {
			const query = new URLSearchParams({
				state: "all",
				head: `${head.owner}:${head.branch}`,
				sort: "created",
				direction: "desc",
				per_page: "20",
			}).toString();
			const answer = await ask("GET", `${pulls}?${query}`);
			if (answer.status !== 200) throw refused(answer, "cannot list the pull requests");
			// A server that knows no such filter lists them all, and one owner may have several repositories with such a branch.
			const candidates = read(z.array(pullAnswer), answer).filter(
				(pull) => pull.head.ref === head.branch && pull.head.repo !== null,
			);
			const pullsOf = (name: string): readonly PullRequest[] =>
				candidates.filter((pull) => pull.head.repo?.full_name.toLowerCase() === name.toLowerCase()).map(pullOf);
			const name = `${head.owner}/${head.name}`;
			const found = pullsOf(name);
			return found.length > 0 || candidates.length === 0 ? found : pullsOf(await nameOf(name));
		},
		open: async (pull) => {
			const answer = await ask("POST", pulls, { ...pull, maintainer_can_modify: true });
			if (answer.status === 422 && /already exists/i.test(saidIn(answer))) return undefined;
			if (answer.status !== 201) throw refused(answer, "cannot open a pull request");
			return pullOf(read(pullAnswer, answer));
		},
		change: async (number, changes) => {
			const answer = await ask("PATCH", `${pulls}/${number}`, changes);
			if (answer.status === 422) return undefined;
			if (answer.status !== 200) throw refused(answer, `cannot change the pull request ${number}`);
			return pullOf(read(pullAnswer, answer));
		},
	};
}

/** The API's address as a folder. Over plain HTTP the token would be anybody's, unless it stays on this machine. */
function apiAddress(text: string): URL {
	const url = URL.parse(text.endsWith("/") ? text : `${text}/`);
	const local = url !== null && /^(?:127\.\d+\.\d+\.\d+|\[::1\]|localhost)$/.test(url.hostname);
	if (
		url === null ||
		!(url.protocol === "https:" || (url.protocol === "http:" && local)) ||
		url.username !== "" ||
		url.password !== "" ||
		url.search !== "" ||
		url.hash !== ""
	) {
		throw new BrewlineError("usage", `${printable(text, 200)} is no address of GitHub's API`, {
			hint: "write https://api.github.com, or https://HOST/api/v3 for an enterprise server",
		});
	}
	return url;
}

/** A repository that was renamed: GitHub says where it is now. The token goes to no other origin. */
function redirectOf(answer: Answer, method: string, url: URL): URL | undefined {
	const kept = answer.status === 307 || answer.status === 308;
	if (!kept && !(method === "GET" && (answer.status === 301 || answer.status === 302))) return undefined;
	const to = URL.parse(answer.headers["location"] ?? "", url.href);
	return to !== null && to.origin === url.origin && to.username === "" && to.password === "" ? to : undefined;
}

/** Milliseconds to wait before the next try, where an answer says that there were too many requests. */
function limitOf({ status, headers, text }: Answer, now: number): number | undefined {
	if (status !== 403 && status !== 429) return undefined;
	const after = parseRetryAfter(headers["retry-after"], now);
	// One that says "now" each time would be asked for ever, and without a pause.
	if (after !== undefined) return Math.max(1000, after);
	const reset = headers["x-ratelimit-reset"];
	if (headers["x-ratelimit-remaining"] === "0" && reset !== undefined && /^\d{1,12}$/.test(reset)) {
		return Math.max(1000, Number(reset) * 1000 - now);
	}
	// As GitHub's documentation says: without a number, a minute at least.
	return status === 429 || /secondary rate limit/i.test(text) ? 60_000 : undefined;
}

function rateLimited(what: string, wait: number): BrewlineError {
	return new BrewlineError("github", `${what}: the limit of requests is used up for ${Math.ceil(wait / 60_000)} min`, {
		hint: "try again later, or use a token of its own",
	});
}

/** The messages of an error, safe to show. */
function saidIn({ text }: Answer): string {
	let value: unknown;
	try {
		value = JSON.parse(text);
	} catch {
		return printable(text.trim(), 200);
	}
	const messages = (one: unknown): string[] =>
		typeof one === "object" && one !== null && "message" in one && typeof one.message === "string" ? [one.message] : [];
	const errors = typeof value === "object" && value !== null && "errors" in value ? value.errors : [];
	const all = [...messages(value), ...(Array.isArray(errors) ? errors.slice(0, 10).flatMap(messages) : [])];
	return printable(all.join("; "), 500);
}

function read<Schema extends z.ZodMiniType>(schema: Schema, { text }: Answer): z.output<Schema> {
	let value: unknown;
	try {
		value = JSON.parse(text);
	} catch (cause) {
		throw new BrewlineError("github", "what GitHub's API answered is no JSON", { cause });
	}
	const parsed = schema.safeParse(value, { error: z.locales.en().localeError });
	if (parsed.success) return parsed.data;
	const [issue] = parsed.error.issues;
	throw new BrewlineError(
		"github",
		`GitHub's API answered what it must not: ${printable(issue?.path.join(".") ?? "", 100)}: ${printable(issue?.message ?? "", 200)}`,
	);
}

function pullOf(answer: z.infer<typeof pullAnswer>): PullRequest {
	return {
		number: answer.number,
		url: answer.html_url,
		state: answer.state,
		merged: typeof answer.merged_at === "string",
		title: answer.title,
		body: answer.body ?? "",
		commit: answer.head.sha,
		base: answer.base.ref,
		opened: Date.parse(answer.created_at),
		closed: typeof answer.closed_at === "string" ? Date.parse(answer.closed_at) : undefined,
	};
}
