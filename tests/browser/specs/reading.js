// What there is to read: the API page, where calls can be tried, and the handbook.

import assert from "node:assert/strict";
import { describe } from "node:test";

import { PHONE } from "../browser.js";
import { operator, visit } from "../house.js";

describe("the API page", () => {
  visit("lists every operation, finds one, and sends it", async (page, watched) => {
    const { answer } = await operator();
    await page.goto("/docs");
    await page.getByRole("heading", { level: 1 }).waitFor();
    await watched.look("docs");
    await page.keyboard.press("/");
    await page.keyboard.type("admin overview");
    await page.keyboard.press("Enter");
    await page.getByLabel("Bearer token").fill(answer.access_token);
    await page.getByRole("button", { name: "Send" }).click();
    await page.locator(".came .tag.good").waitFor();
    assert.match(await page.locator(".came").innerText(), /"uptime_s"/);
    await watched.look("docs-operation");
  });

  visit("every operation can be read by everybody", async (page, watched) => {
    await page.goto("/docs");
    await page.getByRole("heading", { level: 1 }).waitFor();
    const hashes = await page.locator(".list a").evaluateAll((all) => all.map((each) => each.getAttribute("href") ?? ""));
    assert.ok(hashes.length > 40, `${hashes.length} operations`);
    // Each is made of the same parts: one in eight has them all.
    for (const hash of hashes.filter((_, nth) => nth % 8 === 0)) {
      await page.goto(`/docs${hash}`);
      await page.locator("article h1").waitFor();
      await watched.accessible(`/docs${hash}`);
    }
  });
});

describe("the handbook", () => {
  visit("every chapter can be read by everybody, on any screen", async (page, watched) => {
    await page.goto("/handbook");
    const chapters = await page.locator("nav a[href^='/handbook']").evaluateAll((all) => all.map((each) => each.getAttribute("href") ?? ""));
    const paths = [...new Set(chapters.map((href) => href.split("#")[0]))];
    assert.ok(paths.length >= 9, paths.join());
    await watched.look("handbook");
    await page.setViewportSize(PHONE);
    for (const path of paths) {
      await page.goto(path);
      await watched.accessible();
      await watched.fits();
    }
  });
});
