// What was done to one record, by whom, newest first.

import { list } from "../api.js";
import { plain } from "../format.js";
import { html, useState } from "../lib.js";
import { usePoll } from "../poll.js";
import { Ago, Loading, Section, Trouble } from "../ui.js";

/**
 * @typedef {object} Entry
 * @property {number} seq its place in the log
 * @property {string} audit_id
 * @property {string} at
 * @property {string} actor `user`, `anonymous`, `system` or `local`
 * @property {string | null} user_id
 * @property {string | null} [actor_email]
 * @property {string | null} [api_key_id]
 * @property {string | null} org_id
 * @property {string} action `license.suspended`
 * @property {string} subject the record's id
 * @property {Record<string, string>} details
 * @property {Record<string, { before: string | null, after: string | null }>} changes fields, before and after
 * @property {string | null} address
 * @property {string | null} user_agent
 * @property {string | null} request_id
 * @property {string} hash
 */

/** Who acted, where it was no person with an account. @type {Record<string, string>} */
export const ACTORS = { system: "the server itself", local: "this computer's administrator", anonymous: "somebody not signed in" };

/**
 * The fields that changed, before and after; of what was made anew there is no before.
 * @param {Entry} entry @returns {[string, any][]}
 */
export function changed({ changes }) {
  return Object.entries(changes ?? {}).filter(([, { before, after }]) => before !== null || after !== null)
    .map(([name, { before, after }]) => [name, before === null ? html`<ins>${after}</ins>` : html`<del>${before || "nothing"}</del> → <ins>${after === null || after === "" ? "nothing" : after}</ins>`]);
}

/** @param {Entry} entry */
function actorName(entry) {
  const name = entry.actor_email || ACTORS[entry.actor] || entry.actor;
  return entry.api_key_id ? `${name}, API key` : name;
}

/** @param {{ subject: string }} props an id */
export function History({ subject }) {
  const given = (/** @type {Entry} */ entry) => [...Object.entries(entry.details ?? {}).filter(([, value]) => value !== ""), ...changed(entry)];
  const [rows, setRows] = useState(10);
  const { data, problem } = usePoll(() => list("/admin/audit", { subject, limit: rows }), 15_000, [subject, rows]);
  return html`<${Section} title="History">
    ${problem && html`<div class="inset"><${Trouble} problem=${problem} /></div>`}
    ${!data && !problem && html`<${Loading} />`}
    ${data && !data.items.length && html`<p class="empty soft">Nothing is recorded of it.</p>`}
    ${data && data.items.length > 0 && html`<ol class="history">${data.items.map((/** @type {Entry} */ entry) => html`<li key=${entry.audit_id}>
      <span class="when"><${Ago} at=${entry.at} /></span>
      <span><span><strong>${plain(entry.action)}</strong> <span class="soft">by ${actorName(entry)}</span></span>
        ${given(entry).length > 0 && html`<span class="details">${given(entry).map(([name, value]) => html`<span><span class="soft">${plain(name)}</span> ${value}</span>`)}</span>`}</span></li>`)}</ol>`}
    ${data?.next_cursor && rows < 200 && html`<p class="more"><button class="plain" onClick=${() => setRows(200)}>Show more</button>
      <a href=${`#/audit?subject=${encodeURIComponent(subject)}`}>All in the audit log</a></p>`}<//>`;
}
