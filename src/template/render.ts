import type { ImageConfig } from "../config/index.ts";
import type { Io } from "../io/types.ts";
import { dayOf, type FileWarning, readWorkTree, versionsWarnings } from "../matrix/index.ts";
import { openSandbox, type Sandbox } from "../sandbox/index.ts";
import { type Change, changesTo } from "./changes.ts";
import type { Rendering } from "./rendering.ts";
import { writeChanges } from "./write.ts";

export interface RenderOptions {
	/** Only these versions; default: all. */
	readonly versions?: readonly string[];
	/** `YYYY-MM-DD`: what `{today}` is; default: the clock's day (UTC). */
	readonly today?: string;
	/** Whether files are written and deleted; default: yes. */
	readonly write?: boolean;
	/** Milliseconds for all of an image's templates. */
	readonly timeLimit?: number;
	/** Bytes. */
	readonly memoryLimit?: number;
}

export interface Rendered {
	readonly images: readonly {
		readonly image: string;
		/** How many files its templates and copies make. */
		readonly files: number;
	}[];
	/** What was not as it would be rendered, in the order of the paths. */
	readonly changes: readonly Change[];
	/** What is doubtful in the files of the versions; each once. */
	readonly warnings: readonly FileWarning[];
}

/**
 * Renders the templates of an image repository in a folder, with what is copied beside them and what is deleted. All that
 * its own data drives is evaluated in a thread with limits; it sees the files that git tracks or would add, and declared
 * variables.
 */
export async function render(
	images: readonly ImageConfig[],
	folder: string,
	io: Io,
	options: RenderOptions = {},
): Promise<Rendered> {
	const { timeLimit, memoryLimit } = options;
	await using sandbox = openSandbox({
		signal: io.signal,
		...(timeLimit === undefined ? {} : { timeLimit }),
		...(memoryLimit === undefined ? {} : { memoryLimit }),
	});
	// It gets ready while files are read; what is wrong with it shows again when it is used.
	sandbox.run("prepareRender", null).catch(() => undefined);
	const rendered = await renderIn(sandbox, images, folder, io, options);
	if (options.write !== false) await writeChanges(folder, rendered.changes, io.signal);
	return rendered;
}

async function renderIn(
	sandbox: Sandbox,
	images: readonly ImageConfig[],
	folder: string,
	io: Io,
	{ versions, ...options }: RenderOptions,
): Promise<Rendered> {
	const today = dayOf(io, options.today);
	const files = await readWorkTree(io, folder);
	const described = images.filter(({ templates }) => templates !== undefined);
	const renderings: Rendering[] = [];
	for (const config of described) {
		const given = versions === undefined ? {} : { versions };
		renderings.push(await sandbox.run("render", { config, files, today, ...given }));
	}
	const warnings = new Map(
		described.flatMap((config) => versionsWarnings(config, files).map((one) => [JSON.stringify(one), one] as const)),
	);
	return {
		images: described.map(({ image }, index) => ({ image, files: renderings[index]!.files.length })),
		changes: changesTo(files, renderings),
		warnings: [...warnings.values()],
	};
}
