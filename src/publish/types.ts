import type { Lookup } from "../builds/index.ts";
import type { Program } from "../config/types.ts";
import type { BrewlineError } from "../errors.ts";
import type { JsonObject } from "../json/index.ts";
import type { Index } from "../oci/index.ts";
import type { RegistryClient } from "../registry/types.ts";
import type { TestResult } from "../suite/index.ts";
import type { PublishDecisions } from "./decisions.ts";
import type { Ledger } from "./ledger.ts";
import type { Part } from "./parts.ts";

/** One manifest or blob, and where it is to be (spec/publish.md, Deploy objects). */
export interface DeployObject {
	readonly type: "manifest" | "blob";
	readonly refs: readonly string[];
	/** By digest: the reference to find a child at; under `""`: all others. */
	readonly lookup?: Readonly<Record<string, string>>;
	/** JSON, pushed with tabs; a string: base64 of the raw bytes; missing or null: a copy of what `lookup` has. */
	readonly data?: JsonObject | string | null;
}

/** A deploy object that this program made: an index with the references of its children. */
export interface IndexObject extends DeployObject {
	readonly type: "manifest";
	readonly lookup: Readonly<Record<string, string>>;
	readonly data: Index & JsonObject;
}

/** What became of one tag; the shape of a report's tags. */
export interface PublishedTag {
	readonly reference: string;
	/** What stands under it now (in a dry run: would); null: nothing. */
	readonly digest: string | null;
	/** Without attestations; with the release where Windows has several. */
	readonly platforms: readonly string[];
	/** In a dry run: what would happen. `held`: it was not touched, though something is not as it is defined. */
	readonly change: "created" | "updated" | "unchanged" | "held" | "failed";
	/** What was held back, kept from before, or is missing, and why; empty where all is as it is defined. */
	readonly notes: readonly string[];
	/** The platforms that went because nothing defines them any more; only of what is `updated`. */
	readonly removed?: readonly string[];
	/**
	 * Architectures of which not all is there that is defined, and nothing here builds what lacks: nobody waits for them,
	 * unless a policy requires them. What the tag had for them stays.
	 */
	readonly unserved?: readonly string[];
	/** The decision that made it so; what was decided is no fault of a run. */
	readonly decision?: "stop" | "hold" | "rollback" | "shrink";
	/** The registry was not asked: what it is made from is what it was when it was published. */
	readonly remembered?: true;
	/** Of a joined tag that lacks nothing: the SHA-256 of what it is made from. */
	readonly from?: string;
	/** Only of what failed. */
	readonly error?: BrewlineError;
}

export type Change = PublishedTag["change"];

export interface PublishResult {
	/** The architectures' own tags, image by image, in the order of the sources. */
	readonly archTags: readonly PublishedTag[];
	/** The joined tags, in the order of the sources. */
	readonly tags: readonly PublishedTag[];
	/** Of `tags`. */
	readonly counts: Readonly<Record<Change, number>>;
	/** What changed, or would, as deploy objects of one reference each. */
	readonly changes: readonly DeployObject[];
	/** The results of this run that are about something that is staged. */
	readonly tests: readonly TestResult[];
}

/** What is believed of the test of a digest; `remembered`: by an earlier run. */
export type TestVerdict = Pick<TestResult, "result" | "start" | "log"> &
	Partial<Pick<TestResult, "seconds">> & { readonly remembered?: true };

export interface PublishOptions {
	readonly program: Pick<Program, "architectures" | "policies" | "timeLimit"> & {
		readonly registries: Pick<Program["registries"], "namespace" | "staging">;
		readonly annotations: Pick<Program["annotations"], "architecture">;
	};
	readonly client: RegistryClient;
	/** Reads the registry, in this run and not from a file: `registryLookup` of `builds`. */
	readonly lookup: Lookup;
	/** Report what would change, change nothing. */
	readonly dryRun?: boolean;
	/** References at a time; default 16. */
	readonly concurrency?: number;
	/**
	 * Asked for each architecture of which a tag lacks what is defined now, with those contributions that are not staged; with
	 * none where all are, and its own tag could not be moved. A text says why the tag must not be moved without it;
	 * undefined: it is moved with what it had before for that architecture (spec/publish.md, Joining), or with nothing.
	 * Default: no tag waits.
	 */
	readonly mustWait?: (tag: string, part: Part) => string | undefined;
	/** What people decided; default: nothing. */
	readonly decisions?: PublishDecisions;
	/**
	 * What is decided by now, asked before each image is moved, and again before its joined tags are; the same object as
	 * `decisions` where nothing is new. Default: nothing is.
	 */
	readonly decided?: () => Promise<PublishDecisions | undefined>;
	/**
	 * What earlier runs published: of a tag that is made from the same builds still, and lacked nothing, the registry is not
	 * asked, but for a sample. Default: every tag is looked at.
	 */
	readonly ledger?: Ledger;
	/** Whether every tag is looked at although there is a ledger. Default: no. */
	readonly audit?: boolean;
	/**
	 * Whether artifacts in staging that have a staged image as their `subject`, and stand in no index, come along with it. It
	 * takes a question for each manifest that is moved. Default: yes.
	 */
	readonly referrers?: boolean;
	/** By digest of an image: what its test said. It counts where a policy requires one. Default: nothing was tested. */
	readonly tests?: ReadonlyMap<string, TestVerdict>;
	/** Whether a tag may go back to an older version. Default: no. */
	readonly allowOlder?: boolean;
}
