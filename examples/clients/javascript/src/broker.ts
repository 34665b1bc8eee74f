/** One connection: frames, tables, calls. Spec: 2-frames.md, 3-messages.md, 4-references.md. */
import { Cacheable, Observer, Replica, replicaOf, startObserving, stopObserving } from "./caches.js";
import {
  BadPayload, Cancelled, checkErrorMap, ConnectionLost, ErrorMap, Forbidden, Gone, malformed, NoSuchObject, NotExecuted, NotSendable, OutcomeUnknown,
  PbError, ProtocolError, TooLarge, Unsupported,
} from "./errors.js";
import { Hello, helloInfo, OURS, readHello } from "./hello.js";
import { Reader, READ_LIMITS, Tables } from "./reader.js";
import { CallOptions, Import, Kept, keptOf, Pipelined, pipelined, RemoteReference } from "./references.js";
import { CallOptionsIn, Export, Running, Server } from "./serving.js";
import { checkItems, Consumer, deliver, finish, lateStream, lostStream, newConsumer, Producer, RemoteStream } from "./streams.js";
import type { Transport } from "./transports.js";
import { Entry, isMap, isServed, Registry, State, Tuple } from "./values.js";
import { pack, Sender, Writer } from "./writer.js";

export interface ConnectionOptions {
  /** What the peer may call as our root. */
  root?: object;
  registry?: Registry;
  /** Told of errors whose details the peer does not get, with the reference that it got. */
  log?: (ref: string, error: unknown) => void;
  agent?: string;
}
interface Outgoing {
  id: number;
  resolve: (value: any) => void;
  reject: (error: unknown) => void;
  isGivenUp: boolean;
  beforeBye: boolean;
  settled: () => void;
}
interface Decoded {
  value: unknown;
  violation: PbError | undefined;
  streams: (() => void)[];
}
type Shape = "call" | "any" | "error" | "items";
type Target = RemoteReference | object;
const FINAL = typeof FinalizationRegistry === "function";
const LENGTHS = [[4, 4], [5, 6], [3, 3], [3, 3], [2, 2], [2, 2], [2, 2], [5, 6], [2, 2], [3, 3], [3, 3], [2, 3], [2, 2], [2, 2], [2, 2], [4, 4]];
const isId = (x: unknown, least = 1): x is number => Number.isSafeInteger(x) && (x as number) >= least;
const isList = (x: unknown): x is unknown[] => Array.isArray(x) && !(x instanceof Tuple);
const violated = (text: string): never => {
  throw new ProtocolError(3, text);
};

export class Connection {
  readonly exports = new Map<number, Export>();
  readonly registry: Registry;
  /** Resolves with the reason when the connection has ended. */
  readonly closed: Promise<Error>;
  /** Resolves when the peer's HELLO is there. */
  readonly ready: Promise<void>;
  readonly ownHello: Uint8Array;
  peerHello: Uint8Array | undefined;
  peer: Hello | undefined;
  isClosed = false;
  /** The peer's root. */
  readonly root: RemoteReference;
  private readonly server = new Server(this);
  private readonly entries = new Map<object, Export>();
  private readonly imports = new Map<number, Import>();
  private readonly replicas = new Map<number, Replica>();
  private readonly producers = new Map<number, Producer>();
  private readonly consumers = new Map<number, Consumer>();
  private readonly calls = new Map<number, Outgoing>();
  private queue: (() => void)[] = []; // calls that wait for HELLO or for max_calls
  private released = new Map<number, number>();
  private finished: number[] = [];
  private isFlushing = false;
  private lastId = 0; // of our calls
  private lastExport = 0;
  private seen = 0; // the highest id of the peer's calls
  private started = 0; // the highest one that was begun
  private byeSent = false;
  private byeReceived: number | undefined;
  private undo: (() => void)[] | undefined;
  private callEnds: number | undefined;
  private pinned: Import[] | undefined;
  private named: Kept[] | undefined;
  private pinger: ReturnType<typeof setInterval> | undefined;
  private drainTimer: ReturnType<typeof setTimeout> | undefined;
  private lose!: (error: Error) => void;
  private open!: () => void;
  private readonly log: (ref: string, error: unknown) => void;
  private readonly gone = FINAL ? new FinalizationRegistry<Import>((one) => this.releaseImport(one)) : undefined;
  private readonly goneReplicas = FINAL ? new FinalizationRegistry<NonNullable<Replica["hold"]>>((hold) => this.releaseReplica(hold)) : undefined;
  private readonly goneStreams = FINAL ? new FinalizationRegistry<Consumer>((rec) => this.stopStream(rec)) : undefined;
  private readonly sender: Sender = { reference: (object) => this.reference(object), describe: (error) => this.registry.errors.tell(error, this.log) };

  constructor(readonly transport: Transport, options: ConnectionOptions = {}) {
    this.registry = options.registry ?? new Registry();
    this.log = options.log ?? ((ref, error) => console.error(`pb: internal error ${ref}:`, error));
    this.closed = new Promise((resolve) => (this.lose = resolve));
    this.ready = new Promise((resolve) => (this.open = resolve));
    if (options.root) this.exports.set(0, { id: 0, object: options.root, count: 0, gone: false });
    const entry: Import = { id: 0, count: 0, pins: 0, gone: false, released: false, handle: undefined! };
    this.root = new RemoteReference(this, entry);
    entry.handle = new WeakRef(this.root);
    this.ownHello = pack([0, "PB", 1, helloInfo(options.agent ?? "perspective-broker-js/0.1")]);
    transport.start({ body: (body) => this.receive(body), fault: (error) => this.fail(error), lost: () => this.lost(new ConnectionLost("the connection was lost")) });
    transport.send(this.ownHello);
  }

  /** How many objects the peer holds; of the root nothing is counted. */
  get referencesGiven(): number {
    return [...this.exports.keys()].filter((id) => id > 0).length;
  }
  get isClogged(): boolean {
    return this.transport.buffered() > 262144;
  }

  // --- calls

  call(target: Target, method: string, args: unknown[], options: CallOptions = {}, kept?: Kept): Promise<any> {
    return new Promise((resolve, reject) => {
      const { signal } = options;
      if (signal?.aborted) return reject(signal.reason);
      let call: Outgoing | undefined;
      const abort = (): void => {
        if (call) {
          call.isGivenUp = true;
          if (this.calls.has(call.id)) this.send([4, call.id]);
        }
        this.queue = this.queue.filter((one) => one !== begin);
        signal?.removeEventListener("abort", abort);
        reject(signal!.reason);
      };
      const begin = (): void => {
        try {
          call = this.begin(target, method, args, options, kept, resolve, reject, () => signal?.removeEventListener("abort", abort));
        } catch (error) {
          reject(error);
        }
      };
      signal?.addEventListener("abort", abort);
      if (this.peer && !this.queue.length && this.calls.size < this.peer.numbers.max_calls) begin();
      else if (this.isClosed) reject(new NotExecuted("the connection has ended"));
      else this.queue.push(begin);
    });
  }
  /** A call with id 0. */
  notify(target: RemoteReference, method: string, args: unknown[]): void {
    this.checkTarget(target);
    if (!this.peer) return void this.ready.then(() => this.notify(target, method, args));
    this.encode([args, {}], (bytes) => this.send([1, 0, target.entry.id, method, bytes]));
  }
  private checkTarget(target: RemoteReference): void {
    const isServing = this.server.running.size > 0;
    if (this.isClosed || ((this.byeSent || this.byeReceived !== undefined) && !isServing)) throw new NotExecuted("the connection has ended or is ending");
    if (target.entry.gone) throw new Gone("the object was revoked");
    if (target.entry.released) throw new NotExecuted("the reference was released");
    if (target.connection !== this) throw new Forbidden("a reference of another connection");
  }
  private begin(target: Target, method: string, args: unknown[], options: CallOptions, kept: Kept | undefined,
    resolve: (value: any) => void, reject: (error: unknown) => void, cleanUp: () => void): Outgoing | undefined {
    const of = keptOf(target);
    const canName = (one: Kept | undefined): boolean => one !== undefined && one.id > 0;
    if (of && !canName(of)) { // its result is there, or cannot be named: wait for it
      of.promise.then((found) => found instanceof RemoteReference ? this.call(found, method, args, options, kept)
        : Promise.reject(new TypeError("the result is no object of the peer"))).then(resolve, reject).finally(cleanUp);
      return undefined;
    }
    if (args.some((one) => typeof one === "object" && one !== null && keptOf(one) && !canName(keptOf(one)))) {
      Promise.all(args).then((all) => this.call(target, method, all, options, kept)).then(resolve, reject).finally(cleanUp);
      return undefined;
    }
    this.checkTarget(of ? this.root : (target as RemoteReference));
    const keeps = kept !== undefined && this.peer!.features.has("pipeline");
    const names: Kept[] = (this.named = of ? [of] : []);
    const pins: Import[] = (this.pinned = []);
    const id = this.lastId + 1;
    const settled = (): void => {
      cleanUp();
      for (const one of names) this.unname(one);
      for (const one of pins) if (--one.pins === 0 && one.released) this.giveBack(one.id, one.count);
      if (keeps) this.unname(kept);
    };
    const call: Outgoing = { id, resolve, reject, isGivenUp: false, beforeBye: !this.byeSent, settled };
    try {
      this.encode([args, options.named ?? {}], (bytes) => {
        const needs = names.filter((one) => one !== of || this.named!.indexOf(one) !== this.named!.lastIndexOf(one)).map((one) => one.id);
        const opts: State = { ...(keeps ? { keep: true } : {}), ...(needs.length ? { needs: [...new Set(needs)] } : {}),
          ...(options.ttl === undefined ? {} : { ttl: Math.max(0, Math.floor(options.ttl)) }), ...(options.meta ? { meta: options.meta } : {}) };
        const envelope = [1, id, of ? -of.id : (target as RemoteReference).entry.id, method, bytes];
        this.send(Object.keys(opts).length ? [...envelope, opts] : envelope);
      });
    } finally {
      this.named = this.pinned = undefined;
    }
    this.lastId = id;
    if (keeps) kept.id = id;
    for (const one of names) one.users++;
    if (names.length) for (const one of pins) one.pins++;
    else pins.length = 0;
    this.calls.set(id, call);
    return call;
  }
  private unname(kept: Kept): void {
    if (--kept.users > 0) return;
    queueMicrotask(() => { // what waits for the answer may still name it now
      if (kept.users > 0 || !kept.id || this.isClosed) return;
      this.finished.push(kept.id);
      kept.id = 0;
      this.flushLater();
    });
  }
  /** @internal A call whose result can be called before it is there. */
  pipe(target: Target, method: string, args: unknown[]): Pipelined {
    const kept: Kept = new Kept(new Promise((resolve, reject) => queueMicrotask(() => this.call(target, method, args, {}, kept).then(resolve, reject))));
    return pipelined(this, kept);
  }

  // --- sending

  send(envelope: unknown[]): void {
    if (this.isClosed) return;
    const body = pack(envelope);
    const most = this.peer?.numbers.max_frame ?? 4096;
    if (body.length > most) throw new TooLarge(`max_frame of the peer is ${most}, found ${body.length}`);
    this.transport.send(body);
    if (this.transport.buffered() > 16777216) this.fail(new ProtocolError(6, "the peer does not read"));
  }
  /** Encode a payload and queue its frame in one step; what it counted is undone if that fails. */
  private encode(value: unknown, send: (bytes: Uint8Array) => void): void {
    const outer = this.undo;
    const undo = (this.undo = [] as (() => void)[]);
    const back = (): void => undo.splice(0).reverse().forEach((one) => one());
    const numbers = this.peer?.numbers;
    try {
      send(new Writer(this.sender, this.registry, { depth: numbers?.max_depth ?? 4, exts: numbers?.max_exts ?? 0 }, back).payload(value));
    } catch (error) {
      back();
      throw error;
    } finally {
      this.undo = outer;
    }
    for (const one of undo) (one as { commit?: () => void }).commit?.();
  }
  private later(back: () => void, commit?: () => void): void {
    this.undo!.push(Object.assign(back, { commit }));
  }
  sendAnswer(id: number, value: unknown, ends?: number): void {
    this.callEnds = ends;
    try {
      this.encode(value, (bytes) => this.send([2, id, bytes]));
    } finally {
      this.callEnds = undefined;
    }
  }
  sendError(id: number, error: unknown): ErrorMap {
    let map = this.registry.errors.tell(error, this.log);
    if (id === 0) return map;
    try {
      this.encode(map, (bytes) => this.send([3, id, bytes]));
    } catch (failure) {
      map = this.registry.errors.tell(failure, this.log);
      this.encode(map, (bytes) => this.send([3, id, bytes]));
    }
    return map;
  }
  sendItems(id: number, value: unknown): void {
    this.encode([value], (bytes) => this.send([10, id, bytes]));
  }
  endStream(id: number, error: unknown): void {
    if (!this.producers.delete(id) || this.isClosed) return;
    if (error === undefined) this.send([11, id]);
    else this.encode(this.registry.errors.tell(error, this.log), (bytes) => this.send([11, id, bytes]));
    this.checkDrained();
  }
  stopStream(rec: Consumer): void {
    if (rec.stopped || rec.ended) return;
    rec.stopped = true;
    rec.queue.length = 0;
    this.send([12, rec.id]);
    rec.wake?.();
  }
  private flushLater(): void {
    if (this.isFlushing) return;
    this.isFlushing = true;
    queueMicrotask(() => {
      this.isFlushing = false;
      if (this.isClosed) return;
      if (this.finished.length) this.send([5, this.finished.splice(0)]);
      if (this.released.size) {
        const pairs = [...this.released].flat();
        this.released.clear();
        this.send([6, pairs]);
      }
    });
  }
  private giveBack(id: number, count: number): void {
    if (id === 0 || count === 0 || this.isClosed) return;
    this.released.set(id, (this.released.get(id) ?? 0) + count);
    this.flushLater();
  }
  /** @internal */
  releaseImport(one: Import): void {
    if (one.released || one.id === 0) return;
    one.released = true;
    if (this.imports.get(one.id) === one) this.imports.delete(one.id);
    if (one.pins === 0) this.giveBack(one.id, one.count);
  }
  private releaseReplica(hold: NonNullable<Replica["hold"]>): void {
    const { replica } = hold;
    this.giveBack(replica.id, hold.count);
    hold.count = 0;
    if (replica.hold === hold) replica.hold = replica.handle = undefined;
  }

  // --- references that are sent

  private newExport(object: object, stop?: () => void): Export {
    if (this.exports.size + this.producers.size > (this.peer?.numbers.max_refs ?? 0)) throw new TooLarge(`max_refs of the peer is ${this.peer?.numbers.max_refs}`);
    const entry: Export = { id: ++this.lastExport, object, count: 0, gone: false, stop };
    this.exports.set(entry.id, entry);
    this.entries.set(object, entry);
    return entry;
  }
  exportOf(object: object): Export | undefined {
    return this.entries.get(object);
  }
  private count(entry: Export): void {
    entry.count++;
    this.later(() => --entry.count === 0 && this.forget(entry));
  }
  private forget(entry: Export): void {
    this.exports.delete(entry.id);
    if (this.entries.get(entry.object) === entry) this.entries.delete(entry.object);
    const { stop } = entry;
    entry.stop = undefined;
    stop?.();
  }
  private need(feature: string): void {
    if (!this.peer?.features.has(feature)) throw new Unsupported(`the peer takes no ${feature}`);
    if (feature !== "pipeline" && this.named?.length) throw new NotSendable(`a ${feature} in a call on a result to come`);
  }
  private reference(object: object): ReturnType<Sender["reference"]> {
    if (object instanceof RemoteReference) {
      if (object.connection !== this) throw new Forbidden("a reference of another connection is not passed on");
      if (object.entry.gone) throw new Gone("the object was revoked");
      if (object.entry.released) throw new NotExecuted("the reference was released");
      this.pinned?.push(object.entry);
      return [2, object.entry.id];
    }
    const kept = keptOf(object);
    if (kept) {
      if (!this.named || !kept.id) throw new NotSendable("a result to come can be an argument only");
      if (!this.named.includes(kept) || this.named[0] === kept) this.named.push(kept);
      return [3, kept.id];
    }
    const replica = replicaOf(object);
    if (replica) {
      if (replica.owner !== this) throw new Forbidden("a replica of another connection");
      if (replica.stale) throw new NotSendable("a stale replica");
      return [2, replica.id];
    }
    if (object instanceof Cacheable) return this.cacheOf(object);
    if (isServed(object)) {
      const entry = this.entries.get(object) ?? this.newExport(object);
      this.count(entry);
      return [1, entry.id];
    }
    const iterable = object as { [Symbol.asyncIterator]?: () => AsyncIterator<unknown> };
    return typeof iterable[Symbol.asyncIterator] === "function" ? [5, this.produce(iterable[Symbol.asyncIterator]!())] : undefined;
  }
  private produce(iterator: AsyncIterator<unknown>): number {
    this.need("stream");
    if (this.producers.size >= this.peer!.numbers.max_streams) throw new TooLarge(`max_streams of the peer is ${this.peer!.numbers.max_streams}`);
    const id = ++this.lastExport;
    const producer = new Producer(this, id, iterator, this.peer!.numbers.window);
    this.producers.set(id, producer);
    if (this.callEnds !== undefined) setTimeout(() => producer.stop(lateStream()), Math.min(Math.max(0, this.callEnds - Date.now()), 2 ** 31 - 1));
    this.later(() => {
      this.producers.delete(id);
      producer.stop();
    }, () => void producer.run());
    return id;
  }
  private cacheOf(original: Cacheable): ReturnType<Sender["reference"]> {
    this.need("cache");
    const known = this.entries.get(original);
    if (known) {
      this.count(known);
      return [10, known.id];
    }
    const name = this.registry.entryOf(original)?.name;
    if (!name) throw new NotSendable(`a ${original.constructor.name} that is not registered`);
    let early: (() => void)[] | undefined = []; // told before the payload with CACHE is sent
    const entry = this.newExport(original, () => {
      early = undefined;
      stopObserving(original, observer);
    });
    const tell = (what: () => void): void => void (early ? early.push(what) : what());
    const observer: Observer = {
      send: (method, ...args) => entry.stop && tell(() => {
        try {
          this.encode([args, {}], (bytes) => this.send([7, 0, entry.id, method, bytes]));
        } catch (error) {
          this.revoke(original);
          this.log("-", error);
        }
      }),
      ask: (method, ...args) => new Promise((resolve, reject) => {
        if (!entry.stop || this.calls.size >= this.peer!.numbers.max_calls) return reject(new NotExecuted("nobody is there to be asked, or too much is asked"));
        tell(() => {
          const id = this.lastId + 1;
          this.encode([args, {}], (bytes) => this.send([7, id, entry.id, method, bytes]));
          this.calls.set((this.lastId = id), { id, resolve, reject, isGivenUp: false, beforeBye: !this.byeSent, settled: () => {} });
        });
      }),
    };
    this.count(entry);
    this.later(() => {}, () => {
      const told = early ?? [];
      early = undefined;
      for (const one of told) one();
    });
    startObserving(original, observer);
    const state = original.stateToCache();
    return [9, (lower) => [entry.id, name, lower(state)]];
  }
  /** Take an object away from the peer: calls on it are answered with pb.Gone, replicas become stale. */
  revoke(object: object): void {
    const entry = this.entries.get(object);
    if (!entry || entry.id === 0) return;
    entry.gone = true;
    this.entries.delete(object);
    const { stop } = entry;
    entry.stop = undefined;
    stop?.();
    this.send([8, [entry.id]]);
  }

  // --- payloads that come

  /** Decode a payload of a shape. What a refused one holds is given back. */
  decode(bytes: Uint8Array, shape: Shape, answer?: (q: number) => unknown, isWanted = true): Decoded {
    const back: (() => void)[] = [];
    const streams: (() => void)[] = [];
    let refused: PbError | undefined;
    const isPipelined = answer !== undefined;
    const unfit = (): void => void (isPipelined && (refused ??= new BadPayload("a cache or stream in a pipelined call")));
    const taken = (id: number): boolean => this.imports.has(id) || this.replicas.has(id) || this.consumers.has(id);
    const tables: Tables = {
      ref: (id, meta) => {
        if (this.replicas.has(id) || this.consumers.has(id)) throw malformed("REF of what is no object");
        let one = this.imports.get(id);
        let handle = one?.handle.deref();
        if (!one || !handle || one.released) {
          one = { id, count: 0, pins: 0, gone: false, released: false, handle: undefined! };
          handle = new RemoteReference(this, one, meta);
          one.handle = new WeakRef(handle);
          this.gone?.register(handle, one, one);
          this.imports.set(id, one);
        }
        const found = one;
        found.count++;
        back.push(() => {
          this.giveBack(id, 1);
          if (--found.count === 0 && this.imports.get(id) === found) {
            this.imports.delete(id);
            this.gone?.unregister(found);
          }
        });
        return handle;
      },
      home: (id) => {
        const entry = this.exports.get(id);
        if (!entry) throw new NoSuchObject("HOME of what is not exported");
        if (entry.gone) throw new Gone("HOME of what was revoked");
        return entry.object;
      },
      answer: (q) => {
        if (!answer) throw new BadPayload("ANSWER where nothing is waited for");
        return answer(q);
      },
      stream: (id) => {
        if (taken(id)) throw malformed("STREAM of an id that stands for something");
        if (this.consumers.size >= OURS.max_streams) throw new ProtocolError(6, `more streams than max_streams ${OURS.max_streams}`);
        const rec = newConsumer(id);
        this.consumers.set(id, rec);
        const stop = (): void => this.stopStream(rec);
        back.push(stop);
        streams.push(stop);
        unfit();
        const handle = new RemoteStream(this, rec);
        this.goneStreams?.register(handle, rec);
        return handle;
      },
      cache: (id, entry: Entry | undefined) => {
        if (taken(id)) throw malformed("CACHE of an id that stands for something");
        unfit();
        if (!entry) {
          back.push(() => this.giveBack(id, 1));
          return { value: undefined, fill: () => {} };
        }
        const replica = new Replica(id, entry, this);
        this.replicas.set(id, replica);
        const handle = this.handleOf(replica);
        const hold = replica.hold!;
        hold.count++;
        back.push(() => {
          if (hold.count > 0) this.giveBack(id, 1);
          hold.count = 0;
          this.replicas.delete(id);
          replica.stale = true;
        });
        return { value: handle, fill: (state) => replica.fill(state) };
      },
      cached: (id) => {
        unfit();
        const replica = this.replicas.get(id);
        if (!replica) {
          this.giveBack(id, 1);
          throw new NoSuchObject("CACHED of what is not held");
        }
        const handle = replica.handle?.deref() ?? this.handleOf(replica);
        const hold = replica.hold!;
        hold.count++;
        back.push(() => {
          hold.count--;
          this.giveBack(id, 1);
        });
        return handle;
      },
    };
    const reader = new Reader(bytes, tables, this.registry, READ_LIMITS);
    const value = reader.payload();
    let violation = reader.violation ?? refused;
    if (!violation) {
      if (shape === "call" && !(isList(value) && value.length === 2 && isList(value[0]) && isMap(value[1])))
        throw malformed("a payload of a call is [args, kwargs]");
      if (shape === "error") violation = checkErrorMap(value);
      if (shape === "items" && !isList(value)) throw malformed("ITEMS holds an array");
    }
    if (violation || !isWanted) for (const one of back) one();
    return { value, violation, streams };
  }
  discard(bytes: Uint8Array, shape: Shape): void {
    this.decode(bytes, shape, undefined, false);
  }
  private handleOf(replica: Replica): object {
    const handle = replica.newHandle();
    this.goneReplicas?.register(handle, replica.hold!);
    return handle;
  }

  // --- frames that come

  private receive(body: Uint8Array): void {
    if (this.isClosed) return;
    try {
      if (body.length === 0) throw malformed("a frame of no bytes", 5);
      if (body.length > (this.peer ? OURS.max_frame : 4096)) throw malformed(`max_frame is ${OURS.max_frame}`, 5);
      const found = new Reader(body, undefined, undefined, { depth: 8, exts: 0, floodable: 0 }).envelope();
      if (!Array.isArray(found) || !found.length) throw malformed("a frame that is no envelope");
      if (!this.peer) {
        this.peer = readHello(found);
        this.peerHello = body.slice();
        const { idle } = this.peer.numbers;
        if (idle) this.pinger = setInterval(() => this.send([13, 0]), Math.min((idle * 1000) / 3, 2 ** 31 - 1));
        (this.pinger as { unref?: () => void } | undefined)?.unref?.();
        this.open();
        this.startQueue();
      } else if (Array.isArray(found[0])) {
        if (found.length > 1024) throw malformed("a batch of more than 1024", 5);
        for (const one of found) {
          if (this.isClosed) return;
          if (!Array.isArray(one) || !one.length || one[0] === 0) violated("a batch holds envelopes, and no HELLO");
          this.take(one as unknown[]);
        }
      } else this.take(found);
    } catch (error) {
      this.fail(error instanceof ProtocolError ? error : new ProtocolError(9, "internal error"));
      if (!(error instanceof ProtocolError)) this.log("-", error);
    }
  }
  private take(envelope: unknown[]): void {
    const [code, a, b, c, d, e] = envelope;
    if (!isId(code, 0)) throw typeof code === "number" || typeof code === "bigint" || Array.isArray(code) ? new ProtocolError(3, "no message code") : malformed("no message code");
    const lengths = LENGTHS[code];
    if (!lengths || code === 0 || envelope.length < lengths[0] || envelope.length > lengths[1]) violated("a message of no known form");
    const bin = (x: unknown): Uint8Array => (x instanceof Uint8Array ? x : violated("a payload that is no bin"));
    const ids = (x: unknown, least = 1): number[] => (Array.isArray(x) && x.length && x.every((one) => isId(one, least)) ? (x as number[]) : violated("a list of ids"));
    switch (code) {
      case 1: case 7: return this.takeCall(code === 7, a, b, c, bin(d), envelope.length > 5 ? e : {});
      case 2: case 3: return this.takeAnswer(a, bin(b), code === 3);
      case 4:
        if (!isId(a) || a > this.seen) violated("CANCEL of no call");
        return this.server.cancel(a as number);
      case 5: return this.server.finish(ids(a));
      case 6: return this.takeRelease(ids(a));
      case 8: return this.takeGone(ids(a, 0)); // 0 is ignored
      case 9: case 12: {
        if (!isId(a) || (code === 9 && !isId(b))) violated("PULL and STOP have an id, PULL a count");
        const producer = this.producers.get(a as number);
        if (!producer && (this.exports.has(a as number) || (a as number) > this.lastExport)) violated("PULL or STOP for what is no stream");
        return code === 9 ? producer?.grant(b as number) : producer?.stop();
      }
      case 10: case 11: {
        const rec = isId(a) ? this.consumers.get(a) : undefined;
        if (!rec) return violated("ITEMS or END for what is no stream");
        if (code === 10) return this.takeItems(rec, bin(b));
        const found = envelope.length > 2 ? this.decode(bin(b), "error") : undefined;
        this.consumers.delete(rec.id);
        finish(rec, found && (found.violation ?? this.registry.errors.build(found.value as ErrorMap)));
        return this.checkDrained();
      }
      case 13: case 14: {
        const isInt = typeof a === "bigint" || Number.isSafeInteger(a);
        if (!isInt && !(typeof a === "string" && new TextEncoder().encode(a).length <= 64)) violated("a token is an integer or a short text");
        return code === 13 ? this.send([14, a]) : undefined;
      }
      default: return this.takeBye(a, b, c);
    }
  }
  private takeCall(isUpdate: boolean, id: unknown, target: unknown, method: unknown, payload: Uint8Array, options: unknown): void {
    if (!isId(id, 0) || !Number.isSafeInteger(target) || typeof method !== "string" || !isMap(options)) return violated("CALL or OBSERVE with a wrong type");
    if (isUpdate && (target as number) < 1) return violated("OBSERVE of no cache");
    const { keep, needs, ttl, trace, meta } = options;
    const texts = (x: unknown): boolean => x === undefined || (isMap(x) && Object.values(x).every((one) => typeof one === "string"));
    if ((keep !== undefined && typeof keep !== "boolean") || (needs !== undefined && !(Array.isArray(needs) && needs.every((q) => isId(q)))) ||
        (ttl !== undefined && !isId(ttl, 0)) || !(trace === undefined || (isMap(trace) && [trace.traceparent, trace.tracestate].every((one) => one === undefined || typeof one === "string"))) || !texts(meta)) return violated("an option of a wrong type");
    if (id && id <= this.seen) violated("an id that is not above all earlier ones");
    if (id) this.seen = id;
    const isLeaving = this.byeSent && this.byeReceived === undefined;
    if (isLeaving && (!isUpdate || id)) return;
    if (id) this.started = id;
    if (isUpdate) this.takeUpdate(id, target as number, method, payload);
    else this.server.call(id, target as number, method, payload, options as CallOptionsIn);
  }
  private takeUpdate(id: number, target: number, method: string, payload: Uint8Array): void {
    const replica = this.replicas.get(target);
    const call: Running = { id, controller: new AbortController(), keep: false, isAnswered: false, streams: [] };
    const { value, violation } = this.decode(payload, "call", undefined, replica !== undefined);
    const stale = (): void => void (replica && this.makeStale(replica));
    if (id) {
      this.server.running.set(id, call);
      return this.server.run(call, () => {
        if (!replica) throw new NoSuchObject("no such cache");
        if (violation) throw violation;
        const [args, kwargs] = value as [unknown[], State];
        return replica.apply(method, args, kwargs);
      });
    }
    if (!replica) return;
    if (violation) return stale();
    try {
      const [args, kwargs] = value as [unknown[], State];
      const result = replica.apply(method, args, kwargs);
      if (result instanceof Promise) result.catch(stale);
    } catch (error) {
      stale();
    }
  }
  private makeStale(replica: Replica): void {
    if (replica.stale) return;
    replica.stale = true;
    if (replica.hold) this.releaseReplica(replica.hold);
    this.replicas.delete(replica.id);
    for (const listener of replica.listeners) listener("stale", []);
  }
  private takeAnswer(id: unknown, payload: Uint8Array, isError: boolean): void {
    const call = isId(id) ? this.calls.get(id) : undefined;
    if (!call) return violated("an answer to no call");
    const { value, violation } = this.decode(payload, isError ? "error" : "any", undefined, !call.isGivenUp);
    this.calls.delete(call.id);
    if (violation) call.reject(violation);
    else if (isError) call.reject(this.registry.errors.build(value as ErrorMap));
    else call.resolve(value);
    call.settled();
    this.startQueue();
    this.checkDrained();
  }
  private startQueue(): void {
    while (this.queue.length && this.calls.size < this.peer!.numbers.max_calls) this.queue.shift()!();
  }
  private takeRelease(pairs: number[]): void {
    if (pairs.length % 2) violated("RELEASE holds pairs");
    for (let i = 0; i < pairs.length; i += 2) {
      const entry = this.exports.get(pairs[i]);
      if (!entry || pairs[i + 1] > entry.count) return violated("RELEASE of more than is held");
      if ((entry.count -= pairs[i + 1]) > 0) continue;
      const isCache = entry.stop !== undefined;
      this.forget(entry);
      if (isCache) this.send([8, [entry.id]]);
    }
  }
  private takeGone(ids: number[]): void {
    for (const id of ids) {
      const one = this.imports.get(id);
      if (one) {
        one.gone = true;
        this.imports.delete(id);
      }
      const replica = this.replicas.get(id);
      if (replica) this.makeStale(replica);
    }
  }
  private takeItems(rec: Consumer, payload: Uint8Array): void {
    const { value, violation } = this.decode(payload, "items", undefined, !rec.stopped);
    if (violation) rec.credit--;
    else checkItems(value, rec);
    if (!rec.stopped) deliver(rec, value, payload.length, violation, () => this.stopStream(rec));
  }

  // --- the end

  private takeBye(code: unknown, text: unknown, last: unknown): void {
    if (!isId(code, 0) || typeof text !== "string" || !isId(last, 0)) return violated("BYE is [15, code, text, last]");
    if (this.byeReceived !== undefined && code < 2) return violated("a second BYE");
    this.byeReceived = code;
    if (code > 1) return this.end(new ConnectionLost(`the peer ended the connection: BYE ${code} ${text.slice(0, 200)}`), last);
    for (const call of [...this.calls.values()]) if (call.id > last && call.beforeBye) this.lostCall(call, new NotExecuted("the peer is leaving"));
    this.sendBye(0, "");
    this.refuseQueue();
    this.checkDrained();
  }
  private lostCall(call: Outgoing, error: Error): void {
    this.calls.delete(call.id);
    call.reject(error);
    call.settled();
  }
  private refuseQueue(): void {
    const { queue } = this;
    this.queue = [];
    for (const begin of queue) begin();
  }
  private sendBye(code: number, text: string): void {
    if (code < 2 && this.byeSent) return;
    try {
      this.send([15, code, text, this.started]);
    } catch {
      // the transport takes no more
    }
    this.byeSent = true;
  }
  /** Say goodbye, let what runs come to its end, and close; resolves when the connection has ended. */
  async close(drainSeconds = 30): Promise<void> {
    if (!this.isClosed && !this.byeSent) {
      this.sendBye(0, "");
      this.drainTimer = setTimeout(() => this.end(new ConnectionLost("the time to drain is over")), drainSeconds * 1000);
      this.refuseQueue();
      this.checkDrained();
    }
    await this.closed;
  }
  /** @internal */
  checkDrained(): void {
    if (this.isClosed || !this.byeSent || this.byeReceived === undefined) return;
    if (this.calls.size || this.server.running.size || this.producers.size || this.consumers.size) return;
    queueMicrotask(() => {
      if (!this.isClosed && !this.calls.size && !this.server.running.size) this.end(new ConnectionLost("the connection was closed"));
    });
  }
  /** End the connection with a BYE that aborts. */
  fail(error: ProtocolError): void {
    if (this.isClosed) return;
    this.sendBye(error.code, error.message.slice(0, 1000));
    this.end(error, undefined, error.code);
  }
  private lost(error: Error): void {
    this.end(error);
  }
  private end(error: Error, last?: number, code = 0): void {
    if (this.isClosed) return;
    this.isClosed = true;
    clearInterval(this.pinger);
    clearTimeout(this.drainTimer);
    this.transport.close(code);
    for (const call of [...this.calls.values()])
      this.lostCall(call, last !== undefined && call.id > last && call.beforeBye ? new NotExecuted(error.message) : new OutcomeUnknown(error.message));
    this.refuseQueue();
    this.server.end();
    for (const producer of this.producers.values()) producer.stop(new Cancelled("the connection ended"));
    for (const rec of this.consumers.values()) finish(rec, lostStream());
    for (const replica of [...this.replicas.values()]) this.makeStale(replica);
    for (const entry of [...this.exports.values()]) this.forget(entry);
    for (const one of this.imports.values()) one.released = true;
    this.open();
    this.lose(error);
  }
}
