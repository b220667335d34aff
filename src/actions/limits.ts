/** What GitHub takes; the size of a summary stands with what draws it. */
export const limits = {
	/** Errors that one step may show on the run's page; so many warnings too. */
	annotations: 10,
	/** Jobs that one matrix may have. */
	matrixJobs: 256,
} as const;
