/** A user at the chat: the connection, which comes back when it is lost, and the rooms. Knows nothing of the page. */
import {
  type Connection, type Identity, onChange, Reconnecting, Referenceable, type RemoteReference,
} from "perspective-broker";
import { Directory, Message, Refused, registry, Roster, type Status } from "./wire.js";

/** Messages that a page keeps of a room, as the server does. */
const KEPT = 100;

/** What the page does when something happens. */
export interface Listener {
  /** Signed in, for the first time or again. */
  connected(): void;
  /** Not connected; it is tried again in so many seconds. */
  lost(seconds: number): void;
  /** It is over: refused, or signed out. */
  ended(error: unknown): void;
  /** The list of rooms has changed. */
  directory(rooms: Directory["rooms"]): void;
  /** A room was entered: what was said there, and who is in it, is new. */
  entered(room: Room): void;
  heard(room: Room, message: Message): void;
  /** Somebody has come, gone, or changed status. */
  people(room: Room, before: Roster["people"]): void;
}

/** A room that the user is in. */
export class Room {
  said: Message[] = [];
  people: Roster["people"] = {};
  unread = 0;
  /** @internal */ reference: RemoteReference | undefined;
  /** @internal */ forget: (() => void) | undefined;
  constructor(readonly name: string) {}
}

/** The object that the server calls back. */
class Ear extends Referenceable {
  constructor(private readonly session: Session) {
    super();
  }
  remote_hear(name: string, message: Message): void {
    this.session.hear(name, message);
  }
}

export class Session {
  readonly rooms = new Map<string, Room>();
  status: Status = "here";
  private me: RemoteReference | undefined;
  private why: Error | undefined; // it ended, where that was not the user
  private waiting: (() => void) | undefined; // ends the wait before the next try
  // Said at each login: what an earlier connection has left, which may be dead unnoticed, ends then.
  private readonly mark = crypto.getRandomValues(new Uint8Array(32));
  private readonly coming: Reconnecting;

  constructor(
    url: string, readonly user: string, password: string, first: readonly string[], private readonly listener: Listener,
  ) {
    for (const name of first) this.rooms.set(name, new Room(name));
    this.coming = new Reconnecting(url, {
      registry,
      login: { user, password },
      ready: (connection) => this.begin(connection as Connection & { identity: Identity }),
      lost: (_, seconds) => {
        this.me = undefined;
        listener.lost(seconds);
      },
      wait: (seconds) => new Promise((resolve) => {
        this.waiting = resolve;
        setTimeout(resolve, seconds * 1000);
      }),
    });
    this.coming.done.then(() => listener.ended(this.why), (error: unknown) => listener.ended(error));
  }
  /** Enter a room; nothing happens where one is in it. Rejects with why not. */
  async enter(name: string): Promise<Room> {
    const me = this.connected();
    const found = this.rooms.get(name);
    if (found?.reference) return found;
    const room = found ?? new Room(name);
    this.rooms.set(name, room);
    try {
      await this.open(me, room);
    } catch (error) {
      this.rooms.delete(name);
      throw error;
    }
    return room;
  }
  async leave(room: Room): Promise<void> {
    room.forget?.();
    this.rooms.delete(room.name);
    await this.connected().call("leave", room.name);
  }
  async say(room: Room, text: string): Promise<void> {
    this.connected();
    await room.reference!.call("say", text);
  }
  async setStatus(status: Status): Promise<void> {
    await this.connected().call("set_status", status);
    this.status = status;
  }
  /** Where there is no connection: try again at once. */
  tryNow(): void {
    this.waiting?.();
  }
  signOut(): void {
    void this.coming.stop().catch(() => undefined);
    this.tryNow(); // it waits no more, and sees that it was stopped
  }
  /** @internal */
  hear(name: string, message: Message): void {
    const room = this.rooms.get(name);
    if (!room) return; // it was left a moment ago
    room.said.push(message);
    if (room.said.length > KEPT) room.said.shift();
    if (room.reference) this.listener.heard(room, message);
  }

  private connected(): RemoteReference {
    if (!this.me) throw new Error("There is no connection just now. Nothing was sent.");
    return this.me;
  }
  private async begin(connection: Connection & { identity: Identity }): Promise<void> {
    const { identity } = connection;
    await identity.reference.call("supersede", this.mark);
    const me = await identity.attach("chat", null, new Ear(this));
    const directory: Directory = await me.call("directory");
    onChange(directory, (update) => {
      if (update !== "stale") this.listener.directory(directory.rooms);
      else if (!connection.isClosed) {
        // Taken away while the connection is there: the user may not be here any more.
        this.why = new Error("The server has signed you out.");
        this.signOut();
      }
    });
    this.listener.directory(directory.rooms);
    if (this.status !== "here") await me.call("set_status", this.status);
    for (const room of [...this.rooms.values()])
      await this.open(me, room).catch((error: unknown) => {
        if (!(error instanceof Refused)) throw error; // the connection was lost: the room is entered over the next
        this.rooms.delete(room.name);
      });
    this.me = me;
    this.listener.connected();
  }
  private async open(me: RemoteReference, room: Room): Promise<void> {
    room.reference = undefined;
    room.forget?.();
    room.said = []; // what is heard while the answer is on its way comes behind what the answer brings
    const found: { room: RemoteReference; roster: Roster; said: Message[] } = await me.call("enter", room.name);
    const { roster } = found;
    room.said.unshift(...found.said);
    room.reference = found.room;
    room.people = { ...roster.people };
    room.forget = onChange(roster, () => {
      const before = room.people;
      room.people = { ...roster.people };
      this.listener.people(room, before);
    });
    this.listener.entered(room);
  }
}
