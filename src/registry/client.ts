import type { Readable } from "node:stream";
import { BrewlineError, messageOf } from "../errors.ts";
import { printable } from "../io/printable.ts";
import type { Io } from "../io/types.ts";
import {
	canonicalReference,
	isDigest,
	isTag,
	maxManifestSize,
	mediaTypes,
	repositoryOf,
	type Descriptor,
	type Reference,
} from "../oci/index.ts";
import { version } from "../version.ts";
import { answerOf, discard, readLimited, saysDenied, saysMissing } from "./answer.ts";
import { capabilitiesOf } from "./capabilities.ts";
import { createAuthorizer, type CredentialSource } from "./auth.ts";
import { algorithmOf, checkBytes, contentCheck, digestOfBytes, markChecked } from "./digest.ts";
import { canonicalHost, endpointOf, repositoryPath, type Endpoint, type HostOptions } from "./hosts.ts";
import { createLimiter, type Limiter } from "./limiter.ts";
import { createPace } from "./pace.ts";
import { resumed, type Part } from "./resume.ts";
import { backOff, retrying, type RetryPolicy } from "./retry.ts";
import { addTaggedReferrer, asReferrer, listedReferrers, referrersAnswer, taggedReferrers } from "./referrers.ts";
import { listTags, readListPage, type ListPage } from "./tags.ts";
import { createTransport, type Answered, type Ask } from "./transport.ts";
import type { BlobSource, ReadOptions, RegistryClient, RegistryManifest } from "./types.ts";
import {
	checkStatedDigest,
	isThere,
	openedSession,
	resumeSession,
	sendBlob,
	type Session,
	type Upload,
} from "./upload.ts";

export interface RegistryClientOptions extends HostOptions {
	/** Default: none; `dockerCredentials` reads Docker's. */
	readonly credentials?: CredentialSource;
	/** Default: `brewline/VERSION`. */
	readonly userAgent?: string;
	/**
	 * Whether 401 and 403 mean "not there" for reads of a repository (docs/design.md, 401 and 403). Default: for none.
	 * Credentials that are refused as such (wrong name or password, an expired token) are an error everywhere.
	 */
	readonly hides?: (reference: Reference) => boolean;
	readonly retry?: RetryPolicy;
	/** To be shared by the clients of one process, so that together they keep to the rates. Default: one of its own. */
	readonly limiter?: Limiter;
	/** Blobs of more bytes are uploaded in pieces of so many. Default: never in pieces. */
	readonly chunkSize?: number;
}

/** Bytes: from there on a connection of its own costs a blob nothing that can be seen. */
const largeBlob = 8 * 1024 * 1024;

const manifestTypes = [
	mediaTypes.ociIndex,
	mediaTypes.dockerList,
	mediaTypes.ociManifest,
	mediaTypes.dockerManifest,
].join(", ");

/**
 * A client for any number of registries. It keeps tokens, what registries ask for in the way of authentication, and which
 * of them do not list referrers, nothing else: every call goes to the registry, or for reads to its mirror. Failures that may pass are tried again
 * (retry.ts). Errors: `registry`, `credentials` (it names where the credential came from), `digest`, `reference`,
 * `cancelled`; `answerOf` gives the registry's answer behind one.
 */
export function createRegistryClient(
	io: Pick<Io, "http" | "clock" | "signal" | "log">,
	options: RegistryClientOptions = {},
): RegistryClient {
	const retry = options.retry ?? {};
	const userAgent = options.userAgent ?? `brewline/${version}`;
	const credentials = options.credentials ?? (() => Promise.resolve(undefined));
	const limiter = options.limiter ?? createLimiter(io, retry);
	const authorizer = createAuthorizer(io, { credentials, limiter, userAgent, retry });
	const transport = createTransport(io, authorizer, limiter, userAgent);
	/** Origins that do not list referrers themselves. */
	const withoutReferrers = new Set<string>();

	/** Undefined where the registry says, or hides, that it is not there. */
	async function readOrMissing<T>(
		reference: Reference,
		doing: string,
		attempt: () => Promise<T>,
	): Promise<T | undefined> {
		try {
			return await retrying(io, retry, doing, attempt);
		} catch (error) {
			const answer = answerOf(error);
			if (answer === undefined || answer.wrongCredentials === true) throw error;
			if (saysMissing(answer) || (saysDenied(answer) && options.hides?.(reference) === true)) return undefined;
			throw error;
		}
	}

	/** One read that has to be answered by one of these statuses. */
	async function read(ask: Ask, doing: string, ...statuses: readonly number[]): Promise<Answered> {
		const response = await transport.ask(ask);
		if (statuses.includes(response.status)) return response;
		throw await transport.failure(ask, response, doing);
	}

	function askFor(
		reference: Reference,
		method: "GET" | "HEAD",
		path: string,
		headers?: Readonly<Record<string, string>>,
		{ direct = false }: ReadOptions = {},
	): Ask {
		const endpoint = endpointOf(reference.host, direct ? "write" : "read", options);
		const scopes = [`repository:${reference.repository}:pull`];
		return { endpoint, method, path, scopes, ...(headers === undefined ? {} : { headers }) };
	}

	function manifestAsk(reference: Reference, method: "GET" | "HEAD", how: ReadOptions | undefined): Ask {
		const what = reference.digest ?? reference.tag ?? "latest";
		if (reference.digest !== undefined) algorithmOf(reference.digest);
		else if (!isTag(what)) throw new BrewlineError("reference", `"${printable(what, 150)}" is not a tag`);
		return askFor(reference, method, `${repositoryPath(reference)}/manifests/${what}`, { accept: manifestTypes }, how);
	}

	async function headManifest(
		reference: Reference,
		how?: ReadOptions,
	): Promise<{ mediaType: string; digest: string; size: number } | undefined> {
		const ask = manifestAsk(reference, "HEAD", how);
		const doing = `asking for ${show(ask.endpoint, reference)}`;
		const found = await readOrMissing(reference, doing, async () => {
			const response = await read(ask, doing, 200);
			await discard(response.body);
			return response.headers;
		});
		if (found === undefined) return undefined;
		const digest = found["docker-content-digest"] ?? "";
		const length = found["content-length"] ?? "";
		if (!isDigest(digest) || !/^\d{1,15}$/.test(length)) {
			// Not all registries state both; the content does.
			const manifest = await getManifest(reference, how);
			return manifest && { mediaType: manifest.mediaType, digest: manifest.digest, size: manifest.bytes.length };
		}
		if (reference.digest !== undefined && digest !== reference.digest) {
			throw new BrewlineError("digest", `${doing}: the registry says that it has ${digest} there`);
		}
		return { mediaType: found["content-type"] ?? "", digest, size: Number(length) };
	}

	async function getManifest(reference: Reference, how?: ReadOptions): Promise<RegistryManifest | undefined> {
		const ask = manifestAsk(reference, "GET", how);
		const doing = `reading ${show(ask.endpoint, reference)}`;
		return readOrMissing(reference, doing, async () => {
			const response = await read(ask, doing, 200);
			const { bytes, more } = await readLimited(response.body, maxManifestSize);
			if (more) throw new BrewlineError("registry", `${doing}: it is larger than ${maxManifestSize} bytes`);
			const stated = response.headers["docker-content-digest"] ?? "";
			const digest = reference.digest ?? (isDigest(stated) ? stated : digestOfBytes(bytes));
			checkBytes(bytes, { digest }, doing);
			return { mediaType: response.headers["content-type"] ?? "", digest, bytes };
		});
	}

	async function putManifest(reference: Reference, mediaType: string, bytes: Uint8Array): Promise<{ digest: string }> {
		const digest = digestOfBytes(bytes, reference.digest === undefined ? "sha256" : algorithmOf(reference.digest));
		const endpoint = endpointOf(reference.host, "write", options);
		const doing = `putting ${show(endpoint, { ...reference, digest })}`;
		if (reference.digest !== undefined) checkBytes(bytes, { digest: reference.digest }, doing);
		if (reference.tag !== undefined && !isTag(reference.tag)) {
			throw new BrewlineError("reference", `"${printable(reference.tag, 150)}" is not a tag`);
		}
		const ask: Ask = {
			endpoint,
			method: "PUT",
			path: `${repositoryPath(reference)}/manifests/${reference.tag ?? digest}`,
			headers: { "content-type": mediaType },
			body: bytes,
			scopes: pushScopes(reference),
		};
		const referrer = asReferrer({ mediaType, digest, bytes });
		const stated = await retrying(io, retry, doing, async () => {
			const response = await read(ask, doing, 201);
			await discard(response.body);
			checkStatedDigest(response, digest, doing);
			return response.headers["oci-subject"];
		});
		if (referrer !== undefined && stated !== referrer.subject) {
			withoutReferrers.add(endpoint.origin);
			await addReferrer(reference, referrer);
		}
		return { digest };
	}

	/** Updates of one list, one after another: so none of this client's takes another's away. */
	const listing = new Map<string, Promise<void>>();

	function addReferrer(reference: Reference, referrer: NonNullable<ReturnType<typeof asReferrer>>): Promise<void> {
		const repository = repositoryOf(reference);
		const endpoint = endpointOf(reference.host, "write", options);
		const key = canonicalReference({ ...repository, digest: referrer.subject });
		const doing = `listing ${referrer.descriptor.digest} for ${show(endpoint, { ...repository, digest: referrer.subject })}`;
		const list = { read: (tag: Reference) => getManifest(tag, { direct: true }), write: putManifest };
		const add = () => addTaggedReferrer(io, repository, referrer, list, doing);
		const added = (listing.get(key) ?? Promise.resolve()).catch(() => {}).then(add);
		listing.set(key, added);
		return added.finally(() => {
			if (listing.get(key) === added) listing.delete(key);
		});
	}

	async function listReferrers(
		reference: Reference & { readonly digest: string },
		{ artifactType }: { readonly artifactType?: string } = {},
	): Promise<readonly Descriptor[]> {
		const { digest: subject } = reference;
		algorithmOf(subject);
		const query = artifactType === undefined ? "" : `?artifactType=${encodeURIComponent(artifactType)}`;
		const path = `${repositoryPath(reference)}/referrers/${subject}${query}`;
		const first = askFor(reference, "GET", path, { accept: mediaTypes.ociIndex });
		const doing = `listing the referrers of ${show(first.endpoint, { ...reference, tag: undefined })}`;
		const page = (ask: Ask) =>
			readOrMissing(reference, doing, async () => {
				const response = await transport.ask(ask);
				const answer = await referrersAnswer(response, io.clock.now());
				if (answer === undefined) throw await transport.failure(ask, response, doing);
				if ("page" in answer) return readListPage(answer.page, doing);
				if (answer.lacking === "surely") withoutReferrers.add(ask.endpoint.origin);
				return undefined;
			});
		const { origin, host } = first.endpoint;
		const lacking = withoutReferrers.has(origin) || capabilitiesOf(host).referrers === "no";
		const listed = lacking ? undefined : await listedReferrers(first, doing, page);
		const found = listed ?? (await taggedReferrers(repositoryOf(reference), subject, getManifest, doing));
		// A registry may leave the choice to who asks.
		return found.filter((descriptor) => artifactType === undefined || descriptor.artifactType === artifactType);
	}

	async function deleteManifest(reference: Reference): Promise<boolean> {
		const endpoint = endpointOf(reference.host, "write", options);
		const doing = `deleting ${show(endpoint, reference)}`;
		const ask: Ask = {
			endpoint,
			method: "DELETE",
			path: `${repositoryPath(reference)}/manifests/${reference.digest ?? reference.tag ?? "latest"}`,
			scopes: [`repository:${reference.repository}:delete`],
		};
		try {
			await retrying(io, retry, doing, async () => {
				await discard((await read(ask, doing, 202, 200, 204)).body);
			});
			return true;
		} catch (error) {
			const answer = answerOf(error);
			if (answer !== undefined && saysMissing(answer)) return false;
			const { name, deletes } = capabilitiesOf(endpoint.host);
			if (answer === undefined || deletes !== "nothing") throw error;
			const hint = `${name} deletes through its own pages and API only; give staging there an age after which it deletes itself, where it has that.`;
			throw new BrewlineError("registry", messageOf(error), { cause: error, hint });
		}
	}

	/** The length that is stated of a blob, as text; undefined where it is missing. */
	async function headBlob(repository: Reference, digest: string): Promise<string | undefined> {
		algorithmOf(digest);
		const ask = askFor(repository, "HEAD", `${repositoryPath(repository)}/blobs/${digest}`);
		const doing = `asking for ${show(ask.endpoint, { ...repository, tag: undefined, digest })}`;
		return readOrMissing(repository, doing, async () => {
			const response = await read(ask, doing, 200);
			await discard(response.body);
			return response.headers["content-length"] ?? "";
		});
	}

	async function blobSize(repository: Reference, digest: string): Promise<number | undefined> {
		const length = await headBlob(repository, digest);
		if (length === undefined) return undefined;
		if (!/^\d{1,15}$/.test(length)) {
			throw new BrewlineError("registry", `${repository.host} does not say how large ${digest} is`);
		}
		return Number(length);
	}

	async function getBlob(
		repository: Reference,
		blob: Pick<Descriptor, "digest" | "size">,
	): Promise<Readable | undefined> {
		algorithmOf(blob.digest);
		const path = `${repositoryPath(repository)}/blobs/${blob.digest}`;
		const { endpoint } = askFor(repository, "GET", path);
		const doing = `reading ${show(endpoint, { ...repository, tag: undefined, digest: blob.digest })}`;

		const open = (start: number): Promise<Part | undefined> =>
			readOrMissing(repository, doing, async () => {
				const headers = start === 0 ? undefined : { range: `bytes=${start}-` };
				const ask = { ...askFor(repository, "GET", path, headers), paced: false, large: blob.size >= largeBlob };
				const response = await read(ask, doing, 200, 206);
				if (response.status === 200) return { body: response.body, at: 0 };
				if (response.headers["content-range"]?.startsWith(`bytes ${start}-`) === true) {
					return { body: response.body, at: start };
				}
				response.body.destroy();
				throw new BrewlineError("registry", `${doing}: the registry answers with another part than was asked for`);
			});

		const first = await open(0);
		if (first === undefined) return undefined;

		const again = async (position: number, failures: number): Promise<Part> => {
			await io.clock.sleep(backOff(retry, failures), io.signal);
			const next = await open(position);
			if (next === undefined) throw new BrewlineError("registry", `${doing}: it vanished while it was read`);
			return next;
		};
		const content = resumed(first, {
			size: blob.size,
			doing,
			tries: retry.tries ?? 5,
			pace: () => createPace(io.clock),
			signal: io.signal,
			again,
			check: contentCheck(blob, doing),
		});
		return markChecked(content, blob);
	}

	/** Opens an upload, with a mount where there is something to mount from; undefined: it was mounted. */
	async function openUpload(
		upload: Pick<Upload, "endpoint" | "scopes" | "doing">,
		repository: Reference,
		digest: string,
		from: Reference | undefined,
	): Promise<Session | undefined> {
		const { endpoint, scopes, doing } = upload;
		const path = `${repositoryPath(repository)}/blobs/uploads/`;
		const plain: Ask = { endpoint, method: "POST", path, scopes, body: new Uint8Array() };
		const ask: Ask =
			from === undefined
				? plain
				: {
						...plain,
						path: `${path}?mount=${digest}&from=${encodeURIComponent(repositoryPath(from).slice("/v2/".length))}`,
						scopes: [...new Set([...scopes, `repository:${from.repository}:pull`])],
					};
		const response = await transport.ask(ask);
		if (response.status === 201 && from !== undefined) {
			await discard(response.body);
			checkStatedDigest(response, digest, doing);
			return undefined;
		}
		if (response.status !== 202) throw await transport.failure(ask, response, doing);
		await discard(response.body);
		return openedSession(endpoint, response, new URL(path, endpoint.origin));
	}

	async function mountBlob(repository: Reference, digest: string, from: Reference): Promise<boolean> {
		algorithmOf(digest);
		if (canonicalHost(repository.host) !== canonicalHost(from.host)) return false;
		const endpoint = endpointOf(repository.host, "write", options);
		const doing = `mounting ${digest} from ${from.repository} in ${show(endpoint, repository)}`;
		const upload = { endpoint, scopes: pushScopes(repository), doing };
		try {
			const session = await retrying(io, retry, doing, () => openUpload(upload, repository, digest, from));
			return session === undefined;
		} catch (error) {
			if (isNoMount(error)) return false;
			throw error;
		}
	}

	async function putBlob(
		repository: Reference,
		blob: Pick<Descriptor, "digest" | "size">,
		source: BlobSource,
		from?: Reference,
		{ release = false }: { readonly release?: boolean } = {},
	): Promise<void> {
		algorithmOf(blob.digest);
		const endpoint = endpointOf(repository.host, "write", options);
		const doing = `uploading ${blob.digest} to ${show(endpoint, repository)}`;
		const chunkSize = options.chunkSize ?? Infinity;
		const scopes = pushScopes(repository);
		const upload: Upload = { transport, endpoint, scopes, blob, source, release, doing, chunkSize };
		let mountable =
			from !== undefined && canonicalHost(from.host) === canonicalHost(repository.host) ? from : undefined;
		let session: Session | undefined;

		const open = async (): Promise<Session | undefined> => {
			try {
				return await openUpload(upload, repository, blob.digest, mountable);
			} catch (error) {
				if (mountable === undefined || !isNoMount(error)) throw error;
				mountable = undefined;
				return openUpload(upload, repository, blob.digest, undefined);
			}
		};

		/** Goes on with what the registry has of an earlier try; false where there is nothing to go on with. */
		const goOn = async (begun: Session): Promise<boolean> => {
			if (await resumeSession(upload, begun)) {
				try {
					await sendBlob(upload, begun);
					return true;
				} catch (error) {
					// What is wrong with the session is not wrong with another one.
					const status = answerOf(error)?.status ?? 0;
					if (status < 400 || status >= 500 || status === 429 || answerOf(error)?.wrongCredentials === true)
						throw error;
				}
			}
			return begun.closing && isThere(upload, `${repositoryPath(repository)}/blobs/${blob.digest}`);
		};

		await retrying(
			io,
			retry,
			doing,
			async () => {
				if (session !== undefined && (await goOn(session))) return;
				session = await open();
				if (session !== undefined) await sendBlob(upload, session);
			},
			() => session?.offset ?? 0,
		);
	}

	return {
		headManifest,
		getManifest: (reference) => getManifest(reference),
		putManifest,
		listReferrers,
		deleteManifest,
		hasBlob: async (repository, digest) => (await headBlob(repository, digest)) !== undefined,
		blobSize,
		getBlob,
		putBlob,
		mountBlob,
		listTags: (repository, { maxPages } = {}) => {
			const ask = askFor(repository, "GET", `${repositoryPath(repository)}/tags/list`);
			const doing = `listing the tags of ${show(ask.endpoint, { ...repository, tag: undefined, digest: undefined })}`;
			const page = async (at: Ask): Promise<ListPage | undefined> => {
				try {
					return await retrying(io, retry, doing, async () => readListPage(await read(at, doing, 200), doing));
				} catch (error) {
					// A bare 404 may as well mean that it has no lists.
					if (answerOf(error)?.codes.includes("NAME_UNKNOWN") === true) return undefined;
					throw error;
				}
			};
			return listTags(ask, doing, page, maxPages);
		},
	};
}

/** A refusal that is about the mount: what it is mounted from is not there, not ours to read, or never mounted from. */
function isNoMount(error: unknown): boolean {
	const answer = answerOf(error);
	return (
		answer !== undefined &&
		answer.wrongCredentials !== true &&
		answer.status >= 400 &&
		answer.status < 500 &&
		answer.status !== 429
	);
}

function pushScopes(reference: Reference): readonly string[] {
	return [`repository:${reference.repository}:pull,push`];
}

/** A reference as messages show it, with the registry that was really asked. */
function show(
	endpoint: Endpoint,
	reference: { readonly repository: string; readonly tag?: string | undefined; readonly digest?: string | undefined },
): string {
	const tag = reference.tag === undefined ? "" : `:${reference.tag}`;
	const digest = reference.digest === undefined ? "" : `@${reference.digest}`;
	return printable(`${endpoint.name}/${reference.repository}${tag}${digest}`);
}
