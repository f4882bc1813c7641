// A list of records: searched, filtered and paged through the address, walked with the keyboard,
// saved as a file. Every list screen is this with its own columns.

import { list } from "./api.js";
import { ROWS_MAX, exportCsv } from "./csv.js";
import { count } from "./format.js";
import { html, useEffect, useRef, useState } from "./lib.js";
import { useAction, usePoll } from "./poll.js";
import { filter, go, place } from "./route.js";
import { onKeys } from "./keys.js";
import { toast } from "./toast.js";
import { Empty, Head, Loading, Trouble } from "./ui.js";

const PER_PAGE = 50;
/** Typing is over when nothing was typed for this long. */
const TYPING_MS = 250;

/**
 * @typedef {object} Column
 * @property {string} title
 * @property {(row: any) => any} [cell] what is shown; left out: the column is for the file alone
 * @property {((row: any) => any) | null} [csv] what is saved; null: the column is not; left out: what `cell` gives
 * @property {string} [class] `number`, `mono`, `wide` (may wrap), `soft`
 *
 * @typedef {object} Filter
 * @property {string} name of the query parameter
 * @property {string} label
 * @property {[string, string][]} options value and words; the first is what holds without a choice
 *
 * @typedef {object} ListProps
 * @property {string} title
 * @property {string} path below /api/v1
 * @property {Column[]} columns
 * @property {(row: any) => string} id
 * @property {(row: any) => string} [href] where Enter or a click leads
 * @property {(row: any) => void} [onOpen] or what it does
 * @property {string} [search] what may be searched for; left out: there is no search
 * @property {string} [searchHelp] how it searches, told where it finds nothing
 * @property {Filter[]} [filters]
 * @property {Record<string, string>} [query] always asked for
 * @property {string[]} [kept] other names in the address that go into the query, such as `org_id`
 * @property {any} [empty] when there is nothing at all: what to do next
 * @property {any} [actions] buttons
 * @property {(row: any, poll: any) => any} [rowActions] the last cell
 * @property {number} [everyMs]
 * @property {(rows: any[]) => void} [seen] is given each page's rows before they are shown
 * @property {any} [intro]
 * @property {any} [tools] more to narrow the list with, beside search and filters
 * @property {(rows: any[], asking: Record<string, string>) => any} [narrowedTo] names what the list is narrowed to by `kept`
 */

/** The cursors that lead to each page, as far as this page has seen. @type {Map<string, string>} */
const before = new Map();
/** The row that was open last, by list, so that coming back finds it. @type {Map<string, string>} */
const lastOpen = new Map();

/** @param {ListProps} props */
export function List(props) {
  const { title, path, columns, search, searchHelp = "Search finds the beginnings of words; all of them must match.", filters = [], query = {}, kept = [], empty, actions, everyMs = 5000, intro, tools, narrowedTo, seen } = props;
  const chosen = place.value.query;
  /** @type {Record<string, string>} */
  const asking = { ...query };
  for (const name of [...(search ? ["q"] : []), ...filters.map((each) => each.name), ...kept]) {
    if (chosen[name]) asking[name] = chosen[name];
  }
  const cursor = chosen.cursor ?? "";
  const question = JSON.stringify([path, asking, cursor]);
  const poll = usePoll(async () => {
    const page = await list(path, { ...asking, limit: PER_PAGE, cursor });
    seen?.(page.items);
    return { question, ...page };
  }, everyMs, [question]);
  const { data, problem } = poll;
  // Rows of the question before stay a moment, dimmed, rather than leaving a hole.
  const stale = data !== undefined && data.question !== question;
  const narrowed = Object.keys(asking).some((name) => !(name in query));
  const box = useRef(/** @type {any} */ (null));
  useRowKeys(box);
  return html`<div class="list" ref=${box}>
    <${Head} title=${title} actions=${html`${actions}<${Export} ...${props} query=${asking} />`}>${intro && html`<p class="soft intro">${intro}</p>`}<//>
    ${(search || filters.length > 0 || tools || narrowed) && html`<div class="tools" role="search">
      ${search && html`<${Search} words=${search} />`}${tools}
      ${filters.map((each) => html`<${Choice} key=${each.name} ...${each} />`)}
      ${data && narrowedTo?.(data.items, asking)}
      ${narrowed && html`<button class="plain" onClick=${() => filter(cleared(asking))}>Clear</button>`}</div>`}
    <section class=${`panel ${stale ? "stale" : ""}`} aria-busy=${stale || !data ? "true" : undefined}>
      ${problem && html`<div class="inset"><${Trouble} problem=${problem} /></div>`}
      ${!data && !problem && html`<${Loading} />`}
      ${data && (data.items.length ? html`<${Table} ...${props} columns=${columns} rows=${data.items} poll=${poll} />`
        : html`<${Empty}>${narrowed ? html`<p>Nothing matches ${asking.q ? html`<strong>${asking.q}</strong>` : "this filter"}.</p>
            ${asking.q && html`<p class="soft">${searchHelp}</p>`}
            <p><button onClick=${() => filter(cleared(asking))}>Show all</button></p>`
          : cursor ? html`<p>There is nothing on this page any more. <button class="plain" onClick=${() => filter({ cursor: "" })}>First page</button></p>`
          : empty ?? html`<p>There is nothing here yet.</p>`}<//>`)}
      ${data && !stale && (cursor || data.next_cursor) && html`<${Pages} question=${JSON.stringify([path, asking])} cursor=${cursor} next=${data.next_cursor} rows=${data.items.length} />`}
    </section></div>`;
}

/** @param {Record<string, string>} asking */
function cleared(asking) {
  return Object.fromEntries([...Object.keys(asking), "cursor"].map((name) => [name, ""]));
}

/** @param {{ words: string }} props */
export function Search({ words }) {
  const q = place.value.query.q ?? "";
  const [typed, setTyped] = useState(q);
  const timer = useRef(0);
  const asked = useRef(q);
  // The back button changes the address under the box. What the box itself asked for leaves it as it is: something
  // may have been typed since, if only the space before the next word.
  useEffect(() => {
    if (q === asked.current) return;
    asked.current = q;
    setTyped(q);
  }, [q]);
  /** @param {string} value @param {number} wait */
  const search = (value, wait) => {
    setTyped(value);
    clearTimeout(timer.current);
    timer.current = setTimeout(() => {
      asked.current = value.trim();
      filter({ q: asked.current, cursor: "" }, { replace: true });
    }, wait);
  };
  useEffect(() => () => clearTimeout(timer.current), []);
  return html`<label class="search"><span class="unseen">Search</span>
    <input type="search" data-search placeholder=${words} value=${typed} autocomplete="off" spellcheck=${false} aria-keyshortcuts="/"
      onInput=${(/** @type {any} */ event) => search(event.currentTarget.value, TYPING_MS)}
      onKeyDown=${(/** @type {KeyboardEvent} */ event) => {
        if (event.key === "Enter") search(typed, 0);
        // Pressed once more, the key that leads here is no word to search for.
        if (event.key === "/" && !typed) event.preventDefault();
        if (event.key !== "Escape") return;
        event.preventDefault();
        if (typed) search("", 0);
        else /** @type {HTMLElement} */ (event.currentTarget).blur();
      }} /><kbd aria-hidden="true">/</kbd></label>`;
}

/** @param {Filter} props */
export function Choice({ name, label, options }) {
  const value = place.value.query[name] ?? options[0][0];
  return html`<label class="choice"><span>${label}</span><select value=${value}
    onChange=${(/** @type {any} */ event) => filter({ [name]: event.currentTarget.value === options[0][0] ? "" : event.currentTarget.value, cursor: "" })}>
    ${options.map(([each, words]) => html`<option key=${each} value=${each} selected=${each === value}>${words}</option>`)}</select></label>`;
}

/** The rows. Roles are named because rows become cards on a narrow screen, where CSS takes them away. @param {ListProps & { rows: any[], poll?: any }} props */
export function Table({ path, columns: all, rows, id, href, onOpen, rowActions, poll }) {
  const columns = all.filter((column) => column.cell);
  /** @param {any} row */
  const open = (row) => {
    lastOpen.set(path, id(row));
    if (href) go(href(row));
    else onOpen?.(row);
  };
  const opens = Boolean(href || onOpen);
  /** @param {MouseEvent} event @param {any} row */
  const click = (event, row) => {
    const target = /** @type {Element} */ (event.target);
    if (!opens || target.closest("a, button, input, select, label, summary") || String(getSelection())) return;
    open(row);
  };
  /** @param {any} row @param {any} inner */
  const lead = (row, inner) => {
    const mark = { "data-row": true, "data-last": lastOpen.get(path) === id(row) ? "true" : undefined };
    if (href) return html`<a class="lead" href=${href(row)} ...${mark} onClick=${() => lastOpen.set(path, id(row))}>${inner}</a>`;
    if (onOpen) return html`<button type="button" class="plain lead" ...${mark} onClick=${() => open(row)}>${inner}</button>`;
    return html`<span class="lead" tabindex="-1" ...${mark}>${inner}</span>`;
  };
  return html`<div class="scroll"><table role="table" class="rows">
    <thead role="rowgroup"><tr role="row">${columns.map((column) => html`<th role="columnheader" scope="col" class=${column.class}>${column.title}</th>`)}
      ${rowActions && html`<th role="columnheader"><span class="unseen">Actions</span></th>`}</tr></thead>
    <tbody role="rowgroup">${rows.map((row) => html`<tr role="row" key=${id(row)} class=${opens ? "opens" : ""} onClick=${(/** @type {MouseEvent} */ event) => click(event, row)}>
      ${columns.map((column, index) => html`<td role="cell" class=${column.class} data-title=${column.title}>${index ? column.cell?.(row) : lead(row, column.cell?.(row))}</td>`)}
      ${rowActions && html`<td role="cell" class="acts">${rowActions(row, poll)}</td>`}</tr>`)}</tbody></table></div>`;
}

/** @param {{ question: string, cursor: string, next: string | null, rows: number }} props */
function Pages({ question, cursor, next, rows }) {
  const back = before.get(question + cursor);
  let number = 1;
  for (let at = cursor; at && before.has(question + at); at = before.get(question + at) ?? "") number += 1;
  const known = !cursor || back !== undefined;
  /** @param {string} to */
  const turn = (to) => {
    filter({ cursor: to });
    document.querySelector(".list")?.scrollIntoView();
  };
  return html`<nav class="pages" aria-label="Pages">
    <button disabled=${!cursor} onClick=${() => turn(back ?? "")}>${known ? "Back" : "First page"}</button>
    <span class="soft">${known ? `${count((number - 1) * PER_PAGE + 1)} to ${count((number - 1) * PER_PAGE + rows)}` : count(rows, "row")}</span>
    <button disabled=${!next} onClick=${() => { if (next) { before.set(question + next, cursor); turn(next); } }}>Next</button></nav>`;
}

/** Saves every row, with a way to stop. @param {ListProps & { query: Record<string, string> }} props */
function Export({ path, query, columns, title }) {
  const [rows, setRows] = useState(-1);
  const stop = useRef(false);
  useEffect(() => () => { stop.current = true; }, []);
  const { run, problem } = useAction(async () => {
    stop.current = false;
    setRows(0);
    try {
      const saved = columns.filter((column) => column.csv !== null).map((column) => ({ title: column.title, csv: column.csv ?? column.cell ?? String }));
      const done = await exportCsv({ path, query, columns: saved, name: title.toLowerCase().replace(/[^a-z]+/g, "-") },
        { progress: setRows, stopped: () => stop.current });
      if (done) toast(`${count(done.rows, "row")} saved.${done.cut ? ` There are more: a file holds at most ${count(ROWS_MAX)}; narrow the list with a filter.` : ""}`, { tone: done.cut ? "bad" : "good" });
    } finally {
      setRows(-1);
    }
  });
  useEffect(() => { if (problem) toast(`The export stopped. ${problem.message}`, { tone: "bad" }); }, [problem]);
  if (rows >= 0) return html`<span class="progress" role="status">${count(rows, "row")} … <button class="plain" onClick=${() => { stop.current = true; }}>Stop</button></span>`;
  return html`<button onClick=${() => run()} title="Save every row as a file for a spreadsheet">Export CSV</button>`;
}

/** Arrow keys, j and k walk through the rows; Enter opens the one that has the focus, being a link. @param {{ current: any }} box */
function useRowKeys(box) {
  useEffect(() => onKeys((key, target) => {
    if (!["ArrowDown", "ArrowUp", "j", "k", "Home", "End"].includes(key)) return false;
    const rows = /** @type {HTMLElement[]} */ ([...(box.current?.querySelectorAll("[data-row]") ?? [])]);
    const here = rows.indexOf(/** @type {any} */ (document.activeElement));
    const found = target.closest("tr")?.querySelector("[data-row]");
    const at = here >= 0 ? here : found ? rows.indexOf(/** @type {any} */ (found)) : -1;
    if ((key === "Home" || key === "End") && at < 0) return false;
    const last = rows.findIndex((row) => row.dataset.last);
    const down = key === "ArrowDown" || key === "j";
    let next = key === "Home" ? 0 : key === "End" ? rows.length - 1 : at < 0 ? Math.max(last, 0) : at + (down ? 1 : -1);
    if (next < 0) {
      box.current.querySelector("[data-search]")?.focus();
      return true;
    }
    next = Math.min(next, rows.length - 1);
    rows[next]?.focus();
    rows[next]?.scrollIntoView({ block: "nearest" });
    return rows.length > 0;
  }), []);
  // Coming back from a record, the keyboard is where it was.
  useEffect(() => {
    let tries = 0;
    const timer = setInterval(() => {
      const row = box.current?.querySelector("[data-last]");
      tries += 1;
      if (row && (document.activeElement === document.body || document.activeElement?.id === "main")) {
        row.focus({ preventScroll: true });
        row.scrollIntoView({ block: "center" });
      }
      if (row || tries > 20) clearInterval(timer);
    }, 50);
    return () => clearInterval(timer);
  }, []);
}
