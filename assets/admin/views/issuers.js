// Signing in through other services: a button for each, and what is done when one sent the browser back.

import { code, refusal } from "../arrival.js";
import { enter, open } from "../api.js";
import { html, useEffect, useState } from "../lib.js";
import { Note, Trouble } from "../ui.js";

/** What the address alone tells of a way that failed. @type {Record<string, string>} */
const REFUSALS = {
  oidc_failed: "That service did not sign you in, or it took too long. Try again.",
  issuer_unavailable: "That service does not answer just now. Try again shortly.",
  rate_limited: "Too many attempts. Wait a minute, then try again.",
};

/** What the code of a refusal means, in words. @param {string} refused */
export function why(refused) {
  return REFUSALS[refused] ?? "The sign-in through that service failed. Try again.";
}

/** The code of a sign-in that is to be finished; a page finishes it once. */
let waiting = code;
let refused = refusal;

/** @param {string} [totp] */
async function complete(totp) {
  enter(await open("POST", "/auth/oidc/complete", { code: waiting, totp }));
  waiting = "";
}

/**
 * Finishes a sign-in that an issuer has begun. `asked`: a second factor is asked for, which `send` takes.
 * @returns {{ busy: boolean, asked: boolean, problem: any, send: (totp: string) => Promise<void>, stop: () => void }}
 */
export function useArrival() {
  const [busy, setBusy] = useState(!!waiting);
  const [asked, setAsked] = useState(false);
  const [problem, setProblem] = useState(/** @type {any} */ (null));
  useEffect(() => {
    if (!waiting) return;
    complete().catch((error) => {
      if (error.code === "mfa_required") return setAsked(true);
      waiting = "";
      setProblem(error);
    }).finally(() => setBusy(false));
  }, []);
  const stop = () => { waiting = ""; setAsked(false); };
  return { busy, asked, problem, send: complete, stop };
}

/** @param {{ problem: any }} props */
export function Issuers({ problem }) {
  const [issuers, setIssuers] = useState(/** @type {{ name: string, label: string, start_url: string | null }[]} */ ([]));
  useEffect(() => {
    // Without them there is still the password.
    open("GET", "/auth/oidc").then((answer) => setIssuers(answer.items), () => null);
  }, []);
  const pages = issuers.filter((each) => each.start_url);
  return html`${refused && html`<${Note} kind="bad"><p>${why(refused)}</p><//>`}
    <${Trouble} problem=${problem} />
    ${pages.length > 0 && html`<div class="issuers">${pages.map((each) => html`<a class="button" key=${each.name}
      href=${`${each.start_url}?return_to=${location.pathname}`} onClick=${() => { refused = ""; }}>Sign in with ${each.label}</a>`)}</div>`}`;
}
