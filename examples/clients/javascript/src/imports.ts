/** What we hold of the peer's: references, replicas, streams. Spec: 4-references.md, 7-caches.md. */
import { Replica } from "./caches.js";
import { RemoteReference } from "./calls.js";
import { Connection, OURS } from "./connection.js";
import { BadPayload, checkErrorMap, ConnectionLost, Gone, malformed, NoSuchObject, NotExecuted, PbError, ProtocolError,
  raise, violated } from "./errors.js";
import { Reader, Tables } from "./reader.js";
import { fill } from "./registry.js";
import { RemoteStream } from "./streams.js";
import { isMap, Tuple } from "./values.js";
/** Of one handle, a reference or the proxy of a replica: what was counted for it. */
export class Held {
  count = 0;
  pins = 0; // calls that wait and name it
  gone = false;
  released = false;
  handle: WeakRef<object> | undefined;
  constructor(readonly id: number, readonly replica?: Replica) {}
  /** Refuse what can be called or sent home no longer. */
  check(): void {
    if (this.gone) throw new Gone("the object was revoked");
    if (this.released) throw new NotExecuted("the reference was released");
  }
}
type Shape = "call" | "any" | "error" | "items";
export interface Decoded { value?: any; violation?: PbError; streams: RemoteStream[] }
const isList = (x: unknown): x is unknown[] => Array.isArray(x) && !(x instanceof Tuple);

export class Imports {
  readonly streams = new Map<number, RemoteStream>();
  private readonly held = new Map<number, Held>();
  unread = 0; // bytes of all streams that came and were not taken
  readonly owed = new Map<number, number>(); // what RELEASE has to say: ids and counts
  private readonly dropped = new FinalizationRegistry<() => void>((done) => done());
  constructor(private readonly connection: Connection) {}
  private giveBack(id: number, count: number): void {
    if (count > 0) this.owed.set(id, (this.owed.get(id) ?? 0) + count);
    this.connection.flushLater();
  }
  /** The handle is gone, or given up. A replica stays in the table until GONE (PB-C17). */
  release(held: Held): void {
    if (held.released || held.id === 0) return;
    held.released = true;
    if (!held.replica && this.held.get(held.id) === held) this.held.delete(held.id);
    if (held.pins === 0) this.giveBack(held.id, held.count);
  }
  unpin(held: Held): void { if (--held.pins === 0 && held.released) this.giveBack(held.id, held.count); }
  replica(id: number): Replica | undefined { return this.held.get(id)?.replica; }
  /** GONE has come, or something like it: a reference can be called no longer, a replica follows no longer. What was
   * counted for a reference is given back at once, or when its handle is dropped. */
  kill(id: number, isReleased = true): void {
    const held = this.held.get(id);
    if (!held) return;
    this.held.delete(id);
    held.gone = true;
    if (isReleased || held.replica) this.release(held);
    held.replica?.becomeStale();
  }
  /** The stream that ITEMS or END are for. */
  stream(id: number): RemoteStream { return this.streams.get(id) ?? violated("ITEMS or END for what is no stream"); }
  /** END has come. */
  endStream(id: number, payload: Uint8Array | undefined): void {
    const { registry } = this.connection;
    const stream = this.stream(id);
    const { value, violation } = payload ? this.decode(payload, "error") : ({} as Decoded);
    this.streams.delete(id);
    stream.end(violation ?? (value && registry.buildError(value)));
    this.connection.checkDrained();
  }
  end(): void {
    for (const stream of this.streams.values()) stream.end(new ConnectionLost("it ended in the middle of the stream"));
    for (const id of [...this.held.keys()]) this.kill(id);
  }
  /** Decode a payload; `answer` finds results named in it. What is refused or not wanted is given back. */
  decode(bytes: Uint8Array, shape: Shape, isWanted = true, answer?: (q: number) => unknown): Decoded {
    const back: (() => void)[] = [], streams: RemoteStream[] = [];
    const reader = new Reader(bytes, this.tables(back, streams, answer), this.connection.registry);
    const value: any = reader.payload();
    let { violation } = reader;
    if (!violation) {
      const isCall = isList(value) && value.length === 2 && isList(value[0]) && isMap(value[1]);
      if (shape === "call" && !isCall) throw malformed("a payload of a call is [args, kwargs]");
      if (shape === "items" && !(isList(value) && value.length)) throw malformed("ITEMS holds an array of items");
      if (shape === "error") violation = checkErrorMap(value);
    }
    if (violation || !isWanted) for (const undo of back.reverse()) undo();
    return { value, violation, streams };
  }
  /** Count an occurrence for the handle that lives, or a new one. */
  private count(id: number, back: (() => void)[], make: (held: Held) => object, replica?: Replica): object {
    const known = this.held.get(id);
    const alive = known?.released ? undefined : known?.handle?.deref();
    const held = known && alive ? known : new Held(id, replica);
    const handle = alive ?? make(held);
    if (!alive) {
      if (this.held.size >= OURS.max_refs) throw new ProtocolError(6, `max_refs is ${OURS.max_refs}`); // PB-R12
      held.handle = new WeakRef(handle);
      this.held.set(id, held);
      this.dropped.register(handle, () => this.release(held));
    }
    held.count++;
    back.push(() => held.count--, () => this.giveBack(id, 1));
    return handle;
  }
  private tables(back: (() => void)[], streams: RemoteStream[], answer?: (q: number) => unknown): Tables {
    const { connection } = this;
    const fit = <T>(value: T): T => (answer ? raise(new BadPayload("a cache or stream in a pipelined call")) : value);
    const check = (isBad: boolean): unknown => isBad && raise(malformed("an id that is in use for something else"));
    return {
      ref: (id, meta) => {
        check(this.replica(id) !== undefined || this.streams.has(id));
        return this.count(id, back, (held) => new RemoteReference(connection, held, meta));
      },
      home: (id) => {
        const { object, gone } = connection.exports.byId.get(id) ?? raise(new NoSuchObject("HOME of nothing exported"));
        return gone ? raise(new Gone("HOME of what was revoked")) : object;
      },
      answer: answer ?? (() => raise(new BadPayload("ANSWER where nothing is waited for"))),
      stream: (id) => {
        check(this.held.has(id) || this.streams.has(id));
        if (this.streams.size >= OURS.max_streams) throw new ProtocolError(6, `max_streams is ${OURS.max_streams}`);
        const stream = new RemoteStream(connection, id);
        this.streams.set(id, stream);
        back.push(() => queueMicrotask(() => stream.stop())); // behind the error that says why
        streams.push(stream);
        const handle = new Proxy(stream, {});
        this.dropped.register(handle, () => stream.stop());
        return fit(handle);
      },
      cache: (id, entry) => {
        check(this.held.has(id) || this.streams.has(id));
        const replica = entry && new Replica(id, entry, connection);
        back.push(() => (replica ? this.kill(id) : this.giveBack(id, 1))); // behind all CACHED of it
        const value = replica && this.count(id, back, () => replica.newHandle(), replica);
        return { value, fill: (state) => replica && fill(replica.core, replica.entry, fit(state)) };
      },
      cached: (id) => {
        const replica = this.replica(id);
        if (!replica) {
          this.giveBack(id, 1);
          throw new NoSuchObject("CACHED of what is not held");
        }
        return fit(this.count(id, back, () => replica.newHandle(), replica));
      },
    };
  }
}
