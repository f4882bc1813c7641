// The admin page: which of its parts is shown.

import "./arrival.js";
import { account, renew } from "./api.js";
import { html, render, signal, useEffect, useState } from "./lib.js";
import { Shell } from "./shell.js";
import { Alone, Note } from "./ui.js";
import { AcceptInvitation, ConfirmIdentity, ResetPassword, VerifyEmail } from "./views/mail-links.js";
import { SetUp, SetUpHelp, askSetup, setupToken } from "./views/setup.js";
import { SignIn } from "./views/sign-in.js";

/** Where the token of a set-up link stands. */
const hash = signal(location.hash);
addEventListener("hashchange", () => { hash.value = location.hash; });

function App() {
  if (location.pathname === "/verify-email") return html`<${VerifyEmail} />`;
  if (location.pathname === "/reset-password") return html`<${ResetPassword} />`;
  if (location.pathname === "/accept-invitation") return html`<${AcceptInvitation} />`;
  if (location.pathname === "/confirm-identity") return html`<${ConfirmIdentity} />`;
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
  return account.value ? html`<${Shell} />` : html`<${SignIn} />`;
}

const root = document.getElementById("app");
if (root) {
  root.textContent = "";
  render(html`<${App} />`, root);
}
