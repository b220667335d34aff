import { isDigest, isTag } from "../../oci/index.ts";
import { isRepository } from "../hosts.ts";

export type Route =
	| { readonly kind: "base" }
	| { readonly kind: "manifest"; readonly repository: string; readonly reference: string }
	| { readonly kind: "blob"; readonly repository: string; readonly digest: string }
	| { readonly kind: "uploads"; readonly repository: string }
	| { readonly kind: "upload"; readonly repository: string; readonly id: string }
	| { readonly kind: "tags"; readonly repository: string }
	| { readonly kind: "referrers"; readonly repository: string; readonly digest: string }
	/** A path with a name or reference that breaks the grammar: the code to answer with. */
	| { readonly kind: "invalid"; readonly code: "NAME_INVALID" | "DIGEST_INVALID" | "TAG_INVALID" }
	| { readonly kind: "unknown" };

/**
 * What a path of the distribution API means. Everything in a route follows its grammar: repositories, tags and digests
 * are safe as parts of file names.
 */
export function routeOf(path: string): Route {
	if (path === "/v2" || path === "/v2/") return { kind: "base" };
	let decoded: string;
	try {
		decoded = decodeURIComponent(path);
	} catch {
		return { kind: "unknown" };
	}
	// Greedy: a repository may have a part that is called "blobs".
	const match = /^\/v2\/(.+)\/(?:(manifests|blobs|referrers)\/([^/]+)|blobs\/uploads\/([\w-]*)|tags\/(list))$/.exec(
		decoded.endsWith("/blobs/uploads") ? `${decoded}/` : decoded,
	);
	if (match === null) return { kind: "unknown" };
	const [, repository = "", kind, reference = "", upload] = match;
	if (!isRepository(repository)) return { kind: "invalid", code: "NAME_INVALID" };
	if (upload !== undefined) {
		return upload === "" ? { kind: "uploads", repository } : { kind: "upload", repository, id: upload };
	}
	if (kind === undefined) return { kind: "tags", repository };
	if (kind === "manifests") {
		if (isDigest(reference) || isTag(reference)) return { kind: "manifest", repository, reference };
		return { kind: "invalid", code: reference.includes(":") ? "DIGEST_INVALID" : "TAG_INVALID" };
	}
	if (!isDigest(reference)) return { kind: "invalid", code: "DIGEST_INVALID" };
	return { kind: kind === "blobs" ? "blob" : "referrers", repository, digest: reference };
}
