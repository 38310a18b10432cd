"""Names, telephones, addresses, patient numbers and record numbers.

Belongs here: everything direct about a made person: traps that must not pass the door. Does not belong here:
resident numbers (`residents`), which hospital is attended (`population`).
"""

from __future__ import annotations

import numpy as np
import pyarrow as pa

from assets.simulation.country import SITES
from assets.simulation.frame import Frame, Ints, spread, surrogate
from assets.simulation.kernels import choose, digits, hexadecimal, render
from assets.simulation.setting import Setting

ORPHAN = 2
"""Number of a patient whom the hospital never introduces: 0 and 1 are a person's own."""

_FAMILY = (
    ("김", "Kim"),
    ("이", "Lee"),
    ("박", "Park"),
    ("최", "Choi"),
    ("정", "Jung"),
    ("강", "Kang"),
    ("조", "Cho"),
    ("윤", "Yoon"),
    ("장", "Jang"),
    ("임", "Lim"),
    ("한", "Han"),
    ("오", "Oh"),
    ("서", "Seo"),
    ("신", "Shin"),
    ("권", "Kwon"),
    ("황", "Hwang"),
    ("안", "Ahn"),
    ("송", "Song"),
    ("류", "Ryu"),
    ("홍", "Hong"),
    ("남궁", "Namgung"),
    ("제갈", "Jegal"),
)
_GIVEN = (
    ("민준", "Minjun"),
    ("서연", "Seoyeon"),
    ("도윤", "Doyun"),
    ("지우", "Jiwoo"),
    ("하은", "Haeun"),
    ("예준", "Yejun"),
    ("서현", "Seohyeon"),
    ("지호", "Jiho"),
    ("수아", "Sua"),
    ("건우", "Geonwoo"),
    ("영숙", "Yeongsuk"),
    ("정희", "Jeonghui"),
    ("성호", "Seongho"),
    ("미경", "Migyeong"),
    ("상훈", "Sanghun"),
    ("은주", "Eunju"),
    ("동현", "Donghyeon"),
    ("혜진", "Hyejin"),
    ("재영", "Jaeyeong"),
    ("윤서", "Yunseo"),
    ("현우", "Hyeonu"),
    ("보람", "Boram"),
    ("솔", "Sol"),
    ("순자", "Sunja"),
    ("철수", "Cheolsu"),
)
PROVINCES = (
    "서울특별시",
    "부산광역시",
    "대구광역시",
    "인천광역시",
    "광주광역시",
    "대전광역시",
    "울산광역시",
    "세종특별자치시",
    "경기도",
    "강원특별자치도",
    "충청북도",
    "충청남도",
    "전북특별자치도",
    "전라남도",
    "경상북도",
    "경상남도",
    "제주특별자치도",
)
_DISTRICTS = ("중구", "동구", "서구", "남구", "북구", "강남구", "수성구", "유성구", "해운대구", "달서구")
_ROADS = ("세종대로", "중앙로", "테헤란로", "충장로", "한밭대로", "해변로", "은행나무길", "똠방길")
"""The last one has a syllable that CP949 knows and EUC-KR does not."""

_PREFIX = {
    "h11": {"visit": "enc-", "condition": "con-", "drug": "rx-", "lab": "obs-", "procedure": "prc-"},
    "h12": {"visit": "V", "condition": "D", "drug": "R", "lab": "L", "procedure": "P"},
    "h14": {"visit": "V", "condition": "D", "lab": "L", "procedure": "P"},
    "h15": {"visit": "E", "condition": "C", "drug": "M", "lab": "O", "procedure": "P"},
}


def introduce(setting: Setting, count: int) -> pa.RecordBatch:
    """Direct identifiers, one row a person: Korean and roman name, telephone, address in three columns."""
    rng = setting.stream("identities")
    family, given = rng.integers(0, len(_FAMILY), count), rng.integers(0, len(_GIVEN), count)
    korean, given_text = choose([f for f, _ in _FAMILY], family), choose([g for g, _ in _GIVEN], given)
    house, flat = digits(rng.integers(1, 400, count), 3), digits(rng.integers(101, 2600, count), 4)
    return pa.record_batch(
        {
            "family": korean,
            "given": given_text,
            "name": render("@f@@g@", f=korean, g=given_text),
            "roman": render("@f@ @g@", f=choose([f for _, f in _FAMILY], family), g=choose([g for _, g in _GIVEN], given)),
            "phone": render(
                "010-@a@-@b@",
                a=digits(rng.integers(0, 10_000, count), 4),
                b=digits(rng.integers(0, 10_000, count), 4),
            ),
            "province": choose(PROVINCES, rng.integers(0, len(PROVINCES), count)),
            "city": choose(_DISTRICTS, rng.integers(0, len(_DISTRICTS), count)),
            "line": render("@r@ @h@, @u@호", r=choose(_ROADS, rng.integers(0, len(_ROADS), count)), h=house, u=flat),
        }
    )


def patient_keys(people: Frame, owner: Ints, number: Ints) -> Ints:
    """One number for each patient number in the country: four a person and hospital."""
    return np.asarray(people["person"][owner] * 4 + number, dtype=np.int64)


def person_numbers(keys: Ints, *, seed: int, site: str) -> Ints:
    """OMOP `person_id`: 64 bits, negative ones among them."""
    return surrogate(keys, seed=seed, scope=f"{site}/person").view(np.int64)


def chart_numbers(keys: Ints, *, site: str) -> pa.StringArray:
    """Nine digits on the patient's card."""
    return digits(spread(keys, digits=9, scope=site), 9)


def patient_texts(keys: Ints, *, seed: int, site: str) -> pa.StringArray:
    """The patient number by which records of the site, and the consent service, refer to a patient."""
    if site == "h11":
        return render("pat-@id@", id=hexadecimal(surrogate(keys, seed=seed, scope="h11/patient")))
    if site == "w11":
        return render("user-@n@", n=chart_numbers(keys, site=site))
    if site != "h13":
        return chart_numbers(keys, site=site)
    return pa.array(person_numbers(keys, seed=seed, site=site)).cast(pa.string())


def record_numbers(ids: Ints, *, seed: int, site: str, entity: str) -> Ints:
    """64-bit record numbers of one table of one hospital."""
    return surrogate(ids, seed=seed, scope=f"{site}/{entity}").view(np.int64)


def record_texts(ids: Ints, *, seed: int, site: str, entity: str) -> pa.StringArray:
    """Record numbers as the site writes them."""
    numbers = record_numbers(ids, seed=seed, site=site, entity=entity)
    if site not in _PREFIX:
        return pa.array(numbers).cast(pa.string())
    prefix = _PREFIX[site].get(entity, f"{entity[:3]}-")
    return render(f"{prefix}@id@", id=hexadecimal(numbers.view(np.uint64)))


def texts_by_site(sites: Ints, texts: dict[str, pa.StringArray], rows: dict[str, Ints]) -> pa.StringArray:
    """Texts made for the rows of each site, put back in the order of all rows."""
    joined = pa.concat_arrays([texts[s] for s in SITES])
    order = np.concatenate([rows[s] for s in SITES])
    back = np.empty(len(sites), dtype=np.int64)
    back[order] = np.arange(len(order))
    return joined.take(pa.array(back))
