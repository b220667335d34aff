import { readFileSync } from "node:fs";
import { mkdir, mkdtemp, rm, writeFile } from "node:fs/promises";
import http from "node:http";
import type { AddressInfo } from "node:net";
import { tmpdir } from "node:os";
import path from "node:path";
import { parseArgs } from "node:util";
import { afterAll, beforeAll, expect, test } from "vitest";
import { dockerProgram } from "../../src/config/index.ts";
import {
	buildOrder,
	type BuildOrderOptions,
	cat,
	type EntryFilter,
	forArchitecture,
	list,
	requireArchitecture,
	resolveReferences,
} from "../../src/definition/index.ts";
import { scanDockerfile } from "../../src/dockerfile/index.ts";
import { BrewlineError } from "../../src/errors.ts";
import { nodeIo } from "../../src/io/index.ts";
import { conformance, describeConformance } from "../support/conformance.ts";

interface Run {
	readonly name?: string;
	readonly args: readonly string[];
	readonly error?: true;
	readonly why?: string;
	readonly stdout: string;
}

interface Library {
	readonly name: string;
	readonly library: Readonly<Record<string, string>>;
	readonly git: Readonly<Record<string, string>>;
	readonly runs: readonly Run[];
}

interface Data {
	readonly files: Readonly<Record<string, string>>;
	readonly runs: readonly Run[];
	readonly buildOrder: readonly Library[];
}

const flag = { type: "boolean", default: false } as const;

/** One call of the existing program's command line, by the library's functions. */
async function call(
	args: readonly string[],
	directory: string,
	froms: BuildOrderOptions["froms"] = () => Promise.resolve([]),
): Promise<string> {
	const { values, positionals } = parseArgs({
		args: [...args],
		allowPositionals: true,
		options: {
			library: { type: "string", default: "library" },
			namespace: { type: "string", default: "" },
			arch: { type: "string", default: dockerProgram.defaultArchitecture },
			constraint: { type: "string", multiple: true, default: [] },
			"exclusive-constraints": flag,
			"no-sort": flag,
			"build-order": flag,
			"apply-constraints": flag,
			"arch-filter": flag,
			all: flag,
			repos: flag,
			uniq: flag,
		},
	});
	const [command, ...references] = positionals;
	const architectures = Object.keys(dockerProgram.architectures);
	requireArchitecture(values.arch, architectures);
	const filter: EntryFilter = {
		architecture: values.arch,
		archFilter: values["arch-filter"],
		applyConstraints: values["apply-constraints"],
		constraints: values.constraint,
		exclusiveConstraints: values["exclusive-constraints"],
	};
	const { namespace, repos, uniq, all } = values;
	const selected = await resolveReferences(references, {
		architectures,
		defaultArchitecture: dockerProgram.defaultArchitecture,
		libraryDirectory: path.join(directory, values.library),
		directory,
		http: nodeIo().http,
		all,
	});
	const sort = values["build-order"] && !values["no-sort"];
	const entries = command === "list" && !repos;
	const selections = sort ? await buildOrder(selected, { froms, namespace, filter, entries }) : selected;
	if (command === "cat") return cat(selections);
	return list(selections, { namespace, uniq, repos, filter })
		.map((line) => `${line}\n`)
		.join("");
}

async function outcome(answer: Promise<string>): Promise<string | { readonly code: string }> {
	try {
		return await answer;
	} catch (error) {
		if (error instanceof BrewlineError) return { code: error.code };
		throw error;
	}
}

/** What an error has to be, by the reason in words. */
function codeOf(why: string): string {
	if (/no reference is given|architecture is unknown/.test(why)) return "usage";
	return /is refused|the server is no definition/.test(why) ? "definition" : "reference";
}

async function layOut(root: string, files: Readonly<Record<string, string>>): Promise<void> {
	for (const [name, content] of Object.entries(files)) {
		await mkdir(path.dirname(path.join(root, name)), { recursive: true });
		await writeFile(path.join(root, name), content);
	}
}

describeConformance("definitions/references.json", () => {
	const data = JSON.parse(readFileSync(conformance("definitions/references.json"), "utf8")) as Data;
	let root: string;
	let url: string;
	const server = http.createServer((request, response) => {
		const content = data.files[(request.url ?? "/").slice(1)];
		response.statusCode = content === undefined ? 404 : 200;
		response.end(content ?? "404 page not found\n");
	});

	beforeAll(async () => {
		root = await mkdtemp(path.join(tmpdir(), "brewline-references-"));
		await layOut(root, data.files);
		await new Promise<void>((resolve) => {
			server.listen(0, "127.0.0.1", resolve);
		});
		url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
	});

	afterAll(async () => {
		server.closeAllConnections();
		server.close();
		await rm(root, { recursive: true });
	});

	test("there are as many calls as there were", () => {
		expect(data.runs).toHaveLength(85);
		expect(data.buildOrder).toHaveLength(16);
		expect(data.buildOrder.flatMap(({ runs }) => runs)).toHaveLength(41);
	});

	for (const { name, args, error, why, stdout } of data.runs) {
		test(name!, async () => {
			const given = args.map((argument) => argument.replaceAll("{root}", root).replaceAll("{url}", url));
			expect(await outcome(call(given, root))).toEqual(error ? { code: codeOf(why!) } : stdout);
		});
	}

	for (const { name, library, git, runs } of data.buildOrder) {
		for (const { args, error, stdout } of runs) {
			test(`${name}: ${args.join(" ")}`, async () => {
				const folder = path.join(root, "build-order", name);
				const commit = "0123456789abcdef0123456789abcdef01234567";
				const fill = (text: string) =>
					text.replaceAll("{git}", "https://git.example.com/x.git").replaceAll("{commit}", commit);
				await layOut(
					path.join(folder, "library"),
					Object.fromEntries(Object.entries(library).map(([file, text]) => [file, fill(text)])),
				);
				const froms: BuildOrderOptions["froms"] = (entry, arch) => {
					const { Directory, File, Builder } = forArchitecture(entry, arch);
					if (Builder === "oci-import") return Promise.resolve([]);
					const dockerfile = git[path.posix.join(Directory, File)];
					if (dockerfile === undefined) throw new BrewlineError("git", `there is no ${File} in ${Directory}`);
					const { platform } = dockerProgram.architectures[arch]!;
					return Promise.resolve(scanDockerfile(dockerfile, { platform }).froms);
				};
				expect(await outcome(call(args, folder, froms))).toEqual(
					error ? { code: name === "no-dockerfile" ? "git" : "cycle" } : fill(stdout),
				);
			});
		}
	}
});
