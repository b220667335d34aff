import v8 from "node:v8";
import { printable } from "../io/index.ts";
import { tabJson } from "../json/index.ts";
import { parsePlatform } from "../oci/index.ts";
import { openWorkspace } from "../pipeline/index.ts";
import { amountsText, copyImage, type CopiedTarget } from "../publish/index.ts";
import { exitCodeOf, failuresOf, failureText } from "../report/index.ts";
import type { Context } from "./context.ts";

/**
 * V8 lets its space for new objects grow so far that the buffers of layers are only freed by collecting everything. Kept
 * small, a copy takes a third less of time and memory. Later versions may not know the flag, and would say so.
 */
function keepNewSpaceSmall(): void {
	if (process.versions.v8.startsWith("13.")) v8.setFlagsFromString("--scavenger-max-new-space-capacity-mb=1");
}

/** Copies an image to other repositories and registries. */
export async function copyStep(
	context: Context,
	options: { platform?: readonly string[]; referrers: boolean; dryRun?: boolean },
	args: string[],
): Promise<number> {
	keepNewSpaceSmall();
	const [source = "", ...targets] = args;
	await using workspace = openWorkspace(context.program, context.io, { work: context.work, dryRun: true });
	const dryRun = options.dryRun ?? false;
	const result = await copyImage(source, targets, context.io, {
		client: workspace.client,
		dryRun,
		referrers: options.referrers,
		...(options.platform === undefined ? {} : { platforms: options.platform.map(parsePlatform) }),
	});
	const failed = result.targets.find(({ error }) => error !== undefined);
	context.print(
		context.json
			? tabJson({
					...result,
					dryRun,
					targets: result.targets.map(({ error, ...target }) =>
						error === undefined ? target : { ...target, errors: failuresOf(error) },
					),
				})
			: result.targets.map((target) => `${lineOf(target, result.digest, dryRun, context)}\n`).join(""),
	);
	return failed === undefined ? 0 : exitCodeOf(failed.error);
}

function lineOf(target: CopiedTarget, digest: string, dryRun: boolean, { style }: Context): string {
	const name = printable(target.reference, 500);
	if (target.error !== undefined) {
		return `${style.red("failed")} ${name}: ${failuresOf(target.error).map(failureText).join("\n")}`;
	}
	const words = { copied: style.green(dryRun ? "would copy" : "copied"), present: style.dim("unchanged") };
	return `${words[target.state as "copied" | "present"]} ${name} ${digest}: ${amountsText(target)}`;
}
