import { normalizeOutsidePlatform, samePlatform, type Platform } from "../oci/index.ts";

/**
 * Whether a machine runs a platform natively: its own one, an older variant of it, or one that the configuration says
 * it runs (`via`). Everything else is emulated (docs/design.md, "An architecture is not a runner").
 */
export function isNative(machine: Platform, target: Platform, via: Platform | null): boolean {
	return covers(machine, target) || (via !== null && covers(machine, via));
}

function covers(machine: Platform, target: Platform): boolean {
	if (samePlatform(machine, target)) {
		return true;
	}
	const own = normalizeOutsidePlatform(machine);
	const other = normalizeOutsidePlatform(target);
	return (
		own.os === other.os &&
		own.architecture === other.architecture &&
		// `v8` runs `v6`; no variant is the oldest.
		(own.variant ?? "").localeCompare(other.variant ?? "", "en", { numeric: true }) > 0
	);
}
