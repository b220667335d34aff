import { openWorkspace, type Workspace } from "../pipeline/index.ts";
import { type Context, sayUnconfigured } from "./context.ts";

/** Takes a step of a command with what it needs, which is closed again; says first where there is no configuration. */
export async function inWorkspace(
	context: Context,
	{ dryRun = false }: { readonly dryRun?: boolean | undefined },
	step: (workspace: Workspace) => Promise<number>,
): Promise<number> {
	sayUnconfigured(context);
	await using workspace = openWorkspace(context.program, context.io, { work: context.work, dryRun });
	return await step(workspace);
}
