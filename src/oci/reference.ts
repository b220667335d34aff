import { BrewlineError } from "../errors.ts";
import { printable } from "../io/printable.ts";
import { isDigest } from "./digest.ts";
import type { Reference } from "./types.ts";

/** The canonical name of Docker Hub among hosts. */
export const hubHost = "docker.io";
/** All names that it goes by as a host. */
export const hubHosts: readonly string[] = [
	hubHost,
	"index.docker.io",
	"registry-1.docker.io",
	"registry.hub.docker.com",
];

const label = "[A-Za-z0-9](?:[A-Za-z0-9-]*[A-Za-z0-9])?";
const hostPattern = new RegExp(`^(?:${label}(?:\\.${label})*|\\[[0-9A-Fa-f:.]+\\])(?::[0-9]+)?$`);
const repositoryPattern = /^[a-z0-9]+(?:(?:\.|_|__|-+)[a-z0-9]+)*(?:\/[a-z0-9]+(?:(?:\.|_|__|-+)[a-z0-9]+)*)*$/;
const tagPattern = /^[A-Za-z0-9_][A-Za-z0-9_.-]{0,127}$/;
const maxRepositoryLength = 255;

/**
 * `[HOST/]REPOSITORY[:TAG][@DIGEST]` (spec/publish.md, References). Adds no `latest`. Throws `reference`.
 */
export function parseReference(text: string): Reference {
	const result = read(text);
	if (typeof result === "string") {
		throw new BrewlineError("reference", `"${printable(text, 300)}" is not an image reference: ${result}`, {
			hint: "A reference is [HOST/]REPOSITORY[:TAG][@DIGEST]; a host has a dot or a port.",
		});
	}
	return result;
}

/** As `parseReference`; undefined for what is none. */
export function tryParseReference(text: string): Reference | undefined {
	const result = read(text);
	return typeof result === "string" ? undefined : result;
}

/** What stands before the first `/`, if there is one. */
function headOf(text: string): string {
	return text.slice(0, Math.max(text.indexOf("/"), 0));
}

function looksLikeHost(head: string): boolean {
	return /[.:[]/.test(head);
}

/** The reference, or what is wrong with the text. */
function read(text: string): Reference | string {
	const head = headOf(text);
	const hasHost = looksLikeHost(head);
	if (hasHost && !hostPattern.test(head)) {
		return "what stands before the first / is no host";
	}
	const path = hasHost ? text.slice(head.length + 1) : text;
	const at = path.indexOf("@");
	const name = at === -1 ? path : path.slice(0, at);
	const digest = at === -1 ? undefined : path.slice(at + 1);
	const colon = name.indexOf(":");
	const repository = colon === -1 ? name : name.slice(0, colon);
	const tag = colon === -1 ? undefined : name.slice(colon + 1);
	if (!repositoryPattern.test(repository)) {
		return "the repository must be lower-case letters and digits, joined by / . _ __ or -";
	}
	if (repository.length > maxRepositoryLength) {
		return `the repository is longer than ${maxRepositoryLength} characters`;
	}
	if (tag !== undefined && !tagPattern.test(tag)) {
		return "a tag begins with a letter, a digit or _, goes on with those, . or -, and has 128 characters at most";
	}
	if (digest !== undefined && !isDigest(digest)) {
		return "a digest is sha256:, sha384: or sha512: and as many lower-case hex digits as it takes";
	}
	const hub = !hasHost || hubHosts.includes(head);
	return {
		host: hub ? hubHost : head,
		repository: hub && !repository.includes("/") ? `library/${repository}` : repository,
		...(tag === undefined ? {} : { tag }),
		...(digest === undefined ? {} : { digest }),
	};
}

/** With host and, on Docker Hub, `library/`: equal for equal references. */
export function canonicalReference(reference: Reference): string {
	return `${reference.host}/${reference.repository}${suffix(reference)}`;
}

/**
 * As people write it: without `docker.io/`, then without `library/`. It parses to the same reference, but for Hub
 * repositories with more parts behind `library/`: `library/org/name` is printed `org/name`, as everywhere else.
 */
export function printReference(reference: Reference): string {
	const prefix = "library/";
	const { host, repository } = reference;
	const short = repository.startsWith(prefix) ? repository.slice(prefix.length) : repository;
	// What would then be read as a host keeps the real one before it.
	return host === hubHost && !looksLikeHost(headOf(short)) ? short + suffix(reference) : canonicalReference(reference);
}

function suffix(reference: Reference): string {
	const tag = reference.tag === undefined ? "" : `:${reference.tag}`;
	return reference.digest === undefined ? tag : `${tag}@${reference.digest}`;
}

/** The repository alone, without tag and digest. */
export function repositoryOf(reference: Reference): Reference {
	return { host: reference.host, repository: reference.repository };
}

/** With this digest; the tag stays. */
export function withDigest(reference: Reference, digest: string): Reference {
	return { ...reference, digest };
}

export function withoutTag(reference: Reference): Reference {
	const { tag: _, ...rest } = reference;
	return rest;
}

export function isTag(text: string): boolean {
	return tagPattern.test(text);
}

/** `NAMESPACE/NAME`, or `NAME` where the namespace is empty. */
export function underNamespace(namespace: string, name: string): string {
	return namespace === "" ? name : `${namespace}/${name}`;
}
