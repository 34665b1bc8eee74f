// A peer of bytes: what a connection says to it is noted, and it says what a test wants.
import { Cacheable, Connection, Registry } from "../dist/index.js";
import { Reader } from "../dist/reader.js";
import { pack } from "../dist/writer.js";

export class Stock extends Cacheable {}
/** A connection, with what it says in hex; `hear` gives it an envelope, `raw` a frame body, and `clog` says how much waits to be taken. */
export function connection(root = new Stock(), info = {}, log = () => undefined) {
  const said = [];
  let waiting = 0;
  let handlers;
  const transport = {
    start: (found) => (handlers = found), send: (body) => void said.push(Buffer.from(body).toString("hex")),
    close: () => undefined, buffered: () => waiting, isTls: false, isLocal: true,
  };
  const made = new Connection(transport, { root, registry: new Registry().cache("shop.Stock", Stock), log });
  const hear = (...envelope) => handlers.body(pack(envelope));
  if (info) hear(0, "PB", 1, { features: ["cache", "stream"], ...info });
  said.length = 0;
  return { made, hear, raw: (body) => handlers.body(body), said, clog: (bytes) => (waiting = bytes) };
}
export const bytes = (hex) => new Uint8Array(Buffer.from(hex, "hex"));
export const envelopes = (said) => said.map((hex) => new Reader(bytes(hex)).envelope());
/** The methods of the calls that were sent, with their targets where these are not the root. */
export const called = (said) => envelopes(said).filter(([code]) => code === 1).map(([, , target, method]) => (target ? `${target} ${method}` : method));
