// The keys that sign, with their dates.

import { call } from "../api.js";
import { ask } from "../dialog.js";
import { html } from "../lib.js";
import { Table } from "../list.js";
import { usePoll } from "../poll.js";
import { toast } from "../toast.js";
import { Ago, Copy, Day, Head, Loading, Section, Tag, Trouble } from "../ui.js";

/**
 * @typedef {object} PublicKey
 * @property {string} kid
 * @property {"license" | "validation" | "access"} purpose
 * @property {string} algorithm
 * @property {string} public_key_pem
 * @property {string} created_at
 * @property {string | null} retired_at
 */

/** @type {Record<string, string>} */
const PURPOSES = { license: "Licences", validation: "Answers to validations", access: "Sign-ins" };
/** A due date nearer than this is pointed out. */
const SOON_MS = 14 * 86_400_000;

export default function Keys() {
  return html`<${Head} title="Keys" /><${SigningKeys} />
    <p class="soft">The keys that programs call the API with are each person's own: yours are in <a href="#/account">your account</a>.</p>`;
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
