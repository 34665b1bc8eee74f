/** Reading payloads and envelopes. @msgpack/msgpack cannot tell 1.0 from 1, takes bad UTF-8, and reads the inside of an
 * Ext too late for CACHE and too deep for a limit; so it is done here. Spec: 1-values.md. */
import { BadPayload, checkErrorMap, malformed, PbError, ProtocolError, raise, TooLarge, Unregistered, Unsupported } from
  "./errors.js";
import { Entry, fill, Registry } from "./registry.js";
import { assign, FrozenSet, isFloodable, isHashable, isMap, SCALARS, shrink, State, textOf, Tuple } from "./values.js";
type OfId = "ref" | "home" | "answer" | "stream" | "cached";
/** What the references in a payload become. All but `home` and `answer` count, also behind a violation. */
export type Tables = Record<OfId, (id: number, meta?: State) => unknown> & {
  cache(id: number, entry?: Entry): { value: unknown; fill(state: unknown): void };
};
export const LIMITS = { depth: 64, exts: 20480, containers: 131072, floodable: 4096 };
/** Where a value stands: a NODE of any part may be there, of an earlier part, or none; or neither floats nor Exts. */
export type Place = "free" | "back" | "key" | "exact";
/** Ext numbers whose data are an id, and what it becomes. */
const IDS: Record<number, OfId> = { 1: "ref", 2: "home", 3: "answer", 5: "stream", 10: "cached" };
/** Ext numbers whose data are an array: where its members stand, and how many there are if that is fixed. */
const ARRAYS: Record<number, [place: (i: number) => Place, count?: number]> = {
  4: [(i) => (i === 0 ? "exact" : "back"), 2], 8: [(i) => (i === 0 ? "exact" : "back"), 2],
  9: [(i) => (i < 2 ? "exact" : "free"), 3], 16: [() => "back"], 17: [() => "key"], 18: [() => "key"],
  19: [(i) => (i % 2 ? "back" : "key")],
};
/** The headers from c0 on: what they begin, and how its value or length is written, or its length itself. */
const HEADERS = [
  "constant", "none", "constant", "constant", "bin Uint8", "bin Uint16", "bin Uint32", "ext Uint8", "ext Uint16",
  "ext Uint32", "float Float32", "float Float64", "int Uint8", "int Uint16", "int Uint32", "int BigUint64", "int Int8",
  "int Int16", "int Int32", "int BigInt64", "ext 1", "ext 2", "ext 4", "ext 8", "ext 16", "text Uint8", "text Uint16",
  "text Uint32", "array Uint16", "array Uint32", "map Uint16", "map Uint32",
].map((one) => {
  const [kind, how = ""] = one.split(" ");
  return { kind, get: `get${how}`, bytes: Number(/\D(\d+)/.exec(how)?.[1] ?? 0) / 8, length: Number(how) };
});
const MAX_ENVELOPE = 65536, MAX_BATCH = 1048576;
/** How many bytes each element takes at least. */
const LEAST: Record<string, number> = { text: 1, bin: 1, ext: 1, array: 1, map: 2 };
class Hole { constructor(readonly part: number) {} }
const bad = (text: string): never => raise(malformed(text));
const checkId = (id: any, least: number): number => (Number.isSafeInteger(id) && id >= least ? id : bad("no id"));

export class Reader {
  /** The first violation: why the payload, though well-formed, is refused. */
  violation: PbError | undefined;
  private at = 0;
  private found: any; // of the last header: the value of a number or constant, else how many bytes or members follow
  private type = 0; // of the last header that began an Ext
  private scope = { level: 0, native: 0, weight: 0 }; // how deep it is up to here (1.4), within an Ext or part
  private path = 0; // how many containers are around this place
  private exts = 0;
  private containers = 0; // arrays and maps
  private floodable = 0; // keys and members
  private parts: unknown[] = []; // of the GRAPH,
  private partCount = 0; // how many it will have,
  private readonly depths: number[] = []; // and how deep they are
  private readonly holes: { on: any; key: string | number; part: number }[] = [];
  private readonly fills: (() => void)[] = [];
  private isLong = false; // an envelope or batch, of which too much may be beside payloads:
  private isBatch: boolean | undefined;
  private payloads = 0; // how many bytes are in these,
  private begun = 0; // and were beside them before the envelope that is read
  private readonly view: any;
  constructor(private readonly bytes: Uint8Array, private readonly tables?: Tables,
    private readonly registry = new Registry(), private readonly limits = LIMITS) {
    this.view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  }
  /** The value of a payload; undefined with `violation` set if it is refused. Throws ProtocolError if malformed. */
  payload(): unknown {
    const end = this.bytes.length;
    const isGraph = this.header(end) === "ext" && this.type === 20 && this.at + this.found === end;
    if (!isGraph) this.at = 0;
    const value = isGraph ? this.graph(end) : this.whole(end, "back");
    return this.violation ? undefined : value;
  }
  /** The value of an envelope or a batch. */
  envelope(): unknown {
    this.isLong = this.bytes.length > MAX_ENVELOPE;
    return this.whole(this.bytes.length, "exact");
  }
  /** Refuse envelopes that take too many bytes beside their payloads, before more is made of them (PB-F48). */
  private weigh(kind: string, start: number): void {
    if (this.path === 1) this.isBatch ??= kind === "array";
    if (this.path === 1 && this.isBatch) this.begun = start - this.payloads;
    if (kind === "bin" && this.path === (this.isBatch ? 2 : 1)) this.payloads += this.found;
    const total = this.at + (kind === "bin" || kind === "text" ? this.found : 0) - this.payloads;
    if (total - this.begun > MAX_ENVELOPE || total > MAX_BATCH) throw malformed("too much beside payloads", 5);
  }
  /** The one value that stands up to the end. */
  private whole(end: number, place: Place): unknown {
    this.scope = { level: 0, native: 0, weight: 0 };
    const value = this.value(end, place);
    if (this.at !== end) bad("bytes behind a value");
    this.limit("depth", this.scope.native + this.scope.weight);
    return value;
  }
  private limit(what: "depth" | "exts" | "containers", found: number): void {
    if (found > this.limits[what]) throw malformed(`max_${what} is ${this.limits[what]}, found ${found} or more`, 5);
  }
  private refuse(error: PbError): void { this.violation ??= error; }
  private attempt(what: () => unknown): unknown {
    try {
      return what();
    } catch (error) {
      if (!(error instanceof PbError) || error instanceof ProtocolError) throw error;
      return this.refuse(error);
    }
  }
  private take(size: number, end: number): number {
    if (size > end - this.at) bad("the data end too early");
    this.at += size;
    return this.at - size;
  }
  private data(size: number, end: number): Uint8Array { return this.bytes.subarray(this.take(size, end), this.at); }
  /** Read a header; what it promises has to be there (PB-V30). */
  private header(end: number): string {
    const code = this.bytes[this.take(1, end)], isInt = code < 0x80 || code >= 0xe0;
    const short = { kind: isInt ? "int" : code < 0x90 ? "map" : code < 0xa0 ? "array" : "text" };
    const { kind, get, bytes, length } = HEADERS[code - 0xc0] ?? short;
    if (isInt) this.found = code < 0x80 ? code : code - 256;
    else if (code < 0xc0) this.found = code & (code < 0xa0 ? 15 : 31);
    else {
      if (bytes) this.found = this.view[get](this.take(bytes, end));
      else this.found = kind === "ext" ? length : code === 0xc0 ? null : code === 0xc3;
      if (kind === "int" && bytes === 8) this.found = shrink(this.found);
      if (kind === "ext") this.type = this.view.getInt8(this.take(1, end));
      if (kind === "none") bad("c1 is no msgpack");
    }
    if (LEAST[kind] && this.found * LEAST[kind] > end - this.at) bad(`${kind} that promises more than there is`);
    return kind;
  }
  private value(end: number, place: Place): any {
    const start = this.at, kind = this.header(end), { found } = this, inner = place === "back" ? "free" : place;
    if (this.isLong) this.weigh(kind, start);
    switch (kind) {
      case "text": return textOf(this.data(found, end));
      case "bin": return this.data(found, end).slice();
      case "array": return this.array(found, end, () => inner);
      case "map": return this.map(found, end, inner);
      case "ext": return place === "exact" ? bad("an Ext at a bad place") : this.ext(this.type, this.at + found, place);
      case "float": return place === "exact" ? NaN : found; // which nobody takes for an integer
      default: return found;
    }
  }
  private members(count: number, read: (i: number) => void): void {
    const { scope } = this;
    scope.native = Math.max(scope.native, ++scope.level);
    this.limit("depth", ++this.path);
    this.limit("containers", ++this.containers);
    for (let i = 0; i < count; i++) read(i);
    scope.level--;
    this.path--;
  }
  private put(on: any, key: string | number, value: unknown): void {
    if (value instanceof Hole) this.holes.push({ on, key, part: value.part });
    if (key === "__proto__") assign(on, { ["__proto__"]: value });
    else on[key] = value;
  }
  private array(count: number, end: number, place: (i: number, into: any[]) => Place): any[] {
    const into: any[] = [];
    this.members(count, (i) => this.put(into, i, this.value(end, place(i, into))));
    return into;
  }
  private map(count: number, end: number, place: Place): State {
    const into: State = {};
    this.members(count, () => {
      if (this.header(end) !== "text") bad("a key of a map that is no text");
      const key = textOf(this.data(this.found, end));
      this.put(into, key, this.value(end, place));
    });
    return into;
  }
  private ext(type: number, end: number, place: Place): unknown {
    if (type !== 21) this.scope.weight = Math.max(this.scope.weight, 1);
    if (type !== -1) this.limit("exts", ++this.exts);
    if (type === 20) bad("GRAPH that is not the root");
    if (type === 11 || ARRAYS[type]) return this.container(type, end, place);
    const data = this.data(end - this.at, end);
    const scalar = SCALARS.get(type), what = IDS[type];
    if (scalar) return this.attempt(() => scalar[2](data));
    if (!what && type !== 21) return this.refuse(new BadPayload(`ext ${type} is not known`));
    if (![1, 2, 4, 8].includes(data.length)) bad("an id has 1, 2, 4 or 8 bytes");
    const id = checkId(data.reduce((sum, byte) => sum * 256 + byte, 0), what && what !== "home" ? 1 : 0);
    return what ? this.attempt(() => this.tables![what](id)) : this.node(id, place);
  }
  /** What has values of its own as its data: an array, or the map of an error. These are a scope for the depth. */
  private container(type: number, end: number, place: Place): unknown {
    const outer = this.scope, holes = this.holes.length, tables = this.tables!;
    const [places, fixed] = ARRAYS[type] ?? [() => place];
    this.scope = { level: 0, native: 0, weight: 0 };
    this.limit("depth", ++this.path);
    if (this.header(end) !== (type === 11 ? "map" : "array")) bad(`ext ${type} of another form`);
    const isFit = type === 19 ? this.found % 2 === 0 : this.found === (fixed ?? this.found);
    if (!isFit) bad(`ext ${type} of ${this.found} elements`);
    let cache: ReturnType<Tables["cache"]>;
    const within = place === "key" ? place : "back";
    const data: any = type === 11 ? this.map(this.found, end, within) : this.array(this.found, end, (i, into) => {
      if (type === 9 && i === 2) cache = this.cache(into[0], into[1]); // before its state is read (PB-C5)
      return place === "key" && places(i) !== "exact" ? "key" : places(i);
    });
    if (this.at !== end) bad("bytes behind the data of an Ext");
    this.path--;
    outer.weight = Math.max(outer.weight, 1 + this.scope.native + this.scope.weight);
    this.scope = outer;
    const hasHoles = this.holes.length > holes;
    return this.attempt(() => {
      switch (type) {
        case 4: return tables.ref(checkId(data[0], 1), isMap(data[1]) ? data[1] : bad("REFX whose meta is no map"));
        case 8: return this.copy(data[0], data[1], hasHoles);
        case 9: return this.later(hasHoles, cache.value, () => cache.fill(data[2]));
        case 11: return this.error(data, hasHoles);
        case 16: return Tuple.from(data);
        case 17: return new Set(this.keys(data));
        case 18: return new FrozenSet(this.keys(data));
        default: return new Map(this.keys(data, 2).map((one, i) => [one, data[2 * i + 1]]));
      }
    });
  }
  private error(map: any, hasHoles: boolean): unknown {
    if (this.violation) return undefined; // perhaps within this map, which is then not as it was said
    const refused = checkErrorMap(map) ?? (hasHoles ? new Unsupported("a later NODE in an error") : undefined);
    return refused ? raise(refused) : this.registry.buildError(map);
  }
  private cache(id: unknown, name: unknown): ReturnType<Tables["cache"]> {
    const entry = typeof name === "string" ? this.registry.named("cache", name) : bad("CACHE whose name is no text");
    if (!entry) this.refuse(new Unregistered("a cache of a class that is not registered"));
    return this.tables!.cache(checkId(id, 1), entry);
  }
  private copy(name: unknown, state: unknown, hasHoles: boolean): unknown {
    const entry = typeof name === "string" ? this.registry.named("copy", name) : bad("COPY whose name is no text");
    if (!entry) throw new Unregistered("a copy of a class that is not registered");
    if (this.violation) return undefined;
    const value = entry.make.fromState ? undefined : Object.create(entry.make.prototype);
    if (value) return this.later(hasHoles, value, () => fill(value, entry, state));
    if (hasHoles) throw new Unsupported(`${name} is made from its finished state`);
    try {
      return entry.make.fromState!(state);
    } catch { throw new BadPayload(`${name} cannot be made from this state`); }
  }
  /** Fill a value from its state, behind the last part if that is not finished yet. */
  private later(hasHoles: boolean, value: unknown, fillIn: () => void): unknown {
    if (hasHoles) this.fills.push(fillIn);
    else if (!this.violation) fillIn();
    return value;
  }
  /** Every one, or every second, of these as members of a set or keys of a map. */
  private keys(all: unknown[], every = 1): unknown[] {
    const keys = all.filter((_, i) => i % every === 0);
    this.floodable += keys.filter(isFloodable).length;
    if (this.floodable > this.limits.floodable) throw new TooLarge(`max_floodable_keys is ${this.limits.floodable}`);
    return keys.every(isHashable) ? keys : raise(new BadPayload("a key or member that cannot be one"));
  }
  private graph(end: number): unknown {
    this.partCount = this.header(end) === "array" ? this.found : 0;
    if (this.partCount === 0) bad("GRAPH is an array of parts");
    this.limit("exts", (this.exts += 1 + this.partCount));
    this.containers++;
    while (this.parts.length < this.partCount) {
      if (this.header(end) !== "bin") bad("a part of a GRAPH that is no bin");
      this.parts.push(this.whole(this.at + this.found, "back"));
      this.depths.push(this.scope.native + this.scope.weight);
    }
    if (this.at !== end) bad("bytes behind the parts of a GRAPH");
    if (this.violation) return undefined;
    for (const { on, key, part } of this.holes) this.put(on, key, this.parts[part]);
    for (const fillIn of this.fills) this.attempt(fillIn);
    return this.parts.at(-1);
  }
  private node(j: number, place: Place): unknown {
    const { parts, partCount, scope } = this;
    scope.weight = Math.max(scope.weight, this.depths[j] ?? 1);
    if (j >= partCount || place === "key" || (j >= parts.length && place !== "free"))
      return this.refuse(new BadPayload("a NODE at a forbidden place"));
    return j < parts.length ? parts[j] : new Hole(j);
  }
}
