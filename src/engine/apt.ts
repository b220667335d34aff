import { readdir, readFile } from "node:fs/promises";
import path from "node:path";

/** One entry of the machine's own apt sources, as far as another release of the same mirror needs it. */
export interface AptSource {
	readonly uris: readonly string[];
	readonly suites: readonly string[];
	readonly components: readonly string[];
	/** `Signed-By` as it stands there: files, fingerprints, or a key over several lines. */
	readonly signedBy?: string;
}

/** Reads one-line sources (`sources.list`). Lines that are not understood name no source. */
function parseOneLineSources(text: string): AptSource[] {
	const sources: AptSource[] = [];
	for (const line of text.split("\n")) {
		const match = /^\s*deb\s+(?:\[([^\]]*)\]\s+)?(\S+)\s+(\S+)((?:\s+[^\s#]+)*)\s*(?:#.*)?$/.exec(line);
		if (match === null) continue;
		const options = new Map(
			(match[1] ?? "")
				.trim()
				.split(/\s+/)
				.map((option) => {
					const [key = "", ...value] = option.split("=");
					return [key.toLowerCase(), value.join("=")] as const;
				}),
		);
		const signedBy = options.get("signed-by")?.replaceAll(",", " ");
		sources.push({
			uris: [match[2]!],
			suites: [match[3]!],
			components: words(match[4]),
			...(signedBy === undefined ? {} : { signedBy }),
		});
	}
	return sources;
}

/** Reads deb822 sources (`*.sources`). Stanzas that are disabled, or only for source packages, name no source. */
function parseDeb822Sources(text: string): AptSource[] {
	const sources: AptSource[] = [];
	for (const stanza of text.replaceAll("\r\n", "\n").split(/\n[ \t]*\n/)) {
		const fields = new Map<string, string>();
		let field = "";
		for (const line of stanza.split("\n")) {
			if (line.startsWith("#") || line.trim() === "") continue;
			const start = /^([!-9;-~]+):(.*)$/.exec(line);
			if (start !== null) {
				field = start[1]!.toLowerCase();
				fields.set(field, start[2]!.trim());
			} else if (field !== "") fields.set(field, `${fields.get(field)}\n${line}`);
		}
		if (/^(no|false|without|off|disable|0)$/i.test(fields.get("enabled") ?? "yes")) continue;
		if (!words(fields.get("types")).includes("deb")) continue;
		const signedBy = fields.get("signed-by");
		sources.push({
			uris: words(fields.get("uris")),
			suites: words(fields.get("suites")),
			components: words(fields.get("components")),
			...(signedBy === undefined ? {} : { signedBy }),
		});
	}
	return sources;
}

function words(text = ""): string[] {
	return text.split(/\s+/).filter((word) => word !== "");
}

/** All sources of the machine, in the order in which apt reads them. */
export async function readAptSources(folder = "/etc/apt"): Promise<AptSource[]> {
	const sources = parseOneLineSources(await readFile(path.join(folder, "sources.list"), "utf8").catch(() => ""));
	const parts = path.join(folder, "sources.list.d");
	const names = await readdir(parts).catch(() => []);
	for (const name of names.sort((a, b) => (a < b ? -1 : 1))) {
		if (!/\.(list|sources)$/.test(name)) continue;
		const text = await readFile(path.join(parts, name), "utf8").catch(() => "");
		sources.push(...(name.endsWith(".list") ? parseOneLineSources(text) : parseDeb822Sources(text)));
	}
	return sources;
}

/** The mirrors of the release itself: neither its updates nor other vendors' repositories. */
export function mirrorsOf(sources: readonly AptSource[], codename: string): AptSource[] {
	return sources.filter(
		(source) => source.suites.includes(codename) && source.components.includes("main") && source.uris.length > 0,
	);
}

/** Sources for releases of the same mirrors, each for the architectures given. */
export function writeSources(
	mirrors: readonly AptSource[],
	releases: readonly { readonly suite: string; readonly architectures: readonly string[] }[],
): string {
	return mirrors
		.flatMap((mirror) =>
			releases.map(({ suite, architectures }) =>
				[
					"Types: deb",
					`URIs: ${mirror.uris.join(" ")}`,
					`Suites: ${suite}`,
					"Components: main",
					`Architectures: ${architectures.join(" ")}`,
					...(mirror.signedBy === undefined ? [] : [`Signed-By: ${mirror.signedBy}`]),
					"",
				].join("\n"),
			),
		)
		.join("\n");
}

/**
 * An apt configuration with a state of its own. Of the machine's (`apt-config dump`) it keeps how to reach the mirrors
 * (proxies, certificates, retries), and none of the commands that it runs after an update: they are for the machine's own state.
 */
export function writeAptConfig(dump: string, folder: string, architectures: readonly string[]): string {
	const transport = dump
		.split("\n")
		.filter((line) => /^Acquire::/i.test(line) && !/^Acquire::(IndexTargets|Changelogs|Languages)\b/i.test(line));
	const own: Record<string, string> = {
		"Dir::Etc::Main": "/dev/null",
		"Dir::Etc::Parts": "/dev/null",
		"Dir::Etc::SourceList": "/dev/null",
		"Dir::Etc::SourceParts": path.join(folder, "sources"),
		"Dir::Etc::Preferences": "/dev/null",
		"Dir::Etc::PreferencesParts": "/dev/null",
		"Dir::State::Lists": path.join(folder, "lists"),
		"Dir::Cache": path.join(folder, "cache"),
		"APT::Sandbox::User": "root",
		"APT::Architectures": architectures.join(","),
		"Acquire::Languages": "none",
		"Acquire::IndexTargets::deb::DEP-11::DefaultEnabled": "false",
		"Acquire::Retries": "3",
	};
	return [...transport, ...Object.entries(own).map(([key, value]) => `${key} "${value}";`), ""].join("\n");
}
