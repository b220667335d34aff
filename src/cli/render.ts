import { fileDiff, type DiffFile } from "../check/index.ts";
import { encodeText } from "../definition/index.ts";
import { BrewlineError } from "../errors.ts";
import { counted, printable, printableLines, standardOutput } from "../io/index.ts";
import { tabJson } from "../json/index.ts";
import { type Change, render, type Rendered } from "../template/index.ts";
import { chosenImages, type Context } from "./context.ts";

interface Options {
	readonly check?: boolean;
	readonly dryRun?: boolean;
	readonly image?: string;
	readonly repository?: string;
	readonly today?: string;
}

/** Renders the templates of an image repository; or says what that would change, as a diff with --check. */
export async function renderStep(context: Context, options: Options, versions: string[]): Promise<number> {
	const { io } = context;
	const images = chosenImages(context, options.image);
	if (!images.some(({ templates }) => templates !== undefined)) {
		throw new BrewlineError("config", "the configuration has no templates", {
			at: { file: context.file },
			hint: "Describe them in images.templates (docs/templates.md).",
		});
	}
	const write = options.check !== true && options.dryRun !== true;
	const rendered = await render(images, options.repository ?? context.folder, io, {
		write,
		...(versions.length === 0 ? {} : { versions }),
		...(options.today === undefined ? {} : { today: options.today }),
	});
	for (const { message, at, hint } of rendered.warnings) {
		io.log({ type: "message", level: "warning", text: message, at, hint });
	}
	if (context.json) {
		context.print(tabJson(asData(rendered)));
		return options.check === true && rendered.changes.length > 0 ? 1 : 0;
	}
	if (options.check === true) {
		context.print(encodeText(diffsOf(rendered.changes, standardOutput().isTTY)));
	}
	if (options.check === true && rendered.changes.length > 0) {
		throw new BrewlineError("failed", `${summary(rendered.changes)}: not as rendered`, {
			hint: 'Run "brewline render", and commit what it changes.',
		});
	}
	context.print(textOf(rendered, context, write));
	return 0;
}

function asData({ images, changes }: Rendered): object {
	return {
		images,
		changes: changes.map(({ path, kind, after }) => ({
			path,
			change: kind,
			...(after === undefined ? {} : { source: after.source }),
		})),
	};
}

const words = { created: "created", updated: "updated", mode: "mode changed", deleted: "deleted" };

function textOf({ images, changes }: Rendered, { style }: Context, wrote: boolean): string {
	const lines = changes.map(({ path, kind, after }) => {
		const source = after === undefined ? "" : style.dim(` (${printable(after.source)})`);
		return `${words[kind].padEnd(12)} ${printable(path)}${source}`;
	});
	const files = images.reduce((sum, image) => sum + image.files, 0);
	const made = `${counted(files, "file")} of ${images.map(({ image }) => image).join(", ")}`;
	const what = changes.length === 0 ? "all as rendered" : `${summary(changes)}${wrote ? "" : " would change"}`;
	return [...lines, `${made}: ${what}`].map((line) => `${line}\n`).join("");
}

function summary(changes: readonly Change[]): string {
	return (["created", "updated", "mode", "deleted"] as const)
		.map((kind) => [changes.filter((change) => change.kind === kind).length, words[kind]] as const)
		.filter(([count]) => count > 0)
		.map(([count, word]) => `${count} ${word}`)
		.join(", ");
}

const modes = { file: "100644", executable: "100755", link: "120000" } as const;

/** Of all diffs together: each has a limit of its own, and there may be very many. */
const maxMilliseconds = 20_000;

function diffsOf(changes: readonly Change[], onTerminal: boolean): string {
	const end = performance.now() + maxMilliseconds;
	return changes.map((change) => diffOf(change, onTerminal, end - performance.now())).join("");
}

function diffOf({ path, before, after }: Change, onTerminal: boolean, milliseconds: number): string {
	const old: DiffFile | undefined = before && { text: before.text ?? "", mode: modes[before.mode] };
	const next: DiffFile | undefined = after && {
		text: after.text,
		mode: modes[after.executable ? "executable" : "file"],
	};
	const diff = fileDiff(printable(path, 4000), old, next, milliseconds);
	// A pipe has the bytes that git can apply; a terminal would do what they say.
	return onTerminal ? printableLines(diff) : diff;
}
