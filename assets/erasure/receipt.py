"""The receipt of an erasure: what was done, signed so that a later change shows.

Belongs here: its fields, the signing key, checking. Does not belong here: doing it (`steps`). `tools/check_receipt.py` checks one without Biodam.

The key (Ed25519, RFC 8032) lies in the vault's folder, the public half beside the receipts. A receipt names no person: `subjects` are keyed
hashes of person ids, which only the vault's root key can make again.
"""

from __future__ import annotations

import base64
import hashlib
import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
    load_pem_private_key,
    load_pem_public_key,
)

from assets.lake.durable import replace_file
from assets.lake.paths import Lake

VERSION = 1
PUBLIC_KEY = "public.pem"


class ReceiptError(ValueError):
    """A receipt is no receipt, or was changed after it was signed."""


def folder(lake: Lake) -> Path:
    """Where receipts and the public key lie."""
    return lake.control / "receipts"


def path_of(lake: Lake, erasure_id: str) -> Path:
    """Where the receipt of an erasure lies."""
    return folder(lake) / f"{erasure_id}.json"


def write(lake: Lake, facts: Mapping[str, Any]) -> Path:
    """Sign and write a receipt; writing it again replaces it."""
    key = _signing_key(lake)
    body = {"receipt_version": VERSION, **facts}
    signature = base64.b64encode(key.sign(canonical(body))).decode()
    content = json.dumps({"receipt": body, "signature": signature, "algorithm": "Ed25519"}, indent=1, sort_keys=True).encode() + b"\n"
    folder(lake).mkdir(parents=True, exist_ok=True)
    public = key.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
    replace_file(folder(lake) / PUBLIC_KEY, public)
    path = path_of(lake, facts["erasure_id"])
    replace_file(path, content)
    return path


def read(lake: Lake, erasure_id: str) -> tuple[dict[str, Any], str]:
    """Facts of a receipt, and the SHA-256 of its file.

    Raises:
        ReceiptError: It is not there, or its signature does not hold.
    """
    path = path_of(lake, erasure_id)
    return check(path, folder(lake) / PUBLIC_KEY), hashlib.sha256(path.read_bytes()).hexdigest()


def check(path: Path, public_key: Path) -> dict[str, Any]:
    """The facts of a receipt whose signature holds.

    Raises:
        ReceiptError: It does not.
    """
    try:
        whole = json.loads(path.read_bytes())
        body, signature = whole["receipt"], base64.b64decode(whole["signature"])
        public = load_pem_public_key(public_key.read_bytes())
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise ReceiptError(f"{path.name} is no receipt, or the public key cannot be read") from error
    if not isinstance(public, Ed25519PublicKey):
        raise ReceiptError(f"{public_key.name} holds no Ed25519 key")
    try:
        public.verify(signature, canonical(body))
    except InvalidSignature as error:
        raise ReceiptError(f"{path.name} was changed after it was signed, or was signed with another key") from error
    facts: dict[str, Any] = body
    return facts


def canonical(body: Mapping[str, Any]) -> bytes:
    """What is signed: JSON, keys sorted, no blanks, ASCII."""
    return json.dumps(body, sort_keys=True, separators=(",", ":")).encode()


def _signing_key(lake: Lake) -> Ed25519PrivateKey:
    path = lake.vault / "receipt.key"
    if path.exists():
        key = load_pem_private_key(path.read_bytes(), None)
        if not isinstance(key, Ed25519PrivateKey):
            raise ReceiptError(f"{path.name} holds no Ed25519 key. Remedy: restore it from the backup of the vault")
        return key
    made = Ed25519PrivateKey.generate()
    lake.vault.mkdir(parents=True, exist_ok=True, mode=0o700)
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "wb") as file:
        file.write(made.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))
        file.flush()
        os.fsync(file.fileno())
    return made
