/**
 * Stands in the bundles for `@actions/http-client`, which `@actions/core` needs for nothing but `getIDToken`:
 * our entries do not call that, and it would bring `undici` along, nine tenths of a bundle's weight.
 */
function unavailable(): never {
	throw new Error("OIDC tokens are asked for with the platform's fetch, not through @actions/core");
}

export { unavailable as BearerCredentialHandler, unavailable as HttpClient };
