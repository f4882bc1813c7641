// The screens for the running of the server: each in light, dark and on a phone, and each act on it.

import assert from "node:assert/strict";
import { readFile } from "node:fs/promises";
import { describe } from "node:test";

import { button, toast } from "../hands.js";
import { signedIn } from "../house.js";
import { records } from "../records.js";

/** What is read there, on one line. @param {import("playwright-core").Locator} where */
const said = async (where) => (await where.innerText()).replace(/\s+/g, " ");

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
    assert.match(await page.locator("tbody").innerText(), /Licence suspended[\s\S]*Licence issued/, "newest first");
    assert.match(await page.locator("tbody").innerText(), /olga@vendor.example/);
  });

  signedIn("says what was done in words, names people and records, and keeps the entry as it stands for whoever asks", "#/audit", async (page, api, watched) => {
    const org = await api.post("/orgs", { name: "Hackle Ltd" });
    await api.call("PATCH", `/orgs/${org.org_id}`, { name: "Heckle Ltd" });
    await api.post(`/orgs/${org.org_id}/invitations`, { email: "combs@new.example", role: "member" });
    const me = await api.get("/users/me");
    const team = await api.post(`/orgs/${org.org_id}/teams`, { name: "Combers" });
    await api.call("PUT", `/orgs/${org.org_id}/teams/${team.team_id}/members/${me.user_id}`, { role: "member" });
    const plan = await api.post("/admin/plans", { plan_name: "Chest", max_concurrent_seats: 2, monthly_price_cents: 1250, currency: "EUR", trial_duration_days: 14, features: { export: true } });
    await api.call("PATCH", `/admin/plans/${plan.plan_id}`, { features: { export: false }, max_concurrent_seats: 3 });
    const { license_id } = await api.post("/admin/licenses", { org_id: org.org_id, max_concurrent_seats: 1 });
    await api.post(`/admin/licenses/${license_id}/suspend`, { reason: "invoice unpaid" });
    await api.post("/admin/payments", { org_id: org.org_id, plan_id: plan.plan_id, reference: "PO 4799" });
    await page.reload();
    /** @param {string} words */
    const entry = (words) => page.locator("tbody tr", { has: page.getByRole("cell", { name: words, exact: true }) }).first();

    await entry("Organisation renamed").getByText("Hackle Ltd → Heckle Ltd").waitFor();
    assert.equal(await entry("Organisation renamed").getByRole("link", { name: "Heckle Ltd" }).getAttribute("href"), `#/orgs/${org.org_id}`);
    assert.match(await said(entry("Invited to join")), /combs@new\.example history/);
    assert.equal(await entry("Invited to join").getByRole("link", { name: "combs@new.example" }).count(), 0, "an invitation has no screen");
    assert.match(await said(entry("Added to a team")), /Combers.* role: member person: olga@vendor\.example/);
    assert.match(await said(entry("Plan changed")), /features, export: yes → no seats: 2 → 3/);
    assert.match(await said(entry("Licence suspended")), /status: active → suspended .*suspended, reason: invoice unpaid/);
    assert.match(await said(entry("Payment recorded")), /amount: EUR 12\.50/);
    const shown = await page.locator("tbody").innerText();
    assert.doesNotMatch(shown, /[{}"]/, "no JSON");
    assert.doesNotMatch(shown, /[0-9a-f]{8}-[0-9a-f]{4}-/, "no raw ids");

    const made = entry("Plan made");
    await made.getByText(/^With \d+ fields/).click();
    await made.getByText("EUR 12.50").waitFor();
    await made.getByText("from: 127.0.0.1").waitFor();
    assert.equal(await made.locator("pre").isVisible(), false);
    await watched.look("audit-fields");
    await made.getByText("As it stands in the log").click();
    await made.getByText('"action": "plan.created"').waitFor();
    await watched.look("audit-entry");
  });

  signedIn("a name is shown as it stands, whatever it looks like", "#/audit", async (page, api) => {
    const org = await api.post("/orgs", { name: "2026-99-99T1Z" });
    const rename = (/** @type {string} */ name) => api.call("PATCH", `/orgs/${org.org_id}`, { name });
    await rename('{"a":1}');
    await rename("500 USD");
    await rename("true");
    await page.reload();
    for (const words of ['2026-99-99T1Z → {"a":1}', '{"a":1} → 500 USD', "500 USD → true"]) {
      await page.locator("tbody tr", { hasText: "Organisation renamed" }).getByText(words).waitFor();
    }
  });

  signedIn("a record's own history is as readable, and knows the people of an organisation", "#/orgs", async (page, api, watched) => {
    const { customers, licenses } = await records();
    const org = await api.post("/orgs", { name: "Reed Ltd" });
    await api.call("PATCH", `/orgs/${org.org_id}`, { name: "Reed and Sons" });
    await page.goto(`/admin#/orgs/${org.org_id}?part=history`);
    const newest = page.locator(".history li").first();
    await newest.getByText("Organisation renamed").waitFor();
    assert.match(await said(newest), /by olga@vendor\.example name: Reed Ltd → Reed and Sons/);
    await watched.look("org-history");
    await page.goto(`/admin#/licenses/${licenses[0].license_id}`);
    const activated = page.locator(".history li", { hasText: "Licence activated on a machine" });
    await activated.getByText("Ada's laptop").waitFor();
    await page.goto(`/admin#/users/${customers[0].user_id}`);
    const registered = page.locator(".history li", { hasText: "Account registered" });
    await registered.getByText(/^With \d+ fields/).click();
    await registered.getByText("Park Instruments", { exact: true }).waitFor();
    await watched.look("user-history");
  });

  signedIn("narrowed by what it is about and by day, and proved as a file", "#/audit", async (page, api, watched) => {
    await records();
    await page.getByText("each chained to the one before").waitFor();
    await page.getByLabel("About").selectOption("license.");
    await page.waitForURL(/action=license/);
    await page.waitForFunction(() => [...document.querySelectorAll("tbody tr td:nth-child(3)")].every((cell) => /licence/i.test(cell.textContent ?? "")));
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
