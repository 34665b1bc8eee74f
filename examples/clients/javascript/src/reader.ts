/** Reading payloads and envelopes. @msgpack/msgpack cannot tell 1.0 from 1, takes bad UTF-8, and reads the inside of an Ext
 * too late for CACHE and too deep for a limit; so the reading is done here. Spec: 1-values.md, 7.2. */
import { BadPayload, checkErrorMap, ErrorMap, malformed, PbError, TooLarge, Unregistered, Unsupported } from "./errors.js";
import { assign, Civil, Decimal, Duration, Entry, FrozenSet, isMap, Opaque, Registry, State, Tuple, Uuid } from "./values.js";

/** What the references in a payload become. All but `home` and `answer` count, also behind a violation. */
export interface Tables {
  ref(id: number, meta?: State): unknown;
  home(id: number): unknown;
  answer(q: number): unknown;
  stream(id: number): unknown;
  cache(id: number, entry: Entry | undefined): { value: unknown; fill(state: unknown): void };
  cached(id: number): unknown;
}
export interface ReadLimits {
  depth: number;
  exts: number;
  floodable: number;
}
export const READ_LIMITS: ReadLimits = { depth: 64, exts: 20480, floodable: 4096 };
/** A float where only integers are expected: in envelopes. */
export class Float {}
class Hole {
  constructor(readonly part: number) {}
}
const utf8 = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true });
const MAX_ID = Number.MAX_SAFE_INTEGER;

export class Reader {
  /** The first violation: why the payload, though well-formed, is refused. */
  violation: PbError | undefined;
  private at = 0;
  private view: DataView;
  private native = 0; // of the value read last, see 1.4
  private weight = 0;
  private nesting = 0;
  private exts = 0;
  private floodable = 0;
  private keyed = 0; // how many keys and members are around this place
  private parts: unknown[] | undefined;
  private partCount = 0;
  private depths: number[] = [];
  private holes: { on: any; key: string | number; part: number }[] = [];
  private fills: (() => void)[] = [];

  constructor(private readonly bytes: Uint8Array, private readonly tables?: Tables, private readonly registry = new Registry(),
    private readonly limits = READ_LIMITS) {
    this.view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  }

  /** Return the value of a payload; undefined with `violation` set if it is refused. Throws ProtocolError if malformed. */
  payload(): unknown {
    const end = this.bytes.length;
    const [type, size] = this.peekExt(end);
    let value: unknown;
    if (type === 20) {
      value = this.graph(end - size, end);
    } else {
      value = this.value(end, false);
      this.checkDepth();
    }
    if (this.at !== end) throw malformed("bytes behind the payload");
    return this.violation ? undefined : value;
  }

  /** Return the value of an envelope or a batch: without Ext, at most 8 deep. */
  envelope(): unknown {
    const value = this.value(this.bytes.length, false);
    if (this.at !== this.bytes.length) throw malformed("bytes behind the envelope");
    return value;
  }

  private refuse(error: PbError): undefined {
    this.violation ??= error;
    return undefined;
  }
  private attempt(what: () => unknown): unknown {
    try {
      return what();
    } catch (error) {
      if (!(error instanceof PbError) || error.type === "pb.ProtocolError") throw error;
      return this.refuse(error);
    }
  }
  private checkDepth(): void {
    if (this.native + this.weight > this.limits.depth) throw malformed(`deeper than max_depth ${this.limits.depth}`, 5);
  }
  private leave(native: number, weight: number): void {
    this.native = native;
    this.weight = weight;
  }
  private enter(): void {
    if (++this.nesting > this.limits.depth) throw malformed(`deeper than max_depth ${this.limits.depth}`, 5);
  }
  private take(n: number, end: number): number {
    if (n > end - this.at) throw malformed("the data end too early");
    this.at += n;
    return this.at - n;
  }
  private uint(width: number, end: number): number {
    const at = this.take(width, end);
    return width === 1 ? this.view.getUint8(at) : width === 2 ? this.view.getUint16(at) : this.view.getUint32(at);
  }
  private text(size: number, end: number): string {
    const at = this.take(size, end);
    try {
      return utf8.decode(this.bytes.subarray(at, at + size));
    } catch {
      throw malformed("text that is no UTF-8");
    }
  }
  private peekExt(end: number): [number | undefined, number] {
    if (this.at >= end) return [undefined, 0];
    const code = this.bytes[this.at];
    const fixed = code >= 0xd4 && code <= 0xd8;
    if (!fixed && (code < 0xc7 || code > 0xc9)) return [undefined, 0];
    const start = this.at++;
    const size = fixed ? 1 << (code - 0xd4) : this.uint(1 << (code - 0xc7), end);
    const type = this.view.getInt8(this.take(1, end));
    if (type !== 20) this.at = start;
    else if (size !== end - this.at) throw malformed("GRAPH of another length");
    return [type, size];
  }

  private value(end: number, canHole: boolean): any {
    this.leave(0, 0);
    const code = this.view.getUint8(this.take(1, end));
    if (code < 0x80) return code;
    if (code < 0x90) return this.map(code & 15, end);
    if (code < 0xa0) return this.array(code & 15, end, true);
    if (code < 0xc0) return this.text(code & 31, end);
    if (code >= 0xe0) return code - 256;
    switch (code) {
      case 0xc0: return null;
      case 0xc2: return false;
      case 0xc3: return true;
      case 0xc4: case 0xc5: case 0xc6: {
        const size = this.uint(1 << (code - 0xc4), end);
        const at = this.take(size, end);
        return this.bytes.slice(at, at + size);
      }
      case 0xca: case 0xcb: {
        const at = this.take(code === 0xca ? 4 : 8, end);
        return this.tables ? (code === 0xca ? this.view.getFloat32(at) : this.view.getFloat64(at)) : new Float();
      }
      case 0xcc: case 0xcd: case 0xce: return this.uint(1 << (code - 0xcc), end);
      case 0xcf: return shrink(this.view.getBigUint64(this.take(8, end)));
      case 0xd0: return this.view.getInt8(this.take(1, end));
      case 0xd1: return this.view.getInt16(this.take(2, end));
      case 0xd2: return this.view.getInt32(this.take(4, end));
      case 0xd3: return shrink(this.view.getBigInt64(this.take(8, end)));
      case 0xd9: case 0xda: case 0xdb: return this.text(this.uint(1 << (code - 0xd9), end), end);
      case 0xdc: case 0xdd: return this.array(this.uint(code === 0xdc ? 2 : 4, end), end, true);
      case 0xde: case 0xdf: return this.map(this.uint(code === 0xde ? 2 : 4, end), end);
      case 0xc7: case 0xc8: case 0xc9: case 0xd4: case 0xd5: case 0xd6: case 0xd7: case 0xd8: {
        const size = code >= 0xd4 ? 1 << (code - 0xd4) : this.uint(1 << (code - 0xc7), end);
        const type = this.view.getInt8(this.take(1, end));
        if (size > end - this.at) throw malformed("an Ext ends too early");
        return this.ext(type, this.at + size, canHole);
      }
      default: throw malformed("c1 is no msgpack");
    }
  }

  private array(count: number, end: number, canHole: boolean, into: any[] = []): any[] {
    if (count > end - this.at) throw malformed("an array of more elements than there are bytes");
    this.enter();
    let native = 0, weight = 0;
    for (let i = 0; i < count; i++) {
      const one = this.value(end, canHole);
      if (one instanceof Hole) this.holes.push({ on: into, key: i, part: one.part });
      into.push(one);
      native = Math.max(native, this.native);
      weight = Math.max(weight, this.weight);
    }
    this.nesting--;
    this.leave(native + 1, weight);
    return into;
  }

  private map(count: number, end: number): State {
    if (count * 2 > end - this.at) throw malformed("a map of more pairs than there are bytes");
    this.enter();
    const into: State = {};
    let native = 0, weight = 0;
    for (let i = 0; i < count; i++) {
      const code = this.bytes[this.at];
      if (!((code >= 0xa0 && code < 0xc0) || (code >= 0xd9 && code <= 0xdb))) throw malformed("a key of a map that is no text");
      const key = this.value(end, false) as string;
      const one = this.value(end, true);
      if (one instanceof Hole) this.holes.push({ on: into, key, part: one.part });
      if (key === "__proto__") assign(into, { ["__proto__"]: one });
      else into[key] = one;
      native = Math.max(native, this.native);
      weight = Math.max(weight, this.weight);
    }
    this.nesting--;
    this.leave(native + 1, weight);
    return into;
  }

  /** The array that is the data of an Ext, and leave its weight. */
  private inner(end: number, into: any[] = []): any[] {
    const count = this.header(end);
    return this.around(end, () => this.array(count, end, false, into));
  }
  private around<T>(end: number, read: () => T): T {
    this.enter();
    const found = read();
    if (this.at !== end) throw malformed("bytes behind the data of an Ext");
    this.nesting--;
    this.leave(0, 1 + this.native + this.weight);
    return found;
  }
  private header(end: number): number {
    const code = this.uint(1, end);
    if (code >= 0x90 && code < 0xa0) return code & 15;
    if (code === 0xdc || code === 0xdd) return this.uint(code === 0xdc ? 2 : 4, end);
    throw malformed("the data of an Ext are no array");
  }
  /** Whether an integer stands here, for a float with the value of an id is none. */
  private isInt(behind = 0): boolean {
    const code = this.bytes[this.at + behind];
    return code < 0x80 || (code >= 0xcc && code <= 0xcf);
  }
  private id(end: number, least = 1): number {
    const size = end - this.at;
    const found = size === 8 ? this.view.getBigUint64(this.take(8, end)) : [1, 2, 4].includes(size) ? this.uint(size, end) : -1;
    return checkId(found, least);
  }

  private ext(type: number, end: number, canHole: boolean): unknown {
    if (!this.tables) throw malformed("an Ext in an envelope");
    const { tables } = this;
    if (type !== -1 && ++this.exts > this.limits.exts) throw malformed(`more Exts than max_exts ${this.limits.exts}`, 5);
    this.leave(0, 1);
    const size = end - this.at;
    switch (type) {
      case -1: return this.timestamp(size, end);
      case 1: return tables.ref(this.id(end));
      case 2: { const id = this.id(end, 0); return this.attempt(() => tables.home(id)); }
      case 3: { const q = this.id(end); return this.attempt(() => tables.answer(q)); }
      case 4: {
        const isInt = this.isInt(1);
        const { length, 0: id, 1: meta } = this.inner(end);
        checkId(isInt ? id : -1, 1);
        if (!isMap(meta) || length !== 2) throw malformed("REFX is [id, meta]");
        return tables.ref(id, meta);
      }
      case 5: { const id = this.id(end); return this.attempt(() => tables.stream(id)); }
      case 8: return this.copy(end);
      case 9: return this.cache(end);
      case 10: { const id = this.id(end); return this.attempt(() => tables.cached(id)); }
      case 11: return this.error(end);
      case 12: return new Opaque(this.text(size, end));
      case 16: return this.inner(end, new Tuple());
      case 17: case 18: return this.set(end, type === 17 ? new Set() : new FrozenSet());
      case 19: return this.pairs(end);
      case 20: throw malformed("GRAPH that is not the root");
      case 21: return this.node(this.id(end, 0), canHole);
      case 24: return this.bigint(size, end);
      case 25: {
        const text = this.ascii(size, end);
        if (!Decimal.form.test(text)) throw malformed("no decimal");
        const [digits, exponent] = text.split("E");
        const adjusted = Math.abs(Number(exponent ?? 0) + digits.replace(/^-/, "").split(".")[0].length - 1);
        if (size > 4100 || adjusted > 6144) return this.refuse(new TooLarge("DECIMAL: at most 4096 digits, exponents to 6144"));
        return new Decimal(text);
      }
      case 26: {
        const text = this.ascii(size, end);
        if (!Civil.isValid(text)) throw malformed("no date or time");
        return new Civil(text);
      }
      case 27: {
        if (size !== 12) throw malformed("DURATION has 12 bytes");
        const ns = this.uint(4, end);
        if (ns >= 1e9) throw malformed("DURATION with too many ns");
        return new Duration(this.view.getBigInt64(this.take(8, end)), ns);
      }
      case 28: {
        if (size !== 16) throw malformed("UUID has 16 bytes");
        const hex = Array.from(this.bytes.subarray(this.take(16, end), this.at), (b) => b.toString(16).padStart(2, "0")).join("");
        return new Uuid(hex.replace(/^(.{8})(.{4})(.{4})(.{4})/, "$1-$2-$3-$4-"));
      }
      default:
        this.take(size, end);
        return this.refuse(new BadPayload(`ext ${type} is not known`));
    }
  }
  private ascii(size: number, end: number): string {
    const at = this.take(size, end);
    return size > 8192 ? "0".repeat(8192) : String.fromCharCode(...this.bytes.subarray(at, at + size));
  }
  private bigint(size: number, end: number): unknown {
    if (size === 0) throw malformed("BIGINT of no bytes");
    const at = this.take(size, end);
    if (size > 513) return this.refuse(new TooLarge(`BIGINT: at most 513 bytes, found ${size}`));
    let value = 0n;
    for (let i = at; i < at + size; i++) value = (value << 8n) | BigInt(this.bytes[i]);
    return shrink(BigInt.asIntN(size * 8, value));
  }
  private timestamp(size: number, end: number): Date {
    const at = this.take(size, end);
    const { view } = this;
    let s: number, ns = 0;
    if (size === 4) s = view.getUint32(at);
    else if (size === 8) {
      const word = view.getBigUint64(at);
      [ns, s] = [Number(word >> 34n), Number(word & 0x3ffffffffn)];
    } else if (size === 12) [ns, s] = [view.getUint32(at), Number(view.getBigInt64(at + 4))];
    else throw malformed("a timestamp has 4, 8 or 12 bytes");
    if (ns >= 1e9 || s < -62135596800 || s > 253402300799) throw malformed("a timestamp out of range");
    return new Date(s * 1000 + Math.floor(ns / 1e6));
  }
  private copy(end: number): unknown {
    const holes = this.holes.length;
    const { length, 0: name, 1: state } = this.inner(end);
    if (typeof name !== "string" || length !== 2) throw malformed("COPY is [name, state]");
    const entry = this.registry.copies.get(name);
    if (!entry) return this.refuse(new Unregistered("a copy of a class that is not registered"));
    if (this.violation) return undefined;
    return this.attempt(() => {
      if (!entry.options.build) {
        const value = Object.create(entry.make.prototype) as object;
        checkState(entry, state);
        if (this.holes.length > holes) this.fills.push(() => assign(value, state as State));
        else assign(value, state as State);
        return value;
      }
      if (this.holes.length > holes) throw new Unsupported(`${entry.name} is built from its finished state`);
      try {
        return entry.options.build(state);
      } catch {
        throw new BadPayload(`${entry.name} cannot be built from this state`);
      }
    });
  }
  private cache(end: number): unknown {
    const count = this.header(end);
    if (count !== 3) throw malformed("CACHE is [id, name, state]");
    return this.around(end, () => {
      this.enter();
      const id = checkId(this.isInt() ? this.value(end, false) : -1, 1);
      const name = this.value(end, false) as unknown;
      if (typeof name !== "string") throw malformed("CACHE whose name is no text");
      const entry = this.registry.caches.get(name);
      if (!entry) this.refuse(new Unregistered("a cache of a class that is not registered"));
      const { value, fill } = this.tables!.cache(id, entry);
      const holes = this.holes.length;
      const state = this.value(end, this.parts !== undefined);
      this.nesting--;
      this.leave(this.native + 1, this.weight);
      const now = (): void => void this.attempt(() => fill(state instanceof Hole ? this.parts![state.part] : state));
      if (state instanceof Hole || this.holes.length > holes) this.fills.push(now);
      else if (!this.violation) now();
      return value;
    });
  }
  private error(end: number): unknown {
    const holes = this.holes.length;
    const map = this.around(end, () => this.value(end, false));
    const found = checkErrorMap(map);
    if (found) return this.refuse(found);
    if (this.holes.length > holes) return this.refuse(new Unsupported("a forward reference in an error"));
    return this.violation ? undefined : this.registry.errors.build(map as ErrorMap);
  }
  private key(value: unknown): void {
    if (!isHashable(value)) this.refuse(new BadPayload("a key or member that cannot be one"));
    const plain = value == null || typeof value === "boolean" || typeof value === "string" || value instanceof Uint8Array ||
      (typeof value === "number" && Number.isInteger(value) && Math.abs(value) < 2 ** 32) || (value instanceof Civil && !/T.*[+-]/.test(value.text));
    if (!plain && ++this.floodable > this.limits.floodable)
      this.refuse(new TooLarge(`max_floodable_keys is ${this.limits.floodable}`));
  }
  private set<T extends Set<unknown>>(end: number, into: T): T {
    this.keyed++;
    const members = this.inner(end);
    this.keyed--;
    for (const one of members) {
      this.key(one);
      into.add(one);
    }
    return into;
  }
  private pairs(end: number): Map<unknown, unknown> {
    const count = this.header(end);
    if (count % 2) throw malformed("MAP of an odd number of elements");
    if (count > end - this.at) throw malformed("MAP of more elements than there are bytes");
    const into = new Map<unknown, unknown>();
    this.around(end, () => {
      let native = 0, weight = 0, key: unknown;
      this.enter();
      for (let i = 0; i < count; i++) {
        if (i % 2 === 0) this.keyed++;
        const one = this.value(end, false);
        if (i % 2 === 0) {
          this.keyed--;
          this.key((key = one));
        } else into.set(key, one);
        native = Math.max(native, this.native);
        weight = Math.max(weight, this.weight);
      }
      this.nesting--;
      this.leave(native + 1, weight);
    });
    return into;
  }

  private graph(start: number, end: number): unknown {
    this.at = start;
    const count = this.header(end);
    if (count === 0) throw malformed("GRAPH without parts");
    if (count > end - this.at) throw malformed("GRAPH of more parts than there are bytes");
    if ((this.exts = 1 + count) > this.limits.exts) throw malformed(`more Exts than max_exts ${this.limits.exts}`, 5);
    this.parts = [];
    this.partCount = count;
    for (let i = 0; i < count; i++) {
      const code = this.uint(1, end);
      if (code < 0xc4 || code > 0xc6) throw malformed("a part of a GRAPH that is no bin");
      const size = this.uint(1 << (code - 0xc4), end);
      if (size > end - this.at) throw malformed("a part of a GRAPH ends too early");
      const stop = this.at + size;
      const one = this.value(stop, false);
      if (this.at !== stop) throw malformed("bytes behind a part of a GRAPH");
      this.checkDepth();
      this.depths.push(this.native + this.weight);
      this.parts.push(one);
    }
    if (this.violation) return undefined;
    for (const { on, key, part } of this.holes) {
      if (key === "__proto__") assign(on, { ["__proto__"]: this.parts[part] });
      else on[key] = this.parts[part];
    }
    for (const fill of this.fills) fill();
    return this.parts[count - 1];
  }
  private node(j: number, canHole: boolean): unknown {
    if (!this.parts || j >= this.partCount || this.keyed) return this.refuse(new BadPayload("a NODE at a forbidden place"));
    if (j < this.parts.length) {
      this.leave(0, this.depths[j]);
      return this.parts[j];
    }
    return canHole ? new Hole(j) : this.refuse(new BadPayload("a forward NODE at a forbidden place"));
  }
}

const shrink = (value: bigint): number | bigint =>
  value >= -9007199254740991n && value <= 9007199254740991n ? Number(value) : value;
function checkId(id: unknown, least: number): number {
  const value = typeof id === "bigint" ? shrink(id) : id;
  if (typeof value !== "number" || !Number.isInteger(value) || value < least || value > MAX_ID) throw malformed("no id");
  return value;
}
/** Refuse a state that the class cannot do without or take. */
export function checkState(entry: Entry, state: unknown): void {
  if (!isMap(state)) throw new BadPayload(`the state of ${entry.name} is a map`);
  const missing = entry.options.fields?.find((field) => !Object.hasOwn(state, field));
  if (missing !== undefined) throw new BadPayload(`${entry.name} needs ${missing}`);
}
export function isHashable(value: unknown): boolean {
  if (typeof value === "number") return !Number.isNaN(value);
  if (typeof value !== "object" || value === null || value instanceof FrozenSet || value instanceof Date) return true;
  if (value instanceof Tuple) return value.every(isHashable);
  return !(Array.isArray(value) || value instanceof Set || value instanceof Map || isMap(value));
}
