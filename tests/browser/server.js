// Starts the real program for a test and stops it the way an operator would.

import { spawn } from "node:child_process";
import { mkdtempSync, openSync, readFileSync, readdirSync, rmSync } from "node:fs";
import { createServer } from "node:net";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";
import { fileURLToPath } from "node:url";

export const ROOT = fileURLToPath(new URL("../..", import.meta.url));
const TARGET = resolve(ROOT, process.env.CARGO_TARGET_DIR ?? "target");
/** The program under test: $CODITECT_BINARY, or the debug build. */
export const BINARY = resolve(process.env.CODITECT_BINARY ?? join(TARGET, "debug", "coditect"));
/** Where the pictures of the screens go. */
export const SCREENSHOTS = join(TARGET, "screenshots");

const READY_MS = 30_000;
const STOP_MS = 12_000; // the program promises ten seconds

/** What is under test is not how often one may try. */
const RELAXED = {
  CODITECT_AUTH_ADDRESS_PER_MINUTE: "1000000",
  CODITECT_AUTH_ADDRESS_BURST: "1000000",
  CODITECT_AUTH_ACCOUNT_PER_MINUTE: "1000000",
  CODITECT_AUTH_ACCOUNT_BURST: "1000000",
  CODITECT_LOG_FORMAT: "json",
};

/**
 * Waits until `look` answers something, and answers it.
 * @template T
 * @param {string} what said when it does not happen
 * @param {() => T | Promise<T>} look
 * @returns {Promise<NonNullable<T>>}
 */
export async function until(what, look, withinMs = 10_000) {
  for (const end = Date.now() + withinMs; ;) {
    const seen = await look();
    if (seen) return seen;
    if (Date.now() > end) throw new Error(`${what}: not within ${withinMs} ms`);
    await new Promise((done) => setTimeout(done, 25));
  }
}

/** A port that nobody listens on. @returns {Promise<number>} */
function freePort() {
  return new Promise((done, failed) => {
    const probe = createServer().once("error", failed).listen(0, "127.0.0.1", () => {
      const { port } = /** @type {import("node:net").AddressInfo} */ (probe.address());
      probe.close(() => done(port));
    });
  });
}

/** The program on a port and a data folder of its own. */
export class Server {
  /** @param {Record<string, string>} [environment] settings beside the relaxed limits */
  static async start(environment = {}, folder = mkdtempSync(join(tmpdir(), "coditect-browser-"))) {
    const server = new Server(folder, await freePort(), environment);
    await server.run();
    return server;
  }

  /** @param {string} folder @param {number} port @param {Record<string, string>} environment */
  constructor(folder, port, environment) {
    this.folder = folder;
    this.data = join(folder, "data");
    this.url = `http://127.0.0.1:${port}`;
    this.address = `127.0.0.1:${port}`;
    this.log = join(folder, "server.log");
    this.environment = environment;
  }

  async run() {
    const others = Object.entries(process.env).filter(([name]) => !name.startsWith("CODITECT_"));
    const out = openSync(this.log, "a");
    this.process = spawn(BINARY, ["serve", "--data", this.data, "--listen", this.address], {
      // A debug build reads the pages' files from the source tree, which it finds from there.
      cwd: ROOT,
      env: { ...Object.fromEntries(others), ...RELAXED, ...this.environment },
      stdio: ["ignore", out, out],
    });
    this.ended = new Promise((done) => this.process?.once("exit", (code, signal) => done(code ?? signal)));
    this.ended.then((code) => { this.exitCode = code; });
    await this.ready();
  }

  /** Waits until it serves and can sign. */
  ready() {
    return until(`the server is ready\n${this.printed()}`, async () => {
      if (this.exitCode !== undefined) throw new Error(`the server ended with ${this.exitCode}:\n${this.printed()}`);
      const answer = await fetch(`${this.url}/health/ready`).then((each) => each.json()).catch(() => null);
      return answer?.status === "ready" && answer.signing_key === "ready";
    }, READY_MS);
  }

  /** All that it has printed. */
  printed() {
    try {
      return readFileSync(this.log, "utf8");
    } catch {
      return "";
    }
  }

  /** The link that makes the first operator, as printed. */
  setupLink() {
    return this.printed().match(/http:\S+#setup=\S+/)?.[0] ?? "";
  }

  /** The newest mail to an address, as a file; its text with soft line ends undone. @param {string} to */
  mail(to, about = "") {
    const folder = join(this.data, "mail");
    return until(`a mail to ${to}`, () => {
      const names = readdirSync(folder).filter((name) => name.endsWith(".eml")).sort().reverse();
      const texts = names.map((name) => readFileSync(join(folder, name), "utf8"));
      const plain = texts.map((text) => text.replace(/=\r?\n/g, "").replace(/=3D/g, "="));
      return plain.find((text) => text.includes(`To: ${to}`) && text.includes(about));
    });
  }

  /** Ends it as a service manager does, and fails when it does not end well. */
  async stop() {
    if (this.exitCode === undefined) this.process?.kill("SIGTERM");
    const late = setTimeout(() => this.process?.kill("SIGKILL"), STOP_MS);
    const code = await this.ended;
    clearTimeout(late);
    if (code !== 0) throw new Error(`the server's exit code is ${code}, not 0:\n${this.printed().slice(-4000)}`);
  }

  /** Ends it and takes its folder away. */
  async remove() {
    await this.stop();
    rmSync(this.folder, { recursive: true });
  }
}
