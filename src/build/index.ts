export {
	buildkitCommand,
	classicCommands,
	sbomCommand,
	type BuildkitInput,
	type ClassicCommands,
	type Command,
} from "./commands.ts";
