/** What the peer holds of ours: objects, caches and streams. Spec: 4-references.md, 7-caches.md,
 * 10-streams.md. */
import { Cacheable, Observer, startObserving, stopObserving } from "./caches.js";
import type { Connection, Encoding } from "./connection.js";
import { Forbidden, NotExecuted, NotSendable, TooLarge, Unsupported } from "./errors.js";
import { GONE, OBSERVE, violated } from "./messages.js";
import { isServed } from "./registry.js";
import { lateStream, Producer, RemoteStream } from "./streams.js";
import type { Sender } from "./writer.js";

export interface Export {
  id: number;
  object: object;
  count: number;
  gone: boolean;
  stop?: () => void; // of a cache: stop observing
}

export class Exports {
  readonly byId = new Map<number, Export>();
  readonly producers = new Map<number, Producer>();
  private readonly byObject = new Map<object, Export>();
  private lastId = 0;
  constructor(private readonly connection: Connection, root: object | undefined) {
    if (root) this.byId.set(0, { id: 0, object: root, count: 0, gone: false });
  }

  of(object: object): Export | undefined {
    return this.byObject.get(object);
  }
  /** How an object of ours is sent, and what is undone if it is not. */
  ext(object: object, encoding: Encoding): ReturnType<Sender["reference"]> {
    if (object instanceof Cacheable) return this.cache(object, encoding);
    if (isServed(object))
      return [1, this.counted(this.byObject.get(object) ?? this.add(object), encoding).id];
    if (object instanceof RemoteStream && object.consumer.connection !== this.connection)
      throw new Forbidden("a stream of another connection is not passed on");
    const iterate = (object as AsyncIterable<unknown>)[Symbol.asyncIterator];
    return typeof iterate === "function" ? [5, this.produce(iterate.call(object), encoding)] : undefined;
  }
  private add(object: object, stop?: () => void): Export {
    const most = this.connection.peer?.numbers.max_refs ?? 0;
    if (this.byId.size + this.producers.size > most) throw new TooLarge(`max_refs of the peer is ${most}`);
    const entry: Export = { id: ++this.lastId, object, count: 0, gone: false, stop };
    this.byId.set(entry.id, entry);
    this.byObject.set(object, entry);
    return entry;
  }
  private counted(entry: Export, encoding: Encoding): Export {
    entry.count++;
    encoding.steps.push({ back: () => --entry.count === 0 && this.forget(entry) });
    return entry;
  }
  private forget(entry: Export): void {
    this.byId.delete(entry.id);
    if (this.byObject.get(entry.object) === entry) this.byObject.delete(entry.object);
    stopped(entry);
  }
  private need(feature: string, encoding: Encoding): void {
    if (!this.connection.peer?.features.has(feature)) throw new Unsupported(`the peer takes no ${feature}`);
    encoding.holds = feature;
  }
  private produce(iterator: AsyncIterator<unknown>, encoding: Encoding): number {
    this.need("stream", encoding);
    const { max_streams, window } = this.connection.peer!.numbers;
    if (this.producers.size >= max_streams) throw new TooLarge(`max_streams of the peer is ${max_streams}`);
    const id = ++this.lastId;
    const producer = new Producer(this.connection, id, iterator, window);
    this.producers.set(id, producer);
    if (encoding.ends !== undefined) {
      const left = Math.min(Math.max(0, encoding.ends - Date.now()), 2 ** 31 - 1);
      setTimeout(() => producer.stop(lateStream()), left);
    }
    const back = (): void => {
      this.producers.delete(id);
      producer.stop();
    };
    encoding.steps.push({ back, commit: () => void producer.run() });
    return id;
  }
  private cache(original: Cacheable, encoding: Encoding): ReturnType<Sender["reference"]> {
    const { connection } = this;
    this.need("cache", encoding);
    const known = this.byObject.get(original);
    if (known) return [10, this.counted(known, encoding).id];
    const name = connection.registry.entryOf(original)?.name;
    if (!name) throw new NotSendable(`a ${original.constructor.name} that is not registered`);
    let early: (() => void)[] | undefined = []; // told before the payload with CACHE is sent
    const tell = (what: () => void): void => void (early ? early.push(what) : what());
    const entry = this.add(original, () => {
      early = undefined;
      stopObserving(original, observer);
    });
    const update = (call: number, method: string, args: unknown[]): void => {
      if (!call) connection.hasTold = true;
      connection.encode([args, {}], (bytes) => connection.send([OBSERVE, call, entry.id, method, bytes]));
    };
    const observer: Observer = {
      send: (method, ...args) => entry.stop && tell(() => {
        try {
          update(0, method, args);
        } catch (error) {
          this.revoke(original);
          connection.log("-", error);
        }
      }),
      ask: (method, ...args) => new Promise((resolve, reject) => {
        if (!entry.stop || connection.calls.isFull)
          return reject(new NotExecuted("nobody can be asked, or too much is asked"));
        tell(() => {
          try {
            connection.calls.add({ resolve, reject }, (id) => update(id, method, args));
          } catch (error) {
            reject(error);
          }
        });
      }),
    };
    this.counted(entry, encoding);
    const commit = (): void => {
      const told = early ?? [];
      early = undefined;
      for (const one of told) one();
    };
    encoding.steps.push({ back: () => {}, commit });
    startObserving(original, observer);
    const state = original.stateToCache();
    return [9, (lower) => [entry.id, name, lower(state)]];
  }

  /** Take an object away from the peer. */
  revoke(object: object): void {
    const entry = this.byObject.get(object);
    if (!entry) return;
    entry.gone = true;
    this.byObject.delete(object);
    stopped(entry);
    this.connection.send([GONE, [entry.id]]);
  }
  /** RELEASE: pairs of ids and counts. */
  release(pairs: number[]): void {
    if (pairs.length % 2) violated("RELEASE holds pairs");
    for (let i = 0; i < pairs.length; i += 2) {
      const entry = this.byId.get(pairs[i]);
      if (!entry || pairs[i + 1] > entry.count) return violated("RELEASE of more than is held");
      if ((entry.count -= pairs[i + 1]) > 0) continue;
      const isCache = entry.stop !== undefined;
      this.forget(entry);
      if (isCache) this.connection.send([GONE, [entry.id]]);
    }
  }
  /** The producer that PULL or STOP are for; nothing where it has ended. */
  producer(id: number): Producer | undefined {
    const found = this.producers.get(id);
    if (!found && (this.byId.has(id) || id > this.lastId)) violated("PULL or STOP for what is no stream");
    return found;
  }
  end(reason: Error): void {
    for (const producer of this.producers.values()) producer.stop(reason);
    for (const entry of [...this.byId.values()]) this.forget(entry);
  }
}
function stopped(entry: Export): void {
  const { stop } = entry;
  entry.stop = undefined;
  stop?.();
}
