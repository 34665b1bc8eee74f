/** Caches: originals, replicas, and tracked state. Spec: 7-caches.md, 8-tracked.md. */
import { BadArguments, BadPayload, NoSuchMethod } from "./errors.js";
import { checkState, Entry, findMethod, isName } from "./registry.js";
import { assign, isHashable, isMap, State } from "./values.js";

/** What an original tells one replica by. */
export interface Observer {
  send(method: string, ...args: unknown[]): void;
  ask(method: string, ...args: unknown[]): Promise<unknown>;
}
const observersOf = new WeakMap<object, Set<Observer>>();
const watchersOf = (object: object): Set<Observer> => {
  let found = observersOf.get(object);
  if (!found) observersOf.set(object, (found = new Set()));
  return found;
};
/** Base of originals: sent as a copy that is kept up to date by `notify`. */
export abstract class Cacheable {
  /** The state that a replica begins with. */
  stateToCache(): unknown {
    return { ...this };
  }
  /** Called once for each replica that is no longer told. */
  stoppedObserving(_observer: Observer): void {}
  /** Run `observe_` + method at every replica. */
  notify(method: string, ...args: unknown[]): void {
    for (const one of watchersOf(this)) one.send(method, ...args);
  }
}
export const startObserving = (original: Cacheable, observer: Observer): void =>
  void watchersOf(original).add(observer);
export const stopObserving = (original: Cacheable, observer: Observer): void => {
  if (watchersOf(original).delete(observer)) original.stoppedObserving(observer);
};

type Listener = (method: string, args: unknown[]) => void;
/** Of the proxy of a replica that lives: what was counted for it. */
export interface Hold {
  count: number;
  replica: Replica;
}
/** One replica. The state is in `core`, which lives until GONE; the application has a proxy of it, whose
 * loss is noticed. */
export class Replica {
  readonly core: object;
  stale = false;
  hold: Hold | undefined;
  handle: WeakRef<object> | undefined;
  readonly listeners = new Set<Listener>();
  constructor(readonly id: number, readonly entry: Entry, readonly owner: object) {
    this.core = Object.create(entry.make.prototype) as object;
    replicas.set(this.core, this);
  }
  newHandle(): object {
    const handle = new Proxy(this.core, {});
    replicas.set(handle, this);
    this.handle = new WeakRef(handle);
    this.hold = { count: 0, replica: this };
    return handle;
  }
  fill(state: unknown): void {
    checkState(this.entry, state);
    const { tracked } = this.entry;
    const fields = Object.entries(state).filter(([key]) => !tracked || tracked.includes(key));
    assign(this.core, Object.fromEntries(fields));
  }
  /** Apply an update; throws if it cannot be. A promise if the method of the class gives one. */
  apply(method: string, args: unknown[], kwargs: State): unknown {
    const found = findMethod(this.core, "observe_", method);
    let result: unknown;
    if (found)
      result = Reflect.apply(found, this.core, bind(found, "observe_" + method, this.core, args, kwargs));
    else if (this.entry.tracked) track(this.core as State, this.entry.tracked, method, args, kwargs);
    else throw new NoSuchMethod("no such update");
    for (const listener of this.listeners) listener(method, args);
    return result;
  }
}
const replicas = new WeakMap<object, Replica>();
export const replicaOf = (object: object): Replica | undefined => replicas.get(object);
function known(object: object): Replica {
  const found = replicas.get(object);
  if (!found) throw new TypeError("this is no replica");
  return found;
}
/** Whether a replica no longer follows its original. */
export const isStale = (replica: object): boolean => known(replica).stale;
/** Be told of every update of a replica, and by `"stale"` when it follows no longer; returns how to end that.
 * It keeps the replica alive. */
export function onChange(replica: object, listener: Listener): () => void {
  const { listeners } = known(replica);
  const held: Listener = (method, args) => void (replica && listener(method, args));
  listeners.add(held);
  return () => void listeners.delete(held);
}

/** The arguments of a method in their order; by name too if its class says `static parameters = { remote_x:
 * ["a", "b"] }`. */
export function bind(method: Function, name: string, object: object, args: unknown[], kwargs: State):
  unknown[] {
  const table = (object.constructor as { parameters?: Record<string, string[]> } | undefined)?.parameters;
  const names = table && Object.hasOwn(table, name) ? table[name] : undefined;
  const bound = [...args];
  for (const key of Object.keys(kwargs)) {
    const at = names?.indexOf(key) ?? -1;
    if (at < args.length)
      throw new BadArguments("an argument by a name that the method does not publish, or twice");
    bound[at] = kwargs[key];
  }
  const given = bound.filter((_, i) => i in bound).length;
  if (given < method.length || (names && bound.length > names.length))
    throw new BadArguments(`${names?.length ?? method.length} arguments are wanted, ${given} came`);
  return bound;
}

function track(on: State, fields: readonly string[], method: string, args: unknown[], kwargs: State): void {
  const counts: Record<string, number> = { set: 2, splice: 4, put: 3, drop: 2, hide: 1 };
  const bad = (): never => {
    throw new BadPayload("an update that breaks a rule of tracked state");
  };
  const [field, a, b, c] = args;
  if (!Object.hasOwn(counts, method)) throw new NoSuchMethod("no such update");
  if (args.length !== counts[method] || Object.keys(kwargs).length || !isName(field)) return bad();
  if (!fields.includes(field)) return;
  if (method === "set") return assign(on, { [field]: a });
  if (method === "hide") return void delete on[field];
  const value: any = Object.hasOwn(on, field) ? on[field] : undefined;
  if (method === "splice") {
    const isIndex = (x: unknown): x is number => Number.isSafeInteger(x) && (x as number) >= 0;
    if (!Array.isArray(value) || !isIndex(a) || !isIndex(b) || a + b > value.length || !Array.isArray(c))
      return bad();
    on[field] = [...value.slice(0, a), ...c, ...value.slice(a + b)];
    return;
  }
  if (!(value instanceof Map || isMap(value)) || !isHashable(a)) return bad();
  const isRecord = isMap(value) && typeof a === "string";
  const has = isMap(value) ? isRecord && Object.hasOwn(value, a) : value.has(a);
  if (method === "drop" && !has) return bad();
  if (isRecord) method === "put" ? assign(value, { [a]: b }) : delete value[a];
  else {
    const map = isMap(value) ? (on[field] = new Map<unknown, unknown>(Object.entries(value))) : value;
    method === "put" ? map.set(a, b) : map.delete(a);
  }
}
