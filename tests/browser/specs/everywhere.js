// What holds for every screen: it can be read by everybody in every way, used by keyboard, and kept as an address.

import assert from "node:assert/strict";
import { readFile } from "node:fs/promises";
import { describe } from "node:test";

import { PHONE } from "../browser.js";
import { house, signedIn } from "../house.js";
import { records } from "../records.js";

/** Those without a test of their own that looks at them. */
const SCREENS = ["", "licenses", "seats", "users", "orgs", "analytics", "plans", "subscriptions", "payments", "logs"];

describe("every screen", () => {
  for (const name of SCREENS) {
    signedIn(`${name || "overview"}: light, dark, and on a phone`, "#/audit", async (page, api, watched) => {
      await records();
      await page.goto(`/admin#/${name}`);
      await page.locator("main h1").waitFor();
      await watched.settled();
      await watched.look(name || "overview");
    });
  }

  signedIn("all are in the navigation, and an unknown one says so", "#/", async (page, api, watched) => {
    const links = await page.locator("nav[aria-label=Screens] a").evaluateAll((all) => all.map((each) => each.getAttribute("href") ?? ""));
    assert.ok(links.length >= 17, links.join());
    for (const href of links) {
      await page.locator(`nav[aria-label=Screens] a[href="${href}"]`).click();
      await page.locator("main h1").waitFor();
      await watched.settled();
      assert.equal(await page.locator("nav [aria-current=page]").getAttribute("href"), href);
      assert.match(await page.title(), /.+ · CODITECT/);
    }
    await page.goto("/admin#/attic");
    await page.getByText("There is no screen").waitFor();
    await watched.accessible();
  });

  signedIn("on a phone the menu opens and closes", "#/", async (page, api, watched) => {
    await page.setViewportSize(PHONE);
    await page.getByRole("button", { name: "Menu" }).click();
    await watched.picture("menu-phone");
    await watched.accessible("the menu");
    await watched.fits("the menu");
    await page.getByRole("link", { name: "Licences" }).click();
    await page.getByRole("heading", { level: 1, name: "Licences" }).waitFor();
    assert.ok(!await page.getByRole("link", { name: "Diagnostics" }).isVisible(), "the menu closed again");
  });
});

describe("by keyboard", () => {
  signedIn("a list is searched, walked and opened, and the way back leads to the same row", "#/licenses", async (page) => {
    const { customers } = await records();
    const focused = () => page.evaluate(() => document.activeElement?.textContent ?? "");
    await page.keyboard.press("/");
    assert.equal(await page.evaluate(() => document.activeElement?.getAttribute("type")), "search");
    await page.keyboard.type("nothing like it");
    await page.getByText("Nothing matches").waitFor();
    await page.keyboard.press("Escape");
    await page.locator("tbody tr").first().waitFor();
    assert.ok(!page.url().includes("q="), "Esc clears the search");
    await page.keyboard.press("Escape");
    await page.keyboard.press("ArrowDown");
    const first = await focused();
    await page.keyboard.press("j");
    const second = await focused();
    assert.notEqual(first, second);
    await page.keyboard.press("ArrowUp");
    assert.equal(await focused(), first);
    await page.keyboard.press("ArrowDown");
    await page.keyboard.press("Enter");
    await page.getByRole("heading", { level: 1, name: second }).waitFor();
    await page.goBack();
    await page.waitForFunction((text) => document.activeElement?.textContent === text, second);
    assert.ok(customers.length > 0);
  });

  signedIn("a pause between two words loses nothing", "#/users", async (page) => {
    await records();
    await page.keyboard.press("/");
    await page.keyboard.type("bruno ");
    await page.waitForURL(/q=bruno$/);
    await page.keyboard.type("keller");
    await page.waitForURL(/q=bruno\+keller/);
    assert.equal(await page.getByRole("searchbox").inputValue(), "bruno keller");
    await page.waitForFunction(() => document.querySelectorAll("tbody tr").length === 1);
  });

  signedIn("a dialog holds the focus, Esc closes it, and the focus returns", "#/plans", async (page) => {
    const opener = page.getByRole("button", { name: "New plan" });
    await opener.focus();
    await page.keyboard.press("Enter");
    await page.locator("dialog[open]").waitFor();
    assert.equal(await page.evaluate(() => document.activeElement?.id), "f-plan_name", "the first field");
    for (let n = 0; n < 30; n += 1) {
      await page.keyboard.press("Tab");
      const where = await page.evaluate(() => (document.activeElement === document.body ? "body" : document.activeElement?.closest("dialog") ? "dialog" : "page"));
      assert.notEqual(where, "page", "the page behind cannot be reached");
    }
    await page.keyboard.press("Escape");
    await page.locator("dialog").waitFor({ state: "detached" });
    await page.waitForFunction(() => document.activeElement?.textContent === "New plan");
    await page.keyboard.press("?");
    await page.getByRole("heading", { name: "Keyboard" }).waitFor();
    await page.keyboard.press("Escape");
  });

  signedIn("the first stop skips the navigation", "#/licenses", async (page) => {
    await page.keyboard.press("Tab");
    assert.equal(await page.evaluate(() => document.activeElement?.textContent), "Skip to the content");
    await page.keyboard.press("Enter");
    assert.equal(await page.evaluate(() => document.activeElement?.id), "main");
  });
});

describe("as an address", () => {
  signedIn("filters survive a reload and the way back", "#/licenses", async (page) => {
    await records();
    await page.getByLabel("Status").selectOption("suspended");
    await page.waitForURL(/status=suspended/);
    await page.waitForFunction(() => [...document.querySelectorAll("tbody tr")].every((row) => row.textContent?.includes("suspended")));
    await page.reload();
    await page.locator("tbody tr").first().waitFor();
    assert.equal(await page.getByLabel("Status").inputValue(), "suspended");
    await page.locator("nav a", { hasText: "Plans" }).click();
    await page.getByRole("heading", { level: 1, name: "Plans" }).waitFor();
    await page.goBack();
    await page.getByRole("heading", { level: 1, name: "Licences" }).waitFor();
    assert.equal(await page.getByLabel("Status").inputValue(), "suspended");
    await page.getByRole("button", { name: "Clear" }).click();
    await page.waitForFunction(() => !location.hash.includes("status"));
  });

  signedIn("a list is saved as CSV, with what is searched for and no formulas", "#/licenses?q=nordwind", async (page) => {
    const { licenses, customers } = await records();
    await page.locator("tbody tr").first().waitFor();
    const [file] = await Promise.all([page.waitForEvent("download"), page.getByRole("button", { name: "Export CSV" }).click()]);
    assert.match(file.suggestedFilename(), /^licences-\d{4}-\d\d-\d\d\.csv$/);
    const text = await readFile(await file.path(), "utf8");
    const [head, ...rows] = text.replace("\ufeff", "").trimEnd().split("\r\n");
    assert.match(head, /^Key,Customer,Plan,Seats,Status,Expires,/);
    assert.ok(rows.length >= 1 && rows.every((row) => row.includes(customers[1].email)), text);
    assert.ok(rows.some((row) => row.startsWith(licenses[1].license_key)));
  });
});

describe("the weight of the page", () => {
  signedIn("is under 250 kB for the first view", "#/licenses", async (page, api, watched) => {
    let bytes = 0;
    const session = await page.context().newCDPSession(page);
    await session.send("Network.enable");
    await session.send("Network.setCacheDisabled", { cacheDisabled: true });
    session.on("Network.loadingFinished", (event) => { bytes += event.encodedDataLength; });
    await page.reload();
    await watched.settled();
    await page.locator("main h1").waitFor();
    assert.ok(bytes > 20_000 && bytes < 250_000, `${bytes} bytes came over the wire`);
    assert.ok(house.server.url);
  });
});
