export { deriveArchitectures, type Derived, type DerivedEntry, type DeriveOptions, type Finding } from "./derive.ts";
export { unifiedDiff } from "./diff.ts";
export { edited, editsOf, type Edit } from "./edit.ts";
