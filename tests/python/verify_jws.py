"""Verifies DIRECTORY/token against DIRECTORY/jwks.json with PyJWT and prints its claims as JSON.

Usage: verify_jws.py DIRECTORY ALGORITHM

Dates are not checked: the tokens under test are made by a clock that stands still.
"""

import json
import pathlib
import sys

import jwt

directory, algorithm = pathlib.Path(sys.argv[1]), sys.argv[2]
token = (directory / "token").read_text()
keys = jwt.PyJWKSet.from_json((directory / "jwks.json").read_text())
key = keys[jwt.get_unverified_header(token)["kid"]]
unchecked = {"verify_aud": False, "verify_exp": False, "verify_nbf": False, "verify_iat": False}
claims = jwt.decode(token, key, algorithms=[algorithm], options=unchecked)
json.dump(claims, sys.stdout)
