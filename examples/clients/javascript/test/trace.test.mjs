// Traces: what W3C's texts may be, and what of them is passed on (PB-M42, PB-M43).
import assert from "node:assert/strict";
import { test } from "node:test";
import { traceOf } from "../dist/trace.js";

const PARENT = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";

test("what is a trace is passed on as it came", () => {
  assert.deepEqual(traceOf({ traceparent: PARENT, tracestate: "congo=t61rcWkgMzE" }), { traceparent: PARENT, tracestate: "congo=t61rcWkgMzE" });
  assert.deepEqual(traceOf({ traceparent: PARENT }), { traceparent: PARENT });
});
for (const text of ["", PARENT.toUpperCase(), PARENT.slice(0, -1), PARENT + "0", PARENT + "-x", PARENT + "\n", "ff" + PARENT.slice(2),
  PARENT.replace("4bf92f3577b34da6a3ce929d0e0e4736", "0".repeat(32)), PARENT.replace("00f067aa0ba902b7", "0".repeat(16)), undefined])
  test(`${JSON.stringify(text)} is no trace`, () => assert.equal(traceOf({ traceparent: text }), undefined));
test("of a later version only the flag sampled is understood", () => {
  assert.deepEqual(traceOf({ traceparent: `cc${PARENT.slice(2, -2)}ff-what is to come` }), { traceparent: PARENT });
});
for (const state of ["Congo=x", "congo", "congo=", "congo=a=b", "congo=x,congo=y", Array(33).fill(0).map((_, i) => `a${i}=x`).join(","), "é=x"])
  test(`${JSON.stringify(state).slice(0, 30)} is no tracestate, and the trace is one all the same`, () => {
    assert.deepEqual(traceOf({ traceparent: PARENT, tracestate: state }), { traceparent: PARENT });
  });
test("of a long tracestate the long members go first, then the last ones", () => {
  const short = Array(20).fill(0).map((_, i) => `k${i}=${"v".repeat(40)}`);
  const { tracestate } = traceOf({ traceparent: PARENT, tracestate: [`long=${"v".repeat(200)}`, ...short].join(",") });
  assert.equal(tracestate, short.slice(0, 11).join(","));
});
