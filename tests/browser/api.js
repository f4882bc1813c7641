// Calls over HTTP, for what a test needs beside the page: records, seats, a sign-in.

/** A refusal that a test did not expect. */
class Refused extends Error {
  /** @param {string} call @param {number} status @param {string} text */
  constructor(call, status, text) {
    super(`${call}: ${status} ${text}`);
    this.status = status;
  }
}

/** The API as one person, or as nobody. */
export class Api {
  /** @param {string} url @param {string} [token] */
  constructor(url, token) {
    this.url = url;
    this.token = token;
  }

  /** @param {string} method @param {string} path below /api/v1 @param {unknown} [body] @returns {Promise<any>} */
  async call(method, path, body) {
    /** @type {Record<string, string>} */
    const headers = { Accept: "application/json" };
    if (body !== undefined) headers["Content-Type"] = "application/json";
    if (this.token) headers.Authorization = `Bearer ${this.token}`;
    const sent = body === undefined ? undefined : JSON.stringify(body);
    const answer = await fetch(`${this.url}/api/v1${path}`, { method, headers, body: sent });
    const text = await answer.text();
    if (!answer.ok) throw new Refused(`${method} ${path}`, answer.status, text);
    return text ? JSON.parse(text) : null;
  }

  /** @param {string} path */
  get(path) { return this.call("GET", path); }

  /** @param {string} path @param {unknown} [body] */
  post(path, body) { return this.call("POST", path, body); }

  /** @param {string} path */
  delete(path) { return this.call("DELETE", path); }

  /** A sign-in: the answer, and the API as whoever signed in. @param {string} email @param {string} password */
  async signIn(email, password) {
    const answer = await this.post("/auth/login", { email, password });
    return { answer, api: new Api(this.url, answer.access_token) };
  }
}
