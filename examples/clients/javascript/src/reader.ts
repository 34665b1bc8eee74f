/** Reading payloads and envelopes. @msgpack/msgpack cannot tell 1.0 from 1, takes bad UTF-8, and reads the
 * inside of an Ext too late for CACHE and too deep for a limit; so it is done here. Spec: 1-values.md. */
import { Headers, textOf } from "./bytes.js";
import {
  BadPayload, checkErrorMap, ErrorMap, malformed, PbError, ProtocolError, TooLarge, Unregistered, Unsupported,
} from "./errors.js";
import { checkState, Entry, Registry } from "./registry.js";
import { assign, FrozenSet, isFloodable, isHashable, isMap, SCALARS, State, Tuple } from "./values.js";

/** What the references in a payload become. All but `home` and `answer` count, also behind a violation. */
export interface Tables {
  ref(id: number, meta?: State): unknown;
  home(id: number): unknown;
  answer(q: number): unknown;
  stream(id: number): unknown;
  cache(id: number, entry: Entry | undefined): { value: unknown; fill(state: unknown): void };
  cached(id: number): unknown;
}
/** Ext numbers whose data are an id: what it becomes, and the least it can be. */
const IDS = new Map<number, ["ref" | "home" | "answer" | "stream" | "cached", number]>([
  [1, ["ref", 1]], [2, ["home", 0]], [3, ["answer", 1]], [5, ["stream", 1]], [10, ["cached", 1]],
]);
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

export class Reader extends Headers {
  /** The first violation: why the payload, though well-formed, is refused. */
  violation: PbError | undefined;
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

  constructor(bytes: Uint8Array, private readonly tables?: Tables, private readonly registry = new Registry(),
    private readonly limits = READ_LIMITS) {
    super(bytes);
  }

  /** Return the value of a payload; undefined with `violation` set if it is refused. Throws ProtocolError if
   * malformed. */
  payload(): unknown {
    const end = this.bytes.length;
    const isGraph = this.header(end) === "ext" && this.type === 20 && this.at + this.found === end;
    if (!isGraph) this.at = 0;
    const value = isGraph ? this.graph(end) : this.whole(end);
    return this.violation ? undefined : value;
  }
  /** Return the value of an envelope or a batch: without Ext, at most 8 deep. */
  envelope(): unknown {
    return this.whole(this.bytes.length);
  }
  /** The one value that stands up to the end. */
  private whole(end: number): unknown {
    const value = this.value(end, false);
    if (this.at !== end) throw malformed("bytes behind a value");
    if (this.native + this.weight > this.limits.depth) throw this.tooDeep();
    return value;
  }

  private tooDeep(): ProtocolError {
    return malformed(`deeper than max_depth ${this.limits.depth}`, 5);
  }
  private refuse(error: PbError): undefined {
    this.violation ??= error;
    return undefined;
  }
  private attempt(what: () => unknown): unknown {
    try {
      return what();
    } catch (error) {
      if (!(error instanceof PbError) || error instanceof ProtocolError) throw error;
      return this.refuse(error);
    }
  }
  private leave(native: number, weight: number): void {
    this.native = native;
    this.weight = weight;
  }
  /** Read what is inside of something, one after the other; it is as deep as the deepest. */
  private members(count: number, read: (i: number) => void): void {
    if (++this.nesting > this.limits.depth) throw this.tooDeep();
    let native = 0, weight = 0;
    for (let i = 0; i < count; i++) {
      read(i);
      native = Math.max(native, this.native);
      weight = Math.max(weight, this.weight);
    }
    this.nesting--;
    this.leave(native + 1, weight);
  }
  private put(on: any, key: string | number, value: unknown): void {
    if (value instanceof Hole) this.holes.push({ on, key, part: value.part });
    if (key === "__proto__") assign(on, { ["__proto__"]: value });
    else on[key] = value;
  }

  private value(end: number, canHole: boolean): any {
    const kind = this.header(end);
    const { found } = this;
    this.leave(0, 0);
    switch (kind) {
      case "text": return textOf(this.data(found, end));
      case "bin": return this.data(found, end).slice();
      case "array": return this.array(found, end, true);
      case "map": return this.map(found, end);
      case "ext": return this.ext(this.type, this.at + found, canHole);
      case "float": return this.tables ? found : new Float();
      default: return found;
    }
  }
  private array(count: number, end: number, canHole: boolean, into: any[] = []): any[] {
    this.members(count, (i) => this.put(into, i, this.value(end, canHole)));
    return into;
  }
  private map(count: number, end: number): State {
    const into: State = {};
    this.members(count, () => {
      if (this.header(end) !== "text") throw malformed("a key of a map that is no text");
      const key = textOf(this.data(this.found, end));
      this.put(into, key, this.value(end, true));
    });
    return into;
  }

  /** What is read within the data of an Ext, and leave its weight. */
  private around<T>(end: number, read: () => T): T {
    if (++this.nesting > this.limits.depth) throw this.tooDeep();
    const found = read();
    if (this.at !== end) throw malformed("bytes behind the data of an Ext");
    this.nesting--;
    this.leave(0, 1 + this.native + this.weight);
    return found;
  }
  /** How many elements the array has that is the data of an Ext. */
  private count(end: number): number {
    if (this.header(end) !== "array") throw malformed("the data of an Ext are no array");
    return this.found;
  }
  private inner(end: number, into: any[] = []): any[] {
    const count = this.count(end);
    return this.around(end, () => this.array(count, end, false, into));
  }
  private id(end: number, least: number): number {
    const data = this.data(end - this.at, end);
    if (![1, 2, 4, 8].includes(data.length)) throw malformed("an id has 1, 2, 4 or 8 bytes");
    return checkId(data.reduce((sum, byte) => sum * 256 + byte, 0), least);
  }
  /** An id that stands as an integer, for a float with the value of one is none. */
  private intId(end: number): number {
    this.leave(0, 0);
    return checkId(this.header(end) === "int" ? this.found : -1, 1);
  }

  private ext(type: number, end: number, canHole: boolean): unknown {
    const { tables } = this;
    if (!tables) throw malformed("an Ext in an envelope");
    if (type !== -1) this.countExts(1);
    this.leave(0, 1);
    const named = IDS.get(type);
    if (named) {
      const [what, least] = named;
      const id = this.id(end, least);
      return this.attempt(() => tables[what](id));
    }
    const scalar = SCALARS.get(type);
    if (scalar) {
      const data = this.data(end - this.at, end);
      return this.attempt(() => scalar(data));
    }
    switch (type) {
      case 4: return this.refx(end, tables);
      case 8: return this.copy(end);
      case 9: return this.cache(end, tables);
      case 11: return this.error(end);
      case 16: return this.inner(end, new Tuple());
      case 17: case 18: return this.set(end, type === 17 ? new Set() : new FrozenSet());
      case 19: return this.pairs(end);
      case 20: throw malformed("GRAPH that is not the root");
      case 21: return this.node(this.id(end, 0), canHole);
      default:
        this.at = end;
        return this.refuse(new BadPayload(`ext ${type} is not known`));
    }
  }
  private countExts(count: number): void {
    if ((this.exts += count) > this.limits.exts)
      throw malformed(`more Exts than max_exts ${this.limits.exts}`, 5);
  }
  private refx(end: number, tables: Tables): unknown {
    let id = 0, meta: unknown;
    if (this.count(end) !== 2) throw malformed("REFX is [id, meta]");
    const read = [() => void (id = this.intId(end)), () => void (meta = this.value(end, false))];
    this.around(end, () => this.members(2, (i) => read[i]()));
    if (!isMap(meta)) throw malformed("REFX is [id, meta]");
    return tables.ref(id, meta);
  }
  private copy(end: number): unknown {
    const holes = this.holes.length;
    const { length, 0: name, 1: state } = this.inner(end);
    if (typeof name !== "string" || length !== 2) throw malformed("COPY is [name, state]");
    const entry = this.registry.copies.get(name);
    if (!entry) return this.refuse(new Unregistered("a copy of a class that is not registered"));
    if (this.violation) return undefined;
    const hasHoles = this.holes.length > holes;
    return this.attempt(() => {
      if (!entry.options.build) {
        checkState(entry, state);
        const value = Object.create(entry.make.prototype) as object;
        if (hasHoles) this.fills.push(() => assign(value, state));
        else assign(value, state);
        return value;
      }
      if (hasHoles) throw new Unsupported(`${entry.name} is built from its finished state`);
      try {
        return entry.options.build(state);
      } catch {
        throw new BadPayload(`${entry.name} cannot be built from this state`);
      }
    });
  }
  private cache(end: number, tables: Tables): unknown {
    if (this.count(end) !== 3) throw malformed("CACHE is [id, name, state]");
    let id = 0, name = "", state: unknown;
    let made!: ReturnType<Tables["cache"]>;
    const holes = this.holes.length;
    const read = [
      () => void (id = this.intId(end)),
      () => {
        if (typeof (name = this.value(end, false)) !== "string")
          throw malformed("CACHE whose name is no text");
        const entry = this.registry.caches.get(name);
        if (!entry) this.refuse(new Unregistered("a cache of a class that is not registered"));
        made = tables.cache(id, entry); // known before its state is read (PB-C5)
      },
      () => void (state = this.value(end, this.parts !== undefined)),
    ];
    this.around(end, () => this.members(3, (i) => read[i]()));
    const fill = (): void =>
      void this.attempt(() => made.fill(state instanceof Hole ? this.parts![state.part] : state));
    if (state instanceof Hole || this.holes.length > holes) this.fills.push(fill);
    else if (!this.violation) fill();
    return made.value;
  }
  private error(end: number): unknown {
    const holes = this.holes.length;
    const map = this.around(end, () => this.value(end, false));
    const found = checkErrorMap(map);
    if (found) return this.refuse(found);
    if (this.holes.length > holes) return this.refuse(new Unsupported("a forward reference in an error"));
    return this.violation ? undefined : this.registry.errors.build(map as ErrorMap);
  }

  private key<T>(value: T): T {
    if (!isHashable(value)) this.refuse(new BadPayload("a key or member that cannot be one"));
    if (isFloodable(value) && ++this.floodable > this.limits.floodable)
      this.refuse(new TooLarge(`max_floodable_keys is ${this.limits.floodable}`));
    return value;
  }
  private set<T extends Set<unknown>>(end: number, into: T): T {
    this.keyed++;
    for (const one of this.inner(end)) into.add(this.key(one));
    this.keyed--;
    return into;
  }
  private pairs(end: number): Map<unknown, unknown> {
    const count = this.count(end);
    if (count % 2) throw malformed("MAP of an odd number of elements");
    const into = new Map<unknown, unknown>();
    let key: unknown;
    this.around(end, () => this.members(count, (i) => {
      if (i % 2) return void into.set(key, this.value(end, false));
      this.keyed++;
      key = this.key(this.value(end, false));
      this.keyed--;
    }));
    return into;
  }

  private graph(end: number): unknown {
    const count = this.count(end);
    if (count === 0) throw malformed("GRAPH without parts");
    this.countExts(1 + count);
    this.parts = [];
    this.partCount = count;
    for (let i = 0; i < count; i++) {
      if (this.header(end) !== "bin") throw malformed("a part of a GRAPH that is no bin");
      this.parts.push(this.whole(this.at + this.found));
      this.depths.push(this.native + this.weight);
    }
    if (this.at !== end) throw malformed("bytes behind the parts of a GRAPH");
    if (this.violation) return undefined;
    for (const { on, key, part } of this.holes) this.put(on, key, this.parts[part]);
    for (const fill of this.fills) fill();
    return this.parts[count - 1];
  }
  private node(j: number, canHole: boolean): unknown {
    if (!this.parts || j >= this.partCount || this.keyed)
      return this.refuse(new BadPayload("a NODE at a forbidden place"));
    if (j < this.parts.length) {
      this.leave(0, this.depths[j]);
      return this.parts[j];
    }
    return canHole ? new Hole(j) : this.refuse(new BadPayload("a forward NODE at a forbidden place"));
  }
}

function checkId(value: unknown, least: number): number {
  if (!Number.isSafeInteger(value) || (value as number) < least) throw malformed("no id");
  return value as number;
}
