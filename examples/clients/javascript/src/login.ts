/** Logging in: SCRAM-SHA-256(-PLUS), Ed25519, anonymous; by WebCrypto. Spec: 9-login.md. */
import { RemoteReference } from "./calls.js";
import type { Connection } from "./connection.js";
import { PbError, ProtocolError, raise } from "./errors.js";
import { Bytes, concat, hex, isMap, State, textOf, utf8 } from "./values.js";
import { pack } from "./writer.js";

export type Credentials = { user: string; password: string } | { user: string; key: CryptoKeyPair } | "anonymous";
export interface LoginOptions {
  insecure?: boolean; // log in where others could listen or change bytes: ws:// or pb:// to another machine
  tlsEndsBefore?: boolean; // something ends TLS before the server: go on without channel binding
  nonce?: string; // for tests: what is else random
}
/** Who one is at a server. */
export class Identity {
  constructor(readonly reference: RemoteReference, readonly user: string, readonly mechanism: string,
    readonly binding: string) {}
  /** Get a perspective of a service, one's own if none is named; it may call `client`, an object of ours. */
  attach = (service: string, perspective: string | null = null, client?: object): Promise<RemoteReference> =>
    this.reference.call("attach", service, perspective, client);
  keys = (): Promise<[service: string, perspective: string][]> => this.reference.call("keys");
  detach = (perspective: RemoteReference): Promise<void> => this.reference.call("detach", perspective);
  logout = (): Promise<void> => this.reference.call("logout");
}
const { subtle } = crypto;
const NOTHING: Bytes = new Uint8Array(0);
const base64 = (data: Uint8Array): string => btoa(String.fromCharCode(...data));
const sha256 = async (data: Bytes, hash = "SHA-256"): Promise<Bytes> => new Uint8Array(await subtle.digest(hash, data));
const isSame = (a: Uint8Array, b: Uint8Array): boolean =>
  a.length === b.length && a.reduce((all, byte, i) => all | (byte ^ b[i]), 0) === 0;
async function hmac(key: Bytes, data: Bytes): Promise<Bytes> {
  const made = await subtle.importKey("raw", key, { name: "HMAC", hash: "SHA-256" }, false, ["sign"]);
  return new Uint8Array(await subtle.sign("HMAC", made, data));
}
const broken = (why: string): never => raise(new ProtocolError(8, `the login is given up: ${why}`));
/** A name or password that SASLprep leaves as it is; others are refused, since SASLprep is not here (PB-A14). */
function prepared(what: string, most: number): string {
  const isFit = /^[\x20-\x7e]+$/.test(what) && what.length <= most;
  return isFit ? what : raise(new TypeError(`names and passwords are 1 to ${most} characters of ASCII`));
}
/** OID of the signature of a certificate -> the hash of the certificate that is the binding. */
const HASHES: Record<string, string> = {
  "2a864886f70d01010c": "SHA-384", "2a864886f70d01010d": "SHA-512", "2a864886f70d01010b": "SHA-256",
  "2a864886f70d010105": "SHA-256", "2a8648ce3d040303": "SHA-384", "2a8648ce3d040304": "SHA-512",
  "2a8648ce3d040302": "SHA-256", "2a8648ce3d0401": "SHA-256",
};
/** The OID of the signatureAlgorithm of a certificate, in hex: SEQUENCE { tbs, SEQUENCE { OID … } … }. */
function signatureOid(der: Uint8Array): string {
  const header = (at: number): [body: number, end: number] => {
    const wide = der[at + 1] & 0x80 ? der[at + 1] & 0x7f : 0, body = at + 2 + wide;
    return [body, body + (wide ? parseInt(hex(der.subarray(at + 2, body)), 16) : der[at + 1])];
  };
  const [tbs] = header(0), [algorithm] = header(header(tbs)[1]);
  return hex(der.subarray(...header(algorithm)));
}
/** What a proof is bound to: the certificate, where it can be seen. */
export interface Binding { type: string; data: Bytes }
async function bindingOf(certificate: Bytes): Promise<Binding> {
  const hash = HASHES[signatureOid(certificate)] ?? broken("a certificate that gives no channel binding");
  return { type: "tls-server-end-point", data: await sha256(certificate, hash) };
}
type Answer = (challenge: Uint8Array) => Promise<Bytes>;
/** What a mechanism says and hears: its first message, the answer to a challenge, whether the end is right. */
interface Mechanism { name: string; first: Bytes; answer?: Answer; isProven(last: Uint8Array): boolean }
/** Log in; every failure but a refusal (`pb.LoginFailed`) closes the connection. */
export async function login(connection: Connection, who: Credentials, options: LoginOptions = {}): Promise<Identity> {
  await connection.ready;
  const { auth, cb = [] } = connection.peer ?? {};
  const { isTls, isLocal, certificate } = connection.transport;
  if (!auth) throw new TypeError("the root of this server is no login");
  if (!isTls && !isLocal && !options.insecure)
    throw new TypeError("no login where others can listen: use pbs: or wss:, or say insecure");
  try {
    const binding = certificate && !options.tlsEndsBefore ? await bindingOf(certificate) : undefined;
    if (binding && !cb.includes(binding.type)) broken("the server offers no channel binding");
    const helloHash = await sha256(concat(connection.ownHello, connection.peerHello!));
    const anonymous: Mechanism = { name: "ANONYMOUS", first: NOTHING, isProven: (last) => last.length === 0 };
    let mechanism = anonymous;
    if (who !== "anonymous" && "key" in who) {
      if (!binding && (isTls || !isLocal)) broken("a key signs only with channel binding, or within one machine");
      mechanism = await ed25519(who.user, who.key, helloHash, binding);
    } else if (who !== "anonymous") {
      const flag = binding ? `p=${binding.type}` : certificate ? "y" : "n";
      mechanism = scram(who.user, who.password, flag, helloHash, binding?.data, options.nonce);
    }
    return await prove(connection, mechanism, binding?.type ?? "none");
  } catch (error) {
    if (error instanceof ProtocolError) connection.fail(error);
    else if (!(error instanceof PbError)) connection.fail(new ProtocolError(8, "the login is given up"));
    throw error;
  }
}
async function prove({ peer, root }: Connection, mechanism: Mechanism, binding: string): Promise<Identity> {
  const { name, first, answer, isProven } = mechanism;
  if (!peer!.auth!.includes(name)) broken(`the server does not offer ${name}`);
  const dataOf = (one: State): Uint8Array =>
    isMap(one) && one.data instanceof Uint8Array && one.data.length <= 4096 ? one.data : broken("a step of no form");
  let step: State = await root.call("login", name, first);
  if (answer) {
    const challenge = dataOf(step), { next, identity } = step;
    if (!(next instanceof RemoteReference) || identity !== undefined) return broken("no challenge came");
    try {
      step = await next.call("respond", await answer(challenge));
    } finally { next.release(); }
  }
  if (!isProven(dataOf(step))) broken("the server did not prove itself");
  const { identity, user } = step;
  if (!(identity instanceof RemoteReference)) return broken("a step of no known form");
  return new Identity(identity, typeof user === "string" ? user : "", name, answer ? binding : "none");
}
/** What an Ed25519 key signs. */
export const signed = (user: string, client: Bytes, server: Bytes, type: string, bound: Bytes, hellos: Bytes): Bytes =>
  pack(["PB/1 ED25519", user, client, server, type, bound, hellos]) as Bytes;
async function ed25519(user: string, pair: CryptoKeyPair, helloHash: Bytes, binding?: Binding): Promise<Mechanism> {
  const { type, data: bound } = binding ?? { type: "none", data: NOTHING };
  const key = new Uint8Array(await subtle.exportKey("raw", pair.publicKey));
  const nonce = crypto.getRandomValues(new Uint8Array(32));
  const answer: Answer = async (challenge) => {
    const server = new Uint8Array(challenge.slice(-32));
    if (isSame(server, nonce) || !isSame(pack({ nonce: server }), challenge)) broken("a challenge of no known form");
    const message = signed(user, nonce, server, type, bound, helloHash);
    return new Uint8Array(await subtle.sign("Ed25519", pair.privateKey, message));
  };
  const first = pack({ key, nonce, user: prepared(user, 255) }) as Bytes;
  return { name: "ED25519", first, answer, isProven: (last) => last.length === 0 };
}
const CHALLENGE = /^r=([!-+\--~]+),s=([A-Za-z0-9+/]+={0,2}),i=([1-9]\d{0,8})((?:,[A-Za-z]=[^,\0]+)*)$/;
/** SCRAM-SHA-256, or -PLUS if the flag says so; what is said is bytes. */
export function scram(user: string, password: string, flag: string, helloHash?: Bytes, binding: Bytes = NOTHING,
  own: string = base64(crypto.getRandomValues(new Uint8Array(18)))): Mechanism {
  const bare = `n=${prepared(user, 255).replaceAll("=", "=3D").replaceAll(",", "=2C")},r=${own}`, gs2 = `${flag},,`;
  const secret = utf8(prepared(password, 1024));
  let proof = NOTHING; // which the server has to give
  const answer: Answer = async (challenge) => {
    if (challenge.length > 2048) broken("a challenge that is too long");
    const text = textOf(challenge);
    const [, nonce, salted, counted, extensions] = CHALLENGE.exec(text) ?? broken("a challenge of no known form");
    const salt = Uint8Array.from(atob(salted), (c) => c.charCodeAt(0)), iterations = Number(counted);
    const isOurs = nonce.startsWith(own) && nonce.length >= own.length + 18 && nonce.length <= 256;
    if (!isOurs) broken("a nonce that is not ours, or too short");
    if (base64(salt) !== salted || salt.length > 64) broken("a salt out of range");
    if (iterations < 4096 || iterations > 10_000_000) broken("a count out of range");
    if (extensions.startsWith(",m=")) broken("an extension that must be understood");
    const expected = helloHash ? `,h=${base64(helloHash)}` : "";
    if (!`${extensions},`.startsWith(`${expected},`) || extensions.slice(expected.length).includes(",h="))
      broken("the HELLOs were changed on their way");
    const without = `c=${base64(concat(utf8(gs2), binding))},r=${nonce}`, message = utf8(`${bare},${text},${without}`);
    const key = await subtle.importKey("raw", secret, "PBKDF2", false, ["deriveBits"]);
    const derived = await subtle.deriveBits({ name: "PBKDF2", hash: "SHA-256", salt, iterations }, key, 256);
    const clientKey = await hmac(new Uint8Array(derived), utf8("Client Key"));
    const serverKey = await hmac(new Uint8Array(derived), utf8("Server Key"));
    proof = utf8(`v=${base64(await hmac(serverKey, message))}`);
    const signature = await hmac(await sha256(clientKey), message);
    return utf8(`${without},p=${base64(clientKey.map((byte, i) => byte ^ signature[i]))}`);
  };
  const isProven = (last: Uint8Array): boolean =>
    proof.length > 0 && isSame(last.subarray(0, proof.length), proof) && last.length <= 2048 &&
    /^(,[A-Za-z]=[^,\0]+)*$/.test(textOf(last.subarray(proof.length)));
  const name = flag.startsWith("p=") ? "SCRAM-SHA-256-PLUS" : "SCRAM-SHA-256";
  return { name, first: utf8(gs2 + bare), answer, isProven };
}
