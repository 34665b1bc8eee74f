/** Our calls: made, held back, named by others before they are answered, settled once. Spec: 3-messages.md,
 * 11-pipelining.md. */
import type { Connection, Encoding } from "./connection.js";
import { ConnectionLost, Forbidden, Gone, NotExecuted, NotSendable, OutcomeUnknown } from "./errors.js";
import { CALL, CANCEL } from "./messages.js";
import { CallOptions, Kept, keptOf, Pipelined, pipelined, RemoteReference } from "./references.js";
import type { State } from "./values.js";

export type Target = RemoteReference | Pipelined;
interface Settling {
  resolve: (value: any) => void;
  reject: (error: unknown) => void;
}
interface Outgoing extends Settling {
  id: number;
  isGivenUp: boolean;
  beforeBye: boolean;
  settled: () => void;
}
/** What is called, as the application said it. */
interface Wanted extends Settling {
  target: Target;
  method: string;
  args: unknown[];
  options: CallOptions;
  kept?: Kept;
  outgoing?: Outgoing;
  forget: () => void; // of the signal
}

export class Calls {
  private readonly open = new Map<number, Outgoing>();
  private queue: Wanted[] = []; // what waits for HELLO or for max_calls
  private finished: number[] = [];
  private lastId = 0;
  constructor(private readonly connection: Connection) {}

  get size(): number {
    return this.open.size;
  }
  get isFull(): boolean {
    return this.open.size >= (this.connection.peer?.numbers.max_calls ?? 0);
  }

  call(target: Target, method: string, args: unknown[], options: CallOptions = {}, kept?: Kept):
    Promise<any> {
    return new Promise((resolve, reject) => {
      const { signal } = options;
      if (signal?.aborted) return reject(signal.reason);
      const abort = (): void => this.giveUp(wanted, signal!.reason);
      const forget = (): void => signal?.removeEventListener("abort", abort);
      const wanted: Wanted = { target, method, args, options, kept, resolve, reject, forget };
      signal?.addEventListener("abort", abort);
      if (this.connection.isClosed || (!this.queue.length && !this.isFull)) this.begin(wanted);
      else this.queue.push(wanted);
    });
  }
  private giveUp(wanted: Wanted, reason: unknown): void {
    const { outgoing } = wanted;
    if (outgoing) outgoing.isGivenUp = true;
    if (outgoing && this.open.has(outgoing.id)) this.connection.send([CANCEL, outgoing.id]);
    this.queue = this.queue.filter((one) => one !== wanted);
    wanted.forget();
    wanted.reject(reason);
  }
  /** A call whose result can be called before it is there. */
  pipe(target: Target, method: string, args: unknown[]): Pipelined {
    for (const one of [target, ...args].map(keptOf)) if (one) one.isNamed = true;
    const kept: Kept = new Kept(new Promise((resolve, reject) =>
      queueMicrotask(() => this.call(target, method, args, {}, kept).then(resolve, reject))));
    return pipelined(this, kept);
  }
  /** A call with id 0. */
  notify(target: RemoteReference, method: string, args: unknown[]): void {
    const { connection } = this;
    this.check(target);
    if (!connection.peer) return void connection.ready.then(() => this.notify(target, method, args));
    connection.hasTold = true;
    connection.encode([args, {}], (bytes) => connection.send([CALL, 0, target.entry.id, method, bytes]));
  }
  private check(target: RemoteReference): void {
    const { connection } = this;
    if (connection.isClosed || (connection.isLeaving && !connection.server.running.size))
      throw new NotExecuted("the connection has ended or is ending");
    if (target.entry.gone) throw new Gone("the object was revoked");
    if (target.entry.released) throw new NotExecuted("the reference was released");
    if (target.connection !== connection) throw new Forbidden("a reference of another connection");
  }

  private begin(wanted: Wanted): void {
    const { target, method, args, options, kept } = wanted;
    const of = keptOf(target);
    try {
      if (of && !of.id)
        return this.follow(wanted, of.promise.then((found) => { // there, or it cannot be named
        if (found instanceof RemoteReference) return this.call(found, method, args, options, kept);
        throw new TypeError("the result is no object of the peer");
      }));
      if (args.some((one) => keptOf(one)?.id === 0)) {
        const made = Promise.all(args).then((all) => this.call(target, method, all, options, kept));
        return this.follow(wanted, made);
      }
      this.check(of ? this.connection.root : (target as RemoteReference));
      this.send(wanted, of);
    } catch (error) {
      wanted.forget();
      wanted.reject(error);
    }
  }
  private follow({ resolve, reject, forget }: Wanted, promise: Promise<unknown>): void {
    promise.then(resolve, reject).finally(forget);
  }
  private send(wanted: Wanted, of: Kept | undefined): void {
    const { connection } = this;
    const { target, method, args, options: { ttl, named = {}, meta, trace }, kept } = wanted;
    const keeps = kept?.isNamed && connection.peer!.features.has("pipeline");
    const encoding: Encoding = { steps: [], names: new Set(), pins: new Set() };
    const write = (id: number): void => connection.encode([args, named], (bytes) => {
      const needs = [...encoding.names!].map((one) => one.id);
      if (encoding.holds && (of || needs.length))
        throw new NotSendable(`a ${encoding.holds} in a call on a result to come`);
      const opts: State = {
        ...(keeps && { keep: true }), ...(needs.length && { needs }), ...(meta && { meta }),
        ...(trace && { trace }),
        ...(ttl !== undefined && { ttl: Math.max(0, Math.floor(ttl)) }),
      };
      const envelope = [CALL, id, of ? -of.id : (target as RemoteReference).entry.id, method, bytes];
      connection.send(Object.keys(opts).length ? [...envelope, opts] : envelope);
    }, encoding);
    const outgoing = (wanted.outgoing = this.add(wanted, write));
    if (keeps) kept.id = outgoing.id;
    const uses = new Set(of ? [of, ...encoding.names!] : encoding.names);
    const pins = uses.size ? [...encoding.pins!] : []; // not released while what names them waits (PB-R10)
    for (const one of uses) one.users++;
    for (const one of pins) one.pins++;
    outgoing.settled = () => {
      wanted.forget();
      for (const one of uses) this.unname(one);
      for (const one of pins)
        if (--one.pins === 0 && one.released) connection.imports.giveBack(one.id, one.count);
      if (keeps) this.unname(kept);
    };
  }
  /** Send something that is answered. */
  add({ resolve, reject }: Settling, send: (id: number) => void): Outgoing {
    const id = this.lastId + 1;
    send(id);
    const outgoing: Outgoing =
      { id, resolve, reject, isGivenUp: false, beforeBye: !this.connection.byeSent, settled: () => {} };
    this.open.set((this.lastId = id), outgoing);
    return outgoing;
  }
  private unname(kept: Kept): void {
    if (--kept.users > 0) return;
    queueMicrotask(() => { // what waits for the answer may still name it now
      if (kept.users > 0 || !kept.id || this.connection.isClosed) return;
      this.finished.push(kept.id);
      kept.id = 0;
      this.connection.flushLater();
    });
  }
  /** What FINISH has to say now. */
  takeFinished(): number[] {
    return this.finished.splice(0);
  }

  /** The call that was answered; whether anybody still wants that is its `isGivenUp`. */
  get(id: number): Outgoing | undefined {
    return this.open.get(id);
  }
  settle(call: Outgoing, error: Error | undefined, value?: unknown): void {
    this.open.delete(call.id);
    if (error) call.reject(error);
    else call.resolve(value);
    call.settled();
  }
  /** Begin what was held back; all of it if it can only fail. */
  startQueue(isOver = false): void {
    while (this.queue.length && (isOver || !this.isFull)) this.begin(this.queue.shift()!);
  }
  /** The peer has run none above `last` of those sent before our own BYE. */
  notRun(last: number, text: string): void {
    for (const call of [...this.open.values()])
      if (call.id > last && call.beforeBye) this.settle(call, new NotExecuted(text));
  }
  end(error: ConnectionLost): void {
    for (const call of [...this.open.values()]) this.settle(call, new OutcomeUnknown(error.message));
    this.startQueue(true);
  }
}
