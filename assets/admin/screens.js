// Every screen: its name in the address, its title, its place in the navigation, and where it is.
// A screen's module exports `default`, a component that is given `{ id, query }` from the address. It is
// loaded when it is first shown.

/**
 * @typedef {object} Screen
 * @property {string} name in the address: `#/name`
 * @property {string} title
 * @property {"" | "Customers" | "Money" | "Operations" | "Person"} group of the last there is a link at the foot
 * @property {() => Promise<{ default: any }>} load
 * @property {boolean} [everybody] whether people who are no operators have it, too, with what is theirs
 * @property {(glance: any) => number} [badge] how many of its records want a hand
 */

/** @type {Screen[]} in the order of the navigation */
export const SCREENS = [
  { name: "", title: "Overview", group: "", load: () => import("./views/overview.js") },
  { name: "licenses", title: "Licences", group: "Customers", load: () => import("./views/licenses.js") },
  { name: "seats", title: "Seats", group: "Customers", load: () => import("./views/seats.js") },
  { name: "users", title: "Users", group: "Customers", load: () => import("./views/users.js") },
  { name: "orgs", title: "Organisations", group: "Customers", everybody: true, load: () => import("./views/orgs.js") },
  { name: "analytics", title: "Analytics", group: "Money", load: () => import("./views/analytics.js") },
  { name: "plans", title: "Plans", group: "Money", load: () => import("./views/plans.js") },
  { name: "subscriptions", title: "Subscriptions", group: "Money", load: () => import("./views/subscriptions.js") },
  { name: "invoices", title: "Invoices", group: "Money", load: () => import("./views/invoices.js") },
  { name: "payments", title: "Payments", group: "Money", load: () => import("./views/payments.js") },
  { name: "emails", title: "E-mails", group: "Operations", load: () => import("./views/emails.js"), badge: (glance) => glance.mails?.parked ?? 0 },
  { name: "jobs", title: "Jobs", group: "Operations", load: () => import("./views/jobs.js"), badge: (glance) => glance.jobs?.parked ?? 0 },
  { name: "backups", title: "Backups", group: "Operations", load: () => import("./views/backups.js") },
  { name: "keys", title: "Keys", group: "Operations", load: () => import("./views/keys.js") },
  { name: "logs", title: "Logs", group: "Operations", load: () => import("./views/logs.js") },
  { name: "diagnostics", title: "Diagnostics", group: "Operations", load: () => import("./views/diagnostics.js") },
  { name: "settings", title: "Settings", group: "Operations", load: () => import("./views/settings.js") },
  { name: "audit", title: "Audit", group: "Operations", load: () => import("./views/audit.js") },
  { name: "account", title: "Your account", group: "Person", everybody: true, load: () => import("./views/account.js") },
];
