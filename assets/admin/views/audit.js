// The audit log: who did what to which record, from where, newest first, and never changed afterwards.

import { call, download, search } from "../api.js";
import { count, program } from "../format.js";
import { html, useEffect, useState } from "../lib.js";
import { List } from "../list.js";
import { usePoll } from "../poll.js";
import { filter, to } from "../route.js";
import { attempt } from "../toast.js";
import { Ago, Note } from "../ui.js";
import { ACTORS, Subject, Told, learn, what } from "./audit-words.js";

/**
 * @typedef {import("./audit-words.js").Entry} Entry
 *
 * @typedef {object} State
 * @property {boolean} sound
 * @property {string | null} trouble
 * @property {number} checked
 * @property {number} entries
 * @property {{ day: string, seq: number } | null} signed
 */

/** How an action begins, and what it is about. @type {[string, string][]} */
const ACTIONS = [["", "Anything"], ["user.sign", "Sign-ins"], ["user.", "Accounts"], ["license.", "Licences"], ["seat.", "Seats"], ["subscription.", "Subscriptions"],
  ["payment.", "Payments"], ["plan.", "Plans"], ["org.", "Organisations"], ["member.", "Members"], ["invitation.", "Invitations"], ["api_key.", "API keys"],
  ["key.", "Signing keys"], ["mail.", "E-mails"], ["backup.", "Backups"], ["audit.", "This log"]];

/** @type {import("../list.js").Column[]} */
const COLUMNS = [
  { title: "When", cell: (/** @type {Entry} */ entry) => html`<${Ago} at=${entry.at} />`, csv: (entry) => entry.at },
  { title: "Who", class: "cut", cell: (entry) => who(entry), csv: (entry) => entry.actor_email ?? entry.actor },
  { title: "What", class: "what", cell: (entry) => what(entry.action), csv: (entry) => entry.action },
  { title: "Record", class: "wide", cell: (entry) => html`<${Record} entry=${entry} />`, csv: (entry) => entry.subject },
  { title: "Details", class: "wide details", cell: (entry) => html`<${Told} entry=${entry} />`, csv: (entry) => JSON.stringify(entry.details) },
  { title: "Changes", csv: (entry) => JSON.stringify(entry.changes) },
  { title: "Address", csv: (entry) => entry.address },
  { title: "Program", csv: (entry) => entry.user_agent },
  { title: "Request id", csv: (entry) => entry.request_id },
  { title: "User id", csv: (entry) => entry.user_id },
  { title: "API key id", csv: (entry) => entry.api_key_id },
  { title: "Organisation id", csv: (entry) => entry.org_id },
  { title: "Number", csv: (entry) => entry.seq },
  { title: "Hash", csv: (entry) => entry.hash },
];

/** @param {{ query: Record<string, string> }} props */
export default function Audit({ query }) {
  const { data: state } = usePoll(() => /** @type {Promise<State>} */ (call("GET", "/admin/audit/status")), 60_000, []);
  const signed = () => attempt(() => download(`/admin/audit/export${search({ from: query.from, to: query.to })}`, "coditect-audit.jsonl"));
  const boxes = html`<${Box} name="subject" label="Id of a record" value=${query.subject} /><${Box} name="actor" label="Who: e-mail or id" value=${query.actor} />
    <${Box} name="from" label="From" value=${query.from} date /><${Box} name="to" label="Before" value=${query.to} date />`;
  return html`<${List} title="Audit" path="/admin/audit" seen=${learn} columns=${COLUMNS} id=${(/** @type {Entry} */ entry) => entry.audit_id}
    search="A text anywhere in an entry" searchHelp="Search finds a text as it stands in an entry, whatever the case."
    filters=${[{ name: "action", label: "About", options: ACTIONS }]} kept=${["subject", "actor", "org_id", "from", "to"]} tools=${boxes}
    intro=${html`<${Soundness} state=${state} />`}
    actions=${html`<button onClick=${signed} title="Every entry of the chosen days, chained and signed: coditect audit verify proves it whole and unaltered">Export signed</button>`}
    empty=${html`<p>Nothing was done yet.</p>`} />`;
}

/** Whether the log is what was written. @param {{ state: State | undefined }} props */
function Soundness({ state }) {
  if (!state) return null;
  if (!state.sound) {
    return html`<${Note} kind="bad"><p>The log was altered: ${state.trouble}. Keep a copy of the data folder before anything else is done.
      <a href="/handbook/security#the-audit-log">What this means</a></p><//>`;
  }
  const upTo = state.signed ? `signed up to number ${count(state.signed.seq)}, the end of ${state.signed.day}` : "each day is signed when it is over";
  return html`<span>${count(state.entries, "entry", "entries")}, each chained to the one before; ${upTo}. <a href="/handbook/security#the-audit-log">How it is proved</a></span>`;
}

/**
 * Narrows the list to what is typed. @param {{ name: string, label: string, value?: string, date?: boolean }} props
 */
function Box({ name, label, value = "", date = false }) {
  const [typed, setTyped] = useState(value);
  useEffect(() => { setTyped(value); }, [value]);
  const narrow = (/** @type {string} */ text) => filter({ [name]: text.trim(), cursor: "" });
  if (date) {
    return html`<label class="choice"><span>${label}</span><input type="date" value=${value.slice(0, 10)}
      onChange=${(/** @type {any} */ event) => narrow(event.currentTarget.value)} /></label>`;
  }
  return html`<label class="box"><span class="unseen">${label}</span>
    <input value=${typed} placeholder=${label} autocomplete="off" spellcheck=${false}
      onInput=${(/** @type {any} */ event) => setTyped(event.currentTarget.value)} onChange=${() => narrow(typed)} /></label>`;
}

/** @param {Entry} entry */
function who({ actor, actor_email, api_key_id, user_id, address, user_agent }) {
  const key = api_key_id && html` <span class="soft" title=${api_key_id}>API key</span>`;
  const from = address && html`<span class="sub mono from" title=${user_agent ? program(user_agent) : ""}>${address}</span>`;
  if (actor_email) return html`<span><a href=${to("users", user_id ?? "")}>${actor_email}</a>${key} ${from}</span>`;
  return html`<span><span class="soft">${ACTORS[actor] ?? actor}</span> ${from}</span>`;
}

/** @param {{ entry: Entry }} props */
function Record({ entry }) {
  const { subject } = entry;
  return html`<span><${Subject} entry=${entry} />
    ${/^[0-9a-f-]{36}$/.test(subject) && html` <a class="soft" href=${to("audit", "", { subject })} aria-label=${`History of ${subject}`}>history</a>`}</span>`;
}
