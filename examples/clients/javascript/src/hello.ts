/** What a side announces. Spec: 2-frames.md, 2.5; registry.md, HELLO keys. */
import { ProtocolError } from "./errors.js";
import { isMap } from "./values.js";

/** key: least, most, what absence means, what we announce. */
const NUMBERS: Record<string, [number, number, number]> = {
  max_frame: [4096, 65536, 4194304], max_calls: [4, 16, 1024], max_refs: [0, 1024, 100000], max_depth: [4, 64, 64],
  max_exts: [256, 20480, 20480], max_floodable_keys: [0, 4096, 4096], window: [0, 0, 16], max_streams: [0, 16, 256], idle: [0, 0, 0],
};
export const OURS: Record<string, number> = Object.fromEntries(Object.entries(NUMBERS).map(([key, [, , ours]]) => [key, ours]));
const FEATURES = ["cache", "pipeline", "stream"];
export const helloInfo = (agent: string): Record<string, unknown> => ({ agent, features: FEATURES, ...OURS });

export interface Hello {
  agent: string;
  features: Set<string>;
  auth?: string[];
  cb: string[];
  numbers: Record<string, number>;
}
/** Read the peer's HELLO, already an array; throws ProtocolError. */
export function readHello(envelope: unknown[]): Hello {
  const [code, magic, version, info] = envelope;
  if (code !== 0 || magic !== "PB") throw new ProtocolError(3, "the first frame is no HELLO");
  if (envelope.length !== 4 || !Number.isSafeInteger(version) || !isMap(info)) throw new ProtocolError(3, "HELLO is [0, 'PB', version, info]");
  if ((version as number) < 1) throw new ProtocolError(2, "a version is 1 or more");
  const numbers: Record<string, number> = {};
  for (const [key, [least, absent]] of Object.entries(NUMBERS)) {
    const value = Object.hasOwn(info, key) ? info[key] : absent;
    if (typeof value !== "number" || value < least) throw new ProtocolError(3, `${key} in HELLO is an integer, ${least} or more`);
    numbers[key] = value;
  }
  const texts = (key: string): string[] | undefined => {
    if (!Object.hasOwn(info, key)) return undefined;
    const value = info[key];
    if (!Array.isArray(value) || !value.every((one) => typeof one === "string")) throw new ProtocolError(3, `${key} in HELLO is a list of names`);
    return value;
  };
  if (Object.hasOwn(info, "agent") && typeof info.agent !== "string") throw new ProtocolError(3, "agent in HELLO is text");
  return { agent: String(info.agent ?? ""), features: new Set(texts("features")), auth: texts("auth"), cb: texts("cb") ?? [], numbers };
}
