// Keeps what a screen shows fresh, and does what a person asks for at once.

import { Problem, changes } from "./api.js";
import { effect, useEffect, useRef, useState } from "./lib.js";

/**
 * @template T
 * @typedef {object} Poll
 * @property {T | undefined} data the last good answer
 * @property {Problem | null} problem of the last question
 * @property {() => void} again asks now
 * @property {(make: (data: T) => T) => void} change shows something before the server has confirmed it;
 *   the next answer replaces it
 */

/**
 * Asks again and again while the page can be seen: the next question follows the last answer, never
 * overtakes it. Whatever this page changes on the server makes it ask at once. After a failure the
 * last good answer stays and the pause doubles, up to 30 s.
 * @template T
 * @param {() => Promise<T>} ask
 * @param {number} everyMs 0: once, and after changes of this page
 * @param {any[]} inputs what the question depends on
 * @returns {Poll<T>}
 */
export function usePoll(ask, everyMs, inputs = []) {
  const [state, setState] = useState({ data: /** @type {T | undefined} */ (undefined), problem: /** @type {Problem | null} */ (null) });
  const control = useRef({ again() {}, hold() {} });
  useEffect(() => {
    let timer = 0, round = 0, asking = false, over = false, pause = everyMs;
    const later = (/** @type {number} */ ms) => {
      clearTimeout(timer);
      if (ms && !over) timer = setTimeout(tick, ms);
    };
    const tick = async () => {
      clearTimeout(timer);
      if (asking || over || document.hidden) return;
      asking = true;
      const mine = round;
      try {
        const data = await ask();
        pause = everyMs;
        if (!over && mine === round) setState({ data, problem: null });
      } catch (error) {
        if (!(error instanceof Problem)) throw error;
        pause = Math.max(Math.min((pause || 1000) * 2, 30_000), error.retryAfterS * 1000);
        // What is gone or refused is not asked for again by itself.
        if (error.status >= 400 && error.status < 429) pause = everyMs && 30_000;
        if (!over && mine === round) setState((/** @type {any} */ last) => ({ data: last.data, problem: error }));
      } finally {
        if (mine === round) {
          asking = false;
          later(pause);
        }
      }
    };
    // An answer that is on its way may be older than the reason to ask again: it is dropped.
    const again = () => { round += 1; asking = false; tick(); };
    control.current = { again, hold() { round += 1; asking = false; later(Math.max(everyMs, 5000)); } };
    let known = changes.value;
    const stop = effect(() => {
      if (changes.value === known) return;
      known = changes.value;
      again();
    });
    tick();
    document.addEventListener("visibilitychange", tick);
    return () => {
      over = true;
      stop();
      clearTimeout(timer);
      document.removeEventListener("visibilitychange", tick);
    };
  }, inputs);
  return {
    ...state,
    again: () => control.current.again(),
    change(make) {
      control.current.hold();
      setState((/** @type {any} */ last) => (last.data === undefined ? last : { data: make(last.data), problem: null }));
    },
  };
}

/**
 * Runs something that asks the server, once at a time.
 * @template T
 * @param {(...given: any[]) => Promise<T>} act
 */
export function useAction(act) {
  const [busy, setBusy] = useState(false);
  const [problem, setProblem] = useState(/** @type {Problem | null} */ (null));
  /** @param {any[]} given */
  const run = async (...given) => {
    if (busy) return;
    setBusy(true);
    setProblem(null);
    try {
      return await act(...given);
    } catch (error) {
      if (!(error instanceof Problem)) throw error;
      setProblem(error);
    } finally {
      setBusy(false);
    }
  };
  return { run, busy, problem };
}
