export { maxTarSize, tarEndSize, tarHeader, tarPadding, type TarEntry } from "./header.ts";
export { unpackTar, type UnpackOptions } from "./unpack.ts";
