// Small parts that the views are made of.

import { Problem } from "./api.js";
import { html, useEffect, useRef, useState } from "./lib.js";

/**
 * A labelled input with its hint and what is wrong with it.
 * @param {{ id: string, label: string, type?: string, hint?: string, wrong?: string, value: string,
 *   onValue: (value: string) => void, inputRef?: any, [attribute: string]: any }} props
 */
export function Field({ id, label, hint, wrong, onValue, inputRef, ...input }) {
  const described = [hint && `${id}-hint`, wrong && `${id}-wrong`].filter(Boolean).join(" ");
  return html`<div class="field">
    <label for=${id}>${label}</label>
    <input ref=${inputRef} id=${id} name=${id} required ...${input} aria-invalid=${wrong ? "true" : undefined}
      aria-describedby=${described || undefined}
      onInput=${(/** @type {any} */ event) => onValue(event.currentTarget.value)} />
    ${hint && html`<p class="hint" id=${`${id}-hint`}>${hint}</p>`}
    ${wrong && html`<p class="wrong" id=${`${id}-wrong`}>${wrong}</p>`}
  </div>`;
}

/** @param {{ kind?: "good" | "warn" | "bad" | "", children?: any }} props */
export function Note({ kind = "", children }) {
  return html`<div class=${`note ${kind}`} role=${kind === "bad" ? "alert" : "status"}>${children}</div>`;
}

/**
 * What went wrong with a request, unless the fields themselves show it.
 * @param {{ problem: Problem | null, shown?: string[] }} props `shown`: fields that show their own error
 */
export function Trouble({ problem, shown = [] }) {
  if (!problem || shown.some((field) => problem.fields[field])) return null;
  const wait = problem.retryAfterS ? ` Try again in ${seconds(problem.retryAfterS)}.` : "";
  return html`<${Note} kind="bad"><p>${problem.message}${wait}</p><//>`;
}

/** @param {{ tone?: string, children?: any }} props */
export function Tag({ tone = "", children }) {
  return html`<span class=${`tag ${tone}`}>${children}</span>`;
}

/** A page that holds one thing: a form, an explanation. @param {{ title: string, children?: any }} props */
export function Alone({ title, children }) {
  useTitle(title);
  return html`<main class="alone" id="main"><a class="brand" href="/admin"><img src="/favicon.svg" alt="" width="28" height="28" />CODITECT</a>
    <h1>${title}</h1>${children}
    <p class="foot soft"><a href="/handbook">Handbook</a> · <a href="/docs">API</a></p></main>`;
}

/** @param {string} title */
export function useTitle(title) {
  useEffect(() => { document.title = `${title} · CODITECT`; }, [title]);
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

/**
 * Asks again and again while the page can be seen: the next question follows the last answer, never
 * overtakes it. After a failure the last good answer stays and the pause doubles, up to 30 s.
 * @template T
 * @param {() => Promise<T>} ask
 * @param {number} everyMs
 * @param {any[]} inputs what the question depends on
 * @returns {{ data: T | undefined, problem: Problem | null }}
 */
export function usePoll(ask, everyMs, inputs = []) {
  const [state, setState] = useState({ data: /** @type {T | undefined} */ (undefined), problem: /** @type {Problem | null} */ (null) });
  useEffect(() => {
    let timer = 0, asking = false, over = false, pause = everyMs;
    const tick = async () => {
      clearTimeout(timer);
      if (asking || over || document.hidden) return;
      asking = true;
      try {
        const data = await ask();
        pause = everyMs;
        if (!over) setState({ data, problem: null });
      } catch (error) {
        if (!(error instanceof Problem)) throw error;
        pause = Math.max(Math.min(pause * 2, 30_000), error.retryAfterS * 1000);
        if (!over) setState((/** @type {any} */ last) => ({ data: last.data, problem: error }));
      } finally {
        asking = false;
        if (!over) timer = setTimeout(tick, pause);
      }
    };
    tick();
    document.addEventListener("visibilitychange", tick);
    return () => {
      over = true;
      clearTimeout(timer);
      document.removeEventListener("visibilitychange", tick);
    };
  }, inputs);
  return state;
}

/** Moves the keyboard to an element when it appears. */
export function useFocus() {
  const ref = useRef(/** @type {any} */ (null));
  useEffect(() => { ref.current?.focus(); }, []);
  return ref;
}

/** Copies a text, and says that it did. @param {{ text: string, label?: string }} props */
export function Copy({ text, label = "Copy" }) {
  const [done, setDone] = useState(false);
  const copy = async () => {
    await navigator.clipboard.writeText(text);
    setDone(true);
    setTimeout(() => setDone(false), 1500);
  };
  return html`<button type="button" class="plain" onClick=${copy}>${done ? "Copied" : label}</button>`;
}

const NUMBER = new Intl.NumberFormat("en");

/** @param {number} n @param {string} [one] @param {string} [many] */
export function count(n, one, many) {
  const text = NUMBER.format(n);
  return one === undefined ? text : `${text} ${n === 1 ? one : many ?? `${one}s`}`;
}

/** A length of time in its two largest units: `3 d 4 h`. @param {number} s */
export function seconds(s) {
  s = Math.max(0, Math.round(s));
  const d = Math.floor(s / 86400), h = Math.floor(s / 3600) % 24, m = Math.floor(s / 60) % 60;
  if (d) return h ? `${d} d ${h} h` : `${d} d`;
  if (h) return m ? `${h} h ${m} min` : `${h} h`;
  if (m) return s % 60 ? `${m} min ${s % 60} s` : `${m} min`;
  return `${s} s`;
}

/**
 * A moment as people read it, with the exact one in its title.
 * @param {{ at: string | null | undefined, now: number, missing?: string }} props `now` in milliseconds
 */
export function Ago({ at, now, missing = "–" }) {
  const then = Date.parse(at || "");
  if (!then) return html`<span class="soft">${missing}</span>`;
  const s = (now - then) / 1000;
  const text = s >= 0 ? `${seconds(s)} ago` : `in ${seconds(-s)}`;
  return html`<time datetime=${at} title=${at}>${text}</time>`;
}

/** A day, in the reader's own way. @param {{ at: string | null | undefined, missing?: string }} props */
export function Day({ at, missing = "–" }) {
  const then = Date.parse(at || "");
  if (!then) return html`<span class="soft">${missing}</span>`;
  return html`<time datetime=${at} title=${at}>${new Date(then).toISOString().slice(0, 10)}</time>`;
}
