import { BrewlineError } from "../errors.ts";
import { printable } from "../io/printable.ts";
import type { HttpResponse } from "../io/types.ts";
import { parseJsonObject } from "../json/index.ts";
import { readLimited } from "./answer.ts";
import { isTag } from "../oci/index.ts";
import { redirectTarget, type Ask } from "./transport.ts";

const maxPage = 16 * 1024 * 1024;

/**
 * The tags of a repository, page by page as they are read; none where it is missing.
 * @param read Gets one page; undefined where the repository is missing.
 */
export async function* listTags(
	first: Ask,
	doing: string,
	read: (page: Ask) => Promise<HttpResponse | undefined>,
	maxPages = 10_000,
): AsyncGenerator<string> {
	const seen = new Set<string>();
	for (let page: Ask | undefined = first; page !== undefined;) {
		const url = new URL(page.path, page.endpoint.origin);
		if (seen.has(url.href)) throw new BrewlineError("registry", `${doing}: the registry's pages lead in a circle`);
		if (seen.size >= maxPages) {
			throw new BrewlineError("registry", `${doing}: there are more than ${maxPages} pages of them`);
		}
		seen.add(url.href);
		const response: HttpResponse | undefined = await read(page);
		if (response === undefined) return;
		const { bytes, more } = await readLimited(response.body, maxPage);
		if (more) throw new BrewlineError("registry", `${doing}: a page is larger than ${maxPage} bytes`);
		const body = parseJsonObject(bytes, { what: `${doing}: the answer`, maxBytes: maxPage, code: "registry" });
		const tags = body["tags"] ?? [];
		if (!Array.isArray(tags)) throw new BrewlineError("registry", `${doing}: the answer's "tags" is not a list`);
		for (const tag of tags) {
			if (typeof tag !== "string" || !isTag(tag)) {
				const shown = printable(JSON.stringify(tag), 150);
				throw new BrewlineError("registry", `${doing}: ${shown} in the answer is not a tag`);
			}
			yield tag;
		}
		page = nextPage(page, url, response.headers["link"]);
	}
}

function nextPage(page: Ask, url: URL, link: string | undefined): Ask | undefined {
	for (const match of (link ?? "").matchAll(/<([^>]*)>((?:[^,"]|"[^"]*")*)/g)) {
		if (!/;\s*rel\s*=\s*"?next"?\s*(?:;|$)/i.test(match[2]!)) continue;
		const next = redirectTarget(page.endpoint, match[1], url);
		if (next.origin !== url.origin) {
			throw new BrewlineError("registry", `${page.endpoint.name} continues its list of tags at ${next.origin}`);
		}
		return { ...page, path: next };
	}
	return undefined;
}
