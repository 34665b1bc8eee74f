/** Serving calls, also those on results to come. Spec: 3-messages.md, 11-pipelining.md. */
import { bind, Cacheable } from "./caches.js";
import type { Connection } from "./connection.js";
import {
  BadPayload, BrokenPromise, Busy, Cancelled, DeadlineExceeded, ErrorMap, Gone, NoSuchMethod, NoSuchObject,
  NotPipelinable, ProtocolError,
} from "./errors.js";
import type { Export } from "./exports.js";
import { ANSWER, ERROR, OURS, violated } from "./messages.js";
import { findMethod, isServed } from "./registry.js";
import { Trace, traceOf } from "./trace.js";
import type { Consumer } from "./streams.js";
import type { State } from "./values.js";

export interface CallOptionsIn {
  keep?: boolean;
  needs?: number[];
  ttl?: number;
  trace?: { traceparent?: string; tracestate?: string };
}
interface KeptResult {
  settled: boolean;
  entry?: Export;
  error?: ErrorMap;
}
/** A call of the peer's, from its arrival until its work has ended. */
class Running {
  readonly controller = new AbortController();
  readonly keep: boolean;
  readonly trace: Trace | undefined;
  needs: number[] = []; // results that it names
  decoded: [unknown[], State] | undefined;
  streams: Consumer[] = []; // of its arguments
  ends: number | undefined; // when its time is over
  timer: ReturnType<typeof setTimeout> | undefined;
  isWaiting = false;
  isAnswered = false;
  constructor(readonly id: number, readonly target: number, readonly method: string,
    readonly payload: Uint8Array, readonly entry?: Export, { keep, trace }: CallOptionsIn = {}) {
    this.keep = keep === true;
    this.trace = traceOf(trace);
  }
}
/** What a method can ask for before its first await: `current().signal` is aborted when its caller gives up.
 * */
export interface Current {
  readonly connection: Connection;
  readonly signal: AbortSignal;
  /** What work the call belongs to: give it to `callWith({ trace })` where a call is part of that. */
  readonly trace: Trace | undefined;
}
let now: Current | undefined;
export function current(): Current {
  if (!now) throw new Error("current() is for methods that a peer calls, before their first await");
  return now;
}

export class Server {
  readonly running = new Map<number, Running>();
  private readonly kept = new Map<number, KeptResult>();
  private waiting: Running[] = [];
  private isStarting = false;
  constructor(private readonly connection: Connection) {}

  call(id: number, target: number, method: string, payload: Uint8Array, options: CallOptionsIn): void {
    const { connection } = this;
    const named = [...(target < 0 ? [-target] : []), ...(options.needs ?? [])];
    if (id === 0 && (options.keep || named.length)) violated("a call that is pipelined or kept has an id");
    for (const q of named) if (!this.kept.has(q)) violated(`call ${q} is not kept`);
    if (options.keep) {
      if (this.kept.size >= OURS.max_calls)
        throw new ProtocolError(6, `more kept results than max_calls ${OURS.max_calls}`);
      this.kept.set(id, { settled: false });
    }
    const entry = target >= 0 ? connection.exports.byId.get(target) : undefined;
    const call = new Running(id, target, method, payload, entry, options);
    call.needs = named;
    if (connection.isOver) return this.refuse(call, new Busy("both sides have said BYE"));
    if (id && this.running.size >= OURS.max_calls)
      return this.refuse(call, new Busy(`max_calls is ${OURS.max_calls}`));
    if (target >= 0 && !entry) return this.refuse(call, new NoSuchObject("no such object"));
    if (entry?.gone) return this.refuse(call, new Gone("the object was revoked"));
    if (options.ttl === 0) return this.refuse(call, new DeadlineExceeded("no time was left"));
    if (id) this.running.set(id, call);
    if (options.ttl !== undefined) {
      call.ends = Date.now() + options.ttl;
      const isOver = (): void => this.giveUp(call, new DeadlineExceeded("the time of the call is over"));
      call.timer = setTimeout(isOver, Math.min(options.ttl, 2 ** 31 - 1));
    }
    const isHeld = this.waiting.some((one) => this.key(one) === this.key(call));
    if (!isHeld && named.every((q) => this.kept.get(q)!.settled)) return this.start(call);
    if (!named.length && !this.decode(call)) return;
    call.isWaiting = true;
    this.waiting.push(call);
  }
  private key({ target, entry }: Running): Export | number | undefined {
    return target >= 0 ? entry : (this.kept.get(-target)?.entry ?? target);
  }
  cancel(id: number): void {
    const call = this.running.get(id);
    if (call) this.giveUp(call, new Cancelled("the call was cancelled"));
  }
  finish(ids: number[]): void {
    for (const q of ids) {
      if (!this.kept.get(q)?.settled) violated(`call ${q} is not kept, or not answered`);
      this.kept.delete(q);
    }
  }
  end(): void {
    for (const call of this.running.values()) {
      clearTimeout(call.timer);
      call.isAnswered = true;
      call.controller.abort(new Cancelled("the connection ended"));
    }
    this.running.clear();
    this.waiting = [];
  }
  private giveUp(call: Running, error: Error): void {
    if (call.isAnswered) return;
    for (const stream of call.streams) stream.stop();
    call.controller.abort(error);
    if (call.isWaiting) {
      this.waiting = this.waiting.filter((one) => one !== call);
      this.refuse(call, error);
      this.startWaiting();
    } else if (error instanceof DeadlineExceeded) {
      // Its place is free when it has ended, and not before.
      this.settle(call, () => this.connection.sendError(ERROR, call.id, error));
    }
  }
  /** Answer what has not run; what its payload holds counts all the same. */
  private refuse(call: Running, error: Error): void {
    if (!call.decoded) this.connection.imports.discard(call.payload);
    this.fail(call, error);
  }

  private decode(call: Running): boolean {
    const { needs } = call;
    const answer = needs.length ? (q: number) => this.named(q, needs) : undefined;
    const { value, violation, streams } = this.connection.imports.decode(call.payload, "call", answer);
    if (violation) this.fail(call, violation);
    call.streams = streams;
    call.decoded = value;
    return !violation;
  }
  private named(q: number, needs: number[]): unknown {
    const found = needs.includes(q) ? this.kept.get(q)?.entry : undefined;
    if (!found) throw new BadPayload("ANSWER of a call that is not in needs");
    return found.object;
  }
  private start(call: Running): void {
    call.isWaiting = false;
    let { entry } = call;
    for (const q of call.needs) {
      const { error, entry: found } = this.kept.get(q) ?? { entry: undefined };
      if (error) return this.refuse(call, broken(error));
      if (!found) return this.refuse(call, new NotPipelinable(`the result of call ${q} is no object`));
      if (found.gone) return this.refuse(call, new Gone("the object was revoked"));
      if (call.target === -q) entry = found;
    }
    const { object, gone } = entry!;
    if (gone) return this.refuse(call, new Gone("the object was revoked"));
    const found = object instanceof Cacheable ? undefined : findMethod(object, "remote_", call.method);
    if (!found) return this.refuse(call, new NoSuchMethod("no such method"));
    if (!call.decoded && !this.decode(call)) return;
    const [args, kwargs] = call.decoded!;
    const name = `remote_${call.method}`;
    this.run(call, () => Reflect.apply(found, object, bind(found, name, object, args, kwargs)));
  }
  /** Answer an OBSERVE that has an id. */
  update(id: number, apply: () => unknown): void {
    const call = new Running(id, 0, "", new Uint8Array(0));
    this.running.set(id, call);
    this.run(call, apply);
  }
  /** Run a method and answer; at once if it gives no promise. */
  private run(call: Running, method: () => unknown): void {
    const before = now;
    now = { connection: this.connection, signal: call.controller.signal, trace: call.trace };
    try {
      const result = method();
      if (typeof (result as PromiseLike<unknown> | null)?.then === "function")
        (result as Promise<unknown>).then(
          (value) => this.answer(call, value), (error) => this.fail(call, error));
      else this.answer(call, result);
    } catch (error) {
      this.fail(call, error);
    } finally {
      now = before;
    }
  }
  private answer(call: Running, value: unknown): void {
    this.settle(call, () => {
      const { connection } = this;
      const { id, keep, ends } = call;
      if (id) connection.encode(value, (bytes) => connection.send([ANSWER, id, bytes]), { steps: [], ends });
      const isHosted = typeof value === "object" && value !== null && isServed(value);
      if (keep)
        this.kept.set(id, { settled: true, entry: isHosted ? connection.exports.of(value) : undefined });
    }, true);
  }
  private fail(call: Running, error: unknown): void {
    const { signal } = call.controller;
    const told: unknown = signal.aborted && !call.isWaiting ? signal.reason : error;
    this.settle(call, () => this.connection.sendError(ERROR, call.id, told), true);
  }
  private settle(call: Running, send: () => ErrorMap | void, isOver = false): void {
    if (isOver) this.running.delete(call.id);
    clearTimeout(call.timer);
    if (!call.isAnswered) {
      call.isAnswered = true;
      if (!this.connection.isClosed) {
        let error: ErrorMap | void;
        try {
          error = send();
        } catch (failure) {
          error = this.connection.sendError(ERROR, call.id, failure);
        }
        if (error && call.keep) this.kept.set(call.id, { settled: true, error });
        if (call.keep) this.startWaiting();
      }
    }
    this.connection.checkDrained();
  }
  /** Start what waits for nothing any more, in order and without recursion. */
  private startWaiting(): void {
    if (this.isStarting) return;
    this.isStarting = true;
    for (let again = true; again; ) {
      again = false;
      const held = new Set<unknown>();
      for (const one of this.waiting) {
        const key = this.key(one);
        if (!held.has(key) && one.needs.every((q) => this.kept.get(q)?.settled ?? true)) {
          this.waiting.splice(this.waiting.indexOf(one), 1);
          this.start(one);
          again = true;
          break;
        }
        held.add(key);
      }
    }
    this.isStarting = false;
  }
}
function broken(error: ErrorMap): BrokenPromise {
  const { type, msg, bases } = error;
  const isOfChain = type === "pb.BrokenPromise"; // which has one cause, however long it is
  const cause = isOfChain ? error.cause : { type, msg, ...(bases && { bases }) };
  return Object.assign(new BrokenPromise("the call named has failed"), { cause });
}
