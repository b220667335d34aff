/** What rules may look at: an entry, a version or a directory, by its names. */
export type Names = Readonly<Record<string, string>>;

/** All names must match; of a list, one must; what stands under `!name` must not match. */
export type LearntCondition = Readonly<Record<string, string | readonly string[]>>;

export interface Vocabulary {
	/** The names that conditions may ask for, the best ones first. */
	readonly asked: readonly string[];
	/** Names whose values stand for others', as the default variant does: `{debian}` is better than the `trixie` of today. */
	readonly defaults: readonly string[];
	/** Whether a value is one of today's that is another one with the next release: no condition names it. */
	readonly isFleeting: (name: string, value: string) => boolean;
	/** The same of a part of a value. */
	readonly isOfToday: (text: string) => boolean;
}

interface Atom {
	readonly name: string;
	readonly glob: string;
	readonly cost: number;
	/** Which of all rows it holds for. */
	readonly holds: readonly boolean[];
}

/** Conditions that hold for some of the wanted rows each and for none of the others; together for all that are wanted. */
export interface Separation {
	readonly conditions: readonly LearntCondition[];
	readonly cost: number;
	/** How many of the wanted rows no condition was found for. */
	readonly missed: number;
}

const maxConditions = 4;
const maxAtoms = 120;

/** Looks for the plainest conditions that tell the wanted rows from the others. */
export function separate(wanted: readonly Names[], others: readonly Names[], vocabulary: Vocabulary): Separation {
	if (others.length === 0) return { conditions: [{}], cost: 0, missed: 0 };
	const rows = [...wanted, ...others];
	const atoms = atomsOf(wanted, others, vocabulary);
	const conditions: (readonly Atom[])[] = [];
	let open = wanted.map((_, index) => index);
	while (open.length > 0 && conditions.length < maxConditions) {
		const found = best(atoms, open, wanted.length, rows.length);
		if (found === undefined) break;
		conditions.push(found);
		open = open.filter((index) => !found.every(({ holds }) => holds[index]));
	}
	const cost = conditions.flat().reduce((sum, atom) => sum + atom.cost, 0) + 2 * Math.max(0, conditions.length - 1);
	return { conditions: merged(conditions), cost, missed: open.length };
}

/** The conjunction of at most three atoms that holds for the most open rows and for no other, of these the plainest. */
function best(
	atoms: readonly Atom[],
	open: readonly number[],
	wanted: number,
	rows: number,
): readonly Atom[] | undefined {
	let found: { readonly atoms: readonly Atom[]; readonly worth: number } | undefined;
	const others = Array.from({ length: rows - wanted }, (_, index) => wanted + index);
	const consider = (chosen: readonly Atom[], covered: readonly number[], wrong: number): void => {
		if (covered.length === 0 || wrong > 0) return;
		const worth = covered.length * 100 - costOf(chosen);
		if (found === undefined || worth > found.worth) found = { atoms: chosen, worth };
	};
	const extend = (
		chosen: readonly Atom[],
		from: number,
		covered: readonly number[],
		wrong: readonly number[],
	): void => {
		for (let at = from; at < atoms.length; at++) {
			const atom = atoms[at]!;
			if (chosen.some(({ name }) => name === atom.name)) continue;
			const stays = covered.filter((index) => atom.holds[index]);
			const left = wrong.filter((index) => atom.holds[index]);
			// What excludes nothing is no condition.
			if (stays.length === 0 || left.length === wrong.length) continue;
			// Nor is one looked at further that cannot be worth more than what is found.
			if (found !== undefined && stays.length * 100 - costOf([...chosen, atom]) <= found.worth) continue;
			consider([...chosen, atom], stays, left.length);
			if (left.length > 0 && chosen.length < 2) extend([...chosen, atom], at + 1, stays, left);
		}
	};
	extend([], 0, open, others);
	return found?.atoms;
}

function costOf(atoms: readonly Atom[]): number {
	return atoms.reduce((sum, { cost }) => sum + cost, 0);
}

function atomsOf(
	wanted: readonly Names[],
	others: readonly Names[],
	{ asked, defaults, isFleeting, isOfToday }: Vocabulary,
): readonly Atom[] {
	const rows = [...wanted, ...others];
	const found = new Map<string, Atom>();
	const add = (name: string, glob: string, cost: number, matches: (names: Names) => boolean): void => {
		const key = `${name}\n${glob}`;
		const known = found.get(key);
		if (known !== undefined && known.cost <= cost) return;
		found.set(key, { name, glob, cost, holds: rows.map(matches) });
	};
	for (const [place, name] of asked.entries()) {
		// Of two that say the same, the one that was named first.
		const base = place / 100;
		for (const names of wanted) {
			const value = names[name];
			if (value === undefined || /[{}*]/.test(value)) continue;
			if (!isFleeting(name, value)) {
				const plain = value === "" || value === "true" || value === "false";
				add(name, value, base + (plain ? 1 : 3), (row) => row[name] === value);
				for (const glob of globsOf(value)) add(name, glob, base + 2, (row) => matchesGlob(glob, row[name]));
			}
			for (const other of defaults) {
				const part = names[other];
				if (other === name || part === undefined || part === "" || !value.includes(part)) continue;
				if (isOfToday(value.replace(part, ""))) continue;
				const template = value.replace(part, `{${other}}`);
				add(name, template, base + 1.5 + (template.length - other.length) / 20, (row) => {
					const inner = row[other];
					return inner !== undefined && row[name] === template.replace(`{${other}}`, inner);
				});
			}
		}
	}
	for (const name of asked) {
		for (const names of others) {
			const value = names[name];
			if (value === undefined || /[{}*]/.test(value) || isFleeting(name, value) || value === "") continue;
			add(`!${name}`, value, 4, (row) => row[name] !== value);
		}
	}
	return [...found.values()].toSorted((a, b) => a.cost - b.cost).slice(0, maxAtoms);
}

/** `windows/nanoserver-ltsc2025`: `windows/*`, `windows/nanoserver-*`, `*-ltsc2025`. */
function globsOf(value: string): readonly string[] {
	const globs = [...value.matchAll(/[/-]/g)].map(({ index }) => `${value.slice(0, index + 1)}*`);
	const word = /^[a-z]+(?=[0-9])/.exec(value)?.[0];
	if (word !== undefined) globs.push(`${word}*`);
	const last = /[/-][^/-]+$/.exec(value)?.[0];
	return last === undefined ? globs : [...globs, `*${last}`];
}

function matchesGlob(glob: string, value: string | undefined): boolean {
	if (value === undefined) return false;
	return glob.startsWith("*") ? value.endsWith(glob.slice(1)) : value.startsWith(glob.slice(0, -1));
}

/** Conditions that ask for one name alone are one with a list. */
function merged(conditions: readonly (readonly Atom[])[]): readonly LearntCondition[] {
	const [first] = conditions;
	if (conditions.length > 1 && conditions.every((atoms) => atoms.length === 1 && atoms[0]!.name === first![0]!.name)) {
		return [{ [first![0]!.name]: conditions.map(([atom]) => atom!.glob) }];
	}
	return conditions.map((atoms) => Object.fromEntries(atoms.map(({ name, glob }) => [name, glob])));
}
