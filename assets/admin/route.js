// Where the page is: `#/licenses?q=acme` and `#/licenses/ID`. Screen, record and filters all stand in
// the address, so that it can be kept, sent to a colleague and gone back to.

import { signal } from "./lib.js";

/**
 * @typedef {object} Place
 * @property {string} screen `licenses`; empty for the first one
 * @property {string} id the record that is shown; empty for the list
 * @property {Record<string, string>} query the filters
 */

/** @param {string} hash @returns {Place} */
function read(hash) {
  const [path, query = ""] = hash.replace(/^#\/?/, "").split("?", 2);
  const [screen = "", id = ""] = path.split("/").map(decode);
  return { screen, id, query: Object.fromEntries(new URLSearchParams(query)) };
}

/** @param {string} text */
function decode(text) {
  try {
    return decodeURIComponent(text);
  } catch {
    return text;
  }
}

/** Where the page is now. */
export const place = signal(read(location.hash));

const follow = () => { place.value = read(location.hash); };
addEventListener("hashchange", follow);
addEventListener("popstate", follow);

/**
 * The address of a place. @param {string} screen @param {string} [id]
 * @param {Record<string, string | undefined>} [query] empty values are left out
 */
export function to(screen, id = "", query = {}) {
  const given = /** @type {[string, string][]} */ (Object.entries(query).filter(([, value]) => value));
  const tail = given.length ? `?${new URLSearchParams(given)}` : "";
  return `#/${screen}${id ? `/${encodeURIComponent(id)}` : ""}${tail}`;
}

/**
 * Goes there. @param {string} hash from `to`
 * @param {{ replace?: boolean }} [how] `replace`: without a step for the back button
 */
export function go(hash, { replace = false } = {}) {
  if (hash === location.hash) return;
  history[replace ? "replaceState" : "pushState"](null, "", `/admin${hash}`);
  follow();
}

/**
 * Changes filters of the place one is at. @param {Record<string, string>} change empty: taken away
 * @param {{ replace?: boolean }} [how]
 */
export function filter(change, how) {
  const { screen, id, query } = place.value;
  go(to(screen, id, { ...query, ...change }), how);
}
