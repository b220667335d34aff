/** A template's text in its parts: what stands as it is, and the names that are put in. */
export type TemplatePart = { readonly text: string } | { readonly name: string };

const name = /^[A-Za-z][A-Za-z0-9_]*(?:\.[A-Za-z0-9_-]+)*$/;

/**
 * Splits `a-{name}` at its names; `{{` and `}}` are the characters themselves.
 * @throws Error that says what is wrong, without a place
 */
export function parseTemplate(text: string): readonly TemplatePart[] {
	const parts: TemplatePart[] = [];
	let plain = "";
	const end = (): void => {
		if (plain !== "") parts.push({ text: plain });
		plain = "";
	};
	for (let at = 0; at < text.length; at++) {
		const character = text.charAt(at);
		if ((character === "{" || character === "}") && text.charAt(at + 1) === character) {
			plain += character;
			at++;
			continue;
		}
		if (character === "}") throw new Error("a } that closes nothing; write }} for the character");
		if (character !== "{") {
			plain += character;
			continue;
		}
		const close = text.indexOf("}", at);
		const inner = text.slice(at + 1, close < 0 ? undefined : close);
		if (close < 0 || !name.test(inner)) throw new Error("a { without a name and }; write {{ for the character");
		end();
		parts.push({ name: inner });
		at = close;
	}
	end();
	return parts;
}

/** What is wrong with a template; undefined: nothing. */
export function templateProblem(text: string): string | undefined {
	try {
		parseTemplate(text);
		return undefined;
	} catch (error) {
		return (error as Error).message;
	}
}

/** Configured regular expressions know Unicode, and nothing that is unknown in them passes. */
export function compileExpression(source: string): RegExp {
	return new RegExp(source, "u");
}

/** What is wrong with a regular expression; undefined: nothing. */
export function expressionProblem(source: string): string | undefined {
	try {
		compileExpression(source);
		return undefined;
	} catch (error) {
		return (error as Error).message;
	}
}

/** What may stand before a group's name: an escaped character, a class, or anything else. Nothing is evaluated. */
const groupPattern = /\\[^]|\[(?:\\[^]|[^\]\\])*\]|\(\?<(?![=!])([^>]*)>|[^]/g;

/** The named groups of a regular expression that is valid, in their order. It is not run: it could take for ever. */
export function groupNames(source: string): readonly string[] {
	const names = [...source.matchAll(groupPattern)].flatMap(([, name]) => (name === undefined ? [] : [name]));
	return [...new Set(names)];
}

/** A path in the repository: relative, without `..`. */
export function isRepositoryPath(path: string): boolean {
	return path !== "" && path.split("/").every((part) => part !== "" && part !== "." && part !== "..");
}
