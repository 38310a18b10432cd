"""What may be told of the folders a delivery lies in: a folder may bear any name, a person's too.

Belongs here: `inbox/<site>/<feed>/<delivery_id>` as ledger, logs and Dagster may name it. Does not belong here: files of a delivery (`manifest.neutral_ref`).
"""

from __future__ import annotations

import hashlib
import re
from pathlib import Path

import pyarrow as pa

from assets.ledger.deliveries import DeliveryKey
from assets.privacy.barrier import looks_like_identifier
from assets.privacy.keys import VaultKey
from assets.privacy.pseudonyms import RecordSurrogates
from assets.sites.site import is_site_id

WITHHELD = "withheld"
_FEED = re.compile(r"[a-z][a-z0-9_]{1,40}")


def told_names(folder: Path) -> tuple[str, str, str]:
    """Site, feed and delivery id of `.../<site>/<feed>/<delivery_id>`; `withheld` in place of what may be somebody's name or number."""
    site, feed, name = folder.parts[-3:]
    return (
        site if is_site_id(site) else WITHHELD,
        feed if _FEED.fullmatch(feed) else WITHHELD,
        WITHHELD if looks_like_identifier(name) else _in_ascii(name),
    )


def key_of(folder: Path, key: VaultKey) -> DeliveryKey:
    """The key under which the ledger knows the delivery; what is withheld is told apart by a keyed number."""
    plain = RecordSurrogates(key, "door")
    told = (
        f"{WITHHELD}-{plain.column(pa.array([real]), 'folder')[0].as_py():016x}" if name == WITHHELD else name
        for name, real in zip(told_names(folder), folder.parts[-3:], strict=True)
    )
    return DeliveryKey(*told)


def _in_ascii(name: str) -> str:
    kept = "".join(c if c.isascii() and (c.isalnum() or c in "_.-") else "-" for c in name)[:100]
    return kept if kept == name else f"{kept[:80]}-{hashlib.sha256(name.encode(errors='surrogateescape')).hexdigest()[:8]}"
