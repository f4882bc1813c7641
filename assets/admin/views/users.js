// People with an account: the list, and behind `#/users/ID` one of them.

import { call } from "../api.js";
import { ask } from "../dialog.js";
import { html } from "../lib.js";
import { List } from "../list.js";
import { go, to } from "../route.js";
import { toast } from "../toast.js";
import { Ago, Day, Tag } from "../ui.js";
import { User } from "./user.js";

/**
 * @typedef {object} UserRow
 * @property {string} user_id
 * @property {string} email
 * @property {string} full_name
 * @property {string | null} company_name
 * @property {boolean} email_verified
 * @property {boolean} operator
 * @property {string} org_id
 * @property {string} created_at
 * @property {string | null} last_login_at
 * @property {string | null} deactivated_at
 * @property {string | null} second_factor_since
 */

/** @param {{ user: UserRow }} props */
export function Standing({ user }) {
  return html`<span class="tags">${user.operator && html`<${Tag} tone="accent">operator<//>`}
    ${user.deactivated_at ? html`<${Tag} tone="bad">deactivated<//>` : user.email_verified ? !user.operator && html`<${Tag} tone="good">active<//>` : html`<${Tag} tone="warn">unverified<//>`}</span>`;
}

/** @type {import("../list.js").Column[]} */
const COLUMNS = [
  { title: "E-mail", class: "cut", cell: (/** @type {UserRow} */ user) => user.email },
  { title: "Name", class: "cut", cell: (user) => user.full_name },
  { title: "Company", class: "cut", cell: (user) => user.company_name || html`<span class="soft">–</span>`, csv: (user) => user.company_name },
  { title: "Account", cell: (user) => html`<${Standing} user=${user} />`, csv: (user) => (user.deactivated_at ? "deactivated" : user.email_verified ? "active" : "unverified") },
  { title: "Last sign-in", cell: (user) => html`<${Ago} at=${user.last_login_at} missing="never" />`, csv: (user) => user.last_login_at },
  { title: "Registered", cell: (user) => html`<${Day} at=${user.created_at} />`, csv: (user) => user.created_at },
  { title: "Second factor", csv: (user) => user.second_factor_since },
  { title: "Operator", csv: (user) => user.operator },
  { title: "User id", csv: (user) => user.user_id },
  { title: "Organisation id", csv: (user) => user.org_id },
];

/** @param {{ id: string }} props */
export default function Users({ id }) {
  if (id) return html`<${User} id=${id} />`;
  return html`<${List} title="Users" path="/admin/users" columns=${COLUMNS} id=${(/** @type {UserRow} */ user) => user.user_id}
    href=${(/** @type {UserRow} */ user) => to("users", user.user_id)} search="E-mail, name, company" everyMs=${10_000}
    actions=${html`<button class="main" onClick=${create}>New user</button>`}
    empty=${html`<p>Nobody has an account yet. Customers register with <code>POST /api/v1/auth/register</code> (see
      <a href="/handbook/getting-started">Getting started</a>), or you make an account for them.</p>`} />`;
}

/** An account for somebody who has not registered. */
function create() {
  return ask({
    title: "New user",
    text: html`<p class="soft">A link to choose a password with is mailed to the address. Licences can be issued at once.</p>`,
    fields: [
      { name: "email", label: "E-mail", type: "email" },
      { name: "full_name", label: "Name" },
      { name: "company_name", label: "Company", optional: true },
    ],
    action: "Make the account",
    async submit(values) {
      const company_name = values.company_name || undefined;
      const made = await call("POST", "/admin/users", { email: values.email, full_name: values.full_name, company_name });
      toast(`${made.email} has an account.`);
      go(to("users", made.user_id));
    },
  });
}
