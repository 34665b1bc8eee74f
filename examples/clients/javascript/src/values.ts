/** Values that JavaScript has no type for, and the tables of classes that may cross. Spec: 1-values.md. */
import { ErrorTable } from "./errors.js";

/** A fixed sequence; an array everywhere but on the wire, and as a key of a map. */
export class Tuple extends Array<unknown> {}
/** A set that its owner does not change. */
export class FrozenSet<T = unknown> extends Set<T> {}
class Text {
  constructor(readonly text: string) {}
  toString(): string {
    return this.text;
  }
}
/** A decimal number as its digits: "1.10", "1E+3", "NaN". */
export class Decimal extends Text {
  static readonly form = /^(-?([0-9]+(\.[0-9]+)?(E[+-][0-9]+)?|Infinity)|NaN)$/;
}
/** A date, a time of day ("T12:30:00"), or both without UTC. */
export class Civil extends Text {
  static readonly form = /^(\d{4})-(\d\d)-(\d\d)(?:T(\d\d):(\d\d):(\d\d)(?:\.\d{6})?([+-]\d\d:\d\d)?)?$|^T(\d\d):(\d\d):(\d\d)(?:\.\d{6})?$/;
  static isValid(text: string): boolean {
    const found = Civil.form.exec(text);
    if (!found) return false;
    const [year, month, day, h, m, s] = [1, 2, 3, 4, 5, 6].map((i) => Number(found[i] ?? 0));
    if (found[8]) return Number(found[8]) < 24 && Number(found[9]) < 60 && Number(found[10]) < 60;
    const leap = (year % 4 === 0 && year % 100 !== 0) || year % 400 === 0;
    const days = [31, leap ? 29 : 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31][month - 1];
    const offset = found[7] ?? "+00:00";
    return year >= 1 && day >= 1 && day <= (days ?? 0) && h < 24 && m < 60 && s < 60 && offset.slice(1, 3) < "24" && offset.slice(4) < "60";
  }
}
export class Uuid extends Text {}
/** Something stood here that could not be sent; the text says why. */
export class Opaque extends Text {}
/** A length of time: seconds + ns / 10^9, with 0 <= ns < 10^9. */
export class Duration {
  constructor(readonly seconds: bigint, readonly ns = 0) {}
  get milliseconds(): number {
    return Number(this.seconds) * 1000 + this.ns / 1e6;
  }
}

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
/** The method that a call runs. Only functions of classes below `stop` count, never what Object or a state brought. */
export function findMethod(object: object, prefix: string, name: string): Function | undefined {
  if (!/^[A-Za-z][A-Za-z0-9_]{0,127}$/.test(name)) return undefined;
  const table = served.get(object);
  if (table) return prefix === "remote_" ? table.get(name) : undefined;
  for (let at = Object.getPrototypeOf(object); at && at !== Object.prototype; at = Object.getPrototypeOf(at)) {
    const found = Object.getOwnPropertyDescriptor(at, prefix + name)?.value;
    if (found !== undefined) return typeof found === "function" ? found : undefined;
  }
  return undefined;
}

export type State = Record<string, unknown>;
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
  make: new (...args: any[]) => object;
  options: CopyOptions<any>;
  tracked?: readonly string[];
}
export const isMap = (x: unknown): x is State =>
  typeof x === "object" && x !== null && [Object.prototype, null].includes(Object.getPrototypeOf(x));
/** Set own fields; never a prototype, whatever a key is called. */
export function assign(on: object, state: State): void {
  for (const key of Object.keys(state))
    Object.defineProperty(on, key, { value: state[key], writable: true, enumerable: true, configurable: true });
}

/** The classes that may cross: copies, caches and errors, each by its wire name. */
export class Registry {
  readonly copies = new Map<string, Entry>();
  readonly caches = new Map<string, Entry>();
  readonly errors = new ErrorTable();
  private readonly classes = new Map<Function, Entry>();

  copy<T extends object>(name: string, make: new (...args: any[]) => T, options: CopyOptions<T> = {}): this {
    return this.add(this.copies, { name, make, options });
  }
  /** A class for replicas (its `observe_` methods take the updates), and for originals if it is a Cacheable. */
  cache<T extends object>(name: string, make: new (...args: any[]) => T, options: CopyOptions<T> = {}): this {
    return this.add(this.caches, { name, make, options });
  }
  /** A class for replicas that follows the five updates of tracked state (8-tracked.md). */
  tracked<T extends object>(name: string, make: new (...args: any[]) => T, fields: readonly string[]): this {
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
    if (!/^[A-Za-z][A-Za-z0-9_.-]{0,127}$/.test(entry.name)) throw new TypeError(`${entry.name} is no wire name`);
    table.set(entry.name, entry);
    this.classes.set(entry.make, entry);
    return this;
  }
}
