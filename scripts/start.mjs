// Starts a task of this repository: `node scripts/start.mjs TASK [ARGUMENT…]`. Plain JavaScript without dependencies:
// it is what runs on an older Node, in a clone that has nothing yet, and brings the rest.
import { spawn, spawnSync } from "node:child_process";
import { existsSync, readFileSync } from "node:fs";
import { constants } from "node:os";
import path from "node:path";

const root = path.dirname(import.meta.dirname ?? path.dirname(new URL(import.meta.url).pathname));
const needed = [24, 5];
/** Exit codes of src/errors.ts: `usage`, `node-version`. */
const exits = { failed: 1, usage: 2, nodeVersion: 8 };

const [task = "", ...args] = process.argv.slice(2);
const script = scriptOf(task);
if (script === undefined) fail(exits.usage, `there is no task ${JSON.stringify(task)}: demo, test, brewline, bench`);
// What prints a result for programs keeps its standard output for that.
const say = task === "brewline" ? console.error : console.log;

// The task that is running decides what becomes of it when nobody reads the output any more.
for (const stream of [process.stdout, process.stderr]) stream.on("error", () => {});

if (!isInstalled()) {
	say("Installing the development dependencies (npm ci) …");
	const code = await run(...npm(["ci", "--loglevel=error", "--no-audit", "--no-fund", "--prefer-offline"]), {
		cwd: root,
		// Only errors are worth a line; standard output belongs to the task.
		stdio: ["ignore", 2, 2],
	});
	if (code !== 0) fail(code > 128 ? code : exits.failed, "npm ci did not succeed (its own message is above)");
}
const node = findNode();
say(`Node ${node.version} (${node.where})`);
// npm goes to this clone first; whoever calls the command line from another repository means that one.
const { npm_lifecycle_event: event, INIT_CWD: callersFolder } = process.env;
process.exitCode = await run(node.file, [path.join(root, script), ...args], {
	stdio: "inherit",
	...(task === "brewline" && event === task && callersFolder !== undefined ? { cwd: callersFolder } : {}),
	env: { ...process.env, PATH: [path.dirname(node.file), process.env.PATH].filter(Boolean).join(path.delimiter) },
});

function scriptOf(name) {
	const special = { brewline: "src/cli/main.ts", bench: "bench/main.ts" };
	const file = special[name] ?? (/^[a-z][a-z0-9-]*$/.test(name) ? `scripts/${name}.ts` : undefined);
	return file !== undefined && existsSync(path.join(root, file)) ? file : undefined;
}

/**
 * Whether what is in node_modules is what the lock file asks for, by the record that npm keeps of it and writes last: so an
 * installation that was cut off does not count, and one that is complete needs no network.
 */
function isInstalled() {
	const wanted = readPackages("package-lock.json");
	const there = readPackages("node_modules/.package-lock.json");
	if (wanted === undefined) fail(exits.failed, "package-lock.json is missing or damaged");
	if (there === undefined) return false;
	for (const [name, entry] of Object.entries(there)) {
		const other = wanted[name];
		if (other?.version !== entry.version || other.integrity !== entry.integrity) return false;
	}
	return Object.entries(wanted).every(
		([name, entry]) => name === "" || entry.optional || entry.devOptional || name in there,
	);
}

function readPackages(file) {
	try {
		return JSON.parse(readFileSync(path.join(root, file), "utf8")).packages;
	} catch {
		return undefined;
	}
}

function npm(rest) {
	const cli = process.env.npm_execpath;
	// The npm that started this, whatever PATH says.
	if (cli !== undefined && path.basename(cli) === "npm-cli.js") return [process.execPath, [cli, ...rest]];
	return ["npm", rest];
}

function findNode() {
	if (isNewEnough(process.version))
		return { file: process.execPath, version: process.version, where: "this machine's" };
	const file = path.join(root, "node_modules/node/bin/node");
	const { stdout, error } = spawnSync(file, ["--version"], { encoding: "utf8" });
	const version = stdout?.trim() ?? "";
	if (isNewEnough(version)) return { file, version, where: "node_modules/node" };
	return fail(
		exits.nodeVersion,
		`Node ${needed.join(".")} or later is needed; this is ${process.version}, and the package "node" ` +
			(error === undefined
				? `brought ${JSON.stringify(version)}`
				: "brought no binary (were install scripts switched off?)"),
		"Install Node 24, or let npm run the package's install script: npm ci --ignore-scripts=false",
	);
}

function isNewEnough(version) {
	const [major = 0, minor = 0] = version.replace(/^v/, "").split(".").map(Number);
	return major > needed[0] || (major === needed[0] && minor >= needed[1]);
}

/** Runs a program to its end; its exit code, or 128 and the number of the signal that ended it. */
function run(file, argv, options) {
	return new Promise((resolve) => {
		const child = spawn(file, argv, options);
		const forward = (signal) => {
			// A terminal has sent Ctrl-C to the child already; a second one would ask it to leave its work undone.
			if (signal === "SIGINT" && (process.stdin.isTTY || process.stdout.isTTY)) return;
			child.kill(signal);
		};
		const signals = ["SIGINT", "SIGTERM", "SIGHUP"];
		for (const signal of signals) process.on(signal, forward);
		const end = (code) => {
			for (const signal of signals) process.off(signal, forward);
			resolve(code);
		};
		child.once("error", (error) => {
			console.error(`brewline: cannot start ${file}: ${error.message}`);
			end(exits.failed);
		});
		child.once("exit", (code, signal) => {
			end(code ?? 128 + (constants.signals[signal] ?? 0));
		});
	});
}

function fail(code, message, hint) {
	console.error(`brewline: ${message}`);
	if (hint !== undefined) console.error(`  ${hint}`);
	process.exit(code);
}
