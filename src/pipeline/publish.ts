import type { Builds } from "../builds/index.ts";
import { publish, type PublishResult } from "../publish/index.ts";
import type { Sources } from "../sources/index.ts";
import { openLookups } from "./steps.ts";
import type { Workspace } from "./workspace.ts";

/** Moves what is staged to its tags; everything is read from the registry anew, and nothing from files or earlier look-ups. */
export async function publishStaged(
	workspace: Workspace,
	input: { readonly sources: Sources; readonly builds: Builds },
	options: { readonly dryRun?: boolean } = {},
): Promise<PublishResult> {
	const { program, io, client } = workspace;
	return publish(input, io, {
		program,
		client,
		lookup: openLookups(workspace).lookup,
		dryRun: options.dryRun ?? false,
	});
}
