// Signing in through an issuer: the button, the way there and back, a second factor, what failed, and taking the link away.

import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { createInterface } from "node:readline";
import { fileURLToPath } from "node:url";
import { after, before, describe } from "node:test";

import { Api } from "../api.js";
import { OPERATOR, operator, signedIn, visit } from "../house.js";
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
    await page.getByRole("button", { name: "Take away… Company account" }).click();
    await page.locator("dialog[open]").getByRole("button", { name: "Take it away" }).click();
    await page.getByRole("button", { name: "Take away… Company account" }).waitFor({ state: "detached" });
  }, options);

  signedIn("another account there is linked from one's own, and belongs to no second one", "#/account", async (page, api, watched) => {
    watched.expect(GOES_THERE, /^40[19] POST \/api\/v1\/users\/me\/identities(\/begin)?$/);
    await tell({ do: "next", claims: { sub: "olga-at-home", email: "olga@home.example", email_verified: false } });
    const link = page.getByRole("button", { name: "Link Company account…" });
    await link.click();
    const dialog = page.locator("dialog[open]");
    await dialog.getByLabel("Password").fill("not the password");
    await dialog.getByRole("button", { name: "Go there" }).click();
    await dialog.getByRole("alert").getByText("not right").waitFor();
    await watched.look("account-link");
    await dialog.getByLabel("Password").fill(OPERATOR.password);
    await dialog.getByRole("button", { name: "Go there" }).click();
    await page.locator(".toast", { hasText: "It signs you in from now on" }).waitFor();
    await page.getByText("olga@home.example").waitFor();
    assert.ok(!page.url().includes("oidc_link"), "the code is gone from the address");
    await watched.look("account-linked");
    await server.mail(OPERATOR.email, "linked by somebody who was signed in");
    // The same once more.
    await link.click();
    await dialog.getByLabel("Password").fill(OPERATOR.password);
    await dialog.getByRole("button", { name: "Go there" }).click();
    await page.getByRole("alert").getByText("already").waitFor();
    // What failed there, and a code that somebody else was given.
    await page.goto("/verify-email");
    await page.goto("/admin#oidc_link_error=oidc_failed");
    await page.getByRole("alert").getByText("did not sign you in").waitFor();
    await page.goto("/verify-email");
    await page.goto("/admin#oidc_link=somebody-elses");
    await page.getByRole("alert").getByText("belongs to another browser").waitFor();
    const { items } = await api.get("/users/me/identities");
    assert.deepEqual(items.map((/** @type {any} */ each) => each.subject), ["olga-at-home"]);
    await api.delete(`/users/me/identities/${items[0].identity_id}`);
  }, options);

  visit("whoever has no password is asked for none, and may set one", async (page, watched) => {
    watched.expect(GOES_THERE, /^401 POST \/api\/v1\/users\/me\/(passkeys\/begin|totp)$/);
    const email = "nell@customer.example";
    await tell({ do: "next", claims: { sub: "nell", email, email_verified: true, name: "Nell Field" } });
    await page.goto("/admin");
    await page.getByRole("link", { name: "Sign in with Company account" }).click();
    await heading(page, "Your account").waitFor();
    await page.getByText("Your account has none").waitFor();
    await watched.look("account-no-password");
    await page.getByRole("button", { name: "Set an app up" }).click();
    await page.getByRole("button", { name: "Go on" }).waitFor();
    assert.equal(await page.getByLabel("Password", { exact: true }).count(), 0);
    await page.getByRole("button", { name: "Go on" }).click();
    await page.getByAltText("QR code for an authenticator app").waitFor();
    // Ten minutes later the server refuses the same.
    await page.reload();
    await page.getByRole("button", { name: "Set an app up" }).click();
    await page.route("**/users/me/totp", (route) => (route.request().method() === "POST"
      ? route.fulfill({ status: 401, contentType: "application/problem+json", body: JSON.stringify({ code: "invalid_credentials", status: 401, detail: "too old" }) })
      : route.continue()));
    await page.getByRole("button", { name: "Go on" }).click();
    await page.locator("dialog[open]").getByText("a sign-in of the last ten minutes").waitFor();
    await watched.look("sign-in-again");
    await page.keyboard.press("Escape");
    await page.reload();
    await page.getByRole("button", { name: "Mail me a link to set one" }).click();
    await page.getByText("A mail is on its way to nell@customer.example").waitFor();
    const mail = await server.mail(email, "reset-password?token=");
    const token = mail.match(/reset-password\?token=([A-Za-z0-9_-]+)/)?.[1];
    await page.goto(`/reset-password?token=${token}`);
    await page.getByLabel("New password").fill("plum-harbour-otter-nine");
    await page.getByRole("button", { name: "Set the password" }).click();
    await heading(page, "Password changed").waitFor();
    const { answer } = await new Api(server.url).signIn(email, "plum-harbour-otter-nine");
    assert.equal(answer.user.has_password, true);
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
