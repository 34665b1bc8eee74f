/** Caches: originals, replicas, and tracked state. Spec: 7-caches.md, 8-tracked.md. */
import type { Connection } from "./connection.js";
import { BadPayload, NoSuchMethod, raise } from "./errors.js";
import { bind, Entry, findMethod, isName } from "./registry.js";
import { assign, isHashable, isMap, State } from "./values.js";
type Tell = (method: string, args: unknown[]) => void;
/** Base of originals: sent as a copy that is kept up to date by `notify`. */
export abstract class Cacheable {
  #observers = new Set<Tell>();
  /** The state that a replica begins with. */
  stateToCache(): unknown { return { ...this }; }
  /** Called once for each replica that is no longer told. */
  stoppedObserving(): void {}
  /** Run `observe_` + method at every replica. */
  notify(method: string, ...args: unknown[]): void { for (const tell of this.#observers) tell(method, args); }
  /** @internal Tell a replica from now on; returns how that is ended. */
  static observe(original: Cacheable, tell: Tell): () => void {
    original.#observers.add(tell);
    return () => void (original.#observers.delete(tell) && original.stoppedObserving());
  }
}
/** One replica. The state is in `core`, which lives until GONE; the application has a proxy of it, to see its loss. */
export class Replica {
  readonly core: object;
  readonly listeners = new Set<Tell>();
  isStale = false;
  constructor(readonly id: number, readonly entry: Entry, readonly connection: Connection) {
    this.core = Object.create(entry.make.prototype) as object;
  }
  newHandle(): object {
    const handle = new Proxy(this.core, {});
    replicas.set(handle, this).set(this.core, this);
    return handle;
  }
  /** Apply an update; throws if it cannot be. A promise if the method of the class gives one. */
  apply(method: string, args: unknown[], kwargs: State): unknown {
    const { core, entry: { tracked } } = this;
    const found = findMethod(core, "observe_", method);
    if (!found && (!tracked || Object.keys(kwargs).length)) throw new NoSuchMethod("no such update");
    const result = found
      ? Reflect.apply(found, core, bind(found, core, `observe_${method}`, args, kwargs))
      : track(core as State, tracked!, method, args);
    this.tell(method, args);
    return result;
  }
  becomeStale(): void {
    this.isStale = true;
    this.tell("stale", []);
  }
  /** A listener that fails is no fault of the update, nor of the connection. */
  private tell(method: string, args: unknown[]): void {
    for (const listener of this.listeners)
      try {
        listener(method, args);
      } catch (error) { this.connection.log("-", error); }
  }
}
const replicas = new WeakMap<object, Replica>();
export const replicaOf = (object: object): Replica | undefined => replicas.get(object);
/** Whether a replica no longer follows its original. */
export const isStale = (replica: object): boolean => known(replica).isStale;
function known(object: object): Replica { return replicas.get(object) ?? raise(new TypeError("this is no replica")); }
/** Be told of every update of a replica, which that keeps alive, and of `"stale"`; returns how to end it. */
export function onChange(replica: object, listener: Tell): () => void {
  const { listeners } = known(replica);
  const held: Tell = (method, args) => void (replica && listener(method, args));
  listeners.add(held);
  return () => void listeners.delete(held);
}
const COUNTS: Record<string, number> = { set: 2, splice: 4, put: 3, drop: 2, hide: 1 };
const isIndex = (x: any): x is number => Number.isSafeInteger(x) && x >= 0;
/** The five updates of tracked state (8.1): all or nothing. */
function track(on: State, fields: readonly string[], method: string, args: unknown[]): void {
  const [field, a, b, c] = args;
  if (!Object.hasOwn(COUNTS, method)) throw new NoSuchMethod("no such update");
  if (args.length !== COUNTS[method] || !isName(field)) throw new BadPayload("an update of a field has its arguments");
  if (!fields.includes(field)) return;
  const value = Object.hasOwn(on, field) ? on[field] : undefined;
  if (method === "set") assign(on, { [field]: a });
  else if (method === "hide") delete on[field];
  else if (method === "splice" && Array.isArray(value) && Array.isArray(c) && isIndex(a) && isIndex(b)) {
    if (a + b > value.length) throw new BadPayload("splice beyond the end");
    const tail = value.splice(a).slice(b); // not `splice` with many arguments: these stand on the stack
    for (const more of [c, tail]) for (const one of more) value.push(one);
  } else if (method === "put" && isMap(value) && isHashable(a)) {
    if (typeof a === "string") assign(value, { [a]: b });
    else on[field] = new Map<unknown, unknown>([...Object.entries(value), [a, b]]); // for it has other keys now
  } else if (method === "put" && value instanceof Map && isHashable(a)) value.set(a, b);
  else if (method === "drop" && isMap(value) && typeof a === "string" && Object.hasOwn(value, a)) delete value[a];
  else if (method === "drop" && value instanceof Map && value.has(a)) value.delete(a);
  else throw new BadPayload(`${method} of what is not there, or none for it`);
}
