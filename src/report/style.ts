/** How text is marked; without colour every function gives its text back. */
export interface Style {
	readonly bold: (text: string) => string;
	readonly dim: (text: string) => string;
	readonly red: (text: string) => string;
	readonly green: (text: string) => string;
	readonly yellow: (text: string) => string;
}

const mark =
	(on: string, off: string) =>
	(text: string): string =>
		`\u001b[${on}m${text}\u001b[${off}m`;
const plain = (text: string): string => text;

export const plainStyle: Style = { bold: plain, dim: plain, red: plain, green: plain, yellow: plain };
export const colourStyle: Style = {
	bold: mark("1", "22"),
	dim: mark("2", "22"),
	red: mark("31", "39"),
	green: mark("32", "39"),
	yellow: mark("33", "39"),
};

/** Colour on a terminal, unless `NO_COLOR` is set (to anything but nothing) or `TERM` is `dumb`; `FORCE_COLOR` overrules the terminal. */
export function styleFor(
	stream: { readonly isTTY?: boolean },
	env: Readonly<Record<string, string | undefined>>,
): Style {
	if (env["NO_COLOR"]) return plainStyle;
	if (env["FORCE_COLOR"] && env["FORCE_COLOR"] !== "0") return colourStyle;
	return stream.isTTY === true && env["TERM"] !== "dumb" ? colourStyle : plainStyle;
}
