"""Tables in Markdown for the pages of the data team.

Belongs here: form. Does not belong here: what a page says.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence


def table(header: Sequence[str], rows: Iterable[Sequence[object]]) -> str:
    """A Markdown table. A cell that begins with `**` is our own emphasis; everything else is text and may bring no markup."""
    lines = [header, ["---"] * len(header), *rows]
    return "\n".join("| " + " | ".join(_cell(c) for c in line) + " |" for line in lines)


def _cell(value: object) -> str:
    """One cell: names of deliveries come from outside and must not break the table or bring links and markup."""
    text = " ".join(str(value).split())
    return text if text.startswith("**") or text == "---" else "".join(f"\\{c}" if c in r"\|`*_[]<>!" else c for c in text)
