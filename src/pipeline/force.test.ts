import { describe, expect, it } from "vitest";
import { buildIdOf, type Builds } from "../builds/index.ts";
import { emptyState, type State } from "../state/index.ts";
import { forcedTitles } from "./force.ts";

const by = { by: "Somebody", when: "2026-01-02T03:04:05Z" };
const identity = { sourceId: "a".repeat(64), arch: "amd64", parents: {} };
const first = buildIdOf(identity);
const second = buildIdOf({ ...identity, force: "one" });

/** With one build of `app:1`, and all that it was forced by; and with what was forced of an earlier content of it. */
function stateWith(forced: State["decisions"]["forced"]): State {
	const build = { build: identity, source: { arches: { amd64: { tags: ["app:1", "app:latest"] } } } };
	const buildId = buildIdOf({ ...identity, force: "two" });
	const builds = { [buildId]: { buildId, ...build } } as unknown as Builds;
	return { ...emptyState, builds, decisions: { ...emptyState.decisions, forced } };
}

describe("what was forced", () => {
	it("is called what it is defined as, as often as it was; and nothing where it is not defined any more", () => {
		const gone = "b".repeat(64);
		const state = stateWith({
			[first]: { text: "one", ...by },
			[second]: { text: "two", ...by },
			[gone]: { text: "old", ...by },
		});
		expect([...forcedTitles(state)]).toEqual([
			[first, "app:1 amd64"],
			[second, "app:1 amd64"],
		]);
	});

	it("is found where decisions replace one another in a circle, too", () => {
		const state = stateWith({ [first]: { text: "one", ...by }, [second]: { text: "one", ...by } });
		expect(forcedTitles(state).size).toBe(2);
		expect(forcedTitles(stateWith({})).size).toBe(0);
	});
});
