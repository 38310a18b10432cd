"""Sites that may not be linked by likeness: what they say of people is kept and takes no part in linkage.

Belongs here: which sites the vault leaves out, and what changes where a site file (`[identity] link_by_likeness`) says something else than at the
last linkage. Does not belong here: the site file (`assets/sites`), comparing (`linkage`). Numbers are no likeness: they join people of every site.
"""

from __future__ import annotations

import json
from collections.abc import Collection, Mapping

import sqlalchemy as sa

from assets.privacy.bulk import chunks
from assets.privacy.review import OPEN, WITHDRAWN
from assets.privacy.vault_schema import DEMOGRAPHIC, REVIEW, SETTING, read_rows

_NAME = "sites_left_out"


def sites_left_out(connection: sa.Connection, allowed: Mapping[str, bool] | None = None) -> frozenset[str]:
    """Sites that are not linked by likeness.

    Args:
        connection: Of the vault.
        allowed: Site -> what its site file says. A site without a file stays as it was at the last linkage.
    """
    stored = connection.execute(sa.select(SETTING.c.value).where(SETTING.c.name == _NAME)).scalar()
    before = frozenset(json.loads(stored)) if stored else frozenset()
    said = allowed or {}
    return frozenset(site for site, may in said.items() if not may) | (before - said.keys())


def count_left_out(connection: sa.Connection) -> dict[str, int]:
    """Site that the last linkage left out -> descriptions it has in the vault."""
    out = sorted(sites_left_out(connection))
    c = DEMOGRAPHIC.c
    query = sa.select(c.site, sa.func.count()).where(c.site.in_(out)).group_by(c.site)
    return dict.fromkeys(out, 0) | dict(read_rows(connection, query))


def has_changed(connection: sa.Connection, allowed: Mapping[str, bool]) -> bool:
    """Whether site files leave other sites out than the last linkage did: then there is something to do, though nothing was delivered."""
    return sites_left_out(connection) != sites_left_out(connection, allowed)


def apply_likeness(connection: sa.Connection, allowed: Mapping[str, bool]) -> tuple[frozenset[str], int]:
    """Carry out what site files say since the last linkage. Call it in the transaction that links; where nothing changed it costs one look.

    A site that is left out from now on: its open pairs leave the queue, and what other sites say of the people in them is compared anew. Answers
    of stewards and merges stay. A site that takes part from now on: all its descriptions wait to be compared.

    Returns:
        Sites left out, and pairs taken out of the queue.
    """
    before, now = sites_left_out(connection), sites_left_out(connection, allowed)
    if before == now:
        return now, 0
    c = DEMOGRAPHIC.c
    withdrawn = _withdraw(connection, now - before, now) if now - before else 0
    if before - now:
        connection.execute(DEMOGRAPHIC.update().where(c.site.in_(sorted(before - now))).values(is_compared=False))
    connection.execute(SETTING.delete().where(SETTING.c.name == _NAME))
    connection.execute(SETTING.insert().values(name=_NAME, value=json.dumps(sorted(now)).encode()))
    return now, withdrawn


def _withdraw(connection: sa.Connection, sites: Collection[str], out: Collection[str]) -> int:
    """Take the open pairs of people whom these sites describe out of the queue; a pair that other descriptions make comes back by them."""
    c = DEMOGRAPHIC.c
    theirs = sa.select(c.person_id).where(c.site.in_(sorted(sites)))
    touches = sa.or_(REVIEW.c.left_person_id.in_(theirs), REVIEW.c.right_person_id.in_(theirs))
    pairs = read_rows(
        connection, sa.select(REVIEW.c.id, REVIEW.c.left_person_id, REVIEW.c.right_person_id).where(REVIEW.c.state == OPEN, touches)
    )
    for ids in chunks(row[0] for row in pairs):
        connection.execute(REVIEW.update().where(REVIEW.c.id.in_(ids)).values(state=WITHDRAWN))
    for people in chunks(sorted({person for row in pairs for person in row[1:]})):
        connection.execute(DEMOGRAPHIC.update().where(c.person_id.in_(people), c.site.not_in(sorted(out))).values(is_compared=False))
    return len(pairs)
