/** Perspective Broker for browsers and Node: see README.md. */
export { Connection, type ConnectionOptions } from "./connection.js";
export { Cacheable, isStale, onChange } from "./caches.js";
export * from "./errors.js";
export { type Credentials, Identity, login, type LoginOptions } from "./login.js";
export { connect, type ConnectOptions, Reconnecting, type ReconnectOptions } from "./reconnect.js";
export { type CallOptions, type Pipe, type Pipelined, type Remote, RemoteReference } from "./calls.js";
export { current } from "./serving.js";
export { RemoteStream } from "./streams.js";
export { type Trace } from "./trace.js";
export { dial, type Transport, type TransportOptions } from "./transports.js";
export { type CopyOptions, Referenceable, Registry, serve } from "./registry.js";
export { Civil, Decimal, Duration, FrozenSet, Opaque, type State, Tuple, Uuid } from "./values.js";
