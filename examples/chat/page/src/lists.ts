/** The two lists beside a conversation: rooms, and the people in one. */
import { badge, make } from "./dom.js";
import { Session } from "./session.js";
import { Directory, Roster } from "./wire.js";

/** Show all rooms: those one is in, with what is new there, and the others. */
export function showRooms(
  list: HTMLElement, session: Session, directory: Directory["rooms"], current: string, go: (name: string) => void,
): void {
  const { activeElement: active } = document;
  const focused = active instanceof HTMLElement && list.contains(active) ? active.dataset.room : undefined;
  const names = Object.keys({ ...directory, ...Object.fromEntries(session.rooms) }).sort();
  list.replaceChildren(...names.map((name) => {
    const count = Object.hasOwn(directory, name) ? directory[name] : 0;
    const room = session.rooms.get(name);
    const button = make("button", { type: "button", "data-room": name }, make("span", { class: "name" }, name));
    if (name === current) button.setAttribute("aria-current", "true");
    if (room) button.classList.add("in");
    const people = number("count", count, count === 1 ? " person" : " people");
    button.append(room?.unread ? number("unread", room.unread, " unread") : people);
    button.addEventListener("click", () => go(name));
    return make("li", {}, button);
  }));
  if (focused !== undefined) list.querySelector<HTMLElement>(`[data-room="${CSS.escape(focused)}"]`)?.focus();
}

/** A number, and what it counts for those who hear the page. */
const number = (kind: string, count: number, what: string): HTMLElement =>
  make("span", { class: kind }, String(count), make("span", { class: "unseen" }, what));

/** Show who is in a room. */
export function showPeople(list: HTMLElement, people: Roster["people"], user: string): void {
  list.replaceChildren(...Object.keys(people).sort().map((name) => {
    const isAway = people[name] === "away";
    const row = make("li", { class: isAway ? "person away" : "person" }, badge(name), make("span", { class: "name" }, name));
    if (name === user) row.append(make("span", { class: "aside" }, "you"));
    if (isAway) row.append(make("span", { class: "aside" }, "away"));
    return row;
  }));
}
