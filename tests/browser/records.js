// What a vendor has after some weeks, made over the API: plans, customers, licences, seats, payments.

import { Api } from "./api.js";
import { house, operator } from "./house.js";

const PASSWORD = "plum-harbour-otter-nine";
const CUSTOMERS = /** @type {const} */ ([
  ["ada@park-instruments.example", "Ada Park", "Park Instruments"],
  ["bruno@nordwind.example", "Bruno Keller", "Nordwind Logistik GmbH"],
  ["chiara@studio-lume.example", "Chiara Lombardi", "Studio Lume"],
  ["dev@kiwi-robotics.example", "Devika Rao", "Kiwi Robotics"],
  ["emil@fjordlab.example", "Emil Sørensen", "Fjordlab A/S"],
  ["fatima@atlas-survey.example", "Fatima El-Amrani", "Atlas Survey & Mapping"],
  ["grace@hollowaybooks.example", "Grace Holloway", "Holloway Bookbinders"],
]);

/**
 * @typedef {object} Records
 * @property {any[]} plans Solo, Team, Studio
 * @property {any[]} licenses one for each customer, in the order of `customers`
 * @property {{ email: string, name: string, company: string, org_id: string, user_id: string }[]} customers
 * @property {any[]} seats held on the first licence
 */

/** @type {Promise<Records> | undefined} */
let made;

/** The shared server's records, made when they are first asked for. */
export function records() {
  return made ??= furnish();
}

/** @returns {Promise<Records>} */
async function furnish() {
  const { api } = await operator();
  const nobody = new Api(house.server.url);
  const plans = [];
  for (const [plan_name, max_concurrent_seats, monthly_price_cents] of /** @type {const} */ ([["Solo", 1, 1900], ["Team", 12, 14900], ["Studio", 60, 59900]])) {
    plans.push(await api.post("/admin/plans", {
      plan_name, max_concurrent_seats, monthly_price_cents, currency: "EUR", trial_duration_days: 14, description: `For ${max_concurrent_seats === 1 ? "one" : "teams"}`,
      features: { export: true },
    }));
  }
  const customers = [], licenses = [];
  for (const [email, name, company] of CUSTOMERS) {
    const user = await nobody.post("/auth/register", { email, password: PASSWORD, full_name: name, company_name: company });
    customers.push({ email, name, company, org_id: user.org_id, user_id: user.user_id });
    const nth = customers.length;
    const paid = nth % 3 === 0;
    licenses.push(paid
      ? (await api.post("/admin/payments", { org_id: user.org_id, plan_id: plans[nth % 2 + 1].plan_id, reference: `PO ${4700 + nth}` })).license
      : await api.post("/admin/licenses", { email, plan_id: plans[nth % 2].plan_id, expiry_date: nth === 2 ? "2031-12-31T00:00:00Z" : undefined }));
  }
  await api.post(`/admin/licenses/${licenses[3].license_id}/suspend`, { reason: "invoice unpaid" });
  const seats = [];
  for (const machine of ["ada-laptop", "press-room-2", "render-01"]) {
    seats.push(await nobody.post("/licenses/acquire", { license_key: licenses[0].license_key, hardware_id: machine }));
  }
  await nobody.post("/licenses/activate", { license_key: licenses[0].license_key, hardware_id: "ada-laptop-4711", machine_name: "Ada's laptop", platform: "linux" });
  return { plans, licenses, customers, seats };
}
