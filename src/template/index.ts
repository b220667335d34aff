export type { Change } from "./changes.ts";
export { planRendering, type Copy, type Output, type RenderInput, type RenderPlan } from "./plan.ts";
export { render, type Rendered, type RenderOptions } from "./render.ts";
export type { RenderedFile, Rendering } from "./rendering.ts";
