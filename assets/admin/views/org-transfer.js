// Giving an organisation to another member.

import { account, call, list } from "../api.js";
import { ask } from "../dialog.js";
import { html } from "../lib.js";
import { attempt, toast } from "../toast.js";

/** @typedef {import("./org-rights.js").Org} Org */

/** So many are offered; the owner need not be among them. */
const OFFERED_MAX = 200;

/** @param {Org} org */
export async function transfer(org) {
  const page = await attempt(() => list(`/orgs/${org.org_id}/members`, { limit: OFFERED_MAX }));
  if (!page) return;
  /** @type {any[]} */
  const members = page.items;
  const owner = members.find((each) => each.role === "owner");
  const others = members.filter((each) => each !== owner && !each.deactivated_at);
  if (!others.length) return toast("There is nobody else whom it could be given to. Invite somebody first.", { tone: "bad" });
  const own = owner?.user_id === account.value?.user_id;
  const who = own ? "You" : owner ? html`<strong>${owner.email}</strong>` : "Whoever owns it now";
  await ask({
    title: "Give this organisation away",
    text: html`<p>From then on the new owner exports <strong>${org.name}</strong>, deletes it, gives it away and names the issuer that its members sign in through,
        and gets the mail about the organisation itself. ${who} ${own ? "become an admin" : "becomes an admin"}, and only the new owner or an operator of this server can give it back.</p>
      ${org.personal && html`<p>It was made for ${own ? "you" : "that person"} at registration: ${own ? "you get" : "they get"} a new one of ${own ? "your" : "their"} own in its place.
        Licences, subscriptions and invoices stay with this one.</p>`}
      ${page.next_cursor && html`<p>The first ${OFFERED_MAX} members are offered; the API, and <code>coditect org transfer</code> for operators, give it to any.</p>`}`,
    fields: [{ name: "user_id", label: "New owner", type: "select", options: others.map((each) => [each.user_id, each.full_name ? `${each.full_name}, ${each.email}` : each.email]) }],
    values: { user_id: others[0].user_id },
    action: "Give it away", danger: true, typed: org.name,
    async submit({ user_id }) {
      await call("POST", `/orgs/${org.org_id}/transfer`, { user_id });
      toast(`${org.name} belongs to ${others.find((each) => each.user_id === user_id)?.email} now.`);
    },
  });
}
