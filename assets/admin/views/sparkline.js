// Seats over the last minutes, as this page saw them: a line drawn from what was polled.

import { html } from "../lib.js";
import { count, seconds } from "../ui.js";

/** Ten minutes of one look every two seconds. */
const KEPT = 300;
const WIDTH = 300;
const HEIGHT = 64;

/** @type {{ at: number, n: number }[]} kept while the page is open, whichever view is shown */
const seen = [];

/** @param {number} at milliseconds @param {number} n seats held */
export function remember(at, n) {
  seen.push({ at, n });
  if (seen.length > KEPT) seen.shift();
}

export function Sparkline() {
  if (seen.length < 2) return html`<p class="soft spark">The line of the last minutes begins here.</p>`;
  const first = seen[0], last = seen[seen.length - 1];
  const top = Math.max(...seen.map((point) => point.n));
  const low = Math.min(...seen.map((point) => point.n));
  const span = Math.max(last.at - first.at, 1);
  const points = seen.map(({ at, n }) => {
    const x = ((at - first.at) / span) * WIDTH;
    const y = HEIGHT - 2 - (n / Math.max(top, 1)) * (HEIGHT - 6);
    return `${x.toFixed(1)},${y.toFixed(1)}`;
  });
  const label = `Seats held over the last ${seconds(span / 1000)}: between ${count(low)} and ${count(top)}, now ${count(last.n)}`;
  return html`<figure class="spark">
    <svg viewBox=${`0 0 ${WIDTH} ${HEIGHT}`} preserveAspectRatio="none" role="img" aria-label=${label}>
      <polygon class="area" points=${`0,${HEIGHT} ${points.join(" ")} ${WIDTH},${HEIGHT}`} />
      <polyline class="line" points=${points.join(" ")} vector-effect="non-scaling-stroke" /></svg>
    <figcaption class="soft"><span>last ${seconds(span / 1000)}</span><span>top ${count(top)}</span></figcaption></figure>`;
}
