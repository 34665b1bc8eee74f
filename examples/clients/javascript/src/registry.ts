/** What may cross: objects that publish methods, and the classes of copies, caches and errors by their wire
 * names. */
import { BadPayload, ErrorTable } from "./errors.js";
import { isMap, State } from "./values.js";

/** Base of objects that peers may call: their methods that begin with `remote_`. */
export class Referenceable {}
const served = new WeakMap<object, ReadonlyMap<string, Function>>();
/** An object with an explicit table of the methods that peers may call. */
export function serve(methods: Record<string, (...args: any[]) => unknown>): object {
  const object = Object.freeze(Object.create(null));
  served.set(object, new Map(Object.entries(methods)));
  return object;
}
export const isServed = (x: object): boolean => x instanceof Referenceable || served.has(x);
export const isName = (name: unknown): name is string =>
  typeof name === "string" && /^[A-Za-z][A-Za-z0-9_]{0,127}$/.test(name);
/** The method that a call runs. Only functions of classes count, never what Object or a state brought. */
export function findMethod(object: object, prefix: string, name: string): Function | undefined {
  if (!isName(name)) return undefined;
  const table = served.get(object);
  if (table) return prefix === "remote_" ? table.get(name) : undefined;
  const above = Object.getPrototypeOf;
  for (let at = above(object); at && at !== Object.prototype; at = above(at)) {
    const found = Object.getOwnPropertyDescriptor(at, prefix + name)?.value;
    if (found !== undefined) return typeof found === "function" ? found : undefined;
  }
  return undefined;
}

type Class<T extends object = object> = new (...args: any[]) => T;
export interface CopyOptions<T> {
  /** What is sent of an object; all its own fields if absent. */
  state?: (object: T) => unknown;
  /** Make the object from what came; else its fields are those of the state. */
  build?: (state: any) => T;
  /** Fields without which a state is refused. */
  fields?: readonly string[];
}
export interface Entry {
  name: string;
  make: Class;
  options: CopyOptions<any>;
  tracked?: readonly string[];
}
/** Refuse a state that the class cannot do without or take. */
export function checkState(entry: Entry, state: unknown): asserts state is State {
  if (!isMap(state)) throw new BadPayload(`the state of ${entry.name} is a map`);
  const missing = entry.options.fields?.find((field) => !Object.hasOwn(state, field));
  if (missing !== undefined) throw new BadPayload(`${entry.name} needs ${missing}`);
}

/** The classes that may cross: copies, caches and errors, each by its wire name. */
export class Registry {
  readonly copies = new Map<string, Entry>();
  readonly caches = new Map<string, Entry>();
  readonly errors = new ErrorTable();
  private readonly classes = new Map<Function, Entry>();

  copy<T extends object>(name: string, make: Class<T>, options: CopyOptions<T> = {}): this {
    return this.add(this.copies, { name, make, options });
  }
  /** A class for replicas (its `observe_` methods take the updates), and for originals if it is a Cacheable.
   * */
  cache<T extends object>(name: string, make: Class<T>, options: CopyOptions<T> = {}): this {
    return this.add(this.caches, { name, make, options });
  }
  /** A class for replicas that follows the five updates of tracked state (8-tracked.md). */
  tracked<T extends object>(name: string, make: Class<T>, fields: readonly string[]): this {
    return this.add(this.caches, { name, make, options: {}, tracked: fields });
  }
  error(name: string, make: new (message?: string, data?: any) => Error): this {
    this.errors.add(name, make);
    return this;
  }
  entryOf(object: object): Entry | undefined {
    return this.classes.get(Object.getPrototypeOf(object)?.constructor);
  }
  private add(table: Map<string, Entry>, entry: Entry): this {
    if (!/^[A-Za-z][A-Za-z0-9_.-]{0,127}$/.test(entry.name))
      throw new TypeError(`${entry.name} is no wire name`);
    table.set(entry.name, entry);
    this.classes.set(entry.make, entry);
    return this;
  }
}
