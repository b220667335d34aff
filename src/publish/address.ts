import { withDigest, withoutTag, type Reference } from "../oci/index.ts";

/** What a HEAD or PUT is about: the tag, or the digest where there is no tag. */
export function addressed(target: Reference, digest: string): Reference {
	return target.tag === undefined ? withDigest(target, digest) : target;
}

/** The same repository, by digest. */
export function byDigest(repository: Reference, digest: string): Reference {
	return withDigest(withoutTag(repository), digest);
}
