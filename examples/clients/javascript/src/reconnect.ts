/** Dialling: a transport, HELLO, and a login if one is wanted; and again after a loss. Spec: 12-reconnecting.md. */
import { Connection, ConnectionOptions } from "./connection.js";
import { ConnectionLost, Forbidden, LoginFailed, ProtocolError, raise } from "./errors.js";
import { Credentials, Identity, login, LoginOptions } from "./login.js";
import { dial, TransportOptions, within } from "./transports.js";

export interface ConnectOptions extends ConnectionOptions, TransportOptions, LoginOptions { login?: Credentials }
export type Connected = Connection & { identity?: Identity };
/** Connect, wait for the peer's HELLO, and log in: then `connection.identity` is there. */
export async function connect(url: string, options: ConnectOptions = {}): Promise<Connected> {
  const connection: Connected = new Connection(await dial(url, options), options);
  const greet = async (): Promise<Connected> => {
    await connection.ready;
    try {
      if (options.login && !connection.isClosed) connection.identity = await login(connection, options.login, options);
    } catch (error) { // a call that was lost tells less than how the connection ended
      if (!connection.isClosed || !(error instanceof ConnectionLost)) throw error;
    }
    return connection.isClosed ? raise(await connection.closed) : connection;
  };
  return within(60, greet(), () => void connection.close(1), options); // which nobody else can close
}

export interface ReconnectOptions extends ConnectOptions {
  ready?: (connection: Connection) => unknown; // called with each new one, logged in: attach and fetch here
  lost?: (error: unknown, seconds: number) => void; // called when it is lost or cannot be made, with what is waited for
  random?: () => number; // where chance comes from
  wait?: (seconds: number) => Promise<void>;
}
/** What would only be repeated (PB-K2). */
const isFatal = (error: any): boolean =>
  error instanceof ProtocolError ? [2, 8].includes(error.code)
  : [LoginFailed, Forbidden, TypeError].some((one) => error instanceof one) ||
    /^the peer ended the connection: BYE 2 /.test(error?.message);
/** A server that lets nobody in for now, or not this client: it is left alone for 5 s, doubling to 10 min (9.12). */
const isShut = (error: any): boolean => /^the peer ended the connection: BYE 8 |before HELLO$/.test(error?.message);
/** Keep a connection to a server: after a loss wait, by chance up to 0.1 s, doubling to 30 s, and connect again. */
export class Reconnecting {
  /** The connection there is now, if there is one. */
  connection: Connection | undefined;
  /** Resolves when it was stopped; rejects with what would only be repeated, such as a refused login. */
  readonly done: Promise<void>;
  private readonly stopping = new AbortController();
  private wake: (() => void) | undefined;
  private misses = 0; // tries in a row that came to nothing,
  private shut = 0; // and how often the server let nobody in
  constructor(private readonly url: string, private readonly options: ReconnectOptions = {}) {
    this.done = this.run(this.stopping.signal);
    this.done.catch(() => undefined);
  }
  /** Make no more connections, leave the one there is, and give up the one that is being made. */
  async stop(): Promise<void> {
    this.stopping.abort(new ConnectionLost("it was stopped"));
    this.wake?.();
    await this.connection?.close();
    await this.done.catch(() => undefined);
  }
  private async run(signal: AbortSignal): Promise<void> {
    const sleep = (seconds: number): Promise<void> =>
      new Promise((resolve) => {
        const timer = setTimeout(resolve, seconds * 1000);
        this.wake = () => resolve(clearTimeout(timer));
      });
    const { random = Math.random, lost, wait = sleep } = this.options;
    while (!signal.aborted) {
      const error = await this.once(signal).catch((failure: unknown) => failure);
      await this.connection?.close(1);
      this.connection = undefined;
      if (signal.aborted) return;
      if (isFatal(error)) throw error;
      const least = isShut(error) ? Math.min(600, 5 * 2 ** this.shut++) : 0;
      const seconds = least + random() * Math.min(30, 0.1 * 2 ** this.misses++);
      lost?.(error, seconds);
      if (!signal.aborted) await wait(seconds);
    }
  }
  private async once(signal: AbortSignal): Promise<Error> {
    const { closed } = (this.connection = await connect(this.url, { ...this.options, signal }));
    const began = performance.now();
    const isReady = Promise.resolve(this.options.ready?.(this.connection));
    const error = await Promise.race([closed, isReady.then(() => closed)]);
    if (performance.now() - began > 10_000) this.misses = this.shut = 0;
    return error;
  }
}
