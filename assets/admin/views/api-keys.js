// The keys by which programs act for a person.

import { account, call, list } from "../api.js";
import { ask } from "../dialog.js";
import { html } from "../lib.js";
import { Table } from "../list.js";
import { usePoll } from "../poll.js";
import { to } from "../route.js";
import { attempt, toast } from "../toast.js";
import { Ago, Copy, Day, Empty, Loading, Section, Tag, Trouble } from "../ui.js";
import { invalid } from "./refuse.js";

/**
 * @typedef {import("./org-rights.js").Org} Org
 *
 * @typedef {object} ApiKey
 * @property {string} api_key_id
 * @property {string} name
 * @property {string | null} org_id
 * @property {string[] | null} scopes
 * @property {string} prefix
 * @property {string} created_at
 * @property {string | null} expires_at
 * @property {string | null} last_used_at
 */

/** What a key may be limited to, in words. @type {Record<string, string>} */
const SCOPES = {
  "org.read": "see the organisation and its members",
  "org.manage": "invite, change roles, remove members",
  "teams.manage": "manage teams and projects",
  "org.own": "what only the owner may, such as the export",
  "licenses.read": "see licences, own machines and seats",
  "licenses.manage": "unbind machines, take back seats",
  "seats.read": "see everybody's machines and seats",
  "billing.read": "see subscriptions, payments and invoices",
  "billing.manage": "buy, change, cancel",
  operator: "what operators of this server do",
};
const OTHER = "other";
const LIFETIMES = /** @type {[string, string][]} */ ([["30", "30 days"], ["90", "90 days"], ["365", "One year"], [OTHER, "Another number of days"], ["", "Never"]]);

/** @param {Org} org */
const orgName = (org) => (org.personal ? `${org.name}, your own` : org.name);

async function look() {
  const [keys, orgs] = await Promise.all([list("/api-keys"), list("/orgs")]);
  /** @type {Map<string, Org>} */
  const known = new Map(orgs.items.map((org) => [org.org_id, org]));
  // Keys of the time before organisations act for one's own, which comes first.
  return { keys: /** @type {ApiKey[]} */ (keys.items), org: (/** @type {ApiKey} */ key) => known.get(key.org_id ?? orgs.items[0]?.org_id) };
}

export function ApiKeys() {
  const { data, problem } = usePoll(look, 30_000);
  const expired = (/** @type {ApiKey} */ key) => key.expires_at && Date.parse(key.expires_at) < Date.now();
  /** @type {import("../list.js").Column[]} */
  const columns = [
    { title: "Name", class: "wide", cell: (/** @type {ApiKey} */ key) => html`${key.name} <span class="soft mono nowrap">${key.prefix}…</span>` },
    { title: "For", class: "cut", cell: (key) => orgLink(key, data?.org(key)) },
    { title: "May do", class: "wide", cell: (key) => (key.scopes ? key.scopes.map((/** @type {string} */ each) => SCOPES[each] ?? each).join("; ") : "everything that you may there") },
    { title: "Made", cell: (key) => html`<${Day} at=${key.created_at} />` },
    { title: "Last used", cell: (key) => html`<${Ago} at=${key.last_used_at} missing="never" />` },
    { title: "Expires", cell: (key) => html`<${Day} at=${key.expires_at} missing="never" />${expired(key) && html` <${Tag} tone="bad">expired<//>`}` },
  ];
  return html`<${Section} title="API keys" actions=${html`<button onClick=${make}>Make an API key…</button>`}>
    <p class="text">For programs that call this server in your place, each for one organisation: they may do there what you may, or the part of it that you choose.
      Give each program a key of its own, so that one can be revoked alone.</p>
    ${!data && html`<${Loading} problem=${problem} />`}
    ${data && html`<${Trouble} problem=${problem} />`}
    ${data && (data.keys.length ? html`<${Table} path="api-keys" columns=${columns} rows=${data.keys} id=${(/** @type {ApiKey} */ key) => key.api_key_id}
        rowActions=${(/** @type {ApiKey} */ key) => html`<button aria-label=${`Revoke… ${key.name}`} onClick=${() => revoke(key)}>Revoke…</button>`} />`
      : html`<${Empty}><p>You have no API key. A script of yours needs one to call the API without your password.</p><//>`)}<//>`;
}

/** @param {ApiKey} key @param {Org | undefined} org */
function orgLink(key, org) {
  const id = org?.org_id ?? key.org_id;
  return id && html`<a href=${to("orgs", id)} title=${id}>${org?.name ?? "another organisation"}</a>`;
}

async function make() {
  const asked = await attempt(() => Promise.all([list("/orgs"), call("GET", "/users/me")]));
  if (!asked) return;
  const [{ items }, me] = asked;
  // Those that ask a second factor of whoever has none would refuse.
  const orgs = /** @type {Org[]} */ (items).filter((org) => me.second_factor_since || !org.require_second_factor);
  /** @param {Record<string, any>} values */
  const scopes = ({ org_id }) => [...orgs.find((org) => org.org_id === org_id)?.permissions ?? [], ...(account.value?.operator ? ["operator"] : [])];
  /** @param {Record<string, any>} values @returns {import("../form.js").FieldSpec[]} */
  const fields = (values) => [
    { name: "name", label: "Name", hint: "What will use it, such as “billing import”." },
    { name: "org_id", label: "Organisation", type: "select", options: orgs.map((org) => [org.org_id, orgName(org)]) },
    { name: "life", label: "Expires after", type: "select", options: LIFETIMES },
    ...(values.life === OTHER ? [/** @type {const} */ ({ name: "expires_in_days", label: "Days", type: "number", min: 1, max: 3650 })] : []),
    { name: "scopes", label: "May do", type: "select", hint: "As little as the program needs: a key that leaks can do no more.",
      options: [["all", "Everything that you may there"], ["some", "What is chosen here"]] },
    ...(values.scopes === "some" ? scopes(values).map((each) => /** @type {const} */ ({ name: each, label: SCOPES[each] ?? each, type: "check" })) : []),
  ];
  const made = await ask({
    title: "Make an API key", action: "Make the key", fields,
    text: html`<p>The key is shown once, after this.</p>`,
    values: { org_id: orgs[0]?.org_id, life: "90", scopes: "all" },
    async submit(values) {
      const chosen = scopes(values).filter((each) => values[each]);
      if (values.scopes === "some" && !chosen.length) throw invalid("scopes", "Tick below what the key may do, or let it do everything that you may.");
      return call("POST", "/api-keys", {
        name: values.name,
        ...(values.life ? { expires_in_days: Number(values.life === OTHER ? values.expires_in_days : values.life) } : {}),
        ...(values.scopes === "some" ? { scopes: chosen } : {}),
      }, { org: values.org_id });
    },
  });
  if (!made) return;
  await ask({
    title: `The API key “${made.name}”`,
    text: html`<p>Copy it now: it is kept nowhere in readable form and is not shown again.</p>
      <p class="secret"><code>${made.secret}</code> <${Copy} text=${made.secret} /></p>
      <p class="soft">A program sends it as <code>Authorization: Bearer …</code>.</p>`,
  });
}

/** @param {ApiKey} key */
function revoke(key) {
  return ask({
    title: `Revoke “${key.name}”`, action: "Revoke", danger: true,
    text: html`<p>Programs that use it are refused from now on. This cannot be taken back.</p>`,
    async submit() {
      await call("DELETE", `/api-keys/${key.api_key_id}`);
      toast(`“${key.name}” is revoked.`);
    },
  });
}
