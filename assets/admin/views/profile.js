// Who one is: the name, and the password.

import { Problem, account, call } from "../api.js";
import { ask } from "../dialog.js";
import { html } from "../lib.js";
import { toast } from "../toast.js";
import { Facts, Section } from "../ui.js";
import { NoPassword, hasPassword } from "./proof.js";
import { invalid } from "./refuse.js";

export function Profile() {
  const who = account.value;
  return html`<${Section} title="Facts" actions=${html`<button onClick=${change}>Change…</button>`}>
    <${Facts} of=${[["E-mail", who?.email], ["Name", who?.full_name], ["Company", who?.company_name]]} /><//>`;
}

function change() {
  const who = account.value;
  const set = async (/** @type {Record<string, any>} */ values) => { account.value = await call("PATCH", "/users/me", values); };
  const before = { full_name: who?.full_name ?? "", company_name: who?.company_name ?? "" };
  return ask({
    title: "Your name",
    fields: [
      { name: "full_name", label: "Name", autocomplete: "name" },
      { name: "company_name", label: "Company", optional: true, autocomplete: "organization" },
    ],
    values: before,
    action: "Change",
    async submit(values) {
      await set(values);
      toast(`You are ${account.value?.full_name} here.`, { undo: () => set(before) });
    },
  });
}

export function Password() {
  if (!hasPassword()) return html`<${NoPassword} />`;
  return html`<${Section} title="Password" actions=${html`<button onClick=${changePassword}>Change it…</button>`}>
    <p class="text">A new one ends your sign-ins everywhere but here. API keys go on working.</p><//>`;
}

function changePassword() {
  return ask({
    title: "Change your password",
    fields: [
      { name: "current_password", label: "Password until now", type: "password", autocomplete: "current-password" },
      { name: "new_password", label: "New password", type: "password", autocomplete: "new-password", hint: "Long beats complicated: four or five unrelated words do well." },
    ],
    action: "Change it",
    async submit(values) {
      try {
        await call("POST", "/auth/change-password", values);
      } catch (problem) {
        throw atField(problem);
      }
      toast("The password is changed. Every other sign-in has ended.");
    },
  });
}

/** The refusal of a password, at the field that it is about. @param {unknown} problem */
function atField(problem) {
  if (!(problem instanceof Problem)) return problem;
  if (problem.code === "weak_password") return invalid("new_password", problem.message);
  if (problem.code === "invalid_credentials") return invalid("current_password", problem.message);
  return problem;
}
