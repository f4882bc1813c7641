// Where one is signed in, and ending what is not to go on.

import { call, signOutEverywhere } from "../api.js";
import { ask } from "../dialog.js";
import { program } from "../format.js";
import { html } from "../lib.js";
import { Table } from "../list.js";
import { usePoll } from "../poll.js";
import { toast } from "../toast.js";
import { Ago, Day, Loading, Section, Tag, Trouble } from "../ui.js";

/**
 * @typedef {object} SignIn
 * @property {string} session_id
 * @property {string} created_at
 * @property {string} last_used_at
 * @property {string} expires_at
 * @property {string} address
 * @property {string} user_agent
 * @property {boolean} current
 */

const PATH = "/auth/sessions";

/** @type {import("../list.js").Column[]} */
const COLUMNS = [
  { title: "With", cell: (/** @type {SignIn} */ each) => html`<span title=${each.user_agent}>${program(each.user_agent)}</span>${each.current && html` <${Tag} tone="good">this one<//>`}` },
  { title: "From", class: "mono", cell: (each) => each.address },
  { title: "Since", cell: (each) => html`<${Ago} at=${each.created_at} />` },
  { title: "Last used", cell: (each) => html`<${Ago} at=${each.last_used_at} />` },
  { title: "Ends by", cell: (each) => html`<${Day} at=${each.expires_at} />` },
];

/** This one first, then what was used last. */
async function look() {
  /** @type {SignIn[]} */
  const items = (await call("GET", PATH)).items;
  return items.sort((a, b) => Number(b.current) - Number(a.current) || b.last_used_at.localeCompare(a.last_used_at));
}

export function SignIns() {
  const { data, problem } = usePoll(look, 30_000);
  return html`<${Section} title="Where you are signed in" actions=${html`<button class="quiet-danger" onClick=${endAll}>Sign out everywhere…</button>`}>
    <p class="text">Browsers, and programs that have signed in as you. What you do not know, end, and change your password.</p>
    ${data ? html`<${Trouble} problem=${problem} />
      <${Table} path="sign-ins" columns=${COLUMNS} rows=${data} id=${(/** @type {SignIn} */ each) => each.session_id}
        rowActions=${(/** @type {SignIn} */ each) => !each.current && html`<button aria-label=${`End… ${program(each.user_agent)} at ${each.address}`} onClick=${() => end(each)}>End…</button>`} />`
      : html`<${Loading} problem=${problem} />`}<//>`;
}

/** @param {SignIn} each */
function end(each) {
  return ask({
    title: "End this sign-in",
    text: html`<p><strong>${program(each.user_agent)}</strong> at ${each.address} is signed out, and has to sign in again.</p>`,
    action: "End it", danger: true,
    async submit() {
      await call("DELETE", `${PATH}/${each.session_id}`);
      toast("That sign-in has ended.");
    },
  });
}

function endAll() {
  return ask({
    title: "Sign out everywhere",
    text: html`<p>Every sign-in of yours ends, <strong>this one as well</strong>: sign in again afterwards. API keys go on working.</p>`,
    action: "Sign out everywhere", danger: true,
    submit: signOutEverywhere,
  });
}
