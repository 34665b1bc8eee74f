/** Bytes: what several files do with them, and msgpack read one header at a time. */
import { malformed } from "./errors.js";

export const utf8 = new TextEncoder();
const strict = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true });
const byteHex = (byte: number): string => byte.toString(16).padStart(2, "0");
export const hex = (data: Uint8Array): string => Array.from(data, byteHex).join("");
export const unhex = (text: string): Uint8Array =>
  Uint8Array.from(text.match(/../g) ?? [], (two) => parseInt(two, 16));
/** Return the text that bytes are; throws ProtocolError where they are no UTF-8. */
export function textOf(data: Uint8Array): string {
  try {
    return strict.decode(data);
  } catch {
    throw malformed("text that is no UTF-8");
  }
}
export function concat(...parts: Uint8Array[]): Uint8Array<ArrayBuffer> {
  const all = new Uint8Array(parts.reduce((sum, one) => sum + one.length, 0));
  let at = 0;
  for (const one of parts) {
    all.set(one, at);
    at += one.length;
  }
  return all;
}
/** An id in the shortest of 1, 2, 4 and 8 bytes. */
export function uint(value: number): Uint8Array {
  const size = value < 2 ** 8 ? 1 : value < 2 ** 16 ? 2 : value < 2 ** 32 ? 4 : 8;
  return unhex(value.toString(16).padStart(2 * size, "0"));
}
/** A number where it is exact, else a bigint. */
export const shrink = (value: bigint): number | bigint =>
  value >= Number.MIN_SAFE_INTEGER && value <= Number.MAX_SAFE_INTEGER ? Number(value) : value;

export type Kind = "int" | "float" | "constant" | "text" | "bin" | "array" | "map" | "ext";
/** How many bytes an element of each kind takes at least. */
const LEAST: Partial<Record<Kind, number>> = { text: 1, bin: 1, ext: 1, array: 1, map: 2 };

/** msgpack, read header by header; what a header promises has to be there (PB-V30). */
export class Headers {
  protected at = 0;
  /** Of the last header: the value of a number or constant, else how many bytes or elements follow. */
  protected found: any;
  /** Of the last header: the type of an Ext. */
  protected type = 0;
  private readonly view: DataView;
  constructor(protected readonly bytes: Uint8Array) {
    this.view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  }

  protected take(size: number, end: number): number {
    if (size > end - this.at) throw malformed("the data end too early");
    this.at += size;
    return this.at - size;
  }
  protected data(size: number, end: number): Uint8Array {
    const at = this.take(size, end);
    return this.bytes.subarray(at, at + size);
  }
  protected header(end: number): Kind {
    const { view } = this;
    const code = view.getUint8(this.take(1, end));
    const uint = (width: number): number => {
      const at = this.take(width, end);
      return width === 1 ? view.getUint8(at) : width === 2 ? view.getUint16(at) : view.getUint32(at);
    };
    const is = (kind: Kind, found: unknown): Kind => {
      this.found = found;
      const least = LEAST[kind];
      if (least && (found as number) * least > end - this.at)
        throw malformed(`${kind} that promises more than there is`);
      return kind;
    };
    const ext = (size: number): Kind => {
      this.type = view.getInt8(this.take(1, end));
      return is("ext", size);
    };
    if (code < 0x80) return is("int", code);
    if (code < 0x90) return is("map", code & 15);
    if (code < 0xa0) return is("array", code & 15);
    if (code < 0xc0) return is("text", code & 31);
    if (code >= 0xe0) return is("int", code - 256);
    switch (code) {
      case 0xc0: return is("constant", null);
      case 0xc2: case 0xc3: return is("constant", code === 0xc3);
      case 0xc4: case 0xc5: case 0xc6: return is("bin", uint(1 << (code - 0xc4)));
      case 0xc7: case 0xc8: case 0xc9: return ext(uint(1 << (code - 0xc7)));
      case 0xca: return is("float", view.getFloat32(this.take(4, end)));
      case 0xcb: return is("float", view.getFloat64(this.take(8, end)));
      case 0xcc: case 0xcd: case 0xce: return is("int", uint(1 << (code - 0xcc)));
      case 0xcf: return is("int", shrink(view.getBigUint64(this.take(8, end))));
      case 0xd0: return is("int", view.getInt8(this.take(1, end)));
      case 0xd1: return is("int", view.getInt16(this.take(2, end)));
      case 0xd2: return is("int", view.getInt32(this.take(4, end)));
      case 0xd3: return is("int", shrink(view.getBigInt64(this.take(8, end))));
      case 0xd9: case 0xda: case 0xdb: return is("text", uint(1 << (code - 0xd9)));
      case 0xdc: case 0xdd: return is("array", uint(code === 0xdc ? 2 : 4));
      case 0xde: case 0xdf: return is("map", uint(code === 0xde ? 2 : 4));
      case 0xc1: throw malformed("c1 is no msgpack");
      default: return ext(1 << (code - 0xd4)); // d4 to d8
    }
  }
}
