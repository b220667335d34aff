import { describe, expect, test } from "vitest";
import { planText, planWorld, type PlannedImage } from "../../test/support/plan-world.ts";

// Golden plans for the incidents of existing pipelines that concern planning.

describe("incidents", () => {
	test("1: amd64 fails, the others succeed: a plan of its own is left, and it backs off by the rule", async () => {
		const w = planWorld();
		w.define([{ name: "app", tags: ["1.0", "latest"], arches: ["amd64", "arm64v8", "s390x"] }]);
		const first = await w.plan();
		expect(planText(first)).toMatchInlineSnapshot(`
			"app-1-0-amd64 on ubuntu-24.04
			    this content was never built
			app-1-0-arm64v8 on ubuntu-24.04-arm
			    this content was never built
			app-1-0-s390x on s390x
			    this content was never built
			"
		`);
		await w.carryOut(first, (_, arch) => arch !== "amd64");
		const second = await w.plan();
		expect(planText(second)).toMatchInlineSnapshot(`
			"app-1-0-amd64 on ubuntu-24.04
			    this content was never built; tried once without success, last 2026-01-01T00:01:00Z (https://log.example.org/1)
			"
		`);
		await w.carryOut(second, () => false);
		expect(planText(await w.plan())).toMatchInlineSnapshot(`
			"waits (back-off, no wave): app:1.0 amd64
			    app:1.0: tried 2 times without success, last 2026-01-01T00:04:00Z (https://log.example.org/1); it is tried again after 2026-01-01T01:04:00Z
			"
		`);
		w.clock.advance(3_600_000);
		const third = await w.plan();
		expect(planText(third)).toMatchInlineSnapshot(`
			"app-1-0-amd64 on ubuntu-24.04
			    this content was never built; tried 2 times without success, last 2026-01-01T00:04:00Z (https://log.example.org/1)
			"
		`);
		await w.carryOut(third);
		expect(planText(await w.plan())).toBe("");
	});

	test("2: entries that share a source: each architecture has its own tags", async () => {
		const w = planWorld();
		const shared = { name: "infosiftr/moby", content: "same" };
		w.define([
			{ ...shared, tags: ["latest", "bookworm"], arches: ["amd64", "arm64v8"] },
			// The same source: `tags` make the content in this world, so it is given the same one.
			{ ...shared, tags: ["latest", "s390x"], arches: ["s390x"] },
		]);
		const { legs, sources } = await w.plan();
		expect(Object.keys(sources)).toHaveLength(1);
		expect(legs.map(({ arch, builds }) => [arch, builds[0]!.tags])).toEqual([
			["amd64", ["infosiftr/moby:latest", "infosiftr/moby:bookworm"]],
			["arm64v8", ["infosiftr/moby:latest", "infosiftr/moby:bookworm"]],
			["s390x", ["infosiftr/moby:latest", "infosiftr/moby:s390x"]],
		]);
	});

	test("4 and 5: images that stand on others of the same repository come in waves, what unblocks most first", async () => {
		const w = planWorld();
		w.outside("debian:12", ["amd64"]);
		w.define([
			{ name: "golang", tags: ["1.25"], arches: ["amd64"], froms: ["debian:12"] },
			{ name: "nginx", tags: ["mainline"], arches: ["amd64"], froms: ["debian:12"] },
			{ name: "nginx", tags: ["mainline-perl"], arches: ["amd64"], froms: ["nginx:mainline"] },
			{ name: "nginx", tags: ["mainline-otel"], arches: ["amd64"], froms: ["nginx:mainline"] },
			{ name: "tomcat", tags: ["11-jdk"], arches: ["amd64"], froms: ["debian:12"] },
			{ name: "tomcat", tags: ["11-jre"], arches: ["amd64"], froms: ["tomcat:11-jdk", "debian:12"] },
			{ name: "tomcat", tags: ["11-app"], arches: ["amd64"], froms: ["nginx:mainline-perl", "tomcat:11-jre"] },
		]);
		const first = await w.plan();
		expect(planText(first)).toMatchInlineSnapshot(`
			"nginx-mainline-amd64 on ubuntu-24.04
			    this content was never built on what debian:12 is now
			tomcat-11-jdk-amd64 on ubuntu-24.04
			    this content was never built on what debian:12 is now
			golang-1-25-amd64 on ubuntu-24.04
			    this content was never built on what debian:12 is now
			waits (parent, wave 1): nginx:mainline-perl amd64
			    nginx:mainline-perl waits for nginx:mainline, which is not built yet
			waits (parent, wave 1): nginx:mainline-otel amd64
			    nginx:mainline-otel waits for nginx:mainline, which is not built yet
			waits (parent, wave 1): tomcat:11-jre amd64
			    tomcat:11-jre waits for tomcat:11-jdk, which is not built yet
			waits (parent, wave 2): tomcat:11-app amd64
			    tomcat:11-app waits for nginx:mainline-perl, which waits itself
			"
		`);
		await w.carryOut(first);
		expect(planText(await w.plan())).toMatchInlineSnapshot(`
			"nginx-mainline-perl-amd64 on ubuntu-24.04
			    never built for amd64
			tomcat-11-jre-amd64 on ubuntu-24.04
			    never built for amd64
			nginx-mainline-otel-amd64 on ubuntu-24.04
			    never built for amd64
			waits (parent, wave 1): tomcat:11-app amd64
			    tomcat:11-app waits for nginx:mainline-perl, which is not built yet
			"
		`);
	});

	test("8: a base that lacks musl: the other variants are planned, and these wait, with the reason", async () => {
		const w = planWorld({
			program: {
				policies: [
					{ images: ["node"], platforms: "required", architectures: ["amd64"] },
					{ images: ["node:*-alpine"], platforms: "optional", architectures: ["arm64v8"], deadline: "48h" },
				],
			},
		});
		w.outside("debian:12", ["amd64", "arm64v8"]);
		w.outside("alpine:3.22", ["amd64"]);
		w.define(
			["22", "24", "25"].flatMap((major): PlannedImage[] => [
				{ name: "node", tags: [major], arches: ["amd64", "arm64v8"], froms: ["debian:12"] },
				{ name: "node", tags: [`${major}-alpine`], arches: ["amd64", "arm64v8"], froms: ["alpine:3.22"] },
			]),
		);
		expect(planText(await w.plan())).toMatchInlineSnapshot(`
			"node-22-amd64 on ubuntu-24.04
			    this content was never built on what debian:12 is now
			node-22-arm64v8 on ubuntu-24.04-arm
			    this content was never built on what debian:12 is now
			node-22-alpine-amd64 on ubuntu-24.04
			    this content was never built on what alpine:3.22 is now
			node-24-amd64 on ubuntu-24.04
			    this content was never built on what debian:12 is now
			node-24-arm64v8 on ubuntu-24.04-arm
			    this content was never built on what debian:12 is now
			node-24-alpine-amd64 on ubuntu-24.04
			    this content was never built on what alpine:3.22 is now
			node-25-amd64 on ubuntu-24.04
			    this content was never built on what debian:12 is now
			node-25-arm64v8 on ubuntu-24.04-arm
			    this content was never built on what debian:12 is now
			node-25-alpine-amd64 on ubuntu-24.04
			    this content was never built on what alpine:3.22 is now
			waits (parent, no wave): node:22-alpine arm64v8
			    node:22-alpine waits for alpine:3.22, which is not there for arm64v8
			waits (parent, no wave): node:24-alpine arm64v8
			    node:24-alpine waits for alpine:3.22, which is not there for arm64v8
			waits (parent, no wave): node:25-alpine arm64v8
			    node:25-alpine waits for alpine:3.22, which is not there for arm64v8
			overdue: node:22-alpine arm64v8
			overdue: node:24-alpine arm64v8
			overdue: node:25-alpine arm64v8
			"
		`);
	});

	test("9: a base drops s390x: its children wait there, and nothing else does", async () => {
		const w = planWorld();
		const all = ["amd64", "s390x"];
		w.outside("alpine:3.22", all);
		w.define([
			{ name: "base", tags: ["1"], arches: all, froms: ["alpine:3.22"] },
			{ name: "app", tags: ["1"], arches: all, froms: ["base:1"] },
		]);
		for (let round = 0; round < 2; round++) await w.carryOut(await w.plan());
		expect(planText(await w.plan())).toBe("");
		w.outside("alpine:3.22", ["amd64"], "2");
		expect(planText(await w.plan())).toMatchInlineSnapshot(`
			"base-1-amd64 on ubuntu-24.04
			    alpine:3.22 moved: sha256:… → sha256:…
			waits (parent, no wave): base:1 s390x
			    base:1 waits for alpine:3.22, which is not there for s390x
			waits (parent, wave 1): app:1 amd64
			    app:1 waits for base:1, which is not built yet
			waits (parent, no wave): app:1 s390x
			    app:1 waits for base:1, which waits itself
			"
		`);
	});

	test("17: php's 694 legs", async () => {
		const w = planWorld();
		const arches = Object.keys(w.program.architectures).slice(0, 8);
		w.outside("debian:12", arches);
		const variants = Array.from({ length: 87 }, (_, number) => `8.${number}`);
		w.define(
			variants.map((tag, number) => ({
				name: "php",
				tags: [tag],
				arches: number < 86 ? arches : arches.slice(0, 6),
				froms: ["debian:12"],
			})),
		);
		const whole = await w.plan({ capacity: { legs: 4 * 256, buildsPerLeg: 8 } });
		expect([whole.legs.length, whole.wanted, whole.plan.waiting.length]).toEqual([694, 694, 0]);

		const one = await w.plan({ capacity: { legs: 256, buildsPerLeg: 8 } });
		expect(one.legs.length).toBeLessThanOrEqual(256);
		expect(one.legs.reduce((sum, leg) => sum + leg.builds.length, 0)).toBe(694);
		expect(Math.max(...one.legs.map((leg) => leg.builds.length))).toBe(3);
		for (const leg of one.legs)
			expect(new Set(leg.builds.map(({ staging }) => staging.reference.split(":")[0])).size).toBe(1);

		const small = await w.plan({ capacity: { legs: 50, buildsPerLeg: 8 } });
		expect(small.legs.reduce((sum, leg) => sum + leg.builds.length, 0)).toBe(400);
		expect(small.plan.waiting).toHaveLength(294);
		expect(small.plan.waiting[0]).toMatchObject({
			why: "no-room",
			wave: 0,
			reason: expect.stringMatching(/the run has no room for it: 694 builds are due, 400 are in its 50 legs$/),
		});
	});
});
