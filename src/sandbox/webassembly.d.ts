/** The part of WebAssembly's JavaScript interface that jq-wasm and `jq.ts` name; TypeScript has it only with all of the browser's. */
declare namespace WebAssembly {
	class Module {
		constructor(bytes: Uint8Array<ArrayBuffer>);
	}
	class Instance {
		constructor(module: Module, imports?: Imports);
		readonly exports: Record<string, unknown>;
	}
	type Imports = Record<string, Record<string, unknown>>;
	function compile(bytes: Uint8Array<ArrayBuffer>): Promise<Module>;
}
