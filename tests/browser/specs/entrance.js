// The way in and out: set-up, signing in, a forgotten password, the links in mails, signing out.

import assert from "node:assert/strict";
import { describe } from "node:test";

import { Api } from "../api.js";
import { OPERATOR, house, operator, signedIn, visit } from "../house.js";
import { until } from "../server.js";

const CHANGED = "eleven-herons-on-a-roof";

/** @param {import("playwright-core").Page} page @param {string} email @param {string} password */
async function signIn(page, email, password) {
  await page.getByLabel("E-mail address").fill(email);
  await page.getByLabel("Password", { exact: true }).fill(password);
  await page.getByRole("button", { name: "Sign in", exact: true }).click();
}

/** @param {string} name */
const heading = (name) => ({ name, exact: true, level: 1 });

/** An account whose address is confirmed or not. @param {string} email */
async function register(email, confirmed = true) {
  const nobody = new Api(house.server.url);
  await nobody.post("/auth/register", { email, password: OPERATOR.password, full_name: "Ada Park" });
  const token = await tokenFor(email);
  if (confirmed) await nobody.post("/auth/verify-email", { token });
  return token;
}

/** The token in the newest mail to an address. @param {string} email */
async function tokenFor(email, path = "") {
  const mail = await house.server.mail(email, `${path}?token=`);
  return mail.match(/token=([A-Za-z0-9_-]+)/)?.[1] ?? "";
}

describe("the way in", () => {
  visit("a server without an operator says where the set-up link is, and goes on when it is opened", async (page, watched) => {
    await page.goto("/");
    await page.getByRole("heading", heading("This server has no operator yet")).waitFor();
    await watched.look("setup-help");
    await page.goto(house.server.setupLink());
    await page.getByRole("heading", heading("Set up this server")).waitFor();
    await watched.look("setup");
  });

  visit("the set-up link makes the first operator, once", async (page, watched) => {
    watched.expect(/^400 POST \/api\/v1\/setup$/, /^409 POST \/api\/v1\/setup$/);
    await page.goto(house.server.setupLink());
    await page.getByLabel("Full name").fill(OPERATOR.full_name);
    await page.getByLabel("E-mail address").fill(OPERATOR.email);
    await page.getByLabel("Password").fill("password1");
    await page.getByRole("button", { name: "Make the account" }).click();
    await page.locator("#password[aria-invalid=true]").waitFor();
    await watched.accessible("set-up with a weak password");
    await page.getByLabel("Password").fill(OPERATOR.password);
    await page.getByRole("button", { name: "Make the account" }).click();
    await page.getByRole("heading", { name: "Overview", level: 1 }).waitFor({ state: "attached" });
    assert.ok(!page.url().includes("setup="), "the token is gone from the address");
    const second = await page.context().newPage();
    await second.goto(house.server.setupLink());
    await second.getByRole("heading", heading("Sign in")).waitFor();
  });

  visit("a wrong password is refused without saying which part was wrong, the right one opens the page", async (page, watched) => {
    await operator();
    watched.expect(/^401 POST \/api\/v1\/auth\/login$/);
    await page.goto("/admin");
    await page.getByRole("heading", heading("Sign in")).waitFor();
    await watched.look("sign-in");
    await signIn(page, OPERATOR.email, "not the password");
    const first = await page.getByRole("alert").innerText();
    await watched.accessible("sign-in, refused");
    await signIn(page, "nobody@example.com", "not the password");
    await page.getByRole("alert").waitFor();
    assert.equal(await page.getByRole("alert").innerText(), first);
    await signIn(page, OPERATOR.email, OPERATOR.password);
    await page.getByRole("heading", { name: "Overview", level: 1 }).waitFor({ state: "attached" });
  });

  visit("a forgotten password is set anew with the link from the mail, which works once", async (page, watched) => {
    watched.expect(/^400 POST \/api\/v1\/auth\/reset-password$/, /^401 POST \/api\/v1\/auth\/login$/);
    await operator();
    await page.goto("/admin");
    await page.getByRole("button", { name: "Forgotten password" }).click();
    await page.getByRole("heading", heading("Forgotten password")).waitFor();
    await watched.look("forgotten-password");
    await page.getByLabel("E-mail address").fill(OPERATOR.email);
    await page.getByRole("button", { name: "Send the link" }).click();
    await page.getByRole("heading", heading("Look into your mail")).waitFor();
    await watched.look("forgotten-password-sent");

    const token = await tokenFor(OPERATOR.email, "/reset-password");
    await page.goto(`/reset-password?token=${token}`);
    await page.getByRole("heading", heading("Set a new password")).waitFor();
    assert.ok(!page.url().includes("token"), "the token is gone from the address");
    await watched.look("reset-password");
    await page.getByLabel("New password").fill("12345678");
    await page.getByRole("button", { name: "Set the password" }).click();
    await page.locator("#password[aria-invalid=true]").waitFor();
    await page.getByLabel("New password").fill(CHANGED);
    await page.getByRole("button", { name: "Set the password" }).click();
    await page.getByRole("heading", heading("Password changed")).waitFor();
    await page.getByRole("link", { name: "Sign in" }).click();
    await signIn(page, OPERATOR.email, OPERATOR.password);
    await page.getByRole("alert").waitFor();
    await signIn(page, OPERATOR.email, CHANGED);
    await page.getByRole("heading", { name: "Overview", level: 1 }).waitFor({ state: "attached" });

    await page.goto(`/reset-password?token=${token}`);
    await page.getByLabel("New password").fill(OPERATOR.password);
    await page.getByRole("button", { name: "Set the password" }).click();
    await page.getByText("This link was used already or has lapsed").waitFor();
    await watched.accessible("reset with a spent link");

    const { api } = await new Api(house.server.url).signIn(OPERATOR.email, CHANGED);
    await api.post("/auth/change-password", { current_password: CHANGED, new_password: OPERATOR.password });
  });

  visit("the link in the first mail confirms an address, after a click", async (page, watched) => {
    const token = await register("confirms@customer.example", false);
    watched.expect(/^403 POST \/api\/v1\/auth\/login$/);
    await page.goto("/admin");
    await signIn(page, "confirms@customer.example", OPERATOR.password);
    await page.getByRole("button", { name: "Send the mail again" }).waitFor();
    await watched.accessible("sign-in, unconfirmed");
    await page.goto(`/verify-email?token=${token}`);
    await page.getByRole("heading", heading("Confirm your e-mail address")).waitFor();
    await watched.look("verify-email");
    await page.getByRole("button", { name: "Confirm" }).click();
    await page.getByRole("heading", heading("E-mail address confirmed")).waitFor();
  });

  visit("an invitation is accepted with a new account, and then by signing in", async (page, watched) => {
    watched.expect(/^400 POST \/api\/v1\/invitations\/look$/, /^400 POST \/api\/v1\/invitations\/accept$/);
    await register("owner@loom.example");
    const owner = await new Api(house.server.url).signIn("owner@loom.example", OPERATOR.password);
    const first = await owner.api.post("/orgs", { name: "Loom Ltd" });
    const second = await owner.api.post("/orgs", { name: "Spinning Wheel Ltd" });
    for (const [org, words] of [[first, "Accepting opens an account"], [second, "has an account: sign in"]]) {
      await owner.api.post(`/orgs/${org.org_id}/invitations`, { email: "joins@loom.example", role: "billing" });
      const mail = await house.server.mail("joins@loom.example", `Organisation:  ${org.name}`);
      const token = mail.match(/accept-invitation\?token=([A-Za-z0-9_-]+)/)?.[1] ?? "";
      await page.goto(`/accept-invitation?token=${token}`);
      await page.getByRole("heading", heading(`Join ${org.name}`)).waitFor();
      await page.getByText(words).waitFor();
      assert.ok(!page.url().includes("token"), "the token is gone from the address");
      await watched.look(`accept-invitation-${org === first ? "new" : "known"}`);
      if (org === first) {
        await page.getByLabel("Your name").fill("Jo Joiner");
        await page.getByLabel("Choose a password").fill("12345678");
        await page.getByRole("button", { name: "Accept and join" }).click();
        await page.locator("#password[aria-invalid=true]").waitFor();
        await page.getByLabel("Choose a password").fill(CHANGED);
      } else {
        await page.getByLabel("Password").fill(CHANGED);
      }
      await page.getByRole("button", { name: "Accept and join" }).click();
      await page.getByRole("heading", heading(`You belong to ${org.name}`)).waitFor();
      await page.goto(`/accept-invitation?token=${token}`);
      await page.getByText("This link was used already or has lapsed").waitFor();
    }
  });

  visit("an incomplete link says so", async (page, watched) => {
    for (const path of ["/verify-email", "/reset-password", "/accept-invitation"]) {
      await page.goto(path);
      await page.getByText("The link is incomplete").waitFor();
      await watched.accessible();
    }
  });

  visit("who is no operator is told what the page is for", async (page, watched) => {
    await register("customer@customer.example");
    await page.goto("/admin");
    await signIn(page, "customer@customer.example", OPERATOR.password);
    await page.getByRole("heading", heading("Your account")).waitFor();
    await page.getByText("This page is for the operators of this server").waitFor();
    await watched.look("not-an-operator");
    await page.goto("/admin#/licenses");
    await page.getByRole("heading", heading("For operators")).waitFor();
  });

  signedIn("signing out forgets the session, here and on the server", "", async (page, api) => {
    await page.getByRole("button", { name: "Sign out" }).click();
    await page.getByRole("heading", heading("Sign in")).waitFor();
    assert.equal(await page.evaluate(() => sessionStorage.getItem("coditect.session")), null);
    await page.reload();
    await page.getByRole("heading", heading("Sign in")).waitFor();
  });

  signedIn("whoever signs out while the session is renewed stays signed out", "", async (page, api, watched) => {
    const isEnded = () => api.get("/users/me").then(() => false, (problem) => problem.status === 401);
    assert.equal(await isEnded(), false);
    /** @type {(() => void)[]} */
    const held = [];
    await page.route("**/api/v1/auth/refresh", async (route) => {
      await new Promise((resolve) => held.push(() => resolve(undefined)));
      await route.continue();
    });
    // An access token that has ended early is renewed.
    watched.expect(/^401 GET /);
    await page.route("**/api/v1/admin/audit**", (route) => route.fulfill({ status: 401, json: { code: "unauthenticated" } }), { times: 1 });
    await page.goto("/admin#/audit");
    await until("the session is being renewed", async () => held.length > 0);
    await page.getByRole("button", { name: "Sign out" }).click();
    await page.getByRole("heading", heading("Sign in")).waitFor();
    for (const go of held) go();
    await until("the sign-in has ended on the server", isEnded);
    assert.equal(held.length, 1, "a refresh token works once");
    await page.getByRole("heading", heading("Sign in")).waitFor();
    assert.equal(await page.evaluate(() => sessionStorage.getItem("coditect.session")), null);
  });

  signedIn("a reload keeps the session", "", async (page) => {
    await page.reload();
    await page.getByRole("button", { name: "Sign out" }).waitFor();
  });
});
