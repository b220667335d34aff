import { fileDiff } from "../../src/check/index.ts";
import type { ImageConfig } from "../../src/config/index.ts";
import { messageOf } from "../../src/errors.ts";
import type { Io } from "../../src/io/index.ts";
import { readCommit } from "../../src/matrix/index.ts";
import type { Sandbox } from "../../src/sandbox/index.ts";
import { changesTo, type Change } from "../../src/template/changes.ts";
import type { Copy } from "./copies.ts";

/** What rendering all of a repository gives, against what is committed there. */
export interface RenderedRepository {
	/** How many files are rendered or copied; none where the description has no templates. */
	readonly files: number;
	readonly equal: number;
	/** How the others differ: content, modes, files that should not be there. */
	readonly differences: readonly { readonly path: string; readonly kind: string; readonly diff: string }[];
	readonly error?: string;
}

export async function renderAt(
	config: ImageConfig,
	{ directory }: Copy,
	{ commit, today }: { readonly commit: string; readonly today: string },
	{ sandbox, io }: { readonly sandbox: Sandbox; readonly io: Io },
): Promise<RenderedRepository> {
	if (config.templates === undefined) return { files: 0, equal: 0, differences: [] };
	try {
		const files = await readCommit(io, directory, commit);
		const rendering = await sandbox.run("render", { config, files, today });
		const changes = changesTo(files, [rendering]);
		const other = changes.filter(({ kind }) => kind !== "deleted").length;
		const differences = changes.map((change) => ({ path: change.path, kind: change.kind, diff: diffOf(change) }));
		return { files: rendering.files.length, equal: rendering.files.length - other, differences };
	} catch (error) {
		return { files: 0, equal: 0, differences: [], error: messageOf(error) };
	}
}

function diffOf({ path, before, after }: Change): string {
	const mode = (isExecutable: boolean): string => (isExecutable ? "100755" : "100644");
	return fileDiff(
		path,
		before && { text: before.text ?? "", mode: mode(before.mode === "executable") },
		after && { text: after.text, mode: mode(after.executable) },
	);
}
