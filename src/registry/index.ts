export type * from "./types.ts";
export { createRegistryClient, type RegistryClientOptions } from "./client.ts";
export type { CredentialSource } from "./auth.ts";
export type { Credential } from "./token.ts";
export { dockerCredentials } from "./credentials.ts";
export { answerOf, type RegistryAnswer } from "./answer.ts";
export { createLimiter, type Limiter } from "./limiter.ts";
export { readBack, type ReadBackOptions } from "./readBack.ts";
export { capabilitiesOf, registries, type Capabilities, type RegistryKind } from "./capabilities.ts";
export type { RetryPolicy } from "./retry.ts";
export { mirrorsFromEnvironment, type HostOptions } from "./hosts.ts";
export { synthesize, type SynthesizeOptions } from "./synthesize.ts";
export {
	startRegistry,
	type Fault,
	type Incoming,
	type RegistryAuth,
	type RegistryServerOptions,
	type RunningRegistry,
} from "./server/index.ts";
