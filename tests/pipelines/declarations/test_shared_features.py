"""What owners share and readers rely on is compared before anything runs; who is affected is named."""

import re
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from pipelines.__main__ import PROGRAM
from pipelines.command_line.program import run_program
from pipelines.commands import check as check_command
from pipelines.commands import features as features_command
from pipelines.declarations import registry
from pipelines.declarations.asset import Layer, Table, column
from pipelines.declarations.feature_table import FeatureTable, Lookup
from pipelines.declarations.job import Task
from pipelines.declarations.mistakes import DeclarationError
from pipelines.declarations.shared_features import SharedFeatures, catalogue, owners_first, sharing_mistakes
from pipelines.declarations.use_case import UseCase
from pipelines.declarations.use_case_checks import use_case_name_mistakes
from pipelines.report.house.lineage_picture import lineage_picture
from tests.documented_commands import lines_of
from tests.pipelines.own_data_guide import DOCS, parcels_module
from tests.pipelines.teams_that_share import FRESH_HOURS, relied_on, teams

Teams = tuple[UseCase, UseCase]


@pytest.fixture(scope="module")
def pair(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Teams]:
    """Owner and reader."""
    with teams(tmp_path_factory.mktemp("teams")) as both:
        yield both


def with_table(owner: UseCase, change: Callable[[Table], Table], **more: object) -> UseCase:
    """The owner with its shared table changed, and its own lookup with it."""
    (feature,), (lookup,) = owner.features, owner.lookups
    table = change(feature.table)
    used = {name: given for name, given in lookup.columns.items() if name in [one.name for one in table.columns]}
    names = tuple(owner.numeric_inputs if used else owner.numeric_inputs[:-1])
    lookups = (replace(lookup, table=table, columns=used),) if used else ()
    return replace(owner, features=(replace(feature, table=table, **more),), lookups=lookups, numeric_inputs=names)  # type: ignore[arg-type] # fields by name


def test_what_a_reader_relies_on_and_the_owner_declares_is_no_mistake(pair: Teams) -> None:
    """Other words and a column more of the owner change nothing."""
    owner, reader = pair
    assert sharing_mistakes(pair) == []
    more = with_table(owner, lambda table: replace(table, columns=(*table.columns, column("flights", "bigint"))))
    assert sharing_mistakes((more, reader)) == []


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda table: replace(table, name="routes_history"), "shares no such table: unknown shared table 'route_history': did you mean 'routes_history'?"),
        (lambda table: replace(table, columns=(*table.columns[:3], column("mean_minutes_14d", "double"))), "with column 'mean_minutes_7d': unknown column 'mean_minutes_7d': did you mean 'mean_minutes_14d'?"),
        (lambda table: replace(table, columns=(*table.columns[:3], column("mean_minutes_7d", "bigint"))), "with column 'mean_minutes_7d' as double, and it is declared as bigint: declare one type for both."),
        (lambda table: replace(table, layer=Layer.FEATURES), "shares no such table"),
    ],
)  # fmt: skip
def test_a_change_that_breaks_a_reader_is_refused_with_its_name(
    pair: Teams, change: Callable[[Table], Table], said: str
) -> None:
    """Renamed, a column less, another type, no longer shared."""
    owner, reader = pair
    shared = change(owner.features[0].table).layer is Layer.SHARED
    changed = with_table(owner, change, fresh_within_hours=FRESH_HOURS if shared else None)
    (mistake,) = sharing_mistakes((changed, reader))
    assert mistake.startswith("use case late_planes: it reads the shared feature table routes_shared_route_history.")
    assert "routes (team operations)" in mistake
    assert said in mistake


def test_another_key_a_later_row_or_a_weaker_promise_is_refused(pair: Teams) -> None:
    """The point in time is part of what is relied on: a wait that the reader does not know would leak."""
    owner, reader = pair
    keyed = replace(owner.features[0].table, primary_key=("origin",))
    lookup = replace(owner.lookups[0], table=keyed, keys={"origin": "origin"})
    other = replace(owner, features=(replace(owner.features[0], table=keyed),), lookups=(lookup,))
    later = replace(owner, features=(replace(owner.features[0], available_after_minutes=90),))
    slower = replace(owner, features=(replace(owner.features[0], fresh_within_hours=FRESH_HOURS + 1),))
    for changed, said in (
        (other, "by the key origin, destination, known_at, and it is declared with origin, known_at: use one key."),
        (
            later,
            "after 0 minutes, and routes (team operations) states 90 (available_after_minutes): a model would learn",
        ),
        (slower, "as fresh within 72 hours, and routes (team operations) promises 73 (fresh_within_hours)"),
    ):
        (mistake,) = sharing_mistakes((changed, reader))
        assert said in mistake


def test_an_owner_that_is_gone_is_named(pair: Teams) -> None:
    """The folder of the owner was taken away."""
    (mistake,) = sharing_mistakes(pair[1:])
    assert "and there is no use case 'routes'" in mistake


def test_only_what_concerns_a_use_case_is_said_about_it(pair: Teams) -> None:
    """As reader, as owner, and not as a bystander."""
    owner, reader = pair
    broken = (with_table(owner, lambda table: replace(table, name="other")), reader)
    assert [len(sharing_mistakes(broken, about=name)) for name in ("routes", "late_planes", "air_time")] == [1, 1, 0]


def test_a_shared_table_needs_a_promise_and_words(pair: Teams) -> None:
    """And a promise needs a shared table; sources and labels are not shared."""
    (feature,) = pair[0].features
    for change, said in (
        ({"fresh_within_hours": None}, "it is shared and fresh_within_hours is None; give the hours"),
        ({"fresh_within_hours": 0.0}, "fresh_within_hours is 0.0; give the hours"),
        ({"table": replace(feature.table, comment="")}, "it is shared and its comment is empty"),
        ({"table": replace(feature.table, layer=Layer.FEATURES)}, "declare the table with Layer.SHARED"),
    ):
        with pytest.raises(DeclarationError, match=re.escape(said)):
            replace(feature, **change)  # type: ignore[arg-type] # fields by name
    labels = pair[0].labels
    with pytest.raises(DeclarationError, match="sources and labels stay its own"):
        replace(
            pair[0],
            labels=FeatureTable(
                table=replace(labels.table, layer=Layer.SHARED), builder=labels.builder, source=labels.source,
                memory_days=0, fresh_within_hours=1.0,
            ),
        )  # fmt: skip


def test_a_reader_names_each_table_once_reads_it_and_owns_it_not(pair: Teams) -> None:
    """What is wrong in the reader's own folder."""
    owner, reader = pair
    (read,) = reader.shared_features
    with pytest.raises(DeclarationError, match=r"no lookup reads routes_shared_route_history\.route_history"):
        replace(reader, lookups=(), numeric_inputs=reader.numeric_inputs[:2])
    with pytest.raises(DeclarationError, match="is named more than once"):
        replace(reader, shared_features=(read, read))
    wider = replace(read.table, columns=(*read.table.columns, column("flights", "bigint")))
    with pytest.raises(DeclarationError, match="has other columns or keys; use one value for both"):
        replace(reader, shared_features=(replace(read, table=wider),))
    with pytest.raises(DeclarationError, match="is its own table"):
        replace(owner, shared_features=(replace(read, table=owner.features[0].table),))
    with pytest.raises(DeclarationError, match=r"only tables of Layer\.SHARED may be read by others"):
        SharedFeatures(table=replace(read.table, layer=Layer.FEATURES), fresh_within_hours=1.0)


def test_names_by_which_schemas_could_be_mistaken_are_refused() -> None:
    """`a_shared` and a shared table of `a` would have one schema."""
    assert "take another name" in use_case_name_mistakes("trips_shared")[0]
    assert "take another name" in use_case_name_mistakes("trips_shared_zones")[0]
    assert use_case_name_mistakes("sharedness") == []


def test_the_tasks_that_look_features_up_read_the_shared_table_and_none_writes_it(pair: Teams) -> None:
    """Grants follow from this."""
    reader = pair[1]
    address = reader.shared_features[0].table.address
    tasks = [(job.name, task) for job in reader.jobs for task in job.tasks if isinstance(task, Task)]
    readers = {(job, task.key) for job, task in tasks if address in [one.address for one in task.reads]}
    assert readers == {
        ("training", "assemble"), ("scoring", "score"), ("monitoring", "alarm"), ("monitoring", "skew")
    }  # fmt: skip
    assert not [task for _, task in tasks if address in [one.address for one in task.writes]]
    assert address not in [table.address for table in reader.tables]


def test_owners_come_before_their_readers(pair: Teams) -> None:
    """A first run of everything works; two that read each other's stay in their order."""
    owner, reader = pair
    assert [one.name for one in owners_first((reader, owner))] == ["routes", "late_planes"]
    mutual = replace(owner, shared_features=())
    assert [one.name for one in owners_first((mutual, reader))] == ["routes", "late_planes"]


def test_the_picture_of_a_reader_shows_whose_table_it_reads(pair: Teams) -> None:
    """Beside its own tables."""
    assert "route_history (routes)" in lineage_picture(pair[1], name="x")


@pytest.fixture
def declared_pair(pair: Teams, monkeypatch: pytest.MonkeyPatch) -> Teams:
    """Both as the commands find them."""
    monkeypatch.setattr(check_command, "declared", lambda _name=None: (pair, []))
    monkeypatch.setattr(features_command, "use_cases", lambda: pair)
    return pair


def test_check_compares_and_exits_with_the_readers_name(
    declared_pair: Teams, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """By the command, exit code 2."""
    owner, reader = declared_pair
    assert run_program(PROGRAM, ["check"]) == 0
    assert "1 shared table" in capsys.readouterr().out
    changed = with_table(owner, lambda table: replace(table, name="history_of_routes"))
    monkeypatch.setattr(check_command, "declared", lambda _name=None: ((changed, reader), []))
    assert run_program(PROGRAM, ["check"]) == 2
    assert "use case late_planes: it reads the shared feature table" in capsys.readouterr().err


def test_a_reader_whose_owner_cannot_be_read_is_not_called_sound(
    declared_pair: Teams, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """By name, where the owner is in the middle of a change; the mistake of a use case that it does not read is not its own."""
    reader = declared_pair[1]
    for folder, code in (("routes", 2), ("another", 0)):
        wrong = f"pipelines/use_cases/{folder}/declaration.py line 34: unknown column 'mean_minutes_7d'."
        monkeypatch.setattr(
            check_command, "declared", lambda name=None, wrong=wrong: ((reader,), [] if name else [wrong])
        )
        assert run_program(PROGRAM, ["check", "late_planes"]) == code
        said = "use case late_planes: it reads shared features of routes, whose own declaration is wrong: pipelines/"
        assert (said in capsys.readouterr().err) == (code == 2)


def test_no_command_runs_on_a_broken_promise(pair: Teams, monkeypatch: pytest.MonkeyPatch) -> None:
    """The registry itself refuses."""
    owner, reader = pair
    changed = with_table(owner, lambda table: replace(table, name="history_of_routes"))
    monkeypatch.setattr(registry, "declared", lambda _name=None: ((changed, reader), []))
    registry.use_cases.cache_clear()
    with pytest.raises(DeclarationError, match="late_planes: it reads"):
        registry.use_cases()
    registry.use_cases.cache_clear()


def test_the_catalogue_lists_owner_key_freshness_and_readers(
    declared_pair: Teams, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """By the command; where nothing has run, nothing is made."""
    (entry,) = catalogue(declared_pair)
    assert [reader.name for reader in entry.readers] == ["late_planes"]
    assert run_program(PROGRAM, ["features", "--root", str(tmp_path / "none")]) == 0
    line = next(
        one for one in capsys.readouterr().out.splitlines() if "routes_shared_route_history.route_history" in one
    )
    for said in ("routes (team operations)", "origin, destination, known_at", "72.0", "late_planes (team revenue)"):
        assert said in line
    assert not (tmp_path / "none").exists()


def test_what_the_command_prints_for_a_reader_is_what_a_reader_declares(
    declared_pair: Teams, capsys: pytest.CaptureFixture[str]
) -> None:
    """Executed, it gives the value with which the reader passes the check."""
    owner, reader = declared_pair
    assert run_program(PROGRAM, ["features", "routes.route_history", "--column", "mean_minutes_7d"]) == 0
    names: dict[str, object] = {}
    exec(capsys.readouterr().out, names)  # noqa: S102 - the printed declaration is what is tested
    (shared,) = names["SHARED_FEATURES"]  # type: ignore[misc] # a tuple
    printed: Lookup = names["ROUTE_HISTORY_LOOKUP"]  # type: ignore[assignment] # a lookup
    lookup = replace(reader.lookups[0], table=shared.table)
    assert printed == replace(lookup, columns={"mean_minutes_7d": "mean_minutes_7d"}, lookback_hours=24 * 28)
    assert names["ROUTE_HISTORY_READ"] is shared.table
    again = replace(reader, shared_features=(shared,), lookups=(lookup,))
    assert sharing_mistakes((owner, again)) == []
    assert shared.table == replace(relied_on(owner), comment=owner.features[0].table.comment)
    assert run_program(PROGRAM, ["features", "routes.route_histori"]) == 2
    assert "did you mean 'routes.route_history'?" in capsys.readouterr().err


def test_the_guide_shares_and_reads_as_it_says(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Its examples go on with those of the guide on use cases, the check holds both together, and the command prints what it shows."""
    with parcels_module() as module:
        names = dict(vars(module))
        for block in re.findall(r"```python\n(.*?)```", (DOCS / "shared-features.md").read_text("utf-8"), re.DOTALL):
            exec(block, names)  # noqa: S102 - the page's own examples
        parcels: UseCase = names["USE_CASE"]
        (lookup,) = parcels.lookups
        shared = names["SHARED_DEPOT_FEATURES"]
        owner = replace(parcels, features=(shared,), lookups=(replace(lookup, table=shared.table),))
        other = renamed(parcels, "returns_of_parcels")
        reader = replace(
            other, features=(), lookups=(names["DEPOTS_LOOKUP"],), shared_features=names["SHARED_FEATURES"]
        )
        assert owner.schemas["parcels_shared_depots"] is Layer.SHARED
        assert sharing_mistakes((owner, reader)) == []
        assert [one.name for one in catalogue((owner, reader))[0].readers] == ["returns_of_parcels"]
    ((_, line),) = lines_of("tests/pipelines/declarations/test_shared_features.py")
    monkeypatch.setattr(features_command, "use_cases", lambda: (owner, reader))
    assert run_program(PROGRAM, line.split()[1:]) == 0
    printed: dict[str, object] = {}
    exec(capsys.readouterr().out, printed)  # noqa: S102 - the printed declaration is what is tested
    assert printed["DEPOTS_READ"] == names["DEPOTS_READ"]
    assert printed["SHARED_FEATURES"] == names["SHARED_FEATURES"]
    named = replace(names["DEPOTS_LOOKUP"], columns={"mean_hours": "mean_hours"})
    assert printed["DEPOTS_LOOKUP"] == named  # the page names the input itself


def renamed(use_case: UseCase, name: str) -> UseCase:
    """The same use case under another name, in all of its parts."""

    def of(table: Table) -> Table:
        return replace(table, use_case=name)

    def feature(one: FeatureTable) -> FeatureTable:
        return replace(one, table=of(one.table), source=of(one.source))

    return replace(
        use_case, name=name, sources=tuple(replace(one, table=of(one.table)) for one in use_case.sources),
        features=tuple(map(feature, use_case.features)), labels=feature(use_case.labels),
        spine=replace(use_case.spine, table=of(use_case.spine.table)),
        lookups=tuple(replace(one, table=of(one.table)) for one in use_case.lookups),
        model=replace(use_case.model, use_case=name),
    )  # fmt: skip
