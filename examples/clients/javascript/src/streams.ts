/** Streams, both ends. Spec: 10-streams.md. */
import { ConnectionLost, DeadlineExceeded, PbError, ProtocolError, TooLarge } from "./errors.js";
import { OURS } from "./hello.js";
import type { Connection } from "./broker.js";

const MAX_BYTES = 67108864;

/** What makes the items of a stream of ours. */
export class Producer {
  private wake: (() => void) | undefined;
  private stopped = false;
  private reason: unknown;
  private returned: Promise<unknown> | undefined;
  constructor(private readonly connection: Connection, readonly id: number, private readonly iterator: AsyncIterator<unknown>, private credit: number) {}

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
  async run(): Promise<void> {
    let error: unknown;
    try {
      for (;;) {
        while (!this.stopped && (this.credit < 1 || this.connection.isClogged)) await new Promise<void>((resolve) => (this.wake = resolve));
        if (this.stopped) break;
        const { done, value } = await this.iterator.next();
        if (this.stopped || done) break;
        this.credit--;
        try {
          this.connection.sendItems(this.id, value);
        } catch (failure) {
          this.stop(failure);
        }
      }
    } catch (failure) {
      error = failure;
    }
    await this.returned;
    this.connection.endStream(this.id, error ?? this.reason);
  }
}

export interface Consumer {
  id: number;
  credit: number;
  queue: unknown[];
  sizes: number[];
  bytes: number;
  taken: number;
  stopped: boolean;
  ended: boolean;
  error?: unknown;
  wake?: () => void;
}
export const newConsumer = (id: number): Consumer =>
  ({ id, credit: OURS.window, queue: [], sizes: [], bytes: 0, taken: 0, stopped: false, ended: false });

/** A stream of the peer: give it to `for await`. One that is left or dropped is stopped. */
export class RemoteStream<T = unknown> implements AsyncIterable<T> {
  /** @internal */
  constructor(private readonly connection: Connection, private readonly rec: Consumer) {}

  async next(): Promise<IteratorResult<T>> {
    const { rec } = this;
    for (;;) {
      if (rec.queue.length) {
        rec.bytes -= rec.sizes.shift()!;
        rec.taken++;
        const value = rec.queue.shift() as T;
        if (!rec.ended && !rec.stopped && rec.taken * 2 >= OURS.window) this.pull();
        return { done: false, value };
      }
      if (rec.error !== undefined) {
        const { error } = rec;
        rec.error = undefined;
        throw error;
      }
      if (rec.ended || rec.stopped) return { done: true, value: undefined };
      if (rec.credit < 1) this.pull();
      await new Promise<void>((resolve) => (rec.wake = resolve));
    }
  }
  private pull(): void {
    const n = Math.max(this.rec.taken, 1);
    this.rec.taken = 0;
    this.rec.credit += n;
    this.connection.send([9, this.rec.id, n]);
  }
  /** Want no more. */
  stop(): void {
    this.connection.stopStream(this.rec);
  }
  async *[Symbol.asyncIterator](): AsyncGenerator<T> {
    try {
      for (;;) {
        const { done, value } = await this.next();
        if (done) return;
        yield value;
      }
    } finally {
      this.stop();
    }
  }
}
/** What ITEMS has brought; `items` undefined where the payload was refused. */
export function deliver(rec: Consumer, items: unknown, size: number, violation: PbError | undefined, stop: () => void): void {
  if (!violation) {
    rec.queue.push(...(items as unknown[]));
    rec.sizes.push(size, ...new Array((items as unknown[]).length - 1).fill(0));
    rec.bytes += size;
  }
  if (violation || rec.bytes > MAX_BYTES) {
    stop();
    rec.error = violation ?? new TooLarge(`a stream of more than ${MAX_BYTES} bytes that nobody took`);
  }
  rec.wake?.();
}
export function finish(rec: Consumer, error: unknown): void {
  rec.ended = true;
  if (!rec.stopped) rec.error ??= error;
  rec.wake?.();
}
export const lostStream = (): Error => new ConnectionLost("the connection ended in the middle of the stream");
export const lateStream = (): Error => new DeadlineExceeded("the time of the call is over");
export function checkItems(value: unknown, rec: Consumer): void {
  if (!Array.isArray(value) || value.length === 0) throw new ProtocolError(4, "ITEMS holds an array of one item or more");
  if ((rec.credit -= value.length) < 0) throw new ProtocolError(6, "more items than credit");
}
