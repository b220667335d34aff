/** What an architecture is called elsewhere: by Debian (for packages), by QEMU (for emulators), by Docker. */
export interface Target {
	readonly debian: string;
	/** The release that has the architecture. */
	readonly suite: "bookworm" | "trixie";
	readonly qemu: string;
	readonly platform: string;
}

/** By bashbrew architecture. */
export const targets: Readonly<Record<string, Target>> = {
	amd64: { debian: "amd64", suite: "bookworm", qemu: "x86_64", platform: "linux/amd64" },
	arm32v5: { debian: "armel", suite: "bookworm", qemu: "arm", platform: "linux/arm/v5" },
	arm32v6: { debian: "armel", suite: "bookworm", qemu: "arm", platform: "linux/arm/v6" },
	arm32v7: { debian: "armhf", suite: "bookworm", qemu: "arm", platform: "linux/arm/v7" },
	arm64v8: { debian: "arm64", suite: "bookworm", qemu: "aarch64", platform: "linux/arm64" },
	i386: { debian: "i386", suite: "bookworm", qemu: "i386", platform: "linux/386" },
	mips64le: { debian: "mips64el", suite: "bookworm", qemu: "mips64el", platform: "linux/mips64le" },
	ppc64le: { debian: "ppc64el", suite: "bookworm", qemu: "ppc64le", platform: "linux/ppc64le" },
	riscv64: { debian: "riscv64", suite: "trixie", qemu: "riscv64", platform: "linux/riscv64" },
	s390x: { debian: "s390x", suite: "bookworm", qemu: "s390x", platform: "linux/s390x" },
};

/** The machines that a private engine can run on: Node's name, and the architectures that need no emulator there. */
export const hosts: Readonly<Record<string, { readonly debian: string; readonly native: readonly string[] }>> = {
	x64: { debian: "amd64", native: ["amd64", "i386"] },
	arm64: { debian: "arm64", native: ["arm64v8"] },
};
