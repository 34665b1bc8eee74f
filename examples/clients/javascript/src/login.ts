/** Logging in: SCRAM-SHA-256(-PLUS), Ed25519, anonymous; by WebCrypto. Spec: 9-login.md. */
import type { Connection } from "./connection.js";
import { PbError, ProtocolError } from "./errors.js";
import { RemoteReference } from "./references.js";
import { isMap, State } from "./values.js";
import { pack } from "./writer.js";
import { Reader } from "./reader.js";

export type Credentials =
  | { user: string; password: string }
  | { user: string; key: CryptoKeyPair }
  | "anonymous";
export interface LoginOptions {
  /** Log in where others could listen or change bytes: ws:// or pb:// to another machine. */
  insecure?: boolean;
  /** Something ends TLS before the server: go on without channel binding. */
  tlsEndsBefore?: boolean;
  /** @internal for tests: what is else random. */
  nonce?: string;
}
type Bytes = Uint8Array<ArrayBuffer>;
const { subtle } = crypto;
const utf8 = new TextEncoder();
const bytes = (text: string): Bytes => utf8.encode(text) as Bytes;
const text = (data: Uint8Array): string => new TextDecoder("utf-8", { fatal: true }).decode(data);
const base64 = (data: Uint8Array): string => btoa(String.fromCharCode(...data));
const join = (...parts: Uint8Array[]): Bytes => new Uint8Array(parts.flatMap((one) => [...one])) as Bytes;
const sha256 = async (data: Uint8Array): Promise<Bytes> => new Uint8Array(await subtle.digest("SHA-256", data as Bytes));
const isSame = (a: Uint8Array, b: Uint8Array): boolean => a.length === b.length && a.reduce((all, byte, i) => all | (byte ^ b[i]), 0) === 0;
async function hmac(key: Uint8Array, data: Uint8Array): Promise<Bytes> {
  const made = await subtle.importKey("raw", key as Bytes, { name: "HMAC", hash: "SHA-256" }, false, ["sign"]);
  return new Uint8Array(await subtle.sign("HMAC", made, data as Bytes));
}
const broken = (why: string): never => {
  throw new ProtocolError(8, `the login is given up: ${why}`);
};
/** A name or password that SASLprep leaves as it is; others are refused, since SASLprep is not here (PB-A14). */
function prepared(what: string, most: number): string {
  if (!/^[\x20-\x7e]+$/.test(what) || what.length > most) throw new TypeError(`names and passwords are 1 to ${most} characters of ASCII`);
  return what;
}

/** Who one is at a server. */
export class Identity {
  /** @internal */
  constructor(readonly reference: RemoteReference, readonly user: string, readonly mechanism: string, readonly binding: string) {}
  /** Get a perspective of a service; `client` is an object of ours that it may call. */
  attach(service: string, perspective: string | null = null, client: object | null = null): Promise<RemoteReference> {
    return this.reference.call("attach", service, perspective, client);
  }
  keys(): Promise<[service: string, perspective: string][]> {
    return this.reference.call("keys");
  }
  detach(perspective: RemoteReference): Promise<void> {
    return this.reference.call("detach", perspective);
  }
  logout(): Promise<void> {
    return this.reference.call("logout");
  }
}

/** What a proof is bound to: that of the certificate, where it can be seen. */
async function bindingOf(connection: Connection): Promise<[string, Bytes] | undefined> {
  const { certificate } = connection.transport;
  if (!certificate) return undefined;
  const names: [string, string][] = [["2a864886f70d01010c", "SHA-384"], ["2a8648ce3d040303", "SHA-384"], ["2a864886f70d01010d", "SHA-512"], ["2a8648ce3d040304", "SHA-512"],
    ["2a864886f70d01010b", "SHA-256"], ["2a8648ce3d040302", "SHA-256"], ["2a864886f70d010105", "SHA-256"], ["2a8648ce3d0401", "SHA-256"]];
  const oid = signatureOid(certificate);
  const hash = names.find(([one]) => one === oid)?.[1] ?? broken("the certificate has a signature that gives no channel binding");
  return ["tls-server-end-point", new Uint8Array(await subtle.digest(hash, certificate as Bytes))];
}
/** The OID of the signatureAlgorithm of a certificate, in hex: SEQUENCE { tbs, SEQUENCE { OID … } … }. */
function signatureOid(der: Uint8Array): string {
  const header = (at: number): [body: number, end: number] => {
    let size = der[at + 1], body = at + 2;
    if (size & 0x80) for (let n = size & 0x7f, i = (size = 0); i < n; i++) size = size * 256 + der[body++];
    return [body, body + size];
  };
  const [tbs] = header(0);
  const [algorithm] = header(header(tbs)[1]);
  const [oid, end] = header(algorithm);
  return Array.from(der.subarray(oid, end), (b) => b.toString(16).padStart(2, "0")).join("");
}

/** Log in; every failure but a refusal (`pb.LoginFailed`) closes the connection. */
export async function login(connection: Connection, credentials: Credentials, options: LoginOptions = {}): Promise<Identity> {
  await connection.ready;
  const auth = connection.peer?.auth;
  if (!auth) throw new TypeError("the root of this server is no login");
  if (!connection.transport.isPrivate && !options.insecure) throw new TypeError("no login where others can listen: use pbs: or wss:, or say insecure");
  try {
    const helloHash = await sha256(join(connection.ownHello, connection.peerHello!));
    let binding = await bindingOf(connection);
    if (binding && !connection.peer!.cb.includes(binding[0]) && !options.tlsEndsBefore) broken("the server offers no channel binding");
    if (options.tlsEndsBefore) binding = undefined;
    const offered = (name: string): string => (auth.includes(name) ? name : broken(`the server does not offer ${name}`));
    if (credentials === "anonymous") {
      const step = await begin(connection, offered("ANONYMOUS"), new Uint8Array(0));
      return done(step, "ANONYMOUS", "none", data(step).length === 0);
    }
    if ("key" in credentials) return await ed25519(connection, credentials.user, credentials.key, helloHash, binding, offered("ED25519"));
    const flag = binding ? `p=${binding[0]}` : connection.transport.certificate ? "y" : "n";
    const scram = new Scram(credentials.user, credentials.password, flag, helloHash, binding?.[1], options.nonce);
    const mechanism = offered(binding ? "SCRAM-SHA-256-PLUS" : "SCRAM-SHA-256");
    const challenge = await begin(connection, mechanism, scram.first());
    const final = await scram.final(data(challenge));
    const step = await respond(challenge, final);
    return done(step, mechanism, binding?.[0] ?? "none", await scram.isProven(data(step)));
  } catch (error) {
    if (error instanceof ProtocolError) connection.fail(error);
    else if (!(error instanceof PbError)) connection.fail(new ProtocolError(8, "the login is given up"));
    throw error;
  }
}
const begin = (connection: Connection, mechanism: string, initial: Uint8Array): Promise<State> => connection.root.call("login", mechanism, initial);
async function respond(challenge: State, answer: Uint8Array): Promise<State> {
  const { next } = challenge;
  if (!(next instanceof RemoteReference) || Object.hasOwn(challenge, "identity")) return broken("no challenge came");
  try {
    return await next.call("respond", answer);
  } finally {
    next.release();
  }
}
function data(step: unknown): Uint8Array {
  return isMap(step) && step.data instanceof Uint8Array && step.data.length <= 4096 ? step.data : broken("a step of no known form");
}
function done(step: State, mechanism: string, binding: string, isProven: boolean): Identity {
  if (!isProven) return broken("the server did not prove itself");
  if (!(step.identity instanceof RemoteReference) || typeof step.user !== "string") return broken("a step of no known form");
  return new Identity(step.identity, step.user, mechanism, binding);
}

/** One exchange of SCRAM-SHA-256, or -PLUS; what is said is bytes. */
export class Scram {
  private readonly bare: string;
  private readonly gs2: string;
  private readonly cNonce: string;
  private serverKey!: Uint8Array;
  private message!: Bytes;
  constructor(user: string, private readonly password: string, flag: string, private readonly helloHash: Uint8Array | undefined, private readonly binding?: Uint8Array, nonce?: string) {
    this.cNonce = nonce ?? base64(crypto.getRandomValues(new Uint8Array(18)));
    prepared(password, 1024);
    this.bare = `n=${prepared(user, 255).replaceAll("=", "=3D").replaceAll(",", "=2C")},r=${this.cNonce}`;
    this.gs2 = `${flag},,`;
  }
  first(): Bytes {
    return bytes(this.gs2 + this.bare);
  }
  async final(serverFirst: Uint8Array): Promise<Bytes> {
    if (serverFirst.length > 2048) return broken("a challenge that is too long");
    const first = text(serverFirst);
    const found = /^r=([\x21-\x2b\x2d-\x7e]+),s=([A-Za-z0-9+/]+={0,2}),i=([1-9]\d{0,8})((?:,[A-Za-z]=[^,\0]+)*)$/.exec(first) ?? broken("a challenge of no known form");
    const [, nonce, salted, counted, ext] = found;
    const salt = Uint8Array.from(atob(salted), (c) => c.charCodeAt(0));
    const count = Number(counted);
    const hashes = ext.split(",").filter((one) => one.startsWith("h="));
    if (!nonce.startsWith(this.cNonce) || nonce.length < this.cNonce.length + 18 || nonce.length > 256) broken("a nonce that is not ours, or too short");
    if (base64(salt) !== salted || salt.length > 64 || count < 4096 || count > 10_000_000 || ext.startsWith(",m=")) broken("a salt or count out of range");
    if (this.helloHash ? hashes.length !== 1 || !ext.startsWith(",h=") || hashes[0] !== `h=${base64(this.helloHash)}` : hashes.length) broken("the HELLOs were changed on their way");
    const without = `c=${base64(join(bytes(this.gs2), this.binding ?? new Uint8Array(0)))},r=${nonce}`;
    const key = await subtle.importKey("raw", bytes(this.password), "PBKDF2", false, ["deriveBits"]);
    const saltedPassword = new Uint8Array(await subtle.deriveBits({ name: "PBKDF2", hash: "SHA-256", salt, iterations: count }, key, 256));
    const clientKey = await hmac(saltedPassword, bytes("Client Key"));
    this.serverKey = await hmac(saltedPassword, bytes("Server Key"));
    this.message = bytes(`${this.bare},${first},${without}`);
    const signature = await hmac(await sha256(clientKey), this.message);
    return bytes(`${without},p=${base64(clientKey.map((byte, i) => byte ^ signature[i]))}`);
  }
  /** Whether server-final shows that the server knows the password. */
  async isProven(serverFinal: Uint8Array): Promise<boolean> {
    const expected = bytes(`v=${base64(await hmac(this.serverKey, this.message))}`);
    const rest = serverFinal.subarray(expected.length);
    return isSame(serverFinal.subarray(0, expected.length), expected) && serverFinal.length <= 2048 && /^(,[A-Za-z]=[^,\0]+)*$/.test(text(rest));
  }
}

/** What an Ed25519 key signs. */
export const signed = (user: string, client: Uint8Array, server: Uint8Array, type: string, binding: Uint8Array, helloHash: Uint8Array): Uint8Array =>
  pack(["PB/1 ED25519", user, client, server, type, binding, helloHash]);
async function ed25519(connection: Connection, name: string, pair: CryptoKeyPair, helloHash: Uint8Array, binding: [string, Bytes] | undefined, mechanism: string): Promise<Identity> {
  const user = prepared(name, 255);
  if (!binding && connection.transport.certificate) return broken("a key is not used where something ends TLS before the server");
  if (!binding && !connection.transport.isLocal) return broken("a key signs only with channel binding, or within one machine");
  const key = new Uint8Array(await subtle.exportKey("raw", pair.publicKey));
  const nonce = crypto.getRandomValues(new Uint8Array(32));
  const challenge = await begin(connection, mechanism, pack({ key, nonce, user }));
  const raw = data(challenge);
  const found = new Reader(raw).envelope() as State;
  const server = isMap(found) && found.nonce instanceof Uint8Array ? found.nonce : broken("a challenge of no known form");
  if (server.length !== 32 || isSame(server, nonce) || !isSame(pack({ nonce: server }), raw)) broken("a challenge of no known form");
  const message = signed(user, nonce, server, binding?.[0] ?? "none", binding?.[1] ?? new Uint8Array(0), helloHash);
  const signature = new Uint8Array(await subtle.sign("Ed25519", pair.privateKey, message as Bytes));
  const step = await respond(challenge, signature);
  return done(step, mechanism, binding?.[0] ?? "none", data(step).length === 0);
}
