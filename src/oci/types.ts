/** The OCI image specification's objects, as far as this package reads and writes them. */

export interface Platform {
	readonly os: string;
	readonly architecture: string;
	readonly variant?: string;
	readonly "os.version"?: string;
	readonly "os.features"?: readonly string[];
}

export type Annotations = Readonly<Record<string, string>>;

export interface Descriptor {
	readonly mediaType: string;
	readonly digest: string;
	/** Bytes. */
	readonly size: number;
	readonly urls?: readonly string[];
	readonly annotations?: Annotations;
	/** Base64. */
	readonly data?: string;
	readonly platform?: Platform;
	readonly artifactType?: string;
}

export interface Index {
	readonly schemaVersion: 2;
	readonly mediaType: string;
	readonly artifactType?: string;
	readonly manifests: readonly Descriptor[];
	readonly subject?: Descriptor;
	readonly annotations?: Annotations;
}

export interface Manifest {
	readonly schemaVersion: 2;
	readonly mediaType?: string;
	readonly artifactType?: string;
	readonly config: Descriptor;
	readonly layers: readonly Descriptor[];
	readonly subject?: Descriptor;
	readonly annotations?: Annotations;
}

export const mediaTypes = {
	ociIndex: "application/vnd.oci.image.index.v1+json",
	ociManifest: "application/vnd.oci.image.manifest.v1+json",
	ociConfig: "application/vnd.oci.image.config.v1+json",
	ociEmpty: "application/vnd.oci.empty.v1+json",
	dockerList: "application/vnd.docker.distribution.manifest.list.v2+json",
	dockerManifest: "application/vnd.docker.distribution.manifest.v2+json",
	dockerConfig: "application/vnd.docker.container.image.v1+json",
	inToto: "application/vnd.in-toto+json",
	attestation: "application/vnd.docker.attestation.manifest.v1+json",
} as const;

/** A parsed image reference (spec/publish.md, References). */
export interface Reference {
	/** `docker.io` for Docker Hub under any of its names; otherwise as written. */
	readonly host: string;
	/** With `library/` where the Hub adds it. */
	readonly repository: string;
	readonly tag?: string;
	readonly digest?: string;
}
