"""The first row of each table file, and elements that no rule reads, left beside the spool: so that what a sender adds or drops is seen.

Belongs here: what of a name may be told, the note's form. Does not belong here: comparing deliveries (`assets/ledger/headers`).
A column may bear anything: a table turned on its side has people for columns. So a name is told where it reads as that of a column, else its place.
"""

from __future__ import annotations

import json
import re
from collections.abc import Collection, Iterable, Sequence
from pathlib import Path

_MOST_CHARACTERS, _MOST_WORDS = 64, 5
_MAY_BE_DATA = re.compile(r"\d{6}|\d{3,4}-\d{4}|@|[\x00-\x1f\x7f-\x9f]")
"""A long number, an address or control characters may be a value of somebody's."""

_ONE_WORD = re.compile(r"[\x21-\x7e]+")
"""Most systems export names of columns without blanks; people's names have some."""

_SCHEMA_WORDS = re.compile(
    r"(?i)\b(id|ids|no|number|code|codes|name|type|date|dates|time|day|month|year|age|sex|gender|birth|death|value|result|unit|units|dose|count|total|rate"
    r"|score|status|flag|note|group|class|category|level|site|visit|diagnosis|drug|test|measurement|index|mean|first|last|field|form|label|choices"
    r"|subject|patient|participant|sample|specimen|record|event|column|ratio|percent|pressure|weight|height|cholesterol|glucose|region|country)\b"
)
_SCHEMA_PARTS = re.compile(
    "일자|일시|날짜|시각|시간|코드|번호|여부|구분|명칭|분류|종류|유형|결과|검사|진단|처방|투약|약품|수술|시술|수치|단위|횟수|일수|금액|비용|비율|점수|등급|상태|진료"
    "|내원|입원|퇴원|외래|응급|환자|생년|출생|사망|나이|연령|성별|주소|전화|연락처|휴대|성명|이름|신장|체중|혈압|혈당|혈색소|흡연|음주|가족력|병력|시도|시군구|읍면동"
    "|지역|병원|기관|부서|비고|메모|설명|의사|담당의|용량|보험|등록|순번|일련|년도|연도|상병|주상병|부상병|인구|평균|합계|총계|농도|기온|강수|측정"
)
"""Parts of words that names of columns are made of and names of people are not."""

_SCHEMA_NAMES = frozenset({"키", "월", "일", "년", "시", "도", "과", "값", "명", "수", "구", "동", "층"})

_PREFIX = "_header_"
_ELEMENTS = "_elements_"
_ELEMENT = re.compile(r"_?[a-z][A-Za-z]{0,40}(?:64[A-Za-z]*)?")
NO_ELEMENT = "(no name of FHIR)"
"""Stands for an element whose name no resource of FHIR could have."""
_MOST_ELEMENTS = 200
"""Names that one type may add to a note; FHIR R4 resources have up to 60 elements."""


def note_header(spool: Path, file: int, table: str, names: Sequence[str], known: Collection[str] = ()) -> None:
    """Leave the header of one file for landing to read. Writing it again, after a crash of the parser, is no matter.

    Args:
        spool: Where the child writes.
        file: Number of the file.
        table: Delivered table.
        names: Its header.
        known: Names that contract or site file know, in lower case.
    """
    (spool / f"{_PREFIX}{file}.json").write_text(json.dumps({"table": table, "names": tellable(names, known)}), encoding="utf-8")


def noted_headers(spool: Path, *, without: Collection[int] = ()) -> dict[str, list[str]]:
    """Delivered table -> its column names, each once and sorted.

    Args:
        spool: Folder with one folder a wire format.
        without: Files of which nothing landed.
    """
    found: dict[str, set[str]] = {}
    for path in spool.glob(f"*/{_PREFIX}*.json"):
        if int(path.stem.removeprefix(_PREFIX)) not in without:
            note = json.loads(path.read_text(encoding="utf-8"))
            found.setdefault(note["table"], set()).update(note["names"])
    return {table: sorted(names) for table, names in sorted(found.items())}


def note_elements(spool: Path, kind: str, names: Collection[str]) -> None:
    """Leave the elements of a resource type that came and that no rule reads. A parser started again adds to what was noted before."""
    path = spool / f"{_ELEMENTS}{kind}.json"
    before = json.loads(path.read_text(encoding="utf-8")) if path.exists() else []
    told = sorted({*before, *(name if _ELEMENT.fullmatch(name) else NO_ELEMENT for name in names)})
    path.write_text(json.dumps(told[:_MOST_ELEMENTS]), encoding="utf-8")


def noted_elements(spool: Path) -> dict[str, list[str]]:
    """Resource type -> names of its elements that no rule reads, sorted; of every wire format of a delivery."""
    found: dict[str, set[str]] = {}
    for path in spool.glob(f"*/{_ELEMENTS}*.json"):
        found.setdefault(path.stem.removeprefix(_ELEMENTS), set()).update(json.loads(path.read_text(encoding="utf-8")))
    return {kind: sorted(names) for kind, names in sorted(found.items())}


def tellable(names: Iterable[str], known: Collection[str] = ()) -> list[str]:
    """Column names as ledger, errors and Dagster may show them: the name, or where it stands if it may be a value.

    Never a hash: all resident numbers can be tried in minutes.
    """
    return [name if name.casefold() in known or _reads_as_column(name) else f"(column {at})" for at, name in enumerate(names, 1)]


def _reads_as_column(name: str) -> bool:
    if not name or len(name) > _MOST_CHARACTERS or len(name.split()) > _MOST_WORDS or _MAY_BE_DATA.search(name):
        return False
    if name.isascii():
        return bool(_ONE_WORD.fullmatch(name) or _SCHEMA_WORDS.search(name))
    return name in _SCHEMA_NAMES or bool(_SCHEMA_PARTS.search(name))
