// The other services that sign the person in: linked, and taken away.

import { linkCode, linkRefusal } from "../arrival.js";
import { call } from "../api.js";
import { ask } from "../dialog.js";
import { html, useEffect } from "../lib.js";
import { useAction, usePoll } from "../poll.js";
import { toast } from "../toast.js";
import { Ago, Note, Section, Trouble } from "../ui.js";
import { why } from "./issuers.js";
import { proof, proved } from "./proof.js";

/**
 * @typedef {{ identity_id: string, provider: string, issuer: string, email: string | null, linked_at: string, last_used_at: string }} Identity
 * @typedef {{ name: string, label: string, start_url: string | null }} Issuer
 */

const PATH = "/users/me/identities";

/** The code of a link that is to be made; a page makes it once. */
let waiting = linkCode;
let refused = linkRefusal;

export function Identities() {
  const { data } = usePoll(async () => /** @type {Identity[]} */ ((await call("GET", PATH)).items), 60_000);
  const offered = usePoll(async () => /** @type {Issuer[]} */ ((await call("GET", "/auth/oidc")).items), 0).data ?? [];
  const finish = useAction(async () => {
    const code = waiting;
    waiting = "";
    if (!code) return;
    await call("POST", PATH, { code });
    toast("It signs you in from now on.");
  });
  useEffect(() => { finish.run(); }, []);
  const pages = offered.filter((each) => each.start_url);
  const label = (/** @type {Identity} */ each) => offered.find((known) => known.name === each.provider)?.label || each.provider || each.issuer;
  if (!data?.length && !pages.length) return null;
  /** @param {Identity} identity */
  const unlink = (identity) => ask({
    title: "Take this link away",
    text: html`<p><strong>${label(identity)}</strong> signs you in no longer.</p>`,
    action: "Take it away", danger: true,
    async submit() {
      await call("DELETE", `${PATH}/${identity.identity_id}`);
      toast("The link is gone.");
    },
  });
  /** @param {Issuer} issuer */
  const link = (issuer) => ask({
    title: `Link ${issuer.label}`,
    text: html`<p>You go to <strong>${issuer.label}</strong> and come back. Whoever can sign in there as you can sign in here from then on.</p>`,
    fields: proof(),
    action: "Go there",
    submit: proved(async ({ password }) => {
      refused = "";
      const begun = await call("POST", `${PATH}/begin`, { provider: issuer.name, password, return_to: location.pathname });
      location.assign(begun.location);
    }),
  });
  return html`<${Section} title="Other ways to sign in"><div class="text">
    ${refused && html`<${Note} kind="bad"><p>${why(refused)}</p><//>`}
    <${Trouble} problem=${finish.problem} />
    ${!!data?.length && html`<ul class="passkeys">${data.map((each) => html`<li key=${each.identity_id}>
      <span><strong>${label(each)}</strong> <span class="soft">${each.email && `${each.email}, `}used <${Ago} at=${each.last_used_at} /></span></span>
      <button class="quiet-danger" aria-label=${`Take away… ${label(each)}`} onClick=${() => unlink(each)}>Take away…</button></li>`)}</ul>`}
    ${pages.length > 0 && html`<p class="row">${pages.map((each) => html`<button key=${each.name} onClick=${() => link(each)}>Link ${each.label}…</button>`)}</p>`}</div><//>`;
}
