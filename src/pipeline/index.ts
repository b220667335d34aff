export { adopt, type Adopted, type Adoption, type AdoptOptions } from "./adopt.ts";
export { prune, type Pruned, type PruneOptions, type PruneResult } from "./prune.ts";
export { explain, type ExplainedParent, type Explanation } from "./explain.ts";
export { force, type ForcedOutcome, type ForceRequest } from "./force.ts";
export { openBuilders, type Builders } from "./builders.ts";
export { decisions, hold, release, rollback, shrink, type DecisionRequest } from "./decide.ts";
export { publishPlanned, publishStaged, type PublishChoice } from "./publish.ts";
export { rememberRun, type Remembered, type RememberOptions } from "./remember.ts";
export {
	buildReports,
	finishReport,
	legReports,
	reasonsIn,
	startReport,
	tagReports,
	waitingReports,
	type Draft,
} from "./report.ts";
export { buildLegs, findStaged, run, type BuildChoice, type FindBuilder, type RunOptions } from "./run.ts";
export {
	computeBuilds,
	computePlan,
	computeSources,
	openLookups,
	readLegs,
	readResults,
	readSourcesFile,
	type Lookups,
	type PlanChoice,
} from "./steps.ts";
export { knownTests, recordTest, type TestRecord } from "./tests.ts";
export { warnOf } from "./warn.ts";
export { filesOf, openWorkspace, type Workspace, type WorkspaceOptions } from "./workspace.ts";
