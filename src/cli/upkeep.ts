import { durationOf } from "../config/index.ts";
import { BrewlineError } from "../errors.ts";
import { printable } from "../io/index.ts";
import { tabJson } from "../json/index.ts";
import { adopt, openWorkspace, prune, type Pruned } from "../pipeline/index.ts";
import { type Context, sayUnconfigured } from "./context.ts";

/** Takes over what is published, so that nothing of it is built again. */
export async function adoptStep(
	context: Context,
	options: { unverified?: boolean; acceptMissing?: boolean; dryRun?: boolean },
): Promise<number> {
	sayUnconfigured(context);
	const { program, io, work, style } = context;
	await using workspace = openWorkspace(program, io, { work, dryRun: options.dryRun ?? false });
	const adopted = await adopt(workspace, {
		unverified: options.unverified ?? false,
		acceptMissing: options.acceptMissing ?? false,
	});
	const refused = adopted.builds.filter(({ state }) => state === "refused");
	const count = (state: string): number => adopted.builds.filter((build) => build.state === state).length;
	const lines = [
		...refused.map(
			({ tag, arch, note }) =>
				`${style.yellow("to build")} ${printable(tag)} ${printable(arch)}: ${printable(note, 500)}`,
		),
		...adopted.moves.map(({ reference, change }) => `${style.red("would be")} ${change}: ${printable(reference)}`),
		`${count("adopted")} ${options.dryRun === true ? "can be taken over" : "taken over"}, ${count("present")} staged already, ${refused.length} to build`,
	];
	context.print(context.json ? tabJson(adopted) : lines.map((line) => `${line}\n`).join(""));
	return refused.length > 0 || adopted.moves.length > 0 ? 7 : 0;
}

/** Clears staging of what nothing names any more. */
export async function pruneStep(
	context: Context,
	options: { keep: number; older: string; imported?: boolean; delete?: boolean },
): Promise<number> {
	sayUnconfigured(context);
	const older = durationOf(options.older);
	if (older === undefined) {
		throw new BrewlineError("usage", `--older ${printable(options.older, 50)} is no time`, {
			hint: "write minutes, hours or days: 90m, 48h, 30d",
		});
	}
	const { program, io, work } = context;
	await using workspace = openWorkspace(program, io, { work });
	const result = await prune(workspace, {
		keep: options.keep,
		older,
		deletes: options.delete ?? false,
		imported: options.imported ?? false,
	});
	const going = result.images.filter(({ state }) => state !== "kept");
	const stuck = result.images.filter(
		({ state, created, reason }) => state === "kept" && (created === null || reason.startsWith("the registry")),
	);
	const imported = options.imported === true ? 0 : result.images.filter((image) => image.imported).length;
	const lines = [
		...going.map((image) => lineOf(image)),
		...stuck.map((image) => lineOf(image)),
		...(imported === 0
			? []
			: [
					`imported images: ${imported} kept, as they do not say since when they are staged (--imported goes by their commits)`,
				]),
		`${result.staged} images are staged, ${result.named} of them named; ${going.length} of the others ${options.delete === true ? "were deleted" : "can be deleted (--delete)"}`,
	];
	context.print(context.json ? tabJson(result) : lines.map((line) => `${line}\n`).join(""));
	return 0;
}

function lineOf({ reference, of, created, state, reason }: Pruned): string {
	const word = { "to-delete": "would delete", deleted: "deleted", kept: "kept" }[state];
	return `${word} ${printable(reference)} (${printable(of ?? "of unknown origin", 300)}, ${created ?? "of unknown age"}): ${printable(reason, 300)}`;
}
