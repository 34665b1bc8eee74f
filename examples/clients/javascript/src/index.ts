/** Perspective Broker for browsers and Node: see README.md. */
import { Connection, ConnectionOptions } from "./broker.js";
import { dial, TransportOptions } from "./transports.js";

export interface ConnectOptions extends ConnectionOptions, TransportOptions {}
/** Connect and wait for the peer's HELLO. */
export async function connect(url: string, options: ConnectOptions = {}): Promise<Connection> {
  const connection = new Connection(await dial(url, options), options);
  await connection.ready;
  if (connection.isClosed) throw await connection.closed;
  return connection;
}
export * from "./broker.js";
export * from "./errors.js";
export * from "./values.js";
export { Cacheable, isStale, type Observer, onChange } from "./caches.js";
export { type CallOptions, type Pipe, type Pipelined, type Remote, RemoteReference } from "./references.js";
export { current } from "./serving.js";
export { RemoteStream } from "./streams.js";
export { dial, type Transport, type TransportOptions } from "./transports.js";
