import { mkdtemp, rm } from "node:fs/promises";
import os from "node:os";
import path from "node:path";
import { afterEach, beforeEach, expect, it } from "vitest";
import { pipeline, sourcesOf } from "../../test/support/publishing.ts";
import type { Program } from "../config/index.ts";
import { BrewlineError } from "../errors.ts";
import type { Io, LogEvent } from "../io/index.ts";
import { hold } from "./decide.ts";
import { publishStaged } from "./publish.ts";
import { openWorkspace } from "./workspace.ts";

let work: string;
beforeEach(async () => {
	work = await mkdtemp(path.join(os.tmpdir(), "brewline-publish-"));
});
afterEach(() => rm(work, { recursive: true }));

/** Publishes an image; something happens after its architecture's own tag has moved, and then time passes. */
async function publishing(
	milliseconds: number,
	meanwhile: (program: Program, io: Io) => Promise<void>,
	change: (io: Io) => Io = (io) => io,
) {
	await using at = await pipeline();
	const sources = sourcesOf(at.program, [{ name: "x", version: "1", arches: { amd64: ["x:1"] } }]);
	await at.stage(sources, "amd64");
	const builds = await at.find(sources);
	const program = { ...at.program, state: { ...at.program.state, repository: null } };
	let now = Date.parse("2026-01-01T00:00:00Z");
	const said: string[] = [];
	const log = (event: LogEvent): void => {
		if (event.type === "message") said.push(event.text);
	};
	const io: Io = { ...at.io, log, clock: { ...at.io.clock, now: () => now } };
	const http: Io["http"] = async (request) => {
		const response = await io.http(request);
		if (request.method === "PUT" && request.url.pathname === "/v2/amd64/x/manifests/1") {
			await meanwhile(program, io);
			now += milliseconds;
		}
		return response;
	};
	await using first = openWorkspace(program, io, { work });
	await first.memory.update((state) => state, "Begin");
	await using workspace = openWorkspace(program, change({ ...io, http }), { work });
	const { tags } = await publishStaged(workspace, { sources, builds });
	return { tags, said };
}

const holdIt = async (program: Program, io: Io): Promise<void> => {
	await using other = openWorkspace(program, io, { work });
	await hold(other, "x", { by: "Somebody", reason: "an incident" });
};

it("obeys what is decided while it runs, within a minute", async () => {
	const { tags } = await publishing(60_000, holdIt);
	expect(tags).toMatchObject([{ change: "held", decision: "hold", digest: null }]);
});

it("does not ask more often than that", async () => {
	const { tags } = await publishing(59_000, holdIt);
	expect(tags).toMatchObject([{ change: "created" }]);
});

it("goes on with what it knows where that cannot be asked, and says so", async () => {
	let fails = false;
	const { tags, said } = await publishing(
		60_000,
		() => {
			fails = true;
			return Promise.resolve();
		},
		(io) => ({
			...io,
			exec: (...args) => {
				if (fails) throw new BrewlineError("git", "the server is away");
				return io.exec(...args);
			},
		}),
	);
	expect(tags).toMatchObject([{ change: "created" }]);
	expect(said.join("\n")).toContain("whether something was decided since this run began is not known: ");
});
