"""Keys, signed claims and certificates as NATS wants them, made with openssl alone."""

import base64
import collections
import json
import os
import subprocess
import tempfile
import time

# First byte of a public key, by what it is of (github.com/nats-io/nkeys).
OPERATOR, ACCOUNT, USER = 14 << 3, 0 << 3, 20 << 3
SEED = 18 << 3

Key = collections.namedtuple("Key", "kind file public seed")


def _openssl(*args, stdin=b""):
    return subprocess.run(["openssl", *args], input=stdin, capture_output=True, timeout=60,
                          check=True).stdout


def _crc16(data):
    crc = 0
    for byte in data:
        crc ^= byte << 8
        for _ in range(8):
            crc = (crc << 1 ^ 0x1021 if crc & 0x8000 else crc << 1) & 0xFFFF
    return crc


def _encode(data):
    return base64.b32encode(data + _crc16(data).to_bytes(2, "little")).decode().rstrip("=")


def make_key(folder, name, kind):
    file = os.path.join(folder, name + ".pem")
    _openssl("genpkey", "-algorithm", "ed25519", "-out", file)
    # Both DER forms end with the 32 bytes of the key.
    public = _openssl("pkey", "-in", file, "-pubout", "-outform", "DER")[-32:]
    seed = _openssl("pkey", "-in", file, "-outform", "DER")[-32:]
    prefix = bytes([SEED | kind >> 5, (kind & 31) << 3])
    return Key(kind, file, _encode(bytes([kind]) + public), _encode(prefix + seed))


def sign_nonce(seed_file, nonce):
    """-> (the public key, the signature), as CONNECT wants them."""
    with open(seed_file, encoding="ascii") as file:
        seed = file.read().strip()
    # RFC 8410: what stands before the 32 bytes of a private key.
    private = bytes.fromhex("302e020100300506032b657004220420") + base64.b32decode(
        seed + "=" * (-len(seed) % 8))[2:34]
    with tempfile.TemporaryDirectory() as folder:
        key, message = os.path.join(folder, "key"), os.path.join(folder, "nonce")
        for path, content in ((key, private), (message, nonce.encode())):
            with open(path, "wb") as file:
                file.write(content)
        public = _openssl("pkey", "-inform", "DER", "-in", key, "-pubout", "-outform", "DER")[-32:]
        signature = _openssl("pkeyutl", "-sign", "-rawin", "-keyform", "DER", "-inkey", key, "-in",
                             message)
    return (_encode(bytes([USER]) + public),
            base64.urlsafe_b64encode(signature).decode().rstrip("="))


def sign_claims(folder, issuer, subject, name, claims):
    """A JWT in the form of NATS."""
    def part(value):
        text = json.dumps(value, separators=(",", ":")).encode()
        return base64.urlsafe_b64encode(text).decode().rstrip("=")
    body = {"jti": name, "iat": int(time.time()), "iss": issuer.public, "name": name,
            "sub": subject.public, "nats": {"version": 2, **claims}}
    text = part({"typ": "JWT", "alg": "ed25519-nkey"}) + "." + part(body)
    message = os.path.join(folder, "to-sign")
    with open(message, "w", encoding="ascii") as file:
        file.write(text)
    signature = _openssl("pkeyutl", "-sign", "-rawin", "-inkey", issuer.file, "-in", message)
    return text + "." + base64.urlsafe_b64encode(signature).decode().rstrip("=")


def make_creds(folder):
    """An operator, two accounts and a user. -> (the server's configuration, the user's file)"""
    operator = make_key(folder, "operator", OPERATOR)
    user = make_key(folder, "user", USER)
    accounts = {name: make_key(folder, name, ACCOUNT) for name in ("sys", "cube")}
    unlimited = {"subs": -1, "data": -1, "payload": -1, "imports": -1, "exports": -1,
                 "wildcards": True, "conn": -1, "leaf": -1}
    storage = {"mem_storage": -1, "disk_storage": -1, "streams": -1, "consumer": -1}
    preload = ""
    for name, key in accounts.items():
        limits = unlimited if name == "sys" else {**unlimited, **storage}
        claims = sign_claims(folder, operator, key, name, {"type": "account", "limits": limits})
        preload += f"  {key.public}: {claims}\n"
    top = sign_claims(folder, operator, operator, "op",
                      {"type": "operator", "system_account": accounts["sys"].public})
    mine = sign_claims(folder, accounts["cube"], user, "me",
                       {"type": "user", "subs": -1, "data": -1, "payload": -1})
    creds = os.path.join(folder, "user.creds")
    with open(creds, "w", encoding="ascii") as file:
        file.write(f"-----BEGIN NATS USER JWT-----\n{mine}\n------END NATS USER JWT------\n\n"
                   f"-----BEGIN USER NKEY SEED-----\n{user.seed}\n------END USER NKEY SEED------\n")
    return (f"operator: {top}\nsystem_account: {accounts['sys'].public}\nresolver: MEMORY\n"
            f"resolver_preload: {{\n{preload}}}\n", creds)


def make_certificates(folder):
    """ca.pem; server.pem and client.pem, each with its -key.pem, signed by it."""
    def path(name):
        return os.path.join(folder, name)
    _openssl("req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", "-subj",
             "/CN=a test's authority", "-keyout", path("ca-key.pem"), "-out", path("ca.pem"))
    with open(path("names"), "w", encoding="ascii") as file:
        file.write("subjectAltName=IP:127.0.0.1,DNS:localhost\n")
    for name in ("server", "client"):
        request = _openssl("req", "-newkey", "rsa:2048", "-nodes", "-subj", f"/CN={name}",
                           "-keyout", path(name + "-key.pem"))
        _openssl("x509", "-req", "-days", "2", "-CA", path("ca.pem"), "-CAkey", path("ca-key.pem"),
                 "-CAcreateserial", "-extfile", path("names"), "-out", path(name + ".pem"),
                 stdin=request)
