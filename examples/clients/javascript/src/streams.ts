/** Streams, both ends. Spec: 10-streams.md. */
import type { Connection } from "./connection.js";
import { ConnectionLost, DeadlineExceeded, PbError, TooLarge } from "./errors.js";
import { END, ITEMS, OURS, PULL, STOP } from "./messages.js";

const MAX_BYTES = 67108864, PAUSE_MS = 20;

/** What makes the items of a stream of ours. */
export class Producer {
  private wake: (() => void) | undefined;
  private stopped = false;
  private reason: unknown;
  private returned: Promise<unknown> | undefined;
  constructor(private readonly connection: Connection, private readonly id: number,
    private readonly iterator: AsyncIterator<unknown>, private credit: number) {}

  grant(n: number): void {
    this.credit += n;
    this.wake?.();
  }
  /** The consumer, a deadline or the end of the connection wants no more. */
  stop(reason?: unknown): void {
    if (this.stopped) return;
    this.stopped = true;
    this.reason = reason;
    this.returned = Promise.resolve(this.iterator.return?.()).catch(() => undefined);
    this.wake?.();
  }
  private async mayGoOn(): Promise<boolean> {
    while (!this.stopped && (this.credit < 1 || this.connection.isClogged))
      await new Promise<void>((resolve) => {
        this.wake = resolve;
        if (this.credit > 0) setTimeout(resolve, PAUSE_MS); // nothing tells when a WebSocket has been emptied
      });
    return !this.stopped;
  }
  async run(): Promise<void> {
    const { connection, id } = this;
    let error: unknown;
    try {
      while (await this.mayGoOn()) {
        const { done, value } = await this.iterator.next();
        if (this.stopped || done) break;
        this.credit--;
        try {
          connection.encode([value], (bytes) => connection.send([ITEMS, id, bytes]));
        } catch (failure) {
          this.stop(failure);
        }
      }
    } catch (failure) {
      error = failure;
    }
    await this.returned;
    error ??= this.reason;
    if (!connection.exports.producers.delete(id) || connection.isClosed) return;
    if (error === undefined) connection.send([END, id]);
    else connection.sendError(END, id, error);
    connection.checkDrained();
  }
}

/** What has come of a stream of the peer's, and was not taken yet. */
export class Consumer {
  private readonly queue: { value: unknown; size: number }[] = [];
  private credit = OURS.window;
  private bytes = 0;
  private taken = 0; // since the last PULL
  private error: unknown;
  private ended = false;
  private wake: (() => void) | undefined;
  stopped = false;
  constructor(readonly connection: Connection, private readonly id: number) {}

  /** ITEMS; tells whether they were within the credit. */
  deliver(items: unknown[], size: number): boolean {
    this.credit -= items.length;
    if (this.stopped) return this.credit >= 0;
    this.bytes += size;
    this.queue.push(...items.map((value, i) => ({ value, size: i ? 0 : size })));
    if (this.bytes > MAX_BYTES)
      this.fail(new TooLarge(`a stream of more than ${MAX_BYTES} bytes that nobody took`));
    this.wake?.();
    return this.credit >= 0;
  }
  /** What came is refused: the application gets what came before, then this error. */
  fail(error: PbError): void {
    if (!this.stopped) this.error = error;
    this.sendStop();
  }
  /** Want no more. */
  stop(): void {
    if (!this.ended) this.queue.length = 0;
    this.sendStop();
  }
  private sendStop(): void {
    if (this.stopped || this.ended) return;
    this.stopped = true;
    this.connection.send([STOP, this.id]);
    this.wake?.();
  }
  finish(error: unknown): void {
    this.ended = true;
    if (!this.stopped) this.error ??= error;
    this.wake?.();
  }
  async next(): Promise<IteratorResult<any>> {
    for (;;) {
      const item = this.queue.shift();
      if (item) this.bytes -= item.size;
      if (item && ++this.taken * 2 >= OURS.window && OURS.window) this.pull();
      if (item) return { done: false, value: item.value };
      const { error } = this;
      this.error = undefined;
      if (error !== undefined) throw error;
      if (this.ended || this.stopped) return { done: true, value: undefined };
      if (this.credit < 1) this.pull();
      await new Promise<void>((resolve) => (this.wake = resolve));
    }
  }
  private pull(): void {
    const n = Math.max(this.taken, 1);
    this.taken = 0;
    if (!this.ended && !this.stopped) this.grant(n);
  }
  /** Ask for so many more items. */
  grant(n: number): void {
    this.credit += n;
    this.connection.send([PULL, this.id, n]);
  }
}

/** A stream of the peer: give it to `for await`. One that is left or dropped is stopped. */
export class RemoteStream<T = unknown> implements AsyncIterable<T> {
  /** @internal */
  constructor(readonly consumer: Consumer) {}

  next(): Promise<IteratorResult<T>> {
    return this.consumer.next();
  }
  /** Want no more. */
  stop(): void {
    this.consumer.stop();
  }
  async *[Symbol.asyncIterator](): AsyncGenerator<T> {
    try {
      for (let one = await this.next(); !one.done; one = await this.next()) yield one.value;
    } finally {
      this.stop();
    }
  }
}
export const lostStream = (): Error => new ConnectionLost("the connection ended in the middle of the stream");
export const lateStream = (): Error => new DeadlineExceeded("the time of the call is over");
