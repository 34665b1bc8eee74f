/** What crosses from the server: the names that its registry has too (wire.py). */
import { PbError, Registry } from "perspective-broker";

export class Message {
  declare readonly author: string;
  declare readonly text: string;
  declare readonly at: Date;
}
export type Status = "here" | "away";
/** A replica: the server changes the original, and this one follows. */
export class Roster {
  declare readonly people: Readonly<Record<string, Status>>;
}
export class Directory {
  declare readonly rooms: Readonly<Record<string, number>>;
}
export class Refused extends PbError {}

export const registry = new Registry()
  .copy("chat.Message", Message, { fields: ["author", "text", "at"] })
  .tracked("chat.Roster", Roster, ["people"])
  .tracked("chat.Directory", Directory, ["rooms"])
  .error("chat.Refused", Refused);
