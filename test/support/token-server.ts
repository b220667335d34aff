import { createHash, generateKeyPairSync, randomBytes, sign, type KeyObject } from "node:crypto";

/** Signs tokens as registries of the distribution project believe them (its token authentication specification). */
export interface TokenSigner {
	/** What a registry is told to trust, as PEM. */
	readonly certificate: string;
	/** For scopes like `repository:library/alpine:pull,push`; good for an hour. */
	token(scopes: readonly string[]): string;
}

export const issuer = "brewline-tests";
export const service = "brewline-registry";

export function createTokenSigner(): TokenSigner {
	const { publicKey, privateKey } = generateKeyPairSync("ec", { namedCurve: "P-256" });
	const spki = publicKey.export({ type: "spki", format: "der" });
	const header = encoded({ typ: "JWT", alg: "ES256", kid: keyId(spki) });
	return {
		certificate: pem(selfSigned(spki, privateKey)),
		token: (scopes) => {
			const now = Math.floor(Date.now() / 1000);
			const access = scopes.flatMap((scope) => {
				const [, name, actions] = /^repository:([^:]+):([a-z,*]+)$/.exec(scope) ?? [];
				return name === undefined ? [] : [{ type: "repository", name, actions: actions!.split(",") }];
			});
			const claims = {
				iss: issuer,
				sub: "publisher",
				aud: service,
				exp: now + 3600,
				nbf: now - 60,
				iat: now,
				jti: randomBytes(8).toString("hex"),
				access,
			};
			const text = `${header}.${encoded(claims)}`;
			const signature = sign("sha256", Buffer.from(text), { key: privateKey, dsaEncoding: "ieee-p1363" });
			return `${text}.${signature.toString("base64url")}`;
		},
	};
}

function encoded(value: object): string {
	return Buffer.from(JSON.stringify(value)).toString("base64url");
}

/** The key's fingerprint as libtrust writes it: 30 bytes of its SHA-256 in base 32, in twelve groups of four. */
function keyId(spki: Buffer): string {
	const alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZ234567";
	const bits = [...createHash("sha256").update(spki).digest().subarray(0, 30)]
		.map((byte) => byte.toString(2).padStart(8, "0"))
		.join("");
	return bits
		.match(/.{20}/g)!
		.map((group) => group.replace(/.{5}/g, (five) => alphabet[Number.parseInt(five, 2)]!))
		.join(":");
}

/** A certificate of a key by itself (RFC 5280), which Node cannot make. */
function selfSigned(spki: Buffer, key: KeyObject): Buffer {
	const ecdsaWithSha256 = der(0x30, Buffer.from("06082a8648ce3d040302", "hex"));
	const commonName = der(0x30, Buffer.from("0603550403", "hex"), der(0x0c, Buffer.from(issuer)));
	const name = der(0x30, der(0x31, commonName));
	const validity = der(0x30, der(0x17, Buffer.from("200101000000Z")), der(0x17, Buffer.from("491231235959Z")));
	const content = der(0x30, der(0x02, Buffer.of(1)), ecdsaWithSha256, name, validity, name, spki);
	return der(0x30, content, ecdsaWithSha256, der(0x03, Buffer.of(0), sign("sha256", content, key)));
}

function der(tag: number, ...parts: readonly Buffer[]): Buffer {
	const content = Buffer.concat(parts);
	const { length } = content;
	const head = length < 128 ? [length] : length < 256 ? [0x81, length] : [0x82, length >> 8, length & 255];
	return Buffer.concat([Buffer.of(tag, ...head), content]);
}

function pem(bytes: Buffer): string {
	return `-----BEGIN CERTIFICATE-----\n${bytes.toString("base64").replace(/.{64}/g, "$&\n")}\n-----END CERTIFICATE-----\n`;
}
