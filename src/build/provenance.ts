/** What GitHub says of the run of a workflow; names as in its `github` context. */
export interface WorkflowRun {
	readonly eventName: string;
	/** `https://github.com`. */
	readonly serverUrl: string;
	/** `OWNER/NAME`. */
	readonly repository: string;
	readonly repositoryId: string;
	readonly repositoryOwnerId: string;
	readonly ref: string;
	readonly sha: string;
	/** `OWNER/NAME/.github/workflows/FILE@REF`. */
	readonly workflowRef: string;
	readonly workflowSha: string;
	readonly runId: string;
	readonly runAttempt: string;
	readonly runnerEnvironment: string;
	readonly inputs: Readonly<Record<string, string>>;
}

export interface ProvenanceSubject {
	/** Tags, arch tags and the staging reference, in order. */
	readonly references: readonly string[];
	/** `linux/arm/v7`. */
	readonly platformString: string;
	/** `sha256:…`. */
	readonly digest: string;
}

/**
 * The in-toto statement of a build by GitHub Actions (spec/build.md, "Provenance on GitHub Actions"); null for any
 * event but `workflow_dispatch`, the only one with inputs that say what was built.
 */
export function provenanceStatement(subject: ProvenanceSubject, run: WorkflowRun) {
	if (run.eventName !== "workflow_dispatch") {
		return null;
	}
	const repository = `${run.serverUrl}/${run.repository}`;
	const workflow = run.workflowRef.startsWith(`${run.repository}/`)
		? run.workflowRef.slice(run.repository.length + 1)
		: run.workflowRef;
	const at = workflow.indexOf("@");
	const separator = subject.digest.indexOf(":");
	const digest = { [subject.digest.slice(0, separator)]: subject.digest.slice(separator + 1) };
	return {
		_type: "https://in-toto.io/Statement/v1",
		subject: subject.references.map((reference) => ({
			name: `pkg:docker/${reference}?platform=${encodeURIComponent(subject.platformString)}`,
			digest,
		})),
		predicateType: "https://slsa.dev/provenance/v1",
		predicate: {
			buildDefinition: {
				buildType: "https://actions.github.io/buildtypes/workflow/v1",
				externalParameters: {
					workflow: {
						ref: workflow.slice(at + 1),
						repository,
						path: workflow.slice(0, at),
						digest: { gitCommit: run.workflowSha },
					},
					inputs: run.inputs,
				},
				internalParameters: {
					github: {
						event_name: run.eventName,
						repository_id: run.repositoryId,
						repository_owner_id: run.repositoryOwnerId,
						runner_environment: run.runnerEnvironment,
					},
				},
				resolvedDependencies: [{ uri: `git+${repository}@${run.ref}`, digest: { gitCommit: run.sha } }],
			},
			runDetails: {
				builder: { id: `${run.serverUrl}/${run.workflowRef}` },
				metadata: { invocationId: `${repository}/actions/runs/${run.runId}/attempts/${run.runAttempt}` },
			},
		},
	};
}
