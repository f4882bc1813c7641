// The server's log as it is written, the newest line first.

import { list } from "../api.js";
import { html, useState } from "../lib.js";
import { Choice, Search } from "../list.js";
import { usePoll } from "../poll.js";
import { filter } from "../route.js";
import { Empty, Head, Loading, Trouble } from "../ui.js";

/**
 * @typedef {object} Line
 * @property {number} seq
 * @property {string} at
 * @property {"error" | "warn" | "info" | "debug" | "trace"} level
 * @property {string} target the part of the program
 * @property {string} message
 * @property {Record<string, string>} fields
 */

const EVERY_MS = 2000;
const LINES = 200;
/** @type {[string, string][]} each with all that is worse */
const LEVELS = [["", "Everything"], ["info", "Info and worse"], ["warn", "Warnings and errors"], ["error", "Errors"]];

/** @param {{ query: Record<string, string> }} props */
export default function Logs({ query }) {
  const { q = "", level = "", cursor = "" } = query;
  const [paused, pause] = useState(false);
  const still = paused || cursor !== "";
  const question = JSON.stringify([q, level, cursor]);
  const { data, problem } = usePoll(async () => ({ question, ...(await list("/admin/logs", { q, level, cursor, limit: LINES })) }),
    still ? 0 : EVERY_MS, [question, still]);
  const stale = data !== undefined && data.question !== question;
  return html`<${Head} title="Logs" actions=${html`<button aria-pressed=${paused ? "true" : "false"} onClick=${() => pause(!paused)}>${paused ? "Go on" : "Pause"}</button>`}>
      <p class="soft intro">The newest 2,000 lines since the server's start, kept in memory. All of them are where its standard error goes.</p><//>
    <div class="tools" role="search"><${Search} words="Words in a line" /><${Choice} name="level" label="Level" options=${LEVELS} /></div>
    <section class=${`panel ${stale ? "stale" : ""}`} aria-busy=${stale || !data ? "true" : undefined}>
      ${problem && html`<div class="inset"><${Trouble} problem=${problem} /></div>`}
      ${!data && !problem && html`<${Loading} />`}
      ${data && (data.items.length ? html`<ol class="log">${data.items.map((/** @type {Line} */ line) => html`<${One} key=${line.seq} ...${line} />`)}</ol>`
        : html`<${Empty}><p>${q || level ? "No line matches." : "Nothing was logged yet."}</p><//>`)}
      ${data && !stale && (cursor || data.next_cursor) && html`<nav class="pages" aria-label="Pages">
        <button disabled=${!cursor} onClick=${() => filter({ cursor: "" })}>Newest</button>
        <button disabled=${!data.next_cursor} onClick=${() => filter({ cursor: data.next_cursor ?? "" })}>Older</button></nav>`}</section>`;
}

/** @param {Line} props */
function One({ at, level, target, message, fields }) {
  return html`<li class=${level}><time datetime=${at} title=${at}>${at.slice(5, 10)} ${at.slice(11, 19)}</time> <span class="level">${level}</span>
    <span class="said">${message}${Object.entries(fields ?? {}).map(([name, value]) => html` <span class="field-of"><span class="soft">${name}=</span>${value}</span>`)}
      ${" "}<span class="soft target">${target.replace(/^coditect::/, "")}</span></span></li>`;
}
