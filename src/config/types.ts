import type { Platform } from "../oci/types.ts";
import type { ImageConfig, ScriptedImage } from "./images.ts";

/** How one architecture is named, and where it is built. An architecture is not a runner (docs/design.md). */
export interface Architecture {
	readonly platform: Platform;
	/** What stands before `NAME:TAG` in this architecture's own tags; may begin with a registry host. Null: it has none. */
	readonly namespace: string | null;
	/** The label of the runner that serves it; null: it is known, and nothing here serves it. */
	readonly runner: string | null;
	/** A remote BuildKit node, `tcp://HOST:PORT`. */
	readonly builder?: string;
	/** Whether it may be built under emulation; results then say so. */
	readonly emulate?: boolean;
	/** An architecture whose machine runs this one natively. */
	readonly via?: string;
}

/**
 * What holds for some images on some architectures; of several rules that match, each setting is taken from the last one
 * that has it. `policyOf` says what comes of them.
 */
export interface PolicyRule {
	/** `NAME` or `NAME:TAG`, with `*` for any run of characters; default: all. */
	readonly images?: readonly string[];
	/** Default: all. */
	readonly architectures?: readonly string[];
	/** Whether tags wait for it: always, until the deadline, never. */
	readonly platforms?: "required" | "optional" | "best-effort";
	/** `90m`, `48h`, `7d`, since it was first seen to be missing; only with `optional`. */
	readonly deadline?: string;
	/** Minutes. */
	readonly timeLimit?: number;
	readonly runner?: string | null;
	readonly builder?: string;
	readonly emulate?: boolean;
	readonly via?: string;
	/** What a digest must have before it is published. */
	readonly require?: readonly "test"[];
}

/** Both blocks of a `brewline.yaml`. */
export interface Configuration {
	readonly program: Program;
	/** What an image repository has; empty in the repository of a library. */
	readonly images: readonly ImageConfig[];
	/** Images whose definitions scripts of the repository print. */
	readonly scripts: readonly ScriptedImage[];
}

/** What definitions are checked against (docs/checks.md); the lists are the program's own policy, each item with its reason. */
export interface Checks {
	/** The address of what explains a rule: `{rule}` is its id. */
	readonly documentation: string;
	/** Bases that are not served on an architecture, whatever their definition says. */
	readonly unsupported: readonly UnsupportedBase[];
	/** Architectures that several entries under one shared tag may have. */
	readonly repeatable: readonly { readonly architecture: string; readonly reason: string }[];
	/** What bases from outside demand of an entry's constraints; of several that match, the first. */
	readonly demands: readonly DemandingBase[];
	/** Files that are not to be changed in a history any more once they are there: binary, and of that size afterwards. */
	readonly archives: {
		/** What is somewhere in their paths. */
		readonly inPath: string;
		/** Bytes. */
		readonly size: number;
		readonly reason: string;
	};
	readonly suppress: readonly Suppression[];
}

export interface UnsupportedBase {
	/** An image, without a tag. */
	readonly from: string;
	readonly architectures: readonly string[];
	/** Patterns of tags: where the base's entry has one of them, it is served. */
	readonly unless: readonly string[];
	readonly reason: string;
}

export interface DemandingBase {
	/** A pattern of images, without a tag. */
	readonly from: string;
	/** The constraint, followed by `-TAG` where the tag is not `latest`. Null: nobody knows, which is an error. */
	readonly constraint: string | null;
	readonly reason: string;
}

/** Findings that are not shown. */
export interface Suppression {
	readonly rule: string;
	/** `NAME` or `NAME:TAG`, with `*` for any run of characters; default: all. */
	readonly images?: readonly string[];
	readonly reason: string;
}

/** Everything a program can name differently from Docker's; `dockerProgram` has Docker's values. */
export interface Program {
	readonly name: string;
	/** The folder of the definitions, and the one of the external pins; absolute, or relative to the working folder. */
	readonly library: string;
	readonly externalPins: string;
	/** By bashbrew architecture, in the order in which they are listed to people. */
	readonly architectures: Readonly<Record<string, Architecture>>;
	/** The architecture of an entry that names none. */
	readonly defaultArchitecture: string;
	readonly registries: {
		/**
		 * The staging repository of each build: `BUILD` is replaced by its id, `ARCH` by its architecture.
		 * spec/builds.md: `oisupport/staging-ARCH:BUILD`.
		 */
		readonly staging: string;
		/** What stands before `NAME:TAG` where it is published; may begin with a registry host. Docker's: `library`. */
		readonly namespace: string;
		/** By canonical host: the origin (`http` or `https`) that reads of it go to. */
		readonly mirrors: Readonly<Record<string, string>>;
		/** Hosts to be spoken to in plain HTTP, besides loopback addresses and `localhost:PORT`. */
		readonly plainHttp: readonly string[];
		/** By canonical host: requests that it takes in any minute; null: as many as there are. */
		readonly rates: Readonly<Record<string, number | null>>;
		/** By canonical host: an origin elsewhere that name and password are sent to for a token. */
		readonly tokenServers: Readonly<Record<string, string>>;
	};
	readonly annotations: {
		/** Carries the bashbrew architecture of a manifest. */
		readonly architecture: string;
		/** The page of an image: `{name}` is the image. With and without an organisation. */
		readonly pageOfOfficial: string;
		readonly pageOfOrganisation: string;
	};
	readonly buildkit: {
		/** The value of `BUILDKIT_SYNTAX`; null: the builder's own frontend. */
		readonly syntax: string | null;
		/** The image of a builder that has to be made, pinned by digest. */
		readonly image: string;
		readonly provenanceBuilderId: string;
	};
	readonly sbom: {
		/** Generator image with its arguments; null: no SBOM is made. */
		readonly generator: string | null;
		/** Names of the images that are known to work. */
		readonly repositories: readonly string[];
		readonly architectures: readonly string[];
	};
	/** Which attestations a layout may hold: `legacy` is the old system's set. */
	readonly attestations: "current" | "legacy";
	readonly git: {
		/** Prefix to prefix, for fetching only; the longest match wins. */
		readonly rewrite: Readonly<Record<string, string>>;
		/** For private sources, by prefix of the address that is fetched from. Secrets stand in variables or files, never here. */
		readonly credentials: Readonly<
			Record<
				string,
				| { readonly tokenVariable: string; readonly username?: string }
				| { readonly sshKey: string; readonly knownHosts?: string }
			>
		>;
	};
	/** What is remembered between runs (docs/design.md, State). */
	readonly state: {
		/** The git repository whose branch holds it; null: one below the work folder. */
		readonly repository: string | null;
		readonly branch: string;
		/** Who its commits are by. */
		readonly author: { readonly name: string; readonly email: string };
	};
	readonly checks: Checks;
	/** By image and architecture. */
	readonly policies: readonly PolicyRule[];
	/** Minutes after which a build is ended. */
	readonly timeLimit: number;
}
