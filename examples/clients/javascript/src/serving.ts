/** Serving calls, also those on results to come. Spec: 3-messages.md, 11-pipelining.md. */
import { bind, Cacheable } from "./caches.js";
import {
  BadPayload, BrokenPromise, Busy, Cancelled, DeadlineExceeded, ErrorMap, Gone, NoSuchMethod, NoSuchObject, NotPipelinable, ProtocolError,
} from "./errors.js";
import { OURS } from "./hello.js";
import type { Connection } from "./broker.js";
import { findMethod, isServed, State } from "./values.js";

/** An entry of the table of exports. */
export interface Export {
  id: number;
  object: object;
  count: number;
  gone: boolean;
  stop?: () => void; // of a cache: stop observing
}
export interface CallOptionsIn {
  keep?: boolean;
  needs?: number[];
  ttl?: number;
}
interface KeptResult {
  settled: boolean;
  entry?: Export;
  error?: ErrorMap;
  isBroken?: boolean;
}
export interface Running {
  id: number;
  controller: AbortController;
  keep: boolean;
  isAnswered: boolean;
  ends?: number; // when its time is over
  timer?: ReturnType<typeof setTimeout>;
  streams: (() => void)[];
  waits?: Waiting;
}
interface Waiting {
  call: Running;
  target: number;
  entry: Export | undefined;
  method: string;
  payload: Uint8Array;
  needs: number[];
  decoded?: [unknown[], State];
}
/** What a method can ask for before its first await: `current().signal` is aborted when its caller gives up. */
export interface Current {
  readonly connection: Connection;
  readonly signal: AbortSignal;
}
let now: Current | undefined;
export function current(): Current {
  if (!now) throw new Error("current() is for methods that a peer calls, before their first await");
  return now;
}

export class Server {
  readonly running = new Map<number, Running>();
  private readonly kept = new Map<number, KeptResult>();
  private waiting: Waiting[] = [];
  private isStarting = false;
  constructor(private readonly connection: Connection) {}

  call(id: number, target: number, method: string, payload: Uint8Array, options: CallOptionsIn): void {
    const { connection } = this;
    const named = [...(target < 0 ? [-target] : []), ...(options.needs ?? [])];
    if (id === 0 && (options.keep || named.length)) throw new ProtocolError(3, "a call that is pipelined or kept has an id");
    for (const q of named) if (!this.kept.has(q)) throw new ProtocolError(3, `call ${q} is not kept`);
    if (options.keep) {
      if (this.kept.size >= OURS.max_calls) throw new ProtocolError(6, `more kept results than max_calls ${OURS.max_calls}`);
      this.kept.set(id, { settled: false });
    }
    const call: Running = { id, controller: new AbortController(), keep: options.keep === true, isAnswered: false, streams: [] };
    const entry = target >= 0 ? connection.exports.get(target) : undefined;
    const refuse = (error: Error): void => {
      connection.discard(payload, "call");
      this.fail(call, error);
    };
    if (id && this.running.size >= OURS.max_calls) return refuse(new Busy(`max_calls is ${OURS.max_calls}`));
    if (target >= 0 && !entry) return refuse(new NoSuchObject("no such object"));
    if (entry?.gone) return refuse(new Gone("the object was revoked"));
    if (options.ttl === 0) return refuse(new DeadlineExceeded("no time was left"));
    if (id) this.running.set(id, call);
    if (options.ttl !== undefined) {
      call.ends = Date.now() + options.ttl;
      call.timer = setTimeout(() => this.giveUp(call, new DeadlineExceeded("the time of the call is over")), Math.min(options.ttl, 2 ** 31 - 1));
    }
    const waits: Waiting = { call, target, entry, method, payload, needs: named };
    if (!named.length && !this.waiting.length) return this.start(waits);
    const held = this.waiting.some((one) => this.key(one) === this.key(waits));
    if (!held && named.every((q) => this.kept.get(q)!.settled)) return this.start(waits);
    if (!named.length && !this.decode(waits)) return;
    call.waits = waits;
    this.waiting.push(waits);
  }
  private key({ target, entry }: Waiting): Export | number | undefined {
    return target >= 0 ? entry : (this.kept.get(-target)?.entry ?? target);
  }
  cancel(id: number): void {
    const call = this.running.get(id);
    if (call) this.giveUp(call, new Cancelled("the call was cancelled"));
  }
  finish(ids: number[]): void {
    for (const q of ids) {
      if (!this.kept.get(q)?.settled) throw new ProtocolError(3, `call ${q} is not kept, or not answered`);
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
    for (const stop of call.streams) stop();
    call.controller.abort(error);
    if (call.waits) {
      this.waiting = this.waiting.filter((one) => one !== call.waits);
      if (!call.waits.decoded) this.connection.discard(call.waits.payload, "call");
      this.fail(call, error);
      this.startWaiting();
    } else if (error instanceof DeadlineExceeded) {
      this.settle(call, () => this.connection.sendError(call.id, error)); // its place is free when it has ended
    }
  }

  private decode(waits: Waiting): boolean {
    const { connection } = this;
    const { call, payload, needs } = waits;
    const { value, violation, streams } = connection.decode(payload, "call", needs.length ? (q) => this.named(q, needs) : undefined);
    if (violation) {
      this.fail(call, violation);
      return false;
    }
    call.streams = streams;
    waits.decoded = value as [unknown[], State];
    return true;
  }
  private named(q: number, needs: number[]): unknown {
    const found = needs.includes(q) ? this.kept.get(q)?.entry : undefined;
    if (!found) throw new BadPayload("ANSWER of a call that is not in needs");
    return found.object;
  }
  private start(waits: Waiting): void {
    const { connection } = this;
    const { call, method, needs } = waits;
    call.waits = undefined;
    let { entry } = waits;
    for (const q of needs) {
      const found = this.kept.get(q) ?? { settled: true };
      const target = found.entry;
      const error = found.error ? broken(found) : target ? (target.gone ? new Gone("the object was revoked") : undefined) : new NotPipelinable(`the result of call ${q} is no object`);
      if (error) {
        if (!waits.decoded) connection.discard(waits.payload, "call");
        return this.fail(call, error);
      }
      if (waits.target === -q) entry = target;
    }
    const { object } = entry!;
    const found = object instanceof Cacheable || entry!.gone ? undefined : findMethod(object, "remote_", method);
    if (!found) {
      if (!waits.decoded) connection.discard(waits.payload, "call");
      return this.fail(call, entry!.gone ? new Gone("the object was revoked") : new NoSuchMethod("no such method"));
    }
    if (!waits.decoded && !this.decode(waits)) return;
    const [args, kwargs] = waits.decoded!;
    this.run(call, () => Reflect.apply(found, object, bind(found, "remote_" + method, object, args, kwargs)));
  }
  /** Run a method and answer; at once if it gives no promise. */
  run(call: Running, method: () => unknown): void {
    const before = now;
    now = { connection: this.connection, signal: call.controller.signal };
    try {
      const result = method();
      if (result instanceof Promise || typeof (result as PromiseLike<unknown> | null)?.then === "function")
        (result as Promise<unknown>).then((value) => this.answer(call, value), (error) => this.fail(call, error));
      else this.answer(call, result);
    } catch (error) {
      this.fail(call, error);
    } finally {
      now = before;
    }
  }
  private answer(call: Running, value: unknown): void {
    this.settle(call, () => {
      let entry: Export | undefined;
      const { id, keep, ends } = call;
      if (id) this.connection.sendAnswer(id, value, ends);
      if (keep && typeof value === "object" && value !== null && isServed(value)) entry = this.connection.exportOf(value);
      if (keep) this.kept.set(id, { settled: true, entry });
    }, true);
  }
  private fail(call: Running, error: unknown): void {
    const told = call.controller.signal.aborted && !call.waits ? (call.controller.signal.reason as Error) : error;
    this.settle(call, () => this.connection.sendError(call.id, told), true);
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
          error = this.connection.sendError(call.id, failure);
        }
        if (error && call.keep) this.kept.set(call.id, { settled: true, error, isBroken: error.type === "pb.BrokenPromise" });
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
function broken(found: KeptResult): BrokenPromise {
  const error = new BrokenPromise("the call named has failed");
  const { type, msg, bases } = found.error!;
  (error as { cause?: unknown }).cause = found.isBroken ? found.error!.cause : { type, msg, ...(bases ? { bases } : {}) };
  return error;
}
