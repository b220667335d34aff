export { readDockerfile, resolveFroms, scanDockerfile, type Dockerfile, type Froms } from "./scan.ts";
