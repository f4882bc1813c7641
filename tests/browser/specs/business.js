// What a vendor does all day: licences, seats, users, plans, subscriptions, payments.

import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { once } from "node:events";
import { readFile } from "node:fs/promises";
import { describe } from "node:test";

import { Api } from "../api.js";
import { answer, button, dialog, row, toast } from "../hands.js";
import { OPERATOR, house, signedIn } from "../house.js";
import { records } from "../records.js";
import { BINARY, until } from "../server.js";

/** @typedef {import("playwright-core").Page} Page */

/** A licence of its own for a test that changes it. @param {Api} api */
async function someLicense(api, seats = 2) {
  const { customers } = await records();
  return api.post("/admin/licenses", { email: customers[0].email, max_concurrent_seats: seats });
}

describe("licences", () => {
  signedIn("one is issued, mailed, and found by a piece of its key, by e-mail and by hardware id", "#/licenses", async (page, api, watched) => {
    const { customers } = await records();
    const customer = customers[1];
    await button(page, "Issue a licence").click();
    await page.getByLabel("Customer's e-mail address").fill("nobody@nowhere.example");
    await page.getByLabel("Plan").selectOption({ label: "Team" });
    assert.equal(await page.getByLabel("Seats at once").inputValue(), "12");
    watched.expect(/^40\d POST \/api\/v1\/admin\/licenses$/);
    await answer(page, "Issue");
    await dialog(page).locator("[role=alert], .wrong").first().waitFor();
    await watched.look("license-issue");
    await page.getByLabel("Customer's e-mail address").fill(customer.email);
    await page.getByLabel("Machines").fill("3");
    await page.getByLabel("Works until the end of").fill("2030-06-30");
    await answer(page, "Issue");
    await toast(page, "is issued");
    await page.waitForURL(/#\/licenses\/[0-9a-f-]{36}$/);
    const key = await page.getByRole("heading", { level: 1, name: /^CODITECT-/ }).innerText();
    await house.server.mail(customer.email, key);
    const issued = await api.get(`/licenses/${page.url().split("/").pop()}`);
    assert.deepEqual([issued.max_concurrent_seats, issued.max_activations, issued.expiry_date], [12, 3, "2030-06-30T23:59:59Z"]);
    await new Api(house.server.url).post("/licenses/activate", { license_key: key, hardware_id: "loom-7700-aa" });

    for (const words of [key.split("-")[3].slice(0, 4), customer.email, "loom-7700"]) {
      await page.goto("/admin#/licenses");
      await page.getByRole("heading", { level: 1, name: "Licences" }).click();
      await page.keyboard.press("/");
      await page.keyboard.type(words);
      await page.waitForURL(/q=/);
      await page.locator("section:not([aria-busy]) tbody tr").first().waitFor();
      await row(page, key).waitFor();
      assert.equal(await page.getByRole("searchbox").inputValue(), words, "no letter is lost");
    }
    // The rows of the search before stay until the answer has come: it finds this one alone.
    await page.waitForFunction(() => document.querySelectorAll("tbody tr").length === 1);
    await page.reload();
    await row(page, key).waitFor();
    assert.equal(await page.getByPlaceholder(/hardware/).inputValue(), "loom-7700", "the search survives a reload");
    await row(page, key).getByRole("link").first().click();
    await page.getByRole("heading", { level: 1, name: key }).waitFor();
    await page.goBack();
    await row(page, key).waitFor();
    assert.match(page.url(), /q=loom/);
  });

  signedIn("one is suspended, which can be undone, and reinstated", "", async (page, api) => {
    const license = await someLicense(api);
    const status = async () => (await api.get(`/licenses/${license.license_id}`)).status;
    await page.goto(`/admin#/licenses/${license.license_id}`);
    await button(page, "Suspend…").click();
    await page.getByLabel("Reason").fill("the invoice of May");
    await answer(page, "Suspend");
    await toast(page, "is suspended");
    assert.equal(await status(), "suspended");
    await page.locator(".toast").getByRole("button", { name: "Undo" }).click();
    await toast(page, "Undone");
    assert.equal(await status(), "active");
    await button(page, "Suspend…").click();
    await answer(page, "Suspend");
    await button(page, "Reinstate").click();
    await toast(page, "is reinstated");
    assert.equal(await status(), "active");
    await page.locator(".history li", { hasText: "the invoice of May" }).first().waitFor();
  });

  signedIn("its seats and its end are changed", "", async (page, api) => {
    const license = await someLicense(api);
    await page.goto(`/admin#/licenses/${license.license_id}`);
    await button(page, "Seats…").click();
    await page.getByLabel("Seats at once").fill("9");
    await answer(page, "Save");
    await toast(page, "9 seats");
    await button(page, "End…").click();
    await page.getByLabel("Works until the end of").fill("2031-01-31");
    await answer(page, "Save");
    await toast(page, "2031-01-31");
    const { max_concurrent_seats, expiry_date } = await api.get(`/licenses/${license.license_id}`);
    assert.deepEqual([max_concurrent_seats, expiry_date], [9, "2031-01-31T23:59:59Z"]);
  });

  signedIn("its signed file is saved, and it is mailed again", "", async (page, api) => {
    const { customers } = await records();
    const license = await someLicense(api);
    await page.goto(`/admin#/licenses/${license.license_id}`);
    const [file] = await Promise.all([page.waitForEvent("download"), button(page, "Signed file").click()]);
    // The signed licence stands between two marker lines.
    const lines = (await readFile(await file.path(), "utf8")).trim().split("\n");
    const [head, claims, signature, ...more] = lines.slice(1, -1).join("").split(".");
    assert.deepEqual(more, []);
    assert.equal(JSON.parse(Buffer.from(head, "base64url").toString()).alg, "RS256");
    assert.equal(JSON.parse(Buffer.from(claims, "base64url").toString()).license_key, license.license_key);
    assert.equal(Buffer.from(signature, "base64url").length, 512);
    const mails = async () => (await api.get("/admin/emails?limit=200")).items.filter((/** @type {any} */ mail) => mail.to === customers[0].email && mail.message === "license_delivered").length;
    const before = await mails();
    await button(page, "Mail again").click();
    await answer(page, "Send");
    await toast(page, "on its way");
    await until("another mail", async () => await mails() === before + 1);
  });

  signedIn("it is revoked for good after its last group was typed", "", async (page, api, watched) => {
    const license = await someLicense(api);
    await page.goto(`/admin#/licenses/${license.license_id}`);
    await button(page, "Revoke…").click();
    assert.ok(await dialog(page).getByRole("button", { name: "Revoke" }).isDisabled());
    await watched.look("license-revoke");
    await page.getByLabel(/to confirm/).fill(license.license_key.split("-").pop());
    await answer(page, "Revoke");
    await toast(page, "is revoked");
    assert.equal((await api.get(`/licenses/${license.license_id}`)).status, "revoked");
    await button(page, "Revoke…").waitFor({ state: "detached" });
  });
});

describe("seats", () => {
  signedIn("one that is taken shows within two seconds, and is taken back", "", async (page, api, watched) => {
    const license = await someLicense(api);
    const nobody = new Api(house.server.url);
    await page.goto(`/admin#/licenses/${license.license_id}`);
    await page.getByText("Nobody holds a seat just now").waitFor();
    await page.getByText("Live", { exact: true }).waitFor();
    await nobody.post("/licenses/acquire", { license_key: license.license_key, hardware_id: "press-9" });
    await row(page, "press-9").waitFor({ timeout: 2000 });
    await nobody.post("/licenses/activate", { license_key: license.license_key, hardware_id: "press-9", machine_name: "The old press" });
    await page.reload();
    await row(page, "The old press").waitFor();
    await watched.look("license");
    await row(page, "press-9").getByRole("button", { name: "Take back…" }).click();
    await answer(page, "Take back");
    await toast(page, "is free again");
    await page.getByText("Nobody holds a seat just now").waitFor();
    assert.equal((await api.get(`/licenses/${license.license_id}/sessions`)).items.length, 0);
    await row(page, "The old press").getByRole("button", { name: "Remove" }).click();
    await answer(page, "Remove");
    await toast(page, "machine is removed");
  });

  signedIn("a command that coditect seat run started is seen, and gone when it ends", "#/seats", async (page, api) => {
    const license = await someLicense(api);
    await page.getByText("Live", { exact: true }).waitFor();
    const command = ["seat", "run", "--server", house.server.url, "--hardware-id", "render-farm-4", "--", "sleep", "60"];
    const env = { ...process.env, CODITECT_LICENSE_KEY: license.license_key };
    const held = spawn(BINARY, command, { env, stdio: "ignore" });
    const ended = once(held, "exit");
    await row(page, "render-farm-4").waitFor();
    held.kill("SIGTERM");
    assert.equal((await ended)[0], 143);
    await row(page, "render-farm-4").waitFor({ state: "detached" });
  });

  signedIn("the overview counts along", "#/", async (page, api) => {
    const license = await someLicense(api);
    const held = page.locator(".figure.big strong");
    await page.getByText("Live", { exact: true }).waitFor();
    const before = Number(await held.innerText());
    await new Api(house.server.url).post("/licenses/acquire", { license_key: license.license_key, hardware_id: "counted" });
    await page.waitForFunction((n) => Number(document.querySelector(".figure.big strong")?.textContent) === n, before + 1, { timeout: 2000 });
  });
});

describe("plans", () => {
  signedIn("one is made, changed, archived and sold again", "#/plans", async (page, api, watched) => {
    await button(page, "New plan").click();
    await page.getByLabel("Name", { exact: true }).fill("Workshop");
    await page.getByLabel("Seats at once").fill("4");
    await page.getByLabel("Price a month").fill("forty");
    await page.getByLabel("Price a year").fill("499.90");
    await page.getByLabel("Features").fill("export = true\nprojects = 20");
    await answer(page, "Make the plan");
    await dialog(page).locator(".wrong").waitFor();
    await watched.look("plan-form");
    await page.getByLabel("Price a month").fill("49.90");
    await answer(page, "Make the plan");
    await toast(page, "is on sale");
    const made = async () => (await api.get("/admin/plans?limit=200")).items.find((/** @type {any} */ plan) => plan.plan_name === "Workshop");
    const plan = await made();
    assert.deepEqual([plan.monthly_price_cents, plan.yearly_price_cents, plan.features], [4990, 49990, { export: true, projects: 20 }]);
    await row(page, "Workshop").getByRole("button", { name: "Workshop" }).click();
    await page.getByLabel("Seats at once").fill("6");
    await page.getByLabel("Price a year").fill("");
    await answer(page, "Save");
    await toast(page, "is saved");
    assert.deepEqual([(await made()).max_concurrent_seats, (await made()).yearly_price_cents], [6, null]);
    await row(page, "Workshop").getByRole("button", { name: "Archive…" }).click();
    await answer(page, "Archive");
    await toast(page, "is archived");
    assert.ok((await made()).archived_at);
    await row(page, "Workshop").getByRole("button", { name: "Sell again" }).click();
    await answer(page, "Sell again");
    await toast(page, "on sale again");
    assert.equal((await made()).archived_at, null);
  });

  signedIn("features keep their types whatever they look like", "", async (page, api) => {
    const features = { code: "007", exact: "true", note: "one\ntwo", quoted: "\"a\" and \"b\"", projects: 20, sso: true, tier: "gold" };
    const { plan_id } = await api.post("/admin/plans", { plan_name: "Typed", max_concurrent_seats: 1, monthly_price_cents: 100, currency: "EUR", features });
    const plan = async () => (await api.get("/admin/plans?limit=200")).items.find((/** @type {any} */ each) => each.plan_id === plan_id);
    await page.goto("/admin#/plans");
    await row(page, "Typed").getByRole("button", { name: "Typed" }).click();
    await page.getByLabel("Price a month").fill("2");
    await answer(page, "Save");
    await toast(page, "is saved");
    assert.deepEqual([(await plan()).monthly_price_cents, (await plan()).features], [200, features]);
    await row(page, "Typed").getByRole("button", { name: "Typed" }).click();
    const box = page.getByLabel("Features");
    await box.fill(`${await box.inputValue()}\nnew = "8"`);
    await answer(page, "Save");
    await page.waitForFunction(() => !document.querySelector("dialog[open]"));
    assert.deepEqual((await plan()).features, { ...features, new: "8" });
  });
});

describe("subscriptions and payments", () => {
  signedIn("an amount is what the currency has, to the last digit", "", async (page) => {
    const amounts = /** @type {[string, string, number][]} */ ([
      ["99", "EUR", 9900], ["99.5", "EUR", 9950], ["99.50", "EUR", 9950], ["0.05", "USD", 5], ["1200", "JPY", 1200], ["1.234", "KWD", 1234],
      ["99.", "EUR", 9900], ["1,250.00", "EUR", 125_000], ["1,250", "EUR", 125_000], [" 19.99 ", "EUR", 1999],
      ["99.505", "EUR", NaN], ["1.250", "EUR", NaN], ["1200.5", "JPY", NaN], ["", "EUR", NaN], [".5", "EUR", NaN], ["-1", "EUR", NaN],
      ["1,50", "EUR", NaN], ["1,2,3", "EUR", NaN], ["99999999999999999999", "EUR", NaN],
    ]);
    const read = await page.evaluate(async ([path, typed]) => {
      const { cents } = await import(path);
      return typed.map(([text, currency]) => cents(text, currency));
    }, /** @type {[string, [string, string, number][]]} */ (["/admin/format.js", amounts]));
    assert.deepEqual(read, amounts.map(([, , minor]) => minor));
  });

  signedIn("a licence that a subscription pays for has no end to be moved by hand", "", async (page) => {
    const license = (await records()).licenses.find((each) => each.subscription_id);
    await page.goto(`/admin#/licenses/${license.license_id}`);
    await button(page, "Seats…").waitFor();
    assert.equal(await button(page, "End…").count(), 0);
  });

  signedIn("a payment is recorded for a customer, and another for the subscription it began", "#/payments", async (page, api, watched) => {
    const { customers } = await records();
    await button(page, "Record a payment").click();
    await page.getByLabel("Customer's e-mail address").fill("nobody@nowhere.example");
    await answer(page, "Go on");
    await dialog(page).locator(".wrong").waitFor();
    await page.getByLabel("Customer's e-mail address").fill(customers[4].email);
    await answer(page, "Go on");
    await page.getByLabel("Pays for").selectOption({ label: "New: Team, by the month" });
    await page.getByLabel("Periods").fill("3");
    assert.equal(await page.getByLabel("Amount").inputValue(), "447.00");
    await page.getByLabel("Reference").fill("PO 9001");
    await watched.look("payment-form");
    await answer(page, "Record");
    await toast(page, "EUR 447.00 for 3 periods");
    await row(page, "PO 9001").waitFor();
    await page.goto(`/admin#/subscriptions?org_id=${customers[4].org_id}`);
    const theirs = page.locator("tbody tr", { hasText: "Team" }).first();
    await theirs.getByRole("button", { name: "Payment…" }).click();
    await page.getByLabel("Kind").selectOption("purchase_order");
    await page.getByLabel("Reference").fill("PO 9002");
    await page.getByLabel("Days until an order is to be settled").fill("45");
    await answer(page, "Record");
    await toast(page, "EUR 149.00 for 1 period");
    await page.goto(`/admin#/payments?org_id=${customers[4].org_id}`);
    const order = row(page, "PO 9002");
    await order.getByText("order, due").waitFor();
    await watched.look("payments-order");
    await order.getByRole("button", { name: "Settle…" }).click();
    await answer(page, "Settle");
    await order.getByText("order, settled").waitFor();
    await page.goto(`/admin#/subscriptions?org_id=${customers[4].org_id}`);
    const paid = (await api.get(`/admin/payments?org_id=${customers[4].org_id}&limit=200`)).items.filter((/** @type {any} */ each) => each.org_id === customers[4].org_id);
    assert.deepEqual(paid.map((/** @type {any} */ each) => each.amount_cents).sort(), [14900, 44700]);
    await theirs.getByRole("button", { name: "Cancel…" }).click();
    await answer(page, "Cancel the subscription");
    await toast(page, "ends with its period");
    await theirs.getByRole("button", { name: "Resume" }).click();
    await toast(page, "goes on");
  });
});

describe("users", () => {
  signedIn("one who has not registered gets an account, and a licence", "#/users", async (page, api, watched) => {
    await button(page, "New user").click();
    await page.getByLabel("E-mail").fill("nora@new.example");
    await page.getByLabel("Name", { exact: true }).fill("Nora New");
    await watched.look("user-form");
    await answer(page, "Make the account");
    await page.getByRole("heading", { level: 1, name: "Nora New" }).waitFor();
    assert.match(await house.server.mail("nora@new.example", "reset-password?token="), /has made an account/);
    await button(page, "New user").waitFor({ state: "detached" });
    await api.post("/admin/licenses", { email: "nora@new.example", max_concurrent_seats: 2 });
    await page.reload();
    await page.getByRole("link", { name: /CODITECT-/ }).waitFor();
  });

  signedIn("a mistyped address is corrected, and a link goes to the right one", "#/users", async (page, api, watched) => {
    watched.expect(/^409 PUT /);
    const made = await api.post("/admin/users", { email: "cora@mistpyed.example", full_name: "Cora Correct" });
    await page.goto(`/admin#/users/${made.user_id}`);
    await button(page, "Correct the address…").click();
    await page.getByLabel("The right address").fill("nobody@vendor.example");
    await dialog(page).getByText("whoever reads the new address").waitFor();
    await watched.look("user-address");
    await page.getByLabel("The right address").fill(OPERATOR.email);
    await answer(page, "Correct it");
    await dialog(page).getByRole("alert").getByText("an account with this e-mail address already").waitFor();
    await page.getByLabel("The right address").fill("cora@mistyped.example");
    await answer(page, "Correct it");
    await toast(page, "The address is cora@mistyped.example now");
    await page.locator(".history li", { hasText: "E-mail address corrected by an operator" }).getByText("cora@mistpyed.example").waitFor();
    assert.match(await house.server.mail("cora@mistyped.example", "reset-password?token="), /has given your account/);
    assert.match(await house.server.mail("cora@mistpyed.example", "another one"), /Nobody signs in with this address any more/);
    // An operator's is another matter.
    await page.goto(`/admin#/users/${(await api.get("/users/me")).user_id}`);
    await button(page, "Not an operator any more…").waitFor();
    assert.equal(await button(page, "Correct the address…").count(), 0);
  });

  signedIn("one is closed, opened again, and made an operator after the address was typed", "#/users", async (page, api, watched) => {
    const { customers } = await records();
    const person = customers[6];
    await page.keyboard.press("/");
    await page.keyboard.type("holloway");
    await row(page, person.email).waitFor();
    await page.waitForFunction(() => document.querySelectorAll("tbody tr").length === 1);
    await page.keyboard.press("ArrowDown");
    await page.keyboard.press("Enter");
    await page.getByRole("heading", { level: 1, name: person.name }).waitFor();
    await watched.look("user");
    await button(page, "Deactivate…").click();
    await answer(page, "Deactivate");
    await toast(page, "is closed");
    assert.ok((await api.get(`/admin/users/${person.user_id}`)).deactivated_at);
    await button(page, "Reactivate").click();
    await toast(page, "open again");
    const mail = await house.server.mail(person.email, "?token=");
    await new Api(house.server.url).post("/auth/verify-email", { token: mail.match(/token=([A-Za-z0-9_-]+)/)?.[1] });
    await button(page, "Make operator…").click();
    await page.getByLabel(/to confirm/).fill(person.email);
    await answer(page, "Make operator");
    await toast(page, "is an operator now");
    assert.equal((await api.get(`/admin/users/${person.user_id}`)).operator, true);
    await button(page, "Not an operator any more…").click();
    await answer(page, "Take away");
    await toast(page, "no operator any more");
  });

  signedIn("the last operator stays one", "#/users", async (page, api, watched) => {
    watched.expect(/^409 PUT \/api\/v1\/admin\/users\/.*\/operator$/);
    await row(page, "olga@vendor.example").getByRole("link").first().click();
    await button(page, "Not an operator any more…").click();
    await answer(page, "Take away");
    await dialog(page).getByRole("alert").waitFor();
    await watched.accessible("a refusal in a dialog");
  });
});

describe("analytics", () => {
  signedIn("tells what the business is worth, for a span and in a currency, with a table behind each chart", "", async (page, api) => {
    const { customers } = await records();
    const plan = await api.post("/admin/plans", { plan_name: "Yen", max_concurrent_seats: 3, monthly_price_cents: 8000, currency: "JPY", trial_duration_days: 0 });
    await api.post("/admin/payments", { org_id: customers[1].org_id, plan_id: plan.plan_id, reference: "JP 1" });
    await page.goto("/admin#/analytics");
    const told = (/** @type {string} */ words) => page.locator(".figure", { hasText: words }).first().locator("strong");
    const euros = (await api.get("/admin/analytics")).currencies.find((/** @type {any} */ each) => each.currency === "EUR");
    await told("monthly recurring revenue").waitFor();
    assert.equal(await told("monthly recurring revenue").innerText(), `EUR ${new Intl.NumberFormat("en", { minimumFractionDigits: 2 }).format(euros.mrr_cents / 100)}`);
    assert.equal(await told("paying customers").innerText(), String(euros.customers));
    await page.getByLabel("Currency").selectOption("JPY");
    await page.waitForURL(/currency=JPY/);
    await page.waitForFunction(() => document.querySelector(".figure.big strong")?.textContent === "JPY 8,000");
    await page.getByLabel("Span").selectOption("24");
    await page.waitForURL(/months=24/);
    const changed = page.locator("section", { has: page.getByRole("heading", { name: "What changed it" }) });
    await changed.getByText("As a table").click();
    await page.waitForFunction(() => [...document.querySelectorAll(".chart details[open] tbody tr")].length === 24);
    assert.match(await changed.locator("tbody tr").first().innerText(), /JPY 8,000/);
    await page.reload();
    await page.waitForFunction(() => document.querySelector(".figure.big strong")?.textContent === "JPY 8,000");
  });

  signedIn("is saved as CSV", "#/analytics", async (page) => {
    await records();
    const [file] = await Promise.all([page.waitForEvent("download"), button(page, "Plans as CSV").click()]);
    assert.match(file.suggestedFilename(), /^analytics-plans-\d{4}-\d\d-\d\d\.csv$/);
    const [head, ...rows] = (await readFile(await file.path(), "utf8")).trimEnd().split("\r\n");
    assert.equal(head, "month,currency,plan_id,plan_name,revenue_cents,payments");
    assert.ok(rows.length > 0 && rows.every((each) => each.split(",").length === 6), rows.join("\n"));
  });
});
