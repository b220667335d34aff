import { existsSync, mkdirSync, readdirSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { inspect } from "node:util";
import { describe, expect, test } from "vitest";
import { makeRepository, type TestRepository } from "../support/git-repository.ts";
import { bot, branch, firstTime, libraryWorld, token, type LibraryWorld } from "../support/library-world.ts";
import type { Io } from "../../src/io/index.ts";
import { propose } from "../../src/propose/index.ts";

const week = 7 * 24 * 3600;
const day = 24 * 3600 * 1000;

/** The library with the image's first commit in it, and a definition of its second one. */
async function published(options: Parameters<typeof libraryWorld>[0] = {}) {
	const w = await libraryWorld(options);
	const first = w.change("First");
	publish(w, w.definition(first));
	const second = w.change("Update 1 to 1.1");
	return { w, first, second, text: w.definition(second) };
}

/** What a maintainer of the library merges. */
function publish(w: LibraryWorld, text: string, more: Parameters<LibraryWorld["commit"]>[1] = {}): string {
	return w.commit(
		{ "README.md": "the library\n", "library/other": "Maintainers: Other (@other)\n", "library/tool": text },
		more,
	);
}

function facts(repository: TestRepository, name: string): readonly string[] {
	return repository.git("log", "-1", "--format=%P%n%an <%ae>%n%cn <%ce>%n%at%n%ct", name).split("\n");
}

describe("one proposal", () => {
	test("a commit on the library's default branch, dated as the newest one of the image, and a pull request", async () => {
		const { w, first, second, text } = await published();
		await using _ = w;
		const base = w.at("main");
		const proposal = await w.propose(text);
		expect(proposal).toMatchObject({
			outcome: "proposed",
			images: ["tool"],
			branch,
			base: { branch: "main", commit: base },
			commit: w.at(branch),
			url: "https://github.example/official/images/pull/1",
			title: "Update tool",
			security: false,
			commits: [{ id: second, subject: "Update 1 to 1.1" }],
		});
		const who = `${bot.name} <${bot.email}>`;
		const when = String(firstTime + 2 * 3600);
		expect(facts(w.library, branch)).toEqual([base, who, who, when, when]);
		expect(w.show(branch, "library/tool")).toBe(text.trim());
		expect(w.library.git("diff-tree", "--name-only", "-r", "main", branch)).toBe("library/tool");
		expect(w.library.git("log", "-1", "--format=%B", branch)).toBe(
			`Update tool

Changes:
- https: github.com/somebody/tool/commit/${second}: Update 1 to 1.1

Maintainers: Ada Example, Bob Example
Brewline-Branch: brewline/tool`.replace("https: ", "https://"),
		);
		expect(w.api.pulls).toMatchObject([
			{
				title: "Update tool",
				base: "main",
				branch,
				body: `Changes:

- [\`${second.slice(0, 7)}\`](https://github.com/somebody/tool/commit/${second}) \`Update 1 to 1.1\`

Maintainers: @ada @bob
`,
			},
		]);
		expect(JSON.stringify(proposal)).not.toContain(first);
	});

	test("the second time nothing is pushed, and the pull request is left as it is", async () => {
		const { w, text } = await published();
		await using _ = w;
		await w.propose(text);
		w.api.pulls[0]!.title = "What a maintainer made of it";
		const before = [w.pushes(), w.api.changes().length, w.at(branch)];
		expect(await w.propose(text)).toMatchObject({ outcome: "unchanged", url: expect.stringContaining("/pull/1") });
		expect([w.pushes(), w.api.changes().length, w.at(branch)]).toEqual(before);
	});

	test("a new image", async () => {
		await using w = await libraryWorld();
		w.change("Long ago");
		const text = w.definition(w.change("First release"));
		const proposal = await w.propose(text);
		expect(proposal).toMatchObject({ outcome: "proposed", title: "Add tool", commits: [{ subject: "First release" }] });
		expect(w.show(branch, "library/other")).toContain("Other");
	});

	test("several images of one repository in one proposal", async () => {
		const { w, text } = await published();
		await using _ = w;
		const both = new Map([
			["tool", text],
			["tool-extra", text.replace("Tags: 1, latest", "Tags: 2")],
		]);
		expect(await w.propose(both)).toMatchObject({ images: ["tool", "tool-extra"], title: "Update tool, tool-extra" });
		expect(w.library.git("diff-tree", "--name-only", "-r", "main", branch).split("\n")).toEqual([
			"library/tool",
			"library/tool-extra",
		]);
		// One of them is not to be proposed any more.
		expect(await w.propose(text)).toMatchObject({ outcome: "updated", images: ["tool"] });
		expect(w.library.git("diff-tree", "--name-only", "-r", "main", branch)).toBe("library/tool");
	});

	test("something that is not a commit's doing", async () => {
		const { w, first } = await published();
		await using _ = w;
		const proposal = await w.propose(w.definition(first, "Builder: buildkit\n"));
		expect(proposal).toMatchObject({ outcome: "proposed", title: "Update tool", commits: [] });
		expect(proposal.body).toContain("No commit of the image's repository");
	});

	test("a branch alone, where there is no API", async () => {
		const { w, text } = await published();
		await using _ = w;
		const alone = { gitHub: undefined } as object;
		expect(await w.propose(text, alone)).toMatchObject({ outcome: "proposed", url: null, commit: w.at(branch) });
		expect(await w.propose(text, alone)).toMatchObject({ outcome: "unchanged" });
		const next = w.definition(w.change("Update 1.1 to 1.2"));
		expect(await w.propose(next, alone)).toMatchObject({ outcome: "updated", commits: { length: 2 } });
		expect(w.library.git("rev-list", "--count", `main..${branch}`)).toBe("1");
		publish(w, next);
		expect(await w.propose(next, alone)).toMatchObject({ outcome: "published" });
		expect(w.at(branch)).toBeUndefined();
		expect(w.api.requests).toEqual([]);
	});

	test("a dry run says what would be, and does nothing", async () => {
		const { w, text } = await published();
		await using _ = w;
		const dry = await w.propose(text, { dryRun: true });
		expect(dry).toMatchObject({ outcome: "proposed", dryRun: true, commit: null, title: "Update tool" });
		await w.propose(text);
		publish(w, text);
		expect(await w.propose(text, { dryRun: true })).toMatchObject({ outcome: "published" });
		expect([w.pushes(), w.api.changes()]).toEqual([1, ["POST pulls"]]);
	});
});

describe("states of the branch and its pull request", () => {
	test("more commits: the same branch and pull request, again one commit on the library of now", async () => {
		const { w, text } = await published();
		await using _ = w;
		await w.propose(text);
		const base = w.commit({ "README.md": "moved on\n", "library/tool": w.show("main", "library/tool") + "\n" });
		const next = w.definition(w.change("Update 1.1 to 1.2"));
		expect(await w.propose(next)).toMatchObject({ outcome: "updated", base: { commit: base } });
		expect(facts(w.library, branch)[0]).toBe(base);
		expect(w.api.pulls).toHaveLength(1);
		expect(w.api.pulls[0]).toMatchObject({ body: expect.stringContaining("Update 1.1 to 1.2"), commit: w.at(branch) });
	});

	test("the base moved, and the definition in it did not: nothing to do; it did: made anew", async () => {
		const { w, text } = await published();
		await using _ = w;
		await w.propose(text);
		const old = w.at(branch);
		const library = w.show("main", "library/tool") + "\n";
		w.commit({ "README.md": "moved on\n", "library/tool": library });
		expect(await w.propose(text)).toMatchObject({ outcome: "unchanged", commit: old });
		w.commit({ "README.md": "moved on\n", "library/tool": `# by hand\n${library}` });
		expect(await w.propose(text)).toMatchObject({ outcome: "updated" });
		expect(facts(w.library, branch)[0]).toBe(w.at("main"));
		expect(w.at(branch)).not.toBe(old);
	});

	test.each(["merge", "squash"])("the library has it (%s): the branch goes", async (way) => {
		const { w, text } = await published();
		await using _ = w;
		await w.propose(text);
		publish(w, text, way === "merge" ? { parents: [w.at("main")!, w.at(branch)!] } : {});
		expect(await w.propose(text)).toMatchObject({ outcome: "published", images: [] });
		expect([w.at(branch), w.api.pulls[0]!.state]).toEqual([undefined, "closed"]);
		expect(await w.propose(text)).toMatchObject({ outcome: "published" });
		// And the next one begins anew.
		expect(await w.propose(w.definition(w.change("Update 1.1 to 1.2")))).toMatchObject({ outcome: "proposed" });
		expect(w.api.pulls.map(({ state }) => state)).toEqual(["closed", "open"]);
	});

	test("merged, and the branch still there: the next one takes its place", async () => {
		const { w, text } = await published();
		await using _ = w;
		await w.propose(text);
		publish(w, text, { parents: [w.at("main")!, w.at(branch)!] });
		const proposal = await w.propose(w.definition(w.change("Update 1.1 to 1.2")));
		expect(proposal).toMatchObject({ outcome: "proposed", commits: { length: 1 }, url: expect.stringContaining("/2") });
		// What was merged is not opened again.
		expect(w.api.changes()).toEqual(["POST pulls", "POST pulls"]);
		expect(facts(w.library, branch)[0]).toBe(w.at("main"));
	});

	test("the branch was deleted: made anew", async () => {
		const { w, text } = await published();
		await using _ = w;
		await w.propose(text);
		w.library.git("update-ref", "-d", `refs/heads/${branch}`);
		expect(await w.propose(text)).toMatchObject({ outcome: "proposed" });
		expect(w.api.pulls.map(({ state }) => state)).toEqual(["closed", "open"]);
	});

	test("people closed it: left alone until there is something else to propose, which opens it again", async () => {
		const { w, text } = await published();
		await using _ = w;
		await w.propose(text);
		Object.assign(w.api.pulls[0]!, { state: "closed", closed: w.io.clock.now() });
		expect(await w.propose(text)).toMatchObject({ outcome: "declined", url: expect.stringContaining("/pull/1") });
		expect([w.pushes(), w.api.changes()]).toEqual([1, ["POST pulls"]]);
		const next = w.definition(w.change("Update 1.1 to 1.2"));
		expect(await w.propose(next)).toMatchObject({ outcome: "proposed", url: expect.stringContaining("/pull/1") });
		expect(w.api.pulls).toMatchObject([{ state: "open", body: expect.stringContaining("1.2") }]);
		Object.assign(w.api.pulls[0]!, { state: "closed", closed: w.io.clock.now() });
		expect(await w.propose(next, { again: true })).toMatchObject({ outcome: "proposed" });
		expect(w.api.pulls).toMatchObject([{ state: "open" }]);
	});

	test("closed, and pushed to since: GitHub opens it no more, so there is a new one", async () => {
		const { w, text } = await published();
		await using _ = w;
		await w.propose(text);
		Object.assign(w.api.pulls[0]!, { state: "closed", closed: w.io.clock.now(), commit: w.at("main")! });
		expect(await w.propose(w.definition(w.change("More")))).toMatchObject({ outcome: "proposed" });
		expect(w.api.pulls.map(({ state }) => state)).toEqual(["closed", "open"]);
	});

	test("ended between push and pull request: the next run opens it", async () => {
		const { w, text } = await published();
		await using _ = w;
		w.fail.api = ({ method }) => (method === "POST" ? { status: 403, body: { message: "Not yet" } } : undefined);
		await expect(w.propose(text)).rejects.toMatchObject({
			code: "credentials",
			message: expect.stringContaining("Not yet"),
		});
		w.fail.api = () => undefined;
		expect(await w.propose(text, { minAge: 52 * week })).toMatchObject({ outcome: "proposed", commit: w.at(branch) });
		expect([w.pushes(), w.api.pulls.length]).toEqual([1, 1]);
	});

	test("ended between push and a new text for the pull request: the next run says it, and none after people did", async () => {
		const { w, text } = await published();
		await using _ = w;
		await w.propose(text);
		const next = w.definition(w.change("Update 1.1 to 1.2"));
		w.fail.api = ({ method }) => (method === "PATCH" ? { status: 403 } : undefined);
		await expect(w.propose(next)).rejects.toMatchObject({ code: "credentials" });
		w.fail.api = () => undefined;
		expect(w.api.pulls[0]!.body).not.toContain("Update 1.1 to 1.2");
		const at = w.at(branch);
		expect(await w.propose(next)).toMatchObject({ outcome: "updated", commit: at });
		expect(w.api.pulls[0]!.body).toContain("Update 1.1 to 1.2");
		const changes = w.api.changes().length;
		expect(await w.propose(next)).toMatchObject({ outcome: "unchanged", commit: at });
		w.api.pulls[0]!.body = "What a maintainer made of it";
		expect(await w.propose(next)).toMatchObject({ outcome: "unchanged" });
		expect([w.pushes(), w.api.changes().length]).toEqual([2, changes]);
	});

	test("the default branch has another name: the pull request follows it", async () => {
		const { w, text } = await published();
		await using _ = w;
		await w.propose(text);
		w.library.git("branch", "-m", "main", "trunk");
		expect(await w.propose(text)).toMatchObject({ outcome: "updated", base: { branch: "trunk" } });
		expect([w.pushes(), w.api.pulls[0]!.base]).toEqual([1, "trunk"]);
	});

	test.each(["main", "trunk"])("the default branch (%s) itself is never pushed to", async (name) => {
		const { w, text } = await published();
		await using _ = w;
		if (name !== "main") w.library.git("branch", "-m", "main", name);
		await expect(w.propose(text, { branch: name })).rejects.toMatchObject({ code: "usage" });
		expect(w.pushes()).toBe(0);
	});
});

describe("somebody else's commits on the branch", () => {
	const files = (text: string) => ({ "README.md": "the library\n", "library/tool": text });
	const ours = { branch, message: `Update tool\n\nBrewline-Branch: ${branch}` };
	const cases: Readonly<Record<string, (w: LibraryWorld, text: string) => void>> = {
		"on top of ours": (w, text) => w.commit(files(`${text}# mended\n`), { branch }),
		"in place of ours": (w, text) =>
			w.commit(files(text.replace("latest", "new")), { branch, parents: [w.at("main")!] }),
		"a merge of the library": (w, text) => w.commit(files(text), { branch, parents: [w.at(branch)!, w.at("main")!] }),
		"our own message with another file": (w, text) =>
			w.commit(
				{ ...files(text), "library/other": "Maintainers: Other (@other)\n", ".github": "x" },
				{ ...ours, parents: [w.at("main")!] },
			),
		"our own message with a file in a folder": (w, text) =>
			w.commit(
				{ ...files(text), "library/other": "Maintainers: Other (@other)\n", "library/tool.d/x": "x" },
				{ ...ours, parents: [w.at("main")!] },
			),
		"our own message on a merge": (w, text) =>
			w.commit(files(text), { ...ours, parents: [w.at("main")!, w.at(branch)!] }),
		"our own commit, mended": (w, text) =>
			w.commit(
				{
					"README.md": "the library\n",
					"library/other": "Maintainers: Other (@other)\n",
					"library/tool": `${text}# mended\n`,
				},
				{ ...ours, parents: [w.at("main")!], by: bot, committer: { name: "A Person", email: "person@example.org" } },
			),
		"a root": (w, text) => w.commit(files(text), { branch, parents: [] }),
	};

	test.each(Object.keys(cases))("%s: not overwritten unless told so", async (name) => {
		const { w, text } = await published();
		await using _ = w;
		await w.propose(text);
		cases[name]!(w, text);
		const theirs = w.at(branch);
		const next = w.definition(w.change("Update 1.1 to 1.2"));
		expect(await w.propose(next)).toMatchObject({ outcome: "foreign", commit: theirs, url: expect.any(String) });
		expect(w.at(branch)).toBe(theirs);
		expect(await w.propose(next, { overwrite: true })).toMatchObject({ outcome: "updated" });
		expect(facts(w.library, branch)[0]).toBe(w.at("main"));
		expect(w.show(branch, "library/tool")).toBe(next.trim());
	});

	test("that say the same: nothing to add; and a branch that is not ours is not deleted", async () => {
		const { w, text } = await published();
		await using _ = w;
		await w.propose(text);
		cases["a merge of the library"]!(w, text);
		expect(await w.propose(text)).toMatchObject({ outcome: "unchanged" });
		publish(w, text);
		expect(await w.propose(text)).toMatchObject({ outcome: "published", reason: expect.stringContaining("is left") });
		expect(w.at(branch)).toBeDefined();
	});

	test("that come while we push are not overwritten", async () => {
		const { w, text } = await published();
		await using _ = w;
		await w.propose(text);
		let theirs: string | undefined;
		w.fail.git = ({ method, path }) => {
			if (theirs === undefined && method === "GET" && path.includes("receive-pack"))
				theirs = w.commit(files(`${text}# mended\n`), { branch });
			return undefined;
		};
		await expect(w.propose(w.definition(w.change("More")))).rejects.toMatchObject({
			code: "git",
			message: expect.stringContaining("changed by somebody else"),
		});
		expect(w.at(branch)).toBe(theirs);
	});
});

describe("how often", () => {
	test("not before a week is over since the last one was opened, unless it is about security", async () => {
		const { w, text } = await published();
		await using _ = w;
		expect(await w.propose(text, { minAge: week })).toMatchObject({ outcome: "proposed" });
		// While it is open, it rolls.
		const next = w.definition(w.change("Update 1.1 to 1.2"));
		expect(await w.propose(next, { minAge: week })).toMatchObject({ outcome: "updated" });
		publish(w, next);
		await w.propose(next, { minAge: week });
		w.io.clock.advance(2 * day);
		const third = w.definition(w.change("Update 1.2 to 1.3"));
		const pushes = w.pushes();
		expect(await w.propose(third, { minAge: week })).toMatchObject({
			outcome: "waits",
			after: "2026-01-08T00:00:00.000Z",
		});
		expect([w.pushes(), w.at(branch)]).toEqual([pushes, undefined]);
		const fix = w.definition(
			w.change("Update 1.3 to 1.3.1", { message: "Update 1.3 to 1.3.1\n\nMends CVE-2026-12345" }),
		);
		expect(await w.propose(fix, { minAge: week, dryRun: true })).toMatchObject({
			outcome: "proposed",
			security: true,
			title: "Update tool [security]",
		});
		w.io.clock.advance(5 * day);
		expect(await w.propose(third, { minAge: week })).toMatchObject({ outcome: "proposed" });
	});

	test("not before a week is over since people closed the last one", async () => {
		const { w, text } = await published();
		await using _ = w;
		await w.propose(text);
		w.io.clock.advance(5 * day);
		Object.assign(w.api.pulls[0]!, { state: "closed", closed: w.io.clock.now() });
		w.io.clock.advance(3 * day);
		const next = w.definition(w.change("Update 1.1 to 1.2"));
		const wait = { outcome: "waits", after: "2026-01-13T00:00:00.000Z" };
		expect(await w.propose(next, { minAge: week })).toMatchObject(wait);
	});

	test("where no proposal is known, counted from the newest commit that the library has", async () => {
		await using w = await libraryWorld();
		const first = w.change("First", { time: w.io.clock.now() / 1000 - 24 * 3600 });
		publish(w, w.definition(first));
		const text = w.definition(w.change("Second", { time: w.io.clock.now() / 1000 }));
		const wait = { outcome: "waits", after: "2026-01-07T00:00:00.000Z" };
		expect(await w.propose(text, { minAge: week })).toMatchObject(wait);
		expect(await w.propose(text, { minAge: week, gitHub: undefined } as object)).toMatchObject(wait);
		expect(await w.propose(text, { minAge: week, security: true })).toMatchObject({ outcome: "proposed" });
	});
});

describe("a fork", () => {
	const from = (w: LibraryWorld) => ({ fork: `${w.git.url}/somebot/images.git` });

	test("that is behind gets what it lacks with the branch, based on the library's own default branch", async () => {
		const { w, text } = await published();
		await using _ = w;
		for (let number = 0; number < 3; number++)
			publish(w, w.show("main", "library/tool") + "\n", { message: `Merge ${number}`, time: firstTime + number });
		const behind = w.at("main", w.fork)!;
		expect(await w.propose(text, from(w))).toMatchObject({ outcome: "proposed", base: { commit: w.at("main") } });
		expect(facts(w.fork, branch)[0]).toBe(w.at("main"));
		expect([w.at(branch), w.at("main", w.fork)]).toEqual([undefined, behind]);
		w.fork.git("fsck", "--full", "--strict");
		expect(w.fork.git("rev-list", "--count", `${behind}..${branch}`)).toBe("5");
		expect(existsSync(join(w.fork.directory, "shallow"))).toBe(false);
		expect(w.api.pulls).toMatchObject([{ from: "somebot/images", branch, base: "main" }]);
		expect(await w.propose(text, from(w))).toMatchObject({ outcome: "unchanged" });
		publish(w, w.show("main", "library/tool") + "\n", { message: "Another merge" });
		expect(await w.propose(w.definition(w.change("More")), from(w))).toMatchObject({ outcome: "updated" });
	});

	test("that is up to date", async () => {
		const { w, text } = await published();
		await using _ = w;
		w.fork.git("fetch", "--quiet", w.library.directory, "+refs/heads/main:refs/heads/main");
		expect(await w.propose(text, from(w))).toMatchObject({ outcome: "proposed" });
		expect(facts(w.fork, branch)[0]).toBe(w.at("main"));
		publish(w, text);
		expect(await w.propose(text, from(w))).toMatchObject({ outcome: "published" });
		expect([w.at(branch, w.fork), w.api.pulls[0]!.state]).toEqual([undefined, "closed"]);
	});

	test("whose default branch has another name than the library's: neither is pushed to", async () => {
		const { w, text } = await published();
		await using _ = w;
		w.library.git("branch", "-m", "main", "trunk");
		for (const name of ["main", "trunk"])
			await expect(w.propose(text, { ...from(w), branch: name })).rejects.toMatchObject({ code: "usage" });
		expect(w.pushes()).toBe(0);
	});

	test("of the library's own owner is named, since the owner does not tell it, and told apart from the library", async () => {
		const { w, text } = await published();
		await using _ = w;
		const sibling = w.serve("official/proposals");
		const fork = `${w.git.url}/official/proposals.git`;
		expect(await w.propose(text)).toMatchObject({ outcome: "proposed", url: expect.stringContaining("/pull/1") });
		const said = { ...w.api.pulls[0] };
		const other = w.definition(w.change("More"));
		expect(await w.propose(other, { fork })).toMatchObject({
			outcome: "proposed",
			commit: w.at(branch, sibling),
			url: expect.stringContaining("/pull/2"),
		});
		expect(w.api.requests.at(-1)?.body).toMatchObject({ head: `official:${branch}`, head_repo: "proposals" });
		expect(w.api.pulls).toMatchObject([said, { from: "official/proposals", branch }]);
		expect(await w.propose(other, { fork })).toMatchObject({ outcome: "unchanged", commit: w.at(branch, sibling) });
		expect(await w.propose(text)).toMatchObject({ outcome: "unchanged", commit: w.at(branch) });
	});

	test("that was renamed is found by its old name", async () => {
		const { w, text } = await published();
		await using _ = w;
		await w.propose(text, from(w));
		const [pull] = w.api.pulls;
		const body = { full_name: "somebot/official-images" };
		w.fail.api = ({ path }) => (path.endsWith("/repos/somebot/images") ? { status: 200, body } : undefined);
		w.api.pulls[0] = { ...pull!, from: body.full_name };
		w.serve(body.full_name).git("fetch", "--quiet", w.fork.directory, "refs/heads/*:refs/heads/*");
		expect(await w.propose(text, from(w))).toMatchObject({
			outcome: "unchanged",
			url: expect.stringContaining("/pull/1"),
		});
	});

	test("with commits of its own on its default branch, and an empty one", async () => {
		const { w, text } = await published();
		await using _ = w;
		w.commit({ "README.md": "ours\n" }, { message: "Our own", parents: [] }, w.fork);
		expect(await w.propose(text, from(w))).toMatchObject({ outcome: "proposed" });
		expect(facts(w.fork, branch)[0]).toBe(w.at("main"));
		const empty = makeRepository(join(dirname(w.fork.directory), "empty.git"));
		expect(
			await w.propose(text, { fork: `${w.git.url}/somebot/empty.git`, gitHub: undefined } as object),
		).toMatchObject({ outcome: "proposed" });
		expect(facts(empty, branch)[0]).toBe(w.at("main"));
	});
});

describe("trouble", () => {
	test("the token is in no argument, log, file or error", async () => {
		const { w, text } = await published({ auth: true });
		await using _ = w;
		const said: string[] = [];
		const real = w.io.exec;
		const watched: Io["exec"] = (args, options) => (said.push(...args), real(args, options));
		Object.assign(w.io, { exec: watched });
		const folder = join(dirname(dirname(w.image.directory)), "scratch");
		mkdirSync(folder);
		expect(await w.propose(text, { temporary: folder })).toMatchObject({ outcome: "proposed" });
		expect(readdirSync(folder)).toEqual([]);
		w.fail.api = () => ({ status: 403, body: { message: `Refused: ${token}` } });
		const refused = await w.propose(text).catch((error: unknown) => error as Error);
		w.fail.api = () => undefined;
		const wrong = { credentials: { [w.git.url]: { token: "wr0ng-s3cret" } } };
		const denied = await w.propose(text, wrong).catch((error: unknown) => error as Error);
		expect(denied).toMatchObject({ code: "credentials" });
		const bad = await w
			.propose(text, { gitHub: { api: w.api.url, token: "wr0ng-s3cret" } })
			.catch((error: unknown) => error as Error);
		expect(bad).toMatchObject({ code: "credentials", message: expect.stringContaining("Bad credentials") });
		for (const secret of [token, "wr0ng-s3cret"]) {
			const encoded = Buffer.from(`x-access-token:${secret}`).toString("base64");
			for (const hidden of [secret, encoded]) {
				expect(said.join(" ")).not.toContain(hidden);
				expect(JSON.stringify(w.io.logged)).not.toContain(hidden);
				for (const error of [refused, denied, bad]) expect(inspect(error, { depth: 10 })).not.toContain(hidden);
			}
		}
	});

	test("limits of requests are waited for, and servers in trouble asked again", async () => {
		const { w, text } = await published();
		await using _ = w;
		const reset = String(w.io.clock.now() / 1000 + 60);
		const answers = [
			{ status: 403, headers: { "retry-after": "7" } },
			{ status: 403, headers: { "x-ratelimit-remaining": "0", "x-ratelimit-reset": reset } },
			{ status: 502 },
			"reset",
			{ status: 403, body: { message: "You have exceeded a secondary rate limit." } },
		] as const;
		let number = 0;
		w.fail.api = () => answers[number++];
		expect(await w.propose(text)).toMatchObject({ outcome: "proposed" });
		expect(w.io.clock.slept).toEqual([7000, 53_000, 1000, 3000, 60_000]);
		w.fail.api = () => ({ status: 429, headers: { "retry-after": "3600" } });
		await expect(w.propose(text)).rejects.toMatchObject({ code: "github", message: expect.stringContaining("60 min") });
		w.fail.api = () => ({ status: 429, headers: { "retry-after": "0" } });
		await expect(w.propose(text)).rejects.toMatchObject({ code: "github", message: expect.stringContaining("1 min") });
		w.fail.api = () => ({ status: 503 });
		await expect(w.propose(text)).rejects.toMatchObject({
			code: "github",
			message: expect.stringContaining("4 times"),
		});
	});

	test("an answer that was lost after it was opened makes no second one", async () => {
		const { w, text } = await published();
		await using _ = w;
		let lost = false;
		w.fail.api = ({ method }) => {
			if (lost || method !== "POST") return undefined;
			lost = true;
			return "lost";
		};
		expect(await w.propose(text)).toMatchObject({ outcome: "proposed", url: expect.stringContaining("/pull/1") });
		expect([lost, w.api.pulls.length]).toEqual([true, 1]);
	});

	test("a repository that was renamed is followed within the API, and the token goes nowhere else", async () => {
		const { w, text } = await published();
		await using _ = w;
		const moved = (location: string) => {
			w.fail.api = ({ path }) => (path.includes("/old/") ? { status: 301, headers: { location } } : undefined);
		};
		const options = { gitHub: { api: w.api.url, token, repository: "old/images" } };
		moved("https://evil.example/steal");
		await expect(w.propose(text, options)).rejects.toMatchObject({
			code: "github",
			message: expect.stringContaining("301"),
		});
		moved(`${w.api.url}/repos/official/images/pulls?state=all&head=official:${branch}`);
		w.api.pulls.length = 0;
		await expect(w.propose(text, options)).rejects.toMatchObject({ code: "github" });
		expect(w.api.requests.filter(({ path }) => path.includes("/official/"))).not.toEqual([]);
	});

	test.each([
		["no JSON", "<html>"],
		["no list", {}],
		["a page that is none", [{ number: 1, html_url: "javascript:alert(1)" }]],
	])("an answer with %s is refused", async (_, body) => {
		const { w, text } = await published();
		await using __ = w;
		w.fail.api = () => ({ status: 200, body });
		await expect(w.propose(text)).rejects.toMatchObject({ code: "github" });
		expect(w.pushes()).toBe(0);
	});

	test.each(["http://api.example.com", "https://token@api.example.com", "ftp://127.0.0.1", "nothing"])(
		"no token goes to %s",
		async (api) => {
			const { w, text } = await published();
			await using _ = w;
			await expect(w.propose(text, { gitHub: { api, token } })).rejects.toMatchObject({ code: "usage" });
		},
	);

	test("a shallow clone, and names that are none", async () => {
		const { w, text } = await published();
		await using _ = w;
		for (const [name, folder] of [
			["../x", "library"],
			["tool", "../library"],
			["tool", "/library"],
		] as const)
			await expect(w.propose(new Map([[name, text]]), { folder })).rejects.toMatchObject({ code: "usage" });
		const shallow = makeRepository(join(dirname(w.image.directory), "shallow.git"));
		shallow.git("fetch", "--quiet", "--depth=1", `file://${w.image.directory}`, "refs/heads/main:refs/heads/main");
		const { directory } = shallow;
		const input = {
			definitions: new Map([["tool", text]]),
			repository: { folder: directory, gitDirectory: directory },
		};
		const options = { library: w.library.directory, author: bot, minAge: 0 };
		await expect(propose(input, w.io, options)).rejects.toMatchObject({
			hint: expect.stringContaining("fetch-depth: 0"),
		});
	});

	test.each([
		["empty", " \n"],
		["no text", "Tags: \ud800"],
		["larger than what is read again", "é".repeat(600_000)],
	])("a definition that is %s", async (_, text) => {
		await using w = await libraryWorld();
		await expect(w.propose(text)).rejects.toMatchObject({ code: "definition" });
		expect(w.git.requests).toEqual([]);
	});

	test("a branch that may not be pushed to", async () => {
		const { w, text } = await published();
		await using _ = w;
		const hook = join(w.library.directory, "hooks/pre-receive");
		mkdirSync(dirname(hook), { recursive: true });
		writeFileSync(hook, "#!/bin/sh\necho protected by a rule >&2\nexit 1\n", { mode: 0o755 });
		await expect(w.propose(text)).rejects.toMatchObject({
			code: "git",
			message: expect.stringContaining("protected by a rule"),
		});
		expect(w.api.changes()).toEqual([]);
	});
});

describe("a server that lists more than it was asked for", () => {
	const foreign = (head: object) => ({
		number: 7,
		html_url: "https://github.example/official/images/pull/7",
		state: "open",
		title: "Of somebody else",
		body: "",
		created_at: "2025-12-31T00:00:00Z",
		head: { sha: "1".repeat(40), ...head },
		base: { ref: "main" },
	});
	test.each([
		["of another branch", { ref: "topic", repo: { full_name: "official/images" } }],
		["of a fork's branch of that name", { ref: branch, repo: { full_name: "stranger/images" } }],
		["of a fork that was deleted", { ref: branch, repo: null }],
	])("a pull request %s is not touched", async (_, head) => {
		const { w, text } = await published();
		await using __ = w;
		let listed = 0;
		w.fail.api = ({ method }) =>
			method === "GET" && listed++ === 0 ? { status: 200, body: [foreign(head)] } : undefined;
		const proposal = await w.propose(text);
		expect(proposal).toMatchObject({ outcome: "proposed", url: "https://github.example/official/images/pull/1" });
		expect(w.api.changes()).toEqual(["POST pulls"]);
	});

	test("and one that says the token back does not get a part of it into a message", async () => {
		const { w, text } = await published();
		await using _ = w;
		const body = { message: `${"x".repeat(480)} ${token}` };
		w.fail.api = () => ({ status: 401, body });
		const error: unknown = await w.propose(text).catch((cause: unknown) => cause);
		expect(error).toMatchObject({ code: "credentials", message: expect.stringContaining("xxx") });
		expect(inspect(error)).not.toContain(token.slice(0, 8));
	});
});
