// The API page: what the server's own /openapi.json says, made readable, with a place to try it.

import { html, render, signal, useEffect, useRef, useState } from "../admin/lib.js";
import { Markdown } from "./markdown.js";
import { Spec } from "./openapi.js";
import { OperationPage } from "./operation.js";
import { token } from "./try.js";

const hash = signal(decodeURIComponent(location.hash.slice(1)));
addEventListener("hashchange", () => { hash.value = decodeURIComponent(location.hash.slice(1)); });

function App() {
  const [spec, setSpec] = useState(/** @type {Spec | null} */ (null));
  const [failure, setFailure] = useState("");
  const load = async () => {
    setFailure("");
    try {
      const response = await fetch("/openapi.json");
      if (!response.ok) throw new Error(`/openapi.json answers ${response.status}.`);
      setSpec(new Spec(await response.json()));
    } catch (error) {
      setFailure(error instanceof TypeError ? "The server does not answer." : String(/** @type {Error} */ (error).message));
    }
  };
  useEffect(() => { load(); }, []);
  return html`<a class="skip" href="#main" onClick=${skip}>Skip to the content</a><${Bar} />
    ${failure && html`<main class="message"><div class="note bad" role="alert"><p>The description of the API could not be read. ${failure}</p>
      <p><button onClick=${load}>Try again</button></p></div></main>`}
    ${!failure && !spec && html`<main class="message" aria-busy="true"><p class="soft">Loading…</p></main>`}
    ${spec && html`<${Browser} spec=${spec} />`}`;
}

function Bar() {
  return html`<header class="bar"><div>
    <a class="brand" href="/docs"><img src="/favicon.svg" alt="" width="22" height="22" />CODITECT API</a>
    <nav aria-label="Documentation"><a href="/admin">Admin</a><a href="/handbook/api">Handbook</a><a href="/openapi.json">openapi.json</a></nav>
    <form class="end token" onSubmit=${(/** @type {Event} */ event) => event.preventDefault()}>
      <label for="token">Bearer token</label>
      <input id="token" type="password" autocomplete="off" spellcheck=${false} value=${token.value}
        placeholder="kept in memory only" onInput=${(/** @type {any} */ event) => { token.value = event.currentTarget.value.trim(); }} />
    </form></div></header>`;
}

/** @param {{ spec: Spec }} props */
function Browser({ spec }) {
  const [query, setQuery] = useState("");
  const search = useRef(/** @type {any} */ (null));
  const main = useRef(/** @type {any} */ (null));
  const here = spec.operations.find((each) => each.id === hash.value);
  const tags = filter(spec, query);
  useEffect(() => {
    document.title = here ? `${here.summary || here.path} · CODITECT API` : "API · CODITECT";
    if (here) {
      scrollTo(0, 0);
      document.querySelector(".list a[aria-current]")?.scrollIntoView({ block: "nearest" });
    }
  }, [here]);
  useEffect(() => {
    const jump = (/** @type {KeyboardEvent} */ event) => {
      const typing = /** @type {HTMLElement} */ (event.target).matches?.("input, textarea, select");
      if (event.key !== "/" || typing || event.ctrlKey || event.metaKey || event.altKey) return;
      event.preventDefault();
      search.current?.focus();
    };
    addEventListener("keydown", jump);
    return () => removeEventListener("keydown", jump);
  }, []);
  const openFirst = (/** @type {Event} */ event) => {
    event.preventDefault();
    const first = tags[0]?.operations[0];
    if (query && first) {
      location.hash = first.id;
      main.current?.focus();
    }
  };
  return html`<div class=${here ? "columns reading" : "columns"}>
    <nav class="list" aria-label="Operations">
      <form role="search" onSubmit=${openFirst}>
        <label class="unseen" for="search">Search operations</label>
        <input ref=${search} id="search" type="search" placeholder="Search (press /)" autocomplete="off" value=${query}
          onInput=${(/** @type {any} */ event) => setQuery(event.currentTarget.value)} /></form>
      ${!tags.length && html`<p class="soft none" role="status">Nothing matches “${query}”.</p>`}
      ${tags.map((tag) => html`<section key=${tag.name}><h2>${tag.name}</h2><ul>${tag.operations.map((each) => html`
        <li key=${each.id}><a href=${`#${each.id}`} aria-current=${each === here ? "page" : undefined} class=${each.deprecated ? "deprecated" : ""}>
          <span class=${`verb ${each.method.toLowerCase()}`}>${each.method}</span><span><${Path} path=${each.path.replace(/^\/api\/v1/, "")} /></span></a></li>`)}</ul></section>`)}
    </nav>
    <main id="main" tabindex="-1" ref=${main}>${here
      ? html`<a class="back" href="#">All operations</a><${OperationPage} key=${here.id} spec=${spec} operation=${here} />`
      : html`<${Introduction} spec=${spec} unknown=${hash.value} />`}</main></div>`;
}

/** A path that breaks at its slashes. @param {{ path: string }} props */
function Path({ path }) {
  return path.split("/").slice(1).map((part) => html`/${part}<wbr />`);
}

/** @param {{ spec: Spec, unknown: string }} props */
function Introduction({ spec, unknown }) {
  const { info } = spec.document;
  return html`<article class="intro">
    ${unknown && html`<div class="note warn" role="status"><p>There is no operation <code>${unknown}</code> in this version.</p></div>`}
    <h1>${info?.title ?? "API"} <span class="soft">${info?.version}</span></h1>
    <${Markdown} text=${info?.description ?? ""} />
    <p>To try operations as yourself, sign in with <code>POST /api/v1/auth/login</code>, copy the
      ${" "}<code>access_token</code> of the answer and paste it as the bearer token at the top of this page. It is
      kept in this page's memory and nowhere else.</p>
    ${spec.tags.map((tag) => html`<section key=${tag.name}><h2>${tag.name}</h2><${Markdown} text=${tag.description} />
      <ul class="plainlist">${tag.operations.map((each) => html`<li key=${each.id}>
        <a href=${`#${each.id}`}><span class=${`verb ${each.method.toLowerCase()}`}>${each.method}</span> <code>${each.path}</code></a>
        <span class="soft">${each.summary}</span></li>`)}</ul></section>`)}</article>`;
}

/** Operations in which every word of the query occurs somewhere. @param {Spec} spec @param {string} query */
function filter(spec, query) {
  const words = query.toLowerCase().split(/\s+/).filter(Boolean);
  return spec.tags
    .map((tag) => ({
      ...tag,
      operations: tag.operations.filter((each) => {
        const text = `${each.method} ${each.path} ${each.id} ${each.summary} ${tag.name}`.toLowerCase();
        return words.every((word) => text.includes(word));
      }),
    }))
    .filter((tag) => tag.operations.length);
}

/** @param {Event} event */
function skip(event) {
  event.preventDefault();
  document.getElementById("main")?.focus();
}

const root = document.getElementById("app");
if (root) {
  root.textContent = "";
  render(html`<${App} />`, root);
}
