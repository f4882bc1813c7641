// What changes on the server, as it changes: one stream of events for the whole page, and plain
// polling where a stream does not get through.

import { Problem, account, call, stream } from "./api.js";
import { effect, signal } from "./lib.js";

/** A quiet line is a dead one: the server writes something every 15 s. */
const SILENCE_MS = 40_000;
/** The first event comes at once, unless something on the way holds it back. */
const FIRST_MS = 5_000;
const PAUSE_MIN_MS = 1_000;
const PAUSE_MAX_MS = 30_000;
const POLL_MS = 5_000;
/** After so many failures in a row it is polling until the stream is tried again. */
const FAILURES_MAX = 1;
const TRY_AGAIN_MS = 60_000;

/** @typedef {"connecting" | "live" | "polling" | "paused" | "off"} State */

/** How fresh the page is. */
export const liveState = signal(/** @type {State} */ ("off"));

/**
 * The counters of the overview, as new as can be: `seats`, `licenses`, `subscriptions`, `jobs`, `mails`.
 * @type {{ value: any, peek: () => any }}
 */
export const glance = signal(/** @type {any} */ (undefined));

/** @type {Map<string, Set<(event: any) => void>>} */
const watched = new Map();
/** @type {AbortController | null} */
let run = null;
let planned = 0;
let failures = 0;

/**
 * Tells of a change of one licence or its seats. @param {string} licenseId
 * @param {(event: { license_id: string, status: string, seats_used: number, revision: number }) => void} tell
 * @returns {() => void} ends it
 */
export function watchLicense(licenseId, tell) {
  const tellers = watched.get(licenseId) ?? new Set();
  watched.set(licenseId, tellers.add(tell));
  restart();
  return () => {
    tellers.delete(tell);
    if (!tellers.size) watched.delete(licenseId);
    restart();
  };
}

/** The page is live while an operator is signed in and it can be seen. */
effect(() => {
  void account.value;
  restart();
});
document.addEventListener("visibilitychange", restart);

function restart() {
  // One change of screen ends one watch and begins another: one new stream does for both.
  clearTimeout(planned);
  planned = setTimeout(() => {
    run?.abort();
    run = null;
    if (!account.peek()?.operator) liveState.value = "off";
    else if (document.hidden) liveState.value = "paused";
    else {
      run = new AbortController();
      keepAlive(run.signal).catch((error) => { if (!(error instanceof Problem)) throw error; });
    }
  }, 50);
}

/** Streams, and polls while that fails, until it is ended. @param {AbortSignal} ended */
async function keepAlive(ended) {
  let pause = PAUSE_MIN_MS;
  if (liveState.value !== "live" && liveState.value !== "polling") liveState.value = "connecting";
  while (!ended.aborted) {
    let good = false;
    try {
      good = await readOnce(ended);
    } catch (error) {
      if (!(error instanceof Problem)) throw error;
      if (error.status === 401 || error.status === 403) return;
    }
    if (ended.aborted) return;
    if (good) {
      // It ran and came to its end, as it does with each access token.
      failures = 0;
      pause = PAUSE_MIN_MS;
      await wait(PAUSE_MIN_MS, ended);
      continue;
    }
    failures += 1;
    if (failures > FAILURES_MAX) {
      liveState.value = "polling";
      await pollFor(TRY_AGAIN_MS, ended);
    } else {
      liveState.value = "connecting";
      await wait(pause, ended);
      pause = Math.min(pause * 2, PAUSE_MAX_MS);
    }
  }
}

/** Reads one stream to its end. @param {AbortSignal} ended @returns {Promise<boolean>} whether anything came */
async function readOnce(ended) {
  const mine = new AbortController();
  const stop = () => mine.abort();
  ended.addEventListener("abort", stop);
  let watchdog = setTimeout(stop, FIRST_MS), heard = false;
  try {
    const [licenseId] = watched.keys();
    const response = await stream(`/admin/events${licenseId ? `?license_id=${encodeURIComponent(licenseId)}` : ""}`, mine.signal);
    const reader = response.body?.pipeThrough(new TextDecoderStream()).getReader();
    let rest = "";
    for (;;) {
      const chunk = await reader?.read().catch(() => undefined);
      if (!chunk || chunk.done) return heard;
      clearTimeout(watchdog);
      watchdog = setTimeout(stop, SILENCE_MS);
      if (!heard) liveState.value = "live";
      heard = true;
      const blocks = (rest + chunk.value).split(/\r?\n\r?\n/);
      rest = blocks.pop() ?? "";
      for (const block of blocks) take(block);
    }
  } finally {
    clearTimeout(watchdog);
    ended.removeEventListener("abort", stop);
    mine.abort();
  }
}

/** One event: `event: NAME`, `data: JSON`. Anything else is a sign of life. @param {string} block */
function take(block) {
  let name = "", data = "";
  for (const row of block.split(/\r?\n/)) {
    if (row.startsWith("event:")) name = row.slice(6).trim();
    if (row.startsWith("data:")) data += row.slice(5).trim();
  }
  if (!data) return;
  const value = JSON.parse(data);
  if (name === "overview") glance.value = { ...glance.peek(), ...value };
  if (name === "license") for (const tell of watched.get(value.license_id) ?? []) tell(value);
}

/** @param {number} ms @param {AbortSignal} ended */
async function pollFor(ms, ended) {
  const until = Date.now() + ms;
  while (!ended.aborted && Date.now() < until) {
    try {
      glance.value = await call("GET", "/admin/overview");
      if (!ended.aborted) liveState.value = "polling";
      for (const [licenseId, tellers] of watched) for (const tell of tellers) tell({ license_id: licenseId, status: "", seats_used: -1, revision: -1 });
    } catch (error) {
      if (!(error instanceof Problem)) throw error;
      if (error.status === 401 || error.status === 403) return;
      if (!ended.aborted) liveState.value = "connecting";
    }
    await wait(POLL_MS, ended);
  }
}

/** @param {number} ms @param {AbortSignal} ended @returns {Promise<void>} */
function wait(ms, ended) {
  return new Promise((resolve) => {
    const timer = setTimeout(resolve, ms);
    ended.addEventListener("abort", () => { clearTimeout(timer); resolve(); }, { once: true });
  });
}
