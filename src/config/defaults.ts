import { registries } from "../registry/capabilities.ts";
import type { Program } from "./types.ts";

/** Docker's own values: the defaults of every program (spec/README.md, Architectures; spec/build.md). */
export const dockerProgram: Program = {
	name: "docker-official-images",
	library: "library",
	externalPins: ".external-pins",
	architectures: {
		amd64: { platform: { os: "linux", architecture: "amd64" }, namespace: "amd64", runner: "ubuntu-24.04" },
		arm32v5: { platform: { os: "linux", architecture: "arm", variant: "v5" }, namespace: "arm32v5", runner: "arm32v5" },
		arm32v6: { platform: { os: "linux", architecture: "arm", variant: "v6" }, namespace: "arm32v6", runner: "arm32v6" },
		arm32v7: { platform: { os: "linux", architecture: "arm", variant: "v7" }, namespace: "arm32v7", runner: "arm32v7" },
		arm64v8: {
			platform: { os: "linux", architecture: "arm64", variant: "v8" },
			namespace: "arm64v8",
			runner: "ubuntu-24.04-arm",
		},
		i386: { platform: { os: "linux", architecture: "386" }, namespace: "i386", runner: "ubuntu-24.04", via: "amd64" },
		mips64le: { platform: { os: "linux", architecture: "mips64le" }, namespace: "mips64le", runner: "mips64le" },
		ppc64le: { platform: { os: "linux", architecture: "ppc64le" }, namespace: "ppc64le", runner: "ppc64le" },
		riscv64: { platform: { os: "linux", architecture: "riscv64" }, namespace: "riscv64", runner: "riscv64" },
		s390x: { platform: { os: "linux", architecture: "s390x" }, namespace: "s390x", runner: "s390x" },
		"windows-amd64": {
			platform: { os: "windows", architecture: "amd64" },
			namespace: "winamd64",
			runner: "windows-2025",
		},
	},
	defaultArchitecture: "amd64",
	registries: {
		staging: "oisupport/staging-ARCH:BUILD",
		namespace: "library",
		mirrors: {},
		plainHttp: [],
		rates: { "docker.io": registries.hub.requestsPerMinute },
		tokenServers: {},
	},
	annotations: {
		architecture: "com.docker.official-images.bashbrew.arch",
		pageOfOfficial: "https://hub.docker.com/_/{name}",
		pageOfOrganisation: "https://hub.docker.com/r/{name}",
	},
	buildkit: {
		syntax: null,
		image: "moby/buildkit:v0.26.2@sha256:de10faf919fc71ba4eb1dd7bd6449566d012b0c9436b1c61bfee21d621b009aa",
		provenanceBuilderId: "https://github.com/docker-library",
	},
	sbom: {
		generator: null,
		repositories: [],
		architectures: ["amd64", "arm32v5", "arm32v7", "arm64v8", "i386", "ppc64le", "riscv64", "s390x"],
	},
	attestations: "current",
	git: { rewrite: {}, credentials: {} },
	state: {
		repository: null,
		branch: "brewline-state",
		author: { name: "Brewline", email: "brewline@users.noreply.github.com" },
	},
	checks: {
		documentation: "https://github.com/brewline/brewline/blob/main/docs/checks.md#{rule}",
		unsupported: [
			{
				from: "scratch",
				architectures: ["windows-amd64"],
				unless: [],
				reason: "Windows images stand on one of Microsoft's",
			},
			{
				from: "ubuntu",
				architectures: ["riscv64"],
				unless: ["22.04", "24.04", "25.04", "jammy*", "noble*", "plucky*"],
				reason: "Ubuntu needs RVA23 on riscv64 from 25.10 on, which no machine has yet that builds or tests images",
			},
		],
		repeatable: [
			{ architecture: "windows-amd64", reason: "a shared tag joins images for several versions of Windows" },
		],
		demands: [
			{
				from: "mcr.microsoft.com/windows/nanoserver",
				constraint: "nanoserver",
				reason: "it runs on hosts of that version",
			},
			{
				from: "mcr.microsoft.com/windows/servercore",
				constraint: "windowsservercore",
				reason: "it runs on hosts of that version",
			},
			{ from: "microsoft/nanoserver", constraint: "nanoserver", reason: "the old name" },
			{ from: "microsoft/windowsservercore", constraint: "windowsservercore", reason: "the old name" },
			{ from: "mcr.microsoft.com/*", constraint: null, reason: "no constraint is known for this image of Microsoft's" },
			{ from: "microsoft/*", constraint: null, reason: "no constraint is known for this image of Microsoft's" },
		],
		archives: {
			inPath: ".tar",
			size: 3 * 1024 * 1024,
			reason: "each version of it stays in the history, and everybody who clones the repository gets all of them",
		},
		suppress: [],
	},
	policies: [],
	timeLimit: 360,
};

/** Where definitions are proposed to, and how often (spec/library-generation.md, Rules for proposals). */
export const dockerProposals = {
	library: "https://github.com/docker-library/official-images.git",
	folder: "library",
	minAge: "7d",
} as const;
/** Where the definitions of Docker's own images are, for who has no clone of them. */
export const officialLibrary = "https://raw.githubusercontent.com/docker-library/official-images/HEAD/library/";

/** The fields of an entry, in the order of nearly all definitions. */
export const entryFields = [
	"Tags",
	"SharedTags",
	"Architectures",
	"GitCommit",
	"Directory",
	"File",
	"Constraints",
	"Builder",
	"ArchFields",
] as const;
