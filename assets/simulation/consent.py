"""Consent events and the state they lead to.

Belongs here: grant, change, withdraw, expire, re-consent per person and scope. Does not belong here: how an
event is written (`render_consent`), what a state allows to be read (the consent relation in dbt).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from assets.simulation.country import Country
from assets.simulation.frame import NEVER, Array, Flags, Frame, Ints, between, pick
from assets.simulation.population import YEAR, crosswalk_needs
from assets.simulation.setting import Setting

GRANT, CHANGE, WITHDRAW, EXPIRE, RECONSENT = range(5)
EVENT_TYPES = ("grant", "change", "withdraw", "expire", "reconsent")
ALL_SCOPES = -1
CLINICAL = 0
ADULT, PROXY = range(2)
FORMS = ("BD-ADULT", "BD-PROXY", "KR-34", "KR-41")
"""The programme's own forms, and forms 34 and 41 of the Enforcement Rule of the Bioethics and Safety Act."""

TERMS: tuple[tuple[float, str, str, str], ...] = (
    (0.62, "", "", ""),  # what the form stands for
    (0.10, "GRU", "", ""),
    (0.09, "HMB", "", "NCU"),
    (0.06, "DUO:0000006", "", "DUO:0000045;GS=KR"),
    (0.05, "DS", "KCD:E11", ""),
    (0.04, "HMB", "", "NPUNCU;IRB"),
    (0.02, "GRU", "", "MOR=2027-06-30"),
    (0.02, "HMB", "", "NMDS;PUB"),
)
"""Share of people, DUO permission, disease and modifiers of their grants."""

_TERM_YEARS = 3
_SECOND_FORM_YEARS = 6
"""Version 2.0 of the forms is used from so many years after the start of the horizon."""


@dataclass(frozen=True)
class Consent:
    """Consent of one chunk.

    Attributes:
        event: One row an event: `id`, `owner` (row in the chunk), `type`, `scope` (number or ALL_SCOPES),
            `form`, `version`, `terms` (row of TERMS), `day`, `until` and `covers` (day or NEVER), `slot` (which of the person's
            hospital numbers the row may carry, -1 for none).
        state: One row a person, scope and spell: `owner`, `scope`, `since`, `until` (exclusive, NEVER if
            open), `covers`, `ending` (event type that ended it, -1 if open).
    """

    event: Frame
    state: Frame


@dataclass(frozen=True)
class _Story:
    """What happens to each person's consent. Two-dimensional arrays are (people, scopes); NEVER is no day.

    Attributes:
        granted: Scope granted at enrolment.
        end: Day the first spell ends.
        ending: Event type that ends or is due to end it, -1 for none.
        again: Day a second spell begins.
        until: Day the grant expires by its own terms.
        covers: First day of the records covered, a person.
        changed: Day the clinical scope is changed, a person.
        changed_covers: First day of the records covered from then on, a person.
        minor: A minor at enrolment.
    """

    granted: Flags
    end: Ints
    ending: Ints
    again: Ints
    until: Ints
    covers: Ints
    changed: Ints
    changed_covers: Ints
    minor: Flags


def make_consent(setting: Setting, people: Frame) -> Consent:
    """Consent stories of the chunk's people; people without `has_consent` have none.

    Guarantee: no decision of a person is dated after death; expiry runs on by itself.
    """
    story = _tell(setting.country, setting.stream("consent"), people)
    event = _events(setting.country, people, story)
    order = np.lexsort((event["scope"], event["type"], event["day"], event["owner"]))
    event = _with_terms(setting, event, len(people))
    return Consent(event.take(order).having(id=setting.ids(len(event))), _states(people, story))


def _with_terms(setting: Setting, event: Frame, people: int) -> Frame:
    """Which form an adult signed and what each person's grants permit: a stream of its own, so that nothing else moves."""
    rng = setting.stream("consent/terms")
    terms = pick(rng, [share for share, *_ in TERMS], people)[event["owner"]]
    adult = pick(rng, [0.3, 0.0, 0.4, 0.3], people)[event["owner"]]
    grants = np.isin(event["type"], (GRANT, CHANGE, RECONSENT))
    return event.having(terms=np.where(grants, terms, 0), form=np.where(grants & (event["form"] == ADULT), adult, event["form"]))


def _tell(country: Country, rng: np.random.Generator, people: Frame) -> _Story:
    """Draw the story of each person: at most one of term, withdrawal, majority and change."""
    granted = _granted(rng, country, people)
    minor = (people["enrolled"] - people["birth"]) < int(country.consent["majority_years"] * YEAR)
    majority = people["birth"] + np.ceil(country.consent["majority_years"] * YEAR).astype(np.int64)
    term = np.where(minor, majority, people["enrolled"] + int(_TERM_YEARS * YEAR))
    end, ending = _endings(rng, country, people, minor, term, granted)
    again = _second_spells(rng, country, people, minor, end, ending)
    covered = ~minor & (rng.random(len(people)) < country.consent["covers_from"])
    covers = np.where(covered, people["enrolled"] - _up_to(rng, len(people), 4), NEVER)
    changed, changed_covers = _changes(rng, country, people, granted & (end == NEVER).all(axis=1)[:, None])
    return _Story(
        granted=granted,
        end=end,
        ending=ending,
        again=np.where(granted, again, NEVER),
        until=np.where((ending == EXPIRE) & granted, term[:, None], NEVER),
        covers=covers,
        changed=changed,
        changed_covers=changed_covers,
        minor=np.asarray(minor, dtype=np.bool_),
    )


def _up_to(rng: np.random.Generator, count: int, years: float) -> Ints:
    return between(rng, np.zeros(count), np.full(count, int(years * YEAR)))


def _granted(rng: np.random.Generator, country: Country, people: Frame) -> Flags:
    """Scopes granted at enrolment: enough rows to carry every hospital number that needs the crosswalk."""
    scopes = len(country.consent["scopes"])
    granted = rng.random((len(people), scopes)) < np.array(country.consent["granted"])
    granted |= np.arange(scopes)[None, :] < crosswalk_needs(people)[:, None]
    granted[~granted.any(axis=1), 1] = True
    for scope, flag in (("lifelog", "wears"), ("imaging", "imaged")):  # whoever is recruited for it agreed to it
        granted[:, country.consent["scopes"].index(scope)] |= people[flag]
    return np.asarray(granted & people["has_consent"][:, None], dtype=np.bool_)


def _endings(rng: np.random.Generator, country: Country, people: Frame, minor: Flags, term: Ints, granted: Flags) -> tuple[Ints, Ints]:
    """End of the first spell of each scope and what ends it, each (people, scopes)."""
    rules, count, scopes = country.consent, len(people), granted.shape[1]
    stories = ("fixed_term", "withdraw_all", "withdraw_scope", "withdraw_recent")
    weights = [rules[name] for name in stories]
    story = pick(rng, [*weights, 1 - sum(weights)], count)
    alive = np.minimum(people["death"], country.end)
    calm = (story == len(stories)) & ~minor & (people["death"] == NEVER) & granted[:, CLINICAL]
    story[np.flatnonzero(calm & (people["enrolled"] < country.cutoffs[0]))[:1]] = stories.index("withdraw_recent")

    expiring = minor | (story == stories.index("fixed_term"))
    ending = np.where(np.repeat(expiring[:, None], scopes, axis=1), EXPIRE, -1)
    end = np.where((expiring & (term <= country.end))[:, None] & (ending == EXPIRE), term[:, None], NEVER)
    early = between(rng, people["enrolled"] + 30, alive)
    recent = between(rng, np.full(count, country.cutoffs[0] + 1), alive)
    one_scope = np.arange(scopes)[None, :] == rng.integers(0, scopes, count)[:, None]
    for name, day in (("withdraw_all", early), ("withdraw_scope", early), ("withdraw_recent", recent)):
        chosen = (story == stories.index(name)) & ~minor & (day > people["enrolled"]) & (day <= alive)
        hit = chosen[:, None] & (one_scope if name == "withdraw_scope" else True)
        end, ending = np.where(hit, day[:, None], end), np.where(hit, WITHDRAW, ending)
    return np.where(granted, end, NEVER), np.where(granted, ending, -1)


def _second_spells(rng: np.random.Generator, country: Country, people: Frame, minor: Flags, end: Ints, ending: Ints) -> Ints:
    """Day of re-consent, decided once a person; NEVER where there is none."""
    rules, count = country.consent, len(people)
    after_expiry = np.where(minor, rules["reconsent_at_majority"], rules["reconsent_after_expiry"])[:, None]
    chance = np.where(ending == WITHDRAW, rules["reconsent_after_withdrawal"], after_expiry)
    wait = between(rng, np.full(count, 1), np.full(count, 120))[:, None] + np.where(ending == WITHDRAW, 60, 0)
    again = end + wait
    alive = np.minimum(people["death"], country.end)[:, None]
    wanted = (rng.random(count)[:, None] < chance) & (end < NEVER) & (again <= alive)
    return np.where(wanted, again, NEVER).astype(np.int64)


def _changes(rng: np.random.Generator, country: Country, people: Frame, unbroken: Flags) -> tuple[Ints, Ints]:
    """A change of the clinical scope: from a day on only records since a later day are covered."""
    alive = np.minimum(people["death"], country.end)
    day = between(rng, people["enrolled"] + 60, alive)
    wanted = (rng.random(len(people)) < country.consent["change"]) & unbroken[:, CLINICAL]
    wanted &= (day > people["enrolled"]) & (day <= alive)
    covers = people["enrolled"] - _up_to(rng, len(people), 2)
    return np.where(wanted, day, NEVER).astype(np.int64), np.where(wanted, covers, NEVER).astype(np.int64)


def _events(country: Country, people: Frame, story: _Story) -> Frame:
    """All events, in no order. A withdrawal from everything is one event with scope `all`."""

    def event(kind: int, owner: Array, scope: Array | int, day: Array, **more: Array) -> Frame:
        """Rows of one kind; what is not given is an adult form without limits and without a slot."""
        plain = np.zeros(len(owner), dtype=np.int64)
        second_form = day >= country.start + int(_SECOND_FORM_YEARS * YEAR)
        columns = {"owner": owner, "type": plain + kind, "scope": plain + scope, "day": day, "form": plain}
        columns |= {
            "version": 1 + second_form,
            "until": plain + NEVER,
            "covers": plain + NEVER,
            "slot": plain - 1,
        }
        return Frame(columns | more)

    ending, end, form = story.ending, story.end, story.minor.astype(np.int64)
    parts = []
    row, scope = np.nonzero(story.granted)
    until = story.until[row, scope]
    slot = (np.cumsum(story.granted, axis=1) - 1)[row, scope]
    last_day = until - (until < NEVER)
    grants = {"form": form[row], "until": last_day, "covers": story.covers[row], "slot": slot}
    parts.append(event(GRANT, row, scope, people["enrolled"][row], **grants))
    whole = ((ending == WITHDRAW) == story.granted).all(axis=1) & story.granted.any(axis=1)
    row = np.flatnonzero(whole)
    parts.append(event(WITHDRAW, row, ALL_SCOPES, np.where(story.granted, end, 0)[row].max(axis=1)))
    row, scope = np.nonzero((ending == WITHDRAW) & (end < NEVER) & ~whole[:, None])
    parts.append(event(WITHDRAW, row, scope, end[row, scope]))
    row, scope = np.nonzero((ending == EXPIRE) & (end < NEVER))
    parts.append(event(EXPIRE, row, scope, end[row, scope], form=form[row]))
    row, scope = np.nonzero(story.again < NEVER)
    parts.append(event(RECONSENT, row, scope, story.again[row, scope], covers=story.covers[row]))
    row = np.flatnonzero(story.changed < NEVER)
    term = np.where(story.minor, story.until[:, CLINICAL], NEVER)[row]  # whoever signs for a minor says until when
    changes = {"form": form[row], "until": term - (term < NEVER), "covers": story.changed_covers[row]}
    parts.append(event(CHANGE, row, CLINICAL, story.changed[row], **changes))
    return Frame.concat(parts)


def _states(people: Frame, story: _Story) -> Frame:
    """Spells of each person and scope; a change ends one spell and opens the next on the same day."""
    row, scope = np.nonzero(story.granted)
    change = np.where(scope == CLINICAL, story.changed[row], NEVER)
    end = np.minimum(story.end[row, scope], change)
    ended_by = np.where(end < NEVER, story.ending[row, scope], -1)
    again = story.again[row, scope]

    def spell(since: Array, until: Array, covers: Array, ending: Array, rows: Flags) -> Frame:
        columns = {
            "owner": row,
            "scope": scope,
            "since": since,
            "until": until,
            "covers": covers,
            "ending": ending,
        }
        return Frame(columns).take(rows)

    never, none = np.full(len(row), NEVER), np.full(len(row), -1)
    state = Frame.concat(
        [
            spell(
                people["enrolled"][row],
                end,
                story.covers[row],
                np.where(change < NEVER, CHANGE, ended_by),
                np.ones(len(row), dtype=np.bool_),
            ),
            spell(change, never, story.changed_covers[row], none, change < NEVER),
            spell(again, never, story.covers[row], none, again < NEVER),
        ]
    )
    return state.take(np.lexsort((state["since"], state["scope"], state["owner"])))
