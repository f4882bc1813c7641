// What was done to one record, by whom, newest first.

import { call, list } from "../api.js";
import { html, useState } from "../lib.js";
import { usePoll } from "../poll.js";
import { to } from "../route.js";
import { Ago, Loading, Section, Trouble } from "../ui.js";
import { ACTORS, Subject, Told, isKnown, know, learn, what } from "./audit-words.js";

/** @typedef {import("./audit-words.js").Entry} Entry */

/** @param {Entry} entry */
function actorName(entry) {
  const name = entry.actor_email || ACTORS[entry.actor] || entry.actor;
  return entry.api_key_id ? `${name}, API key` : name;
}

/** So many people are looked up at once. */
const LOOKED_UP_MAX = 20;

/** Learns who the people of an organisation are, or were. @param {Entry[]} entries */
async function meet(entries) {
  const people = entries.filter(({ action }) => action.startsWith("member.") && action !== "member.invited").map((entry) => entry.subject);
  const strangers = [...new Set(people)].filter((id) => !isKnown(id)).slice(0, LOOKED_UP_MAX);
  // Whom it cannot name it shows by the id.
  const met = await Promise.all(strangers.map((id) => call("GET", `/admin/users/${id}`).catch(() => null)));
  know(met.filter(Boolean).map((user) => [user.user_id, user.email]));
}

/** @param {{ subject: string }} props an id */
export function History({ subject }) {
  const [rows, setRows] = useState(10);
  const { data, problem } = usePoll(async () => {
    const page = await list("/admin/audit", { subject, limit: rows });
    learn(page.items);
    await meet(page.items);
    return page;
  }, 15_000, [subject, rows]);
  return html`<${Section} title="History">
    ${problem && html`<div class="inset"><${Trouble} problem=${problem} /></div>`}
    ${!data && !problem && html`<${Loading} />`}
    ${data && !data.items.length && html`<p class="empty soft">Nothing is recorded of it.</p>`}
    ${data && data.items.length > 0 && html`<ol class="history">${data.items.map((/** @type {Entry} */ entry) => html`<li key=${entry.audit_id}>
      <span class="when"><${Ago} at=${entry.at} /></span>
      <div><p><strong>${what(entry.action)}</strong>${entry.subject !== subject && html` <${Subject} entry=${entry} />`} <span class="soft">by ${actorName(entry)}</span></p><${Told} entry=${entry} /></div></li>`)}</ol>`}
    ${data?.next_cursor && rows < 200 && html`<p class="more"><button class="plain" onClick=${() => setRows(200)}>Show more</button>
      <a href=${to("audit", "", { subject })}>All in the audit log</a></p>`}<//>`;
}
