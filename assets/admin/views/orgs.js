// Organisations: whom licences belong to; the list, and behind `#/orgs/ID` one of them. Whoever is no operator sees
// those that they belong to.

import { account, call } from "../api.js";
import { html } from "../lib.js";
import { List } from "../list.js";
import { go, to } from "../route.js";
import { Day, Tag } from "../ui.js";
import { Org } from "./org.js";
import { askName } from "./org-teams.js";

/** @type {import("../list.js").Column} */
const NAME = { title: "Name", class: "wide", cell: (org) => html`${org.name}${org.deletion_due_at && html` <${Tag} tone="warn">to be deleted<//>`}`, csv: (org) => org.name };

/** @type {import("../list.js").Column} */
const OWNER = { title: "Owner", cell: (org) => (org.owner ? html`<a href=${to("users", org.owner.user_id)}>${org.owner.email}</a>` : ""), csv: (org) => org.owner?.email ?? "" };

/** @type {import("../list.js").Column[]} */
const COLUMNS = [
  { title: "Kind", cell: (org) => (org.personal ? html`<span class="soft">of one person</span>` : "organisation"), csv: (org) => (org.personal ? "personal" : "organisation") },
  { title: "Made", cell: (org) => html`<${Day} at=${org.created_at} />`, csv: (org) => org.created_at },
  { title: "Organisation id", class: "mono soft", cell: (org) => org.org_id },
];

const id = (/** @type {any} */ org) => org.org_id;
const href = (/** @type {any} */ org) => to("orgs", org.org_id);

/** @param {{ id: string }} props */
export default function Orgs({ id: open }) {
  if (open) return html`<${Org} id=${open} />`;
  if (account.value?.operator === false) return html`<${Mine} />`;
  return html`<${List} title="Organisations" path="/admin/orgs" columns=${[NAME, OWNER, ...COLUMNS]} id=${id} href=${href} search="Name" everyMs=${15_000}
    rowActions=${(/** @type {any} */ org) => html`<a href=${to("licenses", "", { org_id: org.org_id })}>Licences</a> <a href=${to("subscriptions", "", { org_id: org.org_id })}>Subscriptions</a>`}
    empty=${html`<p>There is no organisation yet. Everyone who registers gets one of their own.</p>`} />`;
}

function Mine() {
  const make = () => askName({
    title: "New organisation", action: "Make it",
    async submit(name) {
      const made = await call("POST", "/orgs", { name });
      go(to("orgs", made.org_id));
      return made;
    },
    done: (name) => `${name} is yours.`,
  });
  const columns = [NAME, { title: "You are", cell: (/** @type {any} */ org) => html`<${Tag} tone=${org.role === "owner" ? "accent" : ""}>${org.role}<//>`, csv: (/** @type {any} */ org) => org.role }, ...COLUMNS];
  return html`<${List} title="Your organisations" path="/orgs" columns=${columns} id=${id} href=${href} everyMs=${15_000}
    actions=${html`<button class="main" onClick=${make}>New organisation…</button>`} />`;
}
