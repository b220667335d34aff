/** Builds `lib/` (the package: plain JavaScript and declarations) and `dist/` (one bundle for each entry of an action). */
import { spawnSync } from "node:child_process";
import { existsSync } from "node:fs";
import { copyFile, readdir, rm, stat, writeFile } from "node:fs/promises";
import path from "node:path";
import { rolldown } from "rolldown";

const root = path.dirname(import.meta.dirname);

/**
 * Bytes. What a user's job loads before the first line of an action runs; with what it loads later, where it comes to it (the
 * state where there is one, Dockerfiles where there are new ones); and all bundles together.
 */
const limits = { entry: 300_000, post: 25_000, withLater: 400_000, all: 3_000_000 };

export async function build(): Promise<void> {
	await Promise.all([
		rm(path.join(root, "lib"), { recursive: true, force: true }),
		rm(path.join(root, "dist"), { recursive: true, force: true }),
	]);
	compile();
	await bundleCommandLine();
	await bundle();
}

function compile(): void {
	const tsc = path.join(root, "node_modules/typescript/bin/tsc");
	const { status } = spawnSync(process.execPath, [tsc, "--project", "tsconfig.build.json"], {
		cwd: root,
		stdio: "inherit",
	});
	if (status !== 0) throw new Error("the package does not compile");
}

/** The same code as ES modules, of which what is not used can be left out. */
const alias = { yaml: path.join(root, "node_modules/yaml/browser/index.js") };

/** The entry of the thread in which what image repositories have evaluated runs. */
const sandbox = path.join(root, "src/sandbox/worker.ts");

/** One file for each part that a command loads, in place of some hundred: that is half of the time of a short command. */
async function bundleCommandLine(): Promise<void> {
	const folder = path.join(root, "lib/cli");
	await rm(folder, { recursive: true });
	await bundleProgram(path.join(root, "src/cli/main.ts"), folder);
	// What a command starts as a thread is looked for beside it.
	await bundleProgram(sandbox, folder);
}

/**
 * A program with all that it imports, in a few files: what is imported dynamically is a file of its own. As CommonJS, since Node
 * takes 5 ms less of some 48 to load it.
 */
export async function bundleProgram(input: string, folder: string): Promise<void> {
	const bundled = await rolldown({
		input,
		platform: "node",
		cwd: root,
		logLevel: "warn",
		resolve: {
			alias: {
				...alias,
				"node:child_process": path.join(root, "src/cli/child-process.ts"),
				"node:process": path.join(root, "src/cli/process.ts"),
			},
		},
	});
	await bundled.write({
		dir: folder,
		format: "cjs",
		entryFileNames: "[name].js",
		chunkFileNames: "[name]-[hash].js",
		comments: { legal: true },
	});
	await bundled.close();
	await writeFile(path.join(folder, "package.json"), '{ "type": "commonjs" }\n');
}

async function bundle(): Promise<void> {
	const actions = path.join(root, "src/actions");
	const noYamlWriter = path.join(actions, "no-yaml-writer.ts");
	const input: Record<string, string> = { worker: sandbox };
	for (const name of await readdir(actions)) {
		for (const [file, entry] of [
			["main.ts", name],
			["post.ts", `${name}-post`],
		] as const) {
			const source = path.join(actions, name, file);
			if (existsSync(source)) input[entry] = source;
		}
	}
	// One by one: a chunk that two entries share would weigh on both.
	const sizes: Size[] = [];
	for (const [name, source] of Object.entries(input)) {
		const bundled = await rolldown({
			input: { [name]: source },
			platform: "node",
			cwd: root,
			logLevel: "warn",
			plugins: [
				{
					name: "yaml-reads-only",
					resolveId: (id) =>
						/\/stringify\/stringify(?:Collection|Document|Pair|String)\.js$/.test(id) ? noYamlWriter : undefined,
				},
			],
			resolve: {
				alias: {
					...alias,
					// Only for OIDC, and nine tenths of the weight of @actions/core.
					"@actions/http-client": path.join(actions, "no-http-client.ts"),
					"@actions/http-client/lib/auth": path.join(actions, "no-http-client.ts"),
				},
			},
		});
		const { output } = await bundled.write({
			dir: path.join(root, "dist"),
			format: "esm",
			minify: true,
			entryFileNames: "[name].js",
			chunkFileNames: `${name}-[name].js`,
			comments: { legal: true },
		});
		await bundled.close();
		const chunks = output.filter((chunk) => chunk.type === "chunk");
		const atOnce = loadedAtOnce(chunks);
		const bytesOf = (some: typeof chunks): number => some.reduce((sum, { code }) => sum + Buffer.byteLength(code), 0);
		sizes.push({
			name,
			bytes: bytesOf(chunks.filter(({ fileName }) => atOnce.has(fileName))),
			later: bytesOf(chunks.filter(({ fileName }) => !atOnce.has(fileName))),
			parts: contributors(chunks.flatMap((chunk) => Object.entries(chunk.modules))),
		});
	}
	await copyFile(path.join(root, "node_modules/jq-wasm/dist/build/jq.wasm"), path.join(root, "dist/jq.wasm"));
	report(sizes);
	await checkAll();
}

interface Size {
	readonly name: string;
	readonly bytes: number;
	readonly later: number;
	readonly parts: readonly (readonly [string, number])[];
}

interface Chunk {
	readonly fileName: string;
	readonly isEntry: boolean;
	readonly imports: readonly string[];
}

/** The entry and all that it imports statically. */
function loadedAtOnce(chunks: readonly Chunk[]): ReadonlySet<string> {
	const byName = new Map(chunks.map((chunk) => [chunk.fileName, chunk]));
	const found = new Set<string>();
	const add = (name: string): void => {
		if (found.has(name) || !byName.has(name)) return;
		found.add(name);
		for (const imported of byName.get(name)!.imports) add(imported);
	};
	for (const { fileName, isEntry } of chunks) if (isEntry) add(fileName);
	return found;
}

function contributors(
	modules: readonly (readonly [string, { readonly renderedLength: number }])[],
): [string, number][] {
	const byOwner = new Map<string, number>();
	for (const [id, { renderedLength }] of modules) {
		const owner =
			/node_modules\/((?:@[^/]+\/)?[^/]+)/.exec(id)?.[1] ?? path.relative(root, id).split("/").slice(0, 2).join("/");
		byOwner.set(owner, (byOwner.get(owner) ?? 0) + renderedLength);
	}
	return [...byOwner].sort((a, b) => b[1] - a[1]).slice(0, 8);
}

function report(sizes: readonly Size[]): void {
	for (const { name, bytes, later, parts } of sizes) {
		const most = parts.map(([owner, length]) => `${owner} ${Math.round(length / 1000)}`).join(", ");
		const more = later === 0 ? "" : ` and ${Math.round(later / 1000)} kB where they are needed`;
		console.log(`dist/${name}.js ${Math.round(bytes / 1000)} kB${more} (before minifying: ${most})`);
		const limit = name.endsWith("-post") ? limits.post : limits.entry;
		if (bytes > limit) throw new Error(`dist/${name}.js has ${bytes} bytes, more than ${limit}`);
		if (bytes + later > limits.withLater) {
			throw new Error(
				`dist/${name}.js has ${bytes + later} bytes with all that it may load, more than ${limits.withLater}`,
			);
		}
	}
}

async function checkAll(): Promise<void> {
	let all = 0;
	for (const name of await readdir(path.join(root, "dist"))) all += (await stat(path.join(root, "dist", name))).size;
	if (all > limits.all) throw new Error(`dist/ has ${all} bytes, more than ${limits.all}`);
}

if (import.meta.main) await build();
