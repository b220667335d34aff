import { describe, expect, test } from "vitest";
import { reply, scripted, testIo } from "../../test/support/scripted.ts";
import { parseReference } from "../oci/index.ts";
import { answerOf, capabilitiesOf, createRegistryClient, registries } from "./index.ts";

describe("kinds of registries", () => {
	test.each([
		["docker.io", "hub"],
		["ghcr.io", "ghcr"],
		["GHCR.io", "ghcr"],
		["123456789012.dkr.ecr.us-east-1.amazonaws.com", "ecr"],
		["123456789012.dkr.ecr-fips.us-gov-west-1.amazonaws.com", "ecr"],
		["123456789012.dkr.ecr.cn-north-1.amazonaws.com.cn", "ecr"],
		["123456789012.dkr-ecr.us-east-1.on.aws", "ecr"],
		["public.ecr.aws", "ecr"],
		["quay.io", "quay"],
		["registry.gitlab.com", "gitlab"],
		["example.azurecr.io", "acr"],
		["docker.io.example.org", "unknown"],
		["notghcr.io", "unknown"],
		["evil.dkr.ecr.us-east-1.amazonaws.com.example.org", "unknown"],
		["localhost:5000", "unknown"],
		["", "unknown"],
	] as const)("%j is %s", (host, kind) => {
		expect(capabilitiesOf(host)).toBe(registries[kind]);
	});

	test("promise what can be", () => {
		for (const { pieces, tagsPerPage, lag, tokenServers, requestsPerMinute } of Object.values(registries)) {
			expect(pieces.most === null || pieces.most >= pieces.least).toBe(true);
			expect(tagsPerPage).toBeGreaterThan(1);
			expect(lag).toBeGreaterThanOrEqual(0);
			expect(requestsPerMinute ?? 1).toBeGreaterThan(0);
			for (const server of tokenServers) expect(new URL(server).origin).toBe(server);
		}
	});
});

/** A client that takes the server for the registry of that name. */
async function as(host: string, handler: Parameters<typeof scripted>[0]) {
	const server = await scripted(handler);
	const io = testIo();
	const http: typeof io.http = (request) =>
		io.http({ ...request, url: new URL(request.url.pathname + request.url.search, server.url) });
	const client = createRegistryClient({ ...io, http });
	return {
		server,
		client,
		reference: parseReference(`${host}/org/name:tag`),
		[Symbol.asyncDispose]: () => server[Symbol.asyncDispose](),
	};
}

test("what a registry never deletes is said where it refuses to", async () => {
	for (const [host, hint] of [
		["docker.io", expect.stringContaining("Docker Hub deletes through its own pages")],
		["ghcr.io", expect.stringContaining("GHCR deletes")],
		["quay.io", undefined],
	] as const) {
		await using world = await as(host, (_, response) =>
			reply(response, 405, {}, '{"errors":[{"code":"UNSUPPORTED"}]}'),
		);
		const error = await world.client.deleteManifest(world.reference).catch((cause: unknown) => cause);
		expect(error).toMatchObject({ code: "registry", hint });
		expect(answerOf(error)).toMatchObject({ status: 405 });
	}
	const broken = createRegistryClient({ ...testIo(), http: () => Promise.reject(new Error("no network")) });
	await expect(broken.deleteManifest(parseReference("ghcr.io/a/b:c"))).rejects.toThrow("no network");
});

test("no registry is asked for more tags at once than it gives", async () => {
	const all = Array.from({ length: 250 }, (_, at) => String(at).padStart(3, "0"));
	await using world = await as("quay.io", (request, response) => {
		const query = new URL(request.url!, "http://x").searchParams;
		const count = Number(query.get("n"));
		if (count > 100) reply(response, 400, {}, '{"errors":[{"code":"TOO_MANY_TAGS_REQUESTED"}]}');
		else {
			const tags = all.filter((tag) => tag > (query.get("last") ?? "")).slice(0, count);
			reply(response, 200, {}, JSON.stringify({ tags }));
		}
	});
	expect(await Array.fromAsync(world.client.listTags(world.reference))).toEqual(all);
	expect(world.server.requests).toHaveLength(3);
});
