/** What one BuildKit can do, as it says itself. */
export interface Builder {
	readonly name: string;
	/** `docker`, `docker-container`, `kubernetes` or `remote`. */
	readonly driver: string;
	/** Whether it writes OCI layouts (`--output type=oci`) and attestations: the classic image store cannot. */
	readonly ociExport: boolean;
	/** Whether the engine behind it keeps images in containerd's store. */
	readonly containerImageStore: boolean;
	/** Whether it sees this machine's loopback addresses; not where it runs in a container, or elsewhere. */
	readonly hostNetwork: boolean;
	/** As BuildKit writes them, the machine's own first: `linux/amd64`, `linux/arm64`, … */
	readonly platforms: readonly string[];
	/** Those among them that an emulator runs. */
	readonly emulated: readonly string[];
	/** Null where it does not know (Debian's build says `v0.0.0+unknown`). */
	readonly buildkitVersion: string | null;
	/** Whether one `--annotation` may be for several levels at once: before buildx 0.16 their list becomes part of the key. */
	readonly annotationLists: boolean;
}

/** Variables to add to those of every `docker` command. */
export type EngineEnv = Readonly<Record<string, string>>;

export interface Engine {
	/** `present`: it was there and is used as it is. `private`: started for us, and ended by `close`. */
	readonly kind: "present" | "private";
	/** One line for people: which engine, which version, whose. */
	readonly description: string;
	readonly env: EngineEnv;
	readonly builder: Builder;
	/** The builder's platforms. */
	readonly platforms: readonly string[];
	/** The file of Debian's `docker-registry`, where it came with the engine. */
	readonly registryBinary?: string;
	/** Static busybox binaries by bashbrew architecture: those of the architectures asked for that could be had. */
	readonly busybox: Readonly<Record<string, string>>;
	/**
	 * Ends what was started and puts the machine back, also after the program was asked to end; says what it put
	 * back, one sentence each. Calling it again gives the same answer.
	 */
	close(): Promise<readonly string[]>;
}

/** Why there is no engine, as half a sentence for people: "this is not Debian". */
export interface Unavailable {
	readonly unavailable: string;
}

export interface EngineOptions {
	/** An ignored folder for what is downloaded (kept) and for the engine's images (deleted at the end). */
	readonly directory: string;
	/** `present` starts nothing, `none` does not even ask. */
	readonly mode: "auto" | "present" | "none";
	/** Bashbrew names: which emulators and static binaries are wanted. */
	readonly architectures: readonly string[];
	/** `HOST:PORT` of registries without TLS; loopback addresses need not be given. */
	readonly insecureRegistries?: readonly string[];
	/** The image of a builder that has to be made (`Program.buildkit.image`); without it none is made. */
	readonly buildkitImage?: string;
	/** Milliseconds to wait for another engine of ours to end; default ten minutes. */
	readonly patience?: number;
}
