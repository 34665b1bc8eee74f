/** References to objects of the peer, and calls on them and on results to come. Spec: 4-references.md,
 * 11-pipelining.md. */
import type { Calls } from "./calls.js";
import type { Connection } from "./connection.js";
import { RemoteStream } from "./streams.js";
import type { Trace } from "./trace.js";
import type { State } from "./values.js";

export interface CallOptions {
  /** Ends the call: CANCEL is sent, and the promise is rejected with the reason of the signal. */
  signal?: AbortSignal;
  /** How many milliseconds the answer is waited for. */
  ttl?: number;
  /** Arguments by name. */
  named?: State;
  meta?: Record<string, string>;
  /** Which piece of work it is part of. */
  trace?: Trace;
}
/** Of one handle: what was counted for it. */
export interface Import {
  id: number;
  count: number;
  pins: number;
  gone: boolean;
  released: boolean;
  handle: WeakRef<RemoteReference>;
}
/** The methods of an interface as those of a remote object. */
export type Remote<T> = T & { readonly reference: RemoteReference };

/** An object of the peer. The same object is the same reference, as long as this one is held. */
export class RemoteReference {
  /** @internal */
  constructor(readonly connection: Connection, readonly entry: Import, readonly meta: State = {}) {}

  call(method: string, ...args: unknown[]): Promise<any> {
    return this.callWith({}, method, ...args);
  }
  callWith(options: CallOptions, method: string, ...args: unknown[]): Promise<any> {
    return this.connection.calls.call(this, method, args, options);
  }
  /** Call without wanting an answer. */
  notify(method: string, ...args: unknown[]): void {
    this.connection.calls.notify(this, method, args);
  }
  /** Give the reference up now; else that happens when it is collected. */
  release(): void {
    this.connection.imports.release(this.entry);
  }
  /** This object with its methods as methods: `await ref.as<Shop>().price("tea")`. */
  as<T extends object = Record<string, (...args: any[]) => any>>(): Remote<T> {
    return methods(this, (method, args) => streaming(this.call(method, ...args))) as Remote<T>;
  }
  /** The same, but what a method returns can be called before it has come: `await
   * ref.pipe().library().find("sicp").title()`. */
  pipe(): Pipe {
    return methods(this, (method, args) => this.connection.calls.pipe(this, method, args)) as Pipe;
  }
}
export type Pipe =
  { [method: string]: (...args: any[]) => Pipelined } & { readonly reference: RemoteReference };
export type Pipelined = Pipe & Promise<any>;

function methods(reference: RemoteReference, call: (method: string, args: unknown[]) => unknown): object {
  return new Proxy(Object.create(null) as object, {
    get: (_, name) => {
      if (name === "reference") return reference;
      const isMethod = typeof name === "string" && name !== "then"; // else it would be taken for a promise
      return isMethod ? (...args: unknown[]) => call(name, args) : undefined;
    },
  });
}
/** A promise of a stream is something to iterate over, too. */
function streaming(promise: Promise<any>): Promise<any> & AsyncIterable<unknown> {
  return Object.assign(promise, {
    async *[Symbol.asyncIterator]() {
      const found: unknown = await promise;
      if (!(found instanceof RemoteStream)) throw new TypeError("the result is no stream");
      yield* found;
    },
  });
}

/** A call whose result others use before it is there. */
export class Kept {
  id = 0; // 0: the call was made without `keep`, or its result can be named no more
  users = 1; // the call itself, and those that name it and are not answered
  isNamed = false; // known before the call is sent
  constructor(readonly promise: Promise<any>) {}
}
const kepts = new WeakMap<object, Kept>();
export const keptOf = (value: unknown): Kept | undefined =>
  typeof value === "object" && value !== null ? kepts.get(value) : undefined;
export function pipelined(calls: Calls, kept: Kept): Pipelined {
  const { promise } = kept;
  promise.catch(() => undefined);
  const proxy = new Proxy(promise, {
    get: (target, name) => {
      if (typeof name === "symbol" || ["then", "catch", "finally"].includes(name)) {
        const found: unknown = Reflect.get(target, name);
        return typeof found === "function" ? found.bind(target) : found;
      }
      return (...args: unknown[]) => calls.pipe(proxy as Pipelined, name, args);
    },
  });
  kepts.set(proxy, kept);
  return proxy as Pipelined;
}
