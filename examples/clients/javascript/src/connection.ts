/** One connection: its messages, its two ends, and how it is left. Spec: 2-frames.md, 3-messages.md, registry.md. */
import { replicaOf } from "./caches.js";
import { Calls, keptOf, Outgoing, RemoteReference } from "./calls.js";
import { ConnectionLost, ErrorMap, Forbidden, malformed, NotSendable, printable, ProtocolError, raise, TooLarge,
  violated } from "./errors.js";
import { Exports } from "./exports.js";
import { Held, Imports } from "./imports.js";
import { Reader } from "./reader.js";
import { Registry } from "./registry.js";
import { OptionsIn, Server } from "./serving.js";
import type { Transport } from "./transports.js";
import { isMap, utf8 } from "./values.js";
import { pack, Refer, Writer } from "./writer.js";

export const [HELLO, CALL, ANSWER, ERROR, CANCEL, FINISH, RELEASE, OBSERVE] = [0, 1, 2, 3, 4, 5, 6, 7];
export const [GONE, PULL, ITEMS, END, STOP, PING, PONG, BYE] = [8, 9, 10, 11, 12, 13, 14, 15];
type Check = (x: any) => boolean;
const isText: Check = (x) => typeof x === "string";
const isInteger: Check = Number.isSafeInteger;
const isCount: Check = (x) => isInteger(x) && x >= 0;
const isId: Check = (x) => isCount(x) && x > 0;
const isBin: Check = (x) => x instanceof Uint8Array;
const isToken: Check = (x) => typeof x === "bigint" || isInteger(x) || (isText(x) && utf8(x).length <= 64);
const listOf = (check: Check, least = 1): Check => (x) => Array.isArray(x) && x.length >= least && x.every(check);
/** A map whose known keys are so; of others nothing is known. */
const keyed = (checks: Record<string, Check>): Check => (x) =>
  isMap(x) && Object.entries(checks).every(([key, check]) => !Object.hasOwn(x, key) || check(x[key]));
export const isOptions = keyed({
  keep: (x) => typeof x === "boolean", needs: listOf(isId, 0), ttl: isCount,
  trace: keyed({ traceparent: isText, tracestate: isText }), meta: (x) => isMap(x) && Object.values(x).every(isText),
});
type Message = [least: number, fields: Check[], take: (on: Connection, ...fields: any[]) => void];
/** By code: how many fields have to be there, what each is, and what is done with them. */
const MESSAGES: Record<number, Message> = {
  [CALL]: [4, [isCount, isInteger, isText, isBin, isOptions], (on, id, ...call) => on.takeCall(CALL, id, call)],
  [ANSWER]: [2, [isId, isBin], (on, id, payload) => on.calls.answer(id, payload, false)],
  [ERROR]: [2, [isId, isBin], (on, id, payload) => on.calls.answer(id, payload, true)],
  [CANCEL]: [1, [isId], (on, id) => (id > on.seen ? violated("CANCEL of no call") : on.server.cancel(id))],
  [FINISH]: [1, [listOf(isId)], (on, ids) => on.server.finish(ids)],
  [RELEASE]: [1, [listOf(isId)], (on, pairs) => on.exports.release(pairs)],
  [OBSERVE]: [4, [isCount, isId, isText, isBin, isOptions], (on, id, ...call) => on.takeCall(OBSERVE, id, call)],
  [GONE]: [1, [listOf(isCount)], (on, ids) => ids.forEach((id: number) => on.imports.kill(id, false))], // 0 is ignored
  [PULL]: [2, [isId, isId], (on, id, n) => on.exports.producer(id)?.grant(n)],
  [ITEMS]: [2, [isId, isBin], (on, id, payload) => on.imports.stream(id).items(payload)],
  [END]: [1, [isId, isBin], (on, id, payload) => on.imports.endStream(id, payload)],
  [STOP]: [1, [isId], (on, id) => on.exports.producer(id)?.stop()],
  [PING]: [1, [isToken], (on, token) => on.send([PONG, token])],
  [PONG]: [1, [isToken], () => undefined],
  [BYE]: [3, [isCount, isText, isCount], (on, code, text, last) => on.takeBye(code, text, last)],
};
/** key of HELLO: the least it can be, what its absence means, what we announce. */
const NUMBERS: Record<string, [number, number, number]> = {
  max_frame: [4096, 65536, 4194304], max_calls: [4, 16, 1024], max_refs: [0, 1024, 100000], max_depth: [4, 64, 64],
  max_exts: [256, 20480, 20480], max_containers: [4096, 131072, 131072], max_floodable_keys: [0, 4096, 4096],
  window: [0, 0, 16], max_streams: [0, 16, 256], idle: [0, 0, 0],
};
const numbers = <T>(of: (row: [number, number, number]) => T): Record<string, T> =>
  Object.fromEntries(Object.entries(NUMBERS).map(([key, row]) => [key, of(row)]));
export const OURS = numbers(([, , ours]) => ours);
const isInfo = keyed({
  agent: isText, features: listOf(isText, 0), auth: listOf(isText, 0), cb: listOf(isText, 0),
  ...numbers(([least]): Check => (x) => isCount(x) && x >= least),
});
/** What the peer said of itself. */
export interface Hello { auth?: string[]; cb?: string[]; features: Set<string>; numbers: Record<string, number> }
function readHello([code, magic, version, info, ...more]: any[]): Hello {
  if (code !== HELLO || magic !== "PB" || info === undefined || more.length) violated("the first frame is no HELLO");
  if (!Number.isSafeInteger(version) || !isInfo(info)) violated("HELLO is [0, 'PB', version, info]");
  if (version < 1) throw new ProtocolError(2, "a version is 1 or more");
  return { ...info, features: new Set(info.features), numbers: { ...numbers(([, absent]) => absent), ...info } };
}

export interface ConnectionOptions {
  root?: object; // what the peer may call
  registry?: Registry;
  log?: (ref: string, error: unknown) => void; // told of errors that the peer gets a reference for only
}
/** What is noted while a payload is encoded. `names`: results to come that it may name, and then does; `ends`: when the
 * time of the call is over that it answers. */
export class Encoding {
  back: (() => void)[] = []; // what is to be done if it is not sent,
  sent: (() => void)[] = []; // and when it is
  pins = new Set<Held>(); // references that it sends home
  holds = ""; // the cache or stream in it
  constructor(readonly names?: Set<Outgoing>, readonly ends?: number) {}
}
const AGENT = "perspective-broker-js/0.1", STUCK_BYTES = 16777216, STUCK_S = 30;

export class Connection {
  private lose!: (error: Error) => void;
  private open!: () => void;
  readonly registry: Registry;
  /** Resolves with the reason when the connection has ended. */
  readonly closed = new Promise<Error>((resolve) => (this.lose = resolve));
  /** Resolves when the peer's HELLO is there, or never will be. */
  readonly ready = new Promise<void>((resolve) => (this.open = resolve));
  readonly ownHello: Uint8Array;
  peerHello: Uint8Array | undefined;
  peer: Hello | undefined;
  isClosed = false;
  /** The peer's root. */
  readonly root = new RemoteReference(this, new Held(0));
  // What is below is for the other parts.
  readonly exports: Exports;
  readonly imports = new Imports(this);
  readonly calls = new Calls(this);
  readonly server = new Server(this);
  readonly log: (ref: string, error: unknown) => void;
  byeSent = false;
  hasTold = false; // whether an update was sent that wants no answer: when that has ended, nobody knows
  seen = 0; // the highest id of the peer's calls
  private started = 0; // the highest one that was begun
  private byeReceived = false;
  private isFlushing = false;
  private waits = 0; // how many bytes were not taken when it was looked at last,
  private stuckFor = 0; // and for how many seconds none was
  private looking: ReturnType<typeof setInterval> | undefined;
  private readonly timers: ReturnType<typeof setTimeout>[] = [];
  constructor(readonly transport: Transport, options: ConnectionOptions = {}) {
    this.registry = options.registry ?? new Registry();
    this.log = options.log ?? ((ref, error) => console.error(`pb: internal error ${ref}:`, error));
    this.exports = new Exports(this, options.root);
    this.ownHello = pack([HELLO, "PB", 1, { agent: AGENT, features: ["cache", "pipeline", "stream"], ...OURS }]);
    const lost = (): void => this.end(new ConnectionLost(`the connection was lost${this.peer ? "" : " before HELLO"}`));
    transport.start({ body: (body) => this.receive(body), fault: (error) => this.fail(error), lost });
    transport.send(this.ownHello);
    this.timers.push(setTimeout(() => this.fail(new ProtocolError(7, "no HELLO came within 10 s")), 10_000)); // PB-L8
  }
  /** Take an object away from the peer: calls on it are answered with pb.Gone, replicas become stale. */
  revoke(object: object): void {
    this.calls.startPiped();
    this.exports.revoke(object);
  }
  /** Whether no new call can be made: it would serve none of the peer's (PB-F31). */
  get isEnding(): boolean { return this.isClosed || ((this.byeSent || this.byeReceived) && !this.server.running.size); }
  private get awaitsNothing(): boolean {
    return !(this.calls.open.size || this.exports.producers.size || this.imports.streams.size);
  }
  /** Whether a new call of the peer can serve nothing any more, and so is refused (PB-F47). */
  get servesNothing(): boolean { return this.byeReceived && !this.hasTold && this.awaitsNothing; }
  send(envelope: unknown[]): void {
    if (this.isClosed) return;
    const body = pack(envelope);
    const most = this.peer?.numbers.max_frame ?? 4096;
    if (body.length > most) throw new TooLarge(`max_frame of the peer is ${most}, found ${body.length}`);
    this.look(0);
    this.transport.send(body);
    this.waits = this.transport.buffered();
    if (this.waits > STUCK_BYTES) this.fail(new ProtocolError(6, "the peer does not read"));
    else if (this.waits) this.looking ??= setInterval(() => this.look(1), 1000);
  }
  /** See whether some of what waits was taken since it was looked at last, that many seconds ago (PB-F26, PB-L8). */
  private look(seconds: number): void {
    const waits = this.transport.buffered();
    this.stuckFor = waits && waits >= this.waits ? this.stuckFor + seconds : 0;
    this.waits = waits;
    if (seconds && !waits) this.looking = clearInterval(this.looking) as undefined;
    if (this.stuckFor >= STUCK_S) this.fail(new ProtocolError(6, `the peer has taken nothing for ${STUCK_S} s`));
  }
  /** Encode a payload and queue its frame in one step; what it counted is undone if that fails. */
  encode(value: unknown, send: (bytes: Uint8Array) => void, encoding = new Encoding()): void {
    this.calls.startPiped(); // which were made before this
    const { max_depth: depth, max_exts: exts, max_containers: containers } = this.peer!.numbers;
    const refer: Refer = (object) => this.refer(object, encoding);
    const describe = (error: unknown): ErrorMap => this.registry.describeError(error, this.log);
    try {
      send(new Writer(refer, describe, this.registry, { depth, exts, containers }).payload(value));
    } catch (error) {
      for (const undo of encoding.back.reverse()) undo();
      throw error;
    }
    for (const one of encoding.sent) one();
  }
  /** Send an error; where it cannot be sent, why that is. Returns what was told. */
  sendError(code: number, id: number, error: unknown): ErrorMap {
    const map = this.registry.describeError(error, this.log);
    try {
      if (id) this.encode(map, (bytes) => this.send([code, id, bytes]));
      return map;
    } catch (failure) { return this.sendError(code, id, failure); }
  }
  /** What is given back or finished goes out together, when this job is done. */
  flushLater(): void {
    if (this.isFlushing) return;
    this.isFlushing = true;
    queueMicrotask(() => {
      this.isFlushing = false;
      const finished = this.calls.takeFinished(), owed = [...this.imports.owed].flat();
      this.imports.owed.clear();
      for (const [code, ids] of [[FINISH, finished], [RELEASE, owed]] as const)
        for (let i = 0; i < ids.length; i += 400) this.send([code, ids.slice(i, i + 400)]); // PB-F48
    });
  }
  /** How an object is sent as a reference, if it is. */
  private refer(object: object, encoding: Encoding): ReturnType<Refer> {
    const kept = keptOf(object), replica = replicaOf(object);
    if (!kept && !replica && !(object instanceof RemoteReference)) return this.exports.refer(object, encoding);
    return () => {
      const { connection } = kept ?? replica ?? (object as RemoteReference);
      if (connection !== this) throw new Forbidden("what came over another connection is not passed on");
      if (kept && !(encoding.names && kept.canBeNamed)) throw new NotSendable("a result to come is an argument only");
      if (kept) encoding.names!.add(kept);
      if (kept) return [3, kept.id];
      if (replica) return replica.isStale ? raise(new NotSendable("a stale replica")) : [2, replica.id];
      const { held } = object as RemoteReference;
      held.check();
      encoding.pins.add(held);
      return [2, held.id];
    };
  }
  private receive(body: Uint8Array): void {
    if (this.isClosed) return;
    try {
      if (body.length < 1 || body.length > (this.peer ? OURS.max_frame : 4096)) throw malformed("bad frame size", 5);
      const bounds = { depth: 8, exts: 0, containers: 65536, floodable: 0 };
      const found = new Reader(body, undefined, undefined, bounds).envelope();
      if (!Array.isArray(found) || !found.length) throw malformed("a frame that is no envelope");
      if (!this.peer) return this.greet(found, body);
      const envelopes = Array.isArray(found[0]) ? found : [found];
      if (envelopes.length > 1024) throw malformed("a batch of more than 1024", 5);
      for (const envelope of envelopes) if (!this.isClosed) this.take(envelope);
    } catch (error) {
      this.fail(error instanceof ProtocolError ? error : new ProtocolError(9, "internal error"));
      if (!(error instanceof ProtocolError)) this.log("-", error);
    }
  }
  private greet(envelope: unknown[], body: Uint8Array): void {
    this.peer = readHello(envelope);
    this.peerHello = body.slice();
    clearTimeout(this.timers[0]);
    const { idle } = this.peer.numbers;
    if (idle) this.timers.push(setInterval(() => this.send([PING, 0]), Math.min(idle * 333, 2 ** 31 - 1)));
    this.open();
    this.calls.startQueue();
  }
  /** Refuse what is no message that may come after HELLO (PB-F8), or do what it says. */
  private take(envelope: unknown): void {
    const [code, ...found] = Array.isArray(envelope) ? envelope : violated("a batch holds envelopes");
    const [least, fields, take] = (typeof code === "number" && MESSAGES[code]) || violated("no message code");
    const isFit = found.length >= least && found.length <= fields.length && found.every((field, i) => fields[i](field));
    if (!isFit) violated("a message of no known form");
    take(this, ...found);
  }
  takeCall(code: number, id: number, [target, method, payload, options = {}]: any[]): void {
    if (id && id <= this.seen) violated("an id that is not above all earlier ones");
    this.seen = id || this.seen;
    if (this.byeSent && !this.byeReceived && (code === CALL || id)) return; // LEAVING
    this.started = id || this.started;
    if (code === CALL) this.server.call(id, target, method, payload, options as OptionsIn);
    else this.server.update(id, target, method, payload, options as OptionsIn);
  }
  takeBye(code: number, text: string, last: number): void {
    if (this.byeReceived && code < 2) return; // PB-F27
    this.byeReceived = true;
    this.calls.notRun(last);
    const shown = printable(text.slice(0, 200));
    if (code > 1) this.end(new ConnectionLost(`the peer ended the connection: BYE ${code} ${shown}`));
    else this.drain(30);
  }
  /** Say goodbye, let what runs come to its end, and close; resolves when the connection has ended. */
  async close(drainSeconds = 30): Promise<void> {
    if (!this.isClosed && !this.byeSent) this.drain(drainSeconds);
    await this.closed;
  }
  private drain(seconds: number): void {
    this.calls.startPiped();
    if (!this.byeSent) this.sendBye(0, "");
    this.timers.push(setTimeout(() => this.end(new ConnectionLost("the time to drain is over")), seconds * 1000));
    this.calls.startQueue();
    this.checkDrained();
  }
  /** End it where both have said goodbye, and everything is answered. */
  checkDrained(): void {
    const isDone = (): boolean => this.byeSent && this.byeReceived && !this.server.running.size && this.awaitsNothing;
    if (isDone()) queueMicrotask(() => isDone() && this.end(new ConnectionLost("the connection was closed")));
  }
  /** End the connection with a BYE that aborts. */
  fail(error: ProtocolError): void {
    if (this.isClosed) return;
    this.sendBye(error.code, error.message.slice(0, 1000));
    this.end(error, error.code);
  }
  private sendBye(code: number, text: string): void {
    this.byeSent = true;
    try {
      this.transport.send(pack([BYE, code, text, this.started]));
    } catch { /* the transport takes no more, and will say so */ }
  }
  private end(error: Error, code = 0): void {
    if (this.isClosed) return;
    this.isClosed = true;
    for (const timer of [...this.timers, this.looking]) clearTimeout(timer); // which ends an interval, too
    this.transport.close(code);
    this.calls.end(error.message);
    this.server.end();
    this.exports.end();
    this.imports.end();
    this.open();
    this.lose(error);
  }
}
