"""dbt models as Dagster assets: one dbt build a run, of what the plan says and nothing else.

Belongs here: what Dagster is told about models, starting dbt, closing the build in the ledger. Does not belong here: deciding what to
rebuild (`assets/planning`), writing a model (`assets/lake/dbt_store`), any SQL.
"""

import contextlib
import io
import json
from collections.abc import Generator, Iterable, Iterator, Mapping
from datetime import date
from pathlib import Path
from typing import Any

import dagster as dg
from dagster_dbt.asset_utils import build_dbt_specs, default_metadata_from_dbt_resource_props

from assets.alerts import raise_alert
from assets.asset_events import must_report_all, still_current
from assets.column_lineage import ProjectLineage, Table, relation_of
from assets.contracts.table import all_entities
from assets.dbt_manifest import PROJECT, Node, empty_models, forget_other_checkout, in_build_order, is_current, untouched_nodes
from assets.dbt_process import LEAVE_OUT
from assets.lake.commits import read_snapshot
from assets.lake.dbt_views import REFERENCE
from assets.landing.again import Replayed
from assets.landing.workspace import Workspace
from assets.planning import BuildPlan, consent_day, fail_build, finish_build, next_build, set_poison_aside
from assets.quiet import code_version
from assets.resources import DagsterDbtTranslator, DagsterDbtTranslatorSettings, FastDbt, LakeResource
from assets.samples import sample_of
from assets.upkeep.guard import require_whole
from assets.withdrawals import finish_replays, land_released

POOL = "dbt"
OWNER = "team:data-platform"
_STANDARDISE = frozenset({"staging", "standard", "vocabulary", "omop"})
_FIRST = dg.AssetKey(["stg_people__sightings"])
"""The model on which "after" hangs: all models are one step."""
_ATTEMPTS = 4
"""Builds of one run: after each that fails on records of single people, once more without them."""
_REGISTERED = frozenset({"view", "seed"})
"""What dbt keeps in its own passing database, not in the lake."""
_FAILED = frozenset({"error", "fail", "runtime error"})


class BuildConfig(dg.Config):
    """How one build differs from the usual."""

    full: bool = False
    """Rebuild every table whole, whatever changed."""


class LakeTranslator(DagsterDbtTranslator):
    """dbt names, groups, owners and descriptions as Dagster's; raw sources are the assets that landing makes."""

    def get_asset_key(self, dbt_resource_props: Node) -> dg.AssetKey:
        """Model name without prefix; sources keep the key of their table."""
        name = dbt_resource_props["name"]
        if dbt_resource_props["resource_type"] != "source":
            return dg.AssetKey([name])
        source = dbt_resource_props["source_name"]
        return dg.AssetKey(["raw", source.removeprefix("raw_"), name] if source.startswith("raw_") else [source, name])

    def get_group_name(self, dbt_resource_props: Node) -> str:
        """The dbt group; without one, the stage the folder stands for."""
        group = dbt_resource_props.get("config", {}).get("group") or dbt_resource_props.get("group")
        if group:
            return str(group)
        folder = (*dbt_resource_props.get("fqn", ("", "")), "", "")[1:3]
        if folder[0] == "marts":
            return str(folder[1])
        if folder[0] in ("release", "governance"):
            return {"release": "release", "governance": "govern"}[folder[0]]
        return "standardise"

    def get_owners(self, dbt_resource_props: Node) -> list[str]:
        """The owner of the dbt group; what has no group is the platform's."""
        return list(super().get_owners(dbt_resource_props) or [OWNER])

    def get_description(self, dbt_resource_props: Node) -> str:
        """The model's own words; dagster-dbt would append the SQL."""
        return str(dbt_resource_props.get("description") or "")

    def get_metadata(self, dbt_resource_props: Node) -> Mapping[str, Any]:
        """Columns, and whether the model is rebuilt by bucket."""
        by_bucket = dbt_resource_props.get("config", {}).get("partition_by") == "person_bucket"
        path = dbt_resource_props.get("original_file_path", "")
        table = f"{dbt_resource_props['schema']}.{dbt_resource_props.get('alias') or dbt_resource_props['name']}"
        own = {"dagster/table_name": table, "file": f"dbt_project/{path}", "person_level": by_bucket}
        return {**default_metadata_from_dbt_resource_props(dbt_resource_props), **own}

    def get_asset_check_spec(self, asset_spec: dg.AssetSpec, manifest: Node, unique_id: str, project: Any) -> dg.AssetCheckSpec | None:
        """Dbt itself stops what lies below a failed test, and the step then fails: Dagster need not do it a second time."""
        spec = super().get_asset_check_spec(asset_spec, manifest, unique_id, project)
        return spec._replace(blocking=False) if spec is not None else None


def warehouse_assets(manifest: Mapping[str, Any], *, after: Iterable[dg.AssetKey] = ()) -> dg.AssetsDefinition:
    """Every model, seed and test of the project, built in one step.

    Args:
        manifest: The parsed dbt project.
        after: Assets that change what people the models read, and are no dbt source: the step waits for them.

    They cannot be materialised one by one: the plan says which tables a change touches, and a build of some of them would leave the others
    behind. What the plan leaves alone costs nothing. In the launchpad, `full: true` rebuilds everything.
    """
    nodes = in_build_order(manifest)
    translator = LakeTranslator(DagsterDbtTranslatorSettings(enable_source_metadata=False))
    specs, check_specs = build_dbt_specs(
        translator=translator, manifest=manifest, select="fqn:*", exclude="", selector="", io_manager_key=None, project=None
    )

    specs = [spec.merge_attributes(deps=list(after)) if spec.key == _FIRST else spec for spec in specs]

    @dg.multi_asset(name="warehouse", specs=specs, check_specs=check_specs, can_subset=False, pool=POOL)
    def warehouse(context: dg.AssetExecutionContext, config: BuildConfig, dbt: FastDbt, lake: LakeResource) -> Iterator[Any]:
        if not is_current():
            raise dg.Failure(
                "the dbt project changed since it was parsed. Remedy: `make parse`, then reload the code location", allow_retries=False
            )
        with lake.hold("building models"):
            workspace = lake.workspace()
            day = consent_day(workspace, asked=lake.asked_day, today=lake.day)
            if day > lake.day:
                context.log.warning(_clock_is_behind(day, lake.day))
                raise_alert(workspace.root, "clock_behind", str(day), _clock_is_behind(day, lake.day), run_id=context.run_id)
            _tell_of_replays(context, workspace, finish_replays(workspace, context.log.info))
            once, told, full = _Once(), set[str](), config.full
            while True:
                plan = next_build(workspace, as_of=day, full=full)
                if plan is not None:
                    build = yield from _built(context, workspace, manifest, plan, dbt=dbt, day=day, full=full, once=once)
                    told |= build.told
                    full = False
                if not _tell_of_replays(context, workspace, land_released(workspace, context.log.info)):
                    break
            if not told:
                context.log.info("nothing changed since the last build: dbt is not started")
        yield from once.only(_unchanged(context, [n for n in nodes if n["unique_id"] not in told]))
        yield from once.only(_unasked(context, once.answered))

    return warehouse


def _built(
    context: dg.AssetExecutionContext, workspace: Workspace, manifest: Mapping[str, Any], plan: BuildPlan, *, dbt: FastDbt, day: date, full: bool,
    once: "_Once",
) -> Generator[Any, None, "_Build"]:  # fmt: skip
    """One build, again without the people on whose records it fails, and closed in the ledger."""
    for attempt in range(_ATTEMPTS):
        build = _Build(context, workspace, manifest, plan)
        try:
            require_whole(workspace, plan.raw_versions if plan.full else {**plan.raw_versions, **plan.model_versions})
            yield from once.only(build.run(dbt))
        except BaseException:
            fail_build(workspace, plan)
            raise
        if not build.failed or attempt + 1 == _ATTEMPTS or not (said := set_poison_aside(workspace, plan)):
            break
        fail_build(workspace, plan)
        for sentence in said:
            context.log.warning(sentence)
            raise_alert(workspace.root, "person_set_aside", plan.run_id, sentence, run_id=context.run_id)
        plan = next_build(workspace, as_of=day, full=full, again=True) or plan
    _close(context, workspace, plan, build)
    return build


def _tell_of_replays(context: dg.AssetExecutionContext, workspace: Workspace, done: Iterable[Replayed]) -> bool:
    """Whether replays landed anything, so that models have to be built once more."""
    landed = 0
    for replayed in done:
        landed += replayed.landed
        if replayed.problem is not None:
            context.log.warning(f"{replayed.key}: {replayed.problem}")
            raise_alert(workspace.root, "replay_failed", str(replayed.key), replayed.problem, run_id=context.run_id)
    if landed:
        context.log.info(f"{landed} record(s) that were held as person_withdrawn have landed: their people are not withdrawn")
    return landed > 0


def _clock_is_behind(day: date, today: date) -> str:
    return (
        f"the clock says {today}, but the last build judged consent on {day}: it is judged on that day again, so that consent that has ended stays ended."
        " Remedy: set the clock; where that day was wrong, run once with BIODAM_AS_OF set to the right one"
    )


class _Once:
    """Lets each output of the step pass once: a build that is run again tells of its models again."""

    def __init__(self) -> None:
        self._told: set[object] = set()
        self.answered: set[dg.AssetCheckKey] = set()

    def only(self, events: Iterable[Any]) -> Iterator[Any]:
        """Events but outputs and check results that were told before."""
        for event in events:
            name = event.output_name if isinstance(event, dg.Output) else None
            if isinstance(event, dg.AssetCheckResult) and event.asset_key is not None and event.check_name is not None:
                key = dg.AssetCheckKey(event.asset_key, event.check_name)
                self.answered.add(key)
                name = str(key)
            if name is None or name not in self._told:
                self._told.add(name)
                yield event


def _unchanged(context: dg.AssetExecutionContext, nodes: Iterable[Node]) -> Iterator[Any]:
    """Outputs of models that were not made again. Only tables have steps below them that wait for an output."""
    for node in nodes:
        name = LakeTranslator().get_asset_key(node).to_python_identifier()
        if must_report_all(context):
            yield dg.Output(None, output_name=name)
        elif node["config"].get("materialized") == "delta":
            yield still_current(name)


def _unasked(context: dg.AssetExecutionContext, answered: set[dg.AssetCheckKey]) -> Iterator[Any]:
    """Dagster wants an output for every test; those of tables that were left alone say nothing new."""
    layer = context.op_execution_context.job_def.asset_layer
    for key in sorted(context.selected_asset_check_keys - answered, key=str):
        yield dg.Output(None, output_name=str(layer.get_op_output_name(key)))


def _close(context: dg.AssetExecutionContext, workspace: Workspace, plan: BuildPlan, build: "_Build") -> None:
    """Record how the build ended; after a failure its changes stay open and the catalogue stays as it is."""
    if not build.failed:
        finish_build(workspace, plan)
        build.remember()
        return
    fail_build(workspace, plan)
    message = f"{len(build.failed)} model(s) or test(s) failed: {', '.join(sorted(build.failed)[:8])}. First: {build.first_error}"
    raise_alert(workspace.root, "build_failed", plan.run_id, message, run_id=context.run_id)
    raise dg.Failure(f"{message}. The catalogue still shows the last good run. Log: {build.log}", allow_retries=False)


class _Build:
    """One dbt build on its way."""

    def __init__(self, context: dg.AssetExecutionContext, workspace: Workspace, manifest: Mapping[str, Any], plan: BuildPlan) -> None:
        self._context = context
        self._workspace = workspace
        self._manifest = manifest
        self._plan = plan
        self._target = workspace.lake.control / "dbt"
        self._version = code_version()
        self._built = workspace.lake.control / "built.json"
        self._commits = _Commits(workspace.lake.dbt_commits, plan.run_id)
        self._lineage = ProjectLineage(
            manifest, self._target / "compiled", known=_other_tables(), kept=PROJECT / "target" / "lineage.json", version=self._version
        )
        self.log = self._target / "dbt.log"
        self.failed: list[str] = []
        self.told: set[str] = set()
        self.answered: set[dg.AssetCheckKey] = set()
        self.first_error = ""

    def run(self, dbt: FastDbt) -> Iterator[Any]:
        """Start dbt; yields outputs and check results as they come."""
        what = "every table" if self._plan.full else f"{len(self._plan.buckets or ())} bucket(s) of people"
        self._context.log.info(f"dbt rebuilds {what}")
        self._target.mkdir(parents=True, exist_ok=True)
        forget_other_checkout(self._target)
        left_out = self._left_out()
        yield from _unchanged(self._context, left_out)
        self.told.update(n["unique_id"] for n in left_out)
        arguments = [
            "--log-level-file", "info", "--no-write-json", "build", "--profiles-dir", dbt.project_dir, "--exclude-resource-type", "unit_test",
            *self._selection([n["unique_id"] for n in left_out]),
        ]  # fmt: skip
        invocation = dbt.cli(arguments, context=self._context, target_path=self._target, raise_on_error=False)
        try:
            yield from self._events(invocation)
        finally:
            if invocation.process.poll() is None:  # interrupted: dbt must not go on writing once the lake is let go
                invocation.process.terminate()
                invocation.process.wait()
        if not invocation.is_successful() and not self.failed:
            self.failed.append("dbt")
            self.first_error = _first_line(str(invocation.get_error()).partition("Errors parsed from dbt logs:")[2])
        self._lineage.save()

    def _selection(self, left_out: list[str]) -> list[str]:
        """What dbt has to run, as it wants to be told.

        Views and seeds are not run one by one where all tables are there: dbt makes those that are read before it starts (macro
        `register_models`), 2 CPU ms each instead of 25. A test runs where anything that it reads is rebuilt
        and may hold a row: in a build of everything too, as most lakes have no delivery of most feeds.
        """
        nodes = self._manifest["nodes"]
        left = set(left_out)
        if not self._plan.full and self._all_tables_exist():
            left.update(n["unique_id"] for n in nodes.values() if n["config"].get("materialized") in _REGISTERED)
        untouched = {*left_out, *self._manifest["sources"], *empty_models(self._manifest, self._plan.raw_versions)}
        tests = (n for n in nodes.values() if n["resource_type"] == "test")
        left.update(t["unique_id"] for t in tests if untouched.issuperset(t["depends_on"]["nodes"]))
        if not left:
            return []
        listed = self._target / "left_out.json"
        listed.write_text(json.dumps({i: nodes[i]["name"] for i in sorted(left)}), encoding="utf-8")
        return [LEAVE_OUT, str(listed)]

    def _all_tables_exist(self) -> bool:
        tables = (n for n in in_build_order(self._manifest) if n["config"].get("materialized") == "delta")
        return all(f"{n['schema']}/{n.get('alias') or n['name']}" in self._plan.model_versions for n in tables)

    def _left_out(self) -> list[Node]:
        """Models that read, over whatever way, nothing that changed since the last build."""
        if self._plan.full:
            return []
        try:
            last = json.loads(self._built.read_text(encoding="utf-8"))
        except (OSError, ValueError):
            return []
        if set(last.get("held", ())) != set(self._plan.held):
            return []  # who is set aside, or back, has to leave or reach every table
        changed = {key for key, version in self._data_versions().items() if last["raw_versions"].get(key) != version}
        day_changed = last["as_of"] != self._plan.as_of
        return untouched_nodes(self._manifest, changed, day_changed=day_changed) if changed or day_changed else []

    def remember(self) -> None:
        """Note which raw tables this build read; the next one leaves out what they leave unchanged."""
        temporary = self._built.with_suffix(".tmp")
        temporary.write_text(
            json.dumps({"as_of": self._plan.as_of, "raw_versions": self._data_versions(), "held": self._plan.held}), encoding="utf-8"
        )
        temporary.replace(self._built)

    def _data_versions(self) -> dict[str, int]:
        """Raw table -> version that last changed its rows: merging small files must not look like new rows."""
        versions = self._workspace.commits.data_versions()
        return {key: versions.get(key, version) for key, version in self._plan.raw_versions.items()}

    def _events(self, invocation: Any) -> Iterator[Any]:
        done = 0
        for event in _without_echo(invocation.stream_raw_events()):
            if event.is_result_event:
                done += 1
                self._note_failure(event.raw_event)
                self._context.log.debug(f"dbt {done}: {event}")
            for out in event.to_default_asset_events(
                manifest=invocation.manifest, dagster_dbt_translator=invocation.dagster_dbt_translator, context=self._context,
                target_path=invocation.target_path,
            ):  # fmt: skip
                if isinstance(out, dg.Output):
                    yield from self._told(out)
                    continue
                if isinstance(out, dg.AssetCheckResult) and out.asset_key is not None and out.check_name is not None:
                    self.answered.add(dg.AssetCheckKey(out.asset_key, out.check_name))
                yield out

    def _note_failure(self, raw: Mapping[str, Any]) -> None:
        node = raw["data"].get("node_info", {})
        if str(node.get("node_status", "")).lower() in _FAILED:
            self.failed.append(node["node_name"])
            self.first_error = self.first_error or _first_line(raw["info"]["msg"])

    def _told(self, out: dg.Output[Any]) -> Iterator[Any]:
        """A table with what its commit wrote; views and seeds are reported only where everything was rebuilt.

        Tables are reported by hand, not through their output: that would read every parent's last event from Dagster's database first.
        """
        node = self._manifest["nodes"][out.metadata["unique_id"].value]
        self.told.add(node["unique_id"])
        commit = self._commits.of(node)
        if commit is None:
            if self._plan.full or must_report_all(self._context):
                yield out
            return
        metadata: dict[str, Any] = {
            "dagster/row_count": commit["rows"],
            "rows_written": commit["rows_written"],
            "bytes_written": commit["bytes"],
            "cpu_s": commit["cpu_s"],
            "table_version": commit["version"],
            "strategy": commit["strategy"],
            "buckets_rebuilt": "all" if self._plan.full else len(self._plan.buckets or ()),
            "code_version": self._version,
        }
        if lineage := self._lineage_of(node):
            metadata["dagster/column_lineage"] = dg.TableColumnLineage(lineage)
        if (sample := sample_of(self._newest_file(commit))) is not None:
            metadata["sample"] = sample
        tags = {"dagster/data_version": str(commit["version"])}
        yield dg.AssetMaterialization(LakeTranslator().get_asset_key(node), metadata={**out.metadata, **metadata}, tags=tags)
        yield still_current(out.output_name)

    def _newest_file(self, commit: Mapping[str, Any]) -> list[Path]:
        """A file that the commit wrote; where it wrote none, one of the table's. Asking the log for all files costs more with every bucket."""
        key = f"{commit['schema']}/{commit['model']}"
        if commit["files"]:
            return [self._workspace.lake.table(key) / commit["files"][-1]["path"]]
        return list(read_snapshot(self._workspace.lake, key, commit["version"]).files)[-1:] if commit["rows"] else []

    def _lineage_of(self, node: Node) -> dict[str, list[dg.TableColumnDep]]:
        """Column -> columns of assets."""
        key = LakeTranslator().get_asset_key
        parts = (*self._manifest["nodes"].values(), *self._manifest["sources"].values())
        assets = {relation_of(n): key(n) for n in parts if n["resource_type"] in ("model", "seed", "source")}
        return {
            column: [dg.TableColumnDep(assets[table], name) for table, name in sources if table in assets]
            for column, sources in self._lineage.of(node["unique_id"]).items()
        }


def _other_tables() -> dict[Table, list[str]]:
    """Columns of raw and reference tables."""
    raw = {(f"raw_{e.family}", e.name): e.raw_schema().names for e in all_entities()}
    return {**raw, **{("reference", name): schema.names for name, schema in REFERENCE.items()}}


class _Commits:
    """The dbt plugin's account of this build, read as it grows."""

    def __init__(self, path: Path, run_id: str) -> None:
        self._path = path
        self._run_id = run_id
        self._read = path.stat().st_size if path.exists() else 0
        self._found: dict[tuple[str, str], dict[str, Any]] = {}

    def of(self, node: Node) -> dict[str, Any] | None:
        """The newest entry of a model, or None for what is no table."""
        if node.get("config", {}).get("materialized") != "delta":
            return None
        if self._path.exists():
            with self._path.open("rb") as file:
                file.seek(self._read)
                for line in file:
                    if line.endswith(b"\n"):
                        self._read += len(line)
                        self._take(line)
        return self._found.get((node["schema"], node.get("alias") or node["name"]))

    def _take(self, line: bytes) -> None:
        entry = json.loads(line)
        if entry["run_id"] == self._run_id:
            self._found[entry["schema"], entry["model"]] = entry


def _without_echo(events: Iterator[Any]) -> Iterator[Any]:
    """dagster-dbt prints each event to stdout, where programs read what `biodam` says; dbt.log has them."""
    nowhere = _Nowhere()
    while True:
        with contextlib.redirect_stdout(nowhere):
            event = next(events, None)
        if event is None:
            return
        yield event


class _Nowhere(io.TextIOBase):
    """Takes text and forgets it."""

    def write(self, text: str) -> int:
        return len(text)


def _first_line(text: str) -> str:
    return next((line.strip() for line in text.splitlines() if line.strip()), "")[:300]
