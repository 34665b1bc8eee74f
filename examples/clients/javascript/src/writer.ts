/** Writing payloads: values become what @msgpack/msgpack encodes, Exts included. Spec: 1-values.md. */
import { Encoder, ExtData } from "@msgpack/msgpack";
import { ErrorMap, NotSendable, TooLarge } from "./errors.js";
import { isHashable } from "./reader.js";
import { Civil, Decimal, Duration, FrozenSet, isMap, Opaque, Registry, State, Tuple, Uuid } from "./values.js";

const encoder = new Encoder({ useBigInt64: true, maxDepth: 10_000, initialBufferSize: 256 });
export const pack = (value: unknown): Uint8Array => encoder.encode(value);

/** How objects become references: an Ext number and its data, or nothing if it is none. */
export interface Sender {
  reference(object: object): [type: number, data: number | unknown[] | ((lower: (value: unknown) => unknown) => unknown[])] | undefined;
  describe(error: Error): ErrorMap;
}
export interface WriteLimits {
  depth: number;
  exts: number;
  floodable?: number;
}
class Shared {}
type Place = "free" | "back" | "key";

export class Writer {
  private native = 0;
  private weight = 0;
  private exts = 0;
  private path = 0;
  private seen: Set<object> | undefined = new Set();
  private parts = new Map<object, number>(); // where a container is a part of the GRAPH
  private depths: number[] = [];
  private states = new Map<object, State | unknown>();

  constructor(private readonly sender: Sender, private readonly registry: Registry, private readonly limits: WriteLimits,
    private readonly undo: () => void = () => {}, private readonly canonical = false) {}

  /** Return the bytes of a value; `undo` is called first if it has to be begun again as a GRAPH. */
  payload(value: unknown): Uint8Array {
    try {
      const lowered = this.lower(value, "free");
      this.checkDepth();
      return pack(lowered);
    } catch (error) {
      if (!(error instanceof Shared)) throw error;
    }
    this.undo();
    this.seen = undefined;
    return this.graph(value);
  }

  private checkDepth(): void {
    if (this.native + this.weight > this.limits.depth) throw new TooLarge(`max_depth of the peer is ${this.limits.depth}`);
  }
  private ext(type: number, data: Uint8Array, weight = 1): ExtData {
    if (type !== -1 && ++this.exts > this.limits.exts) throw new TooLarge(`max_exts of the peer is ${this.limits.exts}`);
    this.native = 0;
    this.weight = weight;
    return new ExtData(type, data);
  }
  private around(type: number, data: unknown): ExtData {
    return this.ext(type, pack(data), 1 + this.native + this.weight);
  }
  private all<T>(values: Iterable<unknown>, each: (value: unknown, at: number) => T): T[] {
    if (++this.path > this.limits.depth) throw new TooLarge(`max_depth of the peer is ${this.limits.depth}`);
    let native = 0, weight = 0, at = 0;
    const found: T[] = [];
    for (const value of values) {
      found.push(each(value, at++));
      native = Math.max(native, this.native);
      weight = Math.max(weight, this.weight);
    }
    this.path--;
    this.native = native + 1;
    this.weight = weight;
    return found;
  }

  private lower(value: unknown, place: Place): unknown {
    this.native = this.weight = 0;
    switch (typeof value) {
      case "undefined": return null;
      case "boolean": return value;
      case "string":
        if (/\p{Surrogate}/u.test(value)) throw new NotSendable("text with a surrogate");
        return value;
      case "number":
        return Number.isSafeInteger(value) && (value > 0xffffffff || value < -0x80000000) ? BigInt(value) : value;
      case "bigint":
        if (value >= Number.MIN_SAFE_INTEGER && value <= Number.MAX_SAFE_INTEGER) return this.lower(Number(value), place);
        return value >= -(2n ** 63n) && value < 2n ** 64n ? value : this.ext(24, bigBytes(value));
      case "object": break;
      default: throw new NotSendable(`a ${typeof value} has no form on the wire`);
    }
    if (value === null || value instanceof Uint8Array) return value;
    const reference = this.sender.reference(value);
    if (reference) {
      const [type, data] = reference;
      if (typeof data === "number") return this.ext(type, uint(data));
      const lowered = typeof data === "function" ? this.all([0], () => data((inner) => this.lower(inner, "back")))[0] : data;
      if (typeof data !== "function") this.native = 2;
      return this.around(type, lowered);
    }
    return this.scalar(value) ?? this.container(value, place);
  }
  private scalar(value: object): ExtData | undefined {
    if (value instanceof Date) return this.ext(-1, timestamp(value));
    if (value instanceof Decimal) {
      if (!Decimal.form.test(value.text)) throw new NotSendable(`${value.text} is no decimal`);
      return this.ext(25, ascii(value.text));
    }
    if (value instanceof Civil) {
      if (!Civil.isValid(value.text)) throw new NotSendable(`${value.text} is no date or time`);
      return this.ext(26, ascii(value.text));
    }
    if (value instanceof Opaque) return this.ext(12, ascii(value.text));
    if (value instanceof Uuid) {
      const hex = value.text.replaceAll("-", "");
      if (!/^[0-9a-f]{32}$/i.test(hex)) throw new NotSendable(`${value.text} is no UUID`);
      return this.ext(28, Uint8Array.from(hex.match(/../g)!, (two) => parseInt(two, 16)));
    }
    if (value instanceof Duration) {
      const view = new DataView(new ArrayBuffer(12));
      view.setUint32(0, value.ns);
      view.setBigInt64(4, value.seconds);
      return this.ext(27, new Uint8Array(view.buffer));
    }
    return undefined;
  }
  private container(value: object, place: Place): unknown {
    const index = this.parts.get(value);
    if (index !== undefined && place !== "key" && this.path >= 0) {
      const isBack = index < this.depths.length;
      return this.ext(21, uint(index), isBack ? this.depths[index] : 1);
    }
    if (this.seen && place !== "key") {
      if (this.seen.has(value)) throw new Shared();
      this.seen.add(value);
    }
    return this.inside(value, place);
  }
  private inside(value: object, place: Place): unknown {
    const within = (inner: Place): Place => (place === "key" ? "key" : inner);
    if (value instanceof Tuple) return this.around(16, this.all(value, (one) => this.lower(one, within("back"))));
    if (Array.isArray(value)) return this.all(value, (one) => this.lower(one, within("free")));
    if (value instanceof Set) {
      const members = this.all(value, (one) => this.key(one));
      if (this.canonical) members.sort((a, b) => compare(pack(a), pack(b)));
      return this.around(value instanceof FrozenSet ? 18 : 17, members);
    }
    if (value instanceof Map) {
      const flat = [...value].flat(1);
      const lowered = this.all(flat, (one, i) => (i % 2 ? this.lower(one, within("back")) : this.key(one)));
      const pairs = lowered.flatMap((key, i) => (i % 2 ? [] : [[key, lowered[i + 1]]]));
      if (this.canonical) pairs.sort(([a], [b]) => compare(pack(a), pack(b)));
      return this.around(19, pairs.flat(1));
    }
    if (value instanceof Error) {
      const map = this.stateOf(value) as State;
      const lowered = this.all(Object.values(map), (one) => this.lower(one, within("back")));
      return this.around(11, Object.fromEntries(Object.keys(map).map((key, i) => [key, lowered[i]])));
    }
    if (isMap(value)) {
      let keys = Object.keys(value);
      if (this.canonical) keys = keys.sort((a, b) => compare(ascii(a), ascii(b)));
      const lowered = this.all(keys, (key) => this.lower(value[key as string], within("free")));
      const into = Object.create(null) as State;
      keys.forEach((key, i) => {
        if (/\p{Surrogate}/u.test(key)) throw new NotSendable("text with a surrogate");
        into[key] = lowered[i];
      });
      return into;
    }
    const entry = this.registry.entryOf(value);
    if (!entry || this.registry.copies.get(entry.name) !== entry) throw new NotSendable(`a ${value.constructor?.name} has no form on the wire`);
    return this.around(8, this.all([entry.name, this.stateOf(value)], (one) => this.lower(one, within("back"))));
  }
  private key(one: unknown): unknown {
    if (!isHashable(one)) throw new NotSendable("a list, map or set can be no key and no member of a set");
    return this.lower(one, "key");
  }
  private stateOf(value: object): unknown {
    if (!this.states.has(value)) {
      const entry = this.registry.entryOf(value);
      const state = value instanceof Error ? this.sender.describe(value) : entry?.options.state ? entry.options.state(value) : { ...value };
      this.states.set(value, state);
    }
    return this.states.get(value);
  }

  // Sharing and cycles, see 1.6: parts that occur twice; or, if that gives no order, every container.
  private graph(root: unknown): Uint8Array {
    const counts = new Map<object, number>();
    const inOrder: object[] = [];
    const walk = (value: object, level: number): void => {
      counts.set(value, (counts.get(value) ?? 0) + 1);
      if (counts.get(value)! > 1) return;
      if (level > 4 * this.limits.depth) throw new TooLarge(`max_depth of the peer is ${this.limits.depth}`);
      for (const [child, place] of this.children(value)) if (place !== "key") walk(child, level + 1);
      inOrder.push(value);
    };
    walk(root as object, 0);
    const parts = this.order(inOrder.filter((one) => counts.get(one)! > 1)) ?? this.order(inOrder);
    if (!parts) throw new NotSendable("a cycle that no order of parts can say");
    const last = parts.at(-1);
    parts.forEach((part, i) => this.parts.set(part, i));
    this.exts = 1;
    const write = (lowered: unknown): Uint8Array => {
      this.checkDepth();
      if (++this.exts > this.limits.exts) throw new TooLarge(`max_exts of the peer is ${this.limits.exts}`);
      return pack(lowered);
    };
    const written = parts.map((part) => {
      const bytes = write(this.inside(part, "free"));
      this.depths.push(this.native + this.weight);
      return bytes;
    });
    if (root !== last) written.push(write(this.lower(root, "back")));
    return pack(new ExtData(20, pack(written)));
  }
  private *children(value: object): Generator<[object, Place]> {
    const is = (x: unknown): x is object => typeof x === "object" && x !== null && !(x instanceof Uint8Array) && this.isContainer(x);
    const places: [Iterable<unknown>, Place][] =
      value instanceof Tuple ? [[value, "back"]] : Array.isArray(value) ? [[value, "free"]] : value instanceof Set ? [[value, "key"]]
      : value instanceof Map ? [[value.keys(), "key"], [value.values(), "back"]]
      : value instanceof Error ? [[Object.values(this.stateOf(value) as State), "back"]]
      : isMap(value) ? [[Object.values(value), "free"]] : [[[this.stateOf(value)], "back"]];
    for (const [values, place] of places) for (const one of values) if (is(one)) yield [one, place];
  }
  private isContainer(x: object): boolean {
    if (Array.isArray(x) || x instanceof Set || x instanceof Map || isMap(x)) return true;
    const entry = this.registry.entryOf(x);
    return entry !== undefined && this.registry.copies.get(entry.name) === entry;
  }
  /** Order parts so that each comes behind those it needs, or return nothing. */
  private order(parts: object[]): object[] | undefined {
    const all = new Set(parts);
    const state = new Map<object, boolean>();
    const done: object[] = [];
    const visit = (part: object): boolean => {
      if (state.has(part)) return state.get(part)!;
      state.set(part, false);
      const needs: object[] = [];
      const collect = (value: object): void => {
        for (const [child, place] of this.children(value)) {
          if (place === "key") continue;
          if (!all.has(child)) collect(child);
          else if (place === "back") needs.push(child);
        }
      };
      collect(part);
      if (!needs.every(visit)) return false;
      state.set(part, true);
      done.push(part);
      return true;
    };
    return parts.every(visit) ? done : undefined;
  }
}

const ascii = (text: string): Uint8Array => new TextEncoder().encode(text);
export function uint(value: number): Uint8Array {
  const size = value < 2 ** 8 ? 1 : value < 2 ** 16 ? 2 : value < 2 ** 32 ? 4 : 8;
  const view = new DataView(new ArrayBuffer(8));
  view.setBigUint64(0, BigInt(value));
  return new Uint8Array(view.buffer, 8 - size);
}
function bigBytes(value: bigint): Uint8Array {
  let size = 9;
  while (BigInt.asIntN(size * 8, value) !== value) size++;
  const hex = BigInt.asUintN(size * 8, value).toString(16).padStart(size * 2, "0");
  if (size > 513) throw new TooLarge(`BIGINT: at most 513 bytes, found ${size}`);
  return Uint8Array.from(hex.match(/../g)!, (two) => parseInt(two, 16));
}
function timestamp(date: Date): Uint8Array {
  const ms = date.getTime();
  const s = Math.floor(ms / 1000), ns = (ms - s * 1000) * 1e6;
  if (!(s >= -62135596800 && s <= 253402300799)) throw new NotSendable("a point in time outside of the years 1 to 9999");
  const view = new DataView(new ArrayBuffer(12));
  if (ns === 0 && s >= 0 && s < 2 ** 32) {
    view.setUint32(0, s);
    return new Uint8Array(view.buffer, 0, 4);
  }
  if (s >= 0 && s < 2 ** 34) {
    view.setBigUint64(0, (BigInt(ns) << 34n) | BigInt(s));
    return new Uint8Array(view.buffer, 0, 8);
  }
  view.setUint32(0, ns);
  view.setBigInt64(4, BigInt(s));
  return new Uint8Array(view.buffer);
}
function compare(a: Uint8Array, b: Uint8Array): number {
  for (let i = 0; i < Math.min(a.length, b.length); i++) if (a[i] !== b[i]) return a[i] - b[i];
  return a.length - b.length;
}
