// One's own second factor: the authenticator app, the passkeys, and their recovery codes.

import { account, call, enrolment, keep, signOut } from "../api.js";
import { Dialogs, ask } from "../dialog.js";
import { html, useState } from "../lib.js";
import { Field } from "../form.js";
import * as passkeys from "../passkeys.js";
import { useAction, usePoll } from "../poll.js";
import { Toasts, toast } from "../toast.js";
import { hasPassword, proof, proved } from "./proof.js";
import { Ago, Alone, Copy, Facts, Loading, Note, Trouble, useFocus } from "../ui.js";

const TOTP = "/users/me/totp";
const PASSKEYS = "/users/me/passkeys";
/** @type {import("../form.js").FieldSpec} */
const CODE = { name: "totp", label: "Code", hint: "From the authenticator app, or a recovery code.", autocomplete: "one-time-code" };

/** @type {import("../form.js").FieldSpec} */
const RECOVERY = { name: "totp", label: "Recovery code", autocomplete: "off" };

/**
 * @typedef {object} Standing
 * @property {string | null} enabled_at
 * @property {boolean} app
 * @property {number} recovery_codes_left
 * @property {boolean} required
 *
 * @typedef {object} Passkey
 * @property {string} passkey_id
 * @property {string} name
 * @property {boolean} synced
 * @property {string} created_at
 * @property {string | null} last_used_at
 *
 * @typedef {object} Secret
 * @property {string} secret
 * @property {string} otpauth_uri
 * @property {string} qr_svg
 */

/** For whoever has to set a second factor up before anything else. */
export function Enrol() {
  return html`<${Alone} title="Set up two-step sign-in">
    <${Note} kind="warn"><p>${enrolment.value}</p><//>
    <${SecondFactor} onDone=${() => { enrolment.value = ""; }} />
    <p><button onClick=${signOut}>Sign out</button></p><//><${Toasts} /><${Dialogs} />`;
}

/** @param {{ onDone?: () => void }} props */
export function SecondFactor({ onDone }) {
  const { data, problem, again } = usePoll(() => call("GET", TOTP), 30_000);
  const [codes, setCodes] = useState(/** @type {string[] | null} */ (null));
  const [begins, setBegins] = useState(false);
  /** @type {Standing | undefined} */
  const standing = data;
  const done = () => { setCodes(null); setBegins(false); again(); onDone?.(); };
  if (codes) return html`<${Codes} codes=${codes} onDone=${done} />`;
  if (!standing) return html`<${Loading} problem=${problem} />`;
  if (standing.enabled_at && onDone) return html`<p>It is on.</p><p><button class="main" onClick=${done}>Go on</button></p>`;
  if (begins) return html`<${Begin} onCodes=${setCodes} onCancel=${() => setBegins(false)} />`;
  const begin = () => setBegins(true);
  return html`${standing.enabled_at ? html`<${On} standing=${standing} onCodes=${setCodes} onBegin=${begin} />` : html`<${Off} required=${standing.required} onBegin=${begin} />`}
    <h2>Passkeys</h2><${Passkeys} onCodes=${setCodes} />`;
}

/** @param {{ required: boolean, onBegin: () => void }} props */
function Off({ required, onBegin }) {
  return html`<p>${hasPassword()
      ? "Off: signing in takes the password alone. With an authenticator app on your phone, or a passkey, a password that was stolen opens nothing."
      : "Off: nothing is asked for beside the service that you sign in through. With an authenticator app on your phone, or a passkey, whoever gets in there does not get in here."}</p>
    ${required && html`<${Note} kind="warn"><p>You need it, as an operator or as a member of an organisation.</p><//>`}
    <p><button class="main" onClick=${onBegin}>Set an app up</button></p>`;
}

/** @param {{ standing: Standing, onCodes: (codes: string[]) => void, onBegin: () => void }} props */
function On({ standing, onCodes, onBegin }) {
  const few = standing.recovery_codes_left < 3;
  const code = standing.app ? CODE : RECOVERY;
  const renew = () => ask({
    title: "New recovery codes",
    text: html`<p>The old ones end.</p>`,
    fields: [...proof(), code],
    action: "Make new codes",
    submit: proved(async (values) => {
      const { recovery_codes } = await call("POST", `${TOTP}/recovery-codes`, { password: values.password, totp: values.totp });
      onCodes(recovery_codes);
    }),
  });
  const remove = () => ask({
    title: "Remove the authenticator app",
    text: html`<p>Its codes sign in no longer. Without a passkey, signing in takes the password alone then.</p>`,
    fields: [...proof(), code],
    action: "Remove", danger: true,
    submit: proved(async (values) => {
      await call("DELETE", TOTP, { password: values.password, totp: values.totp });
      toast("The authenticator app was removed.");
    }),
  });
  return html`<${Facts} of=${[
      ["On since", html`<${Ago} at=${standing.enabled_at} />`],
      ["Authenticator app", standing.app ? "set up" : "none"],
      ["Recovery codes left", standing.recovery_codes_left],
    ]} />
    ${few && html`<${Note} kind="warn"><p>Make new recovery codes before the last one is used.</p><//>`}
    <p class="row"><button onClick=${renew}>New recovery codes…</button>
      ${standing.app
        ? html`<button class="quiet-danger" onClick=${remove}>Remove the app…</button>`
        : html`<button onClick=${onBegin}>Set an app up</button>`}</p>`;
}

/** @param {{ onCodes: (codes: string[]) => void }} props */
function Passkeys({ onCodes }) {
  const { data, problem } = usePoll(() => call("GET", PASSKEYS), 30_000);
  if (!data) return html`<${Loading} problem=${problem} />`;
  /** @type {{ items: Passkey[], origin: string | null }} */
  const { items, origin } = data;
  const add = () => ask({
    title: "Add a passkey",
    text: html`<p>The browser asks for the device next: this one, a phone or a security key. Whoever can unlock it signs in with it alone.</p>`,
    fields: [{ name: "name", label: "Name", hint: "Such as the device that holds it." }, ...proof()],
    action: "Go on",
    submit: proved(async (values) => {
      const { recovery_codes } = await passkeys.add(values.name, values.password);
      toast("The passkey was added.");
      if (recovery_codes) onCodes(recovery_codes);
    }),
  });
  const remove = (/** @type {Passkey} */ passkey) => ask({
    title: `Remove ${passkey.name}`,
    text: html`<p>It signs in no longer. Remove it from the device as well, which would go on offering it.</p>`,
    fields: proof(),
    action: "Remove", danger: true,
    submit: proved(async (values) => {
      await call("DELETE", `${PASSKEYS}/${passkey.passkey_id}`, { password: values.password });
      toast("The passkey was removed.");
    }),
  });
  return html`<p>A passkey signs in by itself: with the device that holds it, and the finger, face or code that unlocks that.</p>
    ${items.length > 0 && html`<ul class="passkeys">${items.map((each) => html`<li key=${each.passkey_id}>
      <span><strong>${each.name}</strong> <span class="soft">added <${Ago} at=${each.created_at} />, ${each.last_used_at ? html`used <${Ago} at=${each.last_used_at} />` : "not used yet"}${each.synced ? ", synchronised" : ""}</span></span>
      <button class="quiet-danger" aria-label=${`Remove ${each.name}…`} onClick=${() => remove(each)}>Remove…</button></li>`)}</ul>`}
    ${origin === null
      ? html`<${Note}><p>Browsers allow passkeys only where this server has a name and HTTPS: set <code>server.public_url</code>.</p><//>`
      : origin !== location.origin
        ? html`<${Note}><p>Passkeys work at <a href=${`${origin}/admin#/account`}>${origin}</a>, not at the address that this page is open at.</p><//>`
        : passkeys.available
          ? html`<p><button onClick=${add}>Add a passkey…</button></p>`
          : html`<${Note}><p>This browser has no passkeys.</p><//>`}`;
}

/** @param {{ onCodes: (codes: string[]) => void, onCancel?: () => void }} props */
function Begin({ onCodes, onCancel }) {
  const [password, setPassword] = useState("");
  const [secret, setSecret] = useState(/** @type {Secret | null} */ (null));
  const first = useFocus();
  const { run, busy, problem } = useAction(proved(async () => setSecret(await call("POST", TOTP, { password }))));
  if (secret) return html`<${Scan} secret=${secret} onCodes=${onCodes} onCancel=${onCancel} />`;
  return html`<${Trouble} problem=${problem} />
    <form onSubmit=${(/** @type {Event} */ event) => { event.preventDefault(); run({}); }}>
      ${hasPassword() ? html`<${Field} id="password" label="Password" type="password" autocomplete="current-password" hint="Once more, to be sure that it is you."
          value=${password} onValue=${setPassword} inputRef=${first} />`
        : html`<p>Have the phone at hand that is to show the codes.</p>`}
      <div class="row"><button class="main" disabled=${busy}>${busy ? "One moment…" : "Go on"}</button>
        ${onCancel && html`<button type="button" onClick=${onCancel}>Cancel</button>`}</div>
    </form>`;
}

/** @param {{ secret: Secret, onCodes: (codes: string[]) => void, onCancel?: () => void }} props */
function Scan({ secret, onCodes, onCancel }) {
  const [totp, setTotp] = useState("");
  const first = useFocus();
  const { run, busy, problem } = useAction(async () => {
    try {
      onCodes((await call("POST", `${TOTP}/confirm`, { totp })).recovery_codes);
    } catch (error) {
      setTotp("");
      first.current?.focus();
      throw error;
    }
  });
  return html`<ol class="ways">
      <li>Scan this with an authenticator app:
        <img class="qr" src=${`data:image/svg+xml,${encodeURIComponent(secret.qr_svg)}`} alt="QR code for an authenticator app" width="208" height="208" />
        <a href=${secret.otpauth_uri}>Open an app on this device</a>, or type this key into one:
        <span class="secret"><code>${secret.secret.match(/.{1,4}/g)?.join(" ")}</code> <${Copy} text=${secret.secret} /></span></li>
      <li>Enter the code that it shows.</li>
    </ol>
    <${Trouble} problem=${problem} />
    <form onSubmit=${(/** @type {Event} */ event) => { event.preventDefault(); run(); }}>
      <${Field} id="totp" label="Code" inputmode="numeric" autocomplete="one-time-code" placeholder="123456" value=${totp} onValue=${setTotp} inputRef=${first} />
      <div class="row"><button class="main" disabled=${busy}>${busy ? "Checking…" : "Switch on"}</button>
        ${onCancel && html`<button type="button" onClick=${onCancel}>Cancel</button>`}</div>
    </form>`;
}

/** @param {{ codes: string[], onDone: () => void }} props */
function Codes({ codes, onDone }) {
  const first = useFocus();
  const text = codes.join("\n");
  const save = () => keep(new Blob([`Recovery codes for ${location.host}, ${account.value?.email}\nEach works once.\n\n${text}\n`], { type: "text/plain" }), "recovery-codes.txt");
  return html`<div class="recovery"><h2 tabindex="-1" ref=${first}>Your recovery codes</h2>
    <p>Beside the password, each takes the place of the app or the passkey once, when the device is lost. They are shown now and never again: keep them where you find them without it.</p>
    <ul class="codes">${codes.map((code) => html`<li key=${code}><code>${code}</code></li>`)}</ul>
    <p class="row"><button onClick=${save}>Download</button><${Copy} text=${text} label="Copy all" />
      <button class="main" onClick=${onDone}>I have kept them</button></p></div>`;
}
