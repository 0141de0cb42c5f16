"""A use case made of a team's own file: what is proposed is right, what is ambiguous is said, and its jobs run on the file."""

import datetime as dt
import re
import shlex
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pyarrow as pa
import pytest

from ml.spec.errors import LakehouseError
from ml.spec.estimator import Problem
from ml.spec.target import MultiClass
from pipelines import use_cases
from pipelines.__main__ import main
from pipelines.commands import new
from pipelines.declarations import entries, registry
from pipelines.declarations.use_case import UseCase
from pipelines.declared_code.mistakes import code_mistakes
from pipelines.execution import jobs
from pipelines.lakehouse.engines.embedded import session
from pipelines.lakehouse.lakehouse import Lakehouse, open_lakehouse
from pipelines.scaffold.columns import columns_of, delivered_as, numbers_of
from pipelines.scaffold.from_file import next_commands, template_values
from pipelines.scaffold.given import Given
from pipelines.scaffold.new_use_case import create
from pipelines.scaffold.own_file import read_own_file
from pipelines.scaffold.proposal import Proposal, propose
from tests.pipelines.scaffold.own_files import FILES, ROWS, german_orders, pump_readings, tickets
from tests.pipelines.use_case_runs import rows_of, run_job

ROOT = Path(__file__).parents[3]
EXPECTED = {
    "retouren": ("bestellnummer", "bestellt_am", "retoure", "retoure_am", "kunden_nr", 0.0),
    "pumping": ("request_id", "ts", "consumption_kwh", "", "pump_id", None),
    "late_rides": ("ride_id", "requested_at", "late", "finished_at", "driver_id", None),
    "tickets": ("ticket_id", "opened_at", "result", "closed_at", "customer_id", None),
}
"""Key, instant of prediction, label, instant of the outcome, entity, and what no outcome means."""


def proposed(path: Path, **given: object) -> Proposal:
    """Return what a file proposes."""
    return propose(read_own_file(path), Given(**given))  # type: ignore[arg-type]  # each test names its own fields


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """The files, by the name of the use case that is made of each."""
    folder = tmp_path_factory.mktemp("files")
    return {name: make(folder) for name, make in FILES.items()}


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory, files: dict[str, Path]) -> Iterator[Path]:
    """The folder in which a use case was made of each file, as the registry finds it."""
    repository = tmp_path_factory.mktemp("repository")
    folder = repository / "pipelines" / "use_cases"
    folder.mkdir(parents=True)
    (repository / "pyproject.toml").write_text("")
    for name, path in files.items():
        create(name, repository=repository, taken=(), proposal=proposed(path))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(use_cases, "__path__", [*use_cases.__path__, str(folder)])
        patch.setattr(sys, "dont_write_bytecode", True)
        registry.use_cases.cache_clear()
        yield folder
    registry.use_cases.cache_clear()
    entries._SOURCES.clear()
    for name in [name for name in sys.modules if name.startswith(tuple(f"pipelines.use_cases.{one}" for one in FILES))]:
        del sys.modules[name]


@pytest.fixture(params=FILES)
def declared(request: pytest.FixtureRequest, made: Path) -> Iterator[UseCase]:
    """Each of the use cases, with one estimator, which is the quicker test."""
    assert (made / request.param).is_dir()
    found = registry.use_case(request.param)
    one = replace(found, estimators=found.estimators[:1])
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(jobs, "use_case", lambda name: {one.name: one}[name])
        yield one


def test_the_use_case_has_the_columns_of_its_file(declared: UseCase) -> None:
    """Key, instants, label, entity, and what an outcome that never comes means."""
    key, time, label, known_at, entity, without = EXPECTED[declared.name]
    assert (declared.spine.request_key, declared.spine.prediction_time) == (key, time)
    outcomes = declared.labels.source
    assert label in [column.name for column in outcomes.columns]
    assert outcomes.time_key == (known_at or "reported_at")
    assert declared.clusters.columns == (entity,)
    assert declared.without_outcome == without
    assert label not in declared.inputs


def test_check_finds_no_mistake_in_it(declared: UseCase) -> None:
    """As `pipelines check NAME` looks at it."""
    assert code_mistakes(declared, session()) == []


def test_its_folder_has_the_style_of_the_repository(made: Path, declared: UseCase) -> None:
    """Every file passes the checks of `make check` where it is going to be."""
    for file in sorted((made / declared.name).glob("*.py")):
        place = f"pipelines/use_cases/{declared.name}/{file.name}"
        own = ["--config", 'lint.isort.known-first-party=["pipelines"]']
        for words in (["check", "--no-cache", *own], ["format", "--diff"]):
            done = subprocess.run(
                [sys.executable, "-m", "ruff", *words, "--stdin-filename", place, "-"], cwd=ROOT,
                input=file.read_text(encoding="utf-8"), capture_output=True, text=True, check=False,
            )  # fmt: skip
            assert done.returncode == 0, done.stdout


def test_its_jobs_run_on_the_file(declared: UseCase, files: dict[str, Path], tmp_path: Path) -> None:
    """With the windows that `new` prints: every row is kept, a candidate was judged, and what was left is scored and measured."""
    printed = next_commands(proposed(files[declared.name]), declared.name)
    assert printed.endswith(f"pipelines report --env dev --use-case {declared.name}")
    lines = re.findall(r" run \w+\.(\w+) (.*)", printed)
    given = {job: dict(re.findall(r"--param (\w+)=(\S+)", line)) for job, line in lines}
    too_short = declared.name == "pumping"  # of 25 days nothing is left to score
    assert list(given) == ["features", "training", *([] if too_short else ["scoring", "monitoring"])]
    with open_lakehouse("dev", root=tmp_path) as lakehouse:
        for job, parameters in given.items():
            if job == "scoring":
                first = lakehouse.models.versions(declared.model)[0]
                lakehouse.models.set_alias(first, "champion")  # so few rows are not enough for the gate
            options = {"skip": ["retrain"]} if job == "monitoring" else {}
            done = run_job(lakehouse, declared, job, parameters, **options)
            assert done.succeeded, [attempt.error for attempt in done.attempts]
        check_training_set(lakehouse, declared, given["training"]["until"])
        counts = {row["source"]: row for row in rows_of(lakehouse, declared, "ingests")}
        assert counts["requests"]["rows_kept"] == ROWS
        assert counts["outcomes"]["rows_quarantined"] == 0
        if too_short:
            return
        scored = rows_of(lakehouse, declared, "predictions")
        assert len(scored) > 50
        assert not any(row["hindsight"] for row in scored)
        assert any(row["labelled"] for row in rows_of(lakehouse, declared, "metrics"))
        stopped = [row["kind"] for row in rows_of(lakehouse, declared, "findings") if "stopped" in row["kind"]]
        assert stopped == []


def check_training_set(lakehouse: Lakehouse, declared: UseCase, end: str) -> None:
    """A candidate was evaluated, and inputs and labels have more than one value."""
    rows = rows_of(lakehouse, declared, "training_set")
    assert len({row["part"] for row in rows}) == 2
    assert len({row["label"] for row in rows}) > 1
    for name in declared.inputs:
        assert len({row[name] for row in rows} - {None}) > 1, name
    assert len(lakehouse.models.versions(declared.model)) == len(declared.estimators)
    verdict = rows_of(lakehouse, declared, "verdicts")[0]
    assert verdict["sentence"]
    assert all(row["prediction_at"] < dt.datetime.fromisoformat(f"{end}T00:00:00+00:00") for row in rows)


def csv_file(folder: Path, *lines: str, name: str = "own.csv") -> Path:
    """Write lines to a file."""
    path = folder / name
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")
    return path


def many(line: str, count: int = 40) -> list[str]:
    """Lines with a number, a day and a changing bit."""
    return [line.format(n=n, day=f"{n % 28 + 1:02d}", month=f"{n % 12 + 1:02d}", bit=n % 2) for n in range(count)]


@pytest.mark.parametrize(
    ("lines", "said"),
    [
        (["id,at,y"], "it has a header and no rows"),
        (["a", "1", "2"], "gives each of its lines the same number of columns, at least two"),
        (["1,2024-01-01,0", "2,2024-01-02,1"], "its first line is no header, it has the value '1'"),
        (["id,id,y", "1,2,3"], "its header has 'id' more than once"),
        (["id,amount,y", *many("{n},{n}.5,{bit}")], "no column has an instant in every row"),
        (["id,at,kind", *many("{n},2024-01-{day},a")], "no column has numbers or two values"),
        (["size,at,y", *many("{bit},2024-01-01,{bit}")], "no column, and no 3 together, name a row; name them with --key"),
    ],
    ids=["no rows", "one column", "no header", "doubled header", "no instants", "no label", "no key"],
)  # fmt: skip
def test_a_file_without_what_a_use_case_needs_is_refused_in_one_sentence(
    tmp_path: Path, lines: list[str], said: str
) -> None:
    """The sentence names the file and what is missing."""
    with pytest.raises(LakehouseError) as refused:
        proposed(csv_file(tmp_path, *lines))
    assert said in str(refused.value)
    assert str(refused.value).startswith("no use case can be made of own.csv: ")
    assert len(str(refused.value).splitlines()) == 1


def test_other_files_and_wrong_names_are_refused(tmp_path: Path) -> None:
    """A picture, a damaged Parquet file, a text of several classes, a column that is not there."""
    (tmp_path / "a.png").write_bytes(b"\x89PNG")
    (tmp_path / "b.parquet").write_bytes(b"PAR1 and no more")
    (tmp_path / "c.csv").write_bytes(b"a,b\n\x00\x01,2\n")
    own = csv_file(tmp_path, "id,at,kind,y", *many("{n},2024-01-{day},k{day},{bit}"))
    for path, given, said in (
        (tmp_path / "a.png", {}, "its name does not end in"),
        (tmp_path / "none.csv", {}, "there is no such file"),
        (tmp_path / "b.parquet", {}, "it is no readable Parquet file"),
        (tmp_path / "c.csv", {}, "it is no text"),
        (own, {"label": "kind"}, "'kind' is text with 28 different values, and a regression predicts numbers"),
        (own, {"label": "kind", "problem": Problem.BINARY}, "and a binary problem has 2"),
        (own, {"time": "y"}, "--time names 'y', whose values are no instants"),
        (own, {"label": "z"}, "--label names an unknown column 'z'"),
    ):
        with pytest.raises(LakehouseError, match=re.escape(said)):
            proposed(path, **given)


def test_what_the_file_does_not_say_is_said(tmp_path: Path) -> None:
    """Each ambiguity is a sentence that names its column."""
    header = "id;at;article;price;weight;country;y"
    rows = many("{n};{month}/{month}/2024;0{n:03d};1,2{day};{n}.5;NA;{bit}")
    rows[3] = rows[3].replace("3.5", "NA")
    rows[5] = rows[5].replace("5.5", "heavy")
    found = proposed(csv_file(tmp_path, header, *rows))
    said = " ".join(found.decide)
    for sentence in (
        "'at' has dates like '01/01/2024', in which day and month could be swapped",
        "the zone of 'at' is not said in the file: UTC is taken",
        "'article' has whole numbers that begin with 0, so it is text",
        "'price' has numbers like 1,234, which may be 1.234 or 1234",
        "'weight' has 1 values like 'heavy' that are no numbers: their rows are quarantined",
        "'NA' stands for a missing value in 'weight', and so it does in 'country'",
        "when an outcome is known is not said in the file: 7 days after its prediction are taken",
    ):
        assert sentence in said


@pytest.mark.parametrize(
    ("written", "read", "said"),
    [
        (["3,420.41", "950.2", "12"], [3420.41, 950.2, 12.0], ""),
        (["1,234,567", "2,345"], [1234567.0, 2345.0], ""),
        (["1,234", "950", "12"], [1234.0, 950.0, 12.0], "the comma is taken for thousands"),
        (["$1,234.50", "$12", "-$3.5"], [1234.5, 12.0, -3.5], "has numbers like '$1,234.50': they are read without the sign"),
        (["12,50 €", "1.234,00 €"], [12.5, 1234.0], "has numbers like '12,50 €': they are read without the sign"),
        (["50%", "25%"], [50.0, 25.0], "has numbers like '50%'"),
        ([*["12"] * 98, "1,234.5"], [*[12.0] * 98, 1234.5], ""),
        (["950", "1.234", "12.500"], [950.0, 1.234, 12.5], "has numbers like '1.234': the point is taken for decimals"),
        (["1,234", "1500"], None, "which may be 1.234 or 1234: it is taken as text"),
        (["A$", "B%"], None, ""),
    ],
)  # fmt: skip
def test_numbers_are_read_as_programs_of_many_countries_write_them(
    written: list[str], read: list[float] | None, said: str
) -> None:
    """Commas and points between thousands, signs; never a thousandth of a number without a sentence about it."""
    (found,) = columns_of(pa.table({"amount": written}), ())
    assert (numbers_of(found).to_pylist() if found.is_number else None) == read
    assert (not found.kind.said) if not said else said in " ".join(found.kind.said)
    assert found.kind.odd == ()


@pytest.mark.parametrize(
    ("pattern", "read"),
    [
        ("%Y%m%d", "2024-03-05T00:00:00"),
        ("%d-%b-%Y", "2024-03-05T00:00:00"),
        ("%d-%b-%y", "2024-03-05T00:00:00"),
        ("%d %B %Y %H:%M", "2024-03-05T14:05:00"),
        ("%b %d, %Y %I:%M %p", "2024-03-05T14:05:00"),
        ("%B %d, %Y", "2024-03-05T00:00:00"),
    ],
)
def test_days_are_read_as_programs_write_them(pattern: str, read: str) -> None:
    """Without marks, or with the English name of the month; the pattern is the one that the file was written with."""
    begun = dt.datetime.fromisoformat("2024-03-05T14:05")
    written = [f"{begun + dt.timedelta(days=day):{pattern}}" for day in range(90)]
    (found,) = columns_of(pa.table({"asked": written}), ())
    assert found.is_instant
    assert delivered_as(found)[0].as_py() == read
    assert found.kind.odd == ()


def test_numbers_that_are_no_days_stay_numbers() -> None:
    """Of many numbers of eight digits most are no day, and a code is none."""
    for written in ([str(20_240_000 + n) for n in range(300)], [f"{n % 9}-abc-{n:02d}" for n in range(60)]):
        (found,) = columns_of(pa.table({"number": written}), ())
        assert not found.is_instant


def test_a_column_that_is_named_like_an_instant_and_is_none_is_shown(tmp_path: Path) -> None:
    """The refusal says which forms are read."""
    with pytest.raises(
        LakehouseError, match=r"written like 2024-12-31T14:05 or .*\('month' has values like '2024-01', which"
    ):
        proposed(csv_file(tmp_path, "id,month,x,y", *many("{n},2024-{month},{n}.5,{bit}")))


def test_an_instant_that_cannot_be_read_is_not_a_missing_one(tmp_path: Path) -> None:
    """A return in the hour that the clocks skip is one whose row is quarantined: what no return means stays as it is."""
    rows = [
        f"{n};{day}.03.2024 {n % 10 + 8:02d}:00;{'ja' if n % 3 else 'nein'};{'30.03.2024 12:00' if n % 3 else ''}"
        for n in range(300)
        for day in [f"{n % 20 + 1:02d}"]
    ]
    rows[4] = rows[4].replace("30.03.2024 12:00", "31.03.2024 02:27")
    found = proposed(
        csv_file(tmp_path, "Nr;Bestellt am;Retoure;Retoure am", *rows), time_zone="Europe/Berlin", label="Retoure"
    )
    assert found.without_outcome == 0.0
    assert (
        "'Retoure am' has 1 value like '31.03.2024 02:27' that is no instant in Europe/Berlin, where the clocks skip or "
        "repeat that hour: deliver an offset, or the row is quarantined."
    ) in found.decide


def test_what_is_known_only_with_the_outcome_is_no_input(tmp_path: Path) -> None:
    """A number that orders rows as the label does is left out, and the sentence says why; noise stays."""
    rows = many("{n},2024-01-{day}T08:00:00Z,{bit},{n}")
    found = proposed(csv_file(tmp_path, "id,at,paid_back,y", *rows), label="y")
    assert [column.name for column, _ in found.inputs.left_out] == []
    leaking = [f"{line},{(n * 7) % 40},{(n * 7) % 40 * 2.5}" for n, line in enumerate(rows)]
    found = proposed(csv_file(tmp_path, "id,at,paid_back,z,minutes,refund", *leaking), label="minutes")
    assert [column.name for column, _ in found.inputs.left_out] == ["refund"]
    assert "'refund' is no input: it gives the label away" in " ".join(found.decide)


def test_the_next_commands_can_be_pasted_whatever_the_folder_is_called(tmp_path: Path) -> None:
    """A shell reads the folder as one word."""
    folder = tmp_path / "März's data #1"
    folder.mkdir()
    printed = next_commands(proposed(german_orders(folder)), "returns")
    (features,) = (line for line in printed.splitlines() if ".features " in line)
    assert f"location={folder}" in shlex.split(features)


def test_the_page_shows_the_commands_that_are_printed_for_its_file(tmp_path: Path) -> None:
    """The file of the test that runs the page: the orders of 2024."""
    orders = german_orders(tmp_path, rows=6_080).rename(tmp_path / "orders.csv")
    printed = next_commands(proposed(orders, time_zone="Europe/Berlin"), "returns").replace(str(tmp_path), "FOLDER")
    page = (ROOT / "docs" / "own-data.md").read_text(encoding="utf-8")
    (block,) = re.findall(r"```bash\n[^`]+? new returns .*\n([^`]+)```", page)
    assert block.splitlines() == [line.strip() for line in printed.splitlines()[1:]]


def test_a_named_zone_key_and_label_are_taken(tmp_path: Path) -> None:
    """What a person says goes before what the file proposes, and is no longer to be decided."""
    berlin = proposed(german_orders(tmp_path), time_zone="Europe/Berlin")
    assert berlin.time_zone == "Europe/Berlin"
    assert not any("zone" in sentence for sentence in berlin.decide)
    assert berlin.first.isoformat() == "2024-01-02T06:00:00+00:00"
    named = proposed(pump_readings(tmp_path), key=("ts", "pump_id"), label="flow")
    assert [column.name for column in named.key] == ["ts", "pump_id"]
    assert named.label.name == "flow"


def test_a_text_of_several_values_proposes_classes_and_few_numbers_ask(tmp_path: Path) -> None:
    """Each value is a class, in their order; numbers that may count something are classes only if a person says so."""
    found = proposed(tickets(tmp_path))
    assert found.problem == MultiClass(classes=("refund_given", "escalated", "solved"))
    assert found.class_values == ("Refund given", "escalated!", "solved")
    rows = [f"{n},2024-01-{n % 28 + 1:02d}T08:00:00Z,{n % 5 + 1}" for n in range(60)]
    stars = csv_file(tmp_path, "id,at,rating", *rows, name="stars.csv")
    asked = proposed(stars, label="rating")
    assert asked.problem is Problem.REGRESSION
    assert "'rating' has 5 different numbers: if they name classes instead" in " ".join(asked.decide)
    named = proposed(stars, label="rating", problem="multi-class")
    assert named.problem == MultiClass(classes=("c_1", "c_2", "c_3", "c_4", "c_5"))
    assert named.class_values == (1.0, 2.0, 3.0, 4.0, 5.0)
    with pytest.raises(LakehouseError, match="has 2 different values, and a multi-class problem has 3 to 20"):
        proposed(csv_file(tmp_path, "id,at,y", *many("{n},2024-01-{day},{bit}")), problem="multi-class")


def test_the_command_makes_the_folder_and_lists_what_is_to_decide(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Options about a file need one; then the folder, the proposals and the next commands are printed."""
    (tmp_path / "pipelines" / "use_cases").mkdir(parents=True)
    (tmp_path / "pyproject.toml").write_text("")
    monkeypatch.setattr(new, "REPOSITORY", tmp_path)
    for words in (["--label", "y"], ["--problem", "multi-class"]):
        assert main(["new", "returns", *words]) == 2
        assert "name it with --from" in capsys.readouterr().err
    assert main(["new", "returns", "--from", str(german_orders(tmp_path)), "--time-zone", "Europe/Berlin"]) == 0
    printed = " ".join(capsys.readouterr().out.split())
    assert "proposed: 'Bestellnummer' names a request: no value is there twice." in printed
    assert "to decide: a request without 'Retoure am' counts as 0 once it is due" in printed
    assert "pipelines run returns.training --env dev --param until=2024-03-13" in printed
    tables = (tmp_path / "pipelines" / "use_cases" / "returns" / "tables.py").read_text(encoding="utf-8")
    assert 'TIME_ZONE = "Europe/Berlin"' in tables
    assert "To decide, because the file does not say it:" in tables


def test_what_is_no_file_with_rows_says_what_it_is(tmp_path: Path) -> None:
    """A folder names a file in it, whatever its own name; an empty file is called empty."""
    folder = tmp_path / "exports.csv"
    folder.mkdir()
    with pytest.raises(LakehouseError, match=r"it is a folder: name a file in it; there is none"):
        proposed(folder)
    (folder / "orders.csv").write_text("")
    with pytest.raises(LakehouseError, match=r"it is a folder: name a file in it, such as orders\.csv\."):
        proposed(folder)
    with pytest.raises(LakehouseError, match=r"orders\.csv: it is empty: the first line has to name the columns"):
        proposed(folder / "orders.csv")


def test_a_column_that_nearly_names_a_row_is_named_with_its_repetition(tmp_path: Path) -> None:
    """Rows that were exported twice are no reason to look for another key; taken as the key, it is not called unique."""
    rows = many("A-{n};2024-01-{day}T08:00:00Z;{n}.5;{bit}", 200)
    again = csv_file(tmp_path, "Order no;at;amount;y", *rows, rows[7], rows[9])
    with pytest.raises(LakehouseError) as refused:
        proposed(again, label="y")
    assert (
        "('Order no' does but for 2 of 202 rows, such as a second 'A-7': give --key 'Order no' and these are quarantined)"
        in str(refused.value)
    )
    found = proposed(again, label="y", key=("Order no",))
    (line,) = [one for one in template_values(found)["request_lines"] if "order_no" in one.code]
    assert "200 different values, in 2 rows one that was there before" in line.comment


def test_the_last_column_is_predicted_also_where_it_is_a_text_of_classes(tmp_path: Path) -> None:
    """Where no name says what is predicted; a text before it is offered as another label."""
    teams = ("network", "billing", "sales")
    rows = [f"{n},2024-01-{n % 28 + 1:02d}T08:00:00Z,{'abc'[n // 3 % 3]},{n % 7},{teams[n % 3]}" for n in range(60)]
    found = proposed(csv_file(tmp_path, "id,at,channel,attachments,team assigned", *rows))
    assert found.label.name == "team_assigned"
    assert found.problem == MultiClass(classes=("billing", "network", "sales"))
    assert "also one whose few texts are classes ('channel')." in " ".join(found.decide)


def test_what_is_last_is_asked_about_where_another_column_is_named_like_a_label(tmp_path: Path) -> None:
    """A class of a car is no outcome because of its name; `decision` is one, and takes no doubt if it is last and alone."""
    kinds = ("paid", "denied", "open")
    rows = [f"{n},2024-01-{n % 28 + 1:02d}T08:00:00Z,{'abc'[n // 3 % 3]},{kinds[n % 3]}" for n in range(60)]
    found = proposed(csv_file(tmp_path, "id,at,class,ended as", *rows))
    assert found.label.name == "class"
    assert "whether 'class' is what is predicted is not said in the file" in " ".join(found.decide)
    alone = proposed(csv_file(tmp_path, "id,at,body,decision", *rows))
    assert alone.label.name == "decision"
    assert "is what is predicted" not in " ".join(alone.decide)


def test_few_entities_are_declared_as_exactly_these(tmp_path: Path) -> None:
    """Of fewer than the gate samples a decision about others would always be refused."""
    rows = [f"{n},2024-01-{n % 28 + 1:02d}T08:00:00Z,M{n % 8},{n % 5}.5" for n in range(200)]
    found = proposed(csv_file(tmp_path, "id,at,machine_no,demand", *rows))
    assert template_values(found)["entity_kind"] == "FIXED"
    said = "exactly these (FIXED in declaration.py); SAMPLED if the decision is about others like them too, of which the gate then asks for 15."
    assert said in " ".join(found.decide)


def test_a_column_that_may_weigh_rows_is_named(tmp_path: Path) -> None:
    """It would be an input otherwise; the weight of a parcel is one."""
    rows = many("{n},2024-01-{day}T08:00:00Z,{n}.25,{n}.5,{bit}")
    said = " ".join(proposed(csv_file(tmp_path, "id,at,Sampling weight,weight_kg,y", *rows), label="y").decide)
    assert "if 'Sampling weight' says how much a row counts, declare it as `weight`" in said
    assert "'weight_kg' says" not in said


def test_what_names_a_row_together_with_the_day_is_an_entity(tmp_path: Path) -> None:
    """The store of a store's day has a history and is an input; few stores that come every day are exactly these."""
    rows = [
        f"{dt.date(2024, 1, 1) + dt.timedelta(days=day)},{store},{(day * store) % 13}.5,{10 * store + day % 5}"
        for day in range(40)
        for store in (1, 2, 3)
    ]
    found = proposed(csv_file(tmp_path, "date,store,price,units_sold", *rows))
    assert [column.name for column in found.key] == ["store", "date"]
    assert found.entity is not None
    assert found.entity.name == "store"
    assert [column.name for column in found.inputs.categorical] == ["store"]
    values = template_values(found)
    assert (values["entity_kind"], values["slices"]) == ("FIXED", ["store"])
    assert "entities of 'store' are declared as exactly these (FIXED in declaration.py)" in " ".join(found.decide)


def test_a_file_of_few_rows_a_day_is_retrained_on_days_that_have_what_the_gate_asks_for(tmp_path: Path) -> None:
    """On the days of the default every retraining would be refused, and the first champion would stay for ever."""
    start = dt.date(2023, 1, 1)
    few = [f"{n},{start + dt.timedelta(days=n // 8)},{n % 7}.5,{n % 5}" for n in range(8 * 400)]
    values = template_values(proposed(csv_file(tmp_path, "id,at,price,units_sold", *few)))
    assert values["retrained"].reason == "The gate asks for 1,000 rows, and the file has 8 rows a day."
    assert (values["retrained"].training_days, values["retrained"].evaluation_days) == (300, 150)
    many_a_day = [f"{n},{start + dt.timedelta(days=n // 90)},{n % 7}.5,{n % 5}" for n in range(90 * 60)]
    assert template_values(proposed(csv_file(tmp_path, "id,at,price,units_sold", *many_a_day)))["retrained"] is None
