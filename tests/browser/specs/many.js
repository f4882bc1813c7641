// With a hundred thousand licences the page is as quick as with ten.

import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { join } from "node:path";
import { after, before, describe } from "node:test";

import { operator, signedIn } from "../house.js";
import { ROOT, Server } from "../server.js";

const LICENSES = 100_000;
const FIRST_VIEW_MS = 1000;

/** @type {Server} */
let server;
const here = { server: () => server };

/** The bench program knows how to fill a database quickly. @param {string} database @returns {Promise<void>} */
function fill(database) {
  const command = ["bench", "--locked", "--profile", "dev", "--bench", "load", "--", "fill", database, String(LICENSES)];
  const filling = spawn("cargo", command, { cwd: ROOT, stdio: ["ignore", "ignore", "pipe"] });
  let said = "";
  filling.stderr.on("data", (text) => { said += text; });
  return new Promise((done, failed) => {
    filling.once("exit", (code) => (code === 0 ? done() : failed(new Error(`cargo ${command.join(" ")} ended with ${code}:\n${said}`))));
  });
}

/** Begun while the other tests run, because it takes a while. */
export const filled = (async () => {
  server = await Server.start();
  const { api } = await operator(server);
  const me = await api.get("/users/me");
  await api.post("/admin/licenses", { org_id: me.org_id, max_concurrent_seats: 5 });
  await server.stop();
  await fill(join(server.data, "coditect.redb"));
  delete server.exitCode;
  await server.run();
})();
// The test says it.
filled.catch(() => {});

describe("many licences", () => {
  before(() => filled, { timeout: 300_000 });
  after(() => server?.remove());

  signedIn("the first view of the list is there within a second", "#/settings", async (page, api) => {
    await page.evaluate(() => { location.hash = "#/licenses"; });
    await page.locator("tbody tr").nth(49).waitFor();
    const begun = Date.now();
    await page.reload();
    await page.locator("tbody tr").nth(49).waitFor();
    const took = Date.now() - begun;
    assert.ok(took < FIRST_VIEW_MS, `${took} ms`);
    assert.ok((await api.get("/admin/overview")).licenses.active > LICENSES);
  }, here);

  signedIn("one is found among them within a second, and the pages turn", "#/licenses", async (page, api) => {
    const { items } = await api.get("/admin/licenses?limit=200");
    const { license_key } = items[150];
    await page.locator("tbody tr").nth(49).waitFor();
    const begun = Date.now();
    await page.getByRole("searchbox").fill(license_key.slice(9));
    await page.waitForFunction((key) => { const rows = document.querySelectorAll("tbody tr"); return rows.length === 1 && rows[0].textContent?.includes(key); }, license_key);
    const took = Date.now() - begun;
    assert.ok(took < FIRST_VIEW_MS, `${took} ms`);
    await page.keyboard.press("Escape");
    await page.locator("tbody tr").nth(49).waitFor();
    await page.getByRole("button", { name: "Next" }).click();
    await page.getByText("51 to 100").waitFor();
    await page.goBack();
    await page.getByText("1 to 50").waitFor();
  }, here);
});
