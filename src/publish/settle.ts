import type { Lookup } from "../builds/index.ts";
import { BrewlineError } from "../errors.ts";
import { parseReference, printReference, repositoryOf, underNamespace, withDigest } from "../oci/index.ts";
import { decidedText, rollbackOf, standstill, undecided, type Standstill } from "./decisions.ts";
import type { Joined } from "./join.ts";
import { fingerprint, sampleOf } from "./ledger.ts";
import { platformsOf, type Part } from "./parts.ts";
import { asError } from "./push.ts";
import type { PublishOptions, PublishedTag } from "./types.ts";

interface SettleContext {
	readonly lookup: Lookup;
	readonly head: PublishOptions["client"]["headManifest"];
	readonly options: PublishOptions;
	/** Unix milliseconds. */
	readonly now: number;
}

/**
 * Those tags for which what is staged does not matter: people decided about them, or they are made from what they were made
 * from when they were published. Of the last the registry is asked for a sample; one that holds something else by now is
 * not settled.
 */
export async function settle(
	tags: ReadonlyMap<string, readonly Part[]>,
	context: SettleContext,
): Promise<ReadonlyMap<string, Joined>> {
	const { decisions = undecided, ledger = {}, audit = false } = context.options;
	const settled = new Map<string, Joined>();
	const decided: Promise<void>[] = [];
	const same: string[] = [];
	for (const [tag, parts] of tags) {
		const still = standstill(tag, decisions);
		const back = rollbackOf(tag, decisions);
		if (still !== undefined || back !== undefined) {
			const joined = still === undefined ? takenBack(tag, back!, context) : standing(tag, still, context);
			decided.push(joined.then((one) => void settled.set(tag, one)));
		} else if (!audit && Object.hasOwn(ledger, tag)) {
			const { from } = ledger[tag]!;
			const ref = underNamespace(context.options.program.registries.namespace, tag);
			if (from !== undefined && from === fingerprint(ref, parts, context.options.program.annotations)) same.push(tag);
		}
	}
	await Promise.all(decided);
	const sample = sampleOf(same, ledger, context.now);
	await Promise.all(
		same.map(async (tag) => {
			const joined = sample.has(tag) ? await asked(tag, context) : remembered(tag, context);
			if (joined !== undefined) settled.set(tag, joined);
		}),
	);
	return settled;
}

function refOf(tag: string, { options }: SettleContext): { readonly ref: string; readonly reference: string } {
	const ref = underNamespace(options.program.registries.namespace, tag);
	return { ref, reference: printReference(parseReference(ref)) };
}

function remembered(tag: string, context: SettleContext): Joined {
	const { ref, reference } = refOf(tag, context);
	const { digest, platforms } = context.options.ledger![tag]!;
	return { ref, tag: { reference, digest, platforms, change: "unchanged", notes: [], remembered: true } };
}

/** What the registry says of a tag that should hold what it held; undefined: it does not, or cannot be asked. */
async function asked(tag: string, context: SettleContext): Promise<Joined | undefined> {
	const { ref, reference } = refOf(tag, context);
	const { digest, platforms } = context.options.ledger![tag]!;
	const found = await context.head(parseReference(ref)).catch(() => undefined);
	return found?.digest === digest
		? { ref, tag: { reference, digest, platforms, change: "unchanged", notes: [] } }
		: undefined;
}

/** A tag that is not touched, as it is. With everything stopped, no registry is asked. */
async function standing(tag: string, still: Standstill, context: SettleContext): Promise<Joined> {
	const { ref, reference } = refOf(tag, context);
	const { kind } = still;
	const known = context.options.ledger?.[tag];
	const notes = [`${kind === "stop" ? "publishing is stopped" : "held"} ${decidedText(still)}`];
	const result = { reference, change: "held" as const, notes, decision: kind };
	if (kind === "stop")
		return { ref, tag: { ...result, digest: known?.digest ?? null, platforms: known?.platforms ?? [] } };
	try {
		const found = await context.head(parseReference(ref));
		const index = found && (await context.lookup(ref));
		return { ref, tag: { ...result, digest: found?.digest ?? null, platforms: platformsOf(index?.manifests ?? []) } };
	} catch (error) {
		return failed(ref, reference, notes, error);
	}
}

/** A tag that is to hold what it once held: that is still in the repository, or the tag fails. */
async function takenBack(
	tag: string,
	decided: NonNullable<ReturnType<typeof rollbackOf>>,
	context: SettleContext,
): Promise<Joined> {
	const { ref, reference } = refOf(tag, context);
	const { digest } = decided;
	const notes = [`taken back ${decidedText(decided)}`];
	try {
		const target = parseReference(ref);
		const at = printReference(withDigest(repositoryOf(target), digest));
		const [found, index] = await Promise.all([context.head(target), context.lookup(at)]);
		if (index === undefined) {
			throw new BrewlineError(
				"registry",
				`${digest}, to which it was taken back ${decidedText(decided)}, is not there`,
				{
					hint: "choose another digest that it held, or take the decision back: brewline release",
				},
			);
		}
		const result: PublishedTag = {
			reference,
			digest,
			platforms: platformsOf(index.manifests),
			change: found === undefined ? "created" : found.digest === digest ? "unchanged" : "updated",
			notes,
			decision: "rollback",
		};
		if (found?.digest === digest) return { ref, tag: result };
		return { ref, tag: result, object: { lookup: { "": at } }, seen: found?.digest ?? null };
	} catch (error) {
		return failed(ref, reference, notes, error);
	}
}

function failed(ref: string, reference: string, notes: readonly string[], cause: unknown): Joined {
	const error = asError(cause);
	return {
		ref,
		tag: { reference, digest: null, platforms: [], change: "failed", notes: [...notes, error.message], error },
	};
}
