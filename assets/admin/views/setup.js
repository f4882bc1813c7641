// First start: the form behind the set-up link, and the page that says where the link is.

import { enter, open } from "../api.js";
import { html, useEffect, useState } from "../lib.js";
import { Field } from "../form.js";
import { useAction, usePoll } from "../poll.js";
import { Alone, Note, Trouble, useFocus } from "../ui.js";

/** Whether the server still waits for its first operator. @returns {Promise<boolean>} */
export async function askSetup() {
  return (await open("GET", "/setup")).needed;
}

/** The token in `#setup=TOKEN`. It stands after the `#` so that no log or proxy sees it. @param {string} hash */
export function setupToken(hash) {
  return new URLSearchParams(hash.slice(1)).get("setup") ?? "";
}

/** @param {{ token: string, onDone: () => void }} props */
export function SetUp({ token, onDone }) {
  const [full_name, setName] = useState("");
  const [email, setEmail] = useState("");
  const [password, setPassword] = useState("");
  const first = useFocus();
  const { run, busy, problem } = useAction(async () => {
    const answer = await open("POST", "/setup", { token, email, password, full_name });
    history.replaceState(null, "", "/admin#/");
    dispatchEvent(new HashChangeEvent("hashchange"));
    enter(answer);
    onDone();
  });
  const wrong = problem?.fields ?? {};
  const weak = problem?.code === "weak_password" ? problem.message : undefined;
  return html`<${Alone} title="Set up this server">
    <p>Make the first operator's account. It can issue licences and see every organisation.</p>
    ${problem?.code === "invalid_token" && html`<${Note} kind="bad"><p>This set-up link is not valid any more: each start of the
      server prints a new one. Take the newest from the log, or run <code>coditect admin link</code>.</p><//>`}
    ${problem?.code === "setup_done" && html`<${Note} kind="warn"><p>This server has its operator already.</p>
      <p><a href="/admin" onClick=${onDone}>Sign in</a></p><//>`}
    ${!weak && !["invalid_token", "setup_done"].includes(problem?.code ?? "")
      && html`<${Trouble} problem=${problem} shown=${["full_name", "email", "password"]} />`}
    <form onSubmit=${(/** @type {Event} */ event) => { event.preventDefault(); run(); }}>
      <${Field} id="full_name" label="Full name" autocomplete="name" value=${full_name} onValue=${setName} wrong=${wrong.full_name} inputRef=${first} />
      <${Field} id="email" label="E-mail address" type="email" autocomplete="username" value=${email} onValue=${setEmail} wrong=${wrong.email} />
      <${Field} id="password" label="Password" type="password" autocomplete="new-password" value=${password} onValue=${setPassword}
        hint="Long beats complicated: four or five unrelated words do well." wrong=${wrong.password ?? weak} />
      <button class="main" disabled=${busy}>${busy ? "Making the account…" : "Make the account"}</button>
    </form><//>`;
}

/** @param {{ onDone: () => void }} props */
export function SetUpHelp({ onDone }) {
  // Whoever sets up elsewhere, or without a browser, need not reload this page.
  const { data: needed } = usePoll(askSetup, 3000);
  useEffect(() => { if (needed === false) onDone(); }, [needed]);
  return html`<${Alone} title="This server has no operator yet">
    <p>Nobody can sign in before the first operator exists. Any one of these makes it:</p>
    <ol class="ways">
      <li><strong>The link in the log.</strong> The server prints it at each start until set-up is done. It looks like
        <code class="block">${location.origin}/admin#setup=…</code> Open it in this browser.</li>
      <li><strong>A fresh link.</strong> On the server's computer, run <code class="block">coditect admin link</code></li>
      <li><strong>Without a browser.</strong> Start the server with both of these in its environment:
        <code class="block">CODITECT_ADMIN_EMAIL=you@example.com${"\n"}CODITECT_ADMIN_PASSWORD_FILE=/path/to/file</code></li>
    </ol>
    <p class="soft">This page goes on by itself when that is done.
      ${" "}<a href="/handbook/getting-started">Getting started</a> has the steps in full.</p><//>`;
}
