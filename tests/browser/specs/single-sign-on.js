// Signing in through an issuer: the button, the way there and back, a second factor, what failed, and taking the link away.

import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { createInterface } from "node:readline";
import { fileURLToPath } from "node:url";
import { after, before, describe } from "node:test";

import { OPERATOR, operator, visit } from "../house.js";
import { Server } from "../server.js";

/** @typedef {import("playwright-core").Page} Page */

/** The one other origin that this page leads to. */
const GOES_THERE = /^request to another origin: http:\/\/127\.0\.0\.1:\d+\/authorize\?client_id=app&/;

/** @param {Page} page @param {string} name */
const heading = (page, name) => page.getByRole("heading", { name, exact: true, level: 1 });

describe("single sign-on", () => {
  /** @type {Server} */
  let server;
  /** @type {import("node:child_process").ChildProcess} */
  let issuer;
  let control = "";

  /** @param {object} what */
  const tell = (what) => fetch(control, { method: "POST", body: JSON.stringify(what) });

  before(async () => {
    issuer = spawn("node", [fileURLToPath(new URL("../oidc.js", import.meta.url)), "mock"], { stdio: ["ignore", "pipe", "ignore"] });
    const lines = createInterface({ input: /** @type {import("node:stream").Readable} */ (issuer.stdout) });
    const line = await new Promise((done) => lines.once("line", done));
    const [, url, port] = String(line).split(" ");
    control = port;
    server = await Server.start({
      CODITECT_OIDC_PROVIDERS: JSON.stringify([{ name: "company", label: "Company account", issuer: url, client_id: "app" }]),
    });
    await operator(server);
    await tell({ do: "next", claims: { sub: "olga", email: OPERATOR.email, email_verified: true, name: "Olga" } });
  });
  after(async () => {
    issuer.kill();
    await server.remove();
  });
  const options = { server: () => server };

  visit("a button leads to the issuer and back into the page", async (page, watched) => {
    watched.expect(GOES_THERE);
    await page.goto("/admin");
    await page.getByRole("link", { name: "Sign in with Company account" }).waitFor();
    await watched.look("sign-in-issuers");
    await page.getByRole("link", { name: "Sign in with Company account" }).click();
    await heading(page, "Overview").waitFor({ state: "attached" });
    assert.ok(!page.url().includes("oidc="), "the code is gone from the address");
    await server.mail(OPERATOR.email, "Company account");
    await page.reload();
    await heading(page, "Overview").waitFor({ state: "attached" });
    await page.goto("/admin#/account");
    await page.getByRole("heading", { name: "Other ways to sign in" }).waitFor();
    await watched.look("account-identities");
    await page.getByRole("button", { name: "Take away…" }).click();
    await page.locator("dialog[open]").getByRole("button", { name: "Take it away" }).click();
    await page.getByRole("heading", { name: "Other ways to sign in" }).waitFor({ state: "detached" });
  }, options);

  visit("what failed is told, and the password still works", async (page, watched) => {
    watched.expect(GOES_THERE, /^403 POST \/api\/v1\/auth\/oidc\/complete$/, /^401 POST \/api\/v1\/auth\/oidc\/complete$/);
    await tell({ do: "next", claims: { sub: "eve", email: "eve@example.com", email_verified: false } });
    await page.goto("/admin");
    await page.getByRole("link", { name: "Sign in with Company account" }).click();
    await page.getByRole("alert").getByText("vouches for no e-mail address").waitFor();
    await watched.look("sign-in-issuer-refused");
    await page.goto("/admin#oidc_error=oidc_failed");
    await page.reload();
    await heading(page, "Sign in").waitFor();
    // Somebody else's code is of no use here.
    await page.goto("/verify-email");
    await page.goto("/admin#oidc=somebody-elses");
    await page.getByRole("alert").getByText("belongs to another browser").waitFor();
    await page.getByLabel("E-mail address").fill(OPERATOR.email);
    await page.getByLabel("Password", { exact: true }).fill(OPERATOR.password);
    await page.getByRole("button", { name: "Sign in", exact: true }).click();
    await heading(page, "Overview").waitFor({ state: "attached" });
  }, options);

  visit("the link that an organisation's sign-in mails says what it allows", async (page, watched) => {
    watched.expect(/^400 POST \/api\/v1\/auth\/oidc\/confirm\/look$/);
    await page.goto("/confirm-identity?token=none");
    await page.getByText("This link was used already or has lapsed.").waitFor();
    await watched.accessible("confirm-identity, lapsed");
    await page.goto("/confirm-identity");
    await page.getByText("The link is incomplete.").waitFor();
  }, options);
});
