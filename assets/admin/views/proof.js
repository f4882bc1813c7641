// Showing once more that it is you, before the ways to sign in change: with the password, or, where the account has
// none, by having signed in just now.

import { Problem, account, open, signOut } from "../api.js";
import { ask } from "../dialog.js";
import { html, useState } from "../lib.js";
import { useAction } from "../poll.js";
import { Note, Section, Trouble } from "../ui.js";

/** @type {import("../form.js").FieldSpec} */
const PASSWORD = { name: "password", label: "Password", type: "password", autocomplete: "current-password" };

/** Whether the account has a password that can be asked for. */
export function hasPassword() {
  return account.value?.has_password !== false;
}

/** The fields of a question that ask for the proof. @returns {import("../form.js").FieldSpec[]} */
export function proof() {
  return hasPassword() ? [PASSWORD] : [];
}

/**
 * Does what takes the proof; where a sign-in is too old to be one, says what to do.
 * @param {(values: any) => Promise<any>} act is given the values of the fields, the password among them
 */
export function proved(act) {
  return async (/** @type {any} */ values) => {
    try {
      return await act({ ...values, password: values.password ?? "" });
    } catch (problem) {
      if (hasPassword() || !(problem instanceof Problem) || problem.code !== "invalid_credentials") throw problem;
      signInAgain();
    }
  };
}

function signInAgain() {
  return ask({
    title: "Sign in again first",
    text: html`<p>Your account has no password to ask for. So this takes a sign-in of the last ten minutes, and not one through an organisation.</p>
      <p>Sign in again, and then come back here.</p>`,
    action: "Sign out and in again",
    submit: signOut,
  });
}

/** Offers a password to whoever has none. */
export function NoPassword() {
  const who = account.value;
  if (!who || hasPassword()) return null;
  return html`<${Section} title="Password"><div class="text">
    <p>Your account has none: you sign in through another service or with a passkey. With a password you get in when those are away.</p>
    <${MailLink} email=${who.email} words="Mail me a link to set one" then="Its link sets a password and signs you out everywhere: sign in with the password then." /></div><//>`;
}

/** Mails a link that sets a password. @param {{ email: string, words: string, then: string, before?: any }} props */
export function MailLink({ email, words, then, before }) {
  const [sent, setSent] = useState(false);
  const { run, busy, problem } = useAction(async () => {
    await open("POST", "/auth/forgot-password", { email });
    setSent(true);
  });
  if (sent) return html`<${Note} kind="good"><p>A mail is on its way to ${email}. ${then}</p><//>`;
  return html`<p>${before && html`${before} `}<button type="button" class=${before ? "plain" : ""} disabled=${busy} onClick=${run}>${words}</button></p>
    <${Trouble} problem=${problem} />`;
}
