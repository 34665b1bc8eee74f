/** Dialling: a transport, HELLO, and a login if one is wanted. */
import { Connection, ConnectionOptions } from "./connection.js";
import { Credentials, Identity, login, LoginOptions } from "./login.js";
import { dial, TransportOptions } from "./transports.js";

export interface ConnectOptions extends ConnectionOptions, TransportOptions, LoginOptions {
  login?: Credentials;
}
export type Connected = Connection & { identity?: Identity };
/** Connect, wait for the peer's HELLO, and log in: then `connection.identity` is there. */
export async function connect(url: string, options: ConnectOptions = {}): Promise<Connected> {
  const connection: Connected = new Connection(await dial(url, options), options);
  await connection.ready;
  if (connection.isClosed) throw await connection.closed;
  if (options.login) connection.identity = await login(connection, options.login, options);
  return connection;
}
