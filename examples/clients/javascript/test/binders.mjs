// What the two sides of the conversations have, and do of their own.
import assert from "node:assert/strict";
import { Cacheable, current, PbError, ProtocolError, Referenceable, Registry, RemoteReference } from "../dist/index.js";
import { Held } from "../dist/imports.js";

/** What is not played, and why: by what it needs, in any role or as server, then by name and role. */
export const NEVER = { resync: "no resync here" };
export const NOT_AS_SERVER = {
  view: "no perspectives and views of its own", login: "no server logins",
  "pb:idempotent": "no reserved methods", "pb:resolve": "no published names",
};
export const NOT_THIS_ROLE = {
  "05-cacheable S": "updates are told by position here",
  "22-answered-observe S": "updates are told by position here",
  "25-login-scram-plus C": "the binding comes from the certificate; see login.test.mjs",
  "26-login-ed25519 C": "the nonce is made here; see login.test.mjs",
  "37-stream-beyond-credit C": "no honest producer does that",
  "71-call-after-bye C": "no honest client does that",
};

class Point {
  constructor(x, y) {
    Object.assign(this, { x, y });
  }
}
class Person {}
class Unknown {}
class BankError extends PbError {}
class Insufficient extends BankError {}
class Stock extends Cacheable {
  static parameters = { observe_set: ["n"] };
  n = 10;
  observe_set(n) {
    this.n = n;
  }
}
class Shelf extends Cacheable {
  observe_set_n(n) {
    this.n = n;
  }
  observe_set_cost(cost) {
    this.cost = cost;
  }
}
class Room extends Cacheable {
  observe_joined(player) {
    this.players.push(player);
  }
}
class Player extends Cacheable {
  observe_renamed(name) {
    this.name = name;
  }
}
class Board extends Cacheable {
  title = "a";
  notes = ["x"];
  seats = {};
}
class Followed {} // a replica of a board
export function registry(role) {
  const made = new Registry().copy("geo.Point", Point).copy("staff.Person", Person).error("bank.BankError", BankError).error("bank.Insufficient", Insufficient)
    .cache("shop.Stock", Stock).cache("shop.Shelf", Shelf).cache("game.Room", Room).cache("game.Player", Player);
  if (role === "S") return made.cache("game.Board", Board);
  return made.tracked("game.Board", Followed, ["title", "notes", "seats"]).copy("os.system", Unknown);
}

class Door extends Referenceable {
  remote_open() {
    return "open";
  }
}
class Book extends Referenceable {
  remote_title() {
    return "SICP";
  }
}
class Library extends Referenceable {
  remote_find(name) {
    assert.equal(name, "sicp");
    return new Book();
  }
  remote_lend(book, days) {
    return [book.remote_title(), days];
  }
}
class Watcher extends Referenceable {
  remote_progress(percent) {
    assert.equal(percent, 50);
  }
  remote_pick(thing) {
    return thing;
  }
}
const never = (signal) => new Promise((_, reject) => signal.addEventListener("abort", () => reject(signal.reason)));
/** The roots of all conversations in one: their methods have different names. */
export class Root extends Referenceable {
  static parameters = { remote_watch: ["callback", "job"] };
  object = new Door();
  closed = 0;
  constructor() {
    super();
    this.stock = new Stock();
    this.board = new Board();
    const room = (this.room = Object.assign(new Room(), { name: "hall", players: [] }));
    room.players.push(Object.assign(new Player(), { name: "Ann", room }));
  }
  remote_echo(x) {
    return x;
  }
  async remote_watch(callback, _job) {
    await callback.callWith({ trace: current().trace }, "progress", 50);
    return true;
  }
  remote_door() {
    return this.object;
  }
  async remote_offer(chooser) {
    this.chooser = chooser;
    await chooser.call("pick", this.object);
  }
  remote_mid(a, b) {
    return new Point((a.x + b.x) / 2, (a.y + b.y) / 2);
  }
  remote_withdraw() {
    throw new Insufficient("balance is 5", { balance: 5 });
  }
  remote_slow() {
    return never(current().signal);
  }
  remote_stock() {
    return this.stock;
  }
  remote_same(x) {
    return x === this.stock;
  }
  remote_room() {
    return this.room;
  }
  remote_is_room(x) {
    return x === this.room;
  }
  remote_name_of(player) {
    return player.name;
  }
  remote_board() {
    return this.board;
  }
  remote_matches(state) {
    assert.deepEqual(state, { notes: this.board.notes, seats: this.board.seats, title: this.board.title });
    return true;
  }
  remote_library() {
    return new Library();
  }
  async *remote_rows() {
    yield* [10, 20, 30];
  }
  remote_collect(stream) {
    this.stream = stream;
    return true;
  }
  async *remote_count() {
    try {
      yield* endless();
    } finally {
      this.closed++;
    }
  }
  remote_closed() {
    return this.closed;
  }
  async *remote_overdraw() {
    yield 7;
    throw new Insufficient("balance is 5", { balance: 5 });
  }
  async remote_read(stream) {
    const { signal } = current();
    await stream.next();
    return never(signal);
  }
}
async function* endless() {
  for (let n = 1; ; n++) yield n;
}
async function* letters() {
  yield* ["a", "b", "c"];
}

const asks = (...what) => (play) => play.ask(...what);
const of = (number, method, ...args) => (play) =>
  play.askOf(number, method, ...args.map((arg) => (typeof arg === "function" ? arg(play) : arg)));
const result = (number) => (play) => play.value(number);
const drop = (...numbers) => (play) => play.drop(...numbers);
const watches = (trace) => (play) =>
  play.keep(play.connection.root.callWith({ named: { job: "build" }, trace }, "watch", new Watcher()));
const grants = (number) => (play) => play.value(0).pull(number);
const pipes = (...steps) => (play) => {
  const made = [play.connection.root.pipe()];
  for (const [from, method, ...args] of steps)
    made.push(made[from][method](...args.map((arg) => (typeof arg === "function" ? arg(made) : arg))));
  for (const one of made.slice(1)) play.keep(one);
};
const user = { user: "user", password: "pencil" };
/** An object that the server never gave: no honest caller has one. */
const forged = (play) => new RemoteReference(play.connection, new Held(42));
/** conversation and role -> what that side does of its own, each before the frame of that number. */
export const ACTS = {
  "01-bootstrap-echo S": { 4: (play) => void play.connection.close() },
  "01-bootstrap-echo C": { 1: asks("echo", "hi") },
  "02-callback C": { 0: watches() },
  "03-decref-race C": { 0: asks("door"), 2: asks("door"), 3: drop(0), 5: of(1, "open"), 7: drop(1) },
  "04-copyable C": { 0: asks("mid", new Point(0, 0), new Point(6, 8)), 2: asks("mid", new Unknown(), new Point(0, 0)) },
  "05-cacheable C": { 0: asks("stock"), 3: (play) => play.ask("same", play.value(0)), 5: asks("stock"), 6: drop(0), 8: drop(2) },
  "06-cyclic-list C": { 0: (play) => { const x = []; x.push(x); play.ask("echo", x); } },
  "07-errors C": { 0: asks("withdraw", 9), 2: asks("nope"), 4: (play) => play.keep(forged(play).call("x")) },
  "08-pipeline C": { 0: pipes([0, "library"], [1, "find", "sicp"], [2, "title"]), 7: drop(0, 1) },
  "09-stream C": { 0: asks("rows"), 2: grants(2), 4: grants(2) },
  "10-login-scram C": { 2: (play) => play.logIn(user), 7: (play) => play.attach(0, "shop", "user", new Watcher()), 9: of(1, "who") },
  "11-cancel C": {
    0: (play) => play.keep(play.connection.root.callWith({ ttl: 1500, signal: (play.abort = new AbortController()).signal }, "slow")),
    1: (play) => play.abort.abort(),
  },
  "12-view C": { 0: asks("enter", "conan"), 2: of(0, "weapon"), 4: of(1, "swing"), 6: of(0, "is_weapon", result(1)), 8: of(0, "is_me", result(0)) },
  "13-revoke S": { 2: (play) => play.connection.revoke(play.root.object) },
  "13-revoke C": { 0: asks("door"), 2: of(0, "open"), 5: drop(0) },
  "14-home-before-release C": { 0: (play) => play.ask("offer", new Watcher()) },
  "15-batch C": { 0: (play) => { play.ask("echo", 1); play.ask("echo", 2); play.connection.send([13, 7]); } },
  "16-two-perspectives C": {
    0: asks("enter", "alice"), 2: asks("enter", "bob"), 4: of(0, "weapon"), 6: of(1, "weapon"), 8: of(0, "weapon"), 10: of(3, "swing"),
    12: of(0, "is_weapon", result(3)), 14: of(0, "who", result(1)), 16: of(0, "friend", "bob"), 18: of(8, "wave"),
  },
  "17-detach C": { 0: asks("enter", "conan"), 2: of(0, "weapon"), 4: of(0, "door"), 6: of(0, "weapon"), 9: drop(0, 1, 2), 10: asks("echo", 1) },
  "18-revoke-cache S": { 2: (play) => play.connection.revoke(play.root.stock) },
  "18-revoke-cache C": { 0: asks("stock"), 2: (play) => play.ask("same", play.value(0)), 5: drop(0), 6: asks("stock") },
  "19-stale-cache S": { 2: (play) => play.root.stock.notify("paint", "red") },
  "19-stale-cache C": { 0: asks("stock"), 5: asks("stock"), 7: (play) => play.ask("same", play.value(1)) },
  "20-nested-caches S": {
    4: ({ root: { room } }) => { room.players[0].name = "Anna"; room.players[0].notify("renamed", "Anna"); },
    5: ({ root: { room } }) => room.notify("joined", Object.assign(new Player(), { name: "Bob", room })),
  },
  "20-nested-caches C": {
    0: asks("room"), 2: (play) => play.ask("is_room", play.value(0)), 6: (play) => play.ask("is_room", play.value(0).players.at(-1).room),
    8: (play) => play.ask("name_of", play.value(0).players[0]),
  },
  "21-tracked S": Object.fromEntries([
    ["set", "title", "b"], ["splice", "notes", 1, 0, ["y", "z"]], ["splice", "notes", 0, 1, []], ["put", "seats", "north", "ann"],
    ["put", "seats", "south", "bob"], ["drop", "seats", "north"],
  ].map(([method, ...args], i) => [2 + i, ({ root: { board } }) => {
    Object.assign(board, { title: "b", notes: ["y", "z"], seats: { south: "bob" } });
    board.notify(method, ...args);
  }])),
  "21-tracked C": { 0: asks("board"), 8: (play) => { const { notes, seats, title } = play.value(0); play.ask("matches", { notes, seats, title }); } },
  "22-answered-observe C": { 0: asks("stock"), 7: (play) => play.ask("same", play.value(0)) },
  "23-cache-under-two-perspectives C": { 0: asks("enter", "alice"), 2: asks("enter", "bob"), 4: of(0, "shelf"), 6: of(1, "shelf"), 11: of(0, "is_shelf", result(3)) },
  "24-hidden-field C": { 0: asks("enter", "alice"), 2: of(0, "ann"), 4: asks("enter", "bob"), 6: of(2, "ann"), 8: (play) => play.ask("echo", play.value(3)) },
  "27-login-anonymous C": { 2: (play) => play.logIn("anonymous"), 4: (play) => play.attach(0, "shop"), 6: of(1, "who") },
  "28-login-identity C": {
    2: (play) => play.logIn(user), 7: (play) => play.keep(play.value(0).keys()), 9: (play) => play.attach(0, "shop", "user"),
    11: (play) => play.attach(0, "shop", "guest"), 13: of(2, "weapon"), 15: of(3, "weapon"), 17: of(5, "swing"),
    19: (play) => play.attach(0, "shop", "root"), 21: (play) => play.attach(0, "bank", "user"), 23: (play) => play.keep(play.value(0).detach(play.value(3))),
    26: of(4, "swing"), 28: (play) => play.keep(play.value(0).detach(play.value(0).reference)), 30: (play) => play.keep(play.value(0).logout()),
    34: (play) => play.logIn("anonymous"),
  },
  "29-login-refused C": {
    2: (play) => play.logIn({ user: "user", password: "wrong" }), 7: (play) => play.logIn({ user: "nobody", password: "pencil" }),
    12: (play) => play.ask("login", "SCRAM-SHA-1", Buffer.from("n,,n=user,r=rOprNGfwEbeRWgbNEkqO")),
  },
  "30-login-two-services C": {
    2: (play) => play.logIn(user), 7: (play) => play.attach(0, "shop", "user"), 9: (play) => play.attach(0, "forum"), 11: (play) => play.logIn("anonymous"),
    13: (play) => play.attach(3, "shop", "guest"), 15: of(1, "who"), 17: of(2, "who"), 19: of(4, "who"), 21: (play) => play.keep(play.value(0).logout()), 26: of(4, "who"),
  },
  "31-login-revoked C": {
    2: (play) => play.logIn(user), 7: (play) => play.attach(0, "shop", "user"), 9: of(1, "who"), 13: drop(0, 1),
    14: (play) => play.logIn(user), 19: (play) => play.attach(3, "shop", "user"),
  },
  "38-locked-out C": { 3: (play) => play.logIn(user) },
  "39-full S": { 0: (play) => play.connection.fail(new ProtocolError(8, "it is full")) },
  "39-full C": { 3: asks("echo", "hi") },
  "32-stream-argument S": { 2: (play) => play.root.stream.pull(2), 4: (play) => play.root.stream.pull(2) },
  "32-stream-argument C": { 0: (play) => play.ask("collect", letters()) },
  "33-stream-stop C": { 0: asks("count"), 2: grants(1), 4: (play) => play.value(0).stop(), 6: asks("closed") },
  "34-stream-error C": { 0: asks("overdraw"), 2: grants(4) },
  "35-stream-cancel C": {
    0: (play) => play.keep(play.connection.root.callWith({ signal: (play.abort = new AbortController()).signal }, "read", endless())),
    3: (play) => play.abort.abort(),
  },
  "36-stream-refused C": { 0: (play) => play.ask("collect", endless(), new Unknown()) },
  "45-pipelined-argument C": { 0: pipes([0, "library"], [1, "find", "sicp"], [1, "lend", (made) => made[2], 14]), 7: drop(0, 1) },
  "46-broken-promise C": { 0: pipes([0, "withdraw", 9], [1, "count"], [2, "sum"]) },
  "60-reserved C": { 0: asks("pb:idempotent"), 2: asks("look"), 4: asks("pb:nonsense"), 6: asks("pb:idempotent", 1) },
  "62-resolve C": { 0: asks("pb:resolve", "lobby"), 2: of(0, "open"), 4: asks("pb:resolve", "~mfrggzdfmztwq2lknnwg23tpobyxe43u"), 6: asks("pb:resolve", 7) },
  "63-secret-name C": {
    2: asks("pb:resolve", "lobby"), 4: asks("pb:resolve", "~mfrggzdfmztwq2lknnwg23tpobyxe43u"), 6: of(1, "read"), 8: of(1, "read"),
    11: drop(1), 12: asks("pb:resolve", "~mfrggzdfmztwq2lknnwg23tpobyxe43u"),
  },
  "70-trace C": {
    0: watches({ traceparent: "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01", tracestate: "congo=t61rcWkgMzE" }),
    5: watches({ traceparent: "00-00000000000000000000000000000000-00f067aa0ba902b7-01" }),
  },
};
