import { dockerProposals, durationOf, type Program, type ProposeConfig } from "../config/index.ts";
import { BrewlineError } from "../errors.ts";
import { rewriteAddress, type GitCredential } from "../git/index.ts";
import { printable } from "../io/printable.ts";
import type { Io } from "../io/types.ts";
import type { ProposeOptions } from "./propose.ts";

export interface ProposeSettings {
	/** What opens the library, or its fork, and GitHub's API. */
	readonly token?: string | undefined;
	/** Without a pull request, whatever the configuration says. */
	readonly branchOnly?: boolean;
	/** `7d`; in place of the configuration's. */
	readonly minAge?: string | undefined;
	readonly security?: boolean;
	readonly overwrite?: boolean;
	readonly again?: boolean;
	readonly dryRun?: boolean;
	readonly temporary?: string;
}

/** What a configuration says of proposals for an image, with what it leaves out. */
export function proposeOptionsOf(
	config: ProposeConfig | undefined,
	program: Program,
	settings: ProposeSettings,
): ProposeOptions {
	const { library = dockerProposals.library, fork, branch, folder = dockerProposals.folder } = config ?? {};
	const { token, branchOnly = false, minAge, dryRun = false, ...others } = settings;
	const lacking = missingToken(config, settings);
	if (lacking !== undefined && !dryRun) throw lacking;
	const age = minAge ?? config?.minAge ?? dockerProposals.minAge;
	const seconds = durationOf(age);
	if (seconds === undefined) {
		throw new BrewlineError("usage", `the age ${printable(age, 50)} is no time`, {
			hint: "write minutes, hours or days: 90m, 48h, 7d",
		});
	}
	const { rewrite, credentials } = program.git;
	const target = fork ?? library;
	// Who opens pull requests in a library may read it, too; another server has no business with the token.
	const readers = [target, ...(hostOf(library) === hostOf(target) ? [library] : [])];
	const own = token === undefined ? [] : readers.map((one) => [rewriteAddress(one, rewrite), { token }]);
	return {
		...others,
		library,
		folder,
		...(fork === undefined ? {} : { fork }),
		...(branch === undefined ? {} : { branch }),
		author: config?.author ?? program.state.author,
		minAge: seconds,
		dryRun,
		rewrite,
		credentials: { ...credentials, ...(Object.fromEntries(own) as Readonly<Record<string, GitCredential>>) },
		...(opensPulls(config, branchOnly) && token !== undefined
			? { gitHub: { api: config?.api ?? apiOf(library), token } }
			: {}),
	};
}

/** What a proposal of this image fails for, unless it is a dry run: there is no token, and it needs one; undefined: nothing. */
export function missingToken(
	config: ProposeConfig | undefined,
	{ token, branchOnly = false }: Pick<ProposeSettings, "token" | "branchOnly">,
): BrewlineError | undefined {
	if (token !== undefined || !opensPulls(config, branchOnly)) return undefined;
	return new BrewlineError("credentials", "there is no token to open a pull request with", {
		hint: "give one that may push to the library or its fork, and open pull requests; or push a branch alone",
	});
}

/** Says what a dry run goes on without, once for all images. */
export function warnOfDryRun(lacking: BrewlineError, io: Io): void {
	const { message, hint } = lacking;
	io.log({
		type: "message",
		level: "warning",
		text: `${message}: without the dry run this would fail; the pull requests that there are were not looked at`,
		...(hint === undefined ? {} : { hint }),
	});
}

function opensPulls(config: ProposeConfig | undefined, branchOnly: boolean): boolean {
	return config?.pullRequest !== false && !branchOnly;
}

/** Where the API of the server is that a repository is on. */
function apiOf(library: string): string {
	const host = hostOf(library);
	return host === "github.com" ? "https://api.github.com" : `https://${host}/api/v3`;
}

function hostOf(address: string): string {
	return /^(?:[a-z]+:\/\/(?:[^/@]*@)?|[^/@]+@)([^/:]+)/.exec(address)?.[1] ?? "";
}
