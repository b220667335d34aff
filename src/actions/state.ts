import type { Program } from "../config/index.ts";
import { checkAddress, type GitCredential } from "../git/index.ts";
import type { Io } from "../io/index.ts";
import { openWorkspace, type Workspace } from "../pipeline/index.ts";
import { optionalText } from "./inputs.ts";
import { programOf } from "./program.ts";

/** The inputs of an action that reads or writes the state. */
export const stateInputs = { state: optionalText, "state-token": optionalText };

interface StateInputs {
	readonly state?: string | undefined;
	readonly "state-token"?: string | undefined;
}

/** Opens what the steps need, with the program of the configuration; the state is where the inputs or it say, never in the work folder. */
export async function openConfigured(
	given: StateInputs & { readonly config: string; readonly work: string },
	io: Io,
): Promise<Workspace> {
	const { program, gitCredentials } = withState(await programOf(given.config, io), given, io);
	return openWorkspace(program, io, { work: given.work, kept: "remote", gitCredentials });
}

/**
 * The program with the repository of the state that the inputs name, and what opens it. The token is for that address
 * alone; without the input it is for the configuration's repository.
 */
function withState(
	program: Program,
	given: StateInputs,
	{ env }: Io,
): { readonly program: Program; readonly gitCredentials: Readonly<Record<string, GitCredential>> } {
	const server = env["GITHUB_SERVER_URL"] ?? "https://github.com";
	const own = `${server}/${env["GITHUB_REPOSITORY"] ?? ""}.git`;
	const repository =
		given.state === undefined
			? program.state.repository
			: given.state === "none"
				? null
				: given.state === "own"
					? own
					: given.state;
	if (repository !== null && given.state !== undefined) checkAddress(repository);
	const token = given["state-token"];
	return {
		program: { ...program, state: { ...program.state, repository } },
		gitCredentials: token === undefined || repository === null ? {} : { [repository]: { token } },
	};
}
