export { refuseLinks, writeWhole } from "./files.ts";
export type * from "./types.ts";
export { nodeIo, type NodeIoOptions } from "./node.ts";
export { isRunning, runCommand, type CommandOptions, type CommandResult } from "./command.ts";
export { isUnread, standardError, standardOutput, whenOutputIsLost } from "./output.ts";
export { counted, printable, printableLines } from "./printable.ts";
