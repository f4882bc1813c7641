"""What no schema can foresee.

A request that keeps to the document may still be refused with 400 when a rule depends on the time, on what is
stored, or on several fields together. Each such rule is here with its reason; any other 400 is a failure.
"""

import json

import schemathesis
from schemathesis.openapi.checks import RejectedPositiveData

# Codes that are good reasons wherever they come from.
CODES = {
    "invalid_cursor",  # a cursor is opaque: only one that a page gave is good
    "invalid_token",  # whether a mailed link is good is known by the server alone
    "invalid_signature",  # only the service itself can sign what it reports
    "weak_password",  # how easily a password is guessed is no matter of its form
}

# Fields whose rules OpenAPI 3.0 has no words for.
FIELDS = {
    "expiry_date",  # must be in the future
    "features",  # names have 1 to 64 characters: 3.0 has no `propertyNames`
    "metadata",  # the same
    "org_id",  # issuing a licence: either this or `email`, not both
    "email",  # `format: email` allows some addresses that cannot be mailed to
    "max_concurrent_seats",  # needed when there is no plan to take it from
    "subscription_id",  # recording a payment: either this, or org_id and plan_id together
    "currency",  # a payment has the currency of its plan
    "name",  # no control characters, whatever else
    "q",  # a search has so many words at most
    "confirm",  # restoring a backup: its name once more
    "path",  # begins at the root of the file system
    "amount_cents",  # the price for all periods together may pass the largest amount; a credit has none
    "due_days",  # recording a payment: for a purchase order alone
    "reference",  # and that needs its number
    "periods",  # and nothing is paid for beyond the year 9000
    "scopes",  # an API key: some of the words that there are, none of them more than its owner may; an issuer: `openid` among them
    "format",  # an export of a part of the audit log cannot be proved: csv alone
    "from",  # a time, or a day
    "to",  # the same
    "issuer",  # single sign-on: an issuer must answer there
    "client_id",  # no control characters
    "groups_claim",  # the same
    "groups",  # nobody is made an owner by a group
    "default_role",  # the same
    "password_hash",  # one of the kinds that other systems store
    "email_verified",  # goes with it alone
    "domain",  # of the e-mail addresses of an organisation
    "credential",  # what a browser answers is base64url
    "ceremony_id",  # of a ceremony that was begun
}


@schemathesis.hook
def filter_failure(context, failure, case, response):
    """Keeps every failure but those of valid requests that were refused for a reason listed here."""
    if not isinstance(failure, RejectedPositiveData) or response.status_code != 400:
        return True
    problem = json.loads(response.content)
    if "scimType" in problem:
        return False  # RFC 7643 describes what a directory sends, and filters; our document says an object and a text
    fields = {error["field"] for error in problem.get("errors", [])}
    return not (problem.get("code") in CODES or (fields and fields <= FIELDS))
