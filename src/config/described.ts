import * as z from "zod/mini";

/** The schema with a description of its own: the same one may stand at several places. */
export function described<Schema extends z.ZodMiniType>(schema: Schema, description: string): Schema {
	const own = schema.clone(schema._zod.def, { parent: true });
	z.globalRegistry.add(own, { description });
	return own;
}
