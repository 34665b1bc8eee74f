// The vectors that need no connection: values both ways, and what is refused.
import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { test } from "node:test";
import { Civil, Decimal, Duration, FrozenSet, Opaque, PbError, ProtocolError, Registry, Tuple, Uuid } from "../dist/index.js";
import { LIMITS, Reader } from "../dist/reader.js";
import { Writer } from "../dist/writer.js";

const vectors = new URL("../../../../spec/vectors/", import.meta.url);
const load = (name) => JSON.parse(readFileSync(new URL(name, vectors)));
const hex = (bytes) => Buffer.from(bytes).toString("hex");

class Stand { // for a reference: its Ext number and data
  constructor(type, data) {
    Object.assign(this, { type, data });
  }
}
class Point {}
class Complex {
  constructor(state) {
    this.state = state;
  }
  toState() {
    return this.state;
  }
  static fromState(state) {
    return new Complex(state);
  }
}
class Stock {}
const registry = new Registry()
  .copy("geo.Point", Point, { fields: ["x", "y"] })
  .copy("py.complex", Complex)
  .cache("shop.Stock", Stock);
const refer = (x) => (x instanceof Stand ? () => [x.type, x.data] : undefined);
const describe = (error) => ({ type: error.type, msg: error.message });
const tables = () => {
  const caches = new Map();
  return {
    ref: (id, meta) => (meta ? new Stand(4, [id, meta]) : new Stand(1, id)),
    home: (id) => new Stand(2, id),
    answer: (q) => new Stand(3, q),
    stream: (id) => new Stand(5, id),
    cache(id, entry) {
      const value = new Stand(9, [id, entry?.name, undefined]);
      caches.set(id, value);
      return { value, fill: (state) => void (value.data[2] = state) };
    },
    cached: (id) => new Stand(10, id),
  };
};
const REFERENCES = { $ref: 1, $home: 2, $answer: 3, $stream: 5, $cached: 10, $refx: 4 };

/** The value of the JSON notation; parts of a graph are filled into `parts`. */
function value(json, parts) {
  if (typeof json !== "object" || json === null) return json;
  const each = (list) => list.map((one) => value(one, parts));
  if (Array.isArray(json)) return each(json);
  const [key] = Object.keys(json);
  const data = json[key];
  switch (key) {
    case "$int": return BigInt(data) >= -(2n ** 53n) && BigInt(data) < 2n ** 53n ? Number(data) : BigInt(data);
    case "$float": return { nan: NaN, inf: Infinity, "-inf": -Infinity }[data] ?? Number(data);
    case "$bytes": return new Uint8Array(Buffer.from(data, "hex"));
    case "$timestamp": return new Date(data.replace(/(\.\d{3})\d+/, "$1"));
    case "$tuple": return Tuple.from(each(data));
    case "$set": return new Set(each(data));
    case "$frozenset": return new FrozenSet(each(data));
    case "$map": return new Map(data.map(each));
    case "$decimal": return new Decimal(data);
    case "$civil": return new Civil(data);
    case "$uuid": return new Uuid(data);
    case "$opaque": return new Opaque(data);
    case "$duration": {
      const ns = Math.round(Number(data) * 1e9);
      const s = Math.floor(ns / 1e9);
      return new Duration(BigInt(s), ns - s * 1e9);
    }
    case "$copy": return data[0] === "geo.Point" ? Object.assign(new Point(), value(data[1], parts)) : new Complex(value(data[1], parts));
    case "$cache": return new Stand(9, [data[0], data[1], value(data[2], parts)]);
    case "$error": return Object.assign(new PbError(data.msg), { type: data.type });
    case "$graph": return graph(data);
    case "$node": return parts[data];
  }
  if (key in REFERENCES) return new Stand(REFERENCES[key], value(data, parts));
  return Object.fromEntries(Object.entries(json).map(([name, one]) => [name, value(one, parts)]));
}
function graph(list) {
  const parts = list.map((one) => (Array.isArray(one) ? [] : "$tuple" in one ? new Tuple() : "$node" in one || "$cache" in one ? undefined : {}));
  list.forEach((one, i) => {
    if (Array.isArray(one) || (one.$tuple && parts[i])) parts[i].push(...(one.$tuple ?? one).map((x) => value(x, parts)));
    else if ("$node" in one) parts[i] = parts[one.$node];
    else if (parts[i]) Object.assign(parts[i], value(one, parts));
  });
  list.forEach((one, i) => {
    if (one.$cache) parts[i] = value(one, parts);
  });
  return parts.at(-1);
}

const write = (x) => hex(new Writer(refer, describe, registry, LIMITS).payload(x));
const byBytes = (list, bytes = write) => list.sort((a, b) => (bytes(a) < bytes(b) ? -1 : 1)); // in hex
/** A value whose maps and sets are in canonical order (PB-V40); what a GRAPH has is left as it is. */
function canonical(x) {
  if (x instanceof FrozenSet) return new FrozenSet(byBytes([...x].map(canonical)));
  if (x instanceof Set) return new Set(byBytes([...x].map(canonical)));
  if (x instanceof Map) return new Map(byBytes([...x].map(([key, one]) => [canonical(key), canonical(one)]), ([key]) => write(key)));
  if (x && Object.getPrototypeOf(x) === Object.prototype && !isShared(x))
    return Object.fromEntries(byBytes(Object.entries(x), ([key]) => hex(Buffer.from(key))).map(([key, one]) => [key, canonical(one)]));
  return x;
}
const isShared = (x) => {
  try {
    JSON.stringify(x, (_, one) => (typeof one === "bigint" ? 0 : one));
    return false;
  } catch {
    return true; // a cycle
  }
};

for (const row of load("values.json")) {
  const bytes = new Uint8Array(Buffer.from(row.hex, "hex"));
  const isLossy = row.lossy?.includes("js");
  test(`values.json, ${row.name}: the bytes become the value`, () => {
    const reader = new Reader(bytes, tables(), registry);
    const found = reader.payload();
    assert.equal(reader.violation, undefined);
    if (row.value?.$error) {
      assert.deepEqual([found.type, found.message], [row.value.$error.type, row.value.$error.msg]);
    } else if (JSON.stringify(row.value).includes("$cache\"") && row.value.$graph) {
      assert.equal(found instanceof Stand || Array.isArray(found), true);
    } else if (isLossy && row.value?.$float === "-0.0") {
      assert.equal(Object.is(found, -0), true);
    } else assert.deepEqual(found, value(row.value));
  });
  if (row.decode_only) continue;
  test(`values.json, ${row.name}: the value becomes the bytes${isLossy ? ", or what JavaScript has in its place" : ""}`, () => {
    const found = write(canonical(value(row.value)));
    if (!isLossy || found === row.hex) return assert.equal(found, row.hex);
    const again = new Reader(new Uint8Array(Buffer.from(found, "hex")), tables(), registry).payload();
    assert.equal(write(again), found, "the neighbour is a fixed point");
  });
}

for (const row of load("reject-values.json")) {
  const bytes = Buffer.from((row.hex_head ?? "") + (row.hex_repeat ? row.hex_repeat[0].repeat(row.hex_repeat[1]) : "") + (row.hex_tail ?? "") + (row.hex ?? ""), "hex");
  test(`reject-values.json, ${row.name}: ${row.expect}`, () => {
    const reader = new Reader(new Uint8Array(bytes), tables(), new Registry());
    let fatal;
    try {
      reader.payload();
    } catch (error) {
      fatal = error;
    }
    if (row.expect === "fatal") assert.equal(fatal instanceof ProtocolError, true, `${reader.violation}`);
    else assert.equal(fatal === undefined || row.expect === "either", true, `${fatal}`);
    if (row.expect === "call") assert.equal(reader.violation?.type, row.type);
  });
}
