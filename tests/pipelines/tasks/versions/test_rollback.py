"""A rollback returns the alias to the champion before, which the verdicts name; nothing is guessed."""

import datetime as dt
import json
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any, NoReturn

import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn.dummy import DummyClassifier

from pipelines.__main__ import main
from pipelines.declarations.asset import Model
from pipelines.execution.locks import hold
from pipelines.lakehouse.lakehouse import Lakehouse, open_lakehouse
from pipelines.lakehouse.registry.aliases import CHAMPION
from pipelines.lakehouse.registry.model_version import DeletedVersionError, ModelVersion
from pipelines.lakehouse.tables.arrow import records
from pipelines.tasks.versions.promotion import ROLLBACK
from pipelines.tasks.versions.rollback import RollbackError, decide, decide_without_champion, roll_back, unfinished
from tests.pipelines.tasks.mutants import FLIGHT_DELAY, training_flights

MODEL = FLIGHT_DELAY.model
FIRST = dt.datetime(2013, 4, 1, tzinfo=dt.UTC)
Verdict = dict[str, Any]
"""A row of the table of verdicts."""
Registry = tuple[Lakehouse, Path]
"""The environment and its folder."""


def verdict(day: float, outcome: str, champion: int | None, promoted: int | None) -> Verdict:
    """One row of the verdicts table."""
    return {
        "evaluation_id": f"run {day}", "decided_at": FIRST + dt.timedelta(days=day), "policy": "flight_delay",
        "outcome": outcome, "champion": champion, "promoted": promoted, "challenger": None, "sentence": "-",
        "reasons": "[]",
    }  # fmt: skip


THREE_PROMOTIONS = [
    verdict(0, "promote", None, 1),
    verdict(1, "promote", 1, 2),
    verdict(2, "keep", 2, None),
    verdict(3, "promote", 2, 4),
]


@pytest.mark.parametrize(
    ("champion", "later", "previous"),
    [
        (4, [], 2),
        (2, [], 1),
        (2, [verdict(4, ROLLBACK, 4, 2)], 1),
        (5, [verdict(4, ROLLBACK, 4, 2), verdict(5, "promote", 2, 5)], 2),
        (4, [verdict(4, ROLLBACK, 4, 2), verdict(5, ROLLBACK, 2, 1)], 1),
        (2, [verdict(4, ROLLBACK, 2, 1), verdict(5, "promote", 1, 2)], 1),
        (4, [verdict(1.5, ROLLBACK, 2, 1), verdict(2.5, "promote", 1, 2)], 2),
        (6, [verdict(5, "refuse", 4, None), verdict(6, "promote", 4, 6)], 4),
    ],
    ids=[
        "not version 3, which was never champion", "the second's is the first", "a second rollback goes one further",
        "one promoted after a rollback", "over one that was taken back itself", "one that came back by the gate",
        "to one that came back by the gate", "a refusal is no champion",
    ],
)  # fmt: skip
def test_the_previous_champion_is_the_one_the_verdicts_name(
    champion: int, later: list[Verdict], previous: int | None
) -> None:
    """For any order of the rows."""
    rows = [*THREE_PROMOTIONS, *later]
    assert decide(champion, rows).previous == decide(champion, rows[::-1]).previous == previous


@pytest.mark.parametrize(
    ("champion", "rows", "said"),
    [
        (1, THREE_PROMOTIONS, "version 1 was the first champion"),
        (3, THREE_PROMOTIONS, "no verdict shows which version was champion before version 3"),
        (1, [], "no verdict shows"),
        (2, [*THREE_PROMOTIONS, verdict(4, "promote", 2, 1), verdict(5, ROLLBACK, 1, 2)], "has been passed over"),
    ],
    ids=["the first champion ever", "an alias that somebody moved by hand", "no verdict yet", "back and forth"],
)
def test_without_a_previous_champion_in_the_verdicts_the_champion_stays(
    champion: int, rows: list[Verdict], said: str
) -> None:
    """The sentence says why, and which version stays."""
    found = decide(champion, rows)
    assert found.previous is None
    assert said in found.sentence
    assert found.sentence.endswith(f"Version {champion} stays champion.")


def test_a_rollback_whose_alias_did_not_move_is_finished_by_the_next_one() -> None:
    """It keeps the instant of its verdict; one that was followed by a promotion is over."""
    begun = verdict(4, ROLLBACK, 4, 2)
    assert unfinished(4, [*THREE_PROMOTIONS, begun]) == begun["decided_at"]
    assert unfinished(4, THREE_PROMOTIONS) is None
    assert unfinished(2, [*THREE_PROMOTIONS, begun]) is None
    assert unfinished(4, [*THREE_PROMOTIONS, begun, verdict(5, "promote", 2, 4)]) is None


@given(st.lists(st.sampled_from(["promote", "keep", ROLLBACK]), max_size=12))
def test_rollbacks_undo_promotions_like_a_stack(moves: list[str]) -> None:
    """A promotion pushes a version, a rollback pops it."""
    pile: list[int] = []
    rows: list[Verdict] = []
    newest = 0
    for day, move in enumerate(moves):
        champion = pile[-1] if pile else None
        if move == "promote":
            newest += 1
            rows.append(verdict(day, move, champion, newest))
            pile.append(newest)
        elif move == "keep":
            newest += 1  # a candidate that was not promoted
            rows.append(verdict(day, move, champion, None))
        elif pile:
            found = decide(pile[-1], rows)
            assert found.previous == (pile[-2] if len(pile) > 1 else None)
            if found.previous is not None:
                rows.append(verdict(day, move, champion, found.previous))
                pile.pop()


@pytest.fixture(scope="module")
def registry(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Registry]:
    """An environment with three versions of a model."""
    root = tmp_path_factory.mktemp("rollback")
    rows = training_flights(100)
    inputs = rows[list(FLIGHT_DELAY.inputs)].drop(columns=list(FLIGHT_DELAY.categorical_inputs))
    model = DummyClassifier().fit(inputs, rows["label"])
    with open_lakehouse("dev", root=root) as lakehouse:
        for name in ("first", "second", "third"):
            with lakehouse.models.start_run("flight_delay", name=name) as run:
                lakehouse.models.register(
                    MODEL, model, run=run, input_example=inputs.head(2), output_example=[0.5, 0.5]
                )
        yield lakehouse, root


@pytest.fixture
def champions(registry: Registry) -> Registry:
    """The environment after the promotions of versions 1, 2 and 3, with new verdicts for each test."""
    lakehouse, root = registry
    table = FLIGHT_DELAY.table("verdicts")
    promotions = [verdict(0, "promote", None, 1), verdict(1, "promote", 1, 2), verdict(2, "promote", 2, 3)]
    lakehouse.tables.overwrite_window(
        table, records(table, promotions), column="decided_at", start=FIRST, end=dt.datetime(2100, 1, 1, tzinfo=dt.UTC)
    )
    lakehouse.models.set_alias(lakehouse.models.version(MODEL, 3), CHAMPION)
    return lakehouse, root


def champion_of(lakehouse: Lakehouse) -> int:
    """The champion's number."""
    return lakehouse.models.by_alias(MODEL, CHAMPION).number


def rollbacks(lakehouse: Lakehouse) -> list[Verdict]:
    """The verdicts that are rollbacks, by time."""
    rows = lakehouse.tables.read(FLIGHT_DELAY.table("verdicts")).toArrow().to_pylist()
    return sorted((row for row in rows if row["outcome"] == ROLLBACK), key=lambda row: row["decided_at"])


def call(capsys: pytest.CaptureFixture[str], root: Path, *words: str) -> tuple[int, str, str]:
    """Run the command `rollback`; return its exit code, its output and its errors on one line."""
    code = main(["rollback", "flight_delay", *words, "--root", str(root)])
    captured = capsys.readouterr()
    return code, captured.out, " ".join(captured.err.split())


def test_the_command_rolls_back_step_by_step_to_the_first_champion(
    capsys: pytest.CaptureFixture[str], champions: Registry
) -> None:
    """From 3 to 2 to 1; verdicts and versions have the reason; the next rollback is refused."""
    lakehouse, root = champions
    for champion, previous in ((3, 2), (2, 1)):
        code, out, _ = call(capsys, root, "--reason", f"version {champion} is late")
        assert code == 0
        assert f"version {previous} is champion of flight_delay in dev instead of {champion}" in out
        assert champion_of(lakehouse) == previous
        newest = rollbacks(lakehouse)[-1]
        assert (newest["champion"], newest["promoted"]) == (champion, previous)
        assert newest["sentence"].endswith(f"version {champion} is late")
        (output,) = json.loads(newest["reasons"])
        assert output["candidate"] == previous
        assert f"version {champion} is late" in lakehouse.models.version(MODEL, champion).tags["rolled_back"]
    code, _, err = call(capsys, root, "--reason", "once more")
    assert code == 1
    assert err == ("error: there is nothing to go back to: version 1 was the first champion. Version 1 stays champion.")
    runs = lakehouse.tables.read(FLIGHT_DELAY.table("runs")).toArrow().to_pylist()
    assert {run["state"] for run in runs} == {"succeeded"}, "a refusal is no failed run"
    assert champion_of(lakehouse) == 1
    assert len(rollbacks(lakehouse)) == 2


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ((), "missing option '--reason'"),
        (("--reason", " "), "--reason is empty"),
        (("--reason", "late", "--env", "prd"), "did you mean 'prod'?"),
    ],
)
def test_a_rollback_without_a_reason_or_with_an_unknown_environment_has_exit_code_2(
    capsys: pytest.CaptureFixture[str], champions: Registry, words: tuple[str, ...], said: str
) -> None:
    """The alias stays."""
    lakehouse, root = champions
    code, _, err = call(capsys, root, *words)
    assert code == 2
    assert said in err
    assert champion_of(lakehouse) == 3


def test_the_command_waits_for_nobody_and_moves_nothing_while_the_lock_is_held(
    capsys: pytest.CaptureFixture[str], champions: Registry
) -> None:
    """A backup holds the locks of all jobs: what it copies is of one moment."""
    lakehouse, root = champions
    assert lakehouse.folder is not None
    with hold(lakehouse.folder, "flight_delay.rollback", environment="dev", run_id="backup 7"):
        code, _, err = call(capsys, root, "--reason", "late")
    assert code == 1
    assert "backup 7" in err
    assert champion_of(lakehouse) == 3


def test_a_rollback_without_a_champion_is_refused(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    """Jobs have run there, but no training yet."""
    (tmp_path / "dev").mkdir()
    code, _, err = call(capsys, tmp_path, "--reason", "late")
    assert code == 1
    assert "has no champion" in err


def test_a_previous_champion_that_cannot_be_loaded_leaves_the_champion(
    champions: Registry, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its files are gone; no rollback is recorded."""
    lakehouse, _ = champions
    monkeypatch.setattr(lakehouse.models, "_location", lambda version: f"/nowhere/{version.number}")
    with pytest.raises(RollbackError, match="version 2 was champion before and cannot be loaded"):
        roll_back(lakehouse, FLIGHT_DELAY, reason="late", now=FIRST)
    assert champion_of(lakehouse) == 3
    assert rollbacks(lakehouse) == []


def test_a_previous_champion_whose_input_is_declared_no_more_leaves_the_champion(champions: Registry) -> None:
    """It could not score a single request; no rollback is recorded."""
    lakehouse, _ = champions
    *others, gone = FLIGHT_DELAY.numeric_inputs
    declared = replace(FLIGHT_DELAY, numeric_inputs=tuple(others))
    with pytest.raises(
        RollbackError,
        match=f"version 2 was champion before and could not score, .*: the model was trained on {gone}, which",
    ):
        roll_back(lakehouse, declared, reason="late", now=FIRST)
    assert champion_of(lakehouse) == 3
    assert rollbacks(lakehouse) == []


def test_a_previous_champion_that_was_deleted_leaves_the_champion(champions: Registry) -> None:
    """The verdicts name a version that the registry no longer has."""
    lakehouse, _ = champions
    table = FLIGHT_DELAY.table("verdicts")
    lakehouse.tables.merge(table, records(table, [verdict(2, "promote", 99, 3)]))
    with pytest.raises(RollbackError, match="version 99 was champion before and cannot be loaded"):
        roll_back(lakehouse, FLIGHT_DELAY, reason="late", now=FIRST)
    assert champion_of(lakehouse) == 3


@pytest.mark.parametrize(
    ("rows", "there", "previous", "said"),
    [
        (THREE_PROMOTIONS, {1, 2, 3, 4}, 4, "version 4 was champion last, and its alias is gone"),
        ([*THREE_PROMOTIONS, verdict(4, ROLLBACK, 4, 2)], {1, 2, 3, 4}, 2, "version 2 was champion last"),
        (
            THREE_PROMOTIONS,
            {1, 2, 3},
            2,
            "version 2 was champion when version 4 was promoted, and version 4 was deleted",
        ),
        (
            THREE_PROMOTIONS,
            {1, 3},
            1,
            "version 1 was champion when version 2 was promoted, and versions 4, 2 were deleted",
        ),
        (
            THREE_PROMOTIONS[:1],
            {2},
            None,
            "version 1 was deleted, and version 1 was the first champion. Delete the alias champion, if it is still there, and tr",
        ),
        (
            [*THREE_PROMOTIONS[:2], verdict(4, "promote", 2, 1)],
            {3},
            None,
            "versions 1, 2 were deleted, and version 1 was champion when version 2 was promoted",
        ),
        ([verdict(0, "refuse", None, None)], {1}, None, "m has no champion, so there is nothing to take back"),
    ],
    ids=[
        "the last one promoted",
        "after a rollback",
        "one that was deleted",
        "two that were deleted",
        "the only one was deleted",
        "back and forth",
        "never",
    ],
)
def test_where_the_alias_is_gone_the_verdicts_name_who_had_it_last(
    rows: list[Verdict], there: set[int], previous: int | None, said: str
) -> None:
    """For any order of the rows; nobody is called champion who is not."""
    for ordered in (rows, rows[::-1]):
        found = decide_without_champion("m", ordered, there)
        assert (found.champion, found.previous) == (None, previous)
        assert found.sentence.startswith(said)


def test_an_alias_that_somebody_has_deleted_comes_back(capsys: pytest.CaptureFixture[str], champions: Registry) -> None:
    """Version 3 had it last; a rollback after that goes to version 2 as if nothing had been."""
    lakehouse, root = champions
    lakehouse.models.delete_alias(MODEL, CHAMPION)
    code, out, _ = call(capsys, root, "--reason", "the alias was deleted in MLflow")
    assert (code, champion_of(lakehouse)) == (0, 3)
    assert "version 3 is champion of flight_delay in dev instead of none" in out
    newest = rollbacks(lakehouse)[-1]
    assert (newest["champion"], newest["promoted"]) == (None, 3)
    assert newest["sentence"] == "give the alias that was gone back to version 3: the alias was deleted in MLflow"
    assert call(capsys, root, "--reason", "it is late")[0] == 0
    assert champion_of(lakehouse) == 2


def test_an_alias_whose_version_was_deleted_goes_to_the_champion_before(
    champions: Registry, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The registry keeps the alias of a deleted version, and every other job fails by it."""
    lakehouse, _ = champions
    lost = [DeletedVersionError("version 3 was deleted")] * 2
    find, every = lakehouse.models.find_alias, lakehouse.models.versions

    def find_alias(model: Model, alias: str) -> ModelVersion | None:
        if lost:
            raise lost.pop()
        return find(model, alias)

    monkeypatch.setattr(lakehouse.models, "find_alias", find_alias)
    monkeypatch.setattr(lakehouse.models, "versions", lambda model: every(model)[:2])
    assert roll_back(lakehouse, FLIGHT_DELAY, reason="deleted", now=FIRST + dt.timedelta(days=9)).previous == 2
    assert champion_of(lakehouse) == 2


@pytest.mark.parametrize("broken", ["load", "set_tags", "set_alias", "version"])
def test_an_error_at_any_step_leaves_the_champion(
    champions: Registry, monkeypatch: pytest.MonkeyPatch, broken: str
) -> None:
    """The next attempt succeeds."""
    lakehouse, _ = champions

    def fail(*_: Any, **__: Any) -> NoReturn:
        raise OSError("the registry does not answer")

    with monkeypatch.context() as patched:
        patched.setattr(lakehouse.models, broken, fail)
        with pytest.raises((OSError, RollbackError), match="does not answer"):
            roll_back(lakehouse, FLIGHT_DELAY, reason="late", now=FIRST + dt.timedelta(days=30))
    assert champion_of(lakehouse) == 3
    assert roll_back(lakehouse, FLIGHT_DELAY, reason="late", now=FIRST + dt.timedelta(days=31)).previous == 2
    assert champion_of(lakehouse) == 2


def test_a_champion_that_changes_meanwhile_is_left_alone(champions: Registry, monkeypatch: pytest.MonkeyPatch) -> None:
    """A promotion came in between: the rollback would undo another champion than requested."""
    lakehouse, _ = champions
    load = lakehouse.models.load

    def slowly(version: ModelVersion) -> Any:
        lakehouse.models.set_alias(lakehouse.models.version(MODEL, 1), CHAMPION)
        return load(version)

    monkeypatch.setattr(lakehouse.models, "load", slowly)
    with pytest.raises(RollbackError, match="no longer the champion"):
        roll_back(lakehouse, FLIGHT_DELAY, reason="late", now=FIRST)
    assert champion_of(lakehouse) == 1
