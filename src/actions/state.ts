import type { Program } from "../config/index.ts";
import { checkAddress, type GitCredential } from "../git/index.ts";
import type { Io } from "../io/index.ts";
import { optionalText } from "./inputs.ts";

/** The inputs of an action that reads or writes the state. */
export const stateInputs = { state: optionalText, "state-token": optionalText };

/**
 * The program with the repository of the state that the inputs name, and what opens it. The token is for that address
 * alone; without the input it is for the configuration's repository.
 */
export function withState(
	program: Program,
	given: { readonly state?: string | undefined; readonly "state-token"?: string | undefined },
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
