// The keyboard outside of fields: one listener, so that no key means two things.

/** @typedef {(key: string, target: Element) => boolean} Taker returns whether the key was its own */
/** @type {Set<Taker>} */
const takers = new Set();

/** @param {Taker} taker @returns {() => void} ends it */
export function onKeys(taker) {
  takers.add(taker);
  return () => takers.delete(taker);
}

addEventListener("keydown", (event) => {
  if (event.defaultPrevented || event.ctrlKey || event.metaKey || event.altKey || document.querySelector("dialog[open]")) return;
  const target = event.target instanceof Element ? event.target : document.body;
  const inSearch = target.matches("[data-search]");
  // In the search box only the way down to the rows is ours.
  if (inSearch ? event.key !== "ArrowDown" : target.closest("input, textarea, select, [contenteditable], .uplot")) return;
  if (event.key === "/" && !inSearch) {
    const search = /** @type {HTMLInputElement | null} */ (document.querySelector("[data-search]"));
    if (!search) return;
    event.preventDefault();
    search.focus();
    search.select();
    return;
  }
  if ([...takers].some((taker) => taker(event.key, target))) event.preventDefault();
});
