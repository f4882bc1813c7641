// The projects of an organisation, in which its licences are grouped; with `project` in the address, one of them.

import { account, call, list } from "../api.js";
import { ask } from "../dialog.js";
import { html } from "../lib.js";
import { Table } from "../list.js";
import { usePoll } from "../poll.js";
import { place, to } from "../route.js";
import { attempt, toast } from "../toast.js";
import { Day, Empty, Loading, Section, Status, Tag } from "../ui.js";
import { may } from "./org-rights.js";
import { askName } from "./org-teams.js";

/**
 * @typedef {import("./org-rights.js").Org} Org
 * @typedef {{ project_id: string, name: string, created_at: string, archived_at: string | null }} Project
 */

/** @param {{ org: Org }} props */
export function Projects({ org }) {
  const path = `/orgs/${org.org_id}/projects`;
  const { data, problem } = usePoll(() => list(path, { limit: 200 }), 15_000, [org.org_id]);
  const open = data?.items.find((/** @type {Project} */ each) => each.project_id === place.value.query.project);
  if (open) return html`<${One} key=${open.project_id} org=${org} project=${open} />`;
  const manages = may(org, "teams.manage");
  const make = () => askName({
    title: "New project", action: "Make it",
    submit: (name) => call("POST", path, { name }), done: (name) => `The project ${name} is there.`,
  });
  const columns = [
    { title: "Name", class: "wide", cell: (/** @type {Project} */ each) => html`${each.name}${each.archived_at && html` <${Tag}>archived<//>`}` },
    { title: "Made", cell: (/** @type {Project} */ each) => html`<${Day} at=${each.created_at} />` },
  ];
  return html`<${Section} title="Projects" actions=${manages && !org.deletion_due_at && html`<button onClick=${make}>New project…</button>`}>
    ${!data && html`<${Loading} problem=${problem} />`}
    ${data && (data.items.length
      ? html`<${Table} path="org-projects" columns=${columns} rows=${data.items} id=${(/** @type {Project} */ each) => each.project_id}
          href=${(/** @type {Project} */ each) => to("orgs", org.org_id, { part: "projects", project: each.project_id })}
          rowActions=${manages && ((/** @type {Project} */ each) => html`<${Buttons} org=${org} project=${each} />`)} />`
      : html`<${Empty}><p>No projects yet. A project groups licences that belong together: what one product, customer or site uses. A licence is in one project at most.</p><//>`)}<//>`;
}

/** @param {{ org: Org, project: Project }} props */
function Buttons({ org, project }) {
  const path = `/orgs/${org.org_id}/projects/${project.project_id}`;
  const archive = (/** @type {boolean} */ archived) => call("PATCH", path, { archived });
  const rename = () => askName({
    title: `Rename ${project.name}`, action: "Rename", name: project.name,
    submit: (name) => call("PATCH", path, { name }), done: (name) => `It is called ${name} now.`,
  });
  const turn = () => attempt(() => archive(!project.archived_at), {
    done: project.archived_at ? `${project.name} is open again.` : `Nothing is added to ${project.name} any more.`,
    undo: () => archive(Boolean(project.archived_at)),
  });
  const remove = () => ask({
    title: "Delete this project",
    text: html`<p><strong>${project.name}</strong> is gone then. Its licences stay what they are, in no project.</p>`,
    action: "Delete", danger: true,
    async submit() {
      await call("DELETE", path);
      toast(`The project ${project.name} is deleted.`);
    },
  });
  return html`<button class="plain" onClick=${rename}>Rename…</button>${" "}<button class="plain" onClick=${turn}>${project.archived_at ? "Open again" : "Archive"}</button>${" "}
    <button class="plain" onClick=${remove}>Delete…</button>`;
}

/** One project and its licences. @param {{ org: Org, project: Project }} props */
function One({ org, project }) {
  const { org_id } = org;
  const path = `/orgs/${org_id}/projects/${project.project_id}/licenses`;
  const reads = may(org, "licenses.read");
  const { data, problem } = usePoll(async () => (reads ? list("/licenses", { project_id: project.project_id, limit: 200 }, org_id) : null), 15_000, [project.project_id]);
  const manages = may(org, "teams.manage");
  const add = async () => {
    const all = await attempt(() => list("/licenses", { limit: 200 }, org_id));
    const there = new Set(data?.items.map((/** @type {any} */ each) => each.license_id));
    const others = all?.items.filter((each) => !there.has(each.license_id)) ?? [];
    if (!all) return;
    if (!others.length) return toast(all.items.length ? "Every licence is in it already." : "The organisation has no licence yet.", { tone: "bad" });
    await ask({
      title: `Add a licence to ${project.name}`,
      text: html`<p class="soft">It leaves the project that it is in.</p>`,
      fields: [{ name: "license_id", label: "Licence", type: "select", options: others.map((each) => [each.license_id, `${each.license_key}, ${each.plan_name || "without a plan"}`]) }],
      values: { license_id: others[0].license_id },
      action: "Add",
      async submit({ license_id }) {
        await call("PUT", `${path}/${license_id}`);
        toast("The licence was added.", { undo: () => call("DELETE", `${path}/${license_id}`) });
      },
    });
  };
  const takeOut = (/** @type {any} */ license) => attempt(() => call("DELETE", `${path}/${license.license_id}`), {
    done: "The licence was taken out.", undo: () => call("PUT", `${path}/${license.license_id}`),
  });
  const columns = [
    { title: "Licence", class: "mono", cell: (/** @type {any} */ each) => each.license_key },
    { title: "Plan", cell: (/** @type {any} */ each) => each.plan_name || html`<span class="soft">none</span>` },
    { title: "Status", cell: (/** @type {any} */ each) => html`<${Status} of=${each.status} />` },
  ];
  return html`<p class="back"><a href=${to("orgs", org_id, { part: "projects" })}>← Projects</a></p>
    <${Section} title=${html`${project.name}${project.archived_at && html` <${Tag}>archived<//>`}`}
        actions=${manages && !project.archived_at && html`<button onClick=${add}>Add a licence…</button>`}>
      ${data === undefined && html`<${Loading} problem=${problem} />`}
      ${data === null && html`<p class="empty soft">Your role does not show its licences.</p>`}
      ${data && (data.items.length
        ? html`<${Table} path="project-licenses" columns=${columns} rows=${data.items} id=${(/** @type {any} */ each) => each.license_id}
            href=${account.value?.operator ? (/** @type {any} */ each) => to("licenses", each.license_id) : undefined}
            rowActions=${manages && ((/** @type {any} */ each) => html`<button class="plain" onClick=${() => takeOut(each)}>Take out</button>`)} />`
        : html`<p class="empty soft">No licence is in it.</p>`)}<//>`;
}
