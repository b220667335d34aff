import { enableCompileCache } from "node:module";
import { parentPort, workerData } from "node:worker_threads";
import type { Jq } from "./jq.ts";
import { type Answer, plainError, type Request, type ToThread, type WorkerData } from "./messages.ts";
import { type TaskContext, tasks } from "./tasks.ts";

// The entry of the thread that `sandbox.ts` starts: it does one task after the other until it is ended from outside.
const { memoryLimit, compileCache } = workerData as WorkerData;
if (compileCache !== undefined) enableCompileCache(compileCache);
// By the user's language jq's runtime makes a LANG of its own, which a program could tell machines apart by.
Reflect.deleteProperty(globalThis, "navigator");

let jq: Promise<Jq> | undefined;
const port = parentPort!;
const send = (message: Answer): void => port.postMessage(message);
const context: TaskContext = {
	at: (at) => send({ at }),
	jq: () => (jq ??= import("./jq.ts").then(({ openJq }) => openJq({ memoryLimit }))),
};

async function answer({ task, input }: Request): Promise<Answer> {
	try {
		const perform = tasks[task] as (input: unknown, context: TaskContext) => unknown;
		return { output: await perform(input, context) };
	} catch (error) {
		return { error: plainError(error) };
	}
}

port.on("message", (message: ToThread) => {
	if (message === "end") port.close();
	else void answer(message).then(send);
});
