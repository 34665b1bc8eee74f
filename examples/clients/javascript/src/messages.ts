/** What the messages look like, and who may say what of himself in HELLO. Spec: 2-frames.md, 2.3 and 2.5;
 * registry.md. */
import { ProtocolError } from "./errors.js";
import { utf8 } from "./bytes.js";
import { isMap, State } from "./values.js";

export const [HELLO, CALL, ANSWER, ERROR, CANCEL, FINISH, RELEASE, OBSERVE] = [0, 1, 2, 3, 4, 5, 6, 7];
export const [GONE, PULL, ITEMS, END, STOP, PING, PONG, BYE] = [8, 9, 10, 11, 12, 13, 14, 15];
/** End the connection with BYE 3. */
export const violated = (text: string): never => {
  throw new ProtocolError(3, text);
};

type Check = (x: unknown) => boolean;
const isText: Check = (x) => typeof x === "string";
const isId: Check = (x) => Number.isSafeInteger(x) && (x as number) >= 1;
const isCount: Check = (x) => x === 0 || isId(x);
const isBin: Check = (x) => x instanceof Uint8Array;
const listOf = (check: Check, least = 1): Check =>
  (x) => Array.isArray(x) && x.length >= least && x.every(check);
const isToken: Check = (x) =>
  typeof x === "bigint" || Number.isSafeInteger(x) || (typeof x === "string" && utf8.encode(x).length <= 64);
/** A map whose known keys are so; of others nothing is known. */
const keyed = (checks: Record<string, Check>): Check => (x) =>
  isMap(x) && Object.entries(checks).every(([key, check]) => !Object.hasOwn(x, key) || check(x[key]));
const isOptions = keyed({
  keep: (x) => typeof x === "boolean",
  needs: listOf(isId, 0),
  ttl: isCount,
  trace: keyed({ traceparent: isText, tracestate: isText }),
  meta: (x) => isMap(x) && Object.values(x).every(isText),
});
/** By code: the fields behind it, and how many of them have to be there. */
const FIELDS: Record<number, [least: number, ...fields: Check[]]> = {
  [CALL]: [4, isCount, Number.isSafeInteger, isText, isBin, isOptions],
  [ANSWER]: [2, isId, isBin],
  [ERROR]: [2, isId, isBin],
  [CANCEL]: [1, isId],
  [FINISH]: [1, listOf(isId)],
  [RELEASE]: [1, listOf(isId)],
  [OBSERVE]: [4, isCount, isId, isText, isBin, isOptions],
  [GONE]: [1, listOf(isCount)], // 0 is ignored
  [PULL]: [2, isId, isId],
  [ITEMS]: [2, isId, isBin],
  [END]: [1, isId, isBin],
  [STOP]: [1, isId],
  [PING]: [1, isToken],
  [PONG]: [1, isToken],
  [BYE]: [3, isCount, isText, isCount],
};
/** Refuse what is no message that may come after HELLO (PB-F8). */
export function checkMessage(envelope: unknown[]): void {
  const [code, ...found] = envelope;
  const [least, ...fields] = FIELDS[code as number] ?? violated("no message code");
  const isFit = found.length >= least && found.length <= fields.length;
  if (!isFit || !found.every((field, i) => fields[i](field)))
    violated(`message ${code as number} of no known form`);
}

/** key of HELLO: least, what absence means, what we announce. */
const NUMBERS: Record<string, [number, number, number]> = {
  max_frame: [4096, 65536, 4194304], max_calls: [4, 16, 1024], max_refs: [0, 1024, 100000],
  max_depth: [4, 64, 64], max_exts: [256, 20480, 20480], max_floodable_keys: [0, 4096, 4096],
  window: [0, 0, 16], max_streams: [0, 16, 256], idle: [0, 0, 0],
};
export const OURS: Record<string, number> =
  Object.fromEntries(Object.entries(NUMBERS).map(([key, [, , ours]]) => [key, ours]));
const FEATURES = ["cache", "pipeline", "stream"];
export const hello = (agent: string): unknown[] => [HELLO, "PB", 1, { agent, features: FEATURES, ...OURS }];
const atLeast = (least: number): Check => (x) => isCount(x) && (x as number) >= least;
const isInfo = keyed({
  agent: isText, features: listOf(isText, 0), auth: listOf(isText, 0), cb: listOf(isText, 0),
  ...Object.fromEntries(Object.entries(NUMBERS).map(([key, [least]]) => [key, atLeast(least)])),
});

/** What the peer said of itself. */
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
  if (code !== HELLO || magic !== "PB" || envelope.length !== 4) violated("the first frame is no HELLO");
  if (!Number.isSafeInteger(version) || !isInfo(info)) violated("HELLO is [0, 'PB', version, info]");
  if ((version as number) < 1) throw new ProtocolError(2, "a version is 1 or more");
  const said = info as State as { agent?: string; features?: string[]; auth?: string[]; cb?: string[] };
  const numbers = Object.entries(NUMBERS).map(([key, [, absent]]) => [key, (info as State)[key] ?? absent]);
  const { agent = "", features, auth, cb = [] } = said;
  return { agent, features: new Set(features), auth, cb, numbers: Object.fromEntries(numbers) };
}
