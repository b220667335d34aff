import { BrewlineError } from "../errors.ts";
import { printable } from "../io/printable.ts";
import type { HttpResponse } from "../io/types.ts";
import { parseJsonObject } from "../json/index.ts";
import { readLimited } from "./answer.ts";
import { isTag } from "../oci/index.ts";
import { capabilitiesOf } from "./capabilities.ts";
import { redirectTarget, type Ask } from "./transport.ts";

const maxPage = 16 * 1024 * 1024;

/** Tags; what is allowed in all, for each page that is. */
const pageSize = 1000;

/** A part of a list of tags or referrers. */
export interface ListPage {
	readonly bytes: Buffer;
	/** Its `Link` header. */
	readonly link: string | undefined;
}

/** Reads a page to its end, so that one that breaks off can be tried again. */
export async function readListPage({ body, headers }: HttpResponse, doing: string): Promise<ListPage> {
	const { bytes, more } = await readLimited(body, maxPage);
	if (more) throw new BrewlineError("registry", `${doing}: a page is larger than ${maxPage} bytes`);
	return { bytes, link: headers["link"] };
}

/**
 * The tags of a repository, page by page as they are read; none where it is missing. An error where they are not all, or may
 * not be. A page may be full and have no link although there is more (OCI distribution 1.1, Listing Tags): then what stands
 * after its last tag is asked for.
 * @param first Without a query.
 * @param read Gets one page; undefined where the repository is missing.
 */
export async function* listTags(
	first: Ask,
	doing: string,
	read: (page: Ask) => Promise<ListPage | undefined>,
	maxPages = 10_000,
): AsyncGenerator<string> {
	const seen = new Set<string>();
	let count = 0;
	let linked = false;
	const most = capabilitiesOf(first.endpoint.host).tagsPerPage;
	let size = most;
	/** The first tag of all, once pages are asked for by the last tag of the one before. */
	let begin: string | undefined;
	const pageAt = (query: string): Ask => ({ ...first, path: `${String(first.path)}?${query}` });
	for (let page: Ask | undefined = pageAt(`n=${size}`); page !== undefined;) {
		const url = new URL(page.path, page.endpoint.origin);
		if (seen.has(url.href)) throw new BrewlineError("registry", `${doing}: the registry's pages lead in a circle`);
		if (seen.size >= maxPages) {
			throw new BrewlineError("registry", `${doing}: there are more than ${maxPages} pages of them`);
		}
		seen.add(url.href);
		const answer: ListPage | undefined = await read(page);
		if (answer === undefined) {
			if (seen.size === 1) return;
			throw new BrewlineError("registry", `${doing}: the repository vanished while they were read`);
		}
		const tags = tagsIn(answer.bytes, doing);
		if (begin !== undefined) {
			// A registry that gives more than it is asked for has no pages: the first was all there is.
			if (tags.length > size) return;
			if (tags.includes(begin)) {
				throw new BrewlineError("registry", `${doing}: the registry begins anew where it should go on`);
			}
		}
		count += tags.length;
		// Pages of any size must not take more memory than so many of the size that is asked for.
		if (count > maxPages * pageSize) {
			throw new BrewlineError("registry", `${doing}: there are more than ${maxPages * pageSize} of them`);
		}
		yield* tags;
		page = nextPage(page, url, answer.link);
		if (page !== undefined) {
			linked = true;
			begin = undefined;
		} else if (!linked && tags.length === size) {
			begin ??= tags[0]!;
			// One less than in the first question: it tells apart a registry without pages that has just so many tags.
			size = most - 1;
			page = pageAt(`n=${size}&last=${tags.at(-1)!}`);
		}
	}
}

function tagsIn(bytes: Buffer, doing: string): readonly string[] {
	const body = parseJsonObject(bytes, { what: `${doing}: the answer`, maxBytes: maxPage, code: "registry" });
	const tags = body["tags"] ?? [];
	if (!Array.isArray(tags)) throw new BrewlineError("registry", `${doing}: the answer's "tags" is not a list`);
	return tags.map((tag: unknown) => {
		if (typeof tag === "string" && isTag(tag)) return tag;
		const shown = printable(JSON.stringify(tag), 150);
		throw new BrewlineError("registry", `${doing}: ${shown} in the answer is not a tag`);
	});
}

/** What the `Link` of a page leads to, which must be on the same host. */
export function nextPage(page: Ask, url: URL, link: string | undefined): Ask | undefined {
	for (const match of (link ?? "").matchAll(/<([^>]*)>((?:[^,"]|"[^"]*")*)/g)) {
		if (!/;\s*rel\s*=\s*"?next"?\s*(?:;|$)/i.test(match[2]!)) continue;
		const next = redirectTarget(page.endpoint, match[1], url);
		if (next.origin !== url.origin) {
			throw new BrewlineError("registry", `${page.endpoint.name} continues its list at ${next.origin}`);
		}
		return { ...page, path: next };
	}
	return undefined;
}
