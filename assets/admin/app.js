// The admin page: which view is shown, and what every view sits in.

import { account, renew, signOut } from "./api.js";
import { html, render, signal, useEffect, useState } from "./lib.js";
import { Alone, Note } from "./ui.js";
import { ResetPassword, VerifyEmail } from "./views/mail-links.js";
import { Licenses } from "./views/licenses.js";
import { Overview } from "./views/overview.js";
import { Seats } from "./views/seats.js";
import { SetUp, SetUpHelp, askSetup, setupToken } from "./views/setup.js";
import { SignIn } from "./views/sign-in.js";

/** The views of a signed-in operator: `#/name`, its title, what shows it. */
const VIEWS = [
  { hash: "#/", title: "Overview", view: Overview },
  { hash: "#/seats", title: "Seats", view: Seats },
  { hash: "#/licenses", title: "Licences", view: Licenses },
];

const hash = signal(location.hash);
addEventListener("hashchange", () => { hash.value = location.hash; });

function App() {
  if (location.pathname === "/verify-email") return html`<${VerifyEmail} />`;
  if (location.pathname === "/reset-password") return html`<${ResetPassword} />`;
  return html`<${Gate} />`;
}

/** Set-up when the server has no operator yet, sign-in when nobody is, else the page itself. */
function Gate() {
  const [needed, setNeeded] = useState(/** @type {boolean | undefined} */ (undefined));
  const [failure, setFailure] = useState("");
  const [attempt, setAttempt] = useState(0);
  useEffect(() => {
    let timer = 0;
    const start = async () => {
      setFailure("");
      try {
        const setup = await askSetup();
        if (!setup) await renew();
        setNeeded(setup);
      } catch (error) {
        setFailure(String(/** @type {Error} */ (error).message));
        timer = setTimeout(() => setAttempt(attempt + 1), 5000);
      }
    };
    start();
    return () => clearTimeout(timer);
  }, [attempt]);

  if (failure) {
    return html`<${Alone} title="No answer">
      <${Note} kind="bad"><p>${failure}</p><//>
      <p>The page tries again by itself. <button class="plain" onClick=${() => setAttempt(attempt + 1)}>Try now</button></p><//>`;
  }
  if (needed === undefined) return html`<main class="alone" aria-busy="true"><p class="soft">Loading…</p></main>`;
  if (needed) {
    // Read on every change of the address: the link may be pasted while this page is open.
    return setupToken(hash.value)
      ? html`<${SetUp} token=${setupToken(hash.value)} onDone=${() => setNeeded(false)} />`
      : html`<${SetUpHelp} onDone=${() => setNeeded(false)} />`;
  }
  return account.value ? html`<${Frame} />` : html`<${SignIn} />`;
}

function Frame() {
  const here = VIEWS.find((each) => each.hash === hash.value) ?? VIEWS[0];
  if (account.value?.operator === false) return html`<${NotAnOperator} />`;
  return html`
    <a class="skip" href="#main" onClick=${skip}>Skip to the content</a>
    <header class="bar"><div>
      <a class="brand" href="/admin#/"><img src="/favicon.svg" alt="" width="22" height="22" />CODITECT</a>
      <nav aria-label="Views">${VIEWS.map((each) => html`
        <a key=${each.hash} href=${each.hash} aria-current=${each === here ? "page" : undefined}>${each.title}</a>`)}</nav>
      <div class="end">
        <nav aria-label="Documentation"><a href="/docs">API</a><a href="/handbook">Handbook</a></nav>
        <span class="soft who">${account.value?.email}</span>
        <button class="plain" onClick=${signOut}>Sign out</button>
      </div>
    </div></header>
    <main id="main" class="page" tabindex="-1"><${here.view} key=${here.hash} /></main>`;
}

/** The hash names the view, so the skip link moves the focus itself. @param {Event} event */
function skip(event) {
  event.preventDefault();
  document.getElementById("main")?.focus();
}

function NotAnOperator() {
  return html`<${Alone} title="For operators">
    <p>You are signed in as <strong>${account.value?.email}</strong>, and this page is for the operators of this server.</p>
    <p>Your organisation's licences and seats are reached through the <a href="/docs">API</a>.</p>
    <p><button onClick=${signOut}>Sign out</button></p><//>`;
}

const root = document.getElementById("app");
if (root) {
  root.textContent = "";
  render(html`<${App} />`, root);
}
