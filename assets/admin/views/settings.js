// Every setting: what holds, where that comes from, and what it does.

import { call } from "../api.js";
import { html } from "../lib.js";
import { Choice, Search } from "../list.js";
import { usePoll } from "../poll.js";
import { filter } from "../route.js";
import { Empty, Head, Loading, Section, Tag } from "../ui.js";

/**
 * @typedef {object} Setting
 * @property {string} key `server.listen`
 * @property {string} env
 * @property {string} doc
 * @property {string | null} default
 * @property {string | null} value null: none; of a secret, whether there is one
 * @property {string} source `default`, `file PATH`, `environment NAME` or `flag NAME`
 */

/** @type {[string, string][]} */
const SOURCES = [["", "All"], ["set", "Only what is set"], ["default", "Only defaults"]];

/** @param {{ query: Record<string, string> }} props */
export default function Settings({ query }) {
  const { data, problem } = usePoll(() => call("GET", "/admin/settings"), 0);
  const words = (query.q ?? "").toLowerCase().split(/\s+/).filter(Boolean);
  const found = /** @type {Setting[]} */ (data?.items ?? []).filter((setting) => {
    if (query.source && (query.source === "default") !== (setting.source === "default")) return false;
    const text = `${setting.key} ${setting.env} ${setting.doc} ${setting.value ?? ""}`.toLowerCase();
    return words.every((word) => text.includes(word));
  });
  /** @type {Map<string, Setting[]>} */
  const sections = new Map();
  for (const setting of found) {
    const name = setting.key.includes(".") ? setting.key.split(".")[0] : "";
    sections.set(name, [...(sections.get(name) ?? []), setting]);
  }
  return html`<${Head} title="Settings"><p class="soft intro">What this server was started with. They are changed in its settings file, its environment or
      its command line, and hold from the next start. <a href="/handbook/configuration">All of them, with examples</a></p><//>
    <div class="tools" role="search"><${Search} words="Name, value or what it does" /><${Choice} name="source" label="Show" options=${SOURCES} /></div>
    ${!data && html`<${Section}><${Loading} problem=${problem} /><//>`}
    ${data && !found.length && html`<${Section}><${Empty}><p>No setting matches.</p>
      <p><button onClick=${() => filter({ q: "", source: "" })}>Show all</button></p><//><//>`}
    ${[...sections].map(([name, settings]) => html`<${Section} key=${name} title=${name || "general"} class="settings">
      <dl>${settings.map((setting) => html`<${One} key=${setting.key} ...${setting} name=${setting.key} usual=${setting.default} />`)}</dl><//>`)}`;
}

/** @param {{ name: string, env: string, doc: string, usual: string | null, value: string | null, source: string }} props */
function One({ name, env, doc, usual, value, source }) {
  const [from, ...where] = source.split(" ");
  const set = from !== "default";
  return html`<div class=${set ? "set" : ""}>
    <dt><code>${name}</code> <code class="env">${env}</code></dt>
    <dd><p class="value"><code>${value ?? "none"}</code> <span title=${source}><${Tag} tone=${set ? "info" : ""}>${from}<//></span>
        ${set && where.join(" ") !== env && html`<span class="soft where">${where.join(" ")}</span>`}
        ${set && usual !== null && usual !== value && html`<span class="soft">instead of <code>${usual}</code></span>`}</p>
      <p class="doc">${marked(doc)}</p></dd></div>`;
}

/** Text with its `code` marked. @param {string} text */
function marked(text) {
  return text.split("`").map((part, nth) => (nth % 2 ? html`<code>${part}</code>` : part));
}
