/** Making elements. Text goes in as text: there is no way from a string to markup in here. */

type Tags = HTMLElementTagNameMap;
type Child = Node | string;

/** Make an element with attributes and children. */
export function make<K extends keyof Tags>(tag: K, attributes: Record<string, string> = {}, ...children: Child[]): Tags[K] {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) element.setAttribute(name, value);
  element.append(...children);
  return element;
}
/** Return the element of the page with an id. */
export function at<K extends keyof Tags>(id: string, tag: K): Tags[K] {
  const found = document.getElementById(id);
  if (found?.localName !== tag) throw new Error(`the page has no ${tag} with the id ${id}`);
  return found as Tags[K];
}
/** The first letter of a name, on a colour that is always the same for it. */
export function badge(name: string): HTMLElement {
  const found = make("span", { class: "badge", "aria-hidden": "true" }, [...name][0].toUpperCase());
  let sum = 0;
  for (const letter of name) sum = (sum * 31 + letter.codePointAt(0)!) % 9973;
  found.style.setProperty("--hue", String((sum * 137) % 360)); // so that names that are alike are far apart
  return found;
}
/** What an error says to people. */
export const words = (error: unknown): string => (error instanceof Error ? error.message : String(error));
