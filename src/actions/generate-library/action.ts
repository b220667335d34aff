import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import path from "node:path";
import * as z from "zod/mini";
import {
	type ImageConfig,
	loadConfiguration,
	type Program,
	type ScriptedImage,
	withoutImages,
} from "../../config/index.ts";
import { BrewlineError } from "../../errors.ts";
import { type Io, printable } from "../../io/index.ts";
import {
	attempt,
	failureOf,
	missingToken,
	openLibrary,
	propose,
	proposeOptionsOf,
	warnOfDryRun,
	type ProposeOptions,
} from "../../propose/index.ts";
import { render } from "../../template/index.ts";
import { flag, optionalText } from "../inputs.ts";
import { configInput } from "../program.ts";
import type { Action } from "../runner.ts";
import { whyNotProposing } from "./event.ts";
import { checkDefinitions, type Repository, writeDefinitions } from "./steps.ts";
import { type Done, isSound, toldOf } from "./told.ts";

const allSteps = ["render-check", "generate", "check", "propose"] as const;
type Step = (typeof allSteps)[number];

export const inputs = z.object({
	config: configInput,
	steps: z._default(z.string(), allSteps.join(", ")),
	output: z._default(z.string(), ".brewline/library"),
	token: optionalText,
	"min-age": optionalText,
	security: flag,
	overwrite: flag,
	again: flag,
	"dry-run": flag,
});

/** `actions/generate-library`: the templates, definitions, checks and proposals of an image's repository, in that order. */
export const action: Action<typeof inputs> = {
	inputs,
	run: async (given, world) => {
		const steps = stepsOf(given.steps);
		const idle = await whyNotProposing(world);
		using patience = idle === undefined ? undefined : withPatience(world);
		const io = patience?.io ?? world;
		const { program: configured, images, scripts } = await loadConfiguration(given.config);
		const program = idle === undefined ? configured : asUnmerged(configured);
		sayScripted(scripts, io);
		if (images.length === 0) throw withoutImages(given.config);
		const temporary = await mkdtemp(path.join(io.env["RUNNER_TEMP"] ?? tmpdir(), "brewline-"));
		try {
			const optionsOf = (image: ImageConfig | undefined, dryRun: boolean) => {
				const { security, overwrite, again, "min-age": minAge } = given;
				const token = idle === undefined ? given.token : undefined;
				const wishes = { ...(security ? { security } : {}), overwrite, again, dryRun, minAge, token, temporary };
				return proposeOptionsOf(image?.propose, program, wishes);
			};
			// What is missing is said at once.
			if (steps.has("propose") && idle === undefined) {
				for (const image of images) optionsOf(image, given["dry-run"]);
				const [lacking] = images.flatMap(({ propose: config }) => missingToken(config, given) ?? []);
				if (lacking !== undefined) warnOfDryRun(lacking, io);
			}
			await using library = openLibrary(io, optionsOf(images[0], true));
			const folder = path.dirname(path.resolve(given.config));
			const configuration = path.basename(given.config);
			const repository: Repository = { program, images, folder, configuration, library, temporary };
			const done = await take(
				steps,
				{ ...repository, idle, output: given.output, dryRun: given["dry-run"], optionsOf },
				io,
			);
			return { told: toldOf(done), outputs: outputsOf(done) };
		} catch (error) {
			throw patience?.failureOf(error) ?? error;
		} finally {
			await rm(temporary, { recursive: true, force: true });
		}
	},
};

/** Milliseconds that what nobody has merged yet may take in all: it names the servers, and they answer as slowly as they like. */
const unmergedLimit = 30 * 60_000;

/** A world that is ended after some time, and the error of what it ended. */
function withPatience(world: Io) {
	const late = new AbortController();
	const done = new AbortController();
	const wait = async (): Promise<void> => {
		await world.clock.sleep(unmergedLimit, done.signal);
		late.abort(new Error("it took too long"));
	};
	wait().catch(() => {});
	return {
		io: { ...world, signal: AbortSignal.any([world.signal, late.signal]) },
		failureOf: (error: unknown) =>
			late.signal.aborted && !world.signal.aborted
				? new BrewlineError("limit", `it took longer than ${unmergedLimit / 60_000} minutes, and was given up`, {
						cause: error,
						hint: "look at the servers that the configuration names: of the library, and of git repositories",
					})
				: undefined,
		[Symbol.dispose]: () => {
			done.abort();
		},
	};
}

/** What nobody has merged yet says itself where the library is: no credential goes there, and no folder of the machine is read for it. */
function asUnmerged(program: Program): Program {
	const rewrite = Object.entries(program.git.rewrite).filter(([, to]) => /^https?:\/\//i.test(to));
	return { ...program, git: { ...program.git, credentials: {}, rewrite: Object.fromEntries(rewrite) } };
}

/** A script is code of the repository, and this step may have a token: it is run by whoever decides so. */
function sayScripted(scripts: readonly ScriptedImage[], io: Io): void {
	for (const { image, script } of scripts) {
		io.log({
			type: "message",
			level: "warning",
			text: `the definition of ${image} is left out: ${script} prints it, and this action runs no scripts`,
			hint: "in a job without secrets: brewline generate --allow-script; in another one: brewline propose --definitions",
		});
	}
}

interface Work extends Repository {
	readonly idle: string | undefined;
	readonly output: string;
	readonly dryRun: boolean;
	readonly optionsOf: (image: ImageConfig | undefined, dryRun: boolean) => ProposeOptions;
}

/** Takes the steps; what came of those before one that fails is told as well. */
async function take(steps: ReadonlySet<Step>, work: Work, io: Io): Promise<Done> {
	const { images, folder, idle, output, optionsOf, dryRun } = work;
	const merged = idle === undefined;
	let done: Done = {};
	try {
		if (steps.has("render-check")) {
			const { changes, warnings } = await render(images, folder, io, { write: false });
			// Generating says them too.
			for (const { message, at, hint } of steps.has("generate") ? [] : warnings) {
				io.log({ type: "message", level: "warning", text: message, at, hint });
			}
			done = { rendered: changes };
		}
		if (steps.has("generate")) done = { ...done, definitions: await writeDefinitions(work, io, output) };
		const { definitions = [] } = done;
		if (steps.has("check")) done = { ...done, findings: await checkDefinitions(work, definitions, merged, io) };
		if (!steps.has("propose")) return done;
		const reason = isSound(done) ? idle : "what is wrong has to be mended first";
		if (reason !== undefined) return { ...done, idle: reason };
		for (const { image, text } of definitions) {
			const config = images.find((one) => one.image === image);
			const input = { definitions: new Map([[image, text]]), repository: { folder } };
			const one = await attempt(image, io, () => propose(input, io, optionsOf(config, dryRun)));
			done = { ...done, proposals: [...(done.proposals ?? []), one] };
		}
		const error = failureOf(done.proposals ?? []);
		return error === undefined ? done : { ...done, error };
	} catch (error) {
		if (io.signal.aborted || Object.keys(done).length === 0) throw error;
		return { ...done, error };
	}
}

function stepsOf(text: string): ReadonlySet<Step> {
	const steps = text.split(",").map((name) => name.trim());
	const unknown = steps.find((name) => !allSteps.includes(name as Step));
	if (unknown !== undefined) {
		throw new BrewlineError("usage", `input steps: there is no step ${printable(unknown, 100)}`, {
			hint: `the steps are: ${allSteps.join(", ")}`,
		});
	}
	const chosen = new Set(steps as Step[]);
	const needing = (["check", "propose"] as const).find((step) => chosen.has(step));
	if (needing !== undefined && !chosen.has("generate")) {
		throw new BrewlineError("usage", `input steps: ${needing} needs generate`, { hint: "add it to the steps" });
	}
	return chosen;
}

function outputsOf({ rendered = [], definitions = [], findings = [], proposals = [] }: Done) {
	return {
		definition: definitions.map(({ file }) => file).join("\n"),
		changed: String(definitions.some(({ diff }) => diff !== "")),
		stale: String(rendered.length),
		findings: String(findings.length),
		errors: String(findings.filter(({ severity }) => severity === "error").length),
		outcome: proposals.map((one) => ("proposal" in one ? one.proposal.outcome : "failed")).join("\n"),
		proposal: proposals.flatMap((one) => ("proposal" in one ? (one.proposal.url ?? []) : [])).join("\n"),
	};
}
