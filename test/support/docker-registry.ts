import { spawn } from "node:child_process";
import { once } from "node:events";
import { mkdir, writeFile } from "node:fs/promises";
import path from "node:path";
import { createInterface } from "node:readline";

export interface DockerRegistry extends AsyncDisposable {
	/** `127.0.0.1:PORT` */
	readonly host: string;
	close(): Promise<void>;
}

/** Debian's `docker-registry` (distribution) on a port of the system's choice, with its content in a folder. */
export async function startDockerRegistry(binary: string, directory: string): Promise<DockerRegistry> {
	const content = path.join(directory, "content");
	await mkdir(content, { recursive: true });
	const config = path.join(directory, "config.yml");
	// JSON is YAML.
	await writeFile(
		config,
		JSON.stringify({
			version: "0.1",
			log: { level: "info", accesslog: { disabled: true } },
			storage: { filesystem: { rootdirectory: content }, delete: { enabled: true } },
			http: { addr: "127.0.0.1:0" },
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
