/** One connection: its two ends, frames and batches, and how it is left. Spec: 2-frames.md. */
import { replicaOf } from "./caches.js";
import { Calls } from "./calls.js";
import {
  Busy, Cancelled, ConnectionLost, ErrorMap, Forbidden, Gone, malformed, NoSuchObject, NotExecuted, NotSendable,
  ProtocolError, TooLarge,
} from "./errors.js";
import { Exports } from "./exports.js";
import { Imports } from "./imports.js";
import * as messages from "./messages.js";
import { checkMessage, Hello, hello, OURS, readHello, violated } from "./messages.js";
import { Reader } from "./reader.js";
import { Import, Kept, keptOf, RemoteReference } from "./references.js";
import { Registry } from "./registry.js";
import { CallOptionsIn, Server } from "./serving.js";
import type { Transport } from "./transports.js";
import { pack, Sender, Writer } from "./writer.js";

export interface ConnectionOptions {
  /** What the peer may call as our root. */
  root?: object;
  registry?: Registry;
  /** Told of errors whose details the peer does not get, with the reference that it got. */
  log?: (ref: string, error: unknown) => void;
  agent?: string;
}
/** What is noted while a payload is encoded. */
export interface Encoding {
  /** What is to be done if it is not sent, and when it is. */
  steps: { back: () => void; commit?: () => void }[];
  /** Results to come that it names, and references that it sends home: of calls only. */
  names?: Set<Kept>;
  pins?: Set<Import>;
  /** A cache or stream is in it. */
  holds?: string;
  /** When the time of the call is over that it answers. */
  ends?: number;
}
const CLOGGED = 262144, STUCK = 16777216;

export class Connection {
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
  /** @internal */ readonly exports: Exports;
  /** @internal */ readonly imports = new Imports(this);
  /** @internal */ readonly calls = new Calls(this);
  /** @internal */ readonly server = new Server(this);
  /** @internal */ readonly log: (ref: string, error: unknown) => void;
  /** @internal */ byeSent = false;
  /** @internal Whether anything was sent that wants no answer: when that has ended, nobody knows. */
  hasTold = false;
  private byeReceived = false;
  private isFlushing = false;
  private seen = 0; // the highest id of the peer's calls
  private started = 0; // the highest one that was begun
  private pinger: ReturnType<typeof setInterval> | undefined;
  private drainTimer: ReturnType<typeof setTimeout> | undefined;
  private lose!: (error: Error) => void;
  private open!: () => void;

  constructor(readonly transport: Transport, options: ConnectionOptions = {}) {
    this.registry = options.registry ?? new Registry();
    this.log = options.log ?? ((ref, error) => console.error(`pb: internal error ${ref}:`, error));
    this.closed = new Promise((resolve) => (this.lose = resolve));
    this.ready = new Promise((resolve) => (this.open = resolve));
    this.exports = new Exports(this, options.root);
    const entry: Import = { id: 0, count: 0, pins: 0, gone: false, released: false, handle: undefined! };
    this.root = new RemoteReference(this, entry);
    entry.handle = new WeakRef(this.root);
    this.ownHello = pack(hello(options.agent ?? "perspective-broker-js/0.1"));
    transport.start({
      body: (body) => this.receive(body),
      fault: (error) => this.fail(error),
      lost: () => this.end(new ConnectionLost("the connection was lost")),
    });
    transport.send(this.ownHello);
  }

  /** How many objects the peer holds; of the root nothing is counted. */
  get referencesGiven(): number {
    return [...this.exports.byId.keys()].filter((id) => id > 0).length;
  }
  /** Take an object away from the peer: calls on it are answered with pb.Gone, replicas become stale. */
  revoke(object: object): void {
    this.exports.revoke(object);
  }
  /** Whether more output waits than should. */
  get isClogged(): boolean {
    return this.transport.buffered() > CLOGGED;
  }
  /** @internal Whether a new call of the peer can serve nothing any more, and so is refused (PB-F47). */
  get isOver(): boolean {
    const { calls, exports: { producers }, imports: { consumers } } = this;
    return this.byeReceived && !(this.hasTold || calls.size || producers.size || consumers.size);
  }
  /** Whether either side has said BYE. */
  get isLeaving(): boolean {
    return this.byeSent || this.byeReceived;
  }

  // --- sending

  /** @internal */
  send(envelope: unknown[]): void {
    if (this.isClosed) return;
    const body = pack(envelope);
    const most = this.peer?.numbers.max_frame ?? 4096;
    if (body.length > most) throw new TooLarge(`max_frame of the peer is ${most}, found ${body.length}`);
    this.transport.send(body);
    if (this.transport.buffered() > STUCK) this.fail(new ProtocolError(6, "the peer does not read"));
  }
  /** @internal Encode a payload and queue its frame in one step; what it counted is undone if that fails. */
  encode(value: unknown, send: (bytes: Uint8Array) => void, encoding: Encoding = { steps: [] }): void {
    const back = (): void => encoding.steps.splice(0).reverse().forEach((step) => step.back());
    const { max_depth: depth = 4, max_exts: exts = 0 } = this.peer?.numbers ?? {};
    const sender: Sender = {
      reference: (object) => this.reference(object, encoding),
      describe: (error) => this.describe(error),
    };
    try {
      send(new Writer(sender, this.registry, { depth, exts }, back).payload(value));
    } catch (error) {
      back();
      throw error;
    }
    for (const step of encoding.steps) step.commit?.();
  }
  private describe(error: unknown): ErrorMap {
    return this.registry.errors.tell(error, this.log);
  }
  /** @internal Send an error; where it cannot be sent, why that is. Returns what was told. */
  sendError(code: number, id: number, error: unknown): ErrorMap {
    const map = this.describe(error);
    if (id === 0) return map;
    try {
      this.encode(map, (bytes) => this.send([code, id, bytes]));
      return map;
    } catch (failure) {
      const other = this.describe(failure);
      this.encode(other, (bytes) => this.send([code, id, bytes]));
      return other;
    }
  }
  /** @internal What is given back or finished goes out together, when this job is done. */
  flushLater(): void {
    if (this.isFlushing) return;
    this.isFlushing = true;
    queueMicrotask(() => {
      this.isFlushing = false;
      const finished = this.calls.takeFinished(), released = this.imports.takeReleased();
      for (const [code, ids] of [[messages.FINISH, finished], [messages.RELEASE, released]] as const)
        for (let i = 0; i < ids.length; i += 400) this.send([code, ids.slice(i, i + 400)]); // PB-F48
    });
  }
  private reference(object: object, encoding: Encoding): ReturnType<Sender["reference"]> {
    const kept = keptOf(object);
    const replica = replicaOf(object);
    if (object instanceof RemoteReference) {
      if (object.connection !== this)
        throw new Forbidden("a reference of another connection is not passed on");
      if (object.entry.gone) throw new Gone("the object was revoked");
      if (object.entry.released) throw new NotExecuted("the reference was released");
      encoding.pins?.add(object.entry);
      return [2, object.entry.id];
    }
    if (kept) {
      if (!encoding.names || !kept.id) throw new NotSendable("a result to come can be an argument only");
      encoding.names.add(kept);
      return [3, kept.id];
    }
    if (replica) {
      if (replica.owner !== this) throw new Forbidden("a replica of another connection");
      if (replica.stale) throw new NotSendable("a stale replica");
      return [2, replica.id];
    }
    return this.exports.ext(object, encoding);
  }

  // --- receiving

  private receive(body: Uint8Array): void {
    if (this.isClosed) return;
    try {
      if (body.length === 0 || body.length > (this.peer ? OURS.max_frame : 4096))
        throw malformed("a frame of that length", 5);
      const found = new Reader(body, undefined, undefined, { depth: 8, exts: 0, floodable: 0 }).envelope();
      if (!Array.isArray(found) || !found.length) throw malformed("a frame that is no envelope");
      if (!this.peer) return this.greet(found, body);
      if (!Array.isArray(found[0])) return this.take(found);
      if (found.length > 1024) throw malformed("a batch of more than 1024", 5);
      for (const one of found) {
        if (this.isClosed) return;
        if (!Array.isArray(one)) violated("a batch holds envelopes");
        this.take(one as unknown[]);
      }
    } catch (error) {
      this.fail(error instanceof ProtocolError ? error : new ProtocolError(9, "internal error"));
      if (!(error instanceof ProtocolError)) this.log("-", error);
    }
  }
  private greet(envelope: unknown[], body: Uint8Array): void {
    this.peer = readHello(envelope);
    this.peerHello = body.slice();
    const { idle } = this.peer.numbers;
    const ping = (): void => this.send([messages.PING, 0]);
    if (idle) this.pinger = setInterval(ping, Math.min((idle * 1000) / 3, 2 ** 31 - 1));
    (this.pinger as { unref?: () => void } | undefined)?.unref?.();
    this.open();
    this.calls.startQueue();
  }
  private take(envelope: any[]): void {
    checkMessage(envelope);
    const [code, a, b, c, d, options = {}] = envelope;
    switch (code) {
      case messages.CALL: case messages.OBSERVE:
        return this.takeCall(code === messages.OBSERVE, a, b, c, d, options);
      case messages.ANSWER: case messages.ERROR: return this.takeAnswer(a, b, code === messages.ERROR);
      case messages.CANCEL: return a > this.seen ? violated("CANCEL of no call") : this.server.cancel(a);
      case messages.FINISH: return this.server.finish(a);
      case messages.RELEASE: return this.exports.release(a);
      case messages.GONE: return this.imports.gone(a);
      case messages.PULL: return this.exports.producer(a)?.grant(b);
      case messages.STOP: return this.exports.producer(a)?.stop();
      case messages.ITEMS: return this.takeItems(a, b);
      case messages.END: return this.takeEnd(a, b);
      case messages.PING: return this.send([messages.PONG, a]);
      case messages.BYE: return this.takeBye(a, b, c);
    }
  }
  private takeCall(isUpdate: boolean, id: number, target: number, method: string, payload: Uint8Array,
    options: CallOptionsIn): void {
    if (id && id <= this.seen) violated("an id that is not above all earlier ones");
    if (id) this.seen = id;
    if (this.byeSent && !this.byeReceived && (!isUpdate || id)) return; // LEAVING
    if (id) this.started = id;
    if (!isUpdate) return this.server.call(id, target, method, payload, options);
    const replica = this.imports.replica(target);
    const { value, violation } = this.imports.decode(payload, "call", undefined, replica !== undefined);
    const apply = (): unknown => {
      if (!replica) throw new NoSuchObject("no such cache");
      if (violation) throw violation;
      if (id && this.isOver) throw new Busy("both sides have said BYE");
      return replica.apply(method, value[0], value[1]);
    };
    if (id) return this.server.update(id, apply);
    if (!replica) return;
    const stale = (): void => this.imports.makeStale(replica);
    try {
      const result = apply();
      if (result instanceof Promise) result.catch(stale);
    } catch {
      stale();
    }
  }
  private takeAnswer(id: number, payload: Uint8Array, isError: boolean): void {
    const call = this.calls.get(id) ?? violated("an answer to no call");
    const shape = isError ? "error" : "any";
    const { value, violation } = this.imports.decode(payload, shape, undefined, !call.isGivenUp);
    // Not made where `call` is within reach: an error keeps alive what the functions on its stack can reach.
    const error = violation ?? (isError ? this.registry.errors.build(value) : undefined);
    this.calls.settle(call, error, value);
    this.calls.startQueue();
    this.checkDrained();
  }
  private takeItems(id: number, payload: Uint8Array): void {
    const consumer = this.imports.consumers.get(id) ?? violated("ITEMS for what is no stream");
    const { value, violation } = this.imports.decode(payload, "items", undefined, !consumer.stopped);
    if (violation) return consumer.fail(violation);
    if (!consumer.deliver(value, payload.length)) throw new ProtocolError(6, "more items than credit");
  }
  private takeEnd(id: number, payload: Uint8Array | undefined): void {
    const consumer = this.imports.consumers.get(id) ?? violated("END of what is no stream");
    const found = payload && this.imports.decode(payload, "error");
    this.imports.consumers.delete(id);
    consumer.finish(found && (found.violation ?? this.registry.errors.build(found.value)));
    this.checkDrained();
  }

  // --- the end

  private takeBye(code: number, text: string, last: number): void {
    if (this.byeReceived && code < 2) violated("a second BYE");
    this.byeReceived = true;
    this.calls.notRun(last, "the peer is leaving");
    if (code > 1)
      return this.end(new ConnectionLost(`the peer ended the connection: BYE ${code} ${text.slice(0, 200)}`));
    this.sendBye(0, "");
    this.calls.startQueue(!this.server.running.size);
    this.checkDrained();
  }
  private sendBye(code: number, text: string): void {
    if (code < 2 && this.byeSent) return;
    try {
      this.send([messages.BYE, code, text, this.started]);
    } catch {
      // the transport takes no more
    }
    this.byeSent = true;
  }
  /** Say goodbye, let what runs come to its end, and close; resolves when the connection has ended. */
  async close(drainSeconds = 30): Promise<void> {
    if (!this.isClosed && !this.byeSent) {
      this.sendBye(0, "");
      const isLate = (): void => this.end(new ConnectionLost("the time to drain is over"));
      this.drainTimer = setTimeout(isLate, drainSeconds * 1000);
      this.calls.startQueue(!this.server.running.size);
      this.checkDrained();
    }
    await this.closed;
  }
  /** @internal */
  checkDrained(): void {
    const { calls, server: { running }, exports: { producers }, imports: { consumers } } = this;
    const isBusy = (): number => calls.size || running.size || producers.size || consumers.size;
    if (this.isClosed || !this.byeSent || !this.byeReceived || isBusy()) return;
    queueMicrotask(() => isBusy() || this.end(new ConnectionLost("the connection was closed")));
  }
  /** End the connection with a BYE that aborts. */
  fail(error: ProtocolError): void {
    if (this.isClosed) return;
    this.sendBye(error.code, error.message.slice(0, 1000));
    this.end(error, error.code);
  }
  private end(error: ConnectionLost, code = 0): void {
    if (this.isClosed) return;
    this.isClosed = true;
    clearInterval(this.pinger);
    clearTimeout(this.drainTimer);
    this.transport.close(code);
    this.calls.end(error);
    this.server.end();
    this.exports.end(new Cancelled("the connection ended"));
    this.imports.end();
    this.open();
    this.lose(error);
  }
}
