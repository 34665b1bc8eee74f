/** Which piece of work a call belongs to, in the form of W3C Trace Context. Spec: 3-messages.md, CALL, "Traces". */
export interface Trace { traceparent: string; tracestate?: string }
const PARENT = /^(?!ff)([0-9a-f]{2})-((?!0{32})[0-9a-f]{32}-(?!0{16})[0-9a-f]{16})-([0-9a-f]{2})(-.*)?$/s;
const KEY = "[a-z][a-z0-9_\\-*/]{0,255}|[a-z0-9][a-z0-9_\\-*/]{0,240}@[a-z][a-z0-9_\\-*/]{0,13}";
const MEMBER = new RegExp(`^(${KEY})=[ -+\\--<>-~]{0,255}[!-+\\--<>-~]$`);
/** What is passed on of the trace of a call (PB-M42), or nothing where it has none of that form (PB-M43). */
export function traceOf(said: Partial<Trace> = {}): Trace | undefined {
  const [found, version, ids, flags, more] = PARENT.exec(said.traceparent ?? "") ?? [];
  if (!found || (version === "00" && more)) return undefined;
  const traceparent = `00-${ids}-${version === "00" ? flags : parseInt(flags, 16) & 1 ? "01" : "00"}`;
  const tracestate = stateOf(said.tracestate ?? "");
  return tracestate ? { traceparent, tracestate } : { traceparent };
}
function stateOf(text: string): string {
  if (text.length > 32 * 520) return ""; // longer than any
  let members = text.split(",").map((one) => one.replace(/^[ \t]+|[ \t]+$/g, "")).filter((one) => one);
  const keys = new Set(members.map((one) => MEMBER.exec(one)?.[1]));
  if (members.length > 32 || keys.has(undefined) || keys.size < members.length) return "";
  if (members.join(",").length > 512) members = members.filter((one) => one.length <= 128);
  while (members.join(",").length > 512) members.pop();
  return members.join(",");
}
