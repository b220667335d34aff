/** The version of `package.json`, which bundles do not have beside them; a test holds them together. */
export const version = "0.1.0";
