import { describe, expect, test } from "vitest";
import type { SourceCandidate } from "../sources/index.ts";
import { checkGuidelines } from "./guidelines.ts";
import { commandsOf } from "./shell.ts";

const candidate: SourceCandidate = {
	name: "app",
	tags: ["1"],
	arch: "amd64",
	at: { file: "library/app", line: 5 },
	place: {
		GitRepo: "https://git.example.com/app.git",
		GitFetch: "refs/heads/main",
		GitCommit: "0123456789012345678901234567890123456789",
		Directory: "1",
		File: "Dockerfile",
		Builder: "",
	},
};

/** `RULE LINE` of each finding. */
function found(text: string): readonly string[] {
	return checkGuidelines([{ candidate, file: "1/Dockerfile", text }]).map(
		({ rule, source }) => `${rule} ${source?.line}`,
	);
}

const run = (...lines: readonly string[]): string => `FROM debian:trixie\nRUN ${lines.join(" \\\n\t")}\n`;
const fingerprint = "0123456789ABCDEF0123456789ABCDEF01234567";

describe("guidelines", () => {
	test.each([
		["FROM a\nADD https://example.com/x.tar.gz /", ["add-url 2"]],
		["FROM a\nADD --checksum=sha256:00 https://example.com/x.tar.gz /", []],
		['FROM a\nADD ["http://example.com/x", "/"]', ["add-url 2"]],
		["FROM a\nADD x.tar.gz /", []],
		["FROM a\nADD --checksum=sha256:00 https://example.com/x-latest.tar.gz /", ["version-unpinned 2"]],
		["FROM a\nADD latest/x.tar.gz /", []],
		["FROM a\nRUN git clone https://example.com/x.git", ["version-unpinned 2"]],
		["FROM a\nRUN git clone -b main https://example.com/x.git", ["version-unpinned 2"]],
		["FROM a\nRUN git clone --branch=HEAD https://example.com/x.git", ["version-unpinned 2"]],
		["FROM a\nRUN git clone --depth 1 --branch v1.2 https://example.com/x.git", []],
		["FROM a\nRUN git clone --revision=refs/tags/v1 https://example.com/x.git", []],
		["FROM a\nRUN git clone https://example.com/x.git && git -C x checkout $COMMIT", []],
		["FROM a\nCOPY . /app", ["copy-all 2"]],
		["FROM a\nCOPY --chown=1 ./ /app", ["copy-all 2"]],
		['FROM a\nADD [".", "/app"]', ["copy-all 2"]],
		["FROM a\nCOPY * /app", ["copy-all 2"]],
		["FROM a\nCOPY --from=b . /app", []],
		["FROM a\nCOPY x .", []],
		["FROM a\nCOPY ./x ./y/ /app/", []],
		["FROM a\nCMD server --port 1", ["shell-form 2"]],
		["FROM a\nENTRYPOINT /run.sh", ["shell-form 2"]],
		['FROM a\nENTRYPOINT ["/run.sh"]\nCMD ["x"]', []],
		["FROM a\nHEALTHCHECK CMD curl -f http://localhost/ || exit 1", ["healthcheck 2"]],
		["FROM a\nHEALTHCHECK NONE", []],
		["FROM a\nRUN --security=insecure true", ["privileged 2"]],
		["FROM a\nRUN --network=none true", []],
		["FROM a\nENV GPG_KEYS 01234567 x", ["gpg-fingerprint 2"]],
		[`FROM a\nENV GPG_KEY=0x${fingerprint}`, []],
	])("%j", (text, rules) => {
		expect(found(text)).toEqual(rules);
	});

	test.each([
		[
			["set -eux;", "apt-get update;", "apt-get install -y --no-install-recommends x;", "rm -rf /var/lib/apt/lists/*"],
			[],
		],
		[["apt-get update"], ["apt-update-alone 2", "apt-lists 2"]],
		[["set -e;", "apt-get update;", "xargs apt-get install --no-install-recommends < x"], ["apt-lists 3"]],
		[["apt-get update", "&& apt-get install -y x", "&& rm -rf /var/lib/apt/lists/*"], ["apt-recommends 3"]],
		[["apt-get -o APT::Install-Recommends=false install -y x"], []],
		[["apt-get install -y --no-install-recommends x # install"], []],
		[["gpg --keyserver x --recv-keys", fingerprint], ["gpg-batch 2"]],
		[["gpg1 --keyserver x --recv-keys", fingerprint], ["gpg-batch 2"]],
		[["gpg --batch --recv-keys 0x01234567"], ["gpg-fingerprint 2"]],
		[["gpg --batch --recv-keys", fingerprint, "FEDCBA9876543210"], ["gpg-fingerprint 4"]],
		[["gpg --version"], []],
		[["curl -fsSLk https://example.com/x -o x", "&& echo '00 *x' | sha256sum -c -"], ["download-insecure 2"]],
		[["curl -fsSLo key https://example.com/x", "&& sha512sum -c sums"], []],
		[["curl --insecure -O https://example.com/x"], ["download-insecure 2", "download-unverified 2"]],
		[["wget --no-check-certificate https://example.com/x"], ["download-insecure 2", "download-unverified 2"]],
		[["wget -O x http://example.com/x"], ["download-http 2"]],
		[["wget -O x http://example.com/x", "&& gpg --batch --verify x.asc x"], []],
		[["curl -f http://localhost:8080/"], []],
		[
			["set -e;", "wget https://example.com/x;", "md5sum -c x.md5"],
			["download-unverified 3", "weak-checksum 4"],
		],
		[["wget https://example.com/x", "&& sha1sum -c x.sha1", "&& sha256sum -c x.sha256"], []],
		[["sha1sum x > x.sha1"], []],
		[["cd /x;", "make;", "make install"], ["set-e 2"]],
		[["set -x;", "make;", "make install"], ["set-e 3"]],
		[["set -x && make && make install"], []],
		[["set -o errexit;", "make;", "make install"], []],
		[["for x in a b; do", "make $x;", "done"], []],
		[["case $x in", "a|b) make;; *) true;; esac"], []],
		[["if make; then true; else false; fi", "&& make install"], []],
		[["export A=1; make"], []],
		[["make;"], []],
		[["set -x;", "make", "-j 4;", "true"], ["set-e 3"]],
		[["--mount=type=cache,target=/var/lib/apt apt-get update", "&& apt-get install -y --no-install-recommends x"], []],
	])("RUN %j", (lines, rules) => {
		expect(found(run(...lines))).toEqual(rules);
	});

	test("what a server has as its newest is taken by no name of a version", () => {
		const fetched = (url: string): readonly string[] => found(run(`curl -fsSL ${url} | sha256sum -c x`));
		expect(fetched("https://example.com/a/releases/latest/download/x")).toEqual(["version-unpinned 2"]);
		expect(fetched("https://example.com/a/latest")).toEqual(["version-unpinned 2"]);
		expect(fetched("https://example.com/x-latest.tar.gz?a")).toEqual(["version-unpinned 2"]);
		expect(fetched("https://example.com/a/v1.2/latestish-1.2.tar.gz")).toEqual([]);
	});

	test.each([
		["pip install foo", "pip install takes foo as it is"],
		["pip3 --no-cache-dir install --upgrade pip setuptools==1.2", "pip install takes pip as it is"],
		["python3 -m pip install 'foo[bar]>=1.0' baz~=1.2", "pip install takes foo[bar]>=1.0, baz~=1.2 as they are"],
		["/opt/venv/bin/pip3.13 install -i https://pypi.example.com/ foo > log 2>&1", "pip install takes foo as it is"],
		["pip install a b c d e f g", "pip install takes a, b, c, d, e and 2 more as they are"],
		["pip install foo==1.*", "pip install takes foo==1.* as it is"],
		["npm install -g foo", "npm install takes foo as it is"],
		["npm -g i @scope/foo bar@latest baz@^1.2.3", "npm install takes @scope/foo, bar@latest, baz@^1.2.3 as they are"],
		["npm install --location=global foo@10", "npm install takes foo@10 as it is"],
		["gem install --no-document foo -- --with-x", "gem install takes foo as it is"],
		["gem install foo -v '~> 2.0'", "gem install takes foo as it is"],
	])("%s takes what is the newest", (command, message) => {
		const text = `FROM a\nRUN set -e; \\\n\ttrue; \\\n\t${command}\n`;
		const drafts = checkGuidelines([{ candidate, file: "Dockerfile", text }]);
		expect(drafts.map(({ rule, source, message: told }) => [rule, source?.line, told])).toEqual([
			["version-unpinned", 4, `${message} on that day`],
		]);
	});

	test.each([
		"pip install 'foo==1.2' bar[baz]===3.0",
		"pip install foo==$FOO_VERSION $MORE ${OTHER:-x}",
		"pip install -r requirements.txt --no-cache-dir",
		"pip install -rrequirements.txt --target x . ./foo foo-1.whl https://example.com/foo.zip git+https://example.com/foo",
		"pip install -c constraints.txt foo",
		"pip install --no-index --find-links=/wheels foo",
		"xargs pip install < packages.txt",
		"pip uninstall foo",
		"pip --version",
		"apt-get install --no-install-recommends pip npm gem",
		"npm install",
		"npm ci",
		"npm install foo",
		"npm install -g foo@1.2.3 @scope/foo@1.2.3-rc.1 ./bar.tgz foo@$FOO",
		"npm --prefix /x install -g npm@$NPM_VERSION",
		"gem install foo:1.2 bar -v 2",
		'gem install foo --version "$FOO_VERSION"',
		"gem install foo:2.3.4 bar.gem",
		"gem install -v2.3 foo",
		"gem install -g Gemfile",
		"echo 'pip install foo'",
	])("%s takes what it names", (command) => {
		expect(found(run(command))).toEqual([]);
	});

	test("an entrypoint has to exec what it starts; the same one is told once for an image", () => {
		const starting = (text: string, name = "app") => ({
			candidate: { ...candidate, name },
			file: "1/Dockerfile",
			text: "FROM a\n",
			entrypoint: { file: "1/start.sh", text },
		});
		const [bad, good] = [starting("#!/bin/sh\napp\n"), starting('#!/bin/sh\nexec "$@"\n')];
		const drafts = checkGuidelines([good, bad, bad, starting("#!/bin/sh\napp\n", "other")]);
		expect(drafts.map(({ rule, image, source }) => [rule, image, source?.file, source?.line])).toEqual([
			["entrypoint-exec", "app", "1/start.sh", 1],
			["entrypoint-exec", "other", "1/start.sh", 1],
		]);
	});

	test("heredocs are scripts, and their lines are told", () => {
		expect(found("FROM a\nRUN <<EOF\nset -x\nmake\ncurl -k https://localhost/\ntrue\nEOF\n")).toEqual([
			"download-insecure 5",
			"set-e 4",
		]);
		expect(found("FROM a\nRUN <<EOF\nset -e\nmake\ntrue\nEOF\n")).toEqual([]);
		expect(found("FROM a\nRUN <<EOF\n#!/bin/sh -e\nmake\ntrue\nEOF\n")).toEqual([]);
	});

	test("a shell may end at the first error by itself; those of Windows are not read", () => {
		expect(found('FROM a\nSHELL ["bash", "-eo", "pipefail", "-c"]\nRUN make; true')).toEqual([]);
		expect(found('FROM a\nSHELL ["bash", "-ec"]\nFROM b\nRUN make; true')).toEqual(["set-e 4"]);
		expect(found('FROM a\nSHELL ["powershell", "-Command"]\nRUN curl -k https://example.com/x; y')).toEqual([]);
		expect(found("# escape=`\nFROM a\nRUN curl -k https://example.com/x; y")).toEqual([]);
		expect(found("FROM mcr.microsoft.com/windows/servercore:ltsc2022\nRUN curl -k https://example.com/x")).toEqual([]);
	});

	test("what another step verifies came over https", () => {
		const verified = "RUN sha256sum -c sums";
		expect(found(`FROM a\nRUN wget http://example.com/x\n${verified}`)).toEqual(["download-http 2"]);
		expect(found(`FROM a\nRUN wget https://example.com/x\n${verified}`)).toEqual([]);
	});

	test("what an earlier stage leaves behind is not in the image", () => {
		const stage = "RUN apt-get update && apt-get install -y x";
		expect(found(`FROM a AS build\n${stage}\nFROM a\nCOPY --from=build /x /x`)).toEqual([]);
		expect(found(`FROM a AS build\n${stage}\nFROM build`)).toEqual(["apt-lists 2", "apt-recommends 2"]);
	});

	test("a finding names entry, commit and line", () => {
		const [finding] = checkGuidelines([{ candidate, file: "1/Dockerfile", text: "FROM a\nCMD x" }]);
		expect(finding).toMatchObject({
			image: "app",
			tag: "1",
			at: { file: "library/app", line: 5 },
			source: { repository: candidate.place.GitRepo, commit: candidate.place.GitCommit, file: "1/Dockerfile", line: 2 },
		});
	});

	test.each([
		["downloads", (n: number) => `RUN ${"curl -k http://example.com/x; ".repeat(n / 30)}`],
		["words", (n: number) => `RUN ${"shasum ".repeat(n / 7)}`],
		["redirections", (n: number) => `RUN x ${"a>&".repeat(n / 3)}`],
		["options", (n: number) => `RUN apt-get ${"a ".repeat(n / 2)}`],
		["calls", (n: number) => `RUN ${"apt-get update apt-get ".repeat(n / 23)}`],
		["braces", (n: number) => `RUN ${"${".repeat(n / 2)}`],
		["brackets", (n: number) => `RUN ${"(".repeat(n / 2)}${")".repeat(n / 2)}`],
		["keys", (n: number) => `ENV ${"GPG".repeat(n / 3)}`],
		["stages", (n: number) => Array.from({ length: n / 20 }, (_, at) => `FROM s${at} AS s${at + 1}`).join("\n")],
		["apt", (size: number) => `RUN apt-get install x && true ${"apt x ".repeat(size / 6)}`],
		["packages", (n: number) => `RUN pip install ${"a ".repeat(n / 2)}`],
		["installs", (n: number) => `RUN ${"npm i -g a; ".repeat(n / 12)}`],
		["a package", (n: number) => `RUN npm i -g ${"@a".repeat(n / 4)}${"1.".repeat(n / 4)}`],
		["equals signs of pip", (n: number) => `RUN pip install a${"=".repeat(n)}*`],
		["equals signs of gem", (n: number) => `RUN gem install a -v ${"=".repeat(n)}`],
		["programs", (n: number) => `RUN ${"gem ".repeat(n / 4)}`],
		["an option", (size: number) => `RUN md5sum -${"c".repeat(size)}-`],
	])("a megabyte of %s is dealt with, in few findings", (_, make) => {
		expect(found(`FROM a\n${make(1_000_000)}\n`).length).toBeLessThan(100);
	});
});

describe("commands of a script", () => {
	const words = (script: string): readonly string[] =>
		commandsOf(script).map((command) => `${command.words.join(" ")} ${command.end}${command.depth}`);

	test.each([
		["a b && c || d", ["a b &&0", "c ||0", "d 0"]],
		["X=1 a; b", ["a ;0", "b 0"]],
		["'a b' \"c; d\" e\\ f", ["a b c; d e f 0"]],
		['"a\\"; b" c', ['a"; b c 0']],
		["a # b; c\nd", ["a ;0", "d 0"]],
		["a 2>&1 &>x | b &", ["a 2>&1 &>x |0", "b &0"]],
		["for x in 1 2; do a; done; b", ["a ;1", "b 0"]],
		["if a; then b; else c; fi && d", ["a ;1", "b ;1", "c &&1", "d 0"]],
		["case $x in a|b) c;; *) d;; esac; e", ["c ;1", "d ;1", "e 0"]],
		["{ a; b; } && c", ["a ;1", "b &&1", "c 0"]],
		["( a; b ); c", ["a ;1", "b ;1", "c 0"]],
		["x=$(a | b); ${c:-d e} f", ["a |1", "b ;1", "${c:-d e} f 0"]],
		["", []],
	])("%j", (script, expected) => {
		expect(words(script)).toEqual(expected);
	});
});
