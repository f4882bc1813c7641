// The tokens by which an organisation's directory keeps its people and groups here.

import { account, call } from "../api.js";
import { ask } from "../dialog.js";
import { html } from "../lib.js";
import { Table } from "../list.js";
import { usePoll } from "../poll.js";
import { toast } from "../toast.js";
import { Ago, Copy, Day, Empty, Loading, Section, Trouble } from "../ui.js";
import { may } from "./org-rights.js";

/**
 * @typedef {import("./org-rights.js").Org} Org
 *
 * @typedef {object} Token
 * @property {string} provisioning_token_id
 * @property {string} name
 * @property {string} prefix
 * @property {string} created_at
 * @property {string | null} expires_at
 * @property {string | null} last_used_at
 *
 * @typedef {{ base_url: string, items: Token[] }} Tokens
 */

/** So that one can take over from the other. */
const TOKENS_MAX = 2;
/** @type {[string, string][]} */
const LIFETIMES = [["90", "90 days"], ["365", "One year"], ["730", "Two years"], ["", "Never"]];

const COLUMNS = [
  { title: "Name", class: "wide", cell: (/** @type {Token} */ each) => each.name },
  { title: "Begins", class: "mono", cell: (/** @type {Token} */ each) => `${each.prefix}…` },
  { title: "Made", cell: (/** @type {Token} */ each) => html`<${Day} at=${each.created_at} />` },
  { title: "Last used", cell: (/** @type {Token} */ each) => html`<${Ago} at=${each.last_used_at} missing="never" />` },
  { title: "Expires", cell: (/** @type {Token} */ each) => html`<${Day} at=${each.expires_at} missing="never" />` },
];

/** @param {{ org: Org }} props */
export function Provisioning({ org }) {
  const path = `/orgs/${org.org_id}/provisioning-tokens`;
  const { data, problem } = usePoll(() => /** @type {Promise<Tokens>} */ (call("GET", path)), 30_000, [org.org_id]);
  const owns = may(org, "org.own");
  const tokens = data?.items ?? [];
  const room = owns && !org.deletion_due_at && data && tokens.length < TOKENS_MAX;
  const button = html`<button onClick=${() => make(org, path)}>Make a token…</button>`;
  return html`<${Section} title="Provisioning" actions=${room && tokens.length > 0 && button}>
    ${!data && html`<${Loading} problem=${problem} />`}
    ${data && html`<${Trouble} problem=${problem} />`}
    ${data && (tokens.length
      ? html`<p class="text">The directory speaks SCIM at <code>${data.base_url}</code> <${Copy} text=${data.base_url} /></p>
        <${Table} path="provisioning-tokens" columns=${COLUMNS} rows=${tokens} id=${(/** @type {Token} */ each) => each.provisioning_token_id}
          rowActions=${owns && ((/** @type {Token} */ each) => html`<button class="plain" onClick=${() => revoke(org, path, each, tokens.length === 1)}>Revoke…</button>`)} />`
      : html`<${Empty}><p>A directory that speaks SCIM 2.0, such as Entra ID or Okta, can keep the people and groups of the organisation here: whoever joins the company belongs to it,
          and whoever leaves does not any more. It speaks of addresses at the domains below that are proved, and of no others.</p>
        <p>It is told this address, and a token:<span class="block"><code>${data.base_url}</code> <${Copy} text=${data.base_url} /></span></p>
        ${room ? html`<p>${button}</p>` : !owns && html`<p class="soft">The owner of the organisation makes the token.</p>`}<//>`)}<//>`;
}

/** @param {Org} org @param {string} path */
async function make(org, path) {
  const made = await ask({
    title: "Make a provisioning token",
    text: html`<p>Whoever has it decides who belongs to <strong>${org.name}</strong> and to its teams. It is shown once, after this${account.value?.operator ? "; the owner is told by mail" : ""}.</p>`,
    fields: [
      { name: "name", label: "Name", hint: "Which directory it is for, such as “Entra ID”." },
      { name: "expires_in_days", label: "Expires after", type: "select", options: LIFETIMES },
    ],
    values: { expires_in_days: "365" },
    action: "Make the token",
    submit: ({ name, expires_in_days }) => call("POST", path, { name, ...(expires_in_days ? { expires_in_days: Number(expires_in_days) } : {}) }),
  });
  if (!made) return;
  await ask({
    title: `The token “${made.token.name}”`,
    text: html`<p>Copy it now: it is kept nowhere in readable form and is not shown again.</p>
      <p class="secret"><code>${made.secret}</code> <${Copy} text=${made.secret} /></p>
      <p>The directory sends it to <code>${made.base_url}</code> <${Copy} text=${made.base_url} /></p>
      <p class="soft">Where it asks for a header, that is <code>Authorization: Bearer …</code>.</p>`,
  });
}

/** @param {Org} org @param {string} path @param {Token} token @param {boolean} last */
function revoke(org, path, token, last) {
  return ask({
    title: `Revoke “${token.name}”`,
    text: html`<p>A directory that uses it is refused from now on. This cannot be taken back.</p>
      ${last ? html`<p>It is the last one: nobody provisions <strong>${org.name}</strong> then, and the directory's teams become ordinary ones, which are changed by hand.
          Who belongs to the organisation stays.</p>` : html`<p>The other token goes on.</p>`}`,
    action: "Revoke", danger: true,
    async submit() {
      await call("DELETE", `${path}/${token.provisioning_token_id}`);
      toast(`“${token.name}” is revoked.`);
    },
  });
}
