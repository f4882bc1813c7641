// Where the links in mails lead: /verify-email?token=..., /reset-password?token=...,
// /accept-invitation?token=... and /confirm-identity?token=...
//
// Nothing happens before a click: mail scanners open links, and an opened link must not spend the
// token. The token leaves the address bar at once, so that it is in no history and no screenshot.

import { open } from "../api.js";
import { html, useEffect, useState } from "../lib.js";
import { Field } from "../form.js";
import * as passkeys from "../passkeys.js";
import { useAction } from "../poll.js";
import { Alone, Note, Trouble, useFocus } from "../ui.js";
import { MailLink } from "./proof.js";
import { Second } from "./second-step.js";

const token = new URLSearchParams(location.search).get("token") ?? "";
if (token) history.replaceState(null, "", location.pathname);

export function VerifyEmail() {
  const [done, setDone] = useState(false);
  const { run, busy, problem } = useAction(async () => {
    await open("POST", "/auth/verify-email", { token });
    setDone(true);
  });
  if (done) {
    return html`<${Alone} title="E-mail address confirmed">
      <p>The account is open. You can sign in now in the application that sent you.</p>
      <p><a class="button main" href="/admin">Sign in</a></p><//>`;
  }
  if (!token) return html`<${NoToken} title="Confirm your e-mail address" />`;
  return html`<${Alone} title="Confirm your e-mail address">
    <p>One click confirms that this address is yours and opens the account.</p>
    ${problem?.code === "invalid_token" ? html`<${Spent} what="Sign in with your password: the page then offers to send another mail." />`
      : html`<${Trouble} problem=${problem} />`}
    <p><button class="main" disabled=${busy} onClick=${run}>${busy ? "Confirming…" : "Confirm"}</button></p><//>`;
}

export function ResetPassword() {
  const [password, setPassword] = useState("");
  const [done, setDone] = useState(false);
  const first = useFocus();
  const { run, busy, problem } = useAction(async () => {
    await open("POST", "/auth/reset-password", { token, password });
    setDone(true);
  });
  if (done) {
    return html`<${Alone} title="Password changed">
      <p>Every session of the account was ended. Sign in with the new password.</p>
      <p><a class="button main" href="/admin">Sign in</a></p><//>`;
  }
  if (!token) return html`<${NoToken} title="Set a new password" />`;
  const weak = problem?.code === "weak_password" ? problem.message : undefined;
  return html`<${Alone} title="Set a new password">
    ${problem?.code === "invalid_token" ? html`<${Spent} what="Choose “Forgotten password” on the sign-in page for another." />`
      : !weak && html`<${Trouble} problem=${problem} shown=${["password"]} />`}
    <form onSubmit=${(/** @type {Event} */ event) => { event.preventDefault(); run(); }}>
      <${Field} id="password" label="New password" type="password" autocomplete="new-password" value=${password} onValue=${setPassword}
        inputRef=${first} hint="Long beats complicated: four or five unrelated words do well." wrong=${problem?.fields.password ?? weak} />
      <button class="main" disabled=${busy}>${busy ? "Setting…" : "Set the password"}</button>
    </form><//>`;
}

/** @param {{ role: string }} props what somebody is to be, in words */
function Role({ role }) {
  const words = { admin: "an admin: you manage it", billing: "billing: you see and change what is paid", member: "a member: you use its licences" };
  return html`${words[/** @type {"member"} */ (role)] ?? role}`;
}

export function AcceptInvitation() {
  const [shown, setShown] = useState(/** @type {{ org_name: string, email: string, role: string, has_account: boolean } | null} */ (null));
  const [wrong, setWrong] = useState(/** @type {any} */ (null));
  const [name, setName] = useState("");
  const [password, setPassword] = useState("");
  const [asked, setAsked] = useState(false);
  const [done, setDone] = useState(false);
  useEffect(() => {
    if (token) open("POST", "/invitations/look", { token }).then(setShown, setWrong);
  }, []);
  /** @param {import("../api.js").LoginAnswer} signed */
  const accept = async (signed) => {
    try {
      await open("POST", "/invitations/accept", { token }, signed.access_token);
    } finally {
      // Nobody stays signed in on a page that a mail opened.
      await open("POST", "/auth/logout", undefined, signed.access_token).catch(() => null);
    }
    setDone(true);
  };
  /** @param {string} [totp] */
  const signIn = async (totp) => accept(await open("POST", "/auth/login", { email: shown?.email, password, totp }));
  const withPasskey = async () => accept(await passkeys.tokens());
  const { run, busy, problem } = useAction(async () => {
    if (shown?.has_account) {
      try {
        await signIn();
      } catch (error) {
        if (/** @type {any} */ (error).code !== "mfa_required") throw error;
        setAsked(true);
      }
    } else {
      await open("POST", "/invitations/accept", { token, full_name: name, password });
      setDone(true);
    }
  });
  const other = useAction(withPasskey);
  if (!token) return html`<${NoToken} title="Join an organisation" />`;
  if (wrong) {
    return html`<${Alone} title="Join an organisation">
      ${wrong.code === "invalid_token" ? html`<${Spent} what="Ask whoever invited you for another." />` : html`<${Trouble} problem=${wrong} />`}<//>`;
  }
  if (!shown) return html`<${Alone} title="Join an organisation"><p>Looking at the invitation…</p><//>`;
  if (done) {
    return html`<${Alone} title=${`You belong to ${shown.org_name}`}>
      <p>Sign in as ${shown.email} where you use what you came for: the application or the web site that ${shown.org_name} has licences of.</p>
      <p>Your account, and ${shown.org_name} as far as your role goes, are looked after <a href="/admin">here</a>.</p><//>`;
  }
  const title = `Join ${shown.org_name}`;
  if (asked) {
    return html`<${Second} title=${title} email=${shown.email} action="Accept and join" doing="Joining…" send=${signIn} passkey=${withPasskey} onBack=${() => setAsked(false)} />`;
  }
  const weak = problem?.code === "weak_password" ? problem.message : undefined;
  return html`<${Alone} title=${title}>
    <p>You are invited as <${Role} role=${shown.role} />. ${shown.has_account ? html`Your address, ${shown.email}, has an account: sign in to accept.`
      : html`Accepting opens an account for ${shown.email}.`}</p>
    ${problem?.code === "invalid_token" ? html`<${Spent} what="Ask whoever invited you for another." />`
      : !weak && html`<${Trouble} problem=${problem ?? other.problem} shown=${["password", "full_name"]} />`}
    <form onSubmit=${(/** @type {Event} */ event) => { event.preventDefault(); run(); }}>
      ${!shown.has_account && html`<${Field} id="full_name" label="Your name" autocomplete="name" value=${name} onValue=${setName} wrong=${problem?.fields.full_name} />`}
      <${Field} id="password" label=${shown.has_account ? "Password" : "Choose a password"} type="password" autocomplete=${shown.has_account ? "current-password" : "new-password"}
        value=${password} onValue=${setPassword} wrong=${problem?.fields.password ?? weak} hint=${!shown.has_account && "Long beats complicated: four or five unrelated words do well."} />
      <button class="main" disabled=${busy}>${busy ? "Joining…" : "Accept and join"}</button>
    </form>
    ${shown.has_account && html`${passkeys.available && html`<p class="other"><button type="button" disabled=${other.busy} onClick=${other.run}>${other.busy ? "Waiting for the passkey…" : "Accept with a passkey"}</button></p>`}
      <${MailLink} email=${shown.email} before="No password yet, or forgotten?" words="Mail me a link to set one" then="Its link sets a password; then open the invitation once more." />`}<//>`;
}

export function ConfirmIdentity() {
  const [shown, setShown] = useState(/** @type {{ org_name: string, email: string, issuer: string } | null} */ (null));
  const [wrong, setWrong] = useState(/** @type {any} */ (null));
  const [done, setDone] = useState(false);
  useEffect(() => {
    if (token) open("POST", "/auth/oidc/confirm/look", { token }).then(setShown, setWrong);
  }, []);
  const { run, busy, problem } = useAction(async () => {
    await open("POST", "/auth/oidc/confirm", { token });
    setDone(true);
  });
  const title = "Sign in through an organisation";
  const again = "Sign in through the organisation again for another.";
  if (!token) return html`<${NoToken} title=${title} />`;
  if (wrong) return html`<${Alone} title=${title}>${wrong.code === "invalid_token" ? html`<${Spent} what=${again} />` : html`<${Trouble} problem=${wrong} />`}<//>`;
  if (!shown) return html`<${Alone} title=${title}><p>Looking at the link…</p><//>`;
  if (done) return html`<${Alone} title="Confirmed"><p>Sign in through ${shown.org_name} once more: it opens your account from now on.</p><//>`;
  return html`<${Alone} title=${`Sign in through ${shown.org_name}`}>
    <p>Whoever runs the sign-in of <strong>${shown.org_name}</strong>, <code>${shown.issuer}</code>, can from then on sign in as you, ${shown.email}.
      Confirm this only if you belong there.</p>
    ${problem?.code === "invalid_token" ? html`<${Spent} what=${again} />` : html`<${Trouble} problem=${problem} />`}
    <p><button class="main" disabled=${busy} onClick=${run}>${busy ? "Confirming…" : "Confirm"}</button></p><//>`;
}

/** @param {{ what: string }} props */
function Spent({ what }) {
  return html`<${Note} kind="bad"><p>This link was used already or has lapsed. ${what}</p><p><a href="/admin">Sign in</a></p><//>`;
}

/** @param {{ title: string }} props */
function NoToken({ title }) {
  return html`<${Alone} title=${title}>
    <p>The link is incomplete. Open it from the mail again, or copy the whole of it into the address bar.</p>
    <p><a href="/admin">Sign in</a></p><//>`;
}
