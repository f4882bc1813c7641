// The screens for the running of the server: each in light, dark and on a phone, and each act on it.

import assert from "node:assert/strict";
import { readFile } from "node:fs/promises";
import { describe } from "node:test";

import { signedIn } from "../house.js";
import { records } from "../records.js";

/** @param {import("playwright-core").Page} page @param {string} name */
const button = (page, name) => page.getByRole("button", { name, exact: true });
/** @param {import("playwright-core").Page} page @param {string | RegExp} text */
const toast = (page, text) => page.locator(".toast", { hasText: text }).waitFor();

describe("e-mails", () => {
  signedIn("the list narrows by status", "#/emails", async (page, api, watched) => {
    await records();
    await page.locator("tr", { hasText: "ada@park-instruments.example" }).first().waitFor();
    await watched.look("emails");
    await page.getByLabel("Status").selectOption("parked");
    await page.getByText("Nothing matches").waitFor();
    assert.match(page.url(), /status=parked/);
  });
});

describe("one e-mail", () => {
  // No template of ours is hostile: here somebody has got at the database.
  signedIn("markup in it cannot act, load or hide", "#/emails", async (page, api, watched) => {
    await records();
    const [{ mail_id }] = (await api.get("/admin/emails")).items;
    const mail = await api.get(`/admin/emails/${mail_id}`);
    const html = `<body onload="document.title='got you'" style="padding:24px"><script>document.title = "got you"</script>
      <img src="http://elsewhere.example/a.png" onerror="document.title='got you'"><style>p { display: none }</style>
      <p style="background:url(http://elsewhere.example/b.png);position:fixed;padding:3px" onclick="document.title='got you'">Hello <b>Ada</b></p>
      <form action="http://elsewhere.example/"><a href="javascript:document.title='got you'">click here</a></form>
      <iframe src="http://elsewhere.example/"></iframe></body>`;
    // The style sheet is refused by the page's policy before anything here looks at it.
    watched.expect(/Applying inline style violates/, /policy: style-src-elem refused inline/);
    await page.route(`**/admin/emails/${mail.mail_id}`, (route) => route.fulfill({ json: { ...mail, subject: "Hello", text: "Hello", html } }));
    await page.goto(`/admin#/emails/${mail.mail_id}`);
    const shown = page.frameLocator("iframe");
    await shown.locator("p").click();
    await shown.getByText("click here").click();
    assert.deepEqual(await shown.locator("body *").evaluateAll((all) => all.map((each) => each.tagName)), ["P", "B", "A"]);
    assert.deepEqual(await shown.locator("p").evaluate((p) => [getComputedStyle(p).position, getComputedStyle(p).paddingLeft, getComputedStyle(p).backgroundImage]), ["static", "3px", "none"]);
    assert.equal(await page.title(), "Hello · CODITECT");
    await watched.accessible();
  });
});

describe("mail templates", () => {
  signedIn("each message is shown with sample data", "#/emails", async (page, api, watched) => {
    await page.getByRole("link", { name: "Templates" }).click();
    await page.frameLocator("iframe").getByText("Confirm the address").waitFor();
    await watched.look("email-templates");
    await page.getByLabel("Message").selectOption("license_delivered");
    await page.frameLocator("iframe").getByText("Ada Park").waitFor();
    await button(page, "Plain text").click();
    await page.locator("pre", { hasText: "Ada Park" }).waitFor();
  });
});

describe("jobs", () => {
  signedIn("what waits is listed", "#/jobs", async (page, api, watched) => {
    await page.locator("tr", { hasText: "Tidy up" }).waitFor();
    await watched.look("jobs");
  });
});

describe("the audit log", () => {
  signedIn("the history of one record", "#/audit", async (page, api, watched) => {
    const { licenses } = await records();
    await page.locator("tbody tr").first().waitFor();
    await watched.look("audit");
    await page.getByLabel("Id of a record").fill(licenses[3].license_id);
    await page.keyboard.press("Enter");
    await page.waitForURL(/subject=/);
    await page.waitForFunction((id) => [...document.querySelectorAll("tbody tr")].every((row) => row.innerHTML.includes(id)), licenses[3].license_id);
    assert.match(await page.locator("tbody").innerText(), /licence suspended[\s\S]*licence issued/, "newest first");
    assert.match(await page.locator("tbody").innerText(), /olga@vendor.example/);
  });

  signedIn("narrowed by what it is about and by day, and proved as a file", "#/audit", async (page, api, watched) => {
    await records();
    await page.getByText("each chained to the one before").waitFor();
    await page.getByLabel("About").selectOption("license.");
    await page.waitForURL(/action=license/);
    await page.waitForFunction(() => [...document.querySelectorAll("tbody tr td:nth-child(3)")].every((cell) => /licence/.test(cell.textContent ?? "")));
    await watched.settled();
    await watched.look("audit-changes");
    await page.getByLabel("Before").fill("2020-01-01");
    await page.getByText("Nothing matches").waitFor();
    await page.goto("/admin#/audit");
    const [file] = await Promise.all([page.waitForEvent("download"), button(page, "Export signed").click()]);
    const lines = (await readFile(await file.path(), "utf8")).trimEnd().split("\n").map((line) => JSON.parse(line));
    assert.equal(lines[0].format, "coditect-audit-log");
    assert.ok(lines.at(-1).signed_end && lines.at(-2).action === "audit.exported");
  });
});

describe("keys", () => {
  signedIn("rotation makes a new licence key, and the old one stays published", "#/keys", async (page, api) => {
    const before = (await api.get("/keys")).items.length;
    await button(page, "Rotate the licence key").click();
    const others = async () => (await api.get("/keys")).items.filter((/** @type {any} */ key) => key.purpose !== "license");
    const kept = await others();
    await page.locator("dialog").getByRole("button", { name: "Rotate" }).click();
    await toast(page, "signed with a new key");
    await page.locator("tr", { hasText: "retired" }).first().waitFor({ timeout: 30_000 });
    assert.ok((await api.get("/keys")).items.length > before);
    assert.deepEqual(await others(), kept, "as the page says");
  });
});

describe("settings", () => {
  signedIn("each says where it comes from", "#/settings", async (page, api, watched) => {
    const listen = page.locator("dl > div", { has: page.locator("dt", { hasText: "server.listen" }) });
    await listen.waitFor();
    await watched.look("settings");
    await page.keyboard.press("/");
    await page.keyboard.type("burst");
    await page.waitForURL(/q=burst/);
    await listen.waitFor({ state: "detached" });
    const burst = page.locator("dl > div", { hasText: "auth.account_burst" });
    assert.match(await burst.innerText(), /1000000[\s\S]*environment[\s\S]*instead of/);
    await page.keyboard.press("Escape");
    await page.getByLabel("Show").selectOption("set");
    assert.match(await listen.innerText(), /flag/);
    assert.equal(await page.locator("dt", { hasText: "mail.product_name" }).count(), 0);
  });
});

describe("diagnostics", () => {
  signedIn("the checks, and a text for a support request without secrets", "#/diagnostics", async (page, api, watched) => {
    const { licenses } = await records();
    await page.getByRole("heading", { name: "database" }).waitFor();
    await watched.look("diagnostics");
    await button(page, "Copy the text").click();
    const text = await page.evaluate(() => navigator.clipboard.readText());
    assert.match(text, /database/);
    assert.ok(!text.includes(licenses[0].license_key.slice(9)));
    const [file] = await Promise.all([page.waitForEvent("download"), button(page, "Save as a file").click()]);
    assert.match(file.suggestedFilename(), /^coditect-diagnostics-.*\.txt$/);
    assert.equal(await readFile(await file.path(), "utf8"), text);
  });
});

describe("backups", () => {
  signedIn("made, fetched, deleted", "#/backups", async (page, api, watched) => {
    await page.getByText("No backup was made yet").waitFor();
    await button(page, "Make a backup").click();
    await toast(page, "is made");
    const row = page.locator("tbody tr");
    await watched.look("backups");
    const [file] = await Promise.all([page.waitForEvent("download"), row.getByRole("button", { name: "Download" }).click()]);
    const [backup] = (await api.get("/admin/backups")).items;
    assert.equal(file.suggestedFilename(), backup.file);
    assert.equal((await readFile(await file.path())).length, backup.bytes);
    await row.getByRole("button", { name: "Delete" }).click();
    await page.locator("dialog").getByRole("button", { name: "Delete" }).click();
    await toast(page, "is deleted");
    await page.getByText("No backup was made yet").waitFor();
  });
});
