import { expect, test } from "vitest";
import { entrypointFile, passesOn } from "./entrypoint.ts";

test.each([
	['COPY start.sh /usr/local/bin/\nENTRYPOINT ["start.sh"]', "start.sh"],
	['COPY start.sh /usr/local/bin\nENTRYPOINT ["/usr/local/bin/start.sh"]', "start.sh"],
	['COPY ./rootfs/start.sh /start\nENTRYPOINT ["/start", "--x"]', "./rootfs/start.sh"],
	['COPY ["a b.sh", "c.sh", "/"]\nENTRYPOINT ["tini", "--", "/a b.sh"]', "a b.sh"],
	['COPY a.sh b.sh /bin/\nENTRYPOINT ["/bin/sh", "/bin/b.sh"]', "b.sh"],
	// The last of several counts, also of those with the same name in the image.
	['COPY a/x /x\nCOPY b/x /x\nENTRYPOINT ["/y"]\nENTRYPOINT ["/x"]', "b/x"],
	['COPY x /\nENTRYPOINT ["/x"]\nFROM b\nCOPY x /', undefined],
	['AS one\nCOPY x /\nENTRYPOINT ["/x"]\nFROM one', "x"],
	['AS one\nCOPY a/x /\nENTRYPOINT ["/x"]\nFROM one AS two\nCOPY b/x /\nFROM two', "b/x"],
	['COPY --from=b x /\nENTRYPOINT ["/x"]', undefined],
	['COPY *.sh /\nENTRYPOINT ["/x.sh"]', undefined],
	["COPY x.sh /\nENTRYPOINT /x.sh", undefined],
	['COPY x.sh /\nENTRYPOINT ["/x.sh"', undefined],
	['COPY x.sh /\nENTRYPOINT ["/x.sh"]\nENTRYPOINT []', undefined],
	["RUN <<EOF\n", undefined],
])("the entrypoint of %j", (text, file) => {
	expect(entrypointFile(text.startsWith("AS") ? `FROM a ${text}` : `FROM a\n${text}`, "Dockerfile")).toBe(file);
});

test.each([
	['#!/bin/sh\nset -e\nexec "$@"\n', true],
	['#!/usr/bin/env bash\nif [ "$1" = x ]; then exec gosu x "$@"; fi\n"$@"\n', true],
	["#!/bin/bash -e\nmain() {\n\t[ x ] && exec app\n}\n", true],
	['#!/bin/sh\nexec \\\n\t"$@"\n', true],
	["#!/bin/sh\napp\n", false],
	["#!/bin/dash\n# exec app\napp\necho exec app\n", false],
	["#!/bin/sh\nexec 2>&1\nexec >log\nexec {fd}>log\napp\n", false],
	["#!/bin/sh\nno-exec x\nexecute x\n", false],
	["#!/bin/sh\n. /other.sh\n", true],
	["#!/usr/bin/python3\nprint(1)\n", true],
	["\u007fELF", true],
	["", true],
])("%j passes on: %j", (script, does) => {
	expect(passesOn(script)).toBe(does);
});
