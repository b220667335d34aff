export type { Change } from "./changes.ts";
export type { RepositoryFile } from "../matrix/index.ts";
export { render, type Rendered, type RenderOptions } from "./render.ts";
export type { RenderedFile, Rendering } from "./rendering.ts";
