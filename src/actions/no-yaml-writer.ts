/**
 * Stands in the bundles for the parts of `yaml` that write: our entries read configurations and write none, and these
 * would be a tenth of a bundle. Reading comes here for one thing only, a key that is itself a list or a mapping: that
 * becomes a key which no schema knows.
 */
function notWritten(): string {
	return "(not a text)";
}

export {
	notWritten as stringifyCollection,
	notWritten as stringifyDocument,
	notWritten as stringifyPair,
	notWritten as stringifyString,
};
