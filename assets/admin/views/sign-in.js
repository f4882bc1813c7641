// Sign in, and ask for the mail that a forgotten password needs.

import { ended, enter, open } from "../api.js";
import { html, useState } from "../lib.js";
import { Field } from "../form.js";
import * as passkeys from "../passkeys.js";
import { useAction } from "../poll.js";
import { Alone, Note, Trouble, useFocus } from "../ui.js";
import { Issuers, useArrival } from "./issuers.js";
import { Second } from "./second-step.js";

export function SignIn() {
  const [forgot, setForgot] = useState(false);
  const [email, setEmail] = useState("");
  const arrival = useArrival();
  const given = { email, setEmail, problem: arrival.problem };
  if (arrival.busy) return html`<${Alone} title="Sign in"><p class="soft" aria-busy="true">Signing in…</p><//>`;
  if (arrival.asked) return html`<${Second} send=${arrival.send} passkey=${passkeys.signIn} onBack=${arrival.stop} />`;
  return forgot
    ? html`<${Forgot} ...${given} onBack=${() => setForgot(false)} />`
    : html`<${Form} ...${given} onForgot=${() => setForgot(true)} />`;
}

/** @param {{ email: string, setEmail: (email: string) => void, problem: any, onForgot: () => void }} props */
function Form({ email, setEmail, problem: elsewhere, onForgot }) {
  const [password, setPassword] = useState("");
  const [asked, setAsked] = useState(false);
  const first = useFocus();
  const { run, busy, problem } = useAction(async () => {
    try {
      enter(await open("POST", "/auth/login", { email, password }));
    } catch (error) {
      if (/** @type {any} */ (error).code !== "mfa_required") throw error;
      setAsked(true);
    }
  });
  const send = async (/** @type {string} */ totp) => enter(await open("POST", "/auth/login", { email, password, totp }));
  const other = useAction(passkeys.signIn);
  if (asked) return html`<${Second} email=${email} send=${send} passkey=${passkeys.signIn} onBack=${() => setAsked(false)} />`;
  return html`<${Alone} title="Sign in">
    ${ended.value && !problem && html`<${Note} kind="warn"><p>${ended.value}</p><//>`}
    ${problem?.code === "email_unverified" ? html`<${Unverified} email=${email} />` : html`<${Trouble} problem=${problem ?? other.problem} />`}
    <${Issuers} problem=${elsewhere} />
    <form onSubmit=${(/** @type {Event} */ event) => { event.preventDefault(); run(); }}>
      <${Field} id="email" label="E-mail address" type="email" autocomplete="username" value=${email} onValue=${setEmail} inputRef=${first} />
      <${Field} id="password" label="Password" type="password" autocomplete="current-password" value=${password} onValue=${setPassword} />
      <div class="row"><button class="main" disabled=${busy}>${busy ? "Signing in…" : "Sign in"}</button>
        <button type="button" class="plain" onClick=${onForgot}>Forgotten password</button></div>
    </form>
    ${passkeys.available && html`<p class="other"><button type="button" disabled=${other.busy} onClick=${other.run}>${other.busy ? "Waiting for the passkey…" : "Sign in with a passkey"}</button></p>`}<//>`;
}

/** @param {{ email: string }} props */
function Unverified({ email }) {
  const [sent, setSent] = useState(false);
  const { run, busy, problem } = useAction(async () => {
    await open("POST", "/auth/resend-verification", { email });
    setSent(true);
  });
  if (sent) return html`<${Note} kind="good"><p>Another mail is on its way to ${email}. The link in it opens the account.</p><//>`;
  return html`<${Note} kind="warn"><p>This e-mail address is not confirmed yet. The link in the mail does that.
    ${" "}<button type="button" class="plain" disabled=${busy} onClick=${run}>Send the mail again</button></p>
    <${Trouble} problem=${problem} /><//>`;
}

/** @param {{ email: string, setEmail: (email: string) => void, onBack: () => void }} props */
function Forgot({ email, setEmail, onBack }) {
  const [sent, setSent] = useState(false);
  const first = useFocus();
  const { run, busy, problem } = useAction(async () => {
    await open("POST", "/auth/forgot-password", { email });
    setSent(true);
  });
  if (sent) {
    return html`<${Alone} title="Look into your mail">
      <p>If there is an account for <strong>${email}</strong>, a mail with a link is on its way. The link sets a new password and works once.</p>
      <p class="soft">No mail? A server without a mail service writes its mails to the folder <code>mail</code> in its data directory.</p>
      <p><button onClick=${onBack}>Back to sign-in</button></p><//>`;
  }
  return html`<${Alone} title="Forgotten password">
    <p>A link that sets a new password is mailed to the account's address.</p>
    <${Trouble} problem=${problem} />
    <form onSubmit=${(/** @type {Event} */ event) => { event.preventDefault(); run(); }}>
      <${Field} id="email" label="E-mail address" type="email" autocomplete="username" value=${email} onValue=${setEmail} inputRef=${first} />
      <div class="row"><button class="main" disabled=${busy}>${busy ? "Sending…" : "Send the link"}</button>
        <button type="button" class="plain" onClick=${onBack}>Back to sign-in</button></div>
    </form><//>`;
}
