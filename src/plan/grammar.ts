import * as z from "zod/mini";

/** Grammars of what stands in hand-over files: they are read by jobs that do not know who wrote them. */

const matching = (pattern: RegExp, limit: number, error: string) =>
	z.string().check(z.maxLength(limit), z.regex(pattern, { error }));

/** Fit for an artifact's name and a file's. */
export const legId = matching(/^[a-z0-9][a-z0-9-]{0,62}$/, 63, "must be a leg's id: [a-z0-9][a-z0-9-]{0,62}");
export const sha256Hex = matching(/^[0-9a-f]{64}$/, 64, "must be 64 lower-case hex digits");
export const digest = matching(
	/^(?:sha256:[0-9a-f]{64}|sha512:[0-9a-f]{128})$/,
	135,
	"must be a sha256 or sha512 digest",
);
export const gitCommit = matching(/^(?:[0-9a-f]{40}|[0-9a-f]{64})$/, 64, "must be a full commit id");
export const architecture = matching(/^[a-z0-9]+(?:-[a-z0-9]+)*$/, 40, "must be an architecture's name");
export const runnerLabel = matching(/^[A-Za-z0-9][A-Za-z0-9._-]{0,99}$/, 100, "must be a runner's label");
export const builderAddress = matching(/^tcp:\/\/[^/?#@\s\p{Cc}]+:[0-9]{1,5}$/u, 300, "must be tcp://HOST:PORT");
/** `[HOST/]NAME[:TAG][@DIGEST]`; the exact parsing is src/oci's. Begins so that no program takes it for an option. */
export const imageReference = matching(/^[A-Za-z0-9[][A-Za-z0-9[\]:._/@+-]*$/, 600, "must be an image reference");
export const platformString = matching(/^[a-z0-9]+\/[a-z0-9_]+(?:\/[a-z0-9.]+)?$/, 60, "must be a platform");
/** No transport that runs a program (`ext::`), nothing that git takes for an option, no white space. */
export const gitAddress = matching(
	/^(?:(?:https?|git|ssh|git\+ssh|file):\/\/[^\s\p{Cc}]+|[\w.-]+@[\w.-]+:[^\s\p{Cc}]+)$/u,
	2000,
	"must be a git address: https, http, ssh, git or file",
);
/** The same, or after `git.rewrite` also a folder of the machine: the operator's choice, not the definition's. */
export const fetchAddress = z.union([gitAddress, matching(/^\/[^\p{Cc}]*$/u, 2000, "must be an absolute path")]);
export const gitRef = matching(
	/^(?!.*(?:\.\.|\/\/|@\{|\.$|\/$))[^\s\p{Cc}~^:?*[\\-][^\s\p{Cc}~^:?*[\\]*$/u,
	1000,
	"must be a git ref",
);
/** Relative, inside, with `/`. */
export const relativePath = z.string().check(
	z.minLength(1),
	z.maxLength(2000),
	z.refine((path) => !path.startsWith("/") && !path.split("/").includes(".."), { error: "must stay below its folder" }),
	z.refine((path) => !/\p{Cc}/u.test(path), { error: "must have no control characters" }),
);
export const instant = matching(
	/^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(?:\.\d{1,3})?Z$/,
	24,
	"must be a time: 2026-01-31T12:00:00Z",
);
/** One line of text that a program gets as an argument. */
export const line = z.string().check(
	z.maxLength(4096),
	z.refine((text) => !/\p{Cc}/u.test(text), { error: "must have no control characters" }),
);
export const origin = matching(
	/^https?:\/\/[^/?#@\s\p{Cc}]+\/?$/u,
	300,
	"must be an http or https address without a path",
);
export const host = matching(
	/^(?:[a-z0-9](?:[a-z0-9.-]*[a-z0-9])?|\[[0-9a-f:]+\])(?::[0-9]{1,5})?$/i,
	300,
	"must be HOST or HOST:PORT",
);
export const platform = z.strictObject({
	os: z.string().check(z.regex(/^[a-z0-9]{1,20}$/)),
	architecture: z.string().check(z.regex(/^[a-z0-9_]{1,20}$/)),
	variant: z.exactOptional(z.string().check(z.regex(/^[a-z0-9.]{1,20}$/))),
});
