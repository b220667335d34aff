import { isAttestation, naturalAscending, platformString, type Descriptor } from "../oci/index.ts";

const versionAnnotation = "org.opencontainers.image.version";

/**
 * How a tag would go back to an older version, by what its images say of themselves, platform by platform; undefined: it
 * would not, as far as that can be said. Only versions of one form are compared: `8.3.2-fpm` and `8.3.10-fpm`, but neither
 * `8.3-rc1` and `8.3` nor `8.3-bookworm` and `8.4-trixie`.
 */
export function goesBack(before: readonly Descriptor[], next: readonly Descriptor[]): string | undefined {
	const was = versions(before);
	for (const [platform, version] of versions(next)) {
		const old = was.get(platform);
		if (old === undefined || version === undefined) continue;
		if (formOf(old) === formOf(version) && naturalAscending(version, old) < 0) {
			return `from ${old} to ${version} (${platform})`;
		}
	}
	return undefined;
}

/** By platform; undefined where it has several images, of which none can be told to follow which. */
function versions(manifests: readonly Descriptor[]): Map<string, string | undefined> {
	const found = new Map<string, string | undefined>();
	for (const manifest of manifests) {
		if (isAttestation(manifest) || manifest.platform === undefined) continue;
		const platform = platformString(manifest.platform);
		found.set(platform, found.has(platform) ? undefined : manifest.annotations?.[versionAnnotation]);
	}
	return found;
}

/** A version without its numbers; one without any has a form of its own. */
function formOf(version: string): string {
	return version.replace(/\d+/g, "#");
}
