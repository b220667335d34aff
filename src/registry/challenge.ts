export interface Challenge {
	/** In lower case. */
	readonly scheme: string;
	/** Names in lower case. */
	readonly parameters: Readonly<Record<string, string>>;
}

const maxHeader = 8192;

/**
 * The challenges of a `WWW-Authenticate` header (RFC 9110, 11.6.1), several of them where it has several. What does
 * not follow the grammar ends the reading: what stands before it counts.
 */
export function parseChallenges(header: string): readonly Challenge[] {
	const challenges: { scheme: string; parameters: Record<string, string> }[] = [];
	const token = "[!#$%&'*+.^_`|~\\w-]+";
	// One part: a scheme, or a parameter with a token or a quoted string, with the commas before it.
	const part = new RegExp(
		`[\\s,]*(?:(${token})[ \\t]*=[ \\t]*(?:"((?:[^"\\\\]|\\\\.)*)"|(${token}))|(${token})(?=[ \\t,]|$))`,
		"y",
	);
	const text = header.slice(0, maxHeader);
	for (let match = part.exec(text); match !== null; match = part.exec(text)) {
		const [, name, quoted, plain, scheme] = match;
		if (scheme !== undefined) {
			challenges.push({ scheme: scheme.toLowerCase(), parameters: Object.create(null) as Record<string, string> });
			continue;
		}
		const current = challenges.at(-1);
		if (current === undefined) break;
		current.parameters[name!.toLowerCase()] = quoted === undefined ? plain! : quoted.replace(/\\(.)/g, "$1");
	}
	return challenges;
}
