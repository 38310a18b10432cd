"""Keyed surrogates of record numbers (encounters, orders, results ...), not joinable across sites, and of people for one project, not joinable across projects.

Belongs here: hashing columns. Does not belong here: people inside of the lake (`vault` gives them random numbers, never a hash).
"""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.hmac import HMAC

from assets.privacy.keys import VaultKey
from assets.privacy.siphash import hash_strings

_MASK = np.uint64(0x7FFF_FFFF_FFFF_FFFF)

_LOOKED_AT = 1024
"""Values from which we guess whether hashing each distinct one once is worth finding them."""


class ProjectPseudonyms:
    """Names of people in what one project is handed.

    A pseudonym is HMAC-SHA256 (RFC 2104) of the `person_id` under a key that HKDF derives from the vault's root key for the project, cut to 128
    bits. Without that key nobody can tell whether two pseudonyms of two projects are one person, nor which person one is.
    """

    def __init__(self, key: VaultKey, project: str) -> None:
        self._mac = HMAC(key.derive(f"project/{project}"), hashes.SHA256())

    def column(self, person_ids: pa.Array) -> pa.Array:
        """32 hexadecimal digits for each `person_id`. Same length; nulls stay null."""
        return pa.array([None if person is None else self._of(person) for person in person_ids.to_pylist()], pa.string())

    def _of(self, person: int) -> str:
        mac = self._mac.copy()
        mac.update(person.to_bytes(8, "big", signed=True))
        return mac.finalize()[:16].hex()


class RecordSurrogates:
    """Record surrogates of one site.

    A surrogate is SipHash-2-4 of the identifier (`siphash.hash_strings`) under a key derived for the site and scope, cut to 63 bits. Over
    10 million records of one scope the chance of any collision is about 5e-6.
    """

    def __init__(self, key: VaultKey, site: str) -> None:
        self._key = key
        self._site = site
        self._keys: dict[str, str] = {}

    def column(self, values: pa.Array, scope: str) -> pa.Array:
        """Surrogates of a string column. Same length; nulls stay null."""
        if values.null_count == len(values):
            return pa.nulls(len(values), pa.int64())
        if pc.count_distinct(values.slice(0, _LOOKED_AT)).as_py() > 0.9 * min(len(values), _LOOKED_AT):  # ids of records: each stands once
            return self._hash(values, scope)
        encoded = values.dictionary_encode()
        hashed = self._hash(encoded.dictionary, scope)
        return hashed.take(encoded.indices)

    def lists(self, values: pa.ListArray, scope: str) -> pa.Array:
        """Surrogates inside a list<string> column -> list<int64>."""
        flat = self._hash(values.flatten(), scope)
        lengths = pc.fill_null(pc.list_value_length(values), 0).to_numpy(zero_copy_only=False)
        offsets = pa.array(np.concatenate([[0], np.cumsum(lengths)]), pa.int32())
        return pa.ListArray.from_arrays(offsets, flat)

    def _hash(self, values: pa.Array, scope: str) -> pa.Array:
        if scope not in self._keys:
            self._keys[scope] = self._key.record_key(self._site, scope)
        hashed = (hash_strings(values, self._keys[scope].encode()) & _MASK).view(np.int64)
        gone = values.is_null().to_numpy(zero_copy_only=False) if values.null_count else None
        return pa.array(hashed, pa.int64(), mask=gone)
