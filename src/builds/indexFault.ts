import { isDigest } from "../oci/index.ts";

/** Where a value is not what it must be. */
export interface Fault {
	readonly path: readonly (string | number)[];
	readonly message: string;
}

type Check = (value: unknown) => Fault | undefined;

const text = expecting("a string", (value) => typeof value === "string");
const texts = expecting(
	"a list of strings",
	(value) => Array.isArray(value) && value.every((item) => typeof item === "string"),
);
const annotations = expecting(
	"an object of strings",
	(value) => isObject(value) && Object.values(value).every((item) => typeof item === "string"),
);

const platform = shape({ architecture: text, os: text }, { "os.version": text, "os.features": texts, variant: text });

const descriptor = shape(
	{
		mediaType: text,
		digest: expecting("a digest", (value) => typeof value === "string" && isDigest(value)),
		size: expecting("a size", (value) => Number.isSafeInteger(value) && (value as number) >= 0),
	},
	{ urls: texts, annotations, data: text, platform, artifactType: text },
);

/** What is wrong with a resolved index (spec/builds.md); keys that are not known are passed over. */
export const indexFault: Check = shape(
	{
		schemaVersion: expecting("2", (value) => value === 2),
		mediaType: text,
		manifests: (value) => {
			if (!Array.isArray(value)) {
				return { path: [], message: "must be a list" };
			}
			for (const [number, item] of value.entries()) {
				const fault = descriptor(item);
				if (fault !== undefined) {
					return below(number, fault);
				}
			}
			return undefined;
		},
	},
	{ artifactType: text, subject: descriptor, annotations },
);

function isObject(value: unknown): value is Readonly<Record<string, unknown>> {
	return typeof value === "object" && value !== null && !Array.isArray(value);
}

function expecting(what: string, holds: (value: unknown) => boolean): Check {
	return (value) => (holds(value) ? undefined : { path: [], message: `must be ${what}` });
}

/** An object with all of the first members, and with the others where they are there. */
function shape(required: Readonly<Record<string, Check>>, optional: Readonly<Record<string, Check>>): Check {
	const members = [
		...Object.entries(required).map(([key, check]) => ({ key, check, needed: true })),
		...Object.entries(optional).map(([key, check]) => ({ key, check, needed: false })),
	];
	return (value) => {
		if (!isObject(value)) {
			return { path: [], message: "must be an object" };
		}
		for (const { key, check, needed } of members) {
			const member = value[key];
			const fault = member === undefined && !needed ? undefined : check(member);
			if (fault !== undefined) {
				return below(key, fault);
			}
		}
		return undefined;
	};
}

function below(key: string | number, { path, message }: Fault): Fault {
	return { path: [key, ...path], message };
}
