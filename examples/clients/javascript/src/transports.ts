/** What carries frames: TCP, TLS, WebSocket. Spec: 2-frames.md, 2.1 and 2.2. */
import type { Socket } from "node:net";
import { OURS } from "./connection.js";
import { ConnectionLost, printable, ProtocolError } from "./errors.js";
import { concat, uint } from "./values.js";

export interface Handlers { body(body: Uint8Array): void; fault(error: ProtocolError): void; lost(): void }
export interface Transport {
  start(handlers: Handlers): void;
  send(body: Uint8Array): void;
  close(code: number): void; // when what was sent is written; a BYE code becomes that of WebSocket
  buffered(): number; // how many bytes wait to be taken
  readonly isLocal: boolean; // within this machine: a login may run over it (PB-A3, PB-A32),
  readonly isTls: boolean; // as it may over this
  readonly certificate?: Uint8Array<ArrayBuffer>; // of the TLS server, as DER, where it can be seen
}
export interface TransportOptions {
  fingerprint?: string; // of the server's key, as in pbs://FINGERPRINT@host (PB-F44): the only one that is accepted
  WebSocket?: new (url: string, protocols: string[]) => any; // where there is no global one
  signal?: AbortSignal; // ends the attempt, which else ends by itself after 30 s
}
/** Open pb://host:port, pbs://host:port, pbs://FINGERPRINT@host:port, ws:// or wss://. */
export async function dial(url: string, options: TransportOptions = {}): Promise<Transport> {
  if (!/^(pb|ws)s?:/.test(url)) throw new TypeError("a URL of pb:, pbs:, ws: or wss: is wanted");
  options.signal?.throwIfAborted();
  const { protocol, hostname, port, username } = new URL(url);
  const host = hostname.replace(/^\[|\]$/g, "");
  const fingerprint = options.fingerprint ?? username;
  if (fingerprint && protocol !== "pbs:") throw new TypeError("a fingerprint can be checked over pbs: only");
  const about = { isLocal: /^(localhost|127(\.\d+){3}|::1)$/.test(host), isTls: /s:$/.test(protocol) };
  if (protocol.startsWith("ws")) return { ...about, ...(await webSocket(url, options)) };
  return { ...about, ...(await stream(host, Number(port || 8787), about.isTls, fingerprint, options)) };
}
/** Wait for this. What fails, or takes too long, or is not wanted any more, is given up, which has to end it. */
export async function within<T>(seconds: number, made: Promise<T>, giveUp: (error: Error) => void,
  { signal }: TransportOptions): Promise<T> {
  let why: Error | undefined;
  const end = (error: Error): void => giveUp((why ??= error));
  const abort = (): void => end(signal!.reason);
  const timer = setTimeout(() => end(new ConnectionLost(`no connection came within ${seconds} s`)), seconds * 1000);
  signal?.addEventListener("abort", abort);
  if (signal?.aborted) abort();
  try {
    return await made;
  } catch (error) {
    end(error as Error);
    throw why;
  } finally {
    clearTimeout(timer);
    signal?.removeEventListener("abort", abort);
  }
}
const PIECE = 65536;
type Carrier = Omit<Transport, "isLocal" | "isTls">;
async function webSocket(url: string, options: TransportOptions): Promise<Carrier> {
  const Make = options.WebSocket ?? (globalThis as TransportOptions).WebSocket;
  if (!Make) throw new TypeError("no WebSocket here: give one as the option WebSocket");
  const socket = new Make(url, ["pb.1"]);
  socket.binaryType = "arraybuffer";
  const early: unknown[] = []; // what comes with the answer to the upgrade
  socket.onmessage = ({ data }: { data: unknown }) => void early.push(data);
  const close = (code?: number): void => {
    socket.close(code);
    lingering(() => socket.terminate?.()); // that of a page has no such thing, and ends by itself
  };
  const opened = new Promise<void>((resolve, reject) => {
    socket.onerror = socket.onclose = () => reject(new ConnectionLost(`${url} cannot be reached`));
    const refuse = (): void => reject(new ConnectionLost(`${url} does not speak pb.1`));
    socket.onopen = () => (socket.protocol === "pb.1" ? resolve() : refuse());
  });
  await within(30, opened, () => close(), options);
  return {
    start(handlers) {
      const take = (data: unknown): void => {
        if (data instanceof ArrayBuffer) return handlers.body(new Uint8Array(data));
        try {
          close(1003);
        } catch {
          close(4003); // the WebSocket of a page, which can say no less than 3000 (PB-F1)
        }
        handlers.lost();
      };
      socket.onmessage = ({ data }: { data: unknown }) => take(data);
      socket.onerror = () => undefined;
      socket.onclose = () => handlers.lost();
      queueMicrotask(() => {
        for (const data of early) take(data);
        if (socket.readyState > 1) handlers.lost();
      });
    },
    send: (body) => void (socket.readyState === 1 && socket.send(body)),
    close: (code) => void (socket.readyState < 2 && close(code > 1 ? 4000 + code : 1000)),
    buffered: () => socket.bufferedAmount,
  };
}
/** Do something a second later, which keeps no process alive. */
const lingering = (what: () => void): void => void (setTimeout(what, 1000) as Partial<NodeJS.Timeout>).unref?.();

async function stream(host: string, port: number, isTls: boolean, fingerprint: string,
  options: TransportOptions): Promise<Carrier> {
  const [net, tls, streams] = ["node:net", "node:tls", "node:stream"]; // so that no bundler looks for them
  const { connect } = await import(isTls ? tls : net);
  const { PassThrough }: typeof import("node:stream") = await import(streams);
  const servername = /^[\d.]+$|:/.test(host) ? "" : host; // an address is none
  // A pinned key needs no authority.
  const forTls = { servername, ALPNProtocols: ["pb/1"], minVersion: "TLSv1.2", rejectUnauthorized: !fingerprint };
  const socket: Socket = connect({ host, port, ...(isTls && forTls) });
  let peer: import("node:crypto").X509Certificate | undefined;
  const opened = new Promise<void>((resolve, reject) => {
    socket.on("error", (error) => reject(new ConnectionLost(printable(error.message))));
    socket.once(isTls ? "secureConnect" : "connect", () => check().then(resolve, reject));
    const check = async (): Promise<void> => {
      peer = isTls ? (socket as import("node:tls").TLSSocket).getPeerX509Certificate() : undefined;
      const key = fingerprint && peer?.publicKey.export({ type: "spki", format: "der" });
      if (fingerprint && (!key || (await fingerprintOf(key)) !== fingerprint.toLowerCase()))
        throw new ProtocolError(8, "the key of the server is not the one that was expected");
    };
  });
  await within(30, opened, (error) => socket.destroy(error), options);
  socket.setNoDelay(true);
  const out = new PassThrough(); // gives the socket little at a time: that tells only when all it was given is taken
  out.pipe(socket);
  return {
    certificate: peer && new Uint8Array(peer.raw),
    start(handlers) {
      let wanted = 4, isBody = false, most = 4096; // the HELLO is short
      const read = (): void => { // a length, and then as much
        for (let found: Buffer; (found = socket.read(wanted))?.length === wanted; isBody = !isBody) {
          if (isBody) {
            handlers.body(new Uint8Array(found));
            most = OURS.max_frame;
          }
          wanted = isBody ? 4 : found.readUInt32BE();
          if (!isBody && (wanted < 1 || wanted > most)) {
            socket.off("readable", read);
            return handlers.fault(new ProtocolError(5, "a frame of no bytes, or of more than max_frame"));
          }
        }
      };
      socket.on("readable", read);
      socket.on("close", () => handlers.lost());
      if (socket.destroyed) queueMicrotask(() => handlers.lost());
    },
    send(body) {
      const whole = concat(uint(body.length, 4), body);
      for (let i = 0; i < whole.length && out.writable; i += PIECE) out.write(whole.subarray(i, i + PIECE));
    },
    close() {
      out.end();
      lingering(() => socket.destroy());
    },
    buffered: () => out.writableLength + out.readableLength + socket.writableLength,
  };
}
/** SHA-256 of a public key in base32, lower case (PB-F44). */
async function fingerprintOf(key: Uint8Array): Promise<string> {
  const hash = new Uint8Array(await crypto.subtle.digest("SHA-256", new Uint8Array(key)));
  const fives = Array.from(hash, (byte) => byte.toString(2).padStart(8, "0")).join("").match(/.{1,5}/g)!;
  return fives.map((five) => "abcdefghijklmnopqrstuvwxyz234567"[parseInt(five.padEnd(5, "0"), 2)]).join("");
}
