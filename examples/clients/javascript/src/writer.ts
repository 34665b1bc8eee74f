/** Writing payloads: values become what @msgpack/msgpack encodes, Exts included. Spec: 1-values.md. */
import { Encoder, ExtData } from "@msgpack/msgpack";
import { NotSendable, ProtocolError, raise, TooLarge } from "./errors.js";
import { LIMITS, Place, Reader, Tables } from "./reader.js";
import { Registry } from "./registry.js";
import { FrozenSet, isHashable, isMap, SCALARS, Tuple, uint } from "./values.js";
const encoder = new Encoder({ useBigInt64: true, maxDepth: 10_000, initialBufferSize: 256 });
export const pack = (value: unknown): Uint8Array => encoder.encode(value);
/** Whether an object is sent as a reference: what it returns then counts that, and gives an Ext and an id, or array. */
export type Refer = (object: object) => (() => [type: number, data: number | unknown[]]) | undefined;
/** What a container holds: an array, or a map if there are keys; and the Ext around it. */
interface Form { ext?: number; keys?: string[]; items: any[]; place: (i: number) => Place }
const [free, back, key] = (["free", "back", "key"] as const).map((place) => (): Place => place);
const mapForm = (on: object, place: () => Place): Form => ({ keys: Object.keys(on), items: Object.values(on), place });
const nothing = (): undefined => undefined;
const cache = (): ReturnType<Tables["cache"]> => ({ value: null, fill: nothing });
const NOBODY: Tables = { ref: nothing, home: nothing, answer: nothing, stream: nothing, cached: nothing, cache };
/** So that the stack is enough, also where sharing makes a value deeper than its depth (PB-V29). */
const MAX_LEVELS = 1000;

export class Writer {
  private readonly forms = new Map<unknown, Form | undefined>(); // so that each state is asked for once
  private readonly parts = new Map<unknown, number>(); // of the GRAPH: what is where
  private exts = 0;
  private containers = 0; // arrays and maps
  private path = 0; // how many containers are around this place,
  private deepest = 0; // and at most
  constructor(private readonly refer: Refer, private readonly describe: (error: Error) => object,
    private readonly registry: Registry, private readonly limits: Omit<typeof LIMITS, "floodable">) {}

  payload(value: unknown): Uint8Array {
    const seen = new Set<object>(), shared = new Set<object>(), inOrder: object[] = [];
    const walk = (one: object, level: number): void => {
      if (seen.has(one)) return void shared.add(one);
      if (level > MAX_LEVELS) throw new TooLarge(`at most ${MAX_LEVELS} containers inside one another are sent`);
      seen.add(one);
      const { items, place } = this.form(one)!;
      items.forEach((child, i) => place(i) !== "key" && this.form(child) && walk(child, level + 1));
      inOrder.push(one);
    };
    if (this.form(value)) walk(value as object, 1);
    this.containers = shared.size ? 1 : 0; // of a GRAPH the array of its parts
    const bytes = shared.size ? this.graph(value, inOrder, shared) : pack(this.lower(value, "free"));
    // Depth and Exts are counted as the receiver does it, in the bytes; unless there are few. That each of n containers
    // is an Ext, with the deepest array beside the next one, is the worst: n + (2 + 3 + … n + 1) + 1 deep (see 1.4).
    const n = this.deepest, isPlain = !shared.size && (n * (n + 5)) / 2 + 1 <= this.limits.depth;
    if (!isPlain || this.exts > this.limits.exts)
      try {
        new Reader(bytes, NOBODY, undefined, { ...LIMITS, ...this.limits }).payload();
      } catch (error) { throw error instanceof ProtocolError ? new TooLarge(`for the peer, ${error.message}`) : error; }
    return bytes;
  }
  private ext(type: number, data: Uint8Array): ExtData {
    this.exts += type === -1 ? 0 : 1;
    return new ExtData(type, data);
  }
  private all(items: any[], lower: (one: any, i: number) => unknown): unknown[] {
    this.deepest = Math.max(this.deepest, ++this.path);
    const { depth, containers } = this.limits;
    if (this.path > depth) throw new TooLarge(`max_depth of the peer is ${depth}`);
    if (++this.containers > containers) throw new TooLarge(`max_containers of the peer is ${containers}`);
    const found = items.map(lower);
    this.path--;
    return found;
  }
  private lower(value: any, place: Place): unknown {
    if (typeof value === "string") return text(value);
    if (typeof value === "bigint") {
      if (Number.isSafeInteger(Number(value))) return this.lower(Number(value), place);
      return value >= -(2n ** 63n) && value < 2n ** 64n ? value : this.ext(24, SCALARS.get(24)![1](value));
    }
    // The encoder would make a float of it.
    if (Number.isSafeInteger(value) && (value > 0xffffffff || value < -0x80000000)) return BigInt(value);
    if (value == null) return null;
    if (typeof value === "boolean" || typeof value === "number" || value instanceof Uint8Array) return value;
    if (typeof value !== "object") return unknown(typeof value);
    const count = this.refer(value);
    if (count) {
      const [type, data] = count();
      return this.ext(type, typeof data === "number" ? uint(data) : pack(this.all(data, (x) => this.lower(x, "back"))));
    }
    for (const [type, [make, write]] of SCALARS) if (value instanceof make) return this.ext(type, write(value));
    const part = place === "key" ? undefined : this.parts.get(value);
    return part === undefined ? this.inside(value, place) : this.ext(21, uint(part));
  }
  private inside(value: object, place: Place): unknown {
    const { ext, keys, items, place: within } = this.form(value) ?? unknown(value.constructor?.name);
    const lowered = this.all(items, (one, i) => {
      if (within(i) === "key" && !isHashable(one)) return unknown("key or member that can change");
      return this.lower(one, place === "key" ? "key" : within(i));
    });
    const plain = keys ? Object.fromEntries(keys.map((name, i) => [text(name), lowered[i]])) : lowered;
    return ext === undefined ? plain : this.ext(ext, pack(plain));
  }
  private form(value: unknown): Form | undefined {
    if (typeof value !== "object" || value === null) return undefined;
    if (!this.forms.has(value)) this.forms.set(value, this.refer(value) ? undefined : this.formOf(value));
    return this.forms.get(value);
  }
  private formOf(value: object): Form | undefined {
    if (value instanceof Tuple) return { ext: 16, items: value, place: back };
    if (Array.isArray(value)) return { items: value, place: free };
    if (value instanceof Set) return { ext: value instanceof FrozenSet ? 18 : 17, items: [...value], place: key };
    if (value instanceof Map) return { ext: 19, items: [...value].flat(), place: (i) => (i % 2 ? "back" : "key") };
    if (value instanceof Error) return { ext: 11, ...mapForm(this.describe(value), back) };
    if (isMap(value)) return mapForm(value, free);
    const entry = this.registry.of("copy", value), { toState } = value as { toState?(): unknown };
    return entry && { ext: 8, items: [entry.name, toState ? toState.call(value) : { ...value }], place: back };
  }
  /** Sharing and cycles (1.6): the parts are what occurs twice; or, if that gives no order, every container. */
  private graph(root: unknown, all: object[], shared: Set<object>): Uint8Array {
    const order = this.order(all.filter((one) => shared.has(one))) ?? this.order(all);
    if (!order) return unknown("cycle that no order of parts can say,");
    order.forEach((part, i) => this.parts.set(part, i));
    const written = order.map((part) => pack(this.inside(part, "free")));
    if (root !== order.at(-1)) written.push(pack(this.lower(root, "back")));
    return pack(new ExtData(20, pack(written)));
  }
  /** Order parts so that each comes behind those it needs, or return nothing. */
  private order(parts: object[]): object[] | undefined {
    const all = new Set(parts), begun = new Set<object>(), done = new Set<object>();
    const needs = (value: object): object[] => {
      const { items, place } = this.form(value)!;
      const isNeeded = (one: any, i: number): boolean => place(i) === "back" || (place(i) === "free" && !all.has(one));
      const inside = items.filter((one, i) => isNeeded(one, i) && this.form(one));
      return inside.flatMap((one) => (all.has(one) ? [one] : needs(one)));
    };
    const visit = (part: object): boolean => {
      if (begun.has(part)) return done.has(part);
      begun.add(part);
      const isReady = needs(part).every(visit);
      if (isReady) done.add(part);
      return isReady;
    };
    return parts.every(visit) ? [...done] : undefined;
  }
}
const unknown = (what: string): never => raise(new NotSendable(`a ${what} has no form on the wire`));
export const text = (value: string): string => /\p{Surrogate}/u.test(value) ? unknown("text with a surrogate") : value;
