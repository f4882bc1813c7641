// A whole list, a page at a time, kept fresh.

import { call } from "../api.js";
import { html, useState } from "../lib.js";
import { Trouble, usePoll, useTitle } from "../ui.js";

const PER_PAGE = 50;

/**
 * @param {{ title: string, path: string, everyMs: number, table: (items: any[]) => any }} props
 *   `path` is below /api/v1 and answers `{items, next_cursor}`
 */
export function Listing({ title, path, everyMs, table }) {
  useTitle(title);
  // The cursors of the pages before this one, so that one can go back; the last is this page's own.
  const [cursors, setCursors] = useState([""]);
  const cursor = cursors[cursors.length - 1];
  const { data, problem } = usePoll(async () => {
    const from = cursor ? `&cursor=${encodeURIComponent(cursor)}` : "";
    return { cursor, ...(await call("GET", `${path}?limit=${PER_PAGE}${from}`)) };
  }, everyMs, [path, cursor]);
  // The page before is not shown under the new one's name while that loads.
  const here = data?.cursor === cursor ? data : undefined;
  return html`<section class="panel"><header><h1>${title}</h1></header>
    <${Trouble} problem=${problem} />
    ${!here && !problem && html`<p class="empty soft" aria-busy="true">Loading…</p>`}
    ${here && table(here.items)}
    ${here && (cursors.length > 1 || here.next_cursor) && html`<nav class="pages" aria-label="Pages">
      <button disabled=${cursors.length === 1} onClick=${() => setCursors(cursors.slice(0, -1))}>Back</button>
      <span class="soft">Page ${cursors.length}</span>
      <button disabled=${!here.next_cursor} onClick=${() => setCursors([...cursors, here.next_cursor])}>Next</button></nav>`}
  </section>`;
}
