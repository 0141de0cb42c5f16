"""A branch runs beside the original and other branches, touches nothing of theirs, and is removed without a trace."""

import datetime as dt
from collections.abc import Iterator, Mapping
from pathlib import Path

import pytest

from pipelines.declarations import registry
from pipelines.declarations.branch import branch_name, branched, original_of
from pipelines.declarations.mistakes import DeclarationError
from pipelines.declarations.use_case import UseCase
from pipelines.declarations.use_case_checks import use_case_name_mistakes
from pipelines.doctor import examination
from pipelines.execution import jobs
from pipelines.execution.branches import branches_in, remove
from pipelines.execution.context import TaskError
from pipelines.execution.locks import LockHeldError, hold
from pipelines.lakehouse.lakehouse import Lakehouse, open_lakehouse
from tests.pipelines.flight_files import write_all
from tests.pipelines.tasks.test_life_with_shared_features import SCORED, TRAINED, flight_rows
from tests.pipelines.teams_that_share import teams
from tests.pipelines.use_case_runs import run_job

BRANCHES = ("first", "second_try")


@pytest.fixture(scope="module")
def everyone(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Mapping[str, UseCase]]:
    """Owner, reader, and two branches of the reader, by name."""
    with teams(tmp_path_factory.mktemp("teams")) as (owner, reader), pytest.MonkeyPatch.context() as patch:
        found = {one.name: one for one in (owner, reader, *(branched(reader, name) for name in BRANCHES))}
        patch.setattr(jobs, "use_case", lambda name: found[name])
        patch.setattr(examination, "use_cases", lambda: (owner, reader))
        yield found


@pytest.fixture(scope="module")
def location(tmp_path_factory: pytest.TempPathFactory) -> str:
    """The folder that all of them read."""
    return str(write_all(tmp_path_factory.mktemp("flights"), *flight_rows()))


@pytest.fixture(scope="module")
def lakehouse(
    everyone: Mapping[str, UseCase], location: str, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Lakehouse]:
    """Dev, in which the owner and the reader have run and trained; a test may leave branches behind."""
    with open_lakehouse("dev", root=tmp_path_factory.mktemp("dev")) as opened:
        run(opened, everyone["routes"], "features", SCORED, location=location)
        trained(opened, everyone["late_planes"], location)
        yield opened


def run(lakehouse: Lakehouse, use_case: UseCase, job: str, until: dt.datetime, **given: str) -> None:
    """Run a job that succeeds."""
    done = run_job(lakehouse, use_case, job, {"until": until.isoformat(), **given})
    assert done.succeeded, [one.error for one in done.attempts if one.error]


def trained(lakehouse: Lakehouse, use_case: UseCase, location: str) -> None:
    """Read and train."""
    run(lakehouse, use_case, "features", SCORED, location=location)
    run(lakehouse, use_case, "training", TRAINED, training_days="28", evaluation_days="16")


def state(lakehouse: Lakehouse, use_case: UseCase) -> tuple[object, ...]:
    """What a use case has: versions of its tables, versions and aliases of its model, runs."""
    versions = [(one.number, one.aliases, one.run_id) for one in lakehouse.models.versions(use_case.model)]
    return {one.address: lakehouse.tables.version(one) for one in use_case.tables}, versions


def test_two_branches_and_the_original_do_not_touch_each_other(
    lakehouse: Lakehouse, everyone: Mapping[str, UseCase], location: str
) -> None:
    """Nothing of the original or of the shared owner changes; each branch has a champion of its own; one is removed."""
    owner, reader = everyone["routes"], everyone["late_planes"]
    first, second = (everyone[branch_name(reader.name, name)] for name in BRANCHES)
    before = state(lakehouse, reader), state(lakehouse, owner)
    trained(lakehouse, first, location)
    trained(lakehouse, second, location)
    assert (state(lakehouse, reader), state(lakehouse, owner)) == before
    assert [len(lakehouse.models.versions(one.model)) for one in (reader, first, second)] == [2, 2, 2]
    assert [one.name for one in branches_in(lakehouse, (owner, reader))] == [first.name, second.name]
    assert lakehouse.folder is not None
    assert examination.examine(lakehouse, lakehouse.folder) == ()

    kept = state(lakehouse, second)
    gone = remove(lakehouse, first, run_id="r")
    assert (gone.tables > 8, gone.versions, gone.runs) == (True, 2, 2)
    assert (state(lakehouse, reader), state(lakehouse, owner)) == before
    assert state(lakehouse, second) == kept
    assert lakehouse.models.versions(first.model) == ()
    assert [one.name for one in branches_in(lakehouse, (owner, reader))] == [second.name]
    traces = [one for one in lakehouse.folder.rglob("*") if first.name in one.name and "locks" not in one.parts]
    assert traces == []

    trained(lakehouse, first, location)  # the name is free again
    assert len(lakehouse.models.versions(first.model)) == 2


def test_only_branches_are_removed_and_none_that_runs(
    lakehouse: Lakehouse, everyone: Mapping[str, UseCase], location: str
) -> None:
    """The original stays whatever is asked; a running job keeps its branch."""
    reader, first = everyone["late_planes"], everyone[branch_name("late_planes", BRANCHES[0])]
    with pytest.raises(TaskError, match="late_planes is no branch"):
        remove(lakehouse, reader, run_id="r")
    run(lakehouse, first, "features", SCORED, location=location)
    before = state(lakehouse, first)
    assert lakehouse.folder is not None
    with (
        hold(lakehouse.folder, first.job("features").address, environment="dev", run_id="other"),
        pytest.raises(LockHeldError),
    ):
        remove(lakehouse, first, run_id="r")
    assert state(lakehouse, first) == before


def test_a_branch_owns_everything_but_what_others_share(everyone: Mapping[str, UseCase]) -> None:
    """No table, model or job of the original, none of another branch; the shared table is read where it is."""
    reader = everyone["late_planes"]
    branches = [everyone[branch_name(reader.name, name)] for name in BRANCHES]
    for one in branches:
        for other in (reader, *(other for other in branches if other is not one)):
            assert not {table.address for table in one.tables} & {table.address for table in other.tables}
            assert one.model.address != other.model.address
            assert not {job.address for job in one.jobs} & {job.address for job in other.jobs}
        assert one.shared_features == reader.shared_features


def test_a_branch_of_an_owner_has_its_own_shared_table(everyone: Mapping[str, UseCase]) -> None:
    """Readers stay with the original's."""
    branch = branched(everyone["routes"], "first")
    assert branch.features[0].table.address == "routes_branch_first_shared_route_history.route_history"
    assert branch.lookups[0].table == branch.features[0].table


def test_jobs_and_use_cases_are_found_by_the_name_of_a_branch() -> None:
    """Without a declaration of it."""
    job = registry.job("flight_delay_branch_new_gate.training")
    assert (job.use_case, job.name) == ("flight_delay_branch_new_gate", "training")
    assert registry.use_case("flight_delay_branch_new_gate").team == "operations"
    with pytest.raises(DeclarationError, match="flight_delay"):
        registry.use_case("flight_dely_branch_new_gate")


def test_branches_run_in_dev_alone(everyone: Mapping[str, UseCase], tmp_path: Path) -> None:
    """Staging and prod run what was merged; nothing is written there."""
    first = everyone[branch_name("late_planes", BRANCHES[0])]
    for environment in ("staging", "prod"):
        with open_lakehouse(environment, root=tmp_path / "others") as opened:
            with pytest.raises(DeclarationError, match="run branches in dev"):
                run_job(opened, first, "features", {"until": SCORED.isoformat()})
            assert not opened.tables.exists(first.table("runs"))


def test_names_are_told_apart() -> None:
    """No use case may be named like a branch, and no branch like part of another name."""
    assert original_of("late_planes_branch_a_b") == ("late_planes", "a_b")
    assert original_of("branches") == ("branches", "")
    assert "take another name" in use_case_name_mistakes("trips_branch_a")[0]
    for name in ("Upper", "a-b", "branch_a", "my_shared_thing", ""):
        with pytest.raises(DeclarationError):
            branch_name("trips", name)
