import { readFile } from "node:fs/promises";
import path from "node:path";
import { describe, expect, it } from "vitest";
import { capabilitiesOf, registries, type Capabilities } from "../../src/registry/index.ts";

const page = await readFile(path.join(import.meta.dirname, "../../docs/registries.md"), "utf8");
const rows = [...page.matchAll(/^\| (.*) \|$/gm)].map(([, row]) => row!.split(" | "));
const [head, ...table] = rows.slice(
	0,
	rows.findIndex((row, at) => at > 1 && row.length !== rows[0]!.length),
);

/** A row as the page writes it, but for its hosts. */
function written(one: Capabilities): string[] {
	const { least, most } = one.pieces;
	const mebibytes = (bytes: number) => `${bytes / 1024 / 1024} MiB`;
	return [
		one.name,
		one.requestsPerMinute === null ? "not stated" : String(one.requestsPerMinute),
		one.referrers,
		one.mounts,
		one.deletes,
		most !== null ? `at most ${mebibytes(most)}` : least > 0 ? `at least ${mebibytes(least)}` : "any",
		String(one.tagsPerPage),
		`${one.lag} s`,
		one.tokenServers.length === 0 ? "none" : one.tokenServers.map((server) => `\`${server}\``).join(", "),
	];
}

describe("docs/registries.md", () => {
	it("has the table that the code goes by", () => {
		expect(table.map(([name, , ...rest]) => [name, ...rest])).toEqual(Object.values(registries).map(written));
	});

	it("names hosts that are of that kind, and explains every column", () => {
		for (const [name, hosts] of table) {
			for (const [, host] of hosts!.matchAll(/`([^`]+)`/g)) {
				const example = host!
					.replace("ACCOUNT", "123456789012")
					.replace("REGION", "eu-west-1")
					.replace("NAME", "example");
				expect(capabilitiesOf(example).name).toBe(name);
			}
		}
		for (const column of head!.slice(2)) expect(page).toContain(`- **${column}**`);
	});

	it("states the numbers of the code", async () => {
		const source = async (name: string) => readFile(path.join(import.meta.dirname, "../../src/registry", name), "utf8");
		const [auth, pace, retry] = await Promise.all(["auth.ts", "pace.ts", "retry.ts"].map(source));
		expect(auth).toContain("const maxScopes = 16;");
		expect(page).toContain("for at most 16 repositories");
		expect(pace).toMatch(/const leastRate = 1000;\nconst patience = 60_000;/);
		expect(page).toContain("less than 1,000 bytes a second for a minute");
		const [, list] = /^const settled = new Set\(\[(.*?)\]\);/ms.exec(retry!)!;
		const settled = [...list!.matchAll(/"([A-Z_]+)"/g)].map(([, code]) => code!);
		expect(settled.length).toBeGreaterThan(3);
		for (const code of settled) expect(page).toContain(`\`${code}\``);
	});
});
