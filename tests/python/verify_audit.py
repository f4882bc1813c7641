"""Verifies FILE, an export of the audit log, with the public keys of JWKS, and nothing of CODITECT.

Usage: verify_audit.py FILE JWKS

Prints {"entries": ..., "days": ...} when it is whole and unaltered, and fails otherwise.
"""

import base64
import hashlib
import json
import sys

from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import padding, rsa


def decode(part):
    return base64.urlsafe_b64decode(part + "=" * (-len(part) % 4))


def number(part):
    return int.from_bytes(decode(part), "big")


keys = {
    key["kid"]: rsa.RSAPublicNumbers(number(key["e"]), number(key["n"])).public_key()
    for key in json.load(open(sys.argv[2]))["keys"]
    if key["kty"] == "RSA"
}


def signed(jws, typ):
    message, signature = jws.rsplit(".", 1)
    header, payload = message.split(".")
    header = json.loads(decode(header))
    assert (header["alg"], header["typ"]) == ("RS256", typ), header
    keys[header["kid"]].verify(decode(signature), message.encode(), padding.PKCS1v15(), hashes.SHA256())
    return json.loads(decode(payload))


lines = open(sys.argv[1], "rb").read().split(b"\n")
assert lines.pop() == b"", "the last line ends as every line does"
header, end = json.loads(lines[0]), json.loads(lines[-1])
assert (header["format"], header["version"]) == ("coditect-audit-log", 1), header
end = signed(end["signed_end"], "audit-export+jwt")
before = b"".join(line + b"\n" for line in lines[:-1])
assert hashlib.sha256(before).hexdigest() == end["sha256"], "the bytes are not those that were signed"

seq, chain, days = header["first_seq"] - 1, header["anchor"], 0
for line in lines[1:-1]:
    entry = json.loads(line)
    if "signed_head" in entry:
        head = signed(entry["signed_head"], "audit-head+jwt")
        assert (head["seq"], head["hash"]) == (seq, chain), head
        days += 1
        continue
    told = entry.pop("hash")
    text = json.dumps(entry, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
    chain = hashlib.sha256((chain + "\n" + text).encode()).hexdigest()
    seq += 1
    assert (entry["seq"], told) == (seq, chain), entry
assert (seq, chain) == (end["last_seq"], end["hash"]), end
json.dump({"entries": seq - header["first_seq"] + 1, "days": days}, sys.stdout)
