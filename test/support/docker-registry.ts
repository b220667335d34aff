import { spawn } from "node:child_process";
import { once } from "node:events";
import { mkdir, writeFile } from "node:fs/promises";
import path from "node:path";
import { existsSync } from "node:fs";
import { createInterface } from "node:readline";
import { canStartEngine } from "../../src/engine/index.ts";
import { enginePackages, fetchPackages, packageFile, readOsRelease } from "../../src/engine/packages.ts";
import { hosts } from "../../src/engine/targets.ts";
import { nodeIo } from "../../src/io/index.ts";
import { engineFolder, engineMode } from "./engine.ts";

export interface DockerRegistry extends AsyncDisposable {
	/** `127.0.0.1:PORT` */
	readonly host: string;
	close(): Promise<void>;
}

/** Where a registry sends for tokens, and whose it believes. */
export interface TokenAuth {
	readonly realm: string;
	readonly service: string;
	readonly issuer: string;
	/** The issuer's, as PEM. */
	readonly certificate: string;
}

/**
 * The file of Debian's `docker-registry`, brought as an engine's packages are; a text says why there is none.
 */
export async function dockerRegistryBinary(): Promise<{ readonly binary: string } | { readonly unavailable: string }> {
	const host = hosts[process.arch]?.debian ?? process.arch;
	const item = enginePackages(host).find(({ name }) => name === "docker-registry")!;
	const binary = packageFile(engineFolder, item);
	if (!existsSync(binary)) {
		// Where an engine can be had, so can this, which is one of its packages.
		if (engineMode() !== "auto" || !(await canStartEngine())) return { unavailable: "it comes with a private engine" };
		const codename = (await readOsRelease()).get("VERSION_CODENAME") ?? "";
		await fetchPackages(nodeIo(), engineFolder, codename, host, [item]);
	}
	return { binary };
}

/** Debian's `docker-registry` (distribution) on a port of the system's choice, with its content in a folder. */
export async function startDockerRegistry(
	binary: string,
	directory: string,
	token?: TokenAuth,
): Promise<DockerRegistry> {
	const content = path.join(directory, "content");
	await mkdir(content, { recursive: true });
	const config = path.join(directory, "config.yml");
	const trusted = path.join(directory, "trusted.pem");
	if (token !== undefined) await writeFile(trusted, token.certificate);
	// JSON is YAML.
	await writeFile(
		config,
		JSON.stringify({
			version: "0.1",
			log: { level: "info", accesslog: { disabled: true } },
			storage: { filesystem: { rootdirectory: content }, delete: { enabled: true } },
			http: { addr: "127.0.0.1:0" },
			...(token === undefined
				? {}
				: {
						auth: {
							token: { realm: token.realm, service: token.service, issuer: token.issuer, rootcertbundle: trusted },
						},
					}),
		}),
	);
	// Its configuration can be overridden by REGISTRY_…, so it gets no variable; it ends with this process, however that ends.
	const child = spawn("setpriv", ["--pdeathsig", "KILL", binary, "serve", config], {
		env: {},
		stdio: ["ignore", "ignore", "pipe"],
	});
	const exited = once(child, "close");
	const said: string[] = [];
	const lines = createInterface(child.stderr);
	const ended = exited.then(() => {
		throw new Error(`docker-registry ended: ${said.join("\n")}`);
	});
	const listening = new Promise<string>((resolve) => {
		lines.on("line", (line) => {
			const found = /listening on (127\.0\.0\.1:\d+)/.exec(line);
			if (found !== null) resolve(found[1]!);
			else if (said.length < 20) said.push(line);
		});
	});
	const host = await Promise.race([listening, ended]);
	// It ends when it is closed.
	ended.catch(() => {});
	const close = async (): Promise<void> => {
		child.kill("SIGKILL");
		await exited;
	};
	return { host, close, [Symbol.asyncDispose]: close };
}
