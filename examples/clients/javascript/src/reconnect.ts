/** Coming back after a loss: waiting, logging in again, attaching again. Spec: 12-reconnecting.md. */
import { Connection } from "./connection.js";
import { Forbidden, LoginFailed, PbError, ProtocolError } from "./errors.js";
import { connect, ConnectOptions } from "./connect.js";

export interface ReconnectOptions extends ConnectOptions {
  /** Called with each new connection, logged in; attach and fetch here what is wanted. */
  ready?: (connection: Connection) => unknown;
  /** Called when a connection is lost or cannot be made, with what is waited for. */
  lost?: (error: unknown, seconds: number) => void;
  /** Where chance comes from, and waiting: for tests. */
  random?: () => number;
  wait?: (seconds: number) => Promise<void>;
}
/** What would only be repeated. */
function isFatal(error: unknown): boolean {
  if (error instanceof ProtocolError) return [2, 8].includes(error.code);
  if (error instanceof PbError && /: BYE 2 /.test(error.message)) return true;
  return error instanceof LoginFailed || error instanceof Forbidden || error instanceof TypeError;
}

/** Keep a connection to a server: after a loss wait, 0.1 s doubling to 30 s and chosen by chance below that,
 * and connect again. */
export class Reconnecting {
  /** The connection there is now, if there is one. */
  connection: Connection | undefined;
  /** Resolves when it was stopped; rejects with what would only be repeated, such as a refused login. */
  readonly done: Promise<void>;
  private isStopped = false;
  private wake: (() => void) | undefined;
  constructor(private readonly url: string, private readonly options: ReconnectOptions = {}) {
    this.done = this.run();
    this.done.catch(() => undefined);
  }
  async stop(): Promise<void> {
    this.isStopped = true;
    this.wake?.();
    await this.connection?.close();
    await this.done;
  }
  private async run(): Promise<void> {
    const { random = Math.random, lost } = this.options;
    for (let misses = 0; !this.isStopped; ) {
      let error: unknown;
      const began = Date.now();
      try {
        this.connection = await connect(this.url, this.options);
        if (this.isStopped) return await this.connection.close();
        await this.options.ready?.(this.connection);
        error = await this.connection.closed;
        if (Date.now() - began > 10_000) misses = 0;
      } catch (failure) {
        error = failure;
        if (this.connection && !this.connection.isClosed) await this.connection.close(1);
      }
      this.connection = undefined;
      if (this.isStopped) return;
      if (isFatal(error)) throw error;
      const seconds = random() * Math.min(30, 0.1 * 2 ** misses++);
      lost?.(error, seconds);
      await (this.options.wait?.(seconds) ?? new Promise<void>((resolve) => {
        this.wake = resolve;
        setTimeout(resolve, seconds * 1000);
      }));
    }
  }
}
