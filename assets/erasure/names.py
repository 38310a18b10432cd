"""Names and addresses of a person as texts to look for.

Belongs here: how else a name or address may be written, and which would be found by chance. Does not belong here: whether somebody else has the same
(`assets/privacy/rarity`), encodings and neighbouring letters (`forms`).
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from itertools import accumulate

from assets.erasure.forms import ADDRESS, NAME, Needle
from assets.privacy.demographics import Written, plain_address

SHORTEST_HANGUL = 3
"""Syllables: names of two are words, of places and departments, too often."""
SHORTEST_LATIN = 8
"""Letters of a name in Latin letters, which also has to be of two words: `So Young` is a name."""
SHORTEST_ADDRESS = 8
"""Letters and digits of street, house and flat, some digit among them: `12-3` and `Main Street` are anybody's."""


def is_short(written: Written) -> bool:
    """Whether this would be found by chance."""
    form = written.form
    if written.field == "name":
        return len(form) < SHORTEST_HANGUL
    if written.field == "roman":
        return " " not in form or len(form.replace(" ", "")) < SHORTEST_LATIN
    return len(form) < SHORTEST_ADDRESS or not any(c.isdigit() for c in form)


def kind_of(written: Written) -> str:
    """As receipts call it."""
    return ADDRESS if written.field == "address" else NAME


def needles_of(values: Iterable[Written]) -> Iterator[Needle]:
    """What to look for: each as delivered, in its one form, and in other usual ways."""
    known = list(values)
    told = {(kind_of(one), text) for one in known for text in (one.form, one.text)}
    ways = {(kind_of(one), text) for one in known for text in _WAYS[one.field](one)}
    yield from (Needle(kind, text) for kind, text in sorted(told))
    yield from (Needle(kind, text, is_variant=True) for kind, text in sorted(ways - told))


def _hangul_ways(one: Written) -> Iterator[str]:
    """Family and given name apart, also as HL7 v2 parts them; few family names have two syllables."""
    for family in (1, 2)[: len(one.form) - 2]:
        yield from (f"{one.form[:family]}{between}{one.form[family:]}" for between in (" ", "^"))


def _latin_ways(one: Written) -> Iterator[str]:
    """The family name first or last, as it was delivered and in capitals; the one form is in small letters, and its order says nothing."""
    words = re.findall(r"[^\s,^]+", one.text.title() if one.text == one.form else one.text)
    turned = [(words[0], " ".join(words[1:])), (words[-1], " ".join(words[:-1]))]
    for family, rest in turned if len(words) > 1 else ():
        for text in (f"{family} {rest}", f"{rest} {family}", f"{family}, {rest}", f"{family}^{rest}"):
            yield from (text, text.upper())


def _address_ways(one: Written) -> Iterator[str]:
    """Without the province and city that a line may begin with."""
    words = one.text.split(" ")
    starts = [0, *accumulate(len(word) + 1 for word in words)]
    yield from (one.text[at:] for at in starts[1:-1] if plain_address(one.text[at:]) == one.form)


_WAYS: Mapping[str, Callable[[Written], Iterator[str]]] = {"name": _hangul_ways, "roman": _latin_ways, "address": _address_ways}
