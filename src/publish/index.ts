export type * from "./types.ts";
export {
	amountsText,
	copyImage,
	type CopiedTarget,
	type CopyAmount,
	type CopyOptions,
	type CopyResult,
} from "./copy.ts";
export { childrenOf } from "./children.ts";
export { indexObject, deployObjects, type DeployedBuild, type DeployOptions } from "./deployObjects.ts";
export { deployObjectSchema, readDeployObjects, writeDeployObjects } from "./object.ts";
export { shrinkOf, undecided, type PublishDecisions } from "./decisions.ts";
export { fingerprint, type Ledger } from "./ledger.ts";
export { waitingRule } from "./policy.ts";
export { partsOfTags, type Contribution, type Part } from "./parts.ts";
export { publish, type PublishInput } from "./publish.ts";
export { untestedOf, type Untested } from "./tested.ts";
export { push, type PushOptions, type PushOutcome, type PushResult } from "./push.ts";
