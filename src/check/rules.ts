import type { Severity } from "./types.ts";

export interface Rule {
	readonly severity: Severity;
	/** What a rule's page and SARIF say of it, as one sentence. */
	readonly summary: string;
	readonly why: string;
	/** What has to be there for it: the definitions alone, the Dockerfiles, the history behind commits, what is published. */
	readonly needs: "definitions" | "dockerfiles" | "history" | "published";
	/** What other rules look at could not be had. */
	readonly blind?: true;
}

/** All rules, by id: what docs/checks.md lists. */
export const rules = {
	definition: {
		severity: "error",
		summary: "The definition cannot be read.",
		why: "Nothing of the image can be built; its other checks are not made.",
		needs: "definitions",
		blind: true,
	},
	"definition-doubtful": {
		severity: "warning",
		summary: "The definition is read, but hardly as it was meant.",
		why: "A field that stands twice or a line that is passed over is a slip of the hand mostly.",
		needs: "definitions",
	},
	latest: {
		severity: "error",
		summary: "A tag has `latest` in its name and is not `latest`.",
		why: "`latest` is what a name without a tag means; `latest-alpine` says nothing that `alpine` does not.",
		needs: "definitions",
	},
	"shared-tags": {
		severity: "error",
		summary: "Two entries provide the same architecture under one shared tag.",
		why: "An index has one image for each platform: which of the two it is would be chance.",
		needs: "definitions",
	},
	"prerelease-latest": {
		severity: "error",
		summary: "A prerelease is called `latest`, `stable` or `lts`.",
		why: "Who says nothing about versions gets something unfinished.",
		needs: "definitions",
	},
	"prerelease-alias": {
		severity: "warning",
		summary: "A prerelease has the tag of a release.",
		why: "Who asks for `8.4` means a release of it, and gets something unfinished.",
		needs: "definitions",
	},
	"alias-of-another-version": {
		severity: "error",
		summary: "An entry has tags of two versions.",
		why: "One of them is wrong: Gradle 6.8 was published as `6.7` that way.",
		needs: "definitions",
	},
	"alias-not-newest": {
		severity: "warning",
		summary: "An alias is not the newest of the versions that it stands for.",
		why: "Who asks for `8.3` means the last `8.3.x`, and misses its fixes.",
		needs: "definitions",
	},
	"published-unreadable": {
		severity: "warning",
		summary: "What is published of the image cannot be read.",
		why: "There is nothing to compare with: what the change does to published tags is not known.",
		needs: "published",
	},
	"version-backwards": {
		severity: "error",
		summary: "A tag goes back to an older version.",
		why: "Versions go up alone; going back is mostly a slip in the list of versions, and brings back what was mended.",
		needs: "published",
	},
	"latest-dropped": {
		severity: "error",
		summary: "`latest` is published and not in the definition any more.",
		why: "It would stay where it is for ever, without updates, and is what most people use.",
		needs: "published",
	},
	"latest-moved": {
		severity: "warning",
		summary: "`latest` moves to an entry that has no other tag in common with where it was.",
		why: "That is a new major version, or another variant: everybody who uses it gets it at once.",
		needs: "published",
	},
	"tag-vanished": {
		severity: "warning",
		summary: "A published tag is not in the definition any more, and no later version takes its place.",
		why: "Who uses it gets no updates from then on, and is told by nobody.",
		needs: "published",
	},
	"architecture-lost": {
		severity: "error",
		summary: "A published tag loses an architecture, and nothing explains it.",
		why: "A set of platforms never shrinks by accident: machines that pull the tag would find nothing.",
		needs: "published",
	},
	"architecture-ends": {
		severity: "note",
		summary: "A published tag loses an architecture, with a reason.",
		why: "A base has it no more, or the generator says why; reviewers should know.",
		needs: "published",
	},
	dockerfile: {
		severity: "error",
		summary: "A Dockerfile cannot be had or read.",
		why: "The build would fail; what it stands on is not known, so it is not checked.",
		needs: "dockerfiles",
		blind: true,
	},
	from: {
		severity: "error",
		summary: "A `FROM` (or `COPY --from`) is not served on an architecture of the entry.",
		why: "`Architectures` are a subset of those of the bases: images of the library, and pinned ones from outside. What stands on anything else is not rebuilt when that is mended.",
		needs: "dockerfiles",
	},
	pin: {
		severity: "warning",
		summary: "An external pin cannot be looked up.",
		why: "Which architectures are behind it is not known, so none of them counts.",
		needs: "dockerfiles",
	},
	constraints: {
		severity: "error",
		summary: "The constraints of an entry are not those that its bases demand.",
		why: "A build is given to a machine by its constraints: the wrong ones have it fail there, or wait for ever.",
		needs: "dockerfiles",
	},
	"constraints-unknown": {
		severity: "error",
		summary: "Nobody knows which constraints a base demands.",
		why: "An image of Microsoft's runs on some hosts only, and of this one it is not said on which.",
		needs: "dockerfiles",
		blind: true,
	},
	"add-url": {
		severity: "warning",
		summary: "`ADD` takes a file from an address without a checksum.",
		why: "A rebuild gives the same or fails; what an address gives tomorrow is not known.",
		needs: "dockerfiles",
	},
	"version-unpinned": {
		severity: "warning",
		summary: "A step takes the newest version of something, whichever that is.",
		why: "A rebuild gives the same version, or fails: the tag says which one is in the image, and caches keep what was taken first.",
		needs: "dockerfiles",
	},
	"copy-all": {
		severity: "warning",
		summary: "`COPY` or `ADD` takes the whole directory.",
		why: "Any change beside what is needed makes a new image, and secrets slip in.",
		needs: "dockerfiles",
	},
	"apt-update-alone": {
		severity: "warning",
		summary: "`apt-get update` stands in a `RUN` without an install.",
		why: "The lists are cached and grow stale; the install after it fails or takes old packages.",
		needs: "dockerfiles",
	},
	"apt-lists": {
		severity: "warning",
		summary: "The package lists stay in the image.",
		why: "They are megabytes that are stale the next day.",
		needs: "dockerfiles",
	},
	"apt-recommends": {
		severity: "warning",
		summary: "`apt-get install` takes recommended packages along.",
		why: "They make the image larger, and differ from day to day.",
		needs: "dockerfiles",
	},
	"gpg-batch": {
		severity: "warning",
		summary: "`gpg` is called without `--batch`.",
		why: "Without it, gpg speaks to a person: it may ask, and its behaviour is not promised.",
		needs: "dockerfiles",
	},
	"gpg-fingerprint": {
		severity: "warning",
		summary: "A key is named by less than its full fingerprint.",
		why: "Keys with the same short id can be made by anybody.",
		needs: "dockerfiles",
	},
	"download-insecure": {
		severity: "warning",
		summary: "A download does not check certificates.",
		why: "Anybody on the way can give something else.",
		needs: "dockerfiles",
	},
	"download-http": {
		severity: "warning",
		summary: "A download over plain http is not verified.",
		why: "Anybody on the way can give something else.",
		needs: "dockerfiles",
	},
	"download-unverified": {
		severity: "warning",
		summary: "Nothing verifies a download.",
		why: "Whoever can change the file, or break into its server, is in the image.",
		needs: "dockerfiles",
	},
	"weak-checksum": {
		severity: "warning",
		summary: "MD5 or SHA-1 alone verifies a download.",
		why: "Files with the same sum can be made.",
		needs: "dockerfiles",
	},
	"shell-form": {
		severity: "warning",
		summary: "`CMD` or `ENTRYPOINT` is written in shell form.",
		why: "The program is not process 1, and never sees the signal that ends the container.",
		needs: "dockerfiles",
	},
	"entrypoint-exec": {
		severity: "warning",
		summary: "The script that is the entrypoint starts its program without `exec`.",
		why: "The shell stays process 1, and the program never sees the signal that asks it to end.",
		needs: "dockerfiles",
	},
	healthcheck: {
		severity: "warning",
		summary: "The image has a `HEALTHCHECK`.",
		why: "Official images leave it to who runs them: it costs everybody, and fits few.",
		needs: "dockerfiles",
	},
	"set-e": {
		severity: "warning",
		summary: "A `RUN` of several commands goes on after one fails.",
		why: "The image is then built with half of what it should have.",
		needs: "dockerfiles",
	},
	privileged: {
		severity: "warning",
		summary: "A `RUN` asks for more rights than a build has.",
		why: "Builds run unprivileged and without the host's network.",
		needs: "dockerfiles",
	},
	commits: {
		severity: "error",
		summary: "`GitCommit` is not behind `GitFetch`, or a large archive changes in the history behind it.",
		why: "What no ref leads to is removed one day. Each version of an archive stays in the history for ever.",
		needs: "history",
	},
	history: {
		severity: "error",
		summary: "The history behind a commit cannot be had.",
		why: "Whether commits are where the definition says is not known.",
		needs: "history",
		blind: true,
	},
	"unused-suppression": {
		severity: "warning",
		summary: "A suppression suppresses nothing.",
		why: "What it was for is mended, or it names the wrong image: the next finding of that kind would be hidden.",
		needs: "definitions",
	},
} as const satisfies Readonly<Record<string, Rule>>;

export type RuleId = keyof typeof rules;

export function isRule(id: string): id is RuleId {
	return Object.hasOwn(rules, id);
}
