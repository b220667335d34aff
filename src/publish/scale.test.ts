import { expect, test } from "vitest";
import { publishedLibrary } from "../../test/support/published-library.ts";

test(
	"a run asks for what can have changed: 1 % of the tags where nothing has, tokens among them",
	{ timeout: 60_000 },
	async () => {
		await using library = await publishedLibrary(80);
		const first = await library.publish();
		expect(first.result.counts).toMatchObject({ created: 800 });
		const none = await library.publish();
		expect(none.result.counts).toMatchObject({ unchanged: 800 });
		expect(none.requests.length).toBeLessThanOrEqual(8);
		const perTag = first.requests.length / 800;
		await library.change(8);
		const some = await library.publish();
		expect(some.result.counts).toMatchObject({ updated: 80, unchanged: 720 });
		expect(some.requests.length).toBeLessThanOrEqual(80 * (perTag + 1) + 8);
	},
);
