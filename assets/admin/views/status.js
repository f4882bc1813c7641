// The colour of a status: one place for licences and subscriptions alike.

/** @type {Record<string, string>} */
export const STATUS_TONE = {
  active: "good",
  trialing: "good",
  grace: "warn",
  past_due: "warn",
  incomplete: "warn",
  suspended: "bad",
  expired: "bad",
  revoked: "bad",
  unpaid: "bad",
};
