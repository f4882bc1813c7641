// The domains that an organisation has proved to be its own, by whose addresses people join.

import { account, call, list } from "../api.js";
import { ask } from "../dialog.js";
import { html } from "../lib.js";
import { useAction, usePoll } from "../poll.js";
import { toast } from "../toast.js";
import { Ago, Copy, Day, Empty, Facts, Loading, Section, Tag, Trouble } from "../ui.js";

/**
 * @typedef {import("./org-rights.js").Org} Org
 *
 * @typedef {object} Domain
 * @property {string} domain
 * @property {string} record_name
 * @property {string} record_value
 * @property {string | null} verified_at
 * @property {boolean} verified_by_hand
 * @property {string | null} checked_at
 * @property {"off" | "member" | "billing"} auto_join
 */

/** @param {{ org: Org }} props */
export function Domains({ org }) {
  const path = `/orgs/${org.org_id}/domains`;
  const { data, problem } = usePoll(() => list(path), 15_000, [org.org_id]);
  const add = () => ask({
    title: "Add a domain",
    text: html`<p>One that ${org.name} owns. A record in its name service proves that, and is shown next.</p>`,
    fields: [{ name: "domain", label: "Domain", placeholder: "example.com" }],
    action: "Add",
    async submit({ domain }) {
      const added = await call("POST", path, { domain });
      toast(`${added.domain} waits for its record.`);
    },
  });
  return html`<${Section} title="E-mail domains" actions=${!org.deletion_due_at && html`<button onClick=${add}>Add a domain…</button>`}>
    ${!data && html`<${Loading} problem=${problem} />`}
    ${data && (data.items.length
      ? html`<ul class="domains">${data.items.map((/** @type {Domain} */ each) => html`<${OneDomain} key=${each.domain} path=${path} domain=${each} />`)}</ul>`
      : html`<${Empty}><p>No domain yet. Whoever has a confirmed address at a domain that is proved to be the organisation's can join it without an invitation.</p><//>`)}<//>`;
}

/** @type {[string, string][]} */
const JOINING = [["off", "Nobody joins by it"], ["member", "They join as members"], ["billing", "They join as billing"]];

/** @param {{ path: string, domain: Domain }} props */
function OneDomain({ path, domain }) {
  const name = domain.domain;
  const at = `${path}/${name}`;
  const look = useAction(async () => {
    await call("POST", `${at}/verify`);
    toast(`${name} is proved.`);
  });
  const joining = () => ask({
    title: `Who has an address at ${name}`,
    text: html`<p>They join when the address is confirmed, or at their next sign-in; nobody who left or was removed does.</p>`,
    fields: [{ name: "auto_join", label: "What happens", type: "select", options: JOINING }],
    values: { auto_join: domain.auto_join },
    action: "Change",
    async submit({ auto_join }) {
      await call("PATCH", at, { auto_join });
      toast(auto_join === "off" ? `Nobody joins by ${name}.` : `Whoever has an address at ${name} joins.`, { undo: () => call("PATCH", at, { auto_join: domain.auto_join }) });
    },
  });
  const remove = () => ask({
    title: "Remove this domain",
    text: html`<p>Nobody joins by <strong>${name}</strong> any more. Who has joined stays.</p>`,
    action: "Remove", danger: true,
    async submit() {
      await call("DELETE", at);
      toast(`${name} is removed.`);
    },
  });
  const proved = domain.verified_at;
  return html`<li><div class="row"><strong>${name}</strong>
      ${proved ? html`<${Tag} tone="good">proved${domain.verified_by_hand ? " by hand" : ""}<//>` : html`<${Tag} tone="warn">not proved<//>`}
      <span class="soft">${domain.auto_join === "off" ? "nobody joins by it" : `people join as ${domain.auto_join === "member" ? "members" : "billing"}`}${proved && html`, since <${Day} at=${proved} />`}</span>
      <span class="actions">
        ${proved ? html`<button onClick=${joining}>Joining…</button>` : html`<button disabled=${look.busy} onClick=${look.run}>${look.busy ? "Looking…" : "Check now"}</button>
          ${account.value?.operator && html`<button onClick=${() => confirmByHand(path, domain)}>Confirm by hand…</button>`}`}
        <button class="quiet-danger" aria-label=${`Remove… ${name}`} onClick=${remove}>Remove…</button></span></div>
    ${!proved && html`<p>Write this into the name service of ${name}, then check. It may take some time until name servers know.</p>
      <${Facts} of=${[["Type", "TXT"],
        ["Name", html`<code>${domain.record_name}</code> <${Copy} text=${domain.record_name} />`],
        ["Value", html`<code>${domain.record_value}</code> <${Copy} text=${domain.record_value} />`],
        domain.checked_at && ["Looked for", html`<${Ago} at=${domain.checked_at} />`]]} />`}
    ${!proved && html`<${Trouble} problem=${look.problem} />`}</li>`;
}

/** @param {string} path @param {Domain} domain */
function confirmByHand(path, domain) {
  return ask({
    title: `Confirm ${domain.domain}`,
    text: html`<p>For a domain that you know to be this organisation's. Nobody looks for its record <code>${domain.record_name}</code> then.</p>`,
    action: "Confirm",
    async submit() {
      await call("POST", `/admin${path}/${domain.domain}/verify`);
      toast(`${domain.domain} is confirmed.`);
    },
  });
}
