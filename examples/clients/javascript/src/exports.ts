/** What the peer holds of ours: objects, caches and streams. Spec: 4-references.md, 7-caches.md, 10-streams.md. */
import { Cacheable } from "./caches.js";
import { Connection, Encoding, GONE, OBSERVE, OURS } from "./connection.js";
import { Cancelled, Forbidden, NotSendable, TooLarge, Unsupported, violated } from "./errors.js";
import { isServed } from "./registry.js";
import { Producer, RemoteStream } from "./streams.js";
import type { Refer } from "./writer.js";
/** `holds`: how many calls wait on it. `stop`: of a cache, how it is observed no longer. */
export interface Export { id: number; object: object; count: number; gone: boolean; holds: number; stop?: () => void }
type Reference = ReturnType<NonNullable<ReturnType<Refer>>>;
/** Milliseconds until a time, as many as a timer takes. */
export const until = (time: number): number => Math.min(Math.max(0, time - Date.now()), 2 ** 31 - 1);

export class Exports {
  readonly byId = new Map<number, Export>();
  readonly producers = new Map<number, Producer>();
  readonly byObject = new Map<object, Export>();
  private lastId = 0;
  constructor(private readonly connection: Connection, root: object | undefined) {
    if (root) this.byId.set(0, { id: 0, object: root, count: 0, gone: false, holds: 0 });
  }
  /** How an object of ours is sent as a reference, if it is. */
  refer(object: object, encoding: Encoding): (() => Reference) | undefined {
    const stream = object as AsyncIterable<unknown>;
    if (object instanceof Cacheable) return () => this.cache(object, encoding);
    if (isServed(object)) return () => [1, this.count(this.byObject.get(object) ?? this.add(object), encoding)];
    return typeof stream[Symbol.asyncIterator] === "function" ? () => [5, this.produce(stream, encoding)] : undefined;
  }
  private add(object: object): Export {
    const most = Math.min(this.connection.peer!.numbers.max_refs, OURS.max_refs); // which it may make us keep, too
    const live = this.byId.size - (this.byId.has(0) ? 1 : 0) + this.producers.size;
    if (live >= most) throw new TooLarge(`max_refs is ${most}`);
    const entry: Export = { id: ++this.lastId, object, count: 0, gone: false, holds: 0 };
    this.byId.set(entry.id, entry);
    this.byObject.set(object, entry);
    return entry;
  }
  private count(entry: Export, encoding: Encoding): number {
    entry.count++;
    encoding.back.push(() => --entry.count === 0 && this.forget(entry));
    return entry.id;
  }
  private forget(entry: Export): void {
    this.byId.delete(entry.id);
    this.takeAway(entry);
  }
  private takeAway(entry: Export): void {
    const { stop } = entry;
    entry.stop = undefined;
    if (this.byObject.get(entry.object) === entry) this.byObject.delete(entry.object);
    try {
      stop?.();
    } catch (error) { // of `stoppedObserving`, which is the application's
      this.connection.log("-", error);
    }
  }
  private need(feature: string, encoding: Encoding): void {
    if (!this.connection.peer!.features.has(feature)) throw new Unsupported(`the peer takes no ${feature}`);
    encoding.holds = feature;
  }
  private produce(stream: AsyncIterable<unknown>, encoding: Encoding): number {
    this.need("stream", encoding);
    const { max_streams, window } = this.connection.peer!.numbers;
    const most = Math.min(max_streams, OURS.max_streams);
    if (this.producers.size >= most) throw new TooLarge(`max_streams is ${most}`);
    if (stream instanceof RemoteStream && stream.connection !== this.connection)
      throw new Forbidden("a stream of another connection is not passed on");
    const id = ++this.lastId;
    const producer = new Producer(this.connection, id, stream[Symbol.asyncIterator](), window);
    this.producers.set(id, producer);
    if (encoding.ends !== undefined) producer.endsIn(until(encoding.ends));
    encoding.back.push(() => this.producers.delete(id), () => producer.stop());
    encoding.sent.push(() => void producer.run());
    return id;
  }
  private cache(original: Cacheable, encoding: Encoding): Reference {
    const { connection } = this;
    this.need("cache", encoding);
    const known = this.byObject.get(original);
    if (known) return [10, this.count(known, encoding)];
    const name = connection.registry.of("cache", original)?.name;
    if (!name) throw new NotSendable(`a ${original.constructor.name} that is not registered`);
    const entry = this.add(original), { id } = entry;
    let isSent = false;
    encoding.sent.push(() => (isSent = true));
    const tell = (method: string, args: unknown[]): void => {
      if (!isSent) return void encoding.sent.push(() => tell(method, args)); // behind the payload with CACHE (PB-C12)
      try {
        if (!entry.stop) return;
        connection.encode([args, {}], (bytes) => connection.send([OBSERVE, 0, id, method, bytes]));
        connection.hasTold = true;
      } catch (error) { // the replica may not go on as if it had been told (PB-C16)
        this.revoke(original);
        connection.log("-", error);
      }
    };
    entry.stop = Cacheable.observe(original, tell);
    return [9, [this.count(entry, encoding), name, original.stateToCache()]];
  }
  /** Take an object away from the peer. */
  revoke(object: object): void {
    const entry = this.byObject.get(object);
    if (!entry) return;
    entry.gone = true;
    this.takeAway(entry);
    this.connection.send([GONE, [entry.id]]);
  }
  /** RELEASE: pairs of ids and counts. */
  release(pairs: number[]): void {
    if (pairs.length % 2) violated("RELEASE holds pairs");
    for (let i = 0; i < pairs.length; i += 2) {
      const entry = this.byId.get(pairs[i]);
      if (!entry || pairs[i + 1] > entry.count) return violated("RELEASE of more than is held");
      entry.count -= pairs[i + 1];
      if (entry.count > 0) continue;
      const isFollowed = entry.stop !== undefined;
      this.forget(entry);
      if (isFollowed) this.connection.send([GONE, [entry.id]]);
    }
  }
  /** The producer that PULL or STOP are for; nothing where it has ended. */
  producer(id: number): Producer | undefined {
    const isNone = this.byId.has(id) || id > this.lastId;
    return this.producers.get(id) ?? (isNone ? violated("PULL or STOP for what is no stream") : undefined);
  }
  end(): void {
    for (const producer of this.producers.values()) producer.stop(new Cancelled("the connection ended"));
    for (const entry of [...this.byId.values()]) this.forget(entry);
  }
}
