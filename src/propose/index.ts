export { propose, type ProposeInput, type ProposeOptions } from "./propose.ts";
export { missingToken, proposeOptionsOf, warnOfDryRun, type ProposeSettings } from "./options.ts";
export { openLibrary, type Library } from "./library.ts";
export { attempt, failureOf, type Attempt } from "./attempts.ts";
export { attemptMarkdown, attemptText, proposalMarkdown, proposalText } from "./render.ts";
export type { GitHubOptions } from "./github.ts";
export type * from "./types.ts";
