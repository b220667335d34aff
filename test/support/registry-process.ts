/**
 * A registry in a process of its own that is killed at a numbered point: `node registry-process.ts DIRECTORY POINT`. The points
 * are before and after each thing that it does with a file, counted from 0; -1: it is not killed, and says at the end of its
 * input how many there were. Prints its address once it listens.
 */
import { startRegistry } from "../../src/registry/index.ts";
import { folderFiles, type Files } from "../../src/registry/server/files.ts";

const [directory = "", point = ""] = process.argv.slice(2);
let count = 0;

function at(): void {
	if (count++ === Number(point)) process.kill(process.pid, "SIGKILL");
}

async function counted<T>(work: () => Promise<T>): Promise<T> {
	at();
	const result = await work();
	at();
	return result;
}

const files = folderFiles(directory);
const counting: Files = {
	...files,
	write: (file, bytes) => counted(() => files.write(file, bytes)),
	create: async (file) => {
		const growing = await counted(() => files.create(file));
		return {
			append: (chunk) => counted(() => growing.append(chunk)),
			close: (keep) => counted(() => growing.close(keep)),
		};
	},
	move: (from, to) => counted(() => files.move(from, to)),
	remove: (file) => counted(() => files.remove(file)),
};
const registry = await startRegistry({ directory, files: counting });
process.stdout.write(`${registry.url}\n`);
process.stdin.resume().once("end", () => {
	process.stdout.write(`${count}\n`, () => process.exit());
});
