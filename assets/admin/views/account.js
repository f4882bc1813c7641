// One's own account: its second factor, from the QR code to its end.

import { account, call, enrolment, keep, signOut } from "../api.js";
import { Dialogs, ask } from "../dialog.js";
import { html, useState } from "../lib.js";
import { Field } from "../form.js";
import { useAction, usePoll } from "../poll.js";
import { Toasts, toast } from "../toast.js";
import { Ago, Alone, Copy, Facts, Head, Loading, Note, Section, Trouble, useFocus } from "../ui.js";

const TOTP = "/users/me/totp";
/** @type {import("../form.js").FieldSpec} */
const PASSWORD = { name: "password", label: "Password", type: "password", autocomplete: "current-password" };
/** @type {import("../form.js").FieldSpec} */
const CODE = { name: "totp", label: "Code", hint: "From the authenticator app, or a recovery code.", autocomplete: "one-time-code" };

/**
 * @typedef {object} Standing
 * @property {string | null} enabled_at
 * @property {number} recovery_codes_left
 * @property {boolean} required
 *
 * @typedef {object} Secret
 * @property {string} secret
 * @property {string} otpauth_uri
 * @property {string} qr_svg
 */

export default function Account() {
  const who = account.value;
  return html`<${Head} title="Your account" />
    <${Section} title="Facts"><${Facts} of=${[["E-mail", who?.email], ["Name", who?.full_name]]} /><//>
    <${Section} title="Two-step sign-in"><div class="text"><${SecondFactor} /></div><//>`;
}

/** For whoever has to set a second factor up before anything else. */
export function Enrol() {
  return html`<${Alone} title="Set up two-step sign-in">
    <${Note} kind="warn"><p>${enrolment.value}</p><//>
    <${SecondFactor} onDone=${() => { enrolment.value = ""; }} />
    <p><button onClick=${signOut}>Sign out</button></p><//><${Toasts} /><${Dialogs} />`;
}

/** @param {{ onDone?: () => void }} props */
export function SecondFactor({ onDone }) {
  const { data, problem } = usePoll(() => call("GET", TOTP), 30_000);
  const [codes, setCodes] = useState(/** @type {string[] | null} */ (null));
  const [begins, setBegins] = useState(false);
  /** @type {Standing | undefined} */
  const standing = data;
  const done = () => { setCodes(null); setBegins(false); onDone?.(); };
  if (codes) return html`<${Codes} codes=${codes} onDone=${done} />`;
  if (!standing) return html`<${Loading} problem=${problem} />`;
  if (standing.enabled_at && onDone) return html`<p>It is on.</p><p><button class="main" onClick=${done}>Go on</button></p>`;
  if (standing.enabled_at) return html`<${On} standing=${standing} onCodes=${setCodes} />`;
  if (begins || onDone) return html`<${Begin} onCodes=${setCodes} onCancel=${onDone ? undefined : () => setBegins(false)} />`;
  return html`<p>Off: signing in takes the password alone. With an authenticator app on your phone, a password that was stolen opens nothing.</p>
    ${standing.required && html`<${Note} kind="warn"><p>You need it, as an operator or as a member of an organisation.</p><//>`}
    <p><button class="main" onClick=${() => setBegins(true)}>Set it up</button></p>`;
}

/** @param {{ standing: Standing, onCodes: (codes: string[]) => void }} props */
function On({ standing, onCodes }) {
  const few = standing.recovery_codes_left < 3;
  const renew = () => ask({
    title: "New recovery codes",
    text: html`<p>The old ones end.</p>`,
    fields: [PASSWORD, CODE],
    action: "Make new codes",
    async submit(values) {
      const { recovery_codes } = await call("POST", `${TOTP}/recovery-codes`, { password: values.password, totp: values.totp });
      onCodes(recovery_codes);
    },
  });
  const switchOff = () => ask({
    title: "Switch two-step sign-in off",
    text: html`<p>Signing in takes the password alone then.</p>`,
    fields: [PASSWORD, CODE],
    action: "Switch off", danger: true,
    async submit(values) {
      await call("DELETE", TOTP, { password: values.password, totp: values.totp });
      toast("Two-step sign-in is off.");
    },
  });
  return html`<${Facts} of=${[
      ["On since", html`<${Ago} at=${standing.enabled_at} />`],
      ["Recovery codes left", standing.recovery_codes_left],
    ]} />
    ${few && html`<${Note} kind="warn"><p>Make new recovery codes before the last one is used.</p><//>`}
    <p class="row"><button onClick=${renew}>New recovery codes…</button>
      <button class="quiet-danger" onClick=${switchOff}>Switch off…</button></p>`;
}

/** @param {{ onCodes: (codes: string[]) => void, onCancel?: () => void }} props */
function Begin({ onCodes, onCancel }) {
  const [password, setPassword] = useState("");
  const [secret, setSecret] = useState(/** @type {Secret | null} */ (null));
  const first = useFocus();
  const { run, busy, problem } = useAction(async () => setSecret(await call("POST", TOTP, { password })));
  if (secret) return html`<${Scan} secret=${secret} onCodes=${onCodes} onCancel=${onCancel} />`;
  return html`<${Trouble} problem=${problem} />
    <form onSubmit=${(/** @type {Event} */ event) => { event.preventDefault(); run(); }}>
      <${Field} id="password" label="Password" type="password" autocomplete="current-password" hint="Once more, to be sure that it is you."
        value=${password} onValue=${setPassword} inputRef=${first} />
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
    <p>Each takes the place of the app once, when the phone is lost. They are shown now and never again: keep them where you find them without it.</p>
    <ul class="codes">${codes.map((code) => html`<li key=${code}><code>${code}</code></li>`)}</ul>
    <p class="row"><button onClick=${save}>Download</button><${Copy} text=${text} label="Copy all" />
      <button class="main" onClick=${onDone}>I have kept them</button></p></div>`;
}
