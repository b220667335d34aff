export { readDockerfile, resolveFroms, scanDockerfile, type Dockerfile, type Froms } from "./scan.ts";
export { readDockerfileFacts, type DockerfileFacts } from "./facts.ts";
