/** What is known beforehand of a kind of registry: what no answer says, or says too late. docs/registries.md explains it. */
export interface Capabilities {
	readonly name: string;
	/** Requests that it takes in any minute before it answers 429; null: it states none, and 429 says so. */
	readonly requestsPerMinute: number | null;
	/** Origins, besides its own and those of its own domain, that name and password are sent to for a token. */
	readonly tokenServers: readonly string[];
	/** `GET referrers/DIGEST`; where it is missing the tag `sha256-…` takes its place. `asked`: its answer to a PUT tells. */
	readonly referrers: "yes" | "no" | "asked";
	/** Whether a blob is mounted from another repository. `asked`: what does not happen is answered with an upload. */
	readonly mounts: "yes" | "asked";
	/** What `DELETE manifests/…` takes: a tag alone, only a digest with all its tags, or nothing. */
	readonly deletes: "tags" | "digests" | "nothing";
	/** Bytes that the pieces of an upload must have at least (but for the last), and at most; null: any number. */
	readonly pieces: { readonly least: number; readonly most: number | null };
	/** How many tags may be asked for at once. */
	readonly tagsPerPage: number;
	/** Seconds after a write in which reads may still be answered by what was there before. */
	readonly lag: number;
}

const mebibyte = 1024 * 1024;

/** A registry of which nothing is known: what the specification of the OCI distribution API promises, and no more. */
const unknown: Capabilities = {
	name: "others",
	requestsPerMinute: null,
	tokenServers: [],
	referrers: "asked",
	mounts: "asked",
	deletes: "tags",
	pieces: { least: 0, most: null },
	tagsPerPage: 1000,
	lag: 20,
};

/** By the kind's short name. */
export const registries = {
	hub: {
		...unknown,
		name: "Docker Hub",
		requestsPerMinute: 300,
		tokenServers: ["https://auth.docker.io"],
		mounts: "yes",
		deletes: "nothing",
	},
	ghcr: {
		...unknown,
		name: "GHCR",
		referrers: "no",
		mounts: "yes",
		deletes: "nothing",
		pieces: { least: 0, most: 4 * mebibyte },
	},
	ecr: {
		...unknown,
		name: "ECR",
		referrers: "yes",
		pieces: { least: 5 * mebibyte, most: null },
	},
	quay: { ...unknown, name: "Quay", mounts: "yes", tagsPerPage: 100 },
	gitlab: {
		...unknown,
		name: "GitLab",
		tokenServers: ["https://gitlab.com"],
		referrers: "no",
		mounts: "yes",
	},
	acr: { ...unknown, name: "ACR", referrers: "yes", mounts: "yes" },
	/** CNCF distribution 2, which no host's name and no answer tells from others: for those who know that they run it. */
	distribution: {
		...unknown,
		name: "distribution",
		referrers: "no",
		mounts: "yes",
		deletes: "digests",
		lag: 0,
	},
	unknown,
} as const satisfies Record<string, Capabilities>;

export type RegistryKind = keyof typeof registries;

const hosts: readonly (readonly [host: RegExp, kind: RegistryKind])[] = [
	[/^docker\.io$/, "hub"],
	[/^(?:containers\.)?ghcr\.io$/, "ghcr"],
	[/^(?:\d+\.dkr[.-]ecr(?:-fips)?\.[a-z0-9-]+\.(?:amazonaws\.com(?:\.cn)?|on\.aws)|public\.ecr\.aws)$/, "ecr"],
	[/^quay\.io$/, "quay"],
	[/^registry\.gitlab\.com$/, "gitlab"],
	[/^[a-z0-9-]+\.azurecr\.(?:io|cn|us)$/, "acr"],
];

/** What is known of the registry at a canonical host (`docker.io`, `ghcr.io`, `localhost:5000`). */
export function capabilitiesOf(host: string): Capabilities {
	const name = host.toLowerCase();
	return registries[hosts.find(([pattern]) => pattern.test(name))?.[1] ?? "unknown"];
}
