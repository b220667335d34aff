export { openSandbox, sandboxed, type Sandbox, type SandboxOptions } from "./sandbox.ts";
export type { TaskInput, TaskName, TaskOutput } from "./tasks.ts";
