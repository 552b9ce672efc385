"""JSON Web Tokens, and what attackers make of them."""

import base64
import hashlib
import hmac
import json
import time
from pathlib import Path
from typing import Any

import jwt
import pytest
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from jwt.algorithms import ECAlgorithm, RSAAlgorithm

from fairlead.access.environment import token_secret
from fairlead.access.scope import Scope
from fairlead.access.tokens import Tokens, read_jwks
from fairlead.app.access import open_doorkeeper
from fairlead.config import Settings
from fairlead.errors import Code, FairleadError

SECRET = "s" * 32
RSA_KEY = rsa.generate_private_key(public_exponent=65537, key_size=2048)
EC_KEY = ec.generate_private_key(ec.SECP256R1())
STRANGER = rsa.generate_private_key(public_exponent=65537, key_size=2048)


def described(algorithm: Any, key: Any, **more: str) -> dict[str, Any]:
    """The public key as JSON."""
    found: dict[str, Any] = json.loads(algorithm.to_jwk(key.public_key()))
    return found | more


RSA_JWK, EC_JWK = described(RSAAlgorithm, RSA_KEY, kid="r"), described(ECAlgorithm, EC_KEY, kid="e")


def claims(**more: Any) -> dict[str, Any]:
    """Good ones, but for `more`; None takes one out."""
    made = {"sub": "ann", "exp": time.time() + 100} | more
    return {name: value for name, value in made.items() if value is not None}


def write(path: Path, *keys: dict[str, Any]) -> Path:
    """A file with these keys."""
    path.write_text(json.dumps({"keys": keys}))
    return path


def forged(header: Any, body: Any, secret: bytes | None) -> str:
    """A token that no library would make: HS256 over `secret`, or no signature at all."""
    parts = [base64.urlsafe_b64encode(json.dumps(part).encode()).rstrip(b"=") for part in (header, body)]
    signed = b".".join(parts)
    signature = hmac.new(secret, signed, hashlib.sha256).digest() if secret is not None else b""
    return (signed + b"." + base64.urlsafe_b64encode(signature).rstrip(b"=")).decode()


@pytest.fixture
def tokens(tmp_path: Path) -> Tokens:
    """With keys of every kind."""
    return Tokens(SECRET, read_jwks(write(tmp_path / "jwks.json", RSA_JWK, EC_JWK)), audience="models")


def scopes(tokens: Tokens, token: str) -> frozenset[Scope] | None:
    """What the token is good for; None when it is refused."""
    principal = tokens.find(token.encode(), time.time())
    return None if principal is None else principal.scopes


@pytest.mark.parametrize(
    ("key", "algorithm", "key_id"), [(SECRET, "HS256", None), (RSA_KEY, "RS256", "r"), (EC_KEY, "ES256", "e")]
)
def test_a_good_token_of_each_kind_is_let_in(tokens: Tokens, key: Any, algorithm: str, key_id: str | None) -> None:
    """It predicts unless it says more; clocks may differ by half a minute."""

    def made(**more: Any) -> str:
        headers = {"kid": key_id} if key_id else None
        return jwt.encode(claims(aud=["models", "else"], **more), key, algorithm, headers=headers)

    assert scopes(tokens, made()) == frozenset({Scope.PREDICT})
    assert scopes(tokens, made(scope="openid feedback predict")) == frozenset({Scope.FEEDBACK, Scope.PREDICT})
    assert scopes(tokens, made(scope="admin")) == frozenset(Scope)
    assert scopes(tokens, made(scope="openid")) == scopes(tokens, made(scope=["admin"])) == frozenset()
    assert scopes(tokens, made(nbf=time.time() + 20, exp=time.time() - 20)) == frozenset({Scope.PREDICT})
    principal = tokens.find(made(exp=2_000_000_000).encode(), time.time())
    assert principal is not None
    assert principal.expires == 2_000_000_030


@pytest.mark.parametrize(
    "more",
    [
        {"exp": None},
        {"exp": 1},
        {"exp": "soon"},
        {"exp": float("inf")},
        {"nbf": 4_000_000_000},
        {"iat": 4_000_000_000},
        {"aud": "other"},
        {"aud": None},
        {"aud": ["other"]},
    ],
    ids=str,
)
def test_a_token_whose_claims_are_not_good_is_refused(tokens: Tokens, more: dict[str, Any]) -> None:
    """Expired, not yet good, for somebody else, or without an end; whatever key signed it."""
    body = claims(**{"aud": "models"} | more)

    assert scopes(tokens, forged({"alg": "HS256", "typ": "JWT"}, body, SECRET.encode())) is None
    if more != {"exp": "soon"}:  # the library makes none such
        assert scopes(tokens, jwt.encode(body, RSA_KEY, "RS256", headers={"kid": "r"})) is None


def test_no_token_chooses_its_algorithm(tokens: Tokens, tmp_path: Path) -> None:
    """Neither none, nor HS256 over a public key that everybody has, nor a stranger's key, nor an unknown one."""
    body = claims(aud="models")
    pem = RSA_KEY.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
    only_public = Tokens("", read_jwks(write(tmp_path / "only.json", RSA_JWK)), audience="models")
    attacks = [forged({"alg": name}, body, None) for name in ("none", "None", "NONE", "")]
    attacks += [forged({"alg": "none", "kid": "r"}, body, None)]
    for secret in (pem, pem.strip(), json.dumps(RSA_JWK).encode(), RSA_JWK["n"].encode(), b""):
        attacks += [forged({"alg": "HS256", **kid}, body, secret) for kid in ({"kid": "r"}, {"kid": "x"}, {})]
    attacks += [
        jwt.encode(body, STRANGER, "RS256", headers={"kid": "r"}),
        jwt.encode(body, STRANGER, "RS256", headers={"kid": "x"}),
        jwt.encode(body, RSA_KEY, "RS512", headers={"kid": "r"}),
        jwt.encode(body, RSA_KEY, "PS256", headers={"kid": "r"}),
        jwt.encode(body, RSA_KEY, "RS256", headers={"kid": "e"}),
        jwt.encode(body, RSA_KEY, "RS256", headers={"kid": "x"}),
        jwt.encode(body, EC_KEY, "ES256", headers={"kid": "r"}),
        jwt.encode(body, SECRET * 2, "HS512"),
        jwt.encode(body, "t" * 32, "HS256", headers={"jwk": RSA_JWK, "jku": "http://127.0.0.1/", "x5c": ["x"]}),
    ]

    for attack in attacks:
        assert scopes(tokens, attack) is None, attack
        assert scopes(only_public, attack) is None, attack
    assert scopes(only_public, jwt.encode(body, SECRET, "HS256")) is None


def test_garbage_is_refused_and_breaks_nothing(tokens: Tokens) -> None:
    """Whatever stands between two dots."""
    good = jwt.encode(claims(aud="models"), SECRET, "HS256")
    deep = base64.urlsafe_b64encode(b"[" * 5000).decode()
    head, body, signature = good.split(".")
    garbage = ["", ".", "..", "...", "a.b.c", f"{deep}.{body}.{signature}", f"{head}.{deep}.{signature}", good[:-4]]
    headers: list[Any] = [[], 1, None, {"alg": 1}, {"alg": "HS256", "kid": 1}]
    bodies: list[Any] = [[], 1, None, "x"]
    garbage += [forged(header, {}, SECRET.encode()) for header in headers]
    garbage += [forged({"alg": "HS256"}, claimed, SECRET.encode()) for claimed in bodies]
    garbage += [f"{head}.{body}.{signature}\u00ff"]

    for token in garbage:
        assert scopes(tokens, token) is None, token


@pytest.mark.parametrize(
    "key",
    [
        {"kty": "oct", "kid": "o", "k": "c2VjcmV0"},
        described(RSAAlgorithm, RSA_KEY, kid="r", alg="RS512"),
        described(RSAAlgorithm, RSA_KEY),
        described(RSAAlgorithm, rsa.generate_private_key(public_exponent=65537, key_size=1024), kid="small"),
        described(ECAlgorithm, ec.generate_private_key(ec.SECP384R1()), kid="p384"),
        {**RSA_JWK, "d": "AQAB"},
        {**RSA_JWK, "use": "enc"},
        {"kty": "RSA", "kid": "r"},
    ],
    ids=["secret", "RS512", "no id", "1024 bits", "P-384", "private", "encrypts", "no numbers"],
)
def test_a_key_file_with_a_key_that_is_not_taken_is_refused(tmp_path: Path, key: dict[str, Any]) -> None:
    """Before the server serves."""
    with pytest.raises(FairleadError, match=r"jwks\.json is no set of public keys"):
        read_jwks(write(tmp_path / "jwks.json", key))


def test_a_secret_that_is_none_is_refused(tmp_path: Path) -> None:
    """Too short, or a public key; a file that is not there."""
    pem = RSA_KEY.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo).decode()
    with pytest.raises(FairleadError, match="32 or more"):
        token_secret({"JWT_SECRET_KEY": "short"})
    with pytest.raises(FairleadError, match="is no secret"):
        Tokens(pem)
    with pytest.raises(FairleadError, match="cannot be read"):
        read_jwks(tmp_path / "none.json")


def test_the_environment_turns_tokens_on(tmp_path: Path) -> None:
    """A secret or a file of public keys is enough, and they stand beside keys."""
    settings = Settings.read({}, home=str(tmp_path), jwks_file=str(write(tmp_path / "jwks.json", EC_JWK)))
    for made, environ, token in (
        (settings, {}, jwt.encode(claims(), EC_KEY, "ES256", headers={"kid": "e"})),
        (Settings.read({}, home=str(tmp_path)), {"JWT_SECRET_KEY": SECRET}, jwt.encode(claims(), SECRET, "HS256")),
    ):
        door = open_doorkeeper(made, "own", environ | {"API_KEY": "k" * 16})
        assert door is not None
        assert door.admit(token.encode(), Scope.PREDICT).name == "ann"
        assert door.admit(b"k" * 16, Scope.FEEDBACK).name == "API_KEY"
        assert door.admit(b"own", Scope.PREDICT).name == "console"
        with pytest.raises(FairleadError) as refused:
            door.admit(token.encode(), Scope.FEEDBACK)
        assert refused.value.code is Code.PERMISSION_DENIED
    assert open_doorkeeper(Settings.read({}, home=str(tmp_path)), "own", {}) is None
