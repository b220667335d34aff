import { BrewlineError } from "../errors.ts";
import { printable } from "../io/printable.ts";
import { weightedCache } from "./cache.ts";
import { damaged, type ObjectReader, type ObjectType } from "./reader.ts";

/**
 * Names, paths and targets in here are byte strings (one character for each byte, as `latin1` gives them): git's names
 * are bytes and need not be text.
 */
export type EntryKind = "file" | "executable" | "symlink" | "directory" | "submodule";

export interface TreeEntry {
	/** A byte string. */
	readonly name: string;
	readonly kind: EntryKind;
	readonly id: string;
}

export interface Commit {
	readonly tree: string;
	/** Unix seconds: the later one of the author's and the committer's date. */
	readonly epoch: number;
}

/** The objects of one repository. What was read lately is kept, as far as it is small. */
export interface Objects {
	commit(id: string): Promise<Commit>;
	/** Sorted by name, byte by byte. */
	tree(id: string): Promise<readonly TreeEntry[]>;
	/** A blob as a whole; one above `maxSize` bytes is an error. */
	blob(id: string, maxSize: number): Promise<Buffer>;
	/** The blob, if it need not be read. */
	cachedBlob(id: string): Buffer | undefined;
	keepBlob(id: string, content: Buffer): void;
	readonly reader: () => ObjectReader;
}

/** Blobs up to this size are kept. */
export const smallBlob = 256 * 1024;
const keptBlobs = 32 * 1024 * 1024;
const keptTrees = 64 * 1024 * 1024;
const maxTree = 64 * 1024 * 1024;
const maxCommit = 16 * 1024 * 1024;

export function openObjects(directory: string, reader: () => ObjectReader): Objects {
	const trees = weightedCache<Promise<readonly TreeEntry[]>>(keptTrees);
	const commits = weightedCache<Promise<Commit>>(keptTrees);
	const blobs = weightedCache<Buffer>(keptBlobs);

	async function whole(id: string, wanted: ObjectType, maxSize: number): Promise<Buffer> {
		const chunks: Buffer[] = [];
		let found: ObjectType = wanted;
		await reader().read(id, {
			start: (type, size) => {
				found = type;
				if (type === wanted && size > maxSize)
					throw new BrewlineError("git", `the ${type} ${id} has ${size} bytes; at most ${maxSize} are read`);
			},
			data: (chunk) => {
				// A tag is read too: the error says what it points to.
				if (found === wanted || (found === "tag" && chunks.length === 0)) chunks.push(chunk);
			},
		});
		const content = Buffer.concat(chunks);
		if (found !== wanted) throw wrongType(id, wanted, found, content);
		return content;
	}

	return {
		reader,
		commit: (id) => commits.use(id, 200, async () => parseCommit(id, await whole(id, "commit", maxCommit))),
		tree: (id) =>
			trees.use(id, 0, async () => {
				const content = await whole(id, "tree", maxTree);
				// Parsed, an entry takes some 200 bytes, of at least 24 in the object.
				trees.weigh(id, content.length * 4 + 200);
				return parseTree(directory, id, content);
			}),
		cachedBlob: (id) => blobs.get(id),
		keepBlob: (id, content) => blobs.set(id, content.length + 200, content),
		blob: async (id, maxSize) => {
			const known = blobs.get(id);
			if (known !== undefined) return known;
			const content = await whole(id, "blob", maxSize);
			if (content.length <= smallBlob) blobs.set(id, content.length + 200, content);
			return content;
		},
	};
}

function wrongType(id: string, wanted: ObjectType, found: ObjectType, content: Buffer): BrewlineError {
	if (wanted !== "commit") return new BrewlineError("git", `${id} is the id of a ${found}, not of a ${wanted}`);
	const target = /^object ([0-9a-f]+)\ntype commit\n/.exec(content.toString("latin1", 0, 200))?.[1];
	return new BrewlineError("git", `${id} is the id of a ${found}, not of a commit`, {
		hint: target === undefined ? "GitCommit names a commit" : `GitCommit names a commit; this tag points to ${target}`,
	});
}

/** An empty line ends the header; lines in signatures and merged tags begin with a blank. */
function parseCommit(id: string, content: Buffer): Commit {
	const end = content.indexOf("\n\n");
	const header = content.toString("latin1", 0, end < 0 ? content.length : end).split("\n");
	const value = (key: string) => header.find((line) => line.startsWith(`${key} `))?.slice(key.length + 1);
	const tree = value("tree");
	if (tree === undefined || !/^[0-9a-f]+$/.test(tree)) throw new BrewlineError("git", `the commit ${id} has no tree`);
	const dates = [value("author"), value("committer")].map(seconds).filter((date) => date !== undefined);
	if (dates.length === 0) throw new BrewlineError("git", `the commit ${id} has no date`);
	return { tree, epoch: Math.max(...dates) };
}

/** `NAME <MAIL> SECONDS ZONE`: the name may have brackets too, so the last one counts. */
function seconds(person: string | undefined): number | undefined {
	const text = person
		?.slice(person.lastIndexOf(">") + 1)
		.trim()
		.split(" ")[0];
	if (text === undefined || !/^-?\d+$/.test(text)) return undefined;
	const date = Number(text);
	return Number.isSafeInteger(date) ? date : undefined;
}

const kinds: Readonly<Record<string, EntryKind>> = {
	"100644": "file",
	"100755": "executable",
	"120000": "symlink",
	"160000": "submodule",
	"40000": "directory",
	"040000": "directory",
};

/** `MODE NAME NUL ID`, the id as bytes, one entry after the other. */
function parseTree(directory: string, id: string, content: Buffer): readonly TreeEntry[] {
	const idSize = id.length / 2;
	const entries: TreeEntry[] = [];
	const names = new Set<string>();
	for (let at = 0; at < content.length;) {
		const blank = content.indexOf(32, at);
		const nul = content.indexOf(0, blank + 1);
		if (blank < 0 || nul < 0 || nul + idSize >= content.length)
			throw damaged(directory, `the tree ${id} ends in the middle of an entry`);
		const mode = content.toString("latin1", at, blank);
		const name = content.toString("latin1", blank + 1, nul);
		const kind = Object.hasOwn(kinds, mode) ? kinds[mode]! : undefined;
		if (kind === undefined)
			throw new BrewlineError("git", `${showBytes(name)} has the mode ${printable(mode, 20)}, which is none of git's`);
		if (name === "" || name === "." || name === ".." || name.includes("/") || names.has(name))
			throw new BrewlineError(
				"git",
				`the tree ${id} has a name that none may have, or has it twice: ${showBytes(name)}`,
			);
		names.add(name);
		entries.push({ name, kind, id: content.toString("hex", nul + 1, nul + 1 + idSize) });
		at = nul + 1 + idSize;
	}
	return entries.sort((a, b) => (a.name < b.name ? -1 : 1));
}

/** A byte string, fit for a message. */
export function showBytes(bytes: string): string {
	return printable(Buffer.from(bytes, "latin1").toString("utf8"), 300);
}
