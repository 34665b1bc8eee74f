/** What carries frames: TCP, TLS, WebSocket. Spec: 2-frames.md, 2.1 and 2.2. */
import { concat } from "./bytes.js";
import { ConnectionLost, ProtocolError } from "./errors.js";
import { OURS } from "./messages.js";

export interface Handlers {
  body(body: Uint8Array): void;
  fault(error: ProtocolError): void;
  lost(): void;
}
export interface Transport {
  start(handlers: Handlers): void;
  send(body: Uint8Array): void;
  /** Close when what was sent is written; a BYE code becomes that of WebSocket. */
  close(code: number): void;
  /** How many bytes wait to be taken. */
  buffered(): number;
  /** Whether a login may run here (PB-A3). */
  readonly isPrivate: boolean;
  /** Whether it stays within this machine, without TLS (PB-A32). */
  readonly isLocal: boolean;
  /** The certificate of the TLS server, as DER, where it can be seen. */
  readonly certificate?: Uint8Array;
}
export interface TransportOptions {
  /** Of the server's key, as in pbs://FINGERPRINT@host (PB-F44): the only one that is accepted. */
  fingerprint?: string;
  /** A WebSocket constructor, where there is no global one. */
  WebSocket?: new (url: string, protocols: string[]) => any;
}

/** Open pb://host:port, pbs://host:port, pbs://FINGERPRINT@host:port, ws:// or wss://. */
export async function dial(url: string, options: TransportOptions = {}): Promise<Transport> {
  if (/^wss?:/.test(url)) return webSocket(url, options);
  if (!/^pbs?:/.test(url)) throw new TypeError("a URL of pb:, pbs:, ws: or wss: is wanted");
  const { protocol, hostname, port, username } = new URL(url);
  const fingerprint = options.fingerprint ?? (username || undefined);
  return stream(hostname.replace(/^\[|\]$/g, ""), Number(port || 8787), protocol === "pbs:", fingerprint);
}
const isLocal = (host: string): boolean => /^(localhost|127(\.\d+){3}|\[?::1\]?)$/.test(host);

async function webSocket(url: string, options: TransportOptions): Promise<Transport> {
  const Make = options.WebSocket ?? (globalThis as { WebSocket?: any }).WebSocket;
  if (!Make) throw new TypeError("no WebSocket here: give one as the option WebSocket");
  const socket = new Make(url, ["pb.1"]);
  socket.binaryType = "arraybuffer";
  const early: unknown[] = []; // what comes with the answer to the upgrade
  socket.onmessage = ({ data }: { data: unknown }) => void early.push(data);
  await new Promise<void>((resolve, reject) => {
    socket.onopen = () => resolve();
    socket.onerror = socket.onclose = () => reject(new ConnectionLost(`${url} cannot be reached`));
  });
  if (socket.protocol !== "pb.1") {
    socket.close();
    throw new ConnectionLost(`${url} does not speak pb.1`);
  }
  return {
    isPrivate: url.startsWith("wss:") || isLocal(new URL(url).hostname),
    isLocal: url.startsWith("ws:") && isLocal(new URL(url).hostname),
    start(handlers) {
      const take = (data: unknown): void => {
        if (data instanceof ArrayBuffer) return handlers.body(new Uint8Array(data));
        try {
          socket.close(1003);
        } catch {
          socket.close(4003); // the WebSocket of a page, which can say no less than 3000 (PB-F1)
        }
        handlers.lost();
      };
      socket.onmessage = ({ data }: { data: unknown }) => take(data);
      socket.onerror = () => undefined;
      socket.onclose = () => handlers.lost();
      queueMicrotask(() => {
        for (const data of early.splice(0)) take(data);
        if (socket.readyState > 1) handlers.lost();
      });
    },
    send: (body) => void (socket.readyState === 1 && socket.send(body)),
    close: (code) => void (socket.readyState < 2 && socket.close(code > 1 ? 4000 + code : 1000)),
    buffered: () => socket.bufferedAmount,
  };
}

async function stream(host: string, port: number, isTls: boolean, fingerprint?: string): Promise<Transport> {
  const [net, tls] = ["node:net", "node:tls"]; // so that no bundler looks for them
  let certificate: Uint8Array | undefined;
  let socket: import("node:net").Socket;
  if (isTls) {
    const { connect } = (await import(tls)) as typeof import("node:tls");
    const servername = /^[\d.]+$|:/.test(host) ? "" : host; // an address is none
    const found = connect({
      host, port, servername, ALPNProtocols: ["pb/1"], minVersion: "TLSv1.2",
      rejectUnauthorized: !fingerprint, // a pinned key needs no authority
    });
    await opened(found, "secureConnect");
    certificate = new Uint8Array(found.getPeerCertificate().raw);
    const key = found.getPeerX509Certificate()?.publicKey.export({ type: "spki", format: "der" });
    if (fingerprint && (!key || (await fingerprintOf(key)) !== fingerprint.toLowerCase())) {
      found.destroy();
      throw new ProtocolError(8, "the key of the server is not the one that was expected");
    }
    socket = found;
  } else {
    const { connect } = (await import(net)) as typeof import("node:net");
    socket = connect({ host, port });
    await opened(socket, "connect");
  }
  socket.setNoDelay(true);
  return {
    isPrivate: isTls || isLocal(host),
    isLocal: !isTls && isLocal(host),
    certificate,
    start(handlers) {
      const read = frames(handlers);
      socket.on("data", ({ buffer, byteOffset, length }) => read(new Uint8Array(buffer, byteOffset, length)));
      socket.on("error", () => undefined);
      socket.on("close", () => handlers.lost());
      if (socket.destroyed) queueMicrotask(() => handlers.lost());
    },
    send(body) {
      const length = new Uint8Array(4);
      new DataView(length.buffer).setUint32(0, body.length);
      if (socket.writable) socket.write(concat(length, body));
    },
    close() {
      socket.end();
      setTimeout(() => socket.destroy(), 1000).unref();
    },
    buffered: () => socket.writableLength,
  };
}
/** SHA-256 of a public key in base32, lower case (PB-F44). */
async function fingerprintOf(key: Uint8Array): Promise<string> {
  const hash = new Uint8Array(await crypto.subtle.digest("SHA-256", new Uint8Array(key)));
  const fives = Array.from(hash, (byte) => byte.toString(2).padStart(8, "0")).join("").match(/.{1,5}/g)!;
  return fives.map((five) => "abcdefghijklmnopqrstuvwxyz234567"[parseInt(five.padEnd(5, "0"), 2)]).join("");
}
function opened(socket: import("node:net").Socket, event: string): Promise<void> {
  return new Promise((resolve, reject) => {
    socket.once(event, resolve);
    socket.once("error", (error) => reject(new ConnectionLost(error.message)));
  });
}
/** Cut a stream into frame bodies; the length is looked at before the body is waited for. */
export function frames(handlers: Handlers): (data: Uint8Array) => void {
  let chunks: Uint8Array[] = [];
  let size = 0, wanted = 4, isBody = false, isFirst = true, isBroken = false;
  return (data) => {
    if (isBroken) return;
    chunks.push(data);
    size += data.length;
    while (size >= wanted) {
      const all = chunks.length === 1 ? chunks[0] : concat(...chunks);
      const head = all.subarray(0, wanted);
      chunks = [all.subarray(wanted)];
      size -= wanted;
      if (isBody) {
        [wanted, isBody, isFirst] = [4, false, false];
        handlers.body(head);
        continue;
      }
      wanted = new DataView(head.buffer, head.byteOffset).getUint32(0);
      isBody = true;
      if (wanted < 1 || wanted > (isFirst ? 4096 : OURS.max_frame)) {
        isBroken = true;
        return handlers.fault(new ProtocolError(5, "a frame of no bytes, or of more than max_frame"));
      }
    }
  };
}
