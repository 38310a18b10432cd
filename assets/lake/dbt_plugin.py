"""The dbt-duckdb plugin: dbt reads and writes the lake through it.

Belongs here: what dbt calls. Does not belong here: registration (`dbt_views`) and writing (`dbt_store`).

profiles.yml: `plugins: [{module: assets.lake.dbt_plugin, alias: lake, config: {root: ...}}]`. The `delta` materialisation
(dbt_project/macros/delta.sql) calls `store` through `adapter.store_relation`.
"""

from __future__ import annotations

import re
import threading
from pathlib import Path
from typing import Any

import duckdb
import pyarrow as pa
from dbt.adapters.duckdb.plugins import BasePlugin
from dbt.adapters.duckdb.utils import TargetConfig
from dbt_common.exceptions import DbtRuntimeError

from assets.lake.dbt_store import ModelJob, run_model, store_model
from assets.lake.dbt_views import register_lake, show_model
from assets.lake.extensions import load_delta
from assets.lake.files import RowsRefused
from assets.lake.paths import Lake
from assets.lake.plan import load_plan
from assets.lake.poison import find_poison, report_poison

_ENGINE = re.compile(r"(?!Out of Memory|IO |INTERNAL|FATAL|INTERRUPT)[\w ]+ Error: ")


class Plugin(BasePlugin):
    """One dbt process on one lake."""

    def initialize(self, config: dict[str, Any]) -> None:
        """Take the lake root from the profile; touch nothing (dbt parse makes plugins too)."""
        if not config.get("root"):
            raise ValueError("profiles.yml: the plugin assets.lake.dbt_plugin needs config.root, the lake root")
        self._lake = Lake(Path(config["root"]))
        self._lock = threading.Lock()
        self._versions: dict[str, int] = {}

    def update_connection_config(self, creds: Any, config: dict[str, Any]) -> None:
        """Spill beside the lake and never reach for the network."""
        config.setdefault("temp_directory", str(self._lake.scratch))
        config.setdefault("autoinstall_known_extensions", "false")

    def configure_connection(self, conn: duckdb.DuckDBPyConnection) -> None:
        """Load the extension, read the plan, register what exists."""
        self._connection = conn
        self._lake.control.mkdir(parents=True, exist_ok=True)
        self._plan = load_plan(self._lake.plan)
        load_delta(conn)
        conn.execute("SET TimeZone = 'UTC'")
        self._versions = register_lake(conn, self._lake, self._plan)

    def store(self, target_config: TargetConfig) -> None:
        """Stream a model's query into its Delta table and point its view at the new version."""
        job = self._job(target_config)
        with self._lock:
            cursor = self._connection.cursor()
        try:
            cursor.execute("SET TimeZone = 'UTC'")
            stored = store_model(cursor, self._lake, self._plan, job)
            with self._lock:
                self._versions[job.key] = stored.version
                show_model(cursor, self._lake, stored)
        except (duckdb.Error, pa.ArrowException, OSError, ValueError, RuntimeError) as error:
            raise DbtRuntimeError(self._explained(job, error)) from error
        finally:
            cursor.close()

    def _explained(self, job: ModelJob, error: Exception) -> str:
        """What went wrong without any value; where it is the records of a few people, who they are is left for the run to read."""
        message = without_values(str(error))
        if not may_be_data(error):
            return message
        with self._lock:
            cursor = self._connection.cursor()
            try:
                cursor.execute("SET TimeZone = 'UTC'")
                people = find_poison(cursor, lambda c: run_model(c, job))
            except duckdb.Error:  # the search is a service: it must not hide what it was started for
                return message
            finally:
                cursor.close()
        if not people:
            return message
        report_poison(self._lake, self._plan.run_id, job.model, message.splitlines()[0], people)
        return f"{message}. Records of {len(people)} person(s) cause it"

    def _job(self, target: TargetConfig) -> ModelJob:
        config = target.config
        assert target.location is not None
        schema, model = target.location.path.split("/")  # the key that the materialisation passed
        upstream = [f"{item}@{self._versions.get(item.split(' ')[0], '')}" for item in config.get("upstream") or ()]
        return ModelJob(
            schema=schema,
            model=model,
            unique_id=config["unique_id"],
            sql=config["sql"],
            partition_by=tuple(config.get("partition_by") or ()),
            replace=bool(config.get("replace")),
            buckets=self._plan.buckets,
            force=bool(config.get("force")),
            columns=tuple(config.get("columns") or ()),
            required=frozenset(config.get("required") or ()),
            upstream=tuple(sorted(upstream)),
            description=config.get("description"),
        )


def may_be_data(error: Exception) -> bool:
    """Could a value of a record be the reason? Not where disk, memory, the table itself or a type of the model is."""
    not_data = (
        duckdb.OutOfMemoryException,
        duckdb.IOException,
        duckdb.FatalException,
        duckdb.InternalException,
        duckdb.InterruptException,
        MemoryError,
    )
    if isinstance(error, not_data):
        return False
    if isinstance(error, duckdb.Error | pa.ArrowException | RowsRefused):
        return True
    # a stream hands the engine's error on in words only
    return bool(_ENGINE.match(str(error))) and getattr(error, "errno", None) is None


def without_values(message: str) -> str:
    """An engine's message without the values it quotes: a failed cast names the value, which belongs to a person."""
    text = re.sub(r"'(?:[^']|'')*'", "'...'", message)
    text = re.sub(r'((?:out of range|format)[^"\n]*)"[^"]*"', r'\1"..."', text)
    return re.sub(r"(?<![\w.])-?\d{3,}(?:\.\d+)?\b", "...", text)
