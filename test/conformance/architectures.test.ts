import { execFileSync } from "node:child_process";
import { mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import os from "node:os";
import path from "node:path";
import { afterAll, expect, test } from "vitest";
import { edited, editsOf, unifiedDiff } from "../../src/check/index.ts";
import { dockerProgram } from "../../src/config/index.ts";
import { decodeText, encodeText, parseDefinition } from "../../src/definition/index.ts";
import { conformance, describeConformance } from "../support/conformance.ts";

const order = Object.keys(dockerProgram.architectures);

describeConformance("library-2026-08", () => {
	const folder = mkdtempSync(path.join(os.tmpdir(), "brewline-architectures-"));
	afterAll(() => rmSync(folder, { recursive: true }));
	const source = conformance("library-2026-08");

	test.each([
		["drops", "s390x"],
		["drops", "arm32v5"],
		["drops", "amd64"],
		["gains", "mips64le"],
	] as const)("an architecture that every definition %s: %s", (change, arch) => {
		const where = mkdtempSync(path.join(folder, "apply-"));
		mkdirSync(path.join(where, "library"));
		const after = new Map<string, Buffer>();
		let patch = "";
		let changed = 0;
		for (const name of readdirSync(source)) {
			const text = decodeText(readFileSync(path.join(source, name)));
			writeFileSync(path.join(where, "library", name), encodeText(text));
			const options = { file: name, architectures: order, defaultArchitecture: dockerProgram.defaultArchitecture };
			const definition = parseDefinition(text, options);
			const entries = definition.unmerged.flatMap((entry) => {
				const { Architectures } = entry;
				if (Architectures.includes(arch) === (change === "gains")) return [];
				const architectures =
					change === "gains" ? [...Architectures, arch] : Architectures.filter((other) => other !== arch);
				return [{ image: name, definition, entry, architectures }];
			});
			changed += entries.length;
			// What comes out is read again, and compared with what was meant.
			const edits = editsOf(text, entries, order);
			after.set(name, encodeText(edited(text, edits)));
			patch += unifiedDiff(`library/${name}`, text, edits);
		}
		expect(changed).toBeGreaterThan(100);
		const env = { ...process.env, GIT_CEILING_DIRECTORIES: folder };
		execFileSync("git", ["apply", "-"], { cwd: where, input: encodeText(patch), env });
		for (const [name, bytes] of after) {
			expect({ name, same: readFileSync(path.join(where, "library", name)).equals(bytes) }).toEqual({
				name,
				same: true,
			});
		}
		const lines = patch.split("\n").filter((line) => /^[+-](?![+-])/.test(line));
		expect(lines.filter((line) => !/^[+-]Architectures: /.test(line))).toEqual([]);
	});
});
