// The other services that sign the person in.

import { call } from "../api.js";
import { ask } from "../dialog.js";
import { html } from "../lib.js";
import { usePoll } from "../poll.js";
import { toast } from "../toast.js";
import { Ago, Section } from "../ui.js";

/** @typedef {{ identity_id: string, provider: string, issuer: string, email: string | null, linked_at: string, last_used_at: string }} Identity */

export function Identities() {
  const { data } = usePoll(async () => /** @type {Identity[]} */ ((await call("GET", "/users/me/identities")).items), 60_000);
  if (!data?.length) return null;
  /** @param {Identity} identity */
  const unlink = (identity) => ask({
    title: "Take this link away",
    text: html`<p><strong>${identity.provider || identity.issuer}</strong> signs you in no longer.</p>`,
    action: "Take it away", danger: true,
    async submit() {
      await call("DELETE", `/users/me/identities/${identity.identity_id}`);
      toast("The link is gone.");
    },
  });
  return html`<${Section} title="Other ways to sign in">
    <div class="text"><ul class="plain-list">${data.map((each) => html`<li class="row" key=${each.identity_id}><span><strong>${each.provider || each.issuer}</strong>
      ${each.email && html` <span class="soft">${each.email}</span>`}</span> <span class="soft">used <${Ago} at=${each.last_used_at} /></span>
      <button class="quiet-danger" onClick=${() => unlink(each)}>Take away…</button></li>`)}</ul></div><//>`;
}
