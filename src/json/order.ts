/**
 * JavaScript lists the keys of an object that look like array indexes (`"10"`) before all others and by number.
 * Objects in which order means something carry the order of their keys under this symbol then. It is enumerable, so
 * that `{...object}` takes it along; keys added later come last.
 */
const keyOrder = Symbol("order of keys");

interface WithKeyOrder {
	readonly [keyOrder]?: readonly string[];
}

export type JsonValue = string | number | boolean | null | readonly JsonValue[] | JsonObject;
export interface JsonObject {
	readonly [key: string]: JsonValue;
}

function looksLikeIndex(key: string): boolean {
	const first = key.charCodeAt(0);
	return first >= 0x30 && first <= 0x39 && /^\d+$/.test(key);
}

/**
 * An object whose keys stand in the order given, also those that look like numbers, for `tabJson`, `goJson` and
 * `orderedKeys`. A key that comes twice keeps its first place and its last value; `__proto__` is a key like others.
 */
export function orderedObject<T>(entries: Iterable<readonly [string, T]>): Record<string, T> {
	const result: Record<string, T> & { [keyOrder]?: readonly string[] } = {};
	const keys: string[] = [];
	let special = false;
	for (const [key, value] of entries) {
		if (!Object.hasOwn(result, key)) {
			keys.push(key);
			special ||= looksLikeIndex(key);
		}
		setOwn(result, key, value);
	}
	if (special) {
		result[keyOrder] = keys;
	}
	return result;
}

/** Sets an own property also where the key is `__proto__`. */
function setOwn<T>(object: Record<string, T>, key: string, value: T): void {
	if (key === "__proto__") {
		Object.defineProperty(object, key, { value, enumerable: true, configurable: true, writable: true });
	} else {
		object[key] = value;
	}
}

/** The own keys in the order in which they were read or given (see `orderedObject`). */
export function orderedKeys(object: object): readonly string[] {
	const recorded = (object as WithKeyOrder)[keyOrder];
	if (recorded === undefined) {
		return Object.keys(object);
	}
	const known = new Set(recorded);
	return [
		...recorded.filter((key) => Object.hasOwn(object, key)),
		...Object.keys(object).filter((key) => !known.has(key)),
	];
}

export function orderedEntries<T>(object: Readonly<Record<string, T>>): (readonly [string, T])[] {
	return orderedKeys(object).map((key) => [key, object[key] as T] as const);
}

/** A copy with its keys sorted by code point. */
export function sortedByKey<T>(object: Readonly<Record<string, T>>): Record<string, T> {
	const keys = Object.keys(object).sort(compareCodePoints);
	return orderedObject(keys.map((key) => [key, object[key] as T] as const));
}

/**
 * The order of code points, which is that of UTF-8's bytes, and jq's and Go's. JavaScript's own order differs where
 * surrogates (U+10000 and above) meet U+E000 to U+FFFF.
 */
export function compareCodePoints(a: string, b: string): number {
	const length = Math.min(a.length, b.length);
	for (let i = 0; i < length; i++) {
		const x = a.charCodeAt(i);
		const y = b.charCodeAt(i);
		if (x !== y) {
			return x >= 0xd800 && y >= 0xd800 ? aboveSurrogates(x) - aboveSurrogates(y) : x - y;
		}
	}
	return a.length - b.length;
}

function aboveSurrogates(unit: number): number {
	return unit >= 0xe000 ? unit - 0x2000 : unit + 0x2000;
}
