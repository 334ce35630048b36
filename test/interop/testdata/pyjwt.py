"""Does with PyJWT what standard input asks for, and answers on standard output: see Library in ../library_test.go."""

import json
import ssl
import sys
import urllib.request

import jwt
from jwt import PyJWK, PyJWKClient, PyJWKSet

REFUSALS = {
    jwt.InvalidSignatureError: "bad signature",
    jwt.ExpiredSignatureError: "expired",
}


def served_key(task):
    context = ssl.create_default_context(cadata=task["ca"])
    urllib.request.install_opener(urllib.request.build_opener(urllib.request.HTTPSHandler(context=context)))
    with urllib.request.urlopen(task["configuration"]) as response:
        configuration = json.load(response)
    if configuration["issuer"] != task["issuer"]:
        raise jwt.InvalidIssuerError(configuration["issuer"])
    return PyJWKClient(configuration["jwks_uri"]).get_signing_key_from_jwt(task["token"]).key


def verify(task):
    header = jwt.get_unverified_header(task["token"])
    if header["typ"] != task["type"]:
        return {"refusal": "wrong type"}
    try:
        key = served_key(task) if "configuration" in task else PyJWKSet.from_json(task["jwks"])[header["kid"]].key
    except KeyError:
        return {"refusal": "unknown key"}
    try:
        claims = jwt.decode(
            task["token"],
            key,
            algorithms=[task["algorithm"]],
            issuer=task["issuer"],
            audience=task["audience"],
            options={"require": ["iss", "sub", "aud", "exp", "nbf", "iat", "jti"]},
        )
    except jwt.InvalidTokenError as error:
        return {"refusal": REFUSALS.get(type(error), repr(error))}
    return {"claims": claims}


def sign(task):
    key = task.get("pem") or PyJWK.from_json(task["jwk"]).key
    token = jwt.encode(task["claims"], key, algorithm=task["algorithm"], headers={"kid": task["keyID"]})
    return {"token": token}


tasks = json.load(sys.stdin)
json.dump([verify(task) if "token" in task else sign(task) for task in tasks], sys.stdout)
