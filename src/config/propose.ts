import * as z from "zod/mini";
import { isAddress } from "../git/address.ts";
import { described } from "./described.ts";

const address = z
	.string()
	.check(z.refine(isAddress, { error: "must be a git address: https://HOST/PATH.git, or http, git or ssh" }));
const branch = z.string().check(
	z.regex(/^[A-Za-z0-9](?:[\w./-]{0,98}[\w-])?$/, { error: "must be the name of a branch" }),
	z.refine((text) => !/\.\.|\/\/|\.lock(?:\/|$)|\/\./.test(text), { error: "must be the name of a branch" }),
);

/** How the definition of an image is proposed to a library (spec/library-generation.md, at the end). */
export const proposeSchema = z.strictObject({
	library: z.optional(described(address, "The git repository of the library; default: Docker's.")),
	folder: z.optional(
		described(
			z.string().check(z.regex(/^\w[\w.-]*(?:\/\w[\w.-]*)*$/, { error: "must be a folder of the library" })),
			"The folder of its definitions; default: library.",
		),
	),
	fork: z.optional(described(address, "A fork of it that the branch is pushed to; default: the library itself.")),
	branch: z.optional(described(branch, "The branch that is pushed; default: brewline/NAME.")),
	pullRequest: z.optional(described(z.boolean(), "Whether a pull request is opened for the branch; default: yes.")),
	api: z.optional(
		described(
			z.string().check(z.regex(/^https?:\/\/[^\s@?#]+$/, { error: "must be an http(s) address" })),
			"Where GitHub's API is; default: what belongs to the library's address.",
		),
	),
	minAge: z.optional(
		described(
			z
				.string()
				.check(z.regex(/^[0-9]{1,6}[mhd]$/, { error: "must be a time in minutes, hours or days: 90m, 48h, 7d" })),
			"How old the last proposal must be before there is another one, security aside; default: 7d.",
		),
	),
	author: z.optional(
		described(
			z.strictObject({
				name: described(z.string().check(z.regex(/^[^<>\p{Cc}]{1,100}$/u)), "As git has it."),
				email: described(z.string().check(z.regex(/^[^<>\s\p{Cc}]{1,200}$/u)), "The address beside it."),
			}),
			"Who the commit is by; default: program.state.author.",
		),
	),
});

export type ProposeConfig = z.infer<typeof proposeSchema>;
