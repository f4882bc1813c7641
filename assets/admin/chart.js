// A chart with the table behind it. The drawing library is loaded with the first chart.

import { html, useEffect, useRef, useState } from "./lib.js";

/**
 * @typedef {object} Series
 * @property {string} label
 * @property {(number | null)[]} values
 * @property {"accent" | "good" | "warn" | "bad" | "soft" | "one" | "two" | "three" | "four" | "five" | "six"} [tone] `one` to `six` tell kinds apart and judge none
 * @property {boolean} [area] filled below
 * @property {boolean} [bars] rather than a line
 *
 * @typedef {object} ChartProps
 * @property {string} label what it shows, in words: all that a screen reader gets, with the table
 * @property {number[]} x seconds since 1970
 * @property {Series[]} series
 * @property {(value: number) => string} [format] of a value
 * @property {boolean} [bars]
 * @property {boolean} [stacked] bars on one another: what is less than 0 hangs down
 * @property {"time" | "month"} [axis]
 * @property {number} [height]
 * @property {any} table the same in rows
 */

/** @type {Promise<any> | undefined} */
let library;

function load() {
  library ??= Promise.all([import("../assets/vendor/uplot.js"), styles()]).then(([module]) => module.default);
  library.catch(() => { library = undefined; });
  return library;
}

/** Its style sheet. It sets positions from scripts through the CSSOM, which the page's policy allows. @returns {Promise<void>} */
function styles() {
  return new Promise((resolve) => {
    const link = document.createElement("link");
    link.rel = "stylesheet";
    link.href = "/assets/vendor/uplot.css";
    link.onload = link.onerror = () => resolve();
    document.head.append(link);
  });
}

/** @param {ChartProps} props */
export function Chart(props) {
  const { label, x, series, table, height = 170 } = props;
  const box = useRef(/** @type {any} */ (null));
  const plot = useRef(/** @type {any} */ (null));
  const [drawn, setDrawn] = useState(false);
  const layers = props.stacked ? piled(series) : series;
  const data = [x, ...layers.map((each) => each.values)];
  const latest = useRef({ data, series });
  latest.current = { data, series };
  useEffect(() => {
    let over = false;
    const draw = async () => {
      const uPlot = await load().catch(() => null);
      if (over || !uPlot || !box.current) return;
      plot.current?.destroy();
      plot.current = new uPlot(options(uPlot, { ...props, series: layers }, box.current.clientWidth || 300, height, () => latest.current.series), latest.current.data, box.current);
      setDrawn(true);
    };
    draw();
    const size = new ResizeObserver(() => { if (box.current) plot.current?.setSize({ width: box.current.clientWidth, height }); });
    size.observe(box.current);
    const dark = matchMedia("(prefers-color-scheme: dark)");
    dark.addEventListener("change", draw);
    return () => {
      over = true;
      size.disconnect();
      dark.removeEventListener("change", draw);
      plot.current?.destroy();
      plot.current = null;
    };
  }, [series.length]);
  const mark = `${x.length} ${x[x.length - 1]} ${series.map((each) => each.values[x.length - 1]).join(" ")}`;
  useEffect(() => { plot.current?.setData(latest.current.data); }, [mark, drawn]);
  return html`<figure class="chart">
    ${series.length > 1 && html`<figcaption class="legend">${series.map((each) => html`<span class=${each.tone ?? "accent"}>${each.label}</span>`)}</figcaption>`}
    <div class=${`plot h${height}`} ref=${box} role="img" aria-label=${label}></div>
    <details><summary>As a table</summary><div class="scroll tall">${table}</div></details></figure>`;
}

/** Layers to draw one over the other, the longest first, so that each shows its own part. @param {Series[]} series @returns {Series[]} */
function piled(series) {
  const up = series[0].values.map(() => 0), down = [...up];
  const layers = series.map((each) => ({
    ...each,
    values: each.values.map((value, i) => {
      const pile = (value ?? 0) < 0 ? down : up;
      pile[i] += value ?? 0;
      // A layer without a part of its own is not drawn at all.
      return value ? pile[i] : null;
    }),
  }));
  return layers.reverse();
}

/** @param {any} uPlot @param {ChartProps} props @param {number} width @param {number} height @param {() => Series[]} told what the values are, whatever is drawn */
function options(uPlot, { series, format = String, bars = false, stacked = false, axis = "time" }, width, height, told) {
  const style = getComputedStyle(document.documentElement);
  const colour = (/** @type {string} */ name) => style.getPropertyValue(`--${name}`).trim();
  const font = `11px ${colour("sans")}`;
  const lines = { stroke: colour("soft"), font, grid: { stroke: colour("line"), width: 1 }, ticks: { show: false } };
  const month = new Intl.DateTimeFormat("en", { month: "short", year: "2-digit", timeZone: "UTC" });
  /** @type {Intl.DateTimeFormatOptions} */
  const hour = { hour: "2-digit", minute: "2-digit", hourCycle: "h23" };
  const clock = new Intl.DateTimeFormat("en", hour), exact = new Intl.DateTimeFormat("en", { ...hour, second: "2-digit" });
  const words = (/** @type {number} */ at) => (axis === "month" ? month : exact).format(at * 1000);
  const ticks = (/** @type {number[]} */ at) => at.map((each) => (axis === "time" && at[1] - at[0] >= 60 ? clock.format(each * 1000) : words(each)));
  return {
    width, height,
    legend: { show: false },
    cursor: { y: false, points: { size: 7 }, drag: { x: false, y: false } },
    scales: {
      x: { time: axis === "time", range: bars ? (/** @type {any} */ _u, /** @type {number} */ min, /** @type {number} */ max) => { const edge = Math.max((max - min) * 0.06, 1_300_000); return [min - edge, max + edge]; } : undefined },
      y: { range: (/** @type {any} */ _u, /** @type {number} */ min, /** @type {number} */ max) => [Math.min(min * 1.12, 0), Math.max(max * 1.12, min < 0 ? 0 : 1)] },
    },
    axes: [
      { ...lines, size: 26, grid: { show: false }, space: 70, splits: axis === "month" ? (/** @type {any} */ u) => u.data[0].filter((/** @type {number} */ _at, /** @type {number} */ i) => (u.data[0].length - 1 - i) % Math.ceil((u.data[0].length * 62) / u.width) === 0) : undefined,
        values: (/** @type {any} */ _u, /** @type {number[]} */ at) => ticks(at) },
      { ...lines, size: (/** @type {any} */ _u, /** @type {string[] | null} */ values) => 14 + Math.max(2, ...(values ?? []).map((each) => each.length)) * 6.5, space: 36,
        incrs: [1, 2, 5, 10, 20, 50, 100, 200, 500, 1e3, 2e3, 5e3, 1e4, 2e4, 5e4, 1e5, 2e5, 5e5, 1e6, 2e6, 5e6, 1e7, 1e8, 1e9],
        values: (/** @type {any} */ _u, /** @type {number[]} */ at) => at.map(format) },
    ],
    series: [{}, ...series.map(({ tone = "accent", area, bars: thin }) => ({
      stroke: colour(tone), width: 1.75, points: { show: false },
      fill: thin || stacked ? colour(tone) : area || bars ? colour(`${tone}-soft`) : undefined,
      paths: thin ? uPlot.paths.bars({ size: [1, 3, 1] }) : bars ? uPlot.paths.bars({ size: [0.5, 46], radius: 0.12 }) : undefined,
    }))],
    hooks: { setCursor: [tip(format, words, told)] },
  };
}

/** What the pointer is on, in words beside it. @param {(value: number) => string} format @param {(at: number) => string} words @param {() => Series[]} told */
function tip(format, words, told) {
  return (/** @type {any} */ u) => {
    let box = u.over.querySelector(".tip");
    if (!box) {
      box = document.createElement("div");
      box.className = "tip";
      u.over.append(box);
    }
    const { idx, left } = u.cursor;
    box.hidden = idx == null || left < 0;
    if (box.hidden) return;
    const series = told();
    const values = series.map(({ label, values: of }) => (of[idx] == null ? "" : `${series.length > 1 ? `${label} ` : ""}${format(/** @type {number} */ (of[idx]))}`));
    box.textContent = [words(u.data[0][idx]), ...values.filter(Boolean)].join("\n");
    const right = left > u.over.clientWidth / 2;
    box.classList.toggle("right", right);
    box.style.left = right ? "" : `${left + 10}px`;
    box.style.right = right ? `${u.over.clientWidth - left + 10}px` : "";
  };
}
