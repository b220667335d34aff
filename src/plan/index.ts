export {
	annotationsOf,
	builderOf,
	contextUrl,
	dispatchInputs,
	parentsOf,
	titleOf,
	wantsSbom,
	withCreated,
} from "./annotations.ts";
export type { Capacity } from "./capacity.ts";
export { graphOf, pairOf, type Graph } from "./graph.ts";
export { planFormat, printPlan, readPlan, writePlan, type Plan } from "./file.ts";
export { readHandover, writeHandover, type HandoverFormat, type ReadOptions } from "./handover.ts";
export {
	builders,
	legFormat,
	printLeg,
	readLeg,
	type BuilderName,
	type Leg,
	type LegBuild,
	type LegParent,
} from "./leg.ts";
export { legBuildOf, legIdOf, plan, type PlanInput, type PlanOptions, type PlanOutput } from "./plan.ts";
export { predecessorOf, type Predecessor } from "./predecessor.ts";
export { decisionOf, reasonsOf, timeOf, triesOf, type ChangedFiles, type Forced } from "./reasons.ts";
