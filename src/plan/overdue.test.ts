import { expect, test } from "vitest";
import { planWorld } from "../../test/support/plan-world.ts";
import type { ProgramInput } from "../config/index.ts";

type Rules = NonNullable<ProgramInput["policies"]>;

const minutes = (number: number): number => number * 60_000;

/** What a plan says is overdue, after one try without success and some time. */
async function overdueAfter(
	time: number,
	policies: Rules,
	more: { readonly tags?: readonly string[]; readonly narrowed?: boolean } = {},
): Promise<readonly string[]> {
	const w = planWorld({ program: { policies } });
	w.define([{ name: "x", tags: more.tags ?? ["1"], arches: ["amd64", "s390x"] }]);
	await w.carryOut(await w.plan(), (_tag, arch) => arch === "amd64");
	w.clock.advance(time);
	const others = { architectures: ["s390x"], runner: null };
	const narrowed = { ...w.program, policies: [...w.program.policies, others] };
	const { plan } = await w.plan(more.narrowed === true ? { program: narrowed, wholeProgram: w.program } : {});
	return plan.overdue.map(({ arch }) => arch);
}

const optional: Rules[number] = { platforms: "optional", deadline: "90m" };

test("what is optional is overdue when its deadline is over, since it was first seen to be missing", async () => {
	expect(await overdueAfter(minutes(80), [optional])).toEqual([]);
	expect(await overdueAfter(minutes(90), [optional])).toEqual(["s390x"]);
	expect(await overdueAfter(minutes(90), [{ platforms: "required" }])).toEqual([]);
	expect(await overdueAfter(minutes(90), [])).toEqual([]);
});

test("a plan for chosen architectures does not end the wait for the others", async () => {
	expect(await overdueAfter(minutes(80), [optional], { narrowed: true })).toEqual([]);
	expect(await overdueAfter(minutes(90), [optional], { narrowed: true })).toEqual(["s390x"]);
});

test("where tags of one build have policies of their own, none of them is published before its own deadline", async () => {
	const policies: Rules = [
		optional,
		{ images: ["x:late"], platforms: "optional", deadline: "3h" },
		{ images: ["x:sure"], platforms: "required" },
	];
	const tags = ["1", "late", "sure"];
	expect(await overdueAfter(minutes(90), policies, { tags })).toEqual([]);
	expect(await overdueAfter(minutes(180), policies, { tags })).toEqual(["s390x"]);
});
