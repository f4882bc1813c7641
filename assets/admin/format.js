// How numbers, lengths of time, money and days are written.

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
  if (d > 99) return `${d} d`;
  if (d) return h ? `${d} d ${h} h` : `${d} d`;
  if (h) return m ? `${h} h ${m} min` : `${h} h`;
  if (m) return s % 60 ? `${m} min ${s % 60} s` : `${m} min`;
  return `${s} s`;
}

/** A length of time as it is told in passing: exact while it is short. @param {number} s */
export function about(s) {
  s = Math.round(s);
  if (s < 600) return seconds(s);
  const [unit, word] = s < 3600 ? [60, "min"] : s < 86_400 ? [3600, "h"] : [86_400, "d"];
  return `${Math.floor(s / Number(unit))} ${word}`;
}

/** @param {number} n of bytes */
export function bytes(n) {
  const units = ["B", "kB", "MB", "GB", "TB"];
  let unit = 0;
  while (n >= 1000 && unit < units.length - 1) { n /= 1000; unit += 1; }
  return `${unit && n < 100 ? n.toFixed(1) : Math.round(n)} ${units[unit]}`;
}

/** How many digits a currency has after the point: two for EUR, none for JPY. @param {string} currency */
export function digits(currency) {
  try {
    const { maximumFractionDigits } = new Intl.NumberFormat("en", { style: "currency", currency }).resolvedOptions();
    return maximumFractionDigits ?? 2;
  } catch {
    return 2;
  }
}

/** Minor units as people write them: `EUR 1,250.00`. @param {number} cents @param {string} currency ISO 4217 */
export function money(cents, currency) {
  const n = digits(currency);
  const text = new Intl.NumberFormat("en", { minimumFractionDigits: n, maximumFractionDigits: n }).format(cents / 10 ** n);
  return `${currency} ${text}`;
}

/**
 * What was typed, `1250.00` or `1,250.00`, in minor units; NaN when it is no amount that the currency has. Nothing is
 * rounded or guessed: a payment cannot be taken back. @param {string} text @param {string} currency
 */
export function cents(text, currency) {
  const places = digits(currency);
  const [, whole = "", fraction = ""] = /^(\d+|\d{1,3}(?:,\d{3})+)(?:\.(\d*))?$/.exec(text.trim()) ?? [];
  const minor = Number(whole.replaceAll(",", "") + fraction.padEnd(places, "0"));
  return whole && fraction.length <= places && Number.isSafeInteger(minor) ? minor : NaN;
}

/** Minor units as a field takes them: `1250.00`. @param {number} n @param {string} currency */
export function amount(n, currency) {
  return (n / 10 ** digits(currency)).toFixed(digits(currency));
}

/** The day of a moment, in UTC as everything here: `2026-11-30`. @param {string | null | undefined} at */
export function day(at) {
  const then = Date.parse(at || "");
  return then ? new Date(then).toISOString().slice(0, 10) : "";
}

/** A moment to the minute, in UTC: `2026-11-30 14:05`; what is none, as it is. @param {string} at */
export function moment(at) {
  const then = Date.parse(at);
  return then ? new Date(then).toISOString().slice(0, 16).replace("T", " ") : at;
}

/** A wire word as people read it: `past_due` is `past due`, `license.issued` is `licence issued`. @param {string} word */
export function plain(word) {
  return word.replace(/[_.]/g, " ").replace(/\blicense/g, "licence");
}

/** Browsers as they call themselves; most name others as well, so the order counts. @type {[string, string][]} */
const BROWSERS = [["Edg", "Edge"], ["OPR/", "Opera"], ["SamsungBrowser/", "Samsung Internet"], ["Firefox/", "Firefox"], ["FxiOS/", "Firefox"],
  ["CriOS/", "Chrome"], ["Chrome/", "Chrome"], ["Safari/", "Safari"]];
/** @type {[string, string][]} */
const SYSTEMS = [["iPhone", "an iPhone"], ["iPad", "an iPad"], ["Android", "Android"], ["Windows", "Windows"], ["Mac OS X", "macOS"], ["CrOS", "ChromeOS"], ["Linux", "Linux"]];

/** What a program calls itself, as people read it: `Firefox on Windows`, `curl 8.5.0`. @param {string | null | undefined} agent */
export function program(agent) {
  if (!agent) return "a program without a name";
  const known = (/** @type {[string, string][]} */ names) => names.find(([mark]) => agent.includes(mark))?.[1];
  const browser = agent.startsWith("Mozilla/") && known(BROWSERS);
  if (!browser) return agent.split(" ")[0].replace("/", " ");
  const system = known(SYSTEMS);
  return system ? `${browser} on ${system}` : browser;
}

/** @type {Record<string, string>} the colour of a status, for every kind of record alike */
export const STATUS_TONE = {
  active: "good", trialing: "good", sent: "good", delivered: "good", bounced: "bad", ok: "good",
  grace: "warn", past_due: "warn", incomplete: "warn", waiting: "", warning: "warn",
  suspended: "bad", expired: "bad", revoked: "bad", unpaid: "bad", parked: "bad", problem: "bad",
};
