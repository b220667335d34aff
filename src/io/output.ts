type Lost = (error: Error) => void;

const opened = new Set<NodeJS.WriteStream>();
const listeners = new Set<Lost>();

/** Standard output. Node opens it when it is first asked for, which takes longer than some commands: so must all that prints. */
export function standardOutput(): NodeJS.WriteStream {
	return watched(process.stdout);
}

/** Standard error, likewise. */
export function standardError(): NodeJS.WriteStream {
	return watched(process.stderr);
}

function watched(stream: NodeJS.WriteStream): NodeJS.WriteStream {
	if (opened.has(stream)) return stream;
	opened.add(stream);
	return stream.on("error", (error: Error) => {
		for (const lost of listeners) lost(error);
	});
}

/**
 * Calls `lost` when standard output or error cannot be written any more: the reader of the pipe is gone, the terminal is
 * closed, the disk is full. Without this, Node ends the program at once, and what it started stays as it is.
 * @returns what takes it back
 */
export function whenOutputIsLost(lost: Lost): () => void {
	listeners.add(lost);
	return () => void listeners.delete(lost);
}

/** Whether an error of an output says that nobody reads it any more, and not that it could not be stored. */
export function isUnread(error: Error): boolean {
	return "code" in error && ["EPIPE", "EIO", "ECONNRESET"].includes(String(error.code));
}
