import { execFileSync, spawn, spawnSync } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import http from "node:http";
import https from "node:https";
import net, { type AddressInfo } from "node:net";
import { tmpdir } from "node:os";
import path from "node:path";
import { text } from "node:stream/consumers";
import { afterAll, beforeAll, describe, expect, it, test } from "vitest";
import { reply, scripted } from "../../test/support/scripted.ts";
import { nodeIo } from "../io/index.ts";
import { parseReference } from "../oci/index.ts";
import { createRegistryClient } from "./index.ts";

/** A proxy that knows one name in the world, and where to find it; what it was asked, and with what credentials. */
async function proxy(target: () => number) {
	const asked: string[] = [];
	const sockets = new Set<net.Socket>();
	const server = http.createServer((request, response) => {
		asked.push(`${request.method} ${request.url} ${request.headers["proxy-authorization"] ?? ""}`.trim());
		reply(response, 200, {}, "{}");
	});
	server.on("connect", (request, socket: net.Socket) => {
		asked.push(`CONNECT ${request.url} ${request.headers["proxy-authorization"] ?? ""}`.trim());
		const onward = net.connect(target(), "127.0.0.1", () => {
			socket.write("HTTP/1.1 200 Connection established\r\n\r\n");
			onward.pipe(socket).pipe(onward);
		});
		for (const one of [socket, onward]) {
			sockets.add(one);
			one.on("error", () => {});
		}
	});
	await new Promise<void>((resolve) => {
		server.listen(0, "127.0.0.1", resolve);
	});
	return {
		asked,
		address: `127.0.0.1:${(server.address() as AddressInfo).port}`,
		[Symbol.asyncDispose]: () =>
			new Promise<void>((resolve) => {
				server.close(() => resolve());
				server.closeAllConnections();
				for (const socket of sockets) socket.destroy();
			}),
	};
}

describe("plain HTTP", () => {
	const get = (env: Record<string, string>, host: string) =>
		createRegistryClient(nodeIo({ env }), { plainHttp: ["registry.internal"] }).getManifest(
			parseReference(`${host}/name:tag`),
		);

	test("goes through HTTP_PROXY, but for NO_PROXY", async () => {
		await using between = await proxy(() => 0);
		await using server = await scripted((_, response) => reply(response, 404));
		const env = { HTTP_PROXY: `http://user:pa%20ss@${between.address}`, NO_PROXY: "127.0.0.1" };
		expect(await get(env, "registry.internal")).toMatchObject({ bytes: Buffer.from("{}") });
		expect(await get(env, server.host)).toBeUndefined();
		const credentials = Buffer.from("user:pa ss").toString("base64");
		expect(between.asked).toEqual([`GET http://registry.internal/v2/name/manifests/tag Basic ${credentials}`]);
		expect(server.headers[0]).not.toHaveProperty("proxy-authorization");
	});
});

const hasOpenssl = spawnSync("openssl", ["version"]).status === 0;
// oxlint-disable-next-line vitest/no-disabled-tests -- it is counted and named at the end of every run
if (!hasOpenssl) it.skip("HTTPS (openssl, which makes the certificates, is not installed)", () => {});

describe.runIf(hasOpenssl)("HTTPS", () => {
	const folder = mkdtempSync(path.join(tmpdir(), "brewline-proxy-"));
	const file = (name: string) => path.join(folder, name);
	const openssl = (...args: string[]) => execFileSync("openssl", args, { cwd: folder, stdio: "pipe" });
	const seen: string[] = [];
	let server: https.Server;

	beforeAll(async () => {
		const key = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-days", "2"];
		openssl("req", "-x509", ...key, "-keyout", "ca.key", "-out", "ca.pem", "-subj", "/CN=Test authority");
		openssl(
			"req",
			...key.slice(0, 4),
			"-nodes",
			"-keyout",
			"server.key",
			"-out",
			"server.csr",
			"-subj",
			"/CN=registry",
		);
		writeFileSync(file("names"), "subjectAltName=DNS:registry.example.org\n");
		const signing = ["-CA", "ca.pem", "-CAkey", "ca.key", "-CAcreateserial", "-extfile", "names", "-days", "2"];
		openssl("x509", "-req", "-in", "server.csr", ...signing, "-out", "server.pem");
		server = https.createServer(
			{ key: readFileSync(file("server.key")), cert: readFileSync(file("server.pem")) },
			(request, response) => {
				seen.push(`${request.method} ${request.headers.host}${request.url}`);
				if (request.headers.authorization === undefined) reply(response, 401, { "www-authenticate": "Basic" });
				else reply(response, 200, { "content-type": "text/plain" }, "{}");
			},
		);
		await new Promise<void>((resolve) => {
			server.listen(0, "127.0.0.1", resolve);
		});
	});
	afterAll(() => {
		server.closeAllConnections();
		server.close();
		rmSync(folder, { recursive: true, force: true });
	});

	/** In a process of its own: Node reads further authorities when it starts. */
	async function get(
		env: Record<string, string>,
	): Promise<{ readonly type?: string; readonly error?: string; readonly hint?: string }> {
		const module = (name: string) => JSON.stringify(new URL(name, import.meta.url).href);
		const script = `
			import { nodeIo } from ${module("../io/index.ts")};
			import { parseReference } from ${module("../oci/index.ts")};
			import { createRegistryClient } from ${module("./index.ts")};
			const credentials = () => Promise.resolve({ username: "u", password: "p", origin: "test" });
			const client = createRegistryClient(nodeIo(), { credentials, retry: { tries: 2, firstDelay: 1 } });
			const result = await client.getManifest(parseReference("registry.example.org/name:tag")).then(
				(found) => ({ type: found.mediaType }),
				({ message, hint }) => ({ error: message, hint }),
			);
			process.stdout.write(JSON.stringify(result));
			process.exit();
		`;
		const child = spawn(process.execPath, ["--input-type=module", "-e", script], {
			env,
			stdio: ["ignore", "pipe", "inherit"],
		});
		return JSON.parse(await text(child.stdout)) as Awaited<ReturnType<typeof get>>;
	}

	test("goes through a tunnel of HTTPS_PROXY, to a server of an authority that the environment names", async () => {
		await using between = await proxy(() => (server.address() as AddressInfo).port);
		const env = { HTTPS_PROXY: `http://${between.address}`, NODE_EXTRA_CA_CERTS: file("ca.pem") };
		expect(await get(env)).toEqual({ type: "text/plain" });
		// The proxy sees the name, and nothing of what is said; one tunnel does for both requests.
		expect(between.asked).toEqual(["CONNECT registry.example.org:443"]);
		expect(seen).toEqual([
			"GET registry.example.org/v2/name/manifests/tag",
			"GET registry.example.org/v2/name/manifests/tag",
		]);
	});

	test("is refused where nobody vouches for the server, and says what would help", async () => {
		await using between = await proxy(() => (server.address() as AddressInfo).port);
		seen.length = 0;
		const result = await get({ https_proxy: `http://${between.address}` });
		expect(result.error).toMatch(/^reading registry\.example\.org\/name:tag failed: .*certificate/);
		expect(result.hint).toContain("NODE_EXTRA_CA_CERTS");
		expect(between.asked).toHaveLength(1);
		expect(seen).toEqual([]);
	});

	test("does not go on without the proxy that is set", async () => {
		const down = await proxy(() => 0);
		await down[Symbol.asyncDispose]();
		const result = await get({ HTTPS_PROXY: `http://${down.address}`, NODE_EXTRA_CA_CERTS: file("ca.pem") });
		expect(result.error).toMatch(/failed 2 times: .*ECONNREFUSED/);
		expect(result.hint).toContain("proxy");
	});
});
