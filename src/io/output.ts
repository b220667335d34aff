/**
 * Calls `lost` when standard output or error cannot be written any more: the reader of the pipe is gone, the terminal is
 * closed, the disk is full. Without this, Node ends the program at once, and what it started stays as it is.
 * @returns what takes it back
 */
export function whenOutputIsLost(lost: (error: Error) => void): () => void {
	const streams = [process.stdout, process.stderr];
	for (const stream of streams) stream.on("error", lost);
	return () => {
		for (const stream of streams) stream.off("error", lost);
	};
}

/** Whether an error of an output says that nobody reads it any more, and not that it could not be stored. */
export function isUnread(error: Error): boolean {
	return "code" in error && ["EPIPE", "EIO", "ECONNRESET"].includes(String(error.code));
}
