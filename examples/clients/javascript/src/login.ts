/** Logging in: SCRAM-SHA-256(-PLUS), Ed25519, anonymous; by WebCrypto. Spec: 9-login.md. */
import { concat, hex, textOf, utf8 } from "./bytes.js";
import type { Connection } from "./connection.js";
import { PbError, ProtocolError } from "./errors.js";
import { Reader } from "./reader.js";
import { RemoteReference } from "./references.js";
import { isMap, State } from "./values.js";
import { pack } from "./writer.js";

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
const NOTHING: Bytes = new Uint8Array(0);
const bytes = (text: string): Bytes => utf8.encode(text) as Bytes;
const base64 = (data: Uint8Array): string => btoa(String.fromCharCode(...data));
const digest = async (hash: string, data: Uint8Array): Promise<Bytes> =>
  new Uint8Array(await subtle.digest(hash, data as Bytes));
const isSame = (a: Uint8Array, b: Uint8Array): boolean =>
  a.length === b.length && a.reduce((all, byte, i) => all | (byte ^ b[i]), 0) === 0;
async function hmac(key: Uint8Array, data: Uint8Array): Promise<Bytes> {
  const algorithm = { name: "HMAC", hash: "SHA-256" };
  const made = await subtle.importKey("raw", key as Bytes, algorithm, false, ["sign"]);
  return new Uint8Array(await subtle.sign("HMAC", made, data as Bytes));
}
const broken = (why: string): never => {
  throw new ProtocolError(8, `the login is given up: ${why}`);
};
/** A name or password that SASLprep leaves as it is; others are refused, since SASLprep is not here
 * (PB-A14). */
function prepared(what: string, most: number): string {
  if (!/^[\x20-\x7e]+$/.test(what) || what.length > most)
    throw new TypeError(`names and passwords are 1 to ${most} characters of ASCII`);
  return what;
}

/** Who one is at a server. */
export class Identity {
  /** @internal */
  constructor(readonly reference: RemoteReference, readonly user: string, readonly mechanism: string,
    readonly binding: string) {}
  /** Get a perspective of a service, one's own if none is named; it may call `client`, an object of ours. */
  attach(service: string, perspective: string | null = null, client?: object): Promise<RemoteReference> {
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

/** OID of the signature of a certificate -> the hash of the certificate that is the binding. */
const HASHES: Record<string, string> = {
  "2a864886f70d01010c": "SHA-384", "2a8648ce3d040303": "SHA-384", "2a864886f70d01010d": "SHA-512",
  "2a8648ce3d040304": "SHA-512", "2a864886f70d01010b": "SHA-256", "2a8648ce3d040302": "SHA-256",
  "2a864886f70d010105": "SHA-256", "2a8648ce3d0401": "SHA-256",
};
/** What a proof is bound to: the certificate, where it can be seen. */
async function bindingOf(certificate: Uint8Array | undefined): Promise<Binding | undefined> {
  if (!certificate) return undefined;
  const hash = HASHES[signatureOid(certificate)] ?? broken("a certificate that gives no channel binding");
  return { type: "tls-server-end-point", data: await digest(hash, certificate) };
}
interface Binding {
  type: string;
  data: Bytes;
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
  return hex(der.subarray(...header(algorithm)));
}

/** Log in; every failure but a refusal (`pb.LoginFailed`) closes the connection. */
export async function login(connection: Connection, credentials: Credentials, options: LoginOptions = {}):
  Promise<Identity> {
  await connection.ready;
  const { auth, cb = [] } = connection.peer ?? {};
  const { isPrivate, certificate } = connection.transport;
  if (!auth) throw new TypeError("the root of this server is no login");
  if (!isPrivate && !options.insecure)
    throw new TypeError("no login where others can listen: use pbs: or wss:, or say insecure");
  try {
    const seen = await bindingOf(certificate);
    if (seen && !cb.includes(seen.type) && !options.tlsEndsBefore)
      broken("the server offers no channel binding");
    const binding = options.tlsEndsBefore ? undefined : seen;
    const helloHash = await digest("SHA-256", concat(connection.ownHello, connection.peerHello!));
    const attempt = new Attempt(connection, auth, helloHash, binding);
    if (credentials === "anonymous") return await attempt.anonymous();
    if ("key" in credentials) return await attempt.ed25519(prepared(credentials.user, 255), credentials.key);
    const flag = binding ? `p=${binding.type}` : certificate ? "y" : "n";
    const { user, password } = credentials;
    return await attempt.scram(new Scram(user, password, flag, helloHash, binding?.data, options.nonce));
  } catch (error) {
    if (error instanceof ProtocolError) connection.fail(error);
    else if (!(error instanceof PbError)) connection.fail(new ProtocolError(8, "the login is given up"));
    throw error;
  }
}
const NO_FORM = "a step of no known form";
function data(step: unknown): Uint8Array {
  const isStep = isMap(step) && step.data instanceof Uint8Array && step.data.length <= 4096;
  return isStep ? (step.data as Uint8Array) : broken(NO_FORM);
}

/** One login, by one mechanism. */
class Attempt {
  private mechanism = "";
  constructor(private readonly connection: Connection, private readonly auth: string[],
    private readonly helloHash: Bytes, private readonly binding: Binding | undefined) {}

  async anonymous(): Promise<Identity> {
    const step = await this.begin("ANONYMOUS", NOTHING);
    return this.done(step, data(step).length === 0);
  }
  async scram(scram: Scram): Promise<Identity> {
    const challenge = await this.begin(this.binding ? "SCRAM-SHA-256-PLUS" : "SCRAM-SHA-256", scram.first());
    const step = await this.respond(challenge, await scram.final(data(challenge)));
    return this.done(step, await scram.isProven(data(step)));
  }
  async ed25519(user: string, pair: CryptoKeyPair): Promise<Identity> {
    const { certificate, isLocal } = this.connection.transport;
    const { type, data: bound } = this.binding ?? { type: "none", data: NOTHING };
    if (!this.binding && certificate) broken("a key is not used where something ends TLS before the server");
    if (!this.binding && !isLocal) broken("a key signs only with channel binding, or within one machine");
    const key = new Uint8Array(await subtle.exportKey("raw", pair.publicKey));
    const nonce = crypto.getRandomValues(new Uint8Array(32));
    const challenge = await this.begin("ED25519", pack({ key, nonce, user }));
    const raw = data(challenge);
    const found = new Reader(raw).envelope();
    const server = isMap(found) && found.nonce instanceof Uint8Array ? found.nonce : NOTHING;
    if (server.length !== 32 || isSame(server, nonce) || !isSame(pack({ nonce: server }), raw))
      broken(NO_FORM);
    const message = signed(user, nonce, server, type, bound, this.helloHash);
    const signature = new Uint8Array(await subtle.sign("Ed25519", pair.privateKey, message as Bytes));
    const step = await this.respond(challenge, signature);
    return this.done(step, data(step).length === 0);
  }

  private begin(mechanism: string, initial: Uint8Array): Promise<State> {
    if (!this.auth.includes(mechanism)) broken(`the server does not offer ${mechanism}`);
    this.mechanism = mechanism;
    return this.connection.root.call("login", mechanism, initial);
  }
  private async respond({ next, identity }: State, answer: Uint8Array): Promise<State> {
    if (!(next instanceof RemoteReference) || identity !== undefined) return broken("no challenge came");
    try {
      return await next.call("respond", answer);
    } finally {
      next.release();
    }
  }
  private done({ identity, user }: State, isProven: boolean): Identity {
    if (!isProven) return broken("the server did not prove itself");
    if (!(identity instanceof RemoteReference) || typeof user !== "string") return broken(NO_FORM);
    const binding = this.mechanism === "ANONYMOUS" ? undefined : this.binding;
    return new Identity(identity, user, this.mechanism, binding?.type ?? "none");
  }
}
/** What an Ed25519 key signs. */
export function signed(user: string, client: Uint8Array, server: Uint8Array, type: string,
  binding: Uint8Array, helloHash: Uint8Array): Uint8Array {
  return pack(["PB/1 ED25519", user, client, server, type, binding, helloHash]);
}

/** One exchange of SCRAM-SHA-256, or -PLUS; what is said is bytes. */
export class Scram {
  private readonly bare: string;
  private readonly gs2: string;
  private readonly nonce: string;
  private serverKey!: Uint8Array;
  private message!: Bytes;
  constructor(user: string, private readonly password: string, flag: string,
    private readonly helloHash?: Uint8Array, private readonly binding: Uint8Array = NOTHING, nonce?: string) {
    this.nonce = nonce ?? base64(crypto.getRandomValues(new Uint8Array(18)));
    prepared(password, 1024);
    this.bare = `n=${prepared(user, 255).replaceAll("=", "=3D").replaceAll(",", "=2C")},r=${this.nonce}`;
    this.gs2 = `${flag},,`;
  }
  first(): Bytes {
    return bytes(this.gs2 + this.bare);
  }
  async final(serverFirst: Uint8Array): Promise<Bytes> {
    if (serverFirst.length > 2048) return broken("a challenge that is too long");
    const first = textOf(serverFirst);
    const form = /^r=([!-+\--~]+),s=([A-Za-z0-9+/]+={0,2}),i=([1-9]\d{0,8})((?:,[A-Za-z]=[^,\0]+)*)$/;
    const [, nonce, salted, counted, extensions] = form.exec(first) ?? broken("a challenge of no known form");
    const salt = Uint8Array.from(atob(salted), (c) => c.charCodeAt(0));
    const iterations = Number(counted);
    if (!nonce.startsWith(this.nonce) || nonce.length < this.nonce.length + 18 || nonce.length > 256)
      broken("a nonce that is not ours, or too short");
    if (base64(salt) !== salted || salt.length > 64) broken("a salt out of range");
    if (iterations < 4096 || iterations > 10_000_000) broken("a count out of range");
    if (extensions.startsWith(",m=")) broken("an extension that must be understood");
    const hashes = extensions.split(",").filter((one) => one.startsWith("h=")).join();
    const expected = this.helloHash ? `h=${base64(this.helloHash)}` : "";
    if (hashes !== expected || !extensions.startsWith(expected && ",h="))
      broken("the HELLOs were changed on their way");

    const without = `c=${base64(concat(bytes(this.gs2), this.binding))},r=${nonce}`;
    const key = await subtle.importKey("raw", bytes(this.password), "PBKDF2", false, ["deriveBits"]);
    const how = { name: "PBKDF2", hash: "SHA-256", salt, iterations };
    const saltedPassword = new Uint8Array(await subtle.deriveBits(how, key, 256));
    const clientKey = await hmac(saltedPassword, bytes("Client Key"));
    this.serverKey = await hmac(saltedPassword, bytes("Server Key"));
    this.message = bytes(`${this.bare},${first},${without}`);
    const signature = await hmac(await digest("SHA-256", clientKey), this.message);
    return bytes(`${without},p=${base64(clientKey.map((byte, i) => byte ^ signature[i]))}`);
  }
  /** Whether server-final shows that the server knows the password. */
  async isProven(serverFinal: Uint8Array): Promise<boolean> {
    const expected = bytes(`v=${base64(await hmac(this.serverKey, this.message))}`);
    const begins = isSame(serverFinal.subarray(0, expected.length), expected);
    const rest = textOf(serverFinal.subarray(expected.length));
    return begins && serverFinal.length <= 2048 && /^(,[A-Za-z]=[^,\0]+)*$/.test(rest);
  }
}
