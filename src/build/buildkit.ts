import path from "node:path";
import { BrewlineError } from "../errors.ts";
import { parseReference } from "../oci/index.ts";
import { contextUrl, withCreated, type Leg, type LegParent } from "../plan/index.ts";
import { buildkitCommand } from "./commands.ts";
import { isThisMachine, type Builder, type BuilderContext } from "./context.ts";
import { openContext } from "./git-context.ts";
import { runLogged } from "./log.ts";
import { reduceIndex, unpackLayout } from "./layout.ts";
import { fetchParents } from "./parents.ts";

const output = "temp.tar";
const parentsFolder = "parents";

/** Builds with BuildKit into an OCI layout, and returns its folder (spec/build.md, "buildkit, in order"). */
export async function buildWithBuildkit(context: BuilderContext): Promise<string> {
	const { io, leg, build, client, scratch, log, progress } = context;
	const builder = needBuilder(context);
	const copied = build.parents.filter((parent) => needsLayout(parent, leg, builder));
	if (copied.length > 0) {
		progress("fetching parents");
		await fetchParents(client, copied, path.join(scratch, parentsFolder));
	}
	const url = contextFor(context, builder);
	if (url === "-") {
		progress("fetching the context from git");
	}
	const input = url === "-" ? await openContext(context) : undefined;
	const command = buildkitCommand(leg, build, {
		annotations: withCreated(build.annotations, createdNow(context)),
		annotationsApart: builder.annotationLists === false,
		output,
		layoutOf: (parent) => (copied.includes(parent) ? parentsFolder : undefined),
		context: url,
	});
	progress("building");
	await runLogged(io, command, {
		cwd: scratch,
		log,
		...(input === undefined ? {} : { input }),
		env: environmentOf(builder),
	});
	const layout = path.join(scratch, "layout");
	await unpackLayout(path.join(scratch, output), layout, io.signal);
	await reduceIndex(layout);
	return layout;
}

/** The builder, which must be there. */
export function needBuilder({ builder, build }: Pick<BuilderContext, "builder" | "build">): Builder {
	if (builder === undefined) {
		throw new BrewlineError(
			"engine",
			`the builder ${build.builder} needs Docker with BuildKit, and none can be used here`,
			{
				hint: "brewline doctor says what is missing",
			},
		);
	}
	return builder;
}

/** The argument that names the context: a git URL, or `-` for a tar on standard input. */
export function contextFor(
	{ build: { git }, privateSource }: Pick<BuilderContext, "build" | "privateSource">,
	builder: Pick<Builder, "context" | "hostNetwork">,
): string {
	const url = /^https?:\/\/([^/]+)\//.exec(git.fetchFrom);
	const reachable = url !== null && (builder.hostNetwork || !isThisMachine(url[1]!));
	const asGit =
		builder.context === undefined ? reachable && git.fetchFrom === git.repository : builder.context === "git";
	return asGit && !privateSource ? contextUrl(git.fetchFrom, git.commit, git.directory) : "-";
}

/** Whether BuildKit would not find a parent by its reference where this program does. */
function needsLayout(
	parent: Pick<LegParent, "reference">,
	{ registries }: Pick<Leg, "registries">,
	builder: Pick<Builder, "parents" | "hostNetwork">,
): boolean {
	if (builder.parents !== undefined) {
		return builder.parents === "layout";
	}
	const { host } = parseReference(parent.reference);
	return (
		Object.hasOwn(registries.mirrors, host) ||
		registries.plainHttp.includes(host) ||
		(isThisMachine(host) && !builder.hostNetwork)
	);
}

/** What is added to the environment of a builder's commands. */
export function environmentOf(builder: Builder): Readonly<Record<string, string>> {
	return { ...builder.env, ...(builder.name === undefined ? {} : { BUILDX_BUILDER: builder.name }) };
}

/** Unix seconds: `SOURCE_DATE_EPOCH` of the environment, or now. */
function createdNow({ io }: BuilderContext): number {
	const epoch = io.env["SOURCE_DATE_EPOCH"] ?? "";
	if (epoch === "") {
		return Math.floor(io.clock.now() / 1000);
	}
	if (!/^\d{1,11}$/.test(epoch)) {
		throw new BrewlineError("usage", "SOURCE_DATE_EPOCH in the environment is no number of seconds");
	}
	return Number(epoch);
}
