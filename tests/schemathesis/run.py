"""Runs schemathesis against the real program: as its operator, as nobody, as a directory.

Starts two servers, each with a fresh data folder and some of each record so that calls get past `404`: one for the
operator, one for the others, who take turns. Arguments are handed on to `st run`, e.g.
`--include-operation-id acquire`.
"""

import json
import os
import pathlib
import subprocess
import sys
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor

import requests

HERE = pathlib.Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent / "python"))

from server import Server, binary, free_port  # noqa: E402

OPERATOR = {"email": "operator@example.com", "password": "seven-otters-under-glass"}
# What is under test is not how often one may try, and a sign-in outlives the run.
RELAXED = {
    "CODITECT_AUTH_ADDRESS_PER_MINUTE": "1000000",
    "CODITECT_AUTH_ADDRESS_BURST": "1000000",
    "CODITECT_AUTH_ACCOUNT_PER_MINUTE": "1000000",
    "CODITECT_AUTH_ACCOUNT_BURST": "1000000",
    "CODITECT_AUTH_ACCESS_TOKEN_S": "86400",
    "CODITECT_LOG_LEVEL": "warn",
    "STRIPE_WEBHOOK_SECRET": "whsec_that_nobody_signs_with",
    "SENDGRID_WEBHOOK_KEY": "MFkwEwYHKoZIzj0CAQYIKoZIzj0DAQcDQgAEEDr2LjtURuePQzplybdC+u4CwrqDqBaWjcMMsTbhdbcwHBcepxo7yAQGhHPTnlvFYPAZFceEu/1FwCM/QmGUhA==",
}


class Api:
    """Calls that have to succeed."""

    def __init__(self, url):
        self.url, self.session = url, requests.Session()
        token = self.post("/auth/login", OPERATOR)["access_token"]
        self.session.headers["Authorization"] = f"Bearer {token}"

    def post(self, path, body):
        answer = self.session.post(f"{self.url}/api/v1{path}", json=body, timeout=30)
        assert answer.ok, f"{path}: {answer.status_code} {answer.text}"
        return answer.json()

    def get(self, path):
        answer = self.session.get(f"{self.url}/api/v1{path}", timeout=30)
        assert answer.ok, f"{path}: {answer.status_code} {answer.text}"
        return answer.json()


def make_records(api):
    """Some of each record; answers the dictionaries of schemathesis.toml."""
    org = api.get("/users/me")["org_id"]
    terms = {"max_concurrent_seats": 10, "monthly_price_cents": 9900, "currency": "EUR"}
    plans = [api.post("/admin/plans", {"plan_name": name, **terms})["plan_id"] for name in ("Team", "Firm", "Gone")]
    paid = api.post("/admin/payments", {"org_id": org, "plan_id": plans[0]})
    issued = [api.post("/admin/licenses", {"org_id": org, "max_concurrent_seats": 1000}) for _ in range(4)]
    key = issued[0]["license_key"]
    activation = api.post("/licenses/activate", {"license_key": key, "hardware_id": "machine-0"})
    seats = [api.post("/licenses/acquire", {"license_key": key, "hardware_id": f"machine-{n}"}) for n in range(8)]
    return {
        "license_id": [issued[0]["license_id"], paid["license"]["license_id"]],
        "disposable_license_id": [license["license_id"] for license in issued[1:]],
        "license_key": [key, paid["license"]["license_key"]],
        "session_id": [seat["session_id"] for seat in seats[:4]],
        "kept_session_id": [seat["session_id"] for seat in seats[4:]],
        "activation_id": [activation["activation_id"]],
        "subscription_id": [paid["subscription"]["subscription_id"]],
        "plan_id": plans[:2],
        "disposable_plan_id": plans[2:],
        "org_id": [org],
        "email": [OPERATOR["email"]],
        "expiry_date": ["2999-12-31T00:00:00Z"],
    }


def make_directory(api):
    """An organisation with a directory and somebody in it; answers its records and the directory's token."""
    org = api.post("/orgs", {"name": "Loom Ltd"})["org_id"]
    api.post(f"/orgs/{org}/domains", {"domain": "loom.example"})
    api.post(f"/admin/orgs/{org}/domains/loom.example/verify", {})
    made = api.post(f"/orgs/{org}/provisioning-tokens", {"name": "Schemathesis"})
    directory = requests.Session()
    directory.headers["Authorization"] = f"Bearer {made['secret']}"

    def send(path, body):
        answer = directory.post(f"{api.url}/api/v1/orgs/{org}/scim/v2{path}", json=body, timeout=30)
        assert answer.ok, f"{path}: {answer.status_code} {answer.text}"
        return answer.json()["id"]

    people = [send("/Users", {"userName": f"nr{n}@loom.example"}) for n in range(8)]
    groups = [send("/Groups", {"displayName": f"Weavers {n}"}) for n in range(8)]
    records = {"directory_org_id": [org], "directory_user_id": people, "directory_team_id": groups}
    return records, made["secret"]


def configuration(records, signed_in, directory=None):
    """schemathesis.toml with what only this run knows."""
    text = (HERE / "schemathesis.toml").read_text().replace('"hooks"', json.dumps(str(HERE / "hooks.py")), 1)
    for name, values in records.items():
        text += f"\n[dictionaries.{name}]\nvalues = {json.dumps(values)}\n"
    if directory:
        text += f"""
[[operations]]
include-path-regex = "/scim/v2"

[operations.parameters]
"path.org_id" = {{ dictionary = "directory_org_id", probability = 0.95 }}
"path.user_id" = {{ dictionary = "directory_user_id", probability = 0.7 }}
"path.team_id" = {{ dictionary = "directory_team_id", probability = 0.7 }}

[auth.openapi.Directory]
bearer = {json.dumps(directory)}
"""
    if signed_in:
        # Signs in again after a 401: some calls end the sign-in they are made with.
        text += f"""
[auth.dynamic.openapi.Person]
path = "/api/v1/auth/login"
payload = {{ email = {json.dumps(OPERATOR["email"])}, password = {json.dumps(OPERATOR["password"])} }}
extract_selector = "/access_token"
"""
    return text


def run(server, folder, name, records, signed_in, arguments, directory=None):
    """One run; answers whether nothing was found."""
    config = folder / "schemathesis.toml"
    config.write_text(configuration(records, signed_in, directory))
    st = pathlib.Path(sys.executable).with_name("st")
    command = [st, "--config-file", config, "--no-color", "run", f"{server.url}/openapi.json", "--url", server.url]
    began = time.monotonic()
    done = subprocess.run(
        [*command, *arguments],
        cwd=folder,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
    )
    took = time.monotonic() - began
    print(f"{done.stdout}\n=== {name}: exit code {done.returncode} after {took:.0f} s", flush=True)
    return done.returncode == 0


def as_operator(server, folder, api, records, arguments):
    """The stream of events does not end while an operator looks on; tests/api reads it."""
    return run(server, folder, "as the operator", records, True, ["--exclude-operation-id", "events", *arguments])


def as_others(server, folder, api, records, arguments):
    of_directory, directory = make_directory(api)
    alone = ["--include-path-regex", "/scim/v2", *arguments]
    good = run(server, folder, "as a directory", records | of_directory, False, alone, directory)
    return run(server, folder, "as nobody", records, False, ["--phases", "coverage,fuzzing", *arguments]) and good


def with_server(runs, folder, arguments):
    """Runs against a server of their own; answers whether nothing was found."""
    folder.mkdir()
    (folder / "password").write_text(OPERATOR["password"])
    operator = {"CODITECT_ADMIN_EMAIL": OPERATOR["email"], "CODITECT_ADMIN_PASSWORD_FILE": str(folder / "password")}
    port = free_port()
    command = [os.path.abspath(binary()), "--data", str(folder / "data"), "--listen", f"127.0.0.1:{port}"]
    with Server(command, port, folder, RELAXED | operator, folder / "server.log") as server:
        api = Api(server.url)
        good = runs(server, folder, api, make_records(api), arguments)
    print((folder / "server.log").read_text()[-4000:], flush=True)
    return good


def main():
    with tempfile.TemporaryDirectory(prefix="coditect-schemathesis-") as folder, ThreadPoolExecutor() as pool:
        folder = pathlib.Path(folder)
        tasks = [pool.submit(with_server, runs, folder / runs.__name__, sys.argv[1:]) for runs in (as_operator, as_others)]
        good = [task.result() for task in tasks]
    sys.exit(0 if all(good) else 1)


main()
