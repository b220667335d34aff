import { mkdir } from "node:fs/promises";
import path from "node:path";
import type { Readable } from "node:stream";
import { packTar } from "modern-tar/fs";
import type { BuilderContext } from "./context.ts";

/**
 * The context of a build as a tar stream, for builders that cannot reach its repository. Modes and dates are those
 * of a checkout, so that the same commit gives the same bytes.
 */
export async function openContext(context: BuilderContext): Promise<Readable> {
	const { io, build, scratch } = context;
	const folder = path.join(scratch, "context");
	await mkdir(folder);
	await context.exportTree(build.git, folder, io);
	const mtime = new Date(build.git.epoch * 1000);
	return packTar(
		[
			// Docker looks at the first 1024 bytes to know a tar: an entry of one block must come first, whatever follows.
			{ type: "content", target: "./", content: null, mode: 0o755, mtime },
			{ type: "directory", source: folder, target: "." },
		],
		{
			map: (header) => ({
				...header,
				mode: header.type === "directory" || header.type === "symlink" || (header.mode ?? 0) & 0o100 ? 0o755 : 0o644,
				mtime,
				uid: 0,
				gid: 0,
				uname: "",
				gname: "",
			}),
		},
	);
}
