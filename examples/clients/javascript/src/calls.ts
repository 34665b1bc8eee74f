/** References to objects of the peer, and our calls on them. Spec: 3-messages.md, 4-references.md, 11-pipelining.md. */
import { CALL, CANCEL, Connection, Encoding, isOptions } from "./connection.js";
import { NotExecuted, NotSendable, OutcomeUnknown, violated } from "./errors.js";
import type { Held } from "./imports.js";
import type { Trace } from "./trace.js";
import type { State } from "./values.js";
import { text } from "./writer.js";

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
  /** Call without wanting an answer: nobody is told whether it ran, or failed. */
  notify(method: string, ...args: unknown[]): void { this.connection.calls.notify(this, method, args); }
  /** Give the reference up now; else that happens when it is collected. */
  release(): void {
    this.connection.calls.startPiped();
    this.connection.imports.release(this.held);
  }
  /** Its methods as methods, whose results can be called before they have come. They are sent when the code that makes
   * them waits, or makes a call of another kind. */
  pipe(): Pipe { return piped(this, (call) => this.connection.calls.pipe(call)); }
  /** Its methods as those of an interface: `await ref.as<Shop>().price("tea")`. They are sent at once. */
  as<T extends object = Record<string, (...args: any[]) => any>>(): Remote<T> {
    return piped(this, (call) => void this.connection.calls.make(call));
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
  wantsAnswer = true;
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
/** A reference or a result to come, whose methods give results to come; `make` makes those calls. */
function piped(reference: RemoteReference, make: (call: Outgoing) => void, call?: Outgoing): any {
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
        make(next);
        return piped(reference, (one) => next.connection.calls.pipe(one), next);
      };
    },
  });
  if (call) toCome.set(proxy, call);
  return proxy;
}

export class Calls {
  readonly open = new Map<number, Outgoing>();
  private finished: number[] = []; // what FINISH has to say
  private kept = 0; // results for which it was not said
  private piped: Outgoing[] = []; // what waits for the code that makes it, since more may be made on its result
  private readonly queue = new Set<Outgoing>(); // what waits for HELLO or for max_calls,
  private next = this.queue.values(); // and which is the first: to look for it takes time where many were taken
  private lastId = 0;
  constructor(private readonly connection: Connection) {}
  /** Make a call, behind those that were made before it. */
  make(call: Outgoing): Promise<any> {
    const { promise, options: { signal } } = call;
    if (signal?.aborted) return Promise.reject(signal.reason);
    if (signal) {
      const abort = (): void => this.giveUp(call, signal.reason);
      const forget = (): void => signal.removeEventListener("abort", abort);
      signal.addEventListener("abort", abort);
      promise.then(forget, forget);
    }
    this.add(call);
    this.startPiped();
    return promise;
  }
  /** Make a call when the code that makes it waits; or before that, where something else is to be sent behind it. */
  pipe(call: Outgoing): void {
    this.add(call);
    queueMicrotask(() => this.startPiped());
  }
  private add(call: Outgoing): void {
    for (const one of [call.target, ...call.args].map(keptOf)) if (one) one.isNamed = true;
    this.piped.push(call);
  }
  startPiped(): void {
    if (!this.piped.length) return;
    for (const call of this.piped.splice(0)) {
      if (call.isNamed) call.promise.catch(() => undefined); // those that name it are told
      this.queue.add(call);
    }
    this.startQueue();
  }
  /** Make a call with id 0. It throws why it is not sent; where that turns out only later, it is logged. */
  notify(target: RemoteReference, method: string, args: unknown[]): void {
    if (args.some(keptOf)) throw new NotSendable("a call on a result to come wants an answer");
    this.check(target);
    const call = new Outgoing(this.connection, target, method, args);
    let isLate = false, failure: unknown;
    call.wantsAnswer = false;
    call.reject = (error) => void (isLate ? this.connection.log("-", error) : (failure = error));
    void this.make(call);
    isLate = true;
    if (failure) throw failure;
  }
  private sendNotice({ target, method, args }: Outgoing): void {
    const { connection } = this, { id } = (target as RemoteReference).held;
    connection.encode([args, {}], (bytes) => connection.send([CALL, 0, id, text(method), bytes]));
    connection.hasTold = true;
  }
  /** Refuse what cannot be called any more. */
  private check(target: RemoteReference): void {
    if (this.connection.isEnding) throw new NotExecuted("the connection has ended or is ending");
    target.held.check();
  }
  private giveUp(call: Outgoing, reason: unknown): void {
    call.isGivenUp = true;
    this.queue.delete(call);
    call.reject(reason);
    if (this.open.has(call.id)) this.connection.send([CANCEL, call.id]);
  }
  /** Begin what was held back; all of it if it can only fail. */
  startQueue(): void {
    const { connection } = this;
    const isFree = (): boolean => connection.isEnding || this.open.size < (connection.peer?.numbers.max_calls ?? 0);
    while (this.queue.size && isFree()) {
      const call = this.next.next().value ?? (this.next = this.queue.values()).next().value!;
      this.queue.delete(call);
      this.begin(call);
    }
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
      this.check(on ? this.connection.root : (target as RemoteReference));
      if (call.wantsAnswer) this.send(call, on);
      else this.sendNotice(call);
    } catch (error) { call.reject(error); }
  }
  private send(call: Outgoing, on: Outgoing | undefined): void {
    const { connection } = this, { target, method, args, options: { ttl, named = {}, meta, trace } } = call;
    const { features, numbers } = connection.peer!;
    const keep = call.isNamed && features.has("pipeline") && this.kept < numbers.max_calls; // PB-P4
    const names = new Set<Outgoing>(), encoding = new Encoding(names);
    connection.encode([args, named], (bytes) => {
      const needs = [...names].map((one) => one.id);
      if (on) names.add(on);
      if (encoding.holds && names.size) throw new NotSendable(`a ${encoding.holds} in a call on a result to come`);
      const opts: State = {
        ...(keep && { keep }), ...(needs.length && { needs }), ...(meta && { meta }), ...(trace && { trace }),
        ...(ttl !== undefined && { ttl: Math.max(0, Math.floor(ttl)) }),
      };
      if (!isOptions(opts)) throw new NotSendable("options of a call that are of no form");
      const to = on ? -on.id : (target as RemoteReference).held.id;
      const envelope = [CALL, this.lastId + 1, to, text(method), bytes];
      connection.send(Object.keys(opts).length ? [...envelope, opts] : envelope);
      call.id = ++this.lastId;
    }, encoding);
    this.open.set(call.id, call);
    if (keep) this.kept++;
    call.pins = names.size ? [...encoding.pins] : [];
    call.uses = keep ? [...names, call] : [...names];
    for (const one of call.pins) one.pins++;
    for (const one of call.uses) one.users++;
    call.canBeNamed = keep;
    call.isBeforeBye = !connection.byeSent;
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
  /** What FINISH has to say now. */
  takeFinished(): number[] {
    this.kept -= this.finished.length;
    return this.finished.splice(0);
  }
  /** The peer has run none above `last` of those sent before our own BYE, and keeps no result of them (PB-P5). */
  notRun(last: number): void {
    for (const call of [...this.open.values()]) {
      if (call.id <= last || !call.isBeforeBye) continue;
      call.canBeNamed = false;
      this.settle(call, new NotExecuted("the peer is leaving"));
    }
  }
  end(text: string): void {
    for (const call of [...this.open.values()]) this.settle(call, new OutcomeUnknown(text));
    this.startQueue();
  }
}
