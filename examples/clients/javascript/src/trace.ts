/** Which piece of work a call belongs to, in the form of W3C Trace Context. Spec: 3-messages.md, CALL,
 * "Traces". */
export interface Trace {
  traceparent: string;
  tracestate?: string;
}
const PARENT = /^([0-9a-f]{2})-([0-9a-f]{32})-([0-9a-f]{16})-([0-9a-f]{2})(-.*)?$/s;
const KEY = "[a-z][a-z0-9_\\-*/]{0,255}|[a-z0-9][a-z0-9_\\-*/]{0,240}@[a-z][a-z0-9_\\-*/]{0,13}";
const MEMBER = new RegExp(`^(${KEY})=[ -+\\--<>-~]{0,255}[!-+\\--<>-~]$`);

/** What is passed on of the trace of a call (PB-M42), or nothing where it has none of that form (PB-M43). */
export function traceOf(said: { traceparent?: string; tracestate?: string } | undefined): Trace | undefined {
  const [, version, trace, parent, flags, more] = PARENT.exec(said?.traceparent ?? "") ?? [];
  const isNone = version === "ff" || /^0+$/.test(trace) || /^0+$/.test(parent) || (version === "00" && more);
  if (!version || isNone) return undefined;
  const sampled = (parseInt(flags, 16) & 1).toString().padStart(2, "0");
  const traceparent = `00-${trace}-${parent}-${version === "00" ? flags : sampled}`;
  const tracestate = stateOf(said!.tracestate ?? "");
  return tracestate ? { traceparent, tracestate } : { traceparent };
}
function stateOf(text: string): string {
  if (text.length > 32 * 520) return ""; // longer than any
  let members = text.split(",").map((one) => one.replace(/^[ \t]+|[ \t]+$/g, "")).filter((one) => one);
  const keys = members.map((one) => MEMBER.exec(one)?.[1]);
  if (members.length > 32 || keys.includes(undefined) || new Set(keys).size < keys.length) return "";
  const isLong = (): boolean => members.join(",").length > 512;
  if (isLong()) members = members.filter((one) => one.length <= 128);
  while (isLong()) members.pop();
  return members.join(",");
}
