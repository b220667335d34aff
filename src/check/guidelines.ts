import { readInstructions, type Instruction } from "../dockerfile/index.ts";
import type { ReadText } from "./dockerfiles.ts";
import { passesOn } from "./entrypoint.ts";
import { unpinnedInstalls } from "./installs.ts";
import type { RuleId } from "./rules.ts";
import { type Command, commandsOf } from "./shell.ts";
import type { Draft } from "./types.ts";

/** What a guideline finds in an instruction. */
interface Found {
	readonly rule: RuleId;
	readonly message: string;
	readonly fix: string;
	/** Text in the line that it is about; default: the instruction's first line. */
	readonly near?: string;
}

/** An instruction with the lines that it is in, and its commands where it runs some in a shell of Unix. */
interface Step extends Instruction {
	readonly lines: readonly string[];
	readonly script: string;
	readonly commands: readonly Command[];
	/** Whether the shell itself ends at the first error. */
	readonly errexit: boolean;
	/** Whether what it leaves behind is in the image: the last stage, and what that stands on. */
	readonly stays: boolean;
	readonly verifies: boolean;
}

/** Of one rule in one file: more say nothing new, and a hostile file could have very many. */
const mostOfARule = 20;

/** What of the review guidelines a program can see in Dockerfiles. */
export function checkGuidelines(texts: readonly ReadText[]): readonly Draft[] {
	const scripts = new Set<string>();
	return texts.flatMap((read) => {
		const { candidate, file, text } = read;
		const { name, tags, at, place } = candidate;
		const steps = stepsOf(text, file);
		const anywhere = steps.some(({ verifies }) => verifies);
		const found = steps.flatMap((step) =>
			guidelines.flatMap((guideline) => guideline(step, anywhere).map((one) => ({ step, ...one }))),
		);
		const drafts = [...Map.groupBy(found, ({ rule }) => rule).values()].flatMap((group) =>
			group.slice(0, mostOfARule).map(({ step, near = "", ...one }): Draft => {
				const nearest = [near, near.split(" ")[0]!].flatMap((words) => {
					const index = words === "" ? -1 : step.lines.findIndex((line) => line.includes(words));
					return index < 0 ? [] : [index];
				});
				const line = step.line + (nearest[0] ?? 0);
				return {
					...one,
					image: name,
					tag: tags[0]!,
					at,
					source: { repository: place.GitRepo, commit: place.GitCommit, file, line },
				};
			}),
		);
		return [...drafts, ...entrypoint(read, scripts)];
	});
}

/** `known`: the scripts that were looked at, since the directories of an image mostly have the same one. */
function entrypoint({ candidate, entrypoint: script }: ReadText, known: Set<string>): readonly Draft[] {
	const { name, tags, at, place } = candidate;
	if (script === undefined || passesOn(script.text)) return [];
	const key = `${name} ${script.text}`;
	if (known.has(key)) return [];
	known.add(key);
	return [
		{
			rule: "entrypoint-exec",
			image: name,
			tag: tags[0]!,
			at,
			source: { repository: place.GitRepo, commit: place.GitCommit, file: script.file, line: 1 },
			message: "the entrypoint starts its program without exec: the shell stays process 1, and passes no signals on",
			fix: 'End it with exec "$@".',
		},
	];
}

function stepsOf(text: string, file: string): readonly Step[] {
	const lines = text.split("\n");
	const { instructions, escape } = readInstructions(text, file);
	const staying = stagesThatStay(instructions);
	// With the other escape character it is written for Windows, whose shells have another grammar.
	let unix = escape === "\\";
	let errexit = false;
	let stage = -1;
	return instructions.map((instruction) => {
		const { name, rest, line, end } = instruction;
		if (name === "from") {
			unix = escape === "\\" && !/windows|nanoserver|servercore/i.test(rest);
			errexit = false;
			stage++;
		}
		if (name === "shell") {
			unix = !/powershell|pwsh|cmd/i.test(rest);
			errexit = /"-[A-Za-z]*e/.test(rest);
		}
		const own = lines.slice(line - 1, end);
		const heredoc = /<<-?\s*["']?\w/.test(rest) ? own.slice(1).join("\n") : "";
		const script = name === "run" && unix && !rest.startsWith("[") ? (heredoc === "" ? rest : heredoc) : "";
		const commands = script === "" ? [] : commandsOf(script);
		return {
			...instruction,
			lines: own,
			script,
			commands,
			errexit,
			stays: staying.has(stage),
			verifies: verification.test(script),
		};
	});
}

function stagesThatStay(instructions: readonly Instruction[]): ReadonlySet<number> {
	const named = new Map<string, number>();
	const parents = instructions
		.filter(({ name }) => name === "from")
		.map(({ rest }, at) => {
			const [from, , name] = rest.toLowerCase().split(/\s+/);
			const parent = named.get(from ?? "");
			if (name !== undefined) named.set(name, at);
			return parent;
		});
	const staying = new Set<number>();
	for (let at: number | undefined = parents.length - 1; at !== undefined && at >= 0; at = parents[at]) staying.add(at);
	return staying;
}

/** `verified`: whether anything in the whole file verifies a download. */
type Guideline = (step: Step, verified: boolean) => readonly Found[];

const guidelines: readonly Guideline[] = [
	addsUrl,
	unpinned,
	installs,
	copiesAll,
	apt,
	gpg,
	downloads,
	weakChecksum,
	shellForm,
	healthcheck,
	setE,
	privileged,
];

function addsUrl({ name, flags, rest }: Step): readonly Found[] {
	if (name !== "add" || flags.some((flag) => flag.startsWith("--checksum="))) return [];
	const url = /(?:^|["\s])((?:https?|ftp):\/\/[^\s"]+)/.exec(rest)?.[1];
	if (url === undefined) return [];
	return [
		{
			rule: "add-url",
			message: `ADD ${url} takes whatever is there on that day`,
			fix: "Write ADD --checksum=sha256:…, or download and verify it in a RUN.",
			near: url,
		},
	];
}

/** Names of what moves: a branch, or what a server has as its newest. */
const moving = /^(?:master|main|trunk|develop|dev|HEAD)$/;
const newest = /\/latest(?:[/?#]|$)|[-_.]latest(?:[-_./?#]|$)/;

function unpinned({ name, rest, commands, script }: Step): readonly Found[] {
	const fix = "Name the version, and the checksum of what it is.";
	const found: Found[] = [];
	const urls = [
		...(name === "add" ? [rest] : []),
		...commands.filter(({ words }) => words[0] === "curl" || words[0] === "wget").flatMap(({ words }) => words),
	].flatMap((text) => /https?:\/\/[^\s"'`)]+/.exec(text)?.[0] ?? []);
	for (const url of urls.filter((one) => newest.test(one))) {
		const message = `${url} is whatever is the newest on that day`;
		found.push({ rule: "version-unpinned", message, fix, near: url });
	}
	const clones = commands.filter(({ words }) => words[0] === "git" && words.includes("clone"));
	// What is checked out afterwards is looked for once, however many there are.
	if (clones.length === 0 || /\bgit\b[^;&|]{0,200}\b(?:checkout|switch|reset)\b/.test(script)) return found;
	for (const { words } of clones) {
		const at = words.findIndex((word) => /^(?:-b|--branch|--revision)$/.test(word));
		const joined = words.map((word) => /^--(?:branch|revision)=(.*)$/.exec(word)?.[1]).find((one) => one !== undefined);
		const wanted = joined ?? (at < 0 ? undefined : words[at + 1]);
		if (wanted !== undefined && !moving.test(wanted)) continue;
		found.push({
			rule: "version-unpinned",
			message: `git clone takes ${wanted ?? "the default branch"} as it is on that day`,
			fix: "Clone a tag (--branch v1.2.3), or check out a commit.",
			near: "clone",
		});
	}
	return found;
}

/** Names of packages in one message. */
const namedPackages = 5;

function installs({ commands }: Step): readonly Found[] {
	return unpinnedInstalls(commands).map(({ call, packages, fix }): Found => {
		const more = packages.length > namedPackages ? ` and ${packages.length - namedPackages} more` : "";
		const names = `${packages.slice(0, namedPackages).join(", ")}${more}`;
		const message = `${call} takes ${names} as ${packages.length === 1 ? "it is" : "they are"} on that day`;
		return { rule: "version-unpinned", message, fix, near: packages[0]! };
	});
}

function copiesAll({ name, flags, rest }: Step): readonly Found[] {
	if ((name !== "copy" && name !== "add") || flags.some((flag) => flag.startsWith("--from="))) return [];
	const words = rest.startsWith("[") ? [...rest.matchAll(/"([^"]*)"/g)].map(([, word]) => word!) : rest.split(/\s+/);
	if (!words.slice(0, -1).some((word) => /^\.?\/?\*?$/.test(word) && word !== "")) return [];
	return [
		{
			rule: "copy-all",
			message: `${name.toUpperCase()} ${words[0]} takes everything that is in the directory, and its cache ends with any change there`,
			fix: "Name the files that are needed.",
		},
	];
}

/** Calls of a program with a subcommand: `apt-get -y install`. */
function calls(
	commands: readonly Command[],
	programs: readonly string[],
	...subcommands: readonly string[]
): readonly Command[] {
	return commands.filter(({ words }) => {
		// Not only at the beginning: `xargs apt-get install`.
		const at = words.findIndex((word) => programs.includes(word));
		return at >= 0 && words.slice(at + 1).some((word) => subcommands.includes(word));
	});
}

const aptPrograms = ["apt-get", "apt"];

function apt({ commands, script, flags, lines, stays }: Step): readonly Found[] {
	const updates = calls(commands, aptPrograms, "update");
	const installs = calls(commands, aptPrograms, "install");
	const uses = calls(
		commands,
		aptPrograms,
		"install",
		"build-dep",
		"source",
		"download",
		"upgrade",
		"dist-upgrade",
		"full-upgrade",
	);
	const found: Found[] = [];
	if (updates.length > 0 && uses.length === 0 && !/apt-cache|apt-mark|aptitude|apt-file|tasksel/.test(script)) {
		found.push({
			rule: "apt-update-alone",
			message:
				"apt-get update stands in a RUN without apt-get install: its lists are cached, and stale for the install",
			fix: "Put update, install and the removal of the lists into one RUN.",
			near: "update",
		});
	}
	const cached = flags.some((flag) => flag.includes("type=cache") && flag.includes("/var/lib/apt"));
	if (stays && updates.length > 0 && !cached && !/\/var\/lib\/apt|apt-get (?:\S{1,40} ){0,9}dist-?clean/.test(script)) {
		found.push({
			rule: "apt-lists",
			message: "the lists of apt-get update stay in the image",
			fix: "End the RUN with rm -rf /var/lib/apt/lists/*.",
			near: "update",
		});
	}
	const recommended = installs.find(
		({ words }) => !words.some((word) => /no-install-recommends|Install-Recommends/i.test(word)),
	);
	if (stays && recommended !== undefined && !/Install-Recommends/i.test(script)) {
		const at = lines.find((line) => isInstall(line) && !line.includes("no-install-recommends"));
		found.push({
			rule: "apt-recommends",
			message: "apt-get install takes recommended packages along",
			fix: "Add --no-install-recommends, and name those that are needed.",
			...(at === undefined ? {} : { near: at }),
		});
	}
	return found;
}

/** Whether a line has `apt … install`, and no comment before it. One expression for it takes the square of a long line's time. */
function isInstall(line: string): boolean {
	const call = /\bapt(?:-get)?\b/.exec(line);
	if (call === null || line.slice(0, call.index).includes("#")) return false;
	return line.includes(" install", call.index + call[0].length);
}

const hexKey = /^(?:0x)?[0-9A-Fa-f]{8,39}!?$/;

function gpg({ name, rest, commands }: Step): readonly Found[] {
	const found: Found[] = [];
	const short = (key: string, near = key): void => {
		found.push({
			rule: "gpg-fingerprint",
			message: `the key ${key} is not a full fingerprint: anybody can make one with the same end`,
			fix: "Write all 40 digits.",
			near,
		});
	};
	const gpgs = commands.filter(({ words }) => /^gpg[12]?$/.test(words[0] ?? ""));
	const acting = gpgs.find(
		({ words }) =>
			words.some((word) => /^--(?:recv(?:-keys?)?|import|verify|keyserver|decrypt|dearmor|export)$/.test(word)) &&
			!words.includes("--batch") &&
			!words.includes("--version"),
	);
	if (acting !== undefined) {
		found.push({
			rule: "gpg-batch",
			message: `gpg ${acting.words.find((word) => /^--(?:recv|import|verify|keyserver|decrypt|dearmor|export)/.test(word))} without --batch speaks as to a person: its options and exit code may change`,
			fix: "Write gpg --batch.",
			near: acting.words.slice(0, 2).join(" "),
		});
	}
	for (const { words } of gpgs) {
		const keys = words.findIndex((word) => /^--recv(?:-keys?)?$/.test(word));
		for (const word of keys < 0 ? [] : words.slice(keys + 1)) if (hexKey.test(word)) short(word);
	}
	if (name === "env" || name === "arg") {
		for (const [, key, value] of rest.matchAll(
			/\b(\w{0,60}(?:GPG|PGP)\w{0,60})[= ]+["']?((?:0x)?[0-9A-Fa-f]{8,39})(?![0-9A-Za-z.-])/g,
		)) {
			if (key !== undefined && value !== undefined && hexKey.test(value)) short(value);
		}
	}
	return found;
}

/** What proves a download: a checksum that nobody can forge, or a signature. */
const verification =
	/\b(?:sha(?:224|256|384|512)sum|b2sum|b3sum|gpgv2?|cosign|minisign|signify|slsa-verifier)\b|shasum[^;&|]{0,200}-a *(?:256|384|512)|gpg2?\b[^;&|]{0,200}--verify|openssl[^;&|]{0,200}\bdgst\b|--verify-signature|\bsha(?:256|384|512)\b/;

function downloads({ commands, verifies }: Step, verified: boolean): readonly Found[] {
	const found: Found[] = [];
	for (const { words } of commands) {
		const [program, ...args] = words;
		if (program !== "curl" && program !== "wget") continue;
		if (isInsecure(program, args)) {
			found.push({
				rule: "download-insecure",
				message: `${program} does not check whose certificate it is given`,
				fix: "Let it check certificates: install ca-certificates, and take the option away.",
				near: program,
			});
		}
		const url = args.map((arg) => /https?:\/\/[^\s"'`)]+/.exec(arg)?.[0]).find((one) => one !== undefined);
		if (url === undefined || /^https?:\/\/(?:localhost|127\.|\[::1\])/.test(url)) continue;
		if (url.startsWith("http://") && !verifies) {
			found.push({
				rule: "download-http",
				message: `${url} comes over plain http, and nothing here verifies it`,
				fix: "Use https, and verify a signature or a SHA-256.",
				near: url,
			});
		} else if (!verified) {
			// Another step may look at what this one has fetched.
			found.push({
				rule: "download-unverified",
				message: `nothing verifies what ${url} gives`,
				fix: "Verify a signature (gpg --batch --verify) or a checksum (sha256sum -c) that the Dockerfile has.",
				near: url,
			});
		}
	}
	return found;
}

function isInsecure(program: string, args: readonly string[]): boolean {
	if (program === "wget") return args.includes("--no-check-certificate");
	// In `-fsSLko FILE`, what follows a letter that takes a value is that value.
	return args.some((arg) => arg === "--insecure" || /^-[^-oHdAeuxXFTbcCmrwYyzKEDtPQUh]*k/.test(arg));
}

function weakChecksum({ verifies, commands }: Step): readonly Found[] {
	const weak = commands.find(
		({ words }) =>
			/^(?:md5sum|sha1sum)$/.test(words[0] ?? "") &&
			words.some((word) => /^--(?:check|strict)$/.test(word) || (/^-\w+$/.test(word) && word.includes("c"))),
	);
	if (weak === undefined || verifies) return [];
	return [
		{
			rule: "weak-checksum",
			message: `${weak.words[0]} proves nothing: others with the same sum can be made`,
			fix: "Use sha256sum or sha512sum, or verify a signature as well.",
			near: weak.words[0]!,
		},
	];
}

function shellForm({ name, rest }: Step): readonly Found[] {
	if ((name !== "cmd" && name !== "entrypoint") || rest.startsWith("[") || rest === "") return [];
	return [
		{
			rule: "shell-form",
			message: `${name.toUpperCase()} in shell form starts a shell, which passes no signals on`,
			fix: `Write ${name.toUpperCase()} ["program", "argument"].`,
		},
	];
}

function healthcheck({ name, rest }: Step): readonly Found[] {
	if (name !== "healthcheck" || /^none$/i.test(rest)) return [];
	return [
		{
			rule: "healthcheck",
			message: "what is healthy depends on where the image runs",
			fix: "Leave HEALTHCHECK to who runs it; document a command for it.",
		},
	];
}

/** What hardly fails. */
const harmless = new Set(["set", "export", "echo", "printf", ":", "true", "unset", "local", "shift", "return", "exit"]);

function setE({ commands, script, errexit: byShell }: Step): readonly Found[] {
	if (
		byShell ||
		/(?:^|[\s;&(])set (?:[-+]\w+ )*(?:-[a-df-z]*e|-o errexit)/m.test(script) ||
		/^#!.*\s-\w*e/m.test(script)
	) {
		return [];
	}
	const at = commands.findIndex(
		({ end, depth, words }, index) =>
			end === ";" && depth === 0 && index < commands.length - 1 && !harmless.has(words[0]!),
	);
	if (at < 0) return [];
	return [
		{
			rule: "set-e",
			message: `where ${commands[at]!.words[0]} fails, the RUN goes on and may succeed`,
			fix: "Begin the RUN with set -eux; or join the commands by &&.",
			near: commands[at]!.words.slice(0, 3).join(" "),
		},
	];
}

function privileged({ name, flags }: Step): readonly Found[] {
	const flag = name === "run" ? flags.find((one) => /^--(?:security=insecure|network=host)$/.test(one)) : undefined;
	if (flag === undefined) return [];
	return [
		{
			rule: "privileged",
			message: `RUN ${flag} needs more than a build may have`,
			fix: "Do without it: such a build is refused.",
			near: flag,
		},
	];
}
