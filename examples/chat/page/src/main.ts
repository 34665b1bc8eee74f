/** The page: signing in, and then the chat. */
import { Forbidden, LoginFailed } from "perspective-broker";
import { Conversation } from "./conversation.js";
import { at, words } from "./dom.js";
import { showPeople, showRooms } from "./lists.js";
import { type Listener, Room, Session } from "./session.js";
import { Directory, Message, Roster, type Status } from "./wire.js";

const URL = `${location.protocol === "https:" ? "wss" : "ws"}://${location.host}/`;
const FIRST = "lobby";
const STEPS: Record<string, number> = { ArrowUp: -1, ArrowDown: 1 };
const [signIn, chat] = [at("sign-in", "main"), at("chat", "div")];
const [form, refused, enter] = [at("credentials", "form"), at("refused", "p"), at("enter", "button")];
const [user, password] = [at("user", "input"), at("password", "input")];

class Page implements Listener {
  private readonly session: Session;
  private readonly conversation: Conversation;
  private readonly parts = {
    title: at("room-title", "h2"), summary: at("room-summary", "p"), leave: at("leave", "button"),
    rooms: at("rooms", "ul"), people: at("people", "ul"), text: at("text", "textarea"), problem: at("problem", "p"),
    connection: at("connection", "div"), lost: at("lost", "span"), status: at("status", "button"), name: at("room-name", "input"),
  };
  private rooms: Directory["rooms"] = {};
  private current = FIRST;
  private readonly listening = new AbortController(); // what the page listens to, for as long as this session lasts
  private isShown = false;

  constructor(name: string, secret: string) {
    this.session = new Session(URL, name, secret, [FIRST], this);
    this.conversation = new Conversation(at("log", "ol"), name);
    const { signal } = this.listening;
    const on = (on: HTMLElement, event: string, act: (event: any) => unknown): void =>
      on.addEventListener(event, act, { signal });
    const { text, status, leave } = this.parts;
    on(at("say", "form"), "submit", (event) => (event.preventDefault(), this.say()));
    on(text, "keydown", (event) => {
      if (event.key !== "Enter" || event.shiftKey || event.isComposing) return;
      event.preventDefault();
      void this.say();
    });
    on(at("new-room", "form"), "submit", (event) => {
      event.preventDefault();
      void this.go(this.parts.name.value.trim().toLowerCase().replace(/\s+/g, " "));
    });
    const other = (): Status => (this.session.status === "here" ? "away" : "here");
    on(status, "click", () => this.trying(() => this.session.setStatus(other())));
    on(leave, "click", () => this.leave());
    on(at("try-now", "button"), "click", () => this.session.tryNow());
    addEventListener("online", () => this.session.tryNow(), { signal });
    document.addEventListener("visibilitychange", () => this.seen(), { signal });
    on(at("sign-out", "button"), "click", () => this.session.signOut());
    on(document.body, "keydown", (event) => {
      if (event.altKey && Object.hasOwn(STEPS, event.key)) this.step(STEPS[event.key], event);
    });
  }

  // --- what the session tells

  connected(): void {
    const { connection, text } = this.parts;
    if (connection.contains(document.activeElement)) text.focus(); // what has it vanishes
    connection.hidden = true;
    if (!this.session.rooms.has(this.current)) void this.go(FIRST); // it was refused this time
    if (this.isShown) return;
    this.isShown = true;
    at("me", "span").textContent = this.session.user;
    [signIn.hidden, chat.hidden] = [true, false];
    text.focus();
  }
  lost(seconds: number): void {
    const when = seconds < 1 ? "" : ` in ${Math.round(seconds)} s`;
    const text = `No connection to the server. Trying again${when} …`;
    if (!this.isShown) {
      enter.disabled = false; // so that one can try something else
      return say(text);
    }
    this.parts.lost.textContent = text;
    this.parts.connection.hidden = false;
  }
  ended(error: unknown): void {
    if (page !== this) return; // the user has begun anew
    page = undefined;
    this.listening.abort();
    for (const list of [this.parts.rooms, this.parts.people, at("log", "ol")]) list.replaceChildren();
    [signIn.hidden, chat.hidden, enter.disabled] = [false, true, false];
    document.title = "Words";
    if (error instanceof LoginFailed) again("The name or the password is wrong.", password);
    else if (error instanceof Forbidden) again("There is no place for you in this chat.", user);
    else again(error === undefined ? "" : words(error), user);
  }
  /** The page is looked at again: what has come to the room it shows is read. */
  seen(): void {
    const room = this.session.rooms.get(this.current);
    if (!room || document.hidden) return;
    room.unread = 0;
    this.show();
  }
  directory(rooms: Directory["rooms"]): void {
    this.rooms = rooms;
    this.show();
  }
  entered(room: Room): void {
    if (room.name === this.current) this.conversation.show(room);
    this.show();
  }
  heard(room: Room, message: Message): void {
    if (room.name === this.current) this.conversation.add(message);
    if (room.name !== this.current || document.hidden) room.unread++;
    this.show();
  }
  people(room: Room, before: Roster["people"]): void {
    if (room.name !== this.current) return;
    this.conversation.changed(room, before);
    this.show();
  }

  // --- what the user does

  /** Begin anew, before there was a connection. */
  giveUp(): void {
    this.listening.abort();
    this.session.signOut();
  }
  private async say(): Promise<void> {
    const { text } = this.parts;
    const [room, said] = [this.session.rooms.get(this.current), text.value];
    if (!room || !said.trim()) return;
    text.value = "";
    if (await this.trying(() => this.session.say(room, said))) return;
    text.value = [said, text.value].filter(Boolean).join("\n"); // before what was written meanwhile
  }
  private async go(name: string): Promise<void> {
    let room: Room | undefined;
    if (!name || !(await this.trying(async () => (room = await this.session.enter(name))))) return;
    this.current = room!.name;
    room!.unread = 0;
    this.parts.name.value = "";
    this.conversation.show(room!);
    this.show();
    this.parts.text.focus();
  }
  private async leave(): Promise<void> {
    const room = this.session.rooms.get(this.current);
    const next = [...this.session.rooms.keys()].find((name) => name !== this.current);
    if (!room || next === undefined) return;
    await this.go(next);
    await this.trying(() => this.session.leave(room));
    this.show();
  }
  private step(by: number, event: Event): void {
    event.preventDefault();
    const names = [...this.session.rooms.keys()].sort();
    void this.go(names[(names.indexOf(this.current) + by + names.length) % names.length]);
  }
  /** Do something that the server may refuse, and show why it did. Tells whether it was done. */
  private async trying(act: () => Promise<unknown>): Promise<boolean> {
    const { problem } = this.parts;
    problem.textContent = "";
    try {
      await act();
      this.show();
      return true;
    } catch (error) {
      problem.textContent = words(error);
      return false;
    }
  }
  private show(): void {
    const { session, current, parts } = this;
    const people = session.rooms.get(current)?.people ?? {};
    const count = Object.keys(people).length;
    parts.title.textContent = current;
    parts.summary.textContent = count === 1 ? "You are alone in here" : `${count} people`;
    parts.leave.hidden = session.rooms.size < 2;
    parts.status.setAttribute("aria-pressed", String(session.status === "away"));
    parts.text.placeholder = `Say something in the ${current}`;
    showRooms(parts.rooms, session, this.rooms, current, (name) => void this.go(name));
    showPeople(parts.people, people, session.user);
    const unread = [...session.rooms.values()].reduce((sum, room) => sum + room.unread, 0);
    document.title = unread ? `(${unread}) Words` : "Words";
  }
}


let page: Page | undefined; // the one that is in use
function say(text: string): void {
  refused.textContent = text;
}
/** Say what was wrong, and wait where it can be mended. */
function again(text: string, field: HTMLInputElement): void {
  say(text);
  password.value = "";
  field.focus();
}
form.addEventListener("submit", (event) => {
  event.preventDefault();
  say("");
  // SASLprep, which other characters need, is not in this client.
  if (!/^[ -~]*$/.test(user.value + password.value))
    return again("Names and passwords are letters without accents, digits and signs here.", password);
  enter.disabled = true;
  page?.giveUp();
  page = new Page(user.value, password.value);
});
user.focus();
