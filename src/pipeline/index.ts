export { openBuilders, type Builders } from "./builders.ts";
export { publishPlanned, publishStaged } from "./publish.ts";
export {
	buildReports,
	finishReport,
	legReports,
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
	warnOf,
	type Lookups,
	type PlanChoice,
} from "./steps.ts";
export { filesOf, openWorkspace, type Workspace, type WorkspaceOptions } from "./workspace.ts";
