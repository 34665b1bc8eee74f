/** Errors: those of the protocol, those of applications, and those that stay at home. Spec: 5-errors.md. */
import { utf8 } from "./bytes.js";
import { assign, isMap } from "./values.js";

export interface ErrorMap {
  type: string;
  msg: string;
  bases?: string[];
  data?: unknown;
  cause?: ErrorMap;
  notes?: string[];
}

/** Any error of Perspective Broker; `type` is its wire name. What came with it is not shown when it is
 * printed. */
export class PbError extends Error {
  type = "pb.Error";
  declare bases: string[];
  declare data: unknown;
  declare notes: string[];
  constructor(message = "", data?: unknown) {
    super(message);
    hide(this, { bases: [], data, notes: [] });
  }
}
const hide = (on: object, what: Record<string, unknown>): void => assign(on, what, false);

/** An error of the peer whose class is not registered here: told apart by `type` and `bases`. */
export class RemoteError extends PbError {}
const local = (type: string, base: typeof PbError = PbError) =>
  class extends base {
    override type = type;
    override name = type;
  };
export class NoSuchObject extends local("pb.NoSuchObject") {}
export class NoSuchMethod extends local("pb.NoSuchMethod") {}
export class BadArguments extends local("pb.BadArguments") {}
export class BadPayload extends local("pb.BadPayload") {}
export class Unregistered extends local("pb.Unregistered") {}
export class TooLarge extends local("pb.TooLarge") {}
export class Busy extends local("pb.Busy") {}
export class Unsupported extends local("pb.Unsupported") {}
export class Forbidden extends local("pb.Forbidden") {}
export class Cancelled extends local("pb.Cancelled") {}
export class DeadlineExceeded extends local("pb.DeadlineExceeded") {}
export class Gone extends local("pb.Gone") {}
export class NotPipelinable extends local("pb.NotPipelinable") {}
export class BrokenPromise extends local("pb.BrokenPromise") {}
export class LoginFailed extends local("pb.LoginFailed") {}
export class Internal extends local("pb.Internal") {}
/** The connection is gone. These never travel. */
export class ConnectionLost extends local("pb.ConnectionLost") {}
/** The call certainly did not run; it may be made again. */
export class NotExecuted extends local("pb.NotExecuted", ConnectionLost) {}
/** The call may have run. */
export class OutcomeUnknown extends local("pb.OutcomeUnknown", ConnectionLost) {}
/** A value has no wire form, or would break a limit of the peer; nothing was sent. */
export class NotSendable extends local("pb.NotSendable") {}
/** The peer broke a rule, or is not who it should be: the connection is closed with this BYE code. */
export class ProtocolError extends local("pb.ProtocolError") {
  constructor(readonly code: number, message: string) {
    super(message);
  }
}
export const malformed = (message: string, code = 4): ProtocolError => new ProtocolError(code, message);

export const PROTOCOL_ERRORS: ReadonlyMap<string, typeof PbError> = new Map<string, typeof PbError>(
  [NoSuchObject, NoSuchMethod, BadArguments, BadPayload, Unregistered, TooLarge, Busy, Unsupported, Forbidden,
    Cancelled, DeadlineExceeded, Gone, NotPipelinable, BrokenPromise, LoginFailed, Internal,
  ].map((one) => [new one().type, one]),
);

/** Errors that came as the answer to a call. A `pb.*` one that a method lets escape says nothing about *its*
 * call (PB-E10). */
export const answered = new WeakSet<object>();

const cut = (text: string, most = 4096): string => {
  const bytes = utf8.encode(text);
  if (bytes.length <= most) return text;
  let end = most;
  while ((bytes[end] & 0xc0) === 0x80) end--;
  return new TextDecoder().decode(bytes.subarray(0, end));
};

/** Check an error map as PB-E1 says; throw if it is malformed, return what makes it unacceptable or nothing.
 * */
export function checkErrorMap(map: unknown): PbError | undefined {
  let found: PbError | undefined;
  const seen = new Set<unknown>();
  for (let one: any = map; one !== undefined && !seen.has(one); one = one.cause) {
    seen.add(one);
    const isTexts = (x: unknown): boolean => Array.isArray(x) && x.every((y) => typeof y === "string");
    const isFit = isMap(one) && typeof one.type === "string" && typeof one.msg === "string" &&
      [one.bases, one.notes].every((x) => x === undefined || isTexts(x)) &&
      (one.trace === undefined || typeof one.trace === "string") &&
      (!Object.hasOwn(one, "cause") || isMap(one.cause));
    if (!isFit)
      throw malformed("an error map has the keys of the table, of their types");
    const length = utf8.encode(one.type).length;
    if (length < 1 || length > 128) found ??= new BadPayload("the type of an error has 1 to 128 bytes");
  }
  return found;
}

type ErrorClass = new (message?: string, data?: any) => Error;

/** The error classes of an application, by wire name; part of Registry. */
export class ErrorTable {
  private readonly byName = new Map<string, ErrorClass>();
  private readonly byClass = new Map<Function, string>();

  add(name: string, make: ErrorClass): void {
    if (name.startsWith("pb.")) throw new TypeError(`${name}: names with pb. belong to the protocol`);
    this.byName.set(name, make);
    this.byClass.set(make, name);
  }

  /** Build the error that a checked map tells of. */
  build(map: ErrorMap): PbError | Error {
    let error: any;
    const names = [map.type, ...(map.bases ?? [])];
    const make = names.map((name) => this.byName.get(name) ?? PROTOCOL_ERRORS.get(name)).find((one) => one);
    const msg = cut(map.msg);
    try {
      error = make ? new (make as ErrorClass)(msg, map.data) : new RemoteError(msg, map.data);
    } catch {
      error = new BadPayload(`${cut(map.type, 128)} cannot be built from what came`);
    }
    if (error.type !== map.type) hide(error, { type: map.type });
    error.name = map.type;
    const notes = (map.notes ?? []).slice(0, 64).map((note) => cut(note));
    hide(error, { bases: map.bases ?? [], data: map.data, notes });
    if (map.cause) hide(error, { cause: this.build(map.cause) });
    answered.add(error);
    return error;
  }

  /** What a peer may be told of an error (PB-E4, PB-E5), and whether that was everything. */
  tell(error: unknown, log: (ref: string, error: unknown) => void): ErrorMap {
    const names: string[] = [];
    for (let one = Object.getPrototypeOf(error ?? {})?.constructor; one; one = Object.getPrototypeOf(one)) {
      const name = one === PbError ? "pb.Error" : this.byClass.get(one);
      if (name) names.push(name);
    }
    if (names.length && names[0] !== "pb.Error") {
      const [type, ...bases] = names;
      const { message, data } = error as PbError;
      return { type, msg: cut(message), ...(bases.length && { bases }), ...(data !== undefined && { data }) };
    }
    const type = error instanceof PbError && PROTOCOL_ERRORS.has(error.type) ? error.type : "pb.Internal";
    if (error instanceof PbError && type !== "pb.Internal" && !answered.has(error)) {
      const cause = error instanceof BrokenPromise && (error.cause as ErrorMap | undefined);
      return { type, msg: cut(error.message), ...(cause && { cause }) };
    }
    const ref = crypto.randomUUID().slice(0, 8);
    log(ref, error);
    return { type: "pb.Internal", msg: "internal error", data: { ref } };
  }
}
