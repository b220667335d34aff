import { Readable } from "node:stream";
import { tarHeader } from "../tar/index.ts";
import { fetchedRepository, type BuilderContext } from "./context.ts";

/** The context of a build as a tar stream, for builders that cannot reach its repository; the same bytes each time. */
export async function openContext(context: Pick<BuilderContext, "git" | "build">): Promise<Readable> {
	const { commit, directory, epoch } = context.build.git;
	const repository = await fetchedRepository(context);
	return Readable.from(withFirstEntry(repository.contextTar(commit, directory), epoch));
}

/**
 * Docker looks at 1024 bytes to know a tar from a Dockerfile: a long name in an extended header, or no entry at all,
 * would not pass. So the folder itself comes first, in one block.
 */
async function* withFirstEntry(archive: Readable, epoch: number): AsyncGenerator<Buffer> {
	yield tarHeader({ name: "./", type: "directory", mode: 0o755, mtime: epoch });
	for await (const chunk of archive) {
		yield chunk as Buffer;
	}
}
