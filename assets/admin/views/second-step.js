// What an account with a second factor asks for after the password or an issuer.

import { html, useState } from "../lib.js";
import { Field } from "../form.js";
import * as passkeys from "../passkeys.js";
import { useAction } from "../poll.js";
import { Alone, Trouble, useFocus } from "../ui.js";

/**
 * A page that asks for a code of the app, a recovery code or a passkey.
 * @param {{ title?: string, email?: string, action?: string, doing?: string, send: (totp: string) => Promise<void>, passkey: () => Promise<void>, onBack: () => void }} props
 * `action` is the word on the button and `doing` the one while it works; `passkey` goes on with a passkey in place of it all
 */
export function Second({ title = "Sign in", email, action = "Sign in", doing = "Signing in…", send, passkey, onBack }) {
  const [totp, setTotp] = useState("");
  const [lost, setLost] = useState(false);
  const field = useFocus();
  const { run, busy, problem } = useAction(async () => {
    try {
      await send(totp);
    } catch (error) {
      setTotp("");
      field.current?.focus();
      throw error;
    }
  });
  const other = () => { setLost(!lost); setTotp(""); field.current?.focus(); };
  const instead = useAction(passkey);
  return html`<${Alone} title=${title}>
    <p>${lost ? "Enter one of the recovery codes that you were given" : "Enter the code that your authenticator app shows"}${email && html` for <strong>${email}</strong>`}.</p>
    <${Trouble} problem=${problem ?? instead.problem} />
    <form onSubmit=${(/** @type {Event} */ event) => { event.preventDefault(); run(); }}>
      <${Field} id="totp" label=${lost ? "Recovery code" : "Code"} inputmode=${lost ? "text" : "numeric"} autocomplete=${lost ? "off" : "one-time-code"}
        spellcheck=${false} maxlength="64" placeholder=${lost ? "XXXX-XXXX-XXXX-XXXX" : "123456"} value=${totp} onValue=${setTotp} inputRef=${field} />
      <div class="row"><button class="main" disabled=${busy}>${busy ? doing : action}</button>
        <button type="button" class="plain" onClick=${other}>${lost ? "Use the app" : "Use a recovery code"}</button>
        ${passkeys.available && html`<button type="button" class="plain" disabled=${instead.busy} onClick=${instead.run}>Use a passkey</button>`}
        <button type="button" class="plain" onClick=${onBack}>Back</button></div>
    </form><//>`;
}
