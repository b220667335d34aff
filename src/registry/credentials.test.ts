import { mkdir, mkdtemp, rm, symlink, writeFile, chmod } from "node:fs/promises";
import { tmpdir } from "node:os";
import path from "node:path";
import { expect, test } from "vitest";
import { testIo } from "../../test/support/scripted.ts";
import { dockerCredentials } from "./index.ts";

const encoded = (text: string) => Buffer.from(text).toString("base64");

async function configured(config: unknown, helpers: Readonly<Record<string, string>> = {}) {
	const directory = await mkdtemp(path.join(tmpdir(), "credentials-"));
	const bin = path.join(directory, "bin");
	await mkdir(bin);
	if (config !== undefined) {
		await writeFile(path.join(directory, "config.json"), typeof config === "string" ? config : JSON.stringify(config));
	}
	for (const [name, script] of Object.entries(helpers)) {
		const file = path.join(bin, `docker-credential-${name}`);
		await writeFile(file, `#!/bin/sh\n${script}\n`);
		await chmod(file, 0o755);
	}
	const io = testIo({ env: { PATH: `${bin}:${process.env["PATH"]}` } });
	return {
		directory,
		of: (host: string) => dockerCredentials(io, { directory })(host),
		[Symbol.asyncDispose]: () => rm(directory, { recursive: true }),
	};
}

test.each([
	["auth", "ghcr.io", { auth: encoded("user:pa:ss\0\0") }, { username: "user", password: "pa:ss" }],
	["username and password", "ghcr.io", { username: "user", password: "pw" }, { username: "user", password: "pw" }],
	[
		"an identity token",
		"ghcr.io",
		{ auth: encoded("user:"), identitytoken: "id" },
		{ username: "user", identityToken: "id" },
	],
	["an identity token alone", "ghcr.io", { identitytoken: "id" }, { identityToken: "id" }],
	["a registry token", "ghcr.io", { registrytoken: "rt" }, { registryToken: "rt" }],
	[
		"a path, as older Dockers wrote",
		"https://ghcr.io/v2/",
		{ auth: encoded("user:pw") },
		{ username: "user", password: "pw" },
	],
])("an entry with %s", async (_, name, entry, expected) => {
	await using config = await configured({ auths: { [name]: entry, "other.example": { auth: encoded("o:o") } } });
	expect(await config.of("ghcr.io")).toEqual({ ...expected, origin: `${config.directory}/config.json: auths` });
});

test.each([
	"https://index.docker.io/v1/",
	"docker.io",
	"index.docker.io",
	"registry-1.docker.io",
	"https://registry.hub.docker.com/v2/",
])("Docker Hub under the name %s", async (name) => {
	await using config = await configured({ auths: { [name]: { auth: encoded("user:pw") } } });
	expect(await config.of("docker.io")).toMatchObject({ username: "user" });
	expect(await config.of("registry-1.docker.io")).toMatchObject({ username: "user" });
});

test.each([
	["no file", undefined],
	["no entries", {}],
	["entries of another form", { auths: [], credHelpers: "x", credsStore: "" }],
	[
		"another host's",
		{ auths: { "ghcr.io.evil.example": { auth: encoded("a:b") }, "x.io/ghcr.io": { auth: encoded("a:b") } } },
	],
	["an empty entry", { auths: { "ghcr.io": {} } }],
	["a name alone", { auths: { "ghcr.io": { username: "x" } } }],
])("%s: none", async (_, content) => {
	await using config = await configured(content);
	expect(await config.of("ghcr.io")).toBeUndefined();
});

test.each([
	["not JSON", '{"auths":{"ghcr.io":{"auth":"c2VjcmV0', "is not a JSON object"],
	["an entry without a colon", { auths: { "ghcr.io": { auth: encoded("secret") } } }, "is not a name and a password"],
	["a helper that climbs", { credsStore: "../../secret" }, "names a helper that cannot be one"],
	["a helper that is none", { credHelpers: { "ghcr.io": 7 } }, "names a helper that cannot be one"],
	["a helper that is not there", { credsStore: "nowhere" }, "cannot run"],
])("%s is an error that shows no secret", async (_, content, message) => {
	await using config = await configured(content);
	const error = await config.of("ghcr.io").catch((e: unknown) => e);
	expect(error).toMatchObject({ code: "credentials", message: expect.stringContaining(message) });
	for (const secret of ["secret", "c2VjcmV0"]) expect((error as Error).message).not.toContain(secret);
});

test("a folder in place of the file is an error", async () => {
	await using config = await configured(undefined);
	await mkdir(path.join(config.directory, "config.json"));
	await expect(config.of("ghcr.io")).rejects.toMatchObject({
		code: "credentials",
		message: expect.stringContaining("cannot read"),
	});
});

const echo = `read -r server; printf '{"ServerURL":"%s","Username":"%s","Secret":"for %s"}' "$server" user "$server"`;

test("helpers are asked on standard input, by host before the store, before entries", async () => {
	await using config = await configured(
		{ credsStore: "store", credHelpers: { "ghcr.io": "one" }, auths: { "quay.io": { auth: encoded("a:b") } } },
		{
			one: echo,
			store: `read -r server; [ "$server" != quay.io ] || { echo "credentials not found in native keychain"; exit 1; }; printf '{"Username":"<token>","Secret":"%s"}' "$server"`,
		},
	);
	expect(await config.of("ghcr.io")).toEqual({
		username: "user",
		password: "for ghcr.io",
		origin: `${config.directory}/config.json: credHelpers: docker-credential-one`,
	});
	expect(await config.of("docker.io")).toMatchObject({ identityToken: "https://index.docker.io/v1/" });
	expect(await config.of("quay.io")).toMatchObject({ username: "a" });
});

test("a helper of Docker Hub is found under its names", async () => {
	await using config = await configured({ credHelpers: { "docker.io": "one" } }, { one: echo });
	expect(await config.of("docker.io")).toMatchObject({ password: "for docker.io" });
});

test.each([
	["fails", "echo hunter2; echo hunter2 >&2; exit 3", "with exit code 3"],
	["is killed", "kill -9 $$", "with signal SIGKILL"],
	["says something else", `echo '{"Username":"hunter2"}'`, "something else"],
	["says no JSON", "echo hunter2", "something else"],
])("a helper that %s is an error that shows nothing of it", async (_, script, message) => {
	await using config = await configured({ credsStore: "bad" }, { bad: script });
	const error = await config.of("ghcr.io").catch((e: unknown) => e);
	expect(error).toMatchObject({ code: "credentials", message: expect.stringContaining(message) });
	expect((error as Error).message).not.toContain("hunter2");
});

test("the folder is DOCKER_CONFIG, else .docker at home, else nowhere", async () => {
	await using config = await configured({ auths: { "ghcr.io": { auth: encoded("user:pw") } } });
	const home = path.join(config.directory, "home");
	await mkdir(home);
	await symlink(config.directory, path.join(home, ".docker"));
	const io = testIo();
	const ask = (env: Record<string, string>) => dockerCredentials({ ...io, env })("ghcr.io");
	expect(await ask({ DOCKER_CONFIG: config.directory })).toMatchObject({ username: "user" });
	expect(await ask({ DOCKER_CONFIG: "", HOME: home })).toMatchObject({ username: "user" });
	expect(await ask({ USERPROFILE: home })).toMatchObject({ username: "user" });
	expect(await ask({ HOME: "" })).toBeUndefined();
	expect(await ask({})).toBeUndefined();
});
