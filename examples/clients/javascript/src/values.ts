/** Bytes, and the values that JavaScript has no type for or msgpack no form. Spec: 1-values.md, 1.3. */
import { malformed, NotSendable, raise, TooLarge } from "./errors.js";

export type Bytes = Uint8Array<ArrayBuffer>;
const encoder = new TextEncoder();
const strict = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true });
const latin1 = new TextDecoder("latin1");
export const utf8 = (text: string): Bytes => encoder.encode(text) as Bytes;
/** Return the text that bytes are; throws ProtocolError where they are no UTF-8. */
export function textOf(data: Uint8Array): string {
  try {
    return strict.decode(data);
  } catch { throw malformed("text that is no UTF-8"); }
}
export const hex = (data: Uint8Array): string => Array.from(data, (one) => one.toString(16).padStart(2, "0")).join("");
const unhex = (text: string): Bytes => Uint8Array.from(text.match(/../g) ?? [], (two) => parseInt(two, 16));
/** A number in so many bytes, or in the shortest of 1, 2, 4 and 8. */
export function uint(value: number | bigint, size?: number): Bytes {
  const shortest = value < 2 ** 8 ? 1 : value < 2 ** 16 ? 2 : value < 2 ** 32 ? 4 : 8;
  return unhex(value.toString(16).padStart(2 * (size ?? shortest), "0"));
}
export function concat(first: Uint8Array, second: Uint8Array): Bytes {
  const both = new Uint8Array(first.length + second.length);
  both.set(first);
  both.set(second, first.length);
  return both;
}
/** A number where it is exact, else a bigint. */
export const shrink = (value: bigint): number | bigint => (Number.isSafeInteger(Number(value)) ? Number(value) : value);
/** A fixed sequence; an array everywhere but on the wire, and as a key of a map. */
export class Tuple extends Array<unknown> {}
/** A set that its owner does not change. */
export class FrozenSet<T = unknown> extends Set<T> {}
/** Text of a form. */
class Text {
  static isFit = (_text: string): boolean => true;
  constructor(readonly text: string) {
    if (!new.target.isFit(text)) throw new TypeError(`${text} is no ${new.target.name}`);
  }
  toString(): string { return this.text; }
}
/** Something stood here that could not be sent; the text says why. */
export class Opaque extends Text {}
/** A decimal number as its digits: "1.10", "1E+3", "NaN". */
export class Decimal extends Text {
  static override isFit = (text: string) => /^(-?(\d+(\.\d+)?(E[+-]\d+)?|Infinity)|NaN)$/.test(text);
}
const CIVIL = /^(\d{4}-\d\d-\d\d)?(?:T(\d\d):(\d\d):(\d\d)(?:\.\d{6})?(?:[+-](\d\d):(\d\d))?)?$/;
/** A date, a time of day ("T12:30:00"), or both without UTC. */
export class Civil extends Text {
  static override isFit(text: string): boolean {
    const [found, date = "0001-01-01", h = "0", m = "0", s = "0", zoneH = "0", zoneM = "0"] = CIVIL.exec(text) ?? [];
    const day = new Date(`${date}T00:00:00Z`); // the 30th of February becomes another day, or none
    const isDay = date > "0001" && !isNaN(+day) && day.toISOString().startsWith(date);
    const isTime = [m, s, zoneM].every((n) => n < "60") && [h, zoneH].every((n) => n < "24");
    return Boolean(found) && isDay && isTime && !/^T.*[+-]/.test(text);
  }
}
export class Uuid extends Text {
  constructor(text: string) { super(text.toLowerCase()); }
  static override isFit = (text: string) => /^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/.test(text);
}
/** A length of time: seconds + ns / 10^9, with 0 <= ns < 10^9. */
export class Duration {
  constructor(readonly seconds: bigint, readonly ns = 0) {
    const isFit = BigInt.asIntN(64, seconds) === seconds && Number.isInteger(ns) && ns >= 0 && ns < 1e9;
    if (!isFit) throw new TypeError(`${seconds} s and ${ns} ns is no duration`);
  }
  get milliseconds(): number { return Number(this.seconds) * 1000 + this.ns / 1e6; }
}
const isMoment = (s: number): boolean => s >= -62135596800 && s <= 253402300799;
const nsAndSeconds = (ns: number, s: bigint): Bytes => concat(uint(ns, 4), uint(BigInt.asUintN(64, s), 8));
function timestampBytes(date: Date): Bytes {
  const s = Math.floor(date.getTime() / 1000), ns = (date.getTime() - s * 1000) * 1e6;
  if (!isMoment(s)) throw new NotSendable("a point in time outside of the years 1 to 9999");
  if (s < 0 || s >= 2 ** 34) return nsAndSeconds(ns, BigInt(s));
  return ns === 0 && s < 2 ** 32 ? uint(s, 4) : uint((BigInt(ns) << 34n) | BigInt(s), 8);
}
function sized(data: Uint8Array, ...sizes: number[]): DataView {
  if (!sizes.includes(data.length)) throw malformed(`an Ext of ${data.length} bytes; expected ${sizes.join(" or ")}`);
  return new DataView(data.buffer, data.byteOffset, data.length);
}
function timestamp(data: Uint8Array): Date {
  const view = sized(data, 4, 8, 12), first = view.getUint32(0);
  const [ns, s] =
    data.length === 4 ? [0, first]
    : data.length === 8 ? [first >>> 2, (first & 3) * 2 ** 32 + view.getUint32(4)]
    : [first, Number(view.getBigInt64(4))];
  if (ns >= 1e9 || !isMoment(s)) throw malformed("a timestamp out of range");
  return new Date(s * 1000 + Math.floor(ns / 1e6));
}
function duration(data: Uint8Array): Duration {
  const view = sized(data, 12);
  if (view.getUint32(0) >= 1e9) throw malformed("DURATION with too many ns");
  return new Duration(view.getBigInt64(4), view.getUint32(0));
}
function bigBytes(value: bigint): Bytes {
  for (let size = 9; size <= 513; size++)
    if (BigInt.asIntN(size * 8, value) === value) return uint(BigInt.asUintN(size * 8, value), size);
  throw new TooLarge("BIGINT: at most 513 bytes");
}
function big(data: Uint8Array): number | bigint {
  if (data.length === 0) throw malformed("BIGINT of no bytes");
  if (data.length > 513) throw new TooLarge(`BIGINT: at most 513 bytes, found ${data.length}`);
  return shrink(BigInt.asIntN(data.length * 8, BigInt(`0x${hex(data)}`)));
}
const checked = (make: typeof Decimal | typeof Civil) => (data: Uint8Array): Text =>
  make.isFit(latin1.decode(data)) ? new make(latin1.decode(data)) : raise(malformed(`no ${make.name}`));
function uuid(data: Uint8Array): Uuid {
  sized(data, 16);
  return new Uuid(hex(data).replace(/^(.{8})(.{4})(.{4})(.{4})/, "$1-$2-$3-$4-"));
}
const textBytes = ({ text }: Text): Bytes => utf8(text);
type Scalar = [make: Function, write: (value: any) => Bytes, read: (data: Uint8Array) => unknown];
/** The Exts whose data are no msgpack: the class of their values, and both ways. Reading throws ProtocolError if the
 * data are malformed, another PbError if they are refused. */
export const SCALARS: ReadonlyMap<number, Scalar> = new Map<number, Scalar>([
  [-1, [Date, timestampBytes, timestamp]],
  [12, [Opaque, textBytes, (data) => new Opaque(textOf(data))]],
  [24, [BigInt, bigBytes, big]],
  [25, [Decimal, textBytes, checked(Decimal)]],
  [26, [Civil, textBytes, checked(Civil)]],
  [27, [Duration, ({ ns, seconds }: Duration) => nsAndSeconds(ns, seconds), duration]],
  [28, [Uuid, ({ text }: Uuid) => unhex(text.replaceAll("-", "")), uuid]],
]);

export type State = Record<string, unknown>;
export const isMap = (x: unknown): x is State =>
  typeof x === "object" && x !== null && [Object.prototype, null].includes(Object.getPrototypeOf(x));
/** Set own fields; never a prototype, whatever a key is called. */
export function assign(on: object, state: State, enumerable = true): void {
  for (const key of Object.keys(state))
    Object.defineProperty(on, key, { value: state[key], writable: true, enumerable, configurable: true });
}
export function isHashable(value: unknown): boolean {
  if (value instanceof Tuple) return value.every(isHashable);
  const isMutable = Array.isArray(value) || value instanceof Map || isMap(value);
  return !Number.isNaN(value) && !isMutable && (!(value instanceof Set) || value instanceof FrozenSet);
}
/** Whether a hostile sender can choose its place in a hash table (PB-V18). */
export function isFloodable(value: unknown): boolean {
  if (typeof value === "number") return !Number.isInteger(value) || Math.abs(value) >= 2 ** 32;
  if (value instanceof Civil) return /T.*[+-]/.test(value.text);
  return !(value == null || typeof value === "boolean" || typeof value === "string" || value instanceof Uint8Array);
}
