/** Errors: those of the protocol, those of applications, and those that stay at home. Spec: 5-errors.md. */
import { assign, isMap, State, utf8 } from "./values.js";

export type ErrorMap = { type: string; msg: string; bases?: string[]; notes?: string[]; data?: any; cause?: ErrorMap };
/** Any error of Perspective Broker. Of a peer's, `name` and `message` are shown, the rest is as it was sent. */
export class PbError extends Error {
  type = "pb.Error";
  declare bases: string[]; declare data: unknown; declare msg?: string; declare notes: string[];
  constructor(message = "", data?: unknown) {
    super(message);
    assign(this, { bases: [], data, notes: [] }, false);
  }
}
/** An error of the peer whose class is not registered here: told apart by `type` and `bases`. */
export class RemoteError extends PbError {}
const named = (type: string, base = PbError) =>
  class extends base {
    override type = type;
    override name = type;
  };
export class NoSuchObject extends named("pb.NoSuchObject") {}
export class NoSuchMethod extends named("pb.NoSuchMethod") {}
export class BadArguments extends named("pb.BadArguments") {}
export class BadPayload extends named("pb.BadPayload") {}
export class Unregistered extends named("pb.Unregistered") {}
export class TooLarge extends named("pb.TooLarge") {}
export class Busy extends named("pb.Busy") {}
export class Unsupported extends named("pb.Unsupported") {}
export class Forbidden extends named("pb.Forbidden") {}
export class Cancelled extends named("pb.Cancelled") {}
export class DeadlineExceeded extends named("pb.DeadlineExceeded") {}
export class Gone extends named("pb.Gone") {}
export class NotPipelinable extends named("pb.NotPipelinable") {}
export class BrokenPromise extends named("pb.BrokenPromise") {}
export class LoginFailed extends named("pb.LoginFailed") {}
export class Internal extends named("pb.Internal") {}
const OWN = [NoSuchObject, NoSuchMethod, BadArguments, BadPayload, Unregistered, TooLarge, Busy, Unsupported, Forbidden,
  Cancelled, DeadlineExceeded, Gone, NotPipelinable, BrokenPromise, LoginFailed, Internal];
export const WIRE_ERRORS: ReadonlyMap<string, typeof PbError> = new Map(OWN.map((one) => [new one().type, one]));
/** The connection is gone. This, and what follows, never travels. */
export class ConnectionLost extends named("pb.ConnectionLost") {}
/** The call certainly did not run; it may be made again. */
export class NotExecuted extends named("pb.NotExecuted", ConnectionLost) {}
/** The call may have run. */
export class OutcomeUnknown extends named("pb.OutcomeUnknown", ConnectionLost) {}
/** A value has no wire form, or would break a limit of the peer; nothing was sent. */
export class NotSendable extends named("pb.NotSendable") {}
/** The peer broke a rule, or is not who it should be: the connection is closed with this BYE code. */
export class ProtocolError extends named("pb.ProtocolError") {
  constructor(readonly code: number, message: string) { super(message); }
}
export const malformed = (message: string, code = 4): ProtocolError => new ProtocolError(code, message);
/** For expressions: `x ?? raise(new Gone("…"))`. */
export const raise = (error: Error): never => { throw error; };
/** End the connection with BYE 3. */
export const violated = (message: string): never => raise(new ProtocolError(3, message));
const isText = (x: unknown): boolean => typeof x === "string";
const areTexts = (x: unknown): boolean => x === undefined || (Array.isArray(x) && x.every(isText));
/** Check an error map (PB-E1): throw if it is malformed, return what makes it unacceptable or nothing. */
export function checkErrorMap(map: unknown): PbError | undefined {
  const seen = new Set<unknown>();
  let refused: PbError | undefined;
  let one: any = map;
  do {
    const { type, msg, trace = "", bases, notes } = isMap(one) ? one : ({} as State);
    if (![type, msg, trace].every(isText) || !areTexts(bases) || !areTexts(notes))
      throw malformed("an error map has the keys of the table, of their types");
    if (seen.has(one)) return new BadPayload("an error that is its own cause");
    seen.add(one);
    const { length } = utf8(one.type);
    if (length < 1 || length > 128) refused ??= new BadPayload("the type of an error has 1 to 128 bytes");
    one = one.cause;
  } while (one !== undefined);
  return refused;
}
/** A peer's words on one line that no terminal obeys: what cannot be seen is escaped, such as \x1b (PB-E8). */
export const printable = (text: string): string =>
  text.replace(/(?! )[\p{C}\p{Z}]/gu, (one) => {
    const code = one.codePointAt(0)!.toString(16);
    return code.length > 2 ? `\\u{${code}}` : `\\x${code.padStart(2, "0")}`;
  });
/** What is longer than the limit is cut, at the boundary of a character (PB-E2). */
export const cut = (text: string, most = 4096): string =>
  new TextDecoder("utf-8", { ignoreBOM: true }).decode(utf8(text).subarray(0, most), { stream: true });
