import { createHash } from "node:crypto";
import { servedArchitectures, type Program } from "../config/index.ts";
import { messageOf } from "../errors.ts";
import { printable } from "../io/printable.ts";
import type { Io } from "../io/types.ts";
import { parseReference, type Reference, underNamespace } from "../oci/index.ts";
import { answerOf, createRegistryClient, dockerCredentials, type RegistryClient } from "../registry/index.ts";
import type { Check } from "./doctor.ts";

/** Not a digest of anything that a repository holds. */
const nothing = createHash("sha256").update("brewline doctor").digest("hex");

/**
 * For each registry of the program whether there is a credential for it, and for each repository that it writes to what
 * that credential may do there. Only the staging repositories are known by name, and the published ones of `images`.
 */
export async function checkRegistries(io: Io, program: Program, images: readonly string[]): Promise<Check[]> {
	const credentials = dockerCredentials(io);
	const { mirrors, plainHttp, rates, tokenServers } = program.registries;
	const retry = { tries: 2, patience: 10_000 };
	const client = createRegistryClient(io, { credentials, mirrors, plainHttp, rates, tokenServers, retry });
	const repositories = repositoriesOf(program, images);
	const checks: Check[] = [];
	for (const host of new Set(repositories.map((reference) => reference.host))) {
		const found = await credentials(host).catch((error: unknown) => ({ broken: messageOf(error) }));
		const anonymous = found === undefined || "broken" in found;
		const access: Check[] = [];
		for (const reference of repositories.filter((one) => one.host === host))
			access.push(await checkAccess(client, reference, anonymous));
		const needed = access.some(({ status }) => status !== "ok");
		const name = `credential ${host}`;
		const mend = `Log in: docker login ${host}`;
		if (found === undefined)
			checks.push(
				needed
					? { name, status: "warning", detail: "none", mend }
					: { name, status: "ok", detail: "none, and none is needed" },
			);
		else if ("broken" in found) checks.push({ name, status: "missing", detail: found.broken, mend });
		else checks.push({ name, status: "ok", detail: `${printable(found.username ?? "a token")}, from ${found.origin}` });
		checks.push(...access);
	}
	return checks;
}

function repositoriesOf(program: Program, images: readonly string[]): Reference[] {
	const { staging, namespace } = program.registries;
	const names = [
		...servedArchitectures(program).map((arch) => staging.replaceAll("BUILD", nothing).replaceAll("ARCH", () => arch)),
		...images.map((image) => underNamespace(namespace, image)),
	];
	const references = new Map<string, Reference>();
	for (const name of names) {
		const { host, repository } = parseReference(name);
		references.set(`${host}/${repository}`, { host, repository });
	}
	return [...references.values()];
}

/** Reading is tried with a manifest that is not there, writing with an upload that ends before its first byte. */
async function checkAccess(client: RegistryClient, reference: Reference, anonymous: boolean): Promise<Check> {
	const name = `access ${reference.host}/${reference.repository}`;
	const digest = `sha256:${nothing}`;
	const read = await refusal(() => client.headManifest({ ...reference, digest }));
	const notSent = new Error("nothing is sent");
	const write = await refusal(() =>
		client.putBlob(reference, { digest, size: 1 }, () => {
			throw notSent;
		}),
	);
	if (write === undefined || hasCause(write, notSent))
		return read === undefined
			? { name, status: "ok", detail: "read and write" }
			: { name, status: "warning", detail: `write only: ${messageOf(read)}`, mend: "Let the credential read too." };
	const denied = answerOf(write) !== undefined;
	return {
		name,
		status: anonymous && denied ? "warning" : "missing",
		detail: `${read === undefined ? "read only" : "no access"}: ${messageOf(write)}`,
		mend: denied
			? `Give the credential for ${reference.host} the right to push there; legs and the publishing job need it.`
			: `See that ${reference.host} can be reached from here, or set its mirror or plainHttp in the configuration.`,
	};
}

async function refusal(action: () => Promise<unknown>): Promise<unknown> {
	try {
		await action();
		return undefined;
	} catch (error) {
		return error;
	}
}

function hasCause(error: unknown, cause: Error): boolean {
	for (let at = error, depth = 0; depth < 8; depth++) {
		if (at === cause) return true;
		if (!(at instanceof Error)) return false;
		at = at.cause;
	}
	return false;
}
