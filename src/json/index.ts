export { compareCodePoints, orderedEntries, orderedKeys, orderedObject, sortedByKey } from "./order.ts";
export type { JsonObject, JsonValue } from "./order.ts";
export { parseJson, parseJsonObject, repeatedKeys, type ParseJsonOptions, type RepeatedKey } from "./parse.ts";
export { goJson, tabJson } from "./write.ts";
