// The audit log: who did what to which record, newest first, and never changed afterwards.

import { plain } from "../format.js";
import { html, useEffect, useState } from "../lib.js";
import { List } from "../list.js";
import { filter, to } from "../route.js";
import { Ago } from "../ui.js";
import { ACTORS } from "./history.js";

/** @typedef {import("./history.js").Entry} Entry */

/** The screens that have a page for each record, by the noun of an action. @type {Record<string, string>} */
const SCREENS = { license: "licenses", user: "users" };

/** @type {import("../list.js").Column[]} */
const COLUMNS = [
  { title: "When", cell: (/** @type {Entry} */ entry) => html`<${Ago} at=${entry.at} />`, csv: (entry) => entry.at },
  { title: "Who", class: "cut", cell: (entry) => who(entry), csv: (entry) => entry.actor_email ?? entry.actor },
  { title: "What", cell: (entry) => plain(entry.action), csv: (entry) => entry.action },
  { title: "Record", cell: (entry) => html`<${Subject} entry=${entry} />`, csv: (entry) => entry.subject },
  { title: "Details", class: "wide", cell: (entry) => html`<${Details} of=${entry.details} />`, csv: (entry) => JSON.stringify(entry.details) },
  { title: "Request id", csv: (entry) => entry.request_id },
  { title: "User id", csv: (entry) => entry.user_id },
  { title: "API key id", csv: (entry) => entry.api_key_id },
  { title: "Organisation id", csv: (entry) => entry.org_id },
];

/** @param {{ query: Record<string, string> }} props */
export default function Audit({ query }) {
  return html`<${List} title="Audit" path="/admin/audit" columns=${COLUMNS} id=${(/** @type {Entry} */ entry) => entry.audit_id}
    kept=${["subject"]} tools=${html`<${SubjectBox} subject=${query.subject ?? ""} />`}
    empty=${html`<p>Nothing was done yet.</p>`} />`;
}

/** Narrows the list to one record's history. @param {{ subject: string }} props */
function SubjectBox({ subject }) {
  const [typed, setTyped] = useState(subject);
  useEffect(() => { setTyped(subject); }, [subject]);
  const narrow = () => filter({ subject: typed.trim(), cursor: "" });
  return html`<label class="search"><span class="unseen">Id of a record</span>
    <input type="search" data-search value=${typed} placeholder="Id of a record: its history" autocomplete="off" spellcheck=${false} aria-keyshortcuts="/"
      onInput=${(/** @type {any} */ event) => setTyped(event.currentTarget.value)} onChange=${narrow} /><kbd aria-hidden="true">/</kbd></label>`;
}

/** @param {Entry} entry */
function who({ actor, actor_email, api_key_id, user_id }) {
  const key = api_key_id && html` <span class="soft" title=${api_key_id}>API key</span>`;
  if (actor_email) return html`<a href=${to("users", user_id ?? "")}>${actor_email}</a>${key}`;
  return html`<span class="soft">${ACTORS[actor] ?? actor}</span>`;
}

/** @param {{ entry: Entry }} props */
function Subject({ entry: { action, subject } }) {
  const screen = SCREENS[action.split(".")[0]];
  const short = html`<span class="mono" title=${subject}>${subject.length > 13 ? `…${subject.slice(-12)}` : subject}</span>`;
  if (!/^[0-9a-f-]{36}$/.test(subject)) return short;
  return html`<span>${screen ? html`<a href=${to(screen, subject)}>${short}</a>` : short}
    ${" "}<a class="soft" href=${to("audit", "", { subject })} aria-label=${`History of ${subject}`}>history</a></span>`;
}

/** @param {{ of: Record<string, string> }} props */
function Details({ of }) {
  const facts = Object.entries(of);
  return facts.length > 0 && html`<span>${facts.map(([name, value]) => html`<span class="detail" key=${name}><span class="soft">${plain(name)}</span> ${value} </span>`)}</span>`;
}
