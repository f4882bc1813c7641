// When something goes wrong: mails that cannot be sent, and a backup that is put back. On a server of their own.

import assert from "node:assert/strict";
import { mkdirSync, renameSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { after, before, describe } from "node:test";

import { Api } from "../api.js";
import { button, toast } from "../hands.js";
import { operator, signedIn } from "../house.js";
import { Server, until } from "../server.js";

/** @type {Server} */
let server;
const here = { server: () => server };

/** Does something while no mail can leave: a file is where the folder was. @param {() => Promise<void>} act */
async function withoutMail(act) {
  const folder = join(server.data, "mail");
  renameSync(folder, `${folder}.away`);
  writeFileSync(folder, "");
  await act();
  rmSync(folder);
  renameSync(`${folder}.away`, folder);
}

describe("trouble", () => {
  before(async () => {
    server = await Server.start({ CODITECT_JOBS_MAX_ATTEMPTS: "1" });
    const { api } = await operator(server);
    await api.post("/admin/plans", { plan_name: "Team", max_concurrent_seats: 5, monthly_price_cents: 4900, currency: "EUR", trial_duration_days: 14 });
    const nobody = new Api(server.url);
    for (const name of ["ada", "bruno", "chiara"]) {
      await nobody.post("/auth/register", { email: `${name}@customer.example`, password: "plum-harbour-otter-nine", full_name: name });
      await server.mail(`${name}@customer.example`);
    }
    await withoutMail(async () => {
      for (const name of ["ada", "bruno", "chiara"]) await api.post("/admin/licenses", { email: `${name}@customer.example`, max_concurrent_seats: 2 });
      await until("the mails are parked", async () => (await api.get("/admin/overview")).mails.parked === 3);
    });
  });
  after(() => server?.remove());

  signedIn("a parked mail is announced, read, and tried again", "#/", async (page, api, watched) => {
    await page.locator(".attention a").first().waitFor();
    await watched.look("overview-trouble");
    await page.locator(".attention a[href*='emails'], .attention a[href*='jobs']").first().click();
    await page.goto("/admin#/emails?status=parked");
    await page.locator("tbody tr", { hasText: "chiara@customer.example" }).waitFor();
    await watched.look("emails-parked");
    await page.locator("tbody tr", { hasText: "chiara@customer.example" }).getByRole("link").first().click();
    await page.getByText("Given up after 1 attempt").waitFor();
    const mail = page.frameLocator("iframe");
    await mail.getByText("here is your licence").waitFor();
    assert.equal(await mail.locator("table td").first().evaluate((cell) => getComputedStyle(cell).paddingRight), "16px", "its styles are there");
    await watched.look("email");
    await button(page, "Plain text").click();
    await page.locator("main pre", { hasText: "here is your licence" }).waitFor();
    await button(page, "Try again").click();
    await toast(page, "tried again");
    await server.mail("chiara@customer.example", "license.lic");
    await page.locator(".head .tag", { hasText: "sent" }).waitFor();
    await button(page, "Try again").waitFor({ state: "detached" });
  }, here);

  signedIn("parked jobs say why, and are retried one by one or all", "#/jobs?parked=true", async (page, api, watched) => {
    const rows = page.locator("tbody tr", { hasText: "Send a mail" });
    await rows.nth(1).waitFor();
    assert.match(await rows.first().innerText(), /\bthe mail folder .* does not take the message: Not a directory/);
    assert.doesNotMatch(await rows.first().innerText(), /request id/, "the cause itself, not where to look for it");
    await watched.look("jobs-parked");
    const before = await rows.count();
    await rows.first().getByRole("button", { name: "Retry" }).click();
    await toast(page, "tried again");
    await page.waitForFunction((n) => document.querySelectorAll("tbody tr").length === n, before - 1);
    await button(page, "Retry all parked").click();
    await page.locator("dialog[open] button.main").click();
    await page.getByText("No job is parked").or(page.getByText("Nothing matches")).first().waitFor();
    assert.equal((await api.get("/admin/overview")).jobs.parked, 0);
  }, here);

  signedIn("warnings are found in the log by level and by words", "#/logs", async (page, api, watched) => {
    await page.locator(".log li").first().waitFor();
    await watched.look("logs");
    await page.getByLabel("Level").selectOption("warn");
    await page.waitForFunction(() => [...document.querySelectorAll(".log li")].every((line) => line.matches(".warn, .error")));
    await page.locator(".log .warn", { hasText: "a job failed" }).first().waitFor();
    await page.keyboard.press("/");
    await page.keyboard.type("no such words");
    await page.getByText("No line matches").waitFor();
    await button(page, "Pause").click();
    await button(page, "Go on").waitFor();
  }, here);

  signedIn("a backup is restored: the server restarts by itself and the page waits for it", "#/backups", async (page, api, watched) => {
    watched.expect(/ERR_CONNECTION_REFUSED|ERR_CONNECTION_RESET|ERR_EMPTY_RESPONSE|ERR_INCOMPLETE|ERR_SOCKET/, /^401 /, /^503 /);
    await button(page, "Make a backup").click();
    await toast(page, "is made");
    const [{ file }] = (await api.get("/admin/backups")).items;
    const late = await api.post("/admin/licenses", { email: "ada@customer.example", max_concurrent_seats: 7 });
    await page.locator("tbody tr").getByRole("button", { name: "Restore" }).click();
    const confirm = page.locator("dialog[open]").getByRole("button", { name: "Restore and restart" });
    assert.ok(await confirm.isDisabled());
    await watched.look("restore");
    await page.getByLabel(/to confirm/).fill(file);
    await confirm.click();
    await toast(page, "is in place");
    await page.locator("tbody tr", { hasText: file }).waitFor();
    assert.equal(server.exitCode, undefined, "it is the same process");
    const { api: afterwards } = await operator(server);
    await assert.rejects(afterwards.get(`/licenses/${late.license_id}`), { status: 404 });
    await page.locator("nav a", { hasText: "Licences" }).click();
    await page.locator("tbody tr").first().waitFor();
    await page.getByText("Live", { exact: true }).waitFor({ timeout: 20_000 });
  }, here);

  signedIn("a restore that failed is not told as done", "#/backups", async (page, api, watched) => {
    watched.expect(/ERR_CONNECTION_REFUSED|ERR_CONNECTION_RESET|ERR_EMPTY_RESPONSE|ERR_INCOMPLETE|ERR_SOCKET/, /^401 /, /^503 /);
    const [{ file }] = (await api.get("/admin/backups")).items;
    const inTheWay = join(server.data, "coditect.redb.restoring");
    mkdirSync(inTheWay);
    await page.locator("tbody tr", { hasText: file }).getByRole("button", { name: "Restore" }).click();
    await page.getByLabel(/to confirm/).fill(file);
    await page.locator("dialog[open]").getByRole("button", { name: "Restore and restart" }).click();
    await page.locator(".toast.bad", { hasText: `${file} was not restored` }).waitFor({ timeout: 20_000 });
    await page.locator(".note.bad", { hasText: "all data is as it was before" }).waitFor();
    await watched.look("restore-failed");
    rmSync(inTheWay, { recursive: true });
  }, here);

  signedIn("a sign-in that is younger than the backup has to be made again", "#/backups", async (page, api, watched) => {
    watched.expect(/ERR_CONNECTION_REFUSED|ERR_CONNECTION_RESET|ERR_EMPTY_RESPONSE|ERR_INCOMPLETE|ERR_SOCKET/, /^401 /, /^503 /);
    const [{ file }] = (await api.get("/admin/backups")).items;
    await page.locator("tbody tr", { hasText: file }).getByRole("button", { name: "Restore" }).click();
    await page.getByLabel(/to confirm/).fill(file);
    await page.locator("dialog[open]").getByRole("button", { name: "Restore and restart" }).click();
    await page.getByRole("heading", { level: 1, name: "Sign in" }).waitFor({ timeout: 20_000 });
    await page.getByText("is in place, and the server is back").waitFor();
  }, here);
});
