// Keys: those that sign, with their dates, and those that programs call the API with.

import { call, list } from "../api.js";
import { ask } from "../dialog.js";
import { html } from "../lib.js";
import { Table } from "../list.js";
import { usePoll } from "../poll.js";
import { toast } from "../toast.js";
import { Ago, Copy, Day, Empty, Head, Loading, Section, Tag, Trouble } from "../ui.js";

/**
 * @typedef {object} PublicKey
 * @property {string} kid
 * @property {"license" | "validation" | "access"} purpose
 * @property {string} algorithm
 * @property {string} public_key_pem
 * @property {string} created_at
 * @property {string | null} retired_at
 *
 * @typedef {object} ApiKey
 * @property {string} api_key_id
 * @property {string} name
 * @property {string} prefix
 * @property {string[] | null} scopes
 * @property {string} created_at
 * @property {string | null} expires_at
 * @property {string | null} [last_used_at]
 */

/** @type {Record<string, string>} */
const PURPOSES = { license: "Licences", validation: "Answers to validations", access: "Sign-ins" };
/** A due date nearer than this is pointed out. */
const SOON_MS = 14 * 86_400_000;
const LIFETIMES = /** @type {[string, string][]} */ ([["30", "30 days"], ["90", "90 days"], ["365", "One year"], ["", "Never"]]);

export default function Keys() {
  return html`<${Head} title="Keys" /><${SigningKeys} /><${ApiKeys} />`;
}

async function askKeys() {
  const [keys, overview] = await Promise.all([call("GET", "/keys"), call("GET", "/admin/overview")]);
  // Those in use first, the newest of each first.
  const items = /** @type {PublicKey[]} */ (keys.items).sort((a, b) =>
    Number(Boolean(a.retired_at)) - Number(Boolean(b.retired_at)) || b.created_at.localeCompare(a.created_at));
  return { items, due: /** @type {string | null} */ (overview.signing_key.rotation_due_at) };
}

/** @type {import("../list.js").Column[]} */
const KEY_COLUMNS = [
  { title: "Signs", cell: (/** @type {PublicKey} */ key) => PURPOSES[key.purpose] ?? key.purpose },
  { title: "State", cell: (key) => (key.retired_at ? html`<${Tag}>retired<//>` : html`<${Tag} tone="good">in use<//>`) },
  { title: "Algorithm", cell: (key) => key.algorithm },
  { title: "Key id", class: "mono cut", cell: (key) => html`<span title=${key.kid}>${key.kid}</span>` },
  { title: "Made", cell: (key) => html`<${Day} at=${key.created_at} />` },
  { title: "Retired", cell: (key) => key.retired_at && html`<${Day} at=${key.retired_at} />` },
];

function SigningKeys() {
  const { data, problem } = usePoll(askKeys, 30_000);
  const soon = data?.due && Date.parse(data.due) - Date.now() < SOON_MS;
  return html`<${Section} title="Signing keys" actions=${html`<button onClick=${rotate}>Rotate the licence key</button>`}>
    <p class="text">Licences are signed with the newest licence key. A retired key signs nothing more and stays published, so that what it
      signed can be checked for ever. ${data?.due && html`The next one is due <${Tag} tone=${soon ? "warn" : ""}><${Ago} at=${data.due} /><//>, and the server does it by itself.`}</p>
    <${Trouble} problem=${problem} />
    ${!data && !problem && html`<${Loading} />`}
    ${data && html`<${Table} path="keys" columns=${KEY_COLUMNS} rows=${data.items} id=${(/** @type {PublicKey} */ key) => key.kid}
      rowActions=${(/** @type {PublicKey} */ key) => html`<${Copy} text=${key.public_key_pem} label="Copy public key" />`} />`}<//>`;
}

async function rotate() {
  await ask({
    title: "Rotate the licence key", action: "Rotate", danger: true,
    text: html`<p>A new key is made, which takes a few seconds, and signs every licence from then on. Nothing that was signed before changes: the
      old key stays published. The keys for validations and sign-ins stay as they are until the server replaces them by itself.</p>
      <p>An application that carries the public key inside itself does not know the new one. Ship it first, or let the application read
      ${" "}<code>/.well-known/jwks.json</code>.</p>`,
    submit: () => call("POST", "/admin/keys/rotate"),
  }).then((done) => { if (done) toast("Licences are signed with a new key."); });
}

/** What a key may be limited to, in words. @type {[string, string][]} */
const SCOPES = [
  ["all", "Everything that you may"],
  ["operator", "What operators do, and nothing of your own organisation"],
  ["org.read licenses.read seats.read billing.read", "Read your own organisation"],
  ["licenses.read seats.read licenses.manage", "Your organisation's licences, machines and seats"],
  ["billing.read billing.manage", "What your organisation pays"],
];

/** @type {import("../list.js").Column[]} */
const API_KEY_COLUMNS = [
  { title: "Name", cell: (/** @type {ApiKey} */ key) => key.name },
  { title: "Begins with", class: "mono", cell: (key) => `${key.prefix}…` },
  { title: "May do", cell: (key) => (key.scopes ? key.scopes.join(", ") : "everything") },
  { title: "Made", cell: (key) => html`<${Day} at=${key.created_at} />` },
  { title: "Last used", cell: (key) => html`<${Ago} at=${key.last_used_at} missing="never" />` },
  { title: "Expires", cell: (key) => html`<${Day} at=${key.expires_at} missing="never" />` },
];

function ApiKeys() {
  const { data, problem } = usePoll(() => list("/api-keys", { limit: 200 }), 30_000);
  return html`<${Section} title="API keys" actions=${html`<button class="main" onClick=${makeKey}>Make an API key</button>`}>
    <p class="text">For programs that call this server in your place: they may do what you may, or the part of it that you choose. Give each program a key of its own, so that one can be
      revoked alone. These are yours; other operators have their own.</p>
    <${Trouble} problem=${problem} />
    ${!data && !problem && html`<${Loading} />`}
    ${data && (data.items.length ? html`<${Table} path="api-keys" columns=${API_KEY_COLUMNS} rows=${data.items} id=${(/** @type {ApiKey} */ key) => key.api_key_id}
        rowActions=${(/** @type {ApiKey} */ key) => html`<button onClick=${() => revoke(key)}>Revoke</button>`} />`
      : html`<${Empty}><p>You have no API key. A script of yours needs one to call the API without your password.</p><//>`)}<//>`;
}

async function makeKey() {
  const made = await ask({
    title: "Make an API key", action: "Make the key",
    text: html`<p>The key is shown once, after this.</p>`,
    fields: [
      { name: "name", label: "Name", hint: "What will use it, such as “billing import”." },
      { name: "expires_in_days", label: "Expires after", type: "select", options: LIFETIMES },
      { name: "scopes", label: "May do", type: "select", options: SCOPES, hint: "As little as the program needs: a key that leaks can do no more." },
    ],
    values: { expires_in_days: "90", scopes: "all" },
    submit: ({ name, expires_in_days, scopes }) => call("POST", "/api-keys", {
      name, ...(expires_in_days ? { expires_in_days: Number(expires_in_days) } : {}), ...(scopes === "all" ? {} : { scopes: scopes.split(" ") }),
    }),
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
async function revoke(key) {
  const done = await ask({
    title: `Revoke “${key.name}”`, action: "Revoke", danger: true,
    text: html`<p>Programs that use it are refused from now on. This cannot be taken back.</p>`,
    submit: () => call("DELETE", `/api-keys/${key.api_key_id}`),
  });
  if (done) toast(`“${key.name}” is revoked.`);
}
