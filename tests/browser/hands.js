// What a person's hands and eyes do on the admin page, by the words that are shown.

/** @typedef {import("playwright-core").Page} Page */

/** @param {Page} page @param {string} name */
export const button = (page, name) => page.getByRole("button", { name, exact: true });

/** The message that passes by. @param {Page} page @param {string | RegExp} text */
export const toast = (page, text) => page.locator(".toast", { hasText: text }).waitFor();

/** The rows of tables with this text. @param {Page} page @param {string} text */
export const row = (page, text) => page.locator("tbody tr", { hasText: text });

/** What is asked just now. @param {Page} page */
export const dialog = (page) => page.locator("dialog[open]");

/** Presses a button of what is asked. @param {Page} page @param {string} name */
export const answer = (page, name) => dialog(page).getByRole("button", { name, exact: true }).click();
