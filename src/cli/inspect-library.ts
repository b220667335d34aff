import { architectureOptions } from "../config/index.ts";
import {
	cat,
	encodeText,
	type EntryFilter,
	forArchitecture,
	list,
	loadLibrary,
	type MergedEntry,
	type ReferenceOptions,
	requireArchitecture,
	resolveReference,
	resolveReferences,
	type Selection,
} from "../definition/index.ts";
import { tabJson } from "../json/index.ts";
import { warnOf } from "../pipeline/index.ts";
import type { Context } from "./context.ts";

interface ListFlags {
	readonly uniq?: boolean;
	readonly repos?: boolean;
	readonly archFilter?: boolean;
	readonly arch?: string;
	readonly applyConstraints?: boolean;
	readonly constraint?: string[];
	readonly exclusiveConstraints?: boolean;
	readonly buildOrder?: boolean;
	readonly namespace?: string;
}

/** A definition printed canonically; with a tag, its entries in full. */
export async function inspectDefinition(context: Context, _options: object, args: string[]): Promise<number> {
	const options = referenceOptions(context);
	// One after another, and no more is kept than what is printed.
	const each = async <Result>(print: (selection: Selection) => Result): Promise<Result[]> => {
		const results = new Map<string, Result>();
		for (const reference of new Set(args)) {
			const selection = await resolveReference(reference, options);
			warnOf([selection], context.io);
			results.set(reference, print(selection));
		}
		return args.map((reference) => results.get(reference)!);
	};
	context.print(
		context.json ? tabJson(await each(dataOf)) : encodeText((await each((selection) => cat([selection]))).join("\n\n")),
	);
	return 0;
}

/** All full tags that references select. */
export async function inspectList(context: Context, flags: ListFlags, args: string[]): Promise<number> {
	const { program } = context;
	const options = referenceOptions(context);
	const selections =
		args.length === 0 ? await loadLibrary(program.library, options) : await resolveReferences(args, options);
	warnOf(selections, context.io);
	const architecture = flags.arch ?? program.defaultArchitecture;
	requireArchitecture(architecture, options.architectures);
	const filter: EntryFilter = {
		architecture,
		archFilter: flags.archFilter ?? false,
		applyConstraints: flags.applyConstraints ?? false,
		constraints: flags.constraint ?? [],
		exclusiveConstraints: flags.exclusiveConstraints ?? false,
	};
	const namespace = flags.namespace === undefined ? {} : { namespace: flags.namespace };
	const ordered =
		flags.buildOrder === true
			? await (await import("./build-order.ts")).inBuildOrder(context, selections, { ...namespace, filter })
			: selections;
	const tags = list(ordered, { ...namespace, uniq: flags.uniq ?? false, repos: flags.repos ?? false, filter });
	context.print(context.json ? tabJson(tags) : tags.map((tag) => `${tag}\n`).join(""));
	return 0;
}

function referenceOptions({ io, program }: Context): ReferenceOptions {
	return {
		libraryDirectory: program.library,
		...architectureOptions(program),
		http: io.http,
		signal: io.signal,
	};
}

function dataOf({ reference, name, tag, entries }: Selection): object {
	return { reference, name, tag, entries: entries.map(asData) };
}

/** What a definition says of an entry, without where it says so. */
function asData(entry: MergedEntry): object {
	const { parts: _parts, at: _at, positions: _positions, ...fields } = entry;
	return {
		...fields,
		byArch: Object.fromEntries(entry.Architectures.map((arch) => [arch, forArchitecture(entry, arch)])),
	};
}
