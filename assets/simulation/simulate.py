"""A synthetic country with known truth, rendered as deliveries of hospitals, claims agencies, a registry of deaths, a biobank and others.

Belongs here: the order of work, chunk by chunk. Does not belong here: any rule about people, records or
formats.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow as pa

from assets.simulation import (
    omop_places,
    render_ccda,
    render_consent,
    render_deaths,
    render_dicom,
    render_emr,
    render_fhir,
    render_hira,
    render_hl7,
    render_lims,
    render_nhis,
    render_omop,
    render_ped,
    render_points,
    render_redcap,
)
from assets.simulation.biobank import make_biobank
from assets.simulation.chunk import Chunk, Rendered, registrations, roster
from assets.simulation.claims import make_claims
from assets.simulation.clinical import make_events
from assets.simulation.codes import load_codes
from assets.simulation.consent import make_consent
from assets.simulation.country import SITES, Country, load_country
from assets.simulation.devices import make_images, make_points
from assets.simulation.errors import damage, deliver
from assets.simulation.frame import Frame
from assets.simulation.hostile import add_hostile
from assets.simulation.identities import introduce
from assets.simulation.kernels import fixed_width
from assets.simulation.outbox import Outbox
from assets.simulation.physiology import disease_courses
from assets.simulation.population import make_people
from assets.simulation.registry import eligible, make_registry
from assets.simulation.residents import resident_numbers
from assets.simulation.setting import Setting
from assets.simulation.truth import Truth, write_truth
from assets.simulation.truth_biobank import samples_table
from assets.simulation.truth_registry import registry_table

_ENCODINGS = {"h12": render_emr.ENCODING, "a11": render_nhis.ENCODING, "h14": render_hl7.ENCODING, "a13": render_deaths.ENCODING}
_HEADERS = {
    "h12": render_emr.HEADERS,
    "a11": render_nhis.HEADERS,
    "a12": render_hira.HEADERS,
    "a13": render_deaths.HEADERS,
    "b11": render_lims.HEADERS,
    "r11": render_redcap.HEADERS,
    "g11": {render_ped.FILE: render_ped.HEADER},
}

Progress = Callable[[int, int], None]
"""Called with (people done, people in all) after each chunk."""


class OutputExistsError(FileExistsError):
    """The output folder already holds a country."""


@dataclass(frozen=True)
class SimulationReport:
    """What was written.

    Attributes:
        people: People in the country.
        seed: Seed.
        deliveries: Delivery folders.
        files: Delivered files.
        records: Delivered records, planted and repeated ones included.
        bytes: Size of the delivered files.
        records_by_site: The same records by site.
        planted: Planted errors by kind.
    """

    people: int
    seed: int
    deliveries: int
    files: int
    records: int
    bytes: int
    records_by_site: Mapping[str, int]
    planted: Mapping[str, int]


def simulate(
    people: int,
    seed: int,
    out: Path,
    progress: Progress | None = None,
    *,
    hostile: bool = False,
    country: Country | None = None,
) -> SimulationReport:
    """Write `out/deliveries/<site>/<feed>/<delivery_id>/` and `out/truth/*.parquet`.

    Args:
        people: People in the country, at least 1.
        seed: The same seed, number of people and library versions give the same bytes.
        out: A folder that holds no country yet.
        progress: Told how many people are done.
        hostile: Add deliveries that no door may accept (see `hostile.py`).
        country: Other parameters than `country.toml`.

    Returns:
        Counts of what was written.

    Raises:
        ValueError: No people, or a negative seed.
        OutputExistsError: The folder holds deliveries or truth already.
    """
    if people < 1 or seed < 0:
        raise ValueError("a country needs at least one person and a seed of 0 or more")
    for name in ("deliveries", "truth"):
        if (out / name).exists():
            raise OutputExistsError(f"{out / name} exists: give an empty folder, or remove it")
    country = country or load_country()
    return write_country(country, _chunks(country, people, seed), out, seed, progress, hostile=hostile)


def write_country(
    country: Country,
    chunks: Iterable[tuple[Chunk, dict[str, Frame], Frame]],
    out: Path,
    seed: int,
    progress: Progress | None = None,
    *,
    hostile: bool = False,
) -> SimulationReport:
    """Render people by every renderer: the only way from facts to files, for drawn countries and for one made by hand.

    Args:
        country: Deliveries and their dates.
        chunks: People with all that is true of them, what hospitals deliver of it (entity -> rows with `site`), and their patient records.
        out: As for `simulate`.
        seed: As for `simulate`.
        progress: As for `simulate`.
        hostile: As for `simulate`.

    Returns:
        Counts of what was written.
    """
    outbox = Outbox(out / "deliveries", country.delivery_ids, country.resend)
    truth = Truth(out / "truth", country.delivery_ids)
    people = 0
    for chunk, delivered, registered in chunks:
        _write_chunk(chunk, delivered, registered, outbox, truth)
        if (chunk.index + 1) % country.part_chunks == 0:
            outbox.end_part()
        people += len(chunk.people)
        if progress is not None:
            progress(people, chunk.setting.people)
    finished = outbox.close()
    for site, delivery in sorted({(f.site, f.delivery) for f in finished if f.delivery.endswith("-resend")}):
        truth.note_delivery(site, delivery, "duplicate_delivery", "duplicate", None)
    if hostile:
        add_hostile(out, outbox, truth)
    truth.close(finished, country.resend)
    by_site = {site: sum(f.records for f in finished if f.site == site) for site in sorted({f.site for f in finished})}
    return SimulationReport(
        people=people,
        seed=seed,
        deliveries=len({(f.site, f.delivery) for f in finished}),
        files=len(finished),
        records=sum(by_site.values()),
        bytes=sum(f.size for f in finished),
        records_by_site=by_site,
        planted=dict(sorted(truth.planted.items())),
    )


def _chunks(country: Country, total: int, seed: int) -> Iterator[tuple[Chunk, dict[str, Frame], Frame]]:
    """Chunks of people, what is delivered of them and their patient records, one chunk at a time."""
    size = country.chunk_people
    count = -(-total // size)
    for index in range(count):
        setting = Setting(country, load_codes(), seed, index, count, total)
        people = make_people(setting, index * size, min(size, total - index * size))
        course = disease_courses(setting, people)
        events = make_events(setting, people, course)
        consent = make_consent(setting, people)
        chunk = Chunk(
            setting=setting,
            people=people,
            course=course,
            events=events,
            consent=consent,
            claims=make_claims(setting, people, course, events, consent),
            resident=fixed_width((resident_numbers(setting, people) + ord("0")).astype(np.uint8)),
            names=introduce(setting, len(people)),
            points=make_points(setting, people, course),
            images=make_images(setting, people),
            registry=make_registry(setting, people, events, consent, eligible(setting, people, course, consent)),
        )
        registered = roster(country, people, registrations(people, events.visit))
        yield chunk, deliver(setting, people, events), registered


def _write_chunk(chunk: Chunk, delivered: Mapping[str, Frame], registered: Frame, outbox: Outbox, truth: Truth) -> None:
    """Render and write one chunk, site by site to keep little in memory."""
    fixed = {"h11": render_fhir.fixed_files, "h13": omop_places.fixed_files}
    renderers = {
        "h11": render_fhir.render_fhir,
        "h12": render_emr.render_emr,
        "h13": render_omop.render_omop,
        "h14": render_hl7.render_hl7,
        "h15": render_ccda.render_ccda,
    }
    for number, site in enumerate(SITES):
        own = {entity: frame.take(frame["site"] == number) for entity, frame in delivered.items()}
        known = registered.take(registered["site"] == number)
        if chunk.index == 0 and site in fixed:
            for part in fixed[site](chunk):
                _write(chunk, site, part, outbox, truth)
        for part in renderers[site](chunk, own, known):
            _write(chunk, site, part, outbox, truth)
    _write(chunk, "c01", render_consent.render_consent(chunk), outbox, truth)
    for agency, render in (("a11", render_nhis.render_nhis), ("a12", render_hira.render_hira), ("a13", render_deaths.render_deaths)):
        for part in render(chunk):
            _write(chunk, agency, part, outbox, truth)
    _write(chunk, "w11", render_points.render_points(chunk, chunk.points), outbox, truth)
    for part in render_dicom.render_dicom(chunk, chunk.images):
        _write(chunk, "h16", part, outbox, truth)
    bank = make_biobank(chunk.setting, chunk.people, chunk.consent)
    for part in render_lims.render_lims(chunk, bank):
        _write(chunk, "b11", part, outbox, truth)
    truth.add("biobank_samples", samples_table(chunk, bank))
    for part in render_redcap.render_redcap(chunk, chunk.registry):
        _write(chunk, "r11", part, outbox, truth)
    truth.add("registry_facts", registry_table(chunk))
    _write(chunk, "g11", render_ped.render_ped(chunk), outbox, truth)
    truth.add("pedigree_links", render_ped.links_table(chunk))
    write_truth(truth, chunk, delivered)


def _write(chunk: Chunk, site: str, part: Rendered, outbox: Outbox, truth: Truth) -> None:
    """Append one file's records to the delivery each belongs to."""
    name = part.name.format(part=chunk.index // chunk.country.part_chunks)
    encoding = _ENCODINGS.get(site, "utf-8")
    delivery = part.frame["delivery"]
    for number in np.unique(delivery).tolist():
        begin = int(np.searchsorted(delivery, number, side="left"))
        end = int(np.searchsorted(delivery, number, side="right"))
        body = part.body if isinstance(part.body, bytes) else part.body.slice(begin, end - begin)
        if isinstance(body, pa.Table):
            before = outbox.table(site, number, name).write(body)
        elif isinstance(body, bytes):
            file = outbox.text(site, number, name)
            before = file.write_whole(body)
            file.close()
        else:
            footer = render_hl7.footer if site == "h14" else None
            file = outbox.text(site, number, name, encoding=encoding, header=_header(site, name), footer=footer)
            before = file.write(body, damage(body, part.frame["plant"][begin:end], encoding))
            if site == "h15":  # a document is complete, and there are more of them than may be open at once
                file.close()
        truth.note(chunk, site, number, name, part, slice(begin, end), before)


def _header(site: str, name: str) -> str:
    if site in _HEADERS:
        return _HEADERS[site][name] + (render_emr.LINE_END if site == "h12" else "\n")
    if site == "h14":
        return render_hl7.header(name)
    return render_consent.HEADER + "\n" if site == "c01" else ""
