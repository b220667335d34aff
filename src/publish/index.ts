export type * from "./types.ts";
export { deployObjects, type DeployedBuild, type DeployOptions } from "./deployObjects.ts";
