/**
 * Stands in the bundled command line for `node:process`: that module looks at each property of `process` when it is
 * imported, also at `stdin`, and so opens it, which takes as long as all of a short command.
 */
export default globalThis.process;
