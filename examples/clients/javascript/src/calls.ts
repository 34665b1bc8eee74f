/** References to objects of the peer, and our calls: made, held back, named before they are answered, settled.
 * Spec: 3-messages.md, 4-references.md, 11-pipelining.md. */
import { CALL, CANCEL, Connection, Encoding } from "./connection.js";
import { NotExecuted, NotSendable, OutcomeUnknown, violated } from "./errors.js";
import type { Held } from "./imports.js";
import type { Trace } from "./trace.js";
import type { State } from "./values.js";

export interface CallOptions {
  signal?: AbortSignal; // ends the call: CANCEL is sent, and the promise is rejected with the reason of the signal
  ttl?: number; // how many milliseconds the answer is waited for
  named?: State; // arguments by name
  meta?: Record<string, string>;
  trace?: Trace; // which piece of work it is part of
}
export type Pipe = { [method: string]: (...args: any[]) => Pipelined } & { readonly reference: RemoteReference };
/** A result to come: a promise of it, whose methods can be called already. */
export type Pipelined = Pipe & Promise<any>;
/** The methods of an interface as those of a remote object. */
export type Remote<T> = T & { readonly reference: RemoteReference };

/** An object of the peer. The same object is the same reference, as long as this one is held. */
export class RemoteReference {
  constructor(readonly connection: Connection, readonly held: Held, readonly meta: State = {}) {}

  call(method: string, ...args: unknown[]): Promise<any> { return this.callWith({}, method, ...args); }
  callWith(options: CallOptions, method: string, ...args: unknown[]): Promise<any> {
    return this.connection.calls.make(new Outgoing(this.connection, this, method, args, options));
  }
  /** Give the reference up now; else that happens when it is collected. */
  release(): void { this.connection.imports.release(this.held); }
  /** Its methods as methods, whose results can be called before they have come:
   * `await ref.pipe().library().find("sicp").title()`. They are sent when the code that makes them waits. */
  pipe(): Pipe { return piped(this); }
  /** The same, as the methods of an interface: `await ref.as<Shop>().price("tea")`. */
  as<T extends object = Record<string, (...args: any[]) => any>>(): Remote<T> {
    return piped(this);
  }
}

/** A call of ours, from when it is asked for until nobody names its result any more. */
export class Outgoing {
  id = 0; // until it is sent
  isNamed = false; // by other calls before it is sent: then its result is kept
  canBeNamed = false; // from then until FINISH
  users = 0; // calls that are not answered and name it, this one among them
  uses: Outgoing[] = []; // those that it names
  pins: Held[] = []; // not released before it is answered (PB-R10)
  isGivenUp = false;
  isBeforeBye = true;
  resolve!: (value: any) => void;
  reject!: (error: unknown) => void;
  readonly promise = new Promise<any>((resolve, reject) => Object.assign(this, { resolve, reject }));
  constructor(readonly connection: Connection, readonly target: RemoteReference | Pipelined, readonly method: string,
    readonly args: unknown[], readonly options: CallOptions = {}) {}
}
const toCome = new WeakMap<object, Outgoing>();
export const keptOf = (x: unknown): Outgoing | undefined => (Object(x) === x ? toCome.get(x as object) : undefined);
/** A reference or a result to come, whose methods give results to come. */
function piped(reference: RemoteReference, call?: Outgoing): any {
  const proxy: any = new Proxy(call?.promise ?? {}, {
    get: (promise, name) => {
      if (name === "reference" && !call) return reference;
      if (name === Symbol.asyncIterator && call) return async function* () { yield* await call.promise; };
      if (typeof name === "symbol" || ["then", "catch", "finally"].includes(name)) {
        const found: unknown = Reflect.get(promise, name); // nothing of a reference: it is no promise
        return typeof found === "function" ? found.bind(promise) : found;
      }
      return (...args: unknown[]) => {
        const next = new Outgoing(reference.connection, call ? proxy : reference, name, args);
        for (const one of [next.target, ...args].map(keptOf)) if (one) one.isNamed = true;
        queueMicrotask(() => {
          if (next.isNamed) next.promise.catch(() => undefined); // those that name it are told
          void next.connection.calls.make(next);
        });
        return piped(reference, next);
      };
    },
  });
  if (call) toCome.set(proxy, call);
  return proxy;
}

export class Calls {
  readonly open = new Map<number, Outgoing>();
  finished: number[] = []; // what FINISH has to say
  private queue: Outgoing[] = []; // what waits for HELLO or for max_calls
  private lastId = 0;
  constructor(private readonly connection: Connection) {}

  make(call: Outgoing): Promise<any> {
    const { promise, options: { signal } } = call;
    if (signal?.aborted) return Promise.reject(signal.reason);
    if (signal) {
      const abort = (): void => this.giveUp(call, signal.reason);
      const forget = (): void => signal.removeEventListener("abort", abort);
      signal.addEventListener("abort", abort);
      promise.then(forget, forget);
    }
    this.queue.push(call);
    this.startQueue();
    return promise;
  }
  private giveUp(call: Outgoing, reason: unknown): void {
    call.isGivenUp = true;
    this.queue = this.queue.filter((one) => one !== call);
    call.reject(reason);
    if (this.open.has(call.id)) this.connection.send([CANCEL, call.id]);
  }
  /** Begin what was held back; all of it if it can only fail. */
  startQueue(): void {
    const { connection } = this;
    const isFree = (): boolean => connection.isEnding || this.open.size < (connection.peer?.numbers.max_calls ?? 0);
    while (this.queue.length && isFree()) this.begin(this.queue.shift()!);
  }
  private begin(call: Outgoing): void {
    const { target, method, args, options } = call;
    if ([target, ...args].some((one) => keptOf(one)?.canBeNamed === false)) { // what cannot be named is waited for
      const made = Promise.all([target, ...args]).then(([found, ...all]) => {
        if (found instanceof RemoteReference) return found.callWith(options, method, ...all);
        throw new TypeError("the result is no object of the peer");
      });
      return void made.then(call.resolve, call.reject);
    }
    try {
      const on = keptOf(target);
      if (this.connection.isEnding) throw new NotExecuted("the connection has ended or is ending");
      if (!on) (target as RemoteReference).held.check();
      this.send(call, on);
    } catch (error) {
      call.reject(error);
    }
  }
  private send(call: Outgoing, on: Outgoing | undefined): void {
    const { connection } = this, { target, method, args, options: { ttl, named = {}, meta, trace } } = call;
    const keep = call.isNamed && connection.peer!.features.has("pipeline");
    const id = this.lastId + 1, names = new Set<Outgoing>(), encoding = new Encoding(names);
    connection.encode([args, named], (bytes) => {
      const needs = [...names].map((one) => one.id);
      if (on) names.add(on);
      if (encoding.holds && names.size) throw new NotSendable(`a ${encoding.holds} in a call on a result to come`);
      const opts: State = {
        ...(keep && { keep }), ...(needs.length && { needs }), ...(meta && { meta }), ...(trace && { trace }),
        ...(ttl !== undefined && { ttl: Math.max(0, Math.floor(ttl)) }),
      };
      const envelope = [CALL, id, on ? -on.id : (target as RemoteReference).held.id, method, bytes];
      connection.send(Object.keys(opts).length ? [...envelope, opts] : envelope);
    }, encoding);
    this.lastId = id;
    this.open.set(id, call);
    call.pins = names.size ? [...encoding.pins] : [];
    call.uses = keep ? [...names, call] : [...names];
    for (const one of call.pins) one.pins++;
    for (const one of call.uses) one.users++;
    Object.assign(call, { id, canBeNamed: keep, isBeforeBye: !connection.byeSent });
  }
  /** ANSWER or ERROR has come. */
  answer(id: number, payload: Uint8Array, isError: boolean): void {
    const { imports, registry } = this.connection, call = this.open.get(id) ?? violated("an answer to no call");
    const { value, violation } = imports.decode(payload, isError ? "error" : "any", !call.isGivenUp);
    // Not made where a function has `call` within reach: an error keeps alive what those on its stack can reach.
    const error = violation ?? (isError ? registry.buildError(value) : undefined);
    this.settle(call, error, value);
    this.startQueue();
    this.connection.checkDrained();
  }
  private settle(call: Outgoing, error: Error | undefined, value?: unknown): void {
    this.open.delete(call.id);
    if (error) call.reject(error);
    else call.resolve(value);
    for (const held of call.pins) this.connection.imports.unpin(held);
    for (const one of call.uses) one.users--;
    queueMicrotask(() => call.uses.forEach((one) => this.finish(one))); // what waits for it may name it now
  }
  private finish(call: Outgoing): void {
    if (call.users > 0 || !call.canBeNamed) return;
    call.canBeNamed = false;
    this.finished.push(call.id);
    this.connection.flushLater();
  }
  /** The peer has run none above `last` of those sent before our own BYE. */
  notRun(last: number): void {
    for (const call of [...this.open.values()])
      if (call.id > last && call.isBeforeBye) this.settle(call, new NotExecuted("the peer is leaving"));
  }
  end(text: string): void {
    for (const call of [...this.open.values()]) this.settle(call, new OutcomeUnknown(text));
    this.startQueue();
  }
}
