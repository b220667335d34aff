export {
	openGitStore,
	type GitRepository,
	type GitStore,
	type GitStoreOptions,
	type ListedEntry,
	type Place,
} from "./store.ts";
export { credentialPrefix, type GitCredential } from "./command.ts";
export type { Wanted as WantedCommit } from "./fetch.ts";
export type { FilesLookedFor, History, ModifiedFile } from "./behind.ts";
export type { OpenFile } from "./export.ts";
export type { EntryKind } from "./objects.ts";
export { checkAddress, isAddress, rewriteAddress } from "./address.ts";
export { makeBare } from "./bare.ts";
export {
	defaultBranchOf,
	openGitBranch,
	type CommitFacts,
	type GitBranch,
	type GitBranchOptions,
	type NewCommit,
} from "./branch.ts";
export { gitIn, gitStream, type LocalRepository } from "./repository.ts";
export { checkCount, checkTotal, readSnapshot, type SnapshotFile, type SnapshotLimits } from "./snapshot.ts";
export { newestCommits } from "./newest.ts";
export { compilePathspecs, type PathQuery } from "./pathspec.ts";
