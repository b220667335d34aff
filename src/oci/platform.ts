import { BrewlineError } from "../errors.ts";
import { printable } from "../io/printable.ts";
import type { Platform } from "./types.ts";

const armVariants: ReadonlySet<string> = new Set(["5", "6", "7", "8"]);

/**
 * A platform read from outside (an index, a config) with the usual aliases undone (spec/README.md, Architectures),
 * before it is compared. Keys in Go's order; empty ones are left out.
 */
export function normalizeOutsidePlatform(platform: Platform): Platform {
	let os = platform.os.toLowerCase();
	let architecture = platform.architecture.toLowerCase();
	let variant = (platform.variant ?? "").toLowerCase();
	if (os === "macos") {
		os = "darwin";
	}
	switch (architecture) {
		case "x86_64":
		case "x86-64":
			architecture = "amd64";
			break;
		case "i386":
			architecture = "386";
			variant = "";
			break;
		case "aarch64":
			architecture = "arm64";
			break;
		case "armhf":
			architecture = "arm";
			variant = "v7";
			break;
		case "armel":
			architecture = "arm";
			variant = "v6";
			break;
		default:
	}
	if (architecture === "amd64" && variant === "v1") {
		variant = "";
	} else if (architecture === "arm") {
		variant = variant === "" ? "v7" : armVariants.has(variant) ? `v${variant}` : variant;
	} else if (architecture === "arm64" && (variant === "" || variant === "8")) {
		variant = "v8";
	}
	const { "os.version": version, "os.features": features } = platform;
	return {
		architecture,
		os,
		...(version === undefined || version === "" ? {} : { "os.version": version }),
		...(features === undefined || features.length === 0 ? {} : { "os.features": features }),
		...(variant === "" ? {} : { variant }),
	};
}

/** `OS/ARCHITECTURE[/VARIANT]`, as people write it; nothing is normalised. Throws `usage`. */
export function parsePlatform(text: string): Platform {
	const match = /^([A-Za-z0-9_.-]+)\/([A-Za-z0-9_.-]+)(?:\/([A-Za-z0-9_.-]+))?$/.exec(text);
	if (match === null) {
		throw new BrewlineError("usage", `"${printable(text, 100)}" is not a platform`, {
			hint: "A platform is OS/ARCHITECTURE or OS/ARCHITECTURE/VARIANT: linux/amd64, linux/arm/v7.",
		});
	}
	const [, os = "", architecture = "", variant] = match;
	return { os, architecture, ...(variant === undefined ? {} : { variant }) };
}

/** `linux/arm/v7`. */
export function platformString(platform: Platform): string {
	const { os, architecture, variant } = platform;
	return variant === undefined || variant === "" ? `${os}/${architecture}` : `${os}/${architecture}/${variant}`;
}

/** Whether os, architecture and variant are equal once aliases are undone. */
export function samePlatform(a: Platform, b: Platform): boolean {
	return platformString(normalizeOutsidePlatform(a)) === platformString(normalizeOutsidePlatform(b));
}

/** The name of the architecture that this platform, read from outside, belongs to; undefined where it is none of ours. */
export function architectureOf(
	platform: Platform,
	architectures: Readonly<Record<string, { readonly platform: Platform }>>,
): string | undefined {
	const wanted = platformString(normalizeOutsidePlatform(platform));
	return Object.keys(architectures).find(
		(name) => platformString(normalizeOutsidePlatform(architectures[name]!.platform)) === wanted,
	);
}
