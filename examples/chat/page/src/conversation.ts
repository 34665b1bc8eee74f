/** What is said in a room. */
import { badge, make } from "./dom.js";
import { Room } from "./session.js";
import { Message, Roster } from "./wire.js";

const TOGETHER_MS = 5 * 60 * 1000; // lines of one author within this stand together
const NEAR_END = 80; // pixels from the end at which what is new is scrolled to
const clock = new Intl.DateTimeFormat(undefined, { hour: "2-digit", minute: "2-digit" });

const KEPT = 300; // lines and notes that the page shows; the oldest go

export class Conversation {
  private last: Message | undefined;
  constructor(private readonly log: HTMLElement, private readonly user: string) {}

  /** Show a room from its beginning. */
  show(room: Room): void {
    this.last = undefined;
    this.log.replaceChildren();
    if (!room.said.length) this.note(`Nothing has been said in the ${room.name} yet.`, "note empty");
    for (const message of room.said) this.line(message);
    this.log.scrollTop = this.log.scrollHeight;
  }
  /** Show one more message. */
  add(message: Message): void {
    this.following(() => this.line(message), message.author === this.user);
  }
  /** Show who has come and who has gone. */
  changed(room: Room, before: Roster["people"]): void {
    const missing = (from: Roster["people"], all: Roster["people"]): string[] =>
      Object.keys(all).filter((name) => !Object.hasOwn(from, name));
    this.following(() => {
      for (const name of missing(before, room.people)) this.note(`${name} is here`);
      for (const name of missing(room.people, before)) this.note(`${name} has left`);
    });
  }

  private line(message: Message): void {
    const { author, text, at } = message;
    const isFirst = this.last?.author !== author || at.getTime() - this.last.at.getTime() > TOGETHER_MS;
    const said = make("p", { class: "text" }, text);
    const when = make("time", { datetime: at.toISOString(), title: at.toLocaleString() }, clock.format(at));
    const row = make("li", { class: author === this.user ? "line own" : "line" });
    if (isFirst) {
      row.classList.add("first");
      row.append(badge(author), make("p", { class: "by" }, make("strong", {}, author), when), said);
    } else row.append(when, said);
    this.log.querySelector(".empty")?.remove();
    this.log.append(row);
    this.last = message;
  }
  private note(text: string, kind = "note"): void {
    this.log.append(make("li", { class: kind }, text));
    this.last = undefined;
  }
  /** Add something; stay at the end if that is where the reader is. */
  private following(add: () => void, always = false): void {
    const { log } = this;
    const isAtEnd = log.scrollHeight - log.scrollTop - log.clientHeight < NEAR_END;
    add();
    while (log.childElementCount > KEPT) log.firstElementChild!.remove();
    if (isAtEnd || always) log.scrollTop = log.scrollHeight;
  }
}
