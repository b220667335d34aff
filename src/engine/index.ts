export type * from "./types.ts";
export { useEngine } from "./use.ts";
export { canStartEngine, recover } from "./private.ts";
export {
	describeBuilder,
	ensureBuilder,
	inspectBuilder,
	remoteBuilder,
	type EnsuredBuilder,
	type EnsureOptions,
} from "./builder.ts";
export { doctor, type Check, type DoctorOptions } from "./doctor.ts";
