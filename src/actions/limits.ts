/** What GitHub takes; the size of a summary stands with what draws it. */
export const limits = {
	/** Errors that one step may show on the run's page; so many warnings too. */
	annotations: 10,
	/** Jobs that one matrix may have. */
	matrixJobs: 256,
	/** Matrices of one plan: each is a job of its own in the workflow, and each needs an output. */
	matrices: 4,
	/** UTF-16 code units that all outputs of a job may have together; GitHub counts two bytes for each, up to 1 MB. */
	outputUnits: 500_000,
} as const;
