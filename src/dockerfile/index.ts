export { readInstructions, type Instruction, type Instructions } from "./instructions.ts";
export { readDockerfile, resolveFroms, scanDockerfile, type Dockerfile, type Froms } from "./scan.ts";
export { readDockerfileFacts, type DockerfileFacts } from "./facts.ts";
