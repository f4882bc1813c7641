"""scim2-tester, which others wrote, against a server that speaks SCIM.

    scim.py BASE_URL TOKEN DOMAIN

Runs every check that it has; addresses that it makes up are at DOMAIN, which no schema can tell it. Prints one line
for each check, and `done` with the counts; the exit code says whether all is well.
"""

import collections
import sys
import uuid

import scim2_tester.checkers.patch_add
import scim2_tester.checkers.patch_replace
import scim2_tester.filling
from httpx2 import Client
from scim2_client.engines.httpx2 import SyncSCIMClient
from scim2_tester import Status, check_server

# What the server refuses on purpose, and why.
REFUSED = {
    # Somebody belongs to the organisation or does not: a directory that removes the answer has said nothing.
    ("check_remove_attribute", "active"),
}


def with_addresses(domain):
    """Has the tester make up user names that are addresses at `domain`."""
    made_up = scim2_tester.filling.generate_random_value

    def value(context, path, *args, **kwargs):
        made = made_up(context, path, *args, **kwargs)
        is_name = str(path).lower().endswith("username")
        return f"{uuid.uuid4()}@{domain}" if is_name and made is not None else made

    for module in (scim2_tester.filling, scim2_tester.checkers.patch_add, scim2_tester.checkers.patch_replace):
        module.generate_random_value = value


def refused_on_purpose(result):
    urn = result.data.get("urn", "") if isinstance(result.data, dict) else ""
    return (result.title, urn.rsplit(":", 1)[-1]) in REFUSED


def main():
    base_url, token, domain = sys.argv[1:]
    with_addresses(domain)
    http = Client(base_url=base_url, headers={"Authorization": f"Bearer {token}"}, timeout=30)
    counts = collections.Counter()
    for result in check_server(SyncSCIMClient(http)):
        outcome = result.status.name
        if result.status is Status.ERROR and refused_on_purpose(result):
            outcome = "REFUSED"
        counts[outcome] += 1
        print(outcome, result.resource_type or "-", result.title, str(result.reason).replace("\n", " | ")[:300])
    print("done", " ".join(f"{name}={count}" for name, count in sorted(counts.items())), flush=True)
    bad = {"ERROR", "CRITICAL", "DEVIATION", "SKIPPED"}
    sys.exit(1 if bad & counts.keys() or counts["SUCCESS"] < 50 else 0)


main()
