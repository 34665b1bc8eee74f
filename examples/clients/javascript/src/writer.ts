/** Writing payloads: values become what @msgpack/msgpack encodes, Exts included. Spec: 1-values.md. */
import { Encoder, ExtData } from "@msgpack/msgpack";
import { uint } from "./bytes.js";
import { ErrorMap, NotSendable, TooLarge } from "./errors.js";
import { Registry } from "./registry.js";
import { bigBytes, FrozenSet, isHashable, isMap, Scalar, State, timestampBytes, Tuple } from "./values.js";

const encoder = new Encoder({ useBigInt64: true, maxDepth: 10_000, initialBufferSize: 256 });
export const pack = (value: unknown): Uint8Array => encoder.encode(value);

type Lower = (value: unknown) => unknown;
/** How objects become references: an Ext number and its data, or nothing if it is none. */
export interface Sender {
  reference(object: object): [type: number, data: number | ((lower: Lower) => unknown[])] | undefined;
  describe(error: Error): ErrorMap;
}
export interface WriteLimits {
  depth: number;
  exts: number;
}
/** Where a value stands: a NODE may be any there, only one to an earlier part, or none. */
type Place = "free" | "back" | "key";
/** What a container holds, and what it is once that is lowered. */
interface Form {
  items: [value: unknown, place: Place][];
  make(lowered: unknown[]): unknown;
}
class Shared {}

export class Writer {
  private native = 0;
  private weight = 0;
  private exts = 0;
  private path = 0;
  private seen: Set<object> | undefined = new Set();
  private parts = new Map<object, number>(); // where a container is a part of the GRAPH
  private depths: number[] = [];
  private states = new Map<object, unknown>();

  constructor(private readonly sender: Sender, private readonly registry: Registry,
    private readonly limits: WriteLimits, private readonly undo: () => void = () => {}) {}

  /** Return the bytes of a value; `undo` is called first if it has to be begun again as a GRAPH. */
  payload(value: unknown): Uint8Array {
    try {
      return this.packed(this.lower(value, "free"));
    } catch (error) {
      if (!(error instanceof Shared)) throw error;
    }
    this.undo();
    this.seen = undefined;
    this.path = 0;
    return this.graph(value as object);
  }
  private packed(lowered: unknown): Uint8Array {
    if (this.native + this.weight > this.limits.depth) throw this.tooDeep();
    return pack(lowered);
  }
  private tooDeep(): TooLarge {
    return new TooLarge(`max_depth of the peer is ${this.limits.depth}`);
  }
  private countExts(count: number): void {
    if ((this.exts += count) > this.limits.exts)
      throw new TooLarge(`max_exts of the peer is ${this.limits.exts}`);
  }
  private ext(type: number, data: Uint8Array, weight = 1): ExtData {
    if (type !== -1) this.countExts(1);
    this.native = 0;
    this.weight = weight;
    return new ExtData(type, data);
  }
  private around(type: number, data: unknown): ExtData {
    return this.ext(type, pack(data), 1 + this.native + this.weight);
  }
  /** Lower what is inside of something; it is as deep as the deepest. */
  private all<T>(values: T[], lower: (value: T) => unknown): unknown[] {
    if (++this.path > this.limits.depth) throw this.tooDeep();
    let native = 0, weight = 0;
    const found = values.map((value) => {
      const one = lower(value);
      native = Math.max(native, this.native);
      weight = Math.max(weight, this.weight);
      return one;
    });
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
      case "string": return text(value);
      case "number": { // what the encoder would make a float is an integer here
        const isLong = Number.isSafeInteger(value) && (value > 0xffffffff || value < -0x80000000);
        return isLong ? BigInt(value) : value;
      }
      case "bigint":
        if (value >= Number.MIN_SAFE_INTEGER && value <= Number.MAX_SAFE_INTEGER)
          return this.lower(Number(value), place);
        return value >= -(2n ** 63n) && value < 2n ** 64n ? value : this.ext(24, bigBytes(value));
      case "object": break;
      default: throw new NotSendable(`a ${typeof value} has no form on the wire`);
    }
    if (value === null || value instanceof Uint8Array) return value;
    const reference = this.sender.reference(value);
    if (reference) {
      const [type, data] = reference;
      if (typeof data === "number") return this.ext(type, uint(data));
      return this.around(type, this.all([data], () => data((inner) => this.lower(inner, "back")))[0]);
    }
    if (value instanceof Date) return this.ext(-1, timestampBytes(value));
    if (value instanceof Scalar)
      return this.ext((value.constructor as unknown as { ext: number }).ext, value.toBytes());
    return this.container(value, place);
  }
  private container(value: object, place: Place): unknown {
    const index = this.parts.get(value);
    if (index !== undefined && place !== "key")
      return this.ext(21, uint(index), index < this.depths.length ? this.depths[index] : 1);
    if (this.seen && place !== "key") {
      if (this.seen.has(value)) throw new Shared();
      this.seen.add(value);
    }
    return this.inside(value, place);
  }
  private inside(value: object, place: Place): unknown {
    const { items, make } = this.form(value) ?? unknown(value);
    return make(this.all(items, ([one, inner]) => {
      if (inner === "key" && !isHashable(one))
        throw new NotSendable("a list, map or set can be no key and no member of a set");
      return this.lower(one, place === "key" ? "key" : inner);
    }));
  }
  private form(value: object): Form | undefined {
    const at = (place: Place, values: Iterable<unknown>): Form["items"] =>
      Array.from(values, (one) => [one, place]);
    const named = (keys: string[], lowered: unknown[]): State => {
      const into = Object.create(null) as State;
      keys.forEach((key, i) => (into[text(key)] = lowered[i]));
      return into;
    };
    if (value instanceof Tuple)
      return { items: at("back", value), make: (lowered) => this.around(16, lowered) };
    if (Array.isArray(value)) return { items: at("free", value), make: (lowered) => lowered };
    if (value instanceof Set) {
      const type = value instanceof FrozenSet ? 18 : 17;
      return { items: at("key", value), make: (lowered) => this.around(type, lowered) };
    }
    if (value instanceof Map) {
      const items: Form["items"] = [...value].flatMap(([key, one]) => [[key, "key"], [one, "back"]]);
      return { items, make: (lowered) => this.around(19, lowered) };
    }
    if (value instanceof Error) {
      const map = this.stateOf(value) as State;
      const make = (lowered: unknown[]): unknown => this.around(11, named(Object.keys(map), lowered));
      return { items: at("back", Object.values(map)), make };
    }
    if (isMap(value)) {
      const keys = Object.keys(value);
      return { items: at("free", Object.values(value)), make: (lowered) => named(keys, lowered) };
    }
    const entry = this.registry.entryOf(value);
    if (!entry || this.registry.copies.get(entry.name) !== entry) return undefined;
    const items = at("back", [entry.name, this.stateOf(value)]);
    return { items, make: (lowered) => this.around(8, lowered) };
  }
  private stateOf(value: object): unknown {
    if (!this.states.has(value)) {
      const { state = (one: object): unknown => ({ ...one }) } = this.registry.entryOf(value)?.options ?? {};
      this.states.set(value, value instanceof Error ? this.sender.describe(value) : state(value));
    }
    return this.states.get(value);
  }

  // Sharing and cycles, see 1.6: parts that occur twice; or, if that gives no order, every container.
  private graph(root: object): Uint8Array {
    const counts = new Map<object, number>();
    const inOrder: object[] = [];
    const walk = (value: object, level: number): void => {
      const count = (counts.get(value) ?? 0) + 1;
      counts.set(value, count);
      if (count > 1) return;
      if (level > 4 * this.limits.depth) throw this.tooDeep();
      for (const [child] of this.children(value)) walk(child, level + 1);
      inOrder.push(value);
    };
    walk(root, 0);
    const parts = this.order(inOrder.filter((one) => counts.get(one)! > 1)) ?? this.order(inOrder);
    if (!parts) throw new NotSendable("a cycle that no order of parts can say");
    parts.forEach((part, i) => this.parts.set(part, i));
    this.exts = 0;
    const written = parts.map((part) => {
      const bytes = this.packed(this.inside(part, "free"));
      this.depths.push(this.native + this.weight);
      return bytes;
    });
    if (root !== parts.at(-1)) written.push(this.packed(this.lower(root, "back")));
    this.countExts(1 + written.length);
    return pack(new ExtData(20, pack(written)));
  }
  /** The containers directly inside of one, but for keys. */
  private children(value: object): [object, Place][] {
    const isContainer = (one: unknown): boolean =>
      typeof one === "object" && one !== null && !(one instanceof Error) && this.form(one) !== undefined;
    const found = this.form(value)!.items as [object, Place][];
    return found.filter(([one, place]) => place !== "key" && isContainer(one));
  }
  /** Order parts so that each comes behind those it needs, or return nothing. */
  private order(parts: object[]): object[] | undefined {
    const all = new Set(parts);
    const state = new Map<object, boolean>();
    const done: object[] = [];
    const needs = (value: object): object[] => this.children(value).flatMap(([child, place]) =>
      !all.has(child) ? needs(child) : place === "back" ? [child] : []);
    const visit = (part: object): boolean => {
      if (state.has(part)) return state.get(part)!;
      state.set(part, false);
      if (!needs(part).every(visit)) return false;
      state.set(part, true);
      done.push(part);
      return true;
    };
    return parts.every(visit) ? done : undefined;
  }
}

function text(value: string): string {
  if (/\p{Surrogate}/u.test(value)) throw new NotSendable("text with a surrogate");
  return value;
}
function unknown(value: object): never {
  throw new NotSendable(`a ${value.constructor?.name} has no form on the wire`);
}
