import type { Io } from "../io/types.ts";

/** Of fewer there is nothing to be told: they are done at once. */
const worthTelling = 200;

/** Says after each tenth how many of so many are done; what it gives back counts one. */
export function counter(io: Pick<Io, "log">, total: number, what: string): () => void {
	let done = 0;
	const step = Math.ceil(total / 10);
	return () => {
		done++;
		if (total >= worthTelling && done % step === 0) {
			io.log({ type: "message", level: "info", text: `${done} of ${total} ${what}` });
		}
	};
}
