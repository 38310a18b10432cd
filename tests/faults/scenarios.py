"""The fault scenarios of issue 3: what is tried, and what has to hold. The table of `make faults` and docs/FAULTS.md are made from it."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Scenario:
    """One scenario. `title` is what tests carry as marker, after the number."""

    title: str
    tried: str
    holds: str


_SAFE = "every record once or in quarantine, other sites finish"

SCENARIOS: dict[int, Scenario] = {
    1: Scenario("truncated or altered file", "size or hash differs from the manifest; gzip cut short", "refused or quarantined with reason, other files land"),
    2: Scenario("half-uploaded delivery", "files without manifest, then one file late, then the manifest", "not touched until closed; then lands once"),
    3: Scenario("silent site", "a site that never delivers, one that is late", "freshness shows it, nobody waits for it"),
    4: Scenario("same delivery again", "same id and bytes; same bytes under a new id", "counted as duplicate, nothing written"),
    5: Scenario("same id, other content", "a delivery id or sequence number used twice", "refused by name, the first stays"),
    6: Scenario("late and out of order in all orders", "every order of four deliveries with corrections and deletions", "the same rows stand; incremental = full"),
    7: Scenario("unsafe archive paths", "../, absolute paths, drives, NULs, links, devices, clashing names, in ZIP and TAR", "that member is held back; nothing is written under its name"),
    8: Scenario("zip and gzip bombs", "400 MB of blanks in 400 kB; sizes that lie, members that share bytes, archives in archives", "refused by ratio, memory flat"),
    9: Scenario("wrong and mixed encodings", "CP949 in UTF-8, one bad byte in a row", "only those records are quarantined"),
    10: Scenario("unclosed quotes, ragged rows, NULs", "one of each between good rows", "that row is quarantined, its neighbours land"),
    11: Scenario("50 MB field", "one field of 50 MB, JSON and CSV", "record_too_large, the rest lands"),
    12: Scenario("JSON depth, duplicate keys, NaN, lone surrogates, 6,000 digits", "each between good records", "the record is quarantined or kept exactly"),
    13: Scenario("XML bombs, XXE", "billion laughs, external entity, parameter entity", "any DOCTYPE is refused, no file is read"),
    14: Scenario("HL7 with bad separators and 200,000 components", "messages made to be slow", "<= 2 CPU s each, quarantined or landed"),
    15: Scenario("invalid structures of each format", "mutated files of every wire format", "delivered = landed + quarantined + duplicate"),
    16: Scenario("parser segfault, abort, hang", "a reader that dies, hangs or eats memory on one record", "that record alone is quarantined"),
    17: Scenario("schema drift in 12 variants", "columns added, moved, renamed, dropped, doubled, retyped", "additive lands and is recorded, breaking is held"),
    18: Scenario("poison record in a transform, bisected", "a record on which a model fails at run time", "found, set aside with alert and check; the rest is published"),
    19: Scenario("hostile names", "SQL, shell, path and markup in ids, columns, sites, YAML", "text stays text, nothing is executed or escapes"),
    20: Scenario("code surprises", "unknown codes, code of two domains, retired and local codes", "kept, counted, concept 0; never dropped"),
    21: Scenario("kill, ENOSPC, EIO, EACCES at system calls of every writer", "a shim between process and libc; 20 of about 800 calls for each fault, all by `SITES=all`", _SAFE),
    22: Scenario("kill between Delta commit and Dagster event", "SIGKILL after the commit, before anything is told", "the next run tells it; rows once"),
    23: Scenario("worker killed at 30 random times", "SIGKILL of the landing 27 times, and of all processes of five whole runs; seeded", "final tables equal those of a run nobody killed"),
    24: Scenario("daemon and webserver killed", "SIGKILL of `dagster dev`'s children during a run", "the next run finishes, nothing twice"),
    25: Scenario("dbt killed in the middle of a build", "SIGKILL after 1, 12 and 30 models", "readers see the old marts, then the new ones"),
    26: Scenario("out of memory", "address space limited; parser that eats memory", "fails loudly, the next run finishes"),
    27: Scenario("abort after success", "process aborts when all is written", "exit is a failure, the lake is whole, the next run does nothing twice"),
    28: Scenario("two runs and four writers at once", "two `biodam run`, four senders, two writers of one table", "one works, one waits or says who works"),
    29: Scenario("disk full at any stage", "tmpfs of 600 kB to 8 MB; a lake with 60, 500 and 1,000 kB left", "said in words, nothing twice once there is room"),
    30: Scenario("read-only or vanished mount", "remount read-only; the folder goes away during a build", "old catalogue stays, the next run finishes"),
    31: Scenario("power loss", "newest log and data file zeroed, empty, cut, gone", "found before anything is read, repaired, rows equal"),
    32: Scenario("one flipped bit in each of 500 files", "seeded bit flips", "each file named, none served, repaired"),
    33: Scenario("lost data file, log, checkpoint", "each removed", "named; restored from the landing store"),
    34: Scenario("clock two days behind, 400 days ahead", "one lake, run two days behind, 400 days ahead, then by the right clock", "nothing lost; vacuum refuses or spares"),
    35: Scenario("reader during compaction, rebuild and vacuum", "a reader asks all the time", "same answer always"),
    36: Scenario("upgrade and rollback", "a lake made by an earlier release; a ledger of a later one", "migrated or refused in words; rows equal; backup still runs"),
}  # fmt: skip


def marker_of(number: int) -> str:
    """What tests carry: `25 dbt killed in the middle of a build`."""
    return f"{number:02d} {SCENARIOS[number].title}"
