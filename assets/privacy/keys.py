"""The keys of the vault: one outside that wraps, one fixed that recognises, and versions that seal.

Belongs here: reading and making the key outside the vault, deriving, wrapping, sealing. Does not belong here: where the key file is
(settings), which wrapped keys the vault holds (`keyring`), changing them (`rotation`). No class here shows its bytes in `repr`, and no
message holds any of a key or an identifier.
"""

from __future__ import annotations

import base64
import os
import secrets
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hmac import HMAC
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

KEY_BYTES = 32
_NONCE = 12


class KeyProblem(RuntimeError):
    """The key is missing, malformed or not the one this vault was made with. Always a hard stop."""


@dataclass(frozen=True)
class _Secret:
    """32 bytes that nothing is encrypted or hashed with directly: each purpose has a key derived from them."""

    secret: bytes

    def __repr__(self) -> str:
        return f"{type(self).__name__}(...)"

    def derive(self, purpose: str, length: int = 32) -> bytes:
        """A key for one purpose: HKDF-SHA256 (RFC 5869), `purpose` as info, no salt."""
        return HKDF(hashes.SHA256(), length, None, f"biodam/1/{purpose}".encode()).derive(self.secret)


@dataclass(frozen=True, repr=False)
class VaultKey(_Secret):
    """The root key. It recognises people and records, so it never changes: every look-up and every `record_id` hangs on it."""

    def record_key(self, site: str, scope: str) -> str:
        """Key of the record surrogates of one site and scope: 16 ASCII characters carrying 96 bits."""
        return base64.b64encode(self.derive(f"record/{site}/{scope}", 12)).decode()

    @cached_property
    def _lookups(self) -> HMAC:
        """Keyed, and copied for each identifier: setting up the key costs twice what hashing an identifier does."""
        return HMAC(self.derive("lookup"), hashes.SHA256())

    def lookup(self, system: str, site: str, value: str) -> bytes:
        """Keyed look-up column of an identifier: HMAC-SHA256, 32 bytes."""
        digest = self._lookups.copy()
        digest.update(f"{system}\x1f{site}\x1f{value}".encode())
        return digest.finalize()

    def lookups(self, identifiers: Iterable[tuple[str, str, str]]) -> Iterator[bytes]:
        """The look-up of each (system, site, value)."""
        copy = self._lookups.copy
        for identifier in identifiers:
            digest = copy()
            digest.update("\x1f".join(identifier).encode())
            yield digest.finalize()


@dataclass(frozen=True, repr=False)
class KeyEncryptionKey(_Secret):
    """The key outside the vault. It only wraps the keys inside, so it can be changed without touching an identifier."""

    @cached_property
    def ident(self) -> str:
        """A name for the key, 8 hexadecimal digits of a derived value: tells two key files apart and says nothing of either."""
        return self.derive("ident", 4).hex()

    @cached_property
    def _cipher(self) -> AESGCM:
        return AESGCM(self.derive("wrap"))

    def wrap(self, name: str, version: int, secret: bytes) -> bytes:
        """Encrypt a key of the vault: nonce, then AES-256-GCM (NIST SP 800-38D) bound to its name and version."""
        nonce = os.urandom(_NONCE)
        return nonce + self._cipher.encrypt(nonce, secret, _bound(name, version))

    def unwrap(self, name: str, version: int, wrapped: bytes) -> bytes:
        """Decrypt what `wrap` made.

        Raises:
            KeyProblem: Wrapped under another key, under another name or version, or altered.
        """
        try:
            return self._cipher.decrypt(wrapped[:_NONCE], wrapped[_NONCE:], _bound(name, version))
        except (InvalidTag, ValueError) as error:
            raise KeyProblem(f"the key (ident {self.ident}) does not belong to this vault: nothing was read or written") from error


@dataclass(frozen=True, repr=False)
class SealingKeys:
    """The data keys by version. New identifiers are sealed with the newest."""

    _ciphers: Mapping[int, AESGCM]

    @classmethod
    def of(cls, secrets_: Mapping[int, bytes]) -> SealingKeys:
        """Keys of 32 bytes by version."""
        return cls({version: AESGCM(secret) for version, secret in secrets_.items()})

    def __repr__(self) -> str:
        return f"SealingKeys(versions {sorted(self._ciphers)})"

    @property
    def versions(self) -> tuple[int, ...]:
        """Versions held, oldest first."""
        return tuple(sorted(self._ciphers))

    @cached_property
    def newest(self) -> int:
        """Version that seals."""
        return max(self._ciphers)

    def seal(self, value: str) -> bytes:
        """Encrypt an identifier with the newest key: 12-byte random nonce, then AES-256-GCM ciphertext."""
        nonce = os.urandom(_NONCE)
        return nonce + self._ciphers[self.newest].encrypt(nonce, value.encode(), None)

    def seal_all(self, values: Sequence[str]) -> list[bytes]:
        """Each value as `seal` does it, the nonces drawn at once: asking the kernel for each costs as much as encrypting."""
        drawn, encrypt = os.urandom(_NONCE * len(values)), self._ciphers[self.newest].encrypt
        nonces = (drawn[at : at + _NONCE] for at in range(0, len(drawn), _NONCE))
        return [nonce + encrypt(nonce, value.encode(), None) for nonce, value in zip(nonces, values, strict=True)]

    def open(self, version: int, sealed: bytes) -> str:
        """Decrypt what was sealed with a version.

        Raises:
            KeyProblem: The version came or went since these keys were read, or the value was altered.
        """
        if version not in self._ciphers:
            raise KeyProblem("the vault's data key was changed since this process opened it. Remedy: run the command again")
        try:
            return self._ciphers[version].decrypt(sealed[:_NONCE], sealed[_NONCE:], None).decode()
        except (InvalidTag, ValueError):
            raise KeyProblem("a sealed value of the vault was altered. Remedy: restore the vault from a backup") from None


def new_secret() -> bytes:
    """32 random bytes."""
    return secrets.token_bytes(KEY_BYTES)


def load_key(path: Path, *, create: bool, text: str | None = None) -> KeyEncryptionKey:
    """Read the key-encryption key: 32 bytes in base64.

    Args:
        path: The key file. Mode 600 when made here.
        create: Make a new key if the file is absent. Callers pass True only while the vault itself does not exist.
        text: The key itself, where it comes from the environment; then no file is read or made.

    Raises:
        KeyProblem: Absent and `create` is False, readable by others, or not 32 bytes in base64.
    """
    if text is not None:
        return KeyEncryptionKey(_decode(text.encode(), "BIODAM_VAULT_KEY"))
    if not path.exists():
        if not create:
            raise KeyProblem(f"the vault exists but its key file {path.name} is missing: restore the key, nothing can go on without it")
        _write_key(path)
    if path.stat().st_mode & 0o077:
        raise KeyProblem(f"key file {path.name} can be read by others: chmod 600 it")
    return KeyEncryptionKey(_decode(path.read_bytes(), f"key file {path.name}"))


def _decode(text: bytes, where: str) -> bytes:
    try:
        secret = base64.b64decode(text.strip(), validate=True)
    except ValueError:
        raise KeyProblem(f"{where} is not base64, or was cut: restore the key from its backup") from None
    if len(secret) != KEY_BYTES:
        raise KeyProblem(
            f"{where} must hold {KEY_BYTES} bytes in base64: it was cut or is another file. Remedy: restore the key from its backup"
        )
    return secret


def _write_key(path: Path) -> None:
    """Make a key file whole or not at all: it is linked to its name once it is on disk."""
    if not path.parent.exists():
        path.parent.mkdir(parents=True)
        path.parent.chmod(0o700)
    draft = path.with_name(f".{path.name}.{os.getpid()}")
    descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(descriptor, "wb") as file:
        file.write(base64.b64encode(new_secret()))
        file.flush()
        os.fsync(file.fileno())
    try:
        os.link(draft, path)
    except FileExistsError:
        pass  # another process was first: its key holds
    finally:
        draft.unlink()
    folder = os.open(path.parent, os.O_RDONLY)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)


def _bound(name: str, version: int) -> bytes:
    return f"biodam/1/wrapped/{name}/{version}".encode()
