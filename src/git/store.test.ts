import { execFile } from "node:child_process";
import { existsSync, readdirSync } from "node:fs";
import { chmod, copyFile, mkdir, mkdtemp, readFile, rm, utimes, writeFile } from "node:fs/promises";
import { createServer } from "node:http";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { promisify } from "node:util";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { makeRepository, type TestRepository } from "../../test/support/git-repository.ts";
import {
	startGitServer,
	type GitRequest,
	type GitServer,
	type GitServerOptions,
} from "../../test/support/git-server.ts";
import { BrewlineError } from "../errors.ts";
import { nodeIo, type Clock, type Io, type LogEvent } from "../io/index.ts";
import { openGitStore, type GitStoreOptions } from "./index.ts";

const address = "https://example.org/images/thing.git";
const main = "refs/heads/main";
let root: string;
let repository: TestRepository;
let count = 0;
/** A line of history: `commits[0]` is the oldest, the last one is the tip of `main`. */
const commits: string[] = [];
let aside: string;
let tag: string;
let tree: string;

beforeAll(async () => {
	root = await mkdtemp(join(tmpdir(), "brewline-git-"));
	repository = makeRepository(join(root, "served/thing.git"));
	for (let number = 0; number < 5; number++) {
		const blob = repository.object("blob", `FROM scratch\n# ${number}\n`);
		tree = repository.tree([["100644", "Dockerfile", blob]]);
		const parents = number === 0 ? [] : [commits[number - 1]!];
		commits.push(repository.commit(tree, { parents, date: 1_700_000_000 + number }));
	}
	repository.ref(main, commits[4]!);
	// On no branch: as after a forced push.
	aside = repository.commit(tree, { date: 1_600_000_000 });
	tag = repository.object(
		"tag",
		`object ${commits[4]}\ntype commit\ntag v1\ntagger Test <test@example.com> 1700000000 +0000\n\nv1\n`,
	);
	repository.ref("refs/tags/v1", tag);
});

afterAll(async () => {
	await rm(root, { recursive: true, force: true });
});

interface World extends AsyncDisposable {
	readonly io: Io;
	readonly server: GitServer;
	readonly directory: string;
	readonly log: LogEvent[];
	/** Every argument of every program that was started. */
	readonly argv: string[];
	open(options?: Partial<GitStoreOptions>): ReturnType<typeof openGitStore>;
}

async function world(
	options: Partial<GitServerOptions> = {},
	{ signal, env = process.env, clock }: { signal?: AbortSignal; env?: Io["env"]; clock?: Clock } = {},
): Promise<World> {
	const server = await startGitServer({ root: join(root, "served"), ...options });
	const directory = join(root, `cache-${count++}`);
	const log: LogEvent[] = [];
	const argv: string[] = [];
	const real = nodeIo({ log: (event) => log.push(event), env, ...(signal === undefined ? {} : { signal }) });
	const io: Io = {
		...real,
		clock: clock ?? { ...real.clock, sleep: async () => {} },
		exec: (args, options) => {
			argv.push(...args);
			return real.exec(args, options);
		},
	};
	return {
		io,
		server,
		directory,
		log,
		argv,
		open: (options) =>
			openGitStore(io, { directory, rewrite: { "https://example.org/images/": `${server.url}/` }, ...options }),
		[Symbol.asyncDispose]: () => server.close(),
	};
}

async function failure(promise: Promise<unknown>): Promise<BrewlineError> {
	const error = await promise.then(
		() => undefined,
		(error: unknown) => error,
	);
	expect(error).toBeInstanceOf(BrewlineError);
	return error as BrewlineError;
}

const packs = (requests: readonly GitRequest[]) => requests.filter(({ method }) => method === "POST").length;
const wanted = (...ids: readonly string[]) => ids.map((commit) => ({ commit, fetch: main }));

describe("fetching", () => {
	test("all missing commits come in one fetch, and nothing is asked for twice", async () => {
		await using w = await world();
		await using store = w.open();
		const git = store.repository(address);
		await git.ensure(wanted(commits[0]!, commits[2]!, aside));
		const first = w.server.requests.length;
		expect(w.argv.filter((word) => word === "fetch")).toHaveLength(1);
		await git.ensure(wanted(commits[0]!, commits[2]!, aside));
		expect(w.server.requests).toHaveLength(first);
		expect(await git.commitEpoch(commits[2]!)).toBe(1_700_000_002);
		expect(Buffer.from(await git.readFile(aside, ".", "Dockerfile")).toString()).toContain("# 4");
		// Without their history.
		expect((await failure(git.commitEpoch(commits[1]!))).message).toContain("not in the cache");
	});

	test("the cache is on disk: another store asks nothing, and starts no process to find out", async () => {
		await using w = await world();
		{
			await using store = w.open();
			await store.repository(address).ensure(wanted(commits[1]!));
		}
		w.argv.length = 0;
		const before = w.server.requests.length;
		await using store = w.open();
		const git = store.repository(address);
		await git.ensure(wanted(commits[1]!));
		expect(w.argv.filter((word) => word === "git")).toHaveLength(1);
		expect(await git.commitEpoch(commits[1]!)).toBe(1_700_000_001);
		expect(w.server.requests).toHaveLength(before);
	});

	test("an id that is not there fails alone, with both reasons", async () => {
		await using w = await world();
		await using store = w.open();
		const git = store.repository(address);
		const missing = "0123456789012345678901234567890123456789";
		const error = await failure(git.ensure(wanted(commits[0]!, missing, commits[3]!)));
		expect(error.code).toBe("git");
		expect(error.message).toContain(missing);
		expect(error.message).toContain(address);
		expect(error.message).toMatch(/by its id: .*not our ref/);
		expect(error.message).toContain("by refs/heads/main: it is not in the history of that ref");
		expect(error.hint).toContain("GitFetch");
		expect(await git.commitEpoch(commits[0]!)).toBe(1_700_000_000);
		expect(await git.commitEpoch(commits[3]!)).toBe(1_700_000_003);
	});

	test.each(["one", "many"])("a server that refuses ids gives them by GitFetch (%s)", async (how) => {
		await using w = await world({ protocol: 0 });
		await using store = w.open();
		const git = store.repository(address);
		const ids = how === "one" ? [commits[1]!] : [commits[0]!, commits[1]!, commits[4]!];
		await git.ensure(wanted(...ids));
		for (const id of ids) expect(await git.commitEpoch(id)).toBe(1_700_000_000 + commits.indexOf(id));
		const error = await failure(git.ensure(wanted(aside)));
		expect(error.message).toMatch(/by its id: .*does not allow request for unadvertised object/);
		expect(error.message).toContain("not in the history");
	});

	test("the tip of a ref costs no history where ids are refused", async () => {
		await using w = await world({ protocol: 0 });
		await using store = w.open();
		const git = store.repository(address);
		await git.ensure(wanted(commits[4]!));
		expect(await git.commitEpoch(commits[4]!)).toBe(1_700_000_004);
		expect((await failure(git.commitEpoch(commits[0]!))).message).toContain("not in the cache");
	});

	test.each([
		["reachable", () => commits[1]!],
		["any", () => aside],
	] as const)("a server of the old protocol that allows %s ids", async (allow, id) => {
		await using w = await world({ protocol: 0, allow });
		await using store = w.open();
		await store.repository(address).ensure([{ commit: id(), fetch: "refs/heads/none" }]);
		expect(await store.repository(address).checksum(id(), ".")).toMatch(/^[0-9a-f]{64}$/);
	});

	test("a ref that is not there is the second reason", async () => {
		await using w = await world({ protocol: 0 });
		await using store = w.open();
		const error = await failure(store.repository(address).ensure([{ commit: commits[1]!, fetch: "refs/heads/none" }]));
		expect(error.message).toMatch(/by refs\/heads\/none: .*couldn't find remote ref refs\/heads\/none/);
	});

	test("the same commit by another ref, where the first one fails", async () => {
		await using w = await world({ protocol: 0 });
		await using store = w.open();
		const commit = commits[1]!;
		await store.repository(address).ensure([
			{ commit, fetch: "refs/heads/none" },
			{ commit, fetch: main },
		]);
		expect(await store.repository(address).commitEpoch(commit)).toBe(1_700_000_001);
	});

	test("a ref is not fetched for a commit that another one brought", async () => {
		const commit = commits[1]!;
		const requests = async (...refs: readonly string[]) => {
			await using w = await world({ protocol: 0 });
			await using store = w.open();
			await store.repository(address).ensure(refs.map((fetch) => ({ commit, fetch })));
			return w.server.requests.length;
		};
		expect(await requests(main, "refs/heads/none")).toBe(await requests(main));
	});

	test("what is wrong with one entry does not keep the others from being fetched", async () => {
		await using w = await world();
		await using store = w.open();
		const git = store.repository(address);
		const error = await failure(
			git.ensure([
				{ commit: commits[1]!, fetch: "refs/heads/a b" },
				{ commit: "short", fetch: main },
				...wanted(commits[0]!, tag),
			]),
		);
		expect(error.errors.map(({ message }) => message)).toEqual([
			expect.stringContaining(`${commits[1]}: not a ref: refs/heads/a b`),
			expect.stringContaining("not a commit id: short"),
			expect.stringContaining(`${tag} is the id of a tag`),
		]);
		expect(await git.commitEpoch(commits[0]!)).toBe(1_700_000_000);
	});

	test("the ids of a tag and of a tree are no commits", async () => {
		await using w = await world();
		await using store = w.open();
		const git = store.repository(address);
		const error = await failure(git.ensure(wanted(tag)));
		expect(error.message).toContain(`${tag} is the id of a tag, not of a commit`);
		expect(error.hint).toContain(commits[4]);
		expect((await failure(git.ensure(wanted(tree)))).message).toContain("is the id of a tree, not of a commit");
		expect((await failure(git.commitEpoch(tag))).message).toContain("is the id of a tag");
	});

	test("a repository that is not there, and a server that is down", async () => {
		await using w = await world();
		await using store = w.open();
		const other = store.repository("https://example.org/images/other.git");
		const error = await failure(other.ensure(wanted(commits[0]!)));
		expect(error.message).toMatch(/other\.git \(fetched from .*not found/);
		await w.server.close();
		const down = await failure(store.repository(address).ensure(wanted(commits[0]!)));
		expect(down.message).toMatch(/failed to connect/i);
		expect(down.hint).toContain("network");
	});

	test.each([503, "reset", "truncate"] as const)("what passes is tried again: %s", async (how) => {
		let failures = 2;
		await using w = await world({ fail: () => (failures-- > 0 ? how : undefined) });
		await using store = w.open();
		const git = store.repository(address);
		await git.ensure(wanted(commits[0]!));
		expect(await git.commitEpoch(commits[0]!)).toBe(1_700_000_000);
		const again = w.log.filter((event) => event.type === "message" && event.text.includes("trying again"));
		expect(again.length).toBeGreaterThan(0);
	});

	test("a pack that breaks off is asked for again, and never taken for whole", async () => {
		let failures = 3;
		await using w = await world({
			fail: ({ method }) => (method === "POST" && failures-- > 0 ? "truncate" : undefined),
		});
		await using store = w.open();
		const git = store.repository(address);
		await git.ensure(wanted(commits[0]!));
		expect(failures).toBeLessThan(0);
		expect((await failure(git.commitEpoch(commits[1]!))).message).toContain("not in the cache");
		expect(await git.checksum(commits[0]!, ".")).toMatch(/^[0-9a-f]{64}$/);
	});

	test("what does not pass is not tried again", async () => {
		await using w = await world({ fail: () => 404 });
		await using store = w.open();
		await failure(store.repository(address).ensure(wanted(commits[0]!)));
		expect(w.argv.filter((word) => word === "fetch")).toHaveLength(2);
	});

	test("repositories with ids of 64 digits", async () => {
		const other = makeRepository(join(root, "served/long.git"), { format: "sha256" });
		const id = other.commit(other.tree([["100644", "a", other.object("blob", "a\n")]]), { date: 5 });
		other.ref(main, id);
		await using w = await world();
		await using store = w.open();
		const git = store.repository("https://example.org/images/long.git");
		await git.ensure(wanted(id));
		expect(await git.commitEpoch(id)).toBe(5);
		expect(Buffer.from(await git.readFile(id, ".", "a")).toString()).toBe("a\n");
	});

	test("the longest prefix is rewritten, and only for fetching", async () => {
		await using w = await world();
		await using store = w.open({
			rewrite: {
				"https://example.org/": "http://127.0.0.1:9/",
				"https://example.org/images/": `${w.server.url}/`,
				"https://example.org/images/thing.git/more": "http://127.0.0.1:9/",
			},
		});
		await store.repository(address).ensure(wanted(commits[0]!));
		expect(packs(w.server.requests)).toBeGreaterThan(0);
	});
});

describe("private repositories", () => {
	const auth = { username: "x-access-token", password: "s3cret/token+" };
	const basic = Buffer.from(`${auth.username}:${auth.password}`).toString("base64");

	test("without a credential: an error that says so, and no question at a terminal", async () => {
		await using w = await world({ auth });
		await using store = w.open();
		const error = await failure(store.repository(address).ensure(wanted(commits[0]!)));
		expect(error.code).toBe("credentials");
		expect(error.hint).toContain("token");
	});

	test.each(["options", "environment"])("a token of the %s opens it, and is seen nowhere", async (place) => {
		const env = { ...process.env, THE_TOKEN: auth.password, GIT_TRACE_CURL: "1", GIT_TRACE: "1" };
		await using w = await world({ auth }, { env });
		const credential = place === "options" ? { token: auth.password } : { tokenVariable: "THE_TOKEN" };
		await using store = w.open({ credentials: { [w.server.url]: credential } });
		const git = store.repository(address);
		await git.ensure(wanted(commits[0]!));
		expect(await git.commitEpoch(commits[0]!)).toBe(1_700_000_000);
		const error = await failure(git.ensure([{ commit: "f".repeat(40), fetch: "refs/heads/none" }]));
		const shown = JSON.stringify([w.argv, w.log, error.message, error.hint, error.cause, error.stack]);
		expect(shown).not.toContain(auth.password);
		expect(shown).not.toContain(basic);
		for (const file of readdirSync(w.directory, { recursive: true, withFileTypes: true })) {
			if (!file.isFile()) continue;
			expect((await readFile(join(file.parentPath, file.name))).includes(basic)).toBe(false);
		}
	});

	test("a token that is refused", async () => {
		await using w = await world({ auth });
		await using store = w.open({ credentials: { [w.server.url]: { token: "wr0ng" } } });
		const error = await failure(store.repository(address).ensure(wanted(commits[0]!)));
		expect(error.code).toBe("credentials");
		expect(error.hint).toContain("was refused");
		expect(`${error.message}${String(error.stack)}`).not.toContain("wr0ng");
	});

	test("a token goes to its own prefix only", async () => {
		await using w = await world();
		const other = w.server.url.slice(0, -1);
		await using store = w.open({ credentials: { [other]: { token: "t" }, [`${w.server.url}/thin`]: { token: "t" } } });
		await store.repository(address).ensure(wanted(commits[0]!));
		expect(w.server.requests.every(({ authorization }) => authorization === undefined)).toBe(true);
	});

	test("a token is sent to no other origin that its own redirects to", async () => {
		await using other = await world();
		await using w = await world({ auth, fail: ({ path }) => ({ location: `${other.server.url}${path}` }) });
		await using store = w.open({ credentials: { [w.server.url]: { token: auth.password } } });
		const error = await failure(store.repository(address).ensure(wanted(commits[0]!)));
		expect(error.message).toContain(`it sends us on to ${other.server.url}, where its credential does not go`);
		expect(error.hint).toContain("write the address that it leads to");
		expect(other.server.requests).toEqual([]);
	});

	test("a redirect within the origin of a token is followed", async () => {
		await using w = await world({
			auth,
			fail: ({ path }) =>
				path.startsWith("/old.git/") ? { location: path.replace("/old.git/", "/thing.git/") } : undefined,
		});
		await using store = w.open({ credentials: { [w.server.url]: { token: auth.password } } });
		await store.repository("https://example.org/images/old.git").ensure(wanted(commits[0]!));
		expect(w.server.requests.map(({ method, path }) => `${method} ${path.split("/")[1]}`)).toEqual(
			expect.arrayContaining(["GET old.git", "GET thing.git", "POST thing.git"]),
		);
	});

	test("a token is sent round in no circle", async () => {
		await using w = await world({ auth, fail: ({ path }) => ({ location: path }) });
		await using store = w.open({ credentials: { [w.server.url]: { token: auth.password } } });
		const error = await failure(store.repository(address).ensure(wanted(commits[0]!)));
		expect(error.message).toContain("returned error: 302");
	});

	test("a variable that is not set", async () => {
		await using w = await world();
		await using store = w.open({ credentials: { [w.server.url]: { tokenVariable: "NO_SUCH_TOKEN" } } });
		const error = await failure(store.repository(address).ensure(wanted(commits[0]!)));
		expect(error).toMatchObject({ code: "credentials" });
		expect(error.message).toContain("NO_SUCH_TOKEN");
	});

	test("an ssh key is given to ssh, which asks nobody", async () => {
		const bin = await mkdtemp(join(root, "bin-"));
		await writeFile(join(bin, "ssh"), `#!/bin/sh\nprintf '%s\\n' "$@" > '${bin}/arguments'\nexit 1\n`);
		await chmod(join(bin, "ssh"), 0o755);
		await using w = await world({}, { env: { ...process.env, PATH: `${bin}:${process.env["PATH"]}` } });
		const credential = { sshKey: "/keys/it's one", knownHosts: "/keys/hosts" };
		await using store = w.open({ credentials: { "ssh://git@example.org": credential } });
		const error = await failure(store.repository("ssh://git@example.org/a.git").ensure(wanted(commits[0]!)));
		expect(error.message).toContain("Could not read from remote");
		const args = (await readFile(join(bin, "arguments"), "utf8")).split("\n");
		expect(args).toContain("BatchMode=yes");
		expect(args).toContain("/keys/it's one");
		expect(args).toContain("UserKnownHostsFile=/keys/hosts");
	});
});

describe("what a definition may not say", () => {
	test.each([
		"ext::sh -c touch% /tmp/x",
		"-uprogram",
		"--upload-pack=touch",
		"file:///etc",
		"/etc",
		"../x",
		"https://user:password@example.org/x.git",
		"https://token@example.org/x.git",
		"ssh://-oProxyCommand=x/y",
		"ssh://-o@example.org/y",
		"-oProxyCommand=x@example.org:y",
		"git@-oProxyCommand=x:y",
		"git@example.org:-x",
		"https://example.org/x.git\nhttps://example.org/y.git",
		"https://example.org/%0a",
		"https://exa mple.org/x",
		"https:///x",
		"https://example.org/x#fragment",
		"ftp://example.org/x",
		"",
		`https://example.org/${"x".repeat(3000)}`,
	])("GitRepo %j", async (text) => {
		await using w = await world();
		await using store = w.open();
		expect(() => store.repository(text)).toThrow(/not a git address/);
		expect(() => store.repository(text)).not.toThrow(/:password@|token@/);
	});

	test.each([
		"https://github.com/docker-library/golang.git",
		"http://127.0.0.1:3000/x.git",
		"git://example.org/x",
		"ssh://git@example.org:22/x.git",
		"git@example.org:group/x.git",
	])("GitRepo %j is fine", async (text) => {
		await using w = await world();
		await using store = w.open();
		expect(() => store.repository(text)).not.toThrow();
	});

	test.each([
		"main",
		"+refs/heads/x",
		"refs/heads/*",
		"refs/heads/x:refs/heads/y",
		"refs/heads/a b",
		"refs/heads/../x",
		"refs/heads/x\ny",
		"-x",
		"refs/notes/x",
		"refs/heads/",
	])("GitFetch %j", async (fetch) => {
		await using w = await world();
		await using store = w.open();
		const error = await failure(store.repository(address).ensure([{ commit: commits[0]!, fetch }]));
		expect(error.message).toContain("not a ref");
		expect(w.argv).toEqual([]);
	});

	test.each(["", "main", "A".repeat(40), "0".repeat(39), "-".repeat(40), `${"0".repeat(39)}\n`])(
		"GitCommit %j",
		async (commit) => {
			await using w = await world();
			await using store = w.open();
			expect((await failure(store.repository(address).ensure(wanted(commit)))).message).toContain("not a commit id");
			expect((await failure(store.repository(address).commitEpoch(commit))).message).toContain("not a commit id");
		},
	);
});

describe("the cache", () => {
	test("two stores, and two programs, at the same time", async () => {
		// By the real clock: who waits without it takes the lock of one that is alive for one that was left.
		await using w = await world({}, { clock: nodeIo().clock });
		const script = join(root, `fetch-${count}.mjs`);
		await writeFile(
			script,
			`import { openGitStore } from ${JSON.stringify(join(import.meta.dirname, "index.ts"))};
			import { nodeIo } from ${JSON.stringify(join(import.meta.dirname, "../io/index.ts"))};
			await using store = openGitStore(nodeIo(), ${JSON.stringify({ directory: w.directory, rewrite: { "https://example.org/images": w.server.url } })});
			const git = store.repository(${JSON.stringify(address)});
			await git.ensure(${JSON.stringify(wanted(...commits))});
			console.log(await git.checksum(${JSON.stringify(commits[3])}, "."));
			`,
		);
		const program = () => promisify(execFile)(process.execPath, [script]);
		await using one = w.open();
		await using two = w.open();
		const ensured = [one, two].map(async (store) => {
			await store.repository(address).ensure(wanted(...commits, aside));
			return store.repository(address).checksum(commits[3]!, ".");
		});
		const programs = [program(), program(), program()].map(async (run) => (await run).stdout.trim());
		const checksums = await Promise.all([...ensured, ...programs]);
		expect(new Set(checksums).size).toBe(1);
		expect(readdirSync(w.directory).filter((name) => !name.endsWith(".git"))).toEqual([]);
	});

	test("questions about more repositories than there are processes for are answered all the same", async () => {
		await using w = await world();
		const addresses = Array.from({ length: 30 }, (_, number) => `https://example.org/many/${number}.git`);
		await using store = w.open({
			rewrite: Object.fromEntries(addresses.map((each) => [each, `${w.server.url}/thing.git`])),
		});
		// Trees that are known already are walked without a question, and leave a process idle that is soon needed.
		for (const each of addresses) {
			await store.repository(each).ensure(wanted(commits[4]!));
			await store.repository(each).readTree(commits[4]!, ".");
		}
		const asked = addresses.map((each) => store.repository(each).checksum(commits[4]!, "."));
		expect(new Set(await Promise.all(asked)).size).toBe(1);
	});

	test("concurrent questions of one store are one fetch each", async () => {
		await using w = await world();
		await using store = w.open();
		const git = store.repository(address);
		await Promise.all([
			git.ensure(wanted(commits[0]!)),
			git.ensure(wanted(commits[0]!)),
			git.ensure(wanted(commits[1]!)),
		]);
		expect(w.argv.filter((word) => word === "fetch")).toHaveLength(2);
	});

	test("the locks that a killed process left are taken, git's own too, and its half packs go", async () => {
		await using w = await world();
		{
			await using store = w.open();
			await store.repository(address).ensure(wanted(commits[0]!));
		}
		const bare = join(w.directory, readdirSync(w.directory)[0]!);
		// Of another machine, so nobody can say whether it is alive: it is not touched any more.
		await writeFile(`${bare}.lock`, JSON.stringify({ machine: "elsewhere", pid: 1, id: "x" }));
		await utimes(`${bare}.lock`, new Date(0), new Date(0));
		await writeFile(join(bare, "shallow.lock"), "");
		await writeFile(join(bare, "refs/brewline/commits", `${commits[1]!}.lock`), "");
		const part = join(bare, "objects/pack/tmp_pack_a1b2c3");
		await writeFile(part, "PACK");
		await using store = w.open();
		await store.repository(address).ensure(wanted(commits[1]!));
		expect(await store.repository(address).commitEpoch(commits[1]!)).toBe(1_700_000_001);
		expect(existsSync(`${bare}.lock`)).toBe(false);
		expect(existsSync(part)).toBe(false);
	});

	test("damage is found out: an object with other content, a pack that is gone, a repository that is none", async () => {
		await using w = await world();
		async function filled(): Promise<string> {
			await rm(w.directory, { recursive: true, force: true });
			await using store = w.open();
			await store.repository(address).ensure(wanted(commits[0]!));
			return join(w.directory, readdirSync(w.directory)[0]!);
		}
		async function read(): Promise<BrewlineError> {
			await using store = w.open();
			return await failure(store.repository(address).checksum(commits[0]!, "."));
		}

		// No pack, and in its place loose objects: the commit, the tree, and a blob of another content under the right name.
		const swapped = await filled();
		await rm(join(swapped, "objects/pack"), { recursive: true });
		const own = makeRepository(join(root, `swap-${count}`));
		const loose = (id: string) => `objects/${id.slice(0, 2)}/${id.slice(2)}`;
		const place = async (id: string, under: string) => {
			await mkdir(join(swapped, loose(under), ".."), { recursive: true });
			await copyFile(join(own.directory, loose(id)), join(swapped, loose(under)));
		};
		const blob = own.object("blob", "FROM scratch\n# 0\n");
		const tree = own.tree([["100644", "Dockerfile", blob]]);
		for (const id of [tree, own.commit(tree)]) await place(id, id);
		await place(own.object("blob", "FROM somewhere\n"), blob);
		const changed = await read();
		expect(changed.message).toContain(`the content of the object ${blob} is not what its id says`);
		expect(changed.hint).toContain(swapped);

		await rm(join(await filled(), "objects/pack"), { recursive: true });
		expect((await read()).message).toContain("damaged");
		await rm(join(await filled(), "HEAD"));
		expect((await read()).message).toContain("damaged");
	});

	test("is not made for a question that needs none", async () => {
		await using w = await world();
		await using store = w.open();
		const git = store.repository(address);
		await git.ensure([]);
		expect((await failure(git.commitEpoch(commits[0]!))).message).toContain("not in the cache");
		expect(existsSync(w.directory)).toBe(false);
		expect(w.argv).toEqual([]);
	});

	test("an end that is asked for ends a fetch that hangs", async () => {
		const controller = new AbortController();
		const { promise: asked, resolve } = Promise.withResolvers<void>();
		// Never answered: `fail` cannot wait, so a server of its own.
		const server = createServer(() => resolve());
		await new Promise<void>((done) => server.listen(0, "127.0.0.1", done));
		const { port } = server.address() as { port: number };
		await using w = await world({}, { signal: controller.signal });
		await using store = w.open({ rewrite: { "https://example.org/images": `http://127.0.0.1:${port}` } });
		const ensured = failure(store.repository(address).ensure(wanted(commits[0]!)));
		await asked;
		controller.abort();
		expect((await ensured).code).toBe("cancelled");
		server.closeAllConnections();
		await new Promise((done) => server.close(done));
	});
});
