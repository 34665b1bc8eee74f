/** Streams, both ends. Spec: 10-streams.md. */
import { Connection, END, ITEMS, OURS, PULL, STOP } from "./connection.js";
import { DeadlineExceeded, PbError, ProtocolError, TooLarge } from "./errors.js";
const MAX_BYTES = 67108864, CLOGGED_BYTES = 262144, PAUSE_MS = 20;
/** What makes the items of a stream of ours. */
export class Producer {
  private wake: (() => void) | undefined;
  private reason: unknown;
  private stopped: Promise<unknown> | undefined; // resolves when what makes the items has cleaned up
  private timer: ReturnType<typeof setTimeout> | undefined;
  constructor(private readonly connection: Connection, private readonly id: number,
    private readonly iterator: AsyncIterator<unknown>, private credit: number) {}
  grant(n: number): void {
    this.credit += n;
    this.wake?.();
  }
  /** The consumer, a deadline or the end of the connection wants no more, or it has failed. */
  stop(reason?: unknown): void {
    if (this.stopped) return;
    clearTimeout(this.timer);
    this.reason = reason;
    this.stopped = this.cleanUp().catch(() => undefined);
    this.wake?.();
  }
  private async cleanUp(): Promise<unknown> { return this.iterator.return?.(); }
  endsIn(ms: number): void {
    this.timer = setTimeout(() => this.stop(new DeadlineExceeded("the time of the call is over")), ms);
  }
  /** Wait for credit, and for what was sent to be taken; tells whether more items are wanted. */
  private async mayGoOn(): Promise<boolean> {
    while (!this.stopped && (this.credit < 1 || this.connection.transport.buffered() > CLOGGED_BYTES))
      await new Promise<void>((resolve) => {
        this.wake = resolve;
        if (this.credit > 0) setTimeout(resolve, PAUSE_MS); // nothing tells when a WebSocket has been emptied
      });
    return !this.stopped;
  }
  /** What fails has cleaned up. */
  private async next(): Promise<IteratorResult<unknown>> {
    try {
      return await this.iterator.next();
    } catch (failure) {
      this.reason ??= failure;
      return { done: true, value: undefined };
    }
  }
  async run(): Promise<void> {
    const { connection, id } = this;
    while (await this.mayGoOn()) {
      const { done, value } = await this.next();
      if (this.stopped || done) break;
      this.credit--;
      try {
        connection.encode([value], (bytes) => connection.send([ITEMS, id, bytes]));
      } catch (failure) { this.stop(failure); }
    }
    clearTimeout(this.timer);
    await this.stopped;
    if (!connection.exports.producers.delete(id) || connection.isClosed) return;
    if (this.reason === undefined) connection.send([END, id]);
    else connection.sendError(END, id, this.reason);
    connection.checkDrained();
  }
}
/** A stream of the peer: give it to `for await`. One that is left or dropped is stopped. The application has a proxy of
 * it, so that its loss is seen. */
export class RemoteStream<T = unknown> implements AsyncIterable<T> {
  private readonly queue: { value: any; size: number }[] = []; // not taken yet
  private credit = OURS.window;
  private taken = 0; // since the last PULL
  private error: unknown;
  private isEnded = false;
  private isStopped = false;
  private readonly waiting: (() => void)[] = [];
  constructor(readonly connection: Connection, private readonly id: number) {}
  async next(): Promise<IteratorResult<T>> {
    while (!this.queue.length) {
      const { error } = this;
      this.error = undefined;
      if (error !== undefined) throw error;
      if (this.isEnded || this.isStopped) return { done: true, value: undefined };
      if (this.credit < 1) this.pull(Math.max(this.taken, 1));
      await new Promise<void>((resolve) => this.waiting.push(resolve));
    }
    const { value, size } = this.queue.shift()!;
    this.connection.imports.unread -= size;
    this.taken++;
    if (OURS.window && this.taken * 2 >= OURS.window) this.pull(this.taken);
    return { done: false, value };
  }
  async *[Symbol.asyncIterator](): AsyncGenerator<T> {
    try {
      for (let one = await this.next(); !one.done; one = await this.next()) yield one.value;
    } finally { this.stop(); }
  }
  /** Ask for so many more items; `next` does so by itself. */
  pull(n: number): void {
    this.taken = 0;
    if (this.isEnded || this.isStopped) return;
    this.credit += n;
    this.connection.send([PULL, this.id, n]);
  }
  /** Want no more. */
  stop(): void {
    for (const { size } of this.queue.splice(0)) this.connection.imports.unread -= size;
    this.fail(undefined);
  }
  // What is below is for the connection.
  /** The application gets what came before, then this error; no more is wanted. */
  fail(error: PbError | undefined): void {
    if (this.isStopped || this.isEnded) return;
    this.isStopped = true;
    this.error = error;
    this.connection.send([STOP, this.id]);
    this.wake();
  }
  items(payload: Uint8Array): void {
    const { imports } = this.connection, { value, violation } = imports.decode(payload, "items", !this.isStopped);
    if (violation) return this.fail(violation);
    this.credit -= value.length;
    if (this.credit < 0) throw new ProtocolError(6, "more items than credit");
    if (this.isStopped) return;
    if (imports.unread + payload.length > MAX_BYTES)
      return this.fail(new TooLarge(`streams of more than ${MAX_BYTES} bytes that nobody took`));
    imports.unread += payload.length;
    for (const one of value) this.queue.push({ value: one, size: payload.length / value.length });
    this.wake();
  }
  /** END has come, with an error or without, or the end of the connection. */
  end(error: Error | undefined): void {
    this.isEnded = true;
    if (!this.isStopped) this.error = error;
    this.wake();
  }
  private wake(): void { for (const one of this.waiting.splice(0)) one(); }
}
