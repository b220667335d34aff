import type { ImageConfig, Variables } from "../config/index.ts";
import { takenNames } from "../config/names.ts";
import { orderedEntries, type JsonValue } from "../json/index.ts";

/** Variables that an inferred rule may use; those that none does are left out in the end. */
export interface Candidates {
	readonly versionVars: Variables;
	readonly vars: Variables;
	/** Of `vars`: the ones whose values stand for an axis' default. */
	readonly defaults: readonly string[];
}

/** The suites that Debian's images are named after; others are named by themselves. */
const suites = /^(?:forky|trixie|bookworm|bullseye|buster|stretch|sid|unstable|stable|oldstable)$/;

/**
 * What a repository may call its default variant, the Alpine one and the like; what its data has of each version; and of which
 * suite or Alpine its parents are.
 */
export function candidatesOf(
	config: Pick<ImageConfig, "matrix" | "split" | "directory">,
	axes: ReadonlyMap<string, readonly string[]>,
	data: Iterable<JsonValue | undefined>,
): Candidates {
	const taken = new Set<string>([...takenNames, ...axes.keys()]);
	const free = (name: string): string => {
		let chosen = name;
		for (let number = 2; taken.has(chosen); number++) chosen = `${name}${number}`;
		taken.add(chosen);
		return chosen;
	};
	const versionVars: Record<string, Variables[string]> = {};
	for (const [key, path] of scalarsIn(data)) versionVars[free(key)] = { path: [...path] };
	versionVars[free("minor")] = { value: "{full}", capture: "^([0-9]+[.][0-9]+)(?=[.-]|$)" };
	const vars: Record<string, Variables[string]> = {};
	const defaults: string[] = [];
	const add = (name: string, variable: Variables[string]): string => {
		const chosen = free(name);
		vars[chosen] = variable;
		defaults.push(chosen);
		return chosen;
	};
	for (const [axis, values] of axes) {
		const groups = groupsOf(config.split?.[axis]);
		// Names that no release changes need no variable, and what is taken apart has those of its parts.
		if (values.length < 2 || isPartOf(axis, config.split) || !values.some(isOfToday)) continue;
		const parts = groups.filter((group) => !isWhole(group));
		const names = parts.length > 0 ? parts : [axis];
		for (const name of names.filter((each) => (axes.get(each) ?? []).some(isOfToday))) {
			for (const [called, variable] of defaultsOf(name, axes.get(name) ?? [])) {
				const chosen = add(called, variable);
				if (name !== axis)
					add(`${chosen}Path`, { axis, first: name === groups.at(-1) ? `*/{${chosen}}` : `{${chosen}}/*` });
			}
		}
	}
	const windows = [...axes].find(([, values]) => values.some((value) => /(?:servercore|nanoserver)-/.test(value)));
	if (windows !== undefined)
		vars[free("release")] = { value: `{${windows[0]}}`, capture: "(?:servercore|nanoserver)-(.+)$" };
	vars[free("fromTag")] = { from: "{directory}/Dockerfile", capture: ":([^-@]+)" };
	// An image that is built from another one of the repository has its suite from that one's.
	for (const value of (axes.size === 1 ? [...axes.values()][0]! : []).slice(0, 8)) {
		if (/^[a-z]+(?:-[a-z]+)*$/.test(value)) {
			const name = value.split("-").map(capitalised).join("");
			vars[free(`${name}Base`)] = { from: `{version}/${value}/Dockerfile`, capture: ":([^-@]+)" };
		}
	}
	return { versionVars, vars, defaults };
}

/** The first of each kind: `alpine*`, `slim-*`, and of what is of none. */
function defaultsOf(axis: string, values: readonly string[]): readonly (readonly [string, Variables[string]])[] {
	const words = new Map<string, string>();
	for (const value of values) {
		const found = /^([a-z]+)(-|\/|(?=[0-9]))/.exec(value);
		if (found !== null) words.set(found[1]!, `${found[1]}${found[2]}*`);
	}
	const globs = [...new Set(words.values())];
	const found = [...words].map(([word, glob]) => [word, { axis, first: glob }] as const);
	const others = values.filter((value) => !globs.some((glob) => value.startsWith(glob.slice(0, -1))));
	if (others.length === 0) return found;
	const name = others.every((value) => suites.test(value)) ? "debian" : "usual";
	return [[name, { axis, first: "*", ...(globs.length === 0 ? {} : { except: globs }) }], ...found];
}

/** Whether a value is another one with some later release. */
export function isOfToday(value: string): boolean {
	return /[0-9]/.test(value) || value.split(/[/-]/).some((part) => suites.test(part));
}

/** Suffixes that name a release of today in plain words: somebody has to change them with the next one. */
export function suffixesOfToday({
	tags,
	sharedTags = [],
}: Pick<ImageConfig, "tags" | "sharedTags">): readonly string[] {
	const suffixes = [...tags, ...sharedTags].map((rule) => (typeof rule === "string" ? rule : rule.suffix));
	return [...new Set(suffixes.filter((suffix) => isOfToday(suffix.replaceAll(/\{\w+\}/g, ""))))];
}

function groupsOf(split: string | undefined): readonly string[] {
	return [...(split ?? "").matchAll(/\?<(\w+)>/g)].map(([, name]) => name!);
}

function isPartOf(name: string, split: ImageConfig["split"]): boolean {
	return Object.values(split ?? {}).some((source) => groupsOf(source).includes(name));
}

/** A folder before some variants says less than the variant as a whole. */
function isWhole(group: string): boolean {
	return group === "dir" || group === "variant";
}

const isPlain = /^[\w.+-]{0,40}$/;
const isDigest = /^[0-9a-f]{32,}$/;

/** Texts in the data that may be part of a tag, by a name for them. */
function scalarsIn(data: Iterable<JsonValue | undefined>): ReadonlyMap<string, readonly string[]> {
	const found = new Map<string, readonly string[]>();
	const look = (value: JsonValue | undefined, path: readonly string[]): void => {
		if (typeof value === "string" && path.length > 0) {
			if (!isPlain.test(value) || isDigest.test(value) || found.size >= 40) return;
			const key = path
				.flatMap((part) => part.split("-"))
				.map(capitalised)
				.join("");
			if (/^[A-Za-z][A-Za-z0-9]*$/.test(key) && key !== "version") found.set(key, path);
		} else if (typeof value === "object" && value !== null && !Array.isArray(value) && path.length < 2) {
			for (const [key, below] of orderedEntries(value as Readonly<Record<string, JsonValue>>))
				look(below, [...path, key]);
		}
	};
	for (const value of data) look(value, []);
	return found;
}

function capitalised(part: string, place: number): string {
	const word = part.replaceAll(/[^A-Za-z0-9]/g, "");
	return place === 0 ? word : word.charAt(0).toUpperCase() + word.slice(1);
}

/** Leaves out the variables that nothing in the configuration uses. */
export function withoutUnused(config: ImageConfig): ImageConfig {
	const { versionVars = {}, vars = {}, ...rest } = config;
	const used = new Set<string>();
	const use = (value: unknown): void => {
		if (typeof value === "string") for (const [, name] of value.matchAll(/\{(\w+)\}/g)) mention(name!);
		else if (Array.isArray(value)) for (const item of value) use(item);
		else if (typeof value === "object" && value !== null) {
			for (const [key, below] of Object.entries(value)) {
				// The names that a condition asks for are its keys.
				if (key === "if" || key === "not") for (const name of Object.keys(below as object)) mention(name);
				use(below);
			}
		}
	};
	const mention = (name: string): void => {
		if (used.has(name)) return;
		used.add(name);
		use(vars[name] ?? versionVars[name]);
	};
	use(rest);
	const kept = (all: Variables): Variables =>
		Object.fromEntries(Object.entries(all).filter(([name]) => used.has(name)));
	const left = { versionVars: kept(versionVars), vars: kept(vars) };
	return renamed({
		...rest,
		...(Object.keys(left.versionVars).length === 0 ? {} : { versionVars: left.versionVars }),
		...(Object.keys(left.vars).length === 0 ? {} : { vars: left.vars }),
	});
}

/** A name got a number because another one had it that is not used after all. */
function renamed(config: ImageConfig): ImageConfig {
	const names = [...Object.keys(config.vars ?? {}), ...Object.keys(config.versionVars ?? {})];
	let text = JSON.stringify(config);
	for (const name of names) {
		const plain = name.replace(/[2-9]$/, "");
		if (plain === name || new RegExp(`["{]${plain}["}]`).test(text)) continue;
		text = text.replaceAll(`{${name}}`, `{${plain}}`).replaceAll(`"${name}":`, `"${plain}":`);
	}
	return JSON.parse(text) as ImageConfig;
}
