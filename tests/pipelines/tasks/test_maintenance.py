"""What maintenance keeps: the versions of tables that models in use were trained on."""

import datetime as dt
import json

import pytest

from ml.gate.verdict import Outcome
from pipelines.declarations.mistakes import DeclarationError
from pipelines.declarations.registry import use_case
from pipelines.lakehouse.registry.model_version import ModelVersion
from pipelines.tasks.maintenance import CHAMPIONS_KEPT, newest_champions, table_versions
from pipelines.tasks.versions.promotion import ROLLBACK

AIR_TIME = use_case("air_time")


def verdict(day: int, outcome: str, promoted: int | None) -> dict[str, object]:
    """A row of the verdicts table."""
    return {"decided_at": dt.datetime(2025, 1, 1, tzinfo=dt.UTC) + dt.timedelta(days=day),
            "outcome": outcome, "promoted": promoted}  # fmt: skip


def version(number: int, versions: dict[str, int | None] | None) -> ModelVersion:
    """A version that records versions of tables."""
    tags = {} if versions is None else {"table_versions": json.dumps(versions)}
    return ModelVersion(model=AIR_TIME.model, number=number, run_id="", tags=tags, aliases=())


def test_the_newest_champions_are_those_that_the_verdicts_name() -> None:
    """Each once, a rollback counts as well, a refusal does not; in any order of the rows."""
    promoted = [verdict(day, Outcome.PROMOTE, day) for day in range(1, 9)]
    assert newest_champions(promoted[::-1]) == set(range(9 - CHAMPIONS_KEPT, 9))
    back = [*promoted, verdict(9, ROLLBACK, 1), verdict(10, "refuse", None)]
    assert newest_champions(back) == {1, 5, 6, 7, 8}
    assert newest_champions([]) == set()


def test_the_versions_of_tables_are_taken_from_the_tags() -> None:
    """By address; a version that records none, or a table that did not exist, adds nothing."""
    found = table_versions([version(1, {"a.b": 3, "c.d": None}), version(2, {"a.b": 5}), version(3, None)])
    assert found == {"a.b": {3, 5}}


def test_less_history_than_readers_need_is_refused() -> None:
    """A week is Delta's own least retention."""
    import dataclasses

    with pytest.raises(DeclarationError, match="history_days is 6; give 7 or more"):
        dataclasses.replace(AIR_TIME, history_days=6)
