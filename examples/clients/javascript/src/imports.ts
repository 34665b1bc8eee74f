/** What we hold of the peer's: references, replicas and streams, as payloads bring them. Spec:
 * 4-references.md, 7-caches.md. */
import { Hold, Replica } from "./caches.js";
import type { Connection } from "./connection.js";
import {
  BadPayload, checkErrorMap, Gone, malformed, NoSuchObject, PbError, ProtocolError,
} from "./errors.js";
import { OURS } from "./messages.js";
import { Reader, Tables } from "./reader.js";
import { Import, RemoteReference } from "./references.js";
import type { Entry } from "./registry.js";
import { Consumer, lostStream, RemoteStream } from "./streams.js";
import { isMap, Tuple } from "./values.js";

export type Shape = "call" | "any" | "error" | "items";
export interface Decoded {
  value: any;
  violation: PbError | undefined;
  streams: Consumer[];
}
const isList = (x: unknown): x is unknown[] => Array.isArray(x) && !(x instanceof Tuple);
const finalized = <T>(done: (held: T) => void): FinalizationRegistry<T> | undefined =>
  typeof FinalizationRegistry === "function" ? new FinalizationRegistry<T>(done) : undefined;

export class Imports {
  readonly consumers = new Map<number, Consumer>();
  private readonly references = new Map<number, Import>();
  private readonly replicas = new Map<number, Replica>();
  private readonly released = new Map<number, number>();
  private readonly lost = finalized<Import>((one) => this.release(one));
  private readonly lostReplicas = finalized<Hold>((hold) => this.releaseReplica(hold));
  private readonly lostStreams = finalized<Consumer>((one) => one.stop());
  constructor(private readonly connection: Connection) {}

  // --- giving back

  giveBack(id: number, count: number): void {
    if (id === 0 || count === 0 || this.connection.isClosed) return;
    this.released.set(id, (this.released.get(id) ?? 0) + count);
    this.connection.flushLater();
  }
  /** What RELEASE has to say now: ids and counts by turns. */
  takeReleased(): number[] {
    const pairs = [...this.released].flat();
    this.released.clear();
    return pairs;
  }
  release(one: Import): void {
    if (one.released || one.id === 0) return;
    one.released = true;
    if (this.references.get(one.id) === one) this.references.delete(one.id);
    if (one.pins === 0) this.giveBack(one.id, one.count);
  }
  private releaseReplica(hold: Hold): void {
    const { replica } = hold;
    this.giveBack(replica.id, hold.count);
    hold.count = 0;
    if (replica.hold === hold) replica.hold = replica.handle = undefined;
  }

  // --- what happens to them

  replica(id: number): Replica | undefined {
    return this.replicas.get(id);
  }
  makeStale(replica: Replica): void {
    if (replica.stale) return;
    replica.stale = true;
    if (replica.hold) this.releaseReplica(replica.hold);
    this.replicas.delete(replica.id);
    for (const listener of replica.listeners) listener("stale", []);
  }
  /** GONE: the peer has taken objects away, or confirms that replicas are not followed any longer. */
  gone(ids: number[]): void {
    for (const id of ids) {
      const one = this.references.get(id);
      if (one) one.gone = true;
      this.references.delete(id);
      const replica = this.replicas.get(id);
      if (replica) this.makeStale(replica);
    }
  }
  end(): void {
    for (const one of this.consumers.values()) one.finish(lostStream());
    for (const replica of [...this.replicas.values()]) this.makeStale(replica);
    for (const one of this.references.values()) one.released = true;
  }

  // --- payloads

  /** Decode a payload of a shape; `answer` finds results named in it. What is refused or not wanted is given
   * back. */
  decode(bytes: Uint8Array, shape: Shape, answer?: (q: number) => unknown, isWanted = true): Decoded {
    const back: (() => void)[] = [];
    const streams: Consumer[] = [];
    const reader = new Reader(bytes, this.tables(back, streams, answer), this.connection.registry);
    const value = reader.payload();
    let { violation } = reader;
    if (!violation) {
      const isCall = isList(value) && value.length === 2 && isList(value[0]) && isMap(value[1]);
      if (shape === "call" && !isCall) throw malformed("a payload of a call is [args, kwargs]");
      if (shape === "items" && !(isList(value) && value.length))
        throw malformed("ITEMS holds an array of one item or more");
      if (shape === "error") violation = checkErrorMap(value);
    }
    if (violation || !isWanted) for (const one of back) one();
    return { value, violation, streams };
  }
  discard(bytes: Uint8Array): void {
    this.decode(bytes, "call", undefined, false);
  }
  private tables(back: (() => void)[], streams: Consumer[], answer?: (q: number) => unknown): Tables {
    const unfit = (): void => {
      if (answer) throw new BadPayload("a cache or stream in a pipelined call");
    };
    const fresh = (id: number): void => {
      if (this.references.has(id) || this.replicas.has(id) || this.consumers.has(id))
        throw malformed("a new id that is in use");
    };
    return {
      ref: (id, meta) => {
        if (this.replicas.has(id) || this.consumers.has(id)) throw malformed("REF of what is no object");
        const [one, handle] = this.reference(id, meta);
        one.count++;
        back.push(() => {
          this.giveBack(id, 1);
          if (--one.count > 0 || this.references.get(id) !== one) return;
          this.references.delete(id);
          this.lost?.unregister(one);
        });
        return handle;
      },
      home: (id) => {
        const entry = this.connection.exports.byId.get(id);
        if (!entry) throw new NoSuchObject("HOME of what is not exported");
        if (entry.gone) throw new Gone("HOME of what was revoked");
        return entry.object;
      },
      answer: (q) => {
        if (!answer) throw new BadPayload("ANSWER where nothing is waited for");
        return answer(q);
      },
      stream: (id) => {
        fresh(id);
        if (this.consumers.size >= OURS.max_streams)
          throw new ProtocolError(6, `max_streams is ${OURS.max_streams}`);
        const consumer = new Consumer(this.connection, id);
        this.consumers.set(id, consumer);
        back.push(() => queueMicrotask(() => consumer.stop())); // behind the error that says why
        streams.push(consumer);
        unfit();
        const handle = new RemoteStream(consumer);
        this.lostStreams?.register(handle, consumer);
        return handle;
      },
      cache: (id, entry) => {
        fresh(id);
        const made = entry && this.newReplica(id, entry);
        back.push(() => {
          this.giveBack(id, made ? made.hold.count : 1); // what CACHED behind it has counted, too
          if (!made) return;
          made.hold.count = 0;
          made.replica.stale = true;
          this.replicas.delete(id);
        });
        const fill = (state: unknown): void => {
          unfit();
          made?.replica.fill(state);
        };
        return { value: made?.handle, fill };
      },
      cached: (id) => {
        const replica = this.replicas.get(id);
        if (!replica) this.giveBack(id, 1);
        if (!replica) throw new NoSuchObject("CACHED of what is not held");
        const handle = replica.handle?.deref() ?? this.handleOf(replica);
        const hold = replica.hold!;
        hold.count++;
        back.push(() => {
          if (--hold.count >= 0) this.giveBack(id, 1);
          else hold.count = 0; // given back with its CACHE
        });
        unfit();
        return handle;
      },
    };
  }
  private reference(id: number, meta?: Record<string, unknown>): [Import, RemoteReference] {
    const known = this.references.get(id);
    const held = known?.handle.deref();
    if (known && held && !known.released) return [known, held];
    const one: Import = { id, count: 0, pins: 0, gone: false, released: false, handle: undefined! };
    const handle = new RemoteReference(this.connection, one, meta);
    one.handle = new WeakRef(handle);
    this.lost?.register(handle, one, one);
    this.references.set(id, one);
    return [one, handle];
  }
  private newReplica(id: number, entry: Entry): { replica: Replica; handle: object; hold: Hold } {
    const replica = new Replica(id, entry, this.connection);
    this.replicas.set(id, replica);
    const handle = this.handleOf(replica);
    const hold = replica.hold!;
    hold.count++;
    return { replica, handle, hold };
  }
  private handleOf(replica: Replica): object {
    const handle = replica.newHandle();
    this.lostReplicas?.register(handle, replica.hold!);
    return handle;
  }
}
