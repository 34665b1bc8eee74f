/** What may cross: objects that publish methods, and the classes of copies, caches and errors by their wire names. */
import { BadArguments, BadPayload, BrokenPromise, cut, ErrorMap, PbError, printable, RemoteError, WIRE_ERRORS } from
  "./errors.js";
import { assign, isMap, State } from "./values.js";
/** Base of objects that peers may call: their methods that begin with `remote_`. */
export class Referenceable {}
const tables = new WeakMap<object, ReadonlyMap<string, Function>>();
/** An object with an explicit table of the methods that peers may call. */
export function serve(methods: Record<string, (...args: any[]) => unknown>): object {
  const object = Object.freeze(Object.create(null));
  tables.set(object, new Map(Object.entries(methods)));
  return object;
}
export const isServed = (x: object): boolean => x instanceof Referenceable || tables.has(x);
export const isName = (x: unknown): x is string => typeof x === "string" && /^[A-Za-z][A-Za-z0-9_]{0,127}$/.test(x);
/** The method that a call runs. Only what classes have counts, never what Object or a state brought. */
export function findMethod(object: object, prefix: string, name: string): Function | undefined {
  if (!isName(name)) return undefined;
  if (tables.has(object)) return tables.get(object)!.get(name);
  const above = Object.getPrototypeOf;
  for (let at = above(object); at && at !== Object.prototype; at = above(at)) {
    const found: unknown = Object.getOwnPropertyDescriptor(at, prefix + name)?.value; // never what a getter gives
    if (found !== undefined) return typeof found === "function" ? found : undefined;
  }
  return undefined;
}
/** The arguments of a method in order; by name too if its class says `static parameters = { remote_x: ["a", "b"] }`. */
export function bind(method: Function, object: object, name: string, args: unknown[], kwargs: State): unknown[] {
  const table: Record<string, string[]> = (object.constructor as any)?.parameters ?? {};
  const names = Object.hasOwn(table, name) ? table[name] : undefined;
  const bound = [...args];
  for (const key of Object.keys(kwargs)) {
    const at = names?.indexOf(key) ?? -1;
    if (at < args.length) throw new BadArguments("an argument by a name that the method does not publish, or twice");
    bound[at] = kwargs[key];
  }
  const given = bound.reduce<number>((sum) => sum + 1, 0); // without gaps
  if (given < method.length || (names && bound.length > names.length))
    throw new BadArguments(`${names?.length ?? method.length} arguments are wanted, ${given} came`);
  return bound;
}
/** A copy can say its own state, by `toState()`, and be made from that, by `static fromState(state)`. */
type Class = { new (...args: any[]): object; fromState?(state: unknown): unknown };
/** Fields without which a state is refused. */
export interface CopyOptions { fields?: readonly string[] }
export type Kind = "copy" | "cache" | "error";
export interface Entry extends CopyOptions { kind: Kind; name: string; make: Class; tracked?: readonly string[] }
/** Set the fields that came, or refuse a state that the class cannot do without or take. */
export function fill(object: object, { name, fields = [], tracked }: Entry, state: unknown): void {
  if (!isMap(state)) throw new BadPayload(`the state of ${name} is a map`);
  const missing = fields.find((field) => !Object.hasOwn(state, field));
  if (missing !== undefined) throw new BadPayload(`${name} needs ${missing}`);
  const wanted = tracked ? Object.entries(state).filter(([key]) => tracked.includes(key)) : Object.entries(state);
  assign(object, Object.fromEntries(wanted));
}
const only = (kind: Entry["kind"], entry?: Entry): Entry | undefined => (entry?.kind === kind ? entry : undefined);
/** Errors that came as an answer. A `pb.*` one that a method lets escape says nothing about *its* call (PB-E10). */
const answered = new WeakSet<object>();
/** The classes that may cross, each by its wire name. */
export class Registry {
  private readonly byName = new Map<string, Entry>();
  private readonly byClass = new Map<Function, Entry>();
  /** A class whose objects cross as copies: all their own fields. */
  copy = (name: string, make: Class, options: CopyOptions = {}): this => this.add("copy", name, make, options);
  /** A class for replicas, whose `observe_` methods take the updates, and for originals if it is a Cacheable. */
  cache = (name: string, make: Class, options: CopyOptions = {}): this => this.add("cache", name, make, options);
  /** A class for replicas that follows the five updates of tracked state (8-tracked.md). */
  tracked = (name: string, make: Class, tracked: readonly string[]): this => this.add("cache", name, make, { tracked });
  error = (name: string, make: new (message?: string, data?: any) => Error): this => this.add("error", name, make);
  private add(kind: Kind, name: string, make: Class, options: Partial<Entry> = {}): this {
    if (!/^(?!pb\.)[A-Za-z][\w.-]{0,127}$/.test(name)) throw new TypeError(`${name} is no wire name, or not yours`);
    const entry: Entry = { ...options, kind, name, make };
    this.byName.set(`${kind} ${name}`, entry);
    this.byClass.set(make, entry);
    return this;
  }
  named = (kind: Entry["kind"], name: string): Entry | undefined => this.byName.get(`${kind} ${name}`);
  of = (kind: Entry["kind"], object: object): Entry | undefined =>
    only(kind, this.byClass.get(Object.getPrototypeOf(object)?.constructor));
  /** Build the error that a checked map tells of (PB-E3). */
  buildError(map: ErrorMap): Error {
    const maps = [map];
    for (let cause = map.cause; cause; cause = cause.cause) maps.push(cause);
    return maps.reduceRight<Error | undefined>((cause, one) => this.buildOne(one, cause), undefined)!;
  }
  private buildOne({ type, msg, bases = [], data, notes = [] }: ErrorMap, cause: Error | undefined): Error {
    const classes = [type, ...bases].map((name) => this.named("error", name)?.make ?? WIRE_ERRORS.get(name));
    const make = (classes.find((one) => one) ?? RemoteError) as typeof PbError;
    const name = printable(cut(type, 128)), whole = cut(msg);
    let error: Error;
    try {
      error = new make(printable(whole), data);
      const { message, stack } = error, shown = printable(message); // its class may have made it of the data
      if (shown !== message) assign(error, { message: shown, stack: stack?.replace(message, () => shown) }, false);
    } catch { error = new BadPayload(`${name} cannot be built from what came`); }
    const told = { type, msg: whole, bases, data, notes: notes.slice(0, 64).map((note) => cut(note)) };
    assign(error, { ...told, name, ...(cause && { cause }) }, false);
    answered.add(error);
    return error;
  }
  /** What a peer may be told of an error (PB-E4, PB-E5); `log` gets the rest. */
  describeError(error: unknown, log: (ref: string, error: unknown) => void): ErrorMap {
    const types: string[] = [];
    for (let at = Object(error); (at = Object.getPrototypeOf(at)); ) {
      const name = at.constructor === PbError ? "pb.Error" : only("error", this.byClass.get(at.constructor))?.name;
      if (name) types.push(name);
    }
    const [type, ...bases] = types;
    if (type && type !== "pb.Error") {
      const { message, data, msg = "" } = error as PbError;
      const text = answered.has(error as PbError) ? msg : cut(message); // one that came goes on as it came
      return { type, msg: text, ...(bases.length && { bases }), ...(data !== undefined && { data }) };
    }
    const isOurs = error instanceof PbError && WIRE_ERRORS.has(error.type) && error.type !== "pb.Internal";
    if (isOurs && !answered.has(error)) {
      const cause = error instanceof BrokenPromise && (error.cause as ErrorMap | undefined);
      return { type: error.type, msg: cut(error.message), ...(cause && { cause }) };
    }
    const ref = crypto.randomUUID().slice(0, 8);
    log(ref, error);
    return { type: "pb.Internal", msg: "internal error", data: { ref } };
  }
}
