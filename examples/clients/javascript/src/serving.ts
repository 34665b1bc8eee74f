/** Serving calls, also those on results to come. Spec: 3-messages.md, 11-pipelining.md. */
import { Cacheable } from "./caches.js";
import { ANSWER, Connection, Encoding, ERROR, OURS } from "./connection.js";
import { BadPayload, BrokenPromise, Busy, Cancelled, DeadlineExceeded, ErrorMap, Gone, NoSuchMethod, NoSuchObject,
  NotPipelinable, ProtocolError, raise, violated } from "./errors.js";
import { Export, until } from "./exports.js";
import type { Decoded } from "./imports.js";
import { bind, findMethod, isServed } from "./registry.js";
import type { RemoteStream } from "./streams.js";
import { Trace, traceOf } from "./trace.js";
import type { State } from "./values.js";

export interface OptionsIn { keep?: boolean; needs?: number[]; ttl?: number; trace?: Partial<Trace> }
/** What becomes of a call, once it is there: an object of ours, an error, or something that nobody can call. */
interface Result { id: number; isThere: boolean; isAwaited?: boolean; holds: number; entry?: Export; error?: ErrorMap }
/** A call of the peer's, from its arrival until its work has ended. */
class Incoming {
  readonly controller = new AbortController();
  readonly result: Result;
  needs: Result[] = []; // results that it names, that of its target first
  decoded?: [unknown[], State];
  streams: RemoteStream[] = []; // of its arguments
  ends: number | undefined; // when its time is over
  timer: ReturnType<typeof setTimeout> | undefined;
  failed?: () => void; // where nobody is told otherwise
  constructor(readonly id: number, readonly options: OptionsIn, readonly target = 0, readonly method = "",
    readonly payload = new Uint8Array(0), readonly entry?: Export) { this.result = { id, isThere: false, holds: 0 }; }
}
/** What a method can ask for before its first await. The signal is aborted when its caller gives up; the trace tells
 * what work the call belongs to: give it to `callWith({ trace })` where a call is part of that. */
/** The call that a method runs for. What it calls in turn gets its `trace`, and as `ttl` what is left of its time (PB-M14, PB-M42). */
export interface Current { readonly connection: Connection; readonly signal: AbortSignal; readonly trace?: Trace; readonly ttl?: number }
let now: Current | undefined;
export const current = (): Current => now ?? raise(new Error("current() is for methods, before their first await"));

export class Server {
  readonly running = new Map<number, Incoming>();
  private readonly untold = new Set<Incoming>(); // what runs, or waits, without an id
  private readonly kept = new Map<number, Result>();
  private readonly waiting = new Set<Incoming>(); // in order
  private starting: Incoming | undefined;
  private isChanged = false; // by something else, meanwhile
  constructor(private readonly connection: Connection) {}
  call(id: number, target: number, method: string, payload: Uint8Array<ArrayBuffer>, options: OptionsIn): void {
    const { kept } = this, named = [...new Set([...(target < 0 ? [-target] : []), ...(options.needs ?? [])])];
    if (id === 0 && (options.keep || named.length)) violated("a call that is pipelined or kept has an id");
    const entry = target < 0 ? undefined : this.connection.exports.byId.get(target);
    const call = new Incoming(id, options, target, method, payload, entry);
    call.needs = named.map((q) => kept.get(q) ?? violated("a result that is not kept"));
    if (options.keep && kept.size >= OURS.max_calls) throw new ProtocolError(6, `at most ${OURS.max_calls} are kept`);
    if (options.keep) kept.set(id, call.result);
    const missing = target >= 0 && !entry ? new NoSuchObject("no such object") : entry?.gone ? gone() : undefined;
    if (!this.admit(call, missing)) return;
    const on = targetOf(call); // only calls to the same one hold each other back
    if (!on.holds && isReady(call)) return this.start(call);
    for (const one of call.needs) one.isAwaited = true;
    this.waiting.add(call);
    on.holds++;
    if (!named.length) this.decode(call); // held back by others only (PB-P19)
  }
  /** An OBSERVE, which is answered if it has an id. */
  update(id: number, target: number, method: string, payload: Uint8Array, options: OptionsIn): void {
    const { imports } = this.connection, replica = imports.replica(target);
    const { value, violation } = imports.decode(payload, "call", replica !== undefined);
    const refused = replica ? violation : new NoSuchObject("no such cache");
    const apply = (): unknown => (refused ? raise(refused) : replica!.apply(method, value[0], value[1]));
    const call = new Incoming(id, options);
    call.decoded = value ?? [[], {}];
    if (id === 0 && replica) call.failed = () => imports.kill(target); // it may not be lost silently (PB-C19)
    if (this.admit(call)) this.run(call, apply);
  }
  /** Give a call its place and its time, unless it is refused. */
  private admit(call: Incoming, missing?: Error): boolean {
    const { id, options: { ttl } } = call, isNotice = !id && call.decoded; // which no BYE keeps from being applied
    const refused =
      !isNotice && this.connection.servesNothing ? new Busy("both sides have said BYE")
      : (id ? this.running : this.untold).size >= OURS.max_calls ? new Busy(`max_calls is ${OURS.max_calls}`)
      : missing ?? (ttl === 0 ? new DeadlineExceeded("no time was left") : undefined);
    if (refused) this.refuse(call, refused);
    else if (id) this.running.set(id, call);
    else this.untold.add(call);
    if (refused || ttl === undefined) return !refused;
    call.ends = Date.now() + ttl;
    const late = (): void => this.giveUp(call, new DeadlineExceeded("the time of the call is over"));
    call.timer = setTimeout(late, until(call.ends));
    return true;
  }
  cancel(id: number): void {
    const call = this.running.get(id);
    if (call) this.giveUp(call, new Cancelled("the call was cancelled"));
  }
  finish(ids: number[]): void {
    for (const q of ids) {
      if (!this.kept.get(q)?.isThere) violated("FINISH of a result that is not kept, or not there");
      this.kept.delete(q);
    }
  }
  end(): void {
    for (const call of [...this.running.values(), ...this.untold]) {
      clearTimeout(call.timer);
      call.controller.abort(new Cancelled("the connection ended"));
    }
  }
  /** Start what waits for nothing any more, in order and without recursion (PB-M8). What is started sets free only what
   * is behind it, so all of it is looked through once. */
  private startWaiting(settled: Incoming): void {
    if (this.starting) return void (this.isChanged ||= settled !== this.starting);
    try {
      do {
        const before = new Set<unknown>();
        this.isChanged = false;
        for (const call of this.waiting) {
          if (this.isChanged || this.connection.isClosed) break;
          if (before.has(targetOf(call)) || !isReady(call)) before.add(targetOf(call));
          else this.start((this.starting = call));
        }
      } while (this.isChanged);
    } finally { this.starting = undefined; }
  }
  private start(call: Incoming): void {
    const { needs } = call;
    if (this.waiting.delete(call)) targetOf(call).holds--;
    const failed = needs.find(({ error }) => error)?.error;
    const bad = needs.find(({ entry }) => !entry);
    if (failed) return this.refuse(call, broken(failed));
    if (bad) return this.refuse(call, new NotPipelinable(`the result of call ${bad.id} is no object`));
    const entry = call.target < 0 ? needs[0].entry! : call.entry!;
    const { object } = entry;
    if (entry.gone || needs.some((one) => one.entry!.gone)) return this.refuse(call, gone());
    const method = object instanceof Cacheable ? undefined : findMethod(object, "remote_", call.method);
    if (!method) return this.refuse(call, new NoSuchMethod("no such method"));
    if (!call.decoded && !this.decode(call)) return;
    const [args, kwargs] = call.decoded!;
    this.run(call, () => Reflect.apply(method, object, bind(method, object, `remote_${call.method}`, args, kwargs)));
  }
  /** Decode the payload of a call, and refuse the call if that is refused; tells whether the call may run. */
  private decode(call: Incoming): boolean {
    const { needs } = call;
    const named = (q: number): unknown =>
      needs.find(({ id }) => id === q)?.entry!.object ?? raise(new BadPayload("ANSWER of a call that is not in needs"));
    const found = this.read(call, true, needs.length ? named : undefined);
    if (!found) return false;
    call.decoded = found.value;
    call.streams = found.streams;
    if (found.violation) this.fail(call, found.violation);
    return !found.violation;
  }
  /** A payload may turn out malformed long after it came, when nobody is there who would end the connection. */
  private read({ payload }: Incoming, isWanted: boolean, answer?: (q: number) => unknown): Decoded | undefined {
    try {
      return this.connection.imports.decode(payload, "call", isWanted, answer);
    } catch (error) {
      if (!(error instanceof ProtocolError)) throw error;
      return void this.connection.fail(error);
    }
  }
  /** Run a method and answer; at once if it gives no promise. */
  private run(call: Incoming, method: () => unknown): void {
    const before = now;
    now = {
      connection: this.connection, signal: call.controller.signal, trace: traceOf(call.options.trace),
      get ttl() { return call.ends === undefined ? undefined : Math.max(0, call.ends - Date.now()); },
    };
    try {
      const result: any = method();
      if (typeof result?.then !== "function") this.answer(call, result);
      else result.then((value: unknown) => this.answer(call, value), (error: unknown) => this.fail(call, error));
    } catch (error) {
      this.fail(call, error);
    } finally { now = before; }
  }
  /** The caller gives the call up, or its time is over. Its place is free when its work has ended, and not before. */
  private giveUp(call: Incoming, error: Error): void {
    if (call.result.isThere) return;
    for (const stream of call.streams) stream.stop();
    if (this.waiting.has(call)) return this.refuse(call, error);
    call.controller.abort(error);
    if (error instanceof DeadlineExceeded) this.fail(call, error, false);
  }
  /** Answer what has not run; what its payload holds counts all the same. */
  private refuse(call: Incoming, error: Error): void {
    if (!call.decoded) this.read(call, false);
    this.fail(call, error);
  }
  private fail(call: Incoming, error: unknown, hasEnded = true): void {
    this.settle(call, () => raise(error as Error), hasEnded);
  }
  private answer(call: Incoming, value: any): void {
    const { connection } = this, { id, ends } = call;
    this.settle(call, () => {
      if (id) connection.encode(value, (bytes) => connection.send([ANSWER, id, bytes]), new Encoding(undefined, ends));
      return Object(value) === value && isServed(value) ? connection.exports.byObject.get(value) : undefined;
    });
  }
  /** Answer once: by what sends it and returns the object that can be called, or with what that throws. */
  private settle(call: Incoming, send: () => Export | undefined, hasEnded = true): void {
    const { connection } = this, { id, result, controller: { signal } } = call;
    if (hasEnded) this.running.delete(id);
    if (hasEnded) this.untold.delete(call);
    clearTimeout(call.timer);
    const isHeld = this.waiting.delete(call), isFollowed = isHeld || result.isAwaited;
    if (isHeld) targetOf(call).holds--;
    if (!result.isThere && !connection.isClosed) {
      result.isThere = true;
      try {
        result.entry = send();
      } catch (error) {
        call.failed?.();
        result.error = connection.sendError(ERROR, id, signal.aborted ? signal.reason : error);
      }
      if (result.entry) result.entry.holds += result.holds; // what waits on it waits on that object now (PB-P18)
      if (isFollowed) this.startWaiting(call);
    }
    connection.checkDrained();
  }
}
const isReady = ({ needs }: Incoming): boolean => needs.every((one) => one.isThere);
/** The object that a call is made on, or as long as that is not known the result. */
const targetOf = ({ target, needs: [first], entry }: Incoming): { holds: number } =>
  target < 0 ? (first.entry ?? first) : entry!;
const gone = (): Gone => new Gone("the object was revoked");
function broken({ type, msg, bases, cause }: ErrorMap): BrokenPromise {
  const first = type === "pb.BrokenPromise" ? cause : { type, msg, ...(bases && { bases }) }; // a chain has one cause
  return Object.assign(new BrokenPromise("the call named has failed"), { cause: first });
}
