// What every screen sits in: the navigation beside it, whether it is live, and what is asked and said.

import { account, enrolment, signOut } from "./api.js";
import { Dialogs, ask, withdraw } from "./dialog.js";
import { count } from "./format.js";
import { onKeys } from "./keys.js";
import { html, signal, useEffect, useState } from "./lib.js";
import { glance, liveState } from "./live.js";
import { place } from "./route.js";
import { SCREENS } from "./screens.js";
import { Toasts } from "./toast.js";
import { Head, Loading, Note } from "./ui.js";
import { Enrol } from "./views/second-factor.js";

/** The navigation on a narrow screen. */
const menuOpen = signal(false);

/** Whether the person has every screen; everybody else has those of their own account and organisations. */
function isOperator() {
  return account.value?.operator !== false;
}

export function Shell() {
  const name = place.value.screen || (isOperator() ? "" : "account");
  useEffect(() => {
    menuOpen.value = false;
  }, [name, place.value.id]);
  useEffect(() => onKeys((key) => key === "?" && Boolean(showKeys())), []);
  useEffect(() => {
    if (enrolment.value) withdraw();
  }, [enrolment.value]);
  if (enrolment.value) return html`<${Enrol} />`;
  return html`
    <a class="skip" href="#main" onClick=${skip}>Skip to the content</a>
    <div class=${`shell ${menuOpen.value ? "menu-open" : ""}`}>
      <header class="top">
        <a class="brand" href="#/"><img src="/favicon.svg" alt="" width="24" height="24" />CODITECT</a>
        <${LiveMark} />
        <button class="menu" aria-expanded=${menuOpen.value ? "true" : "false"} aria-controls="side" onClick=${() => { menuOpen.value = !menuOpen.value; }}>Menu</button>
      </header>
      <${Side} here=${name} />
      <main id="main" tabindex="-1"><${Stage} name=${name} /></main>
    </div>
    <${Toasts} /><${Dialogs} />`;
}

/** @param {{ here: string }} props */
function Side({ here }) {
  const groups = isOperator() ? ["", "Customers", "Money", "Operations"] : [""];
  const shown = (/** @type {import("./screens.js").Screen} */ each, /** @type {string} */ group) => (isOperator() ? each.group === group : each.everybody);
  return html`<div class="side" id="side">
    <nav aria-label="Screens">${groups.map((group) => html`<div key=${group} role="group" aria-label=${group || "Start"}>
      ${group && html`<h2 aria-hidden="true">${group}</h2>`}
      <ul>${SCREENS.filter((each) => shown(each, group)).map((each) => html`<${Link} key=${each.name} screen=${each} here=${each.name === here} />`)}</ul></div>`)}</nav>
    <footer class="foot">
      <p class="who" title=${account.value?.email}><a href="#/account" aria-current=${here === "account" ? "page" : undefined}>${account.value?.email}</a></p>
      <p><button class="plain" onClick=${signOut}>Sign out</button><button class="plain" onClick=${showKeys}>Keyboard</button></p>
      <p><a href="/docs">API</a><a href="/handbook">Handbook</a></p>
    </footer></div>`;
}

/** @param {{ screen: import("./screens.js").Screen, here: boolean }} props */
function Link({ screen, here }) {
  const n = glance.value && screen.badge ? screen.badge(glance.value) : 0;
  return html`<li><a href=${`#/${screen.name}`} aria-current=${here ? "page" : undefined}>${screen.title}
    ${n > 0 && html`<span class="badge">${count(n)}<span class="unseen"> parked</span></span>`}</a></li>`;
}

/** @type {Record<string, string>} */
const LIVE_WORDS = { live: "Live", connecting: "Connecting", polling: "Every 5 s", paused: "Paused", off: "" };
/** @type {Record<string, string>} */
const LIVE_HELP = {
  live: "Changes on the server appear at once.",
  connecting: "The line to the server is being opened again.",
  polling: "Events do not get through, perhaps because of a proxy: the page asks every five seconds.",
  paused: "The page waits while it cannot be seen.",
};

function LiveMark() {
  const state = liveState.value;
  return html`<span class=${`live ${state}`} role="status" title=${LIVE_HELP[state]}>${LIVE_WORDS[state]}</span>`;
}

/** The screen itself, loaded when it is first shown. @param {{ name: string }} props */
function Stage({ name }) {
  const { id, query } = place.value;
  const known = SCREENS.find((each) => each.name === name);
  const screen = isOperator() || known?.everybody ? known : undefined;
  const [loaded, setLoaded] = useState(/** @type {{ name: string, view?: any, failed?: boolean } | null} */ (null));
  const [attempt, setAttempt] = useState(0);
  useEffect(() => {
    let over = false;
    screen?.load().then(
      (module) => { if (!over) setLoaded({ name, view: module.default }); },
      () => { if (!over) setLoaded({ name, failed: true }); },
    );
    return () => { over = true; };
  }, [name, attempt]);
  // A screen reader is told of a new screen, and the keyboard begins at its top.
  useEffect(() => { scrollTo(0, 0); }, [name, id]);
  if (known && !screen) {
    return html`<${Head} title="For operators" />
      <${Note} kind="warn"><p>This screen is for the operators of this server.</p><p><a href="#/account">Your account</a></p><//>`;
  }
  if (!screen) {
    return html`<${Head} title="Unknown screen" />
      <${Note} kind="warn"><p>There is no screen <code>#/${name}</code>. It may have been named otherwise in another version.</p>
        <p><a href="#/">Go to the overview</a></p><//>`;
  }
  if (loaded?.name !== name) return html`<${Loading} />`;
  if (loaded.failed) {
    return html`<${Head} title=${screen.title} /><${Note} kind="bad"><p>This screen could not be loaded. The server does not answer, or it was
      just replaced by another version.</p><p><button onClick=${() => setAttempt(attempt + 1)}>Try again</button> <button onClick=${() => location.reload()}>Reload the page</button></p><//>`;
  }
  return html`<${loaded.view} key=${`${name}/${id}`} id=${id} query=${query} />`;
}

/** The address names the screen, so the skip link moves the focus itself. @param {Event} event */
function skip(event) {
  event.preventDefault();
  document.getElementById("main")?.focus();
}

function showKeys() {
  const keys = [["/", "Search the list"], ["Esc", "Clear the search; close a dialog"], ["↓ ↑ or j k", "Next and previous row"], ["Enter", "Open the row"], ["?", "This help"]];
  return ask({ title: "Keyboard", text: html`<dl class="facts keys">${keys.map(([key, words]) => html`<div><dt>${key.split(" ").map((each) => (each === "or" ? " or " : html`<kbd>${each}</kbd> `))}</dt><dd>${words}</dd></div>`)}</dl>` });
}
