/** Values that JavaScript has no type for, and the bytes of those without a msgpack form. Spec: 1-values.md,
 * 1.3. */
import { hex, shrink, textOf, unhex, utf8 } from "./bytes.js";
import { malformed, NotSendable, TooLarge } from "./errors.js";

/** A fixed sequence; an array everywhere but on the wire, and as a key of a map. */
export class Tuple extends Array<unknown> {}
/** A set that its owner does not change. */
export class FrozenSet<T = unknown> extends Set<T> {}

/** What travels as an Ext whose data are no msgpack: `static ext` of its class is the number. */
export abstract class Scalar {
  abstract toBytes(): Uint8Array;
}
abstract class Text extends Scalar {
  constructor(readonly text: string) {
    super();
  }
  override toString(): string {
    return this.text;
  }
  toBytes(): Uint8Array {
    return utf8.encode(this.text);
  }
}
/** Something stood here that could not be sent; the text says why. */
export class Opaque extends Text {
  static readonly ext = 12;
}
/** A decimal number as its digits: "1.10", "1E+3", "NaN". */
export class Decimal extends Text {
  static readonly ext = 25;
  constructor(text: string) {
    if (!/^(-?([0-9]+(\.[0-9]+)?(E[+-][0-9]+)?|Infinity)|NaN)$/.test(text))
      throw new TypeError(`${text} is no decimal`);
    super(text);
  }
}
/** A date, a time of day ("T12:30:00"), or both without UTC. */
export class Civil extends Text {
  static readonly ext = 26;
  constructor(text: string) {
    const form = /^(\d{4}-\d\d-\d\d)?(?:T(\d\d):(\d\d):(\d\d)(?:\.\d{6})?(?:[+-](\d\d):(\d\d))?)?$/;
    const found = form.exec(text);
    const [, date = "0001-01-01", h = "0", m = "0", s = "0", zoneH = "0", zoneM = "0"] = found ?? [];
    const day = new Date(`${date}T00:00:00Z`); // the 30th of February becomes another day, or none
    const isDay = date > "0001" && !isNaN(+day) && day.toISOString().startsWith(date);
    const isTime = [m, s, zoneM].every((n) => n < "60") && [h, zoneH].every((n) => n < "24");
    if (!found || !text || !isDay || !isTime || /^T.*[+-]/.test(text))
      throw new TypeError(`${text} is no date or time`);
    super(text);
  }
}
export class Uuid extends Text {
  static readonly ext = 28;
  constructor(text: string) {
    if (!/^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/i.test(text)) throw new TypeError(`${text} is no UUID`);
    super(text.toLowerCase());
  }
  override toBytes(): Uint8Array {
    return unhex(this.text.replaceAll("-", ""));
  }
}
/** A length of time: seconds + ns / 10^9, with 0 <= ns < 10^9. */
export class Duration extends Scalar {
  static readonly ext = 27;
  constructor(readonly seconds: bigint, readonly ns = 0) {
    super();
  }
  get milliseconds(): number {
    return Number(this.seconds) * 1000 + this.ns / 1e6;
  }
  toBytes(): Uint8Array {
    return nsAndSeconds(this.ns, this.seconds);
  }
}

const bits = (value: bigint | number, bytes: number): Uint8Array =>
  unhex(value.toString(16).padStart(2 * bytes, "0"));
const nsAndSeconds = (ns: number, seconds: bigint): Uint8Array =>
  bits((BigInt(ns) << 64n) | BigInt.asUintN(64, seconds), 12);
const isMoment = (s: number): boolean => s >= -62135596800 && s <= 253402300799;
export function timestampBytes(date: Date): Uint8Array {
  const ms = date.getTime();
  const s = Math.floor(ms / 1000), ns = (ms - s * 1000) * 1e6;
  if (!isMoment(s)) throw new NotSendable("a point in time outside of the years 1 to 9999");
  if (s < 0 || s >= 2 ** 34) return nsAndSeconds(ns, BigInt(s));
  return ns === 0 && s < 2 ** 32 ? bits(s, 4) : bits((BigInt(ns) << 34n) | BigInt(s), 8);
}
export function bigBytes(value: bigint): Uint8Array {
  let size = 9;
  while (BigInt.asIntN(size * 8, value) !== value) size++;
  if (size > 513) throw new TooLarge(`BIGINT: at most 513 bytes, found ${size}`);
  return bits(BigInt.asUintN(size * 8, value), size);
}

function sized(data: Uint8Array, ...sizes: number[]): DataView {
  if (!sizes.includes(data.length))
    throw malformed(`an Ext of ${data.length} bytes; expected ${sizes.join(" or ")}`);
  return new DataView(data.buffer, data.byteOffset, data.length);
}
function timestamp(data: Uint8Array): Date {
  const view = sized(data, 4, 8, 12);
  const [ns, s] =
    data.length === 4 ? [0, view.getUint32(0)]
    : data.length === 8 ? [view.getUint32(0) >>> 2, (view.getUint32(0) & 3) * 2 ** 32 + view.getUint32(4)]
    : [view.getUint32(0), Number(view.getBigInt64(4))];
  if (ns >= 1e9 || !isMoment(s)) throw malformed("a timestamp out of range");
  return new Date(s * 1000 + Math.floor(ns / 1e6));
}
function big(data: Uint8Array): number | bigint {
  if (data.length === 0) throw malformed("BIGINT of no bytes");
  if (data.length > 513) throw new TooLarge(`BIGINT: at most 513 bytes, found ${data.length}`);
  return shrink(BigInt.asIntN(data.length * 8, BigInt(`0x${hex(data)}`)));
}
const latin1 = new TextDecoder("latin1");
function written<T>(make: new (text: string) => T, data: Uint8Array): T {
  try {
    return new make(latin1.decode(data));
  } catch {
    throw malformed(`no ${make.name}`);
  }
}
function decimal(data: Uint8Array): Decimal {
  const found = written(Decimal, data);
  const [digits, exponent] = found.text.split("E");
  const adjusted = Number(exponent ?? 0) + digits.replace("-", "").split(".")[0].length - 1;
  if (data.length > 4100 || Math.abs(adjusted) > 6144)
    throw new TooLarge("DECIMAL: at most 4096 digits, exponents to 6144");
  return found;
}
function duration(data: Uint8Array): Duration {
  const view = sized(data, 12);
  if (view.getUint32(0) >= 1e9) throw malformed("DURATION with too many ns");
  return new Duration(view.getBigInt64(4), view.getUint32(0));
}
function uuid(data: Uint8Array): Uuid {
  sized(data, 16);
  return new Uuid(hex(data).replace(/^(.{8})(.{4})(.{4})(.{4})/, "$1-$2-$3-$4-"));
}
/** Ext number -> what its data are. Throws ProtocolError if they are malformed, another PbError if they are
 * refused. */
export const SCALARS = new Map<number, (data: Uint8Array) => unknown>([
  [-1, timestamp], [12, (data) => new Opaque(textOf(data))], [24, big], [25, decimal],
  [26, (data) => written(Civil, data)], [27, duration], [28, uuid],
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
  if (typeof value === "number") return !Number.isNaN(value);
  if (typeof value !== "object" || value === null || value instanceof FrozenSet || value instanceof Date)
    return true;
  if (value instanceof Tuple) return value.every(isHashable);
  return !(Array.isArray(value) || value instanceof Set || value instanceof Map || isMap(value));
}
/** Whether a hostile sender can choose its place in a hash table (PB-V18). */
export function isFloodable(value: unknown): boolean {
  if (typeof value === "number") return !Number.isInteger(value) || Math.abs(value) >= 2 ** 32;
  if (value instanceof Civil) return /T.*[+-]/.test(value.text);
  const isPlain = value == null || ["boolean", "string"].includes(typeof value);
  return !isPlain && !(value instanceof Uint8Array);
}
