// What was done to one record, by whom, newest first.

import { Problem, call, list } from "../api.js";
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

/** People whom the server does not name: they are shown by the id, and not asked for again. @type {Set<string>} */
const nameless = new Set();

/** Learns who the people of an organisation are, or were. @param {Entry[]} entries */
async function meet(entries) {
  const people = entries.filter(({ action }) => action.startsWith("member.") && action !== "member.invited").map((entry) => entry.subject);
  const strangers = [...new Set(people)].filter((id) => !isKnown(id) && !nameless.has(id)).slice(0, LOOKED_UP_MAX);
  const met = await Promise.all(strangers.map((id) => call("GET", `/admin/users/${id}`).catch((problem) => {
    if (problem instanceof Problem && problem.status === 404) nameless.add(id);
    return null;
  })));
  know(met.filter(Boolean).map((user) => [user.user_id, user.email]));
}

/** What was done, to whom or what where that is another record, and by whom where that is somebody else. @param {{ entry: Entry, subject: string }} props */
function Line({ entry, subject }) {
  const elsewhere = entry.subject !== subject;
  const themselves = elsewhere && entry.user_id === entry.subject && !entry.api_key_id;
  return html`<p><strong>${what(entry.action)}</strong>${elsewhere && html` <${Subject} entry=${entry} />`}${!themselves && html` <span class="soft">by ${actorName(entry)}</span>`}</p>
    <${Told} entry=${entry} named=${elsewhere} />`;
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
      <div><${Line} entry=${entry} subject=${subject} /></div></li>`)}</ol>`}
    ${data?.next_cursor && rows < 200 && html`<p class="more"><button class="plain" onClick=${() => setRows(200)}>Show more</button>
      <a href=${to("audit", "", { subject })}>All in the audit log</a></p>`}<//>`;
}
