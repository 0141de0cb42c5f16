"""No page has a serious finding of axe-core, and none is wider than its window, on a desk and on a phone."""

import datetime as dt
import re
from dataclasses import replace
from pathlib import Path

from ml.card.html_page import card_page
from ml.card.model_card import model_card
from ml.monitoring.findings import FindingKind
from pipelines.declarations.registry import use_case
from pipelines.declarations.urgency import CauseArea
from pipelines.on_call.alerts import alarms_of
from pipelines.on_call.cause import Cause, likely_cause
from pipelines.report.house.lineage_picture import lineage_picture, lineage_rows
from pipelines.report.house.page import render_house
from pipelines.report.house.records import Freshness, House, PlacedUseCase
from pipelines.report.mlflow_links import MlflowLinks, as_served
from pipelines.report.page import render
from pipelines.report.records import EstateSummary, StackResources, Version
from tests.ml.card.test_model_card import FACTS
from tests.pipelines.report.pages_in_a_browser import SERIOUS, WIDTHS, looked_at, shown_text
from tests.pipelines.report.sections.test_basis import RAW, decision_page
from tests.pipelines.report.served_records import SERVED
from tests.pipelines.report.test_page import prod, report, run_row

FLIGHT_DELAY = use_case("flight_delay")
LINKS = MlflowLinks(environment="prod", model="dev.flight_delay", experiment_id="1")
VERSION = Version(number=4, aliases=("champion",), tags={"trained_in": "staging"}, run_id="0a1b")
NOW = dt.datetime(2025, 7, 1, tzinfo=dt.UTC)
ROOT = Path(__file__).parents[3]
DOCS = ROOT / "docs"
PICTURE = (DOCS / "stacks.svg").read_text(encoding="utf-8")
ESTATE = EstateSummary(
    stacks=(StackResources(name="dev-platform", resources={"azurerm_subnet": 2}),),
    permissions=({"environment": "dev", "who": "data scientist", "jobs": "CAN_VIEW"},), picture=PICTURE,
)  # fmt: skip
COST = (
    {"environment": "prod", "part": "scheduled jobs, each run as long as it is expected at most (machine Standard_D4ds_v5)",
     "counted": "2,294 to 5,736 h", "price": "0.272 per hour in westeurope", "read": "2026-06-24", "EUR per month": "624 to 1,560"},
    {"environment": "staging", "part": "6 x private endpoint of serverless compute (databricks_mws_ncc_private_endpoint_rule)", "counted": "5,840 to 11,680 h",
     "price": "0.272 per hour in germanywestcentral", "read": "2026-11-28", "EUR per month": "1,485 to 4,454"},
    {"environment": "prod", "part": "known in all, without storage; logs; key vault", "counted": "", "price": "", "read": "",
     "EUR per month": "3,682 to 8,814 and 9 unknown parts"},
)  # fmt: skip
FOUND = {"kind": FindingKind.DRIFT, "message": "humidity drifted", "window_start": NOW}


def placed(name: str, *, failed: tuple[str, ...] = (), findings: tuple[dict[str, object], ...] = ()) -> PlacedUseCase:
    """One use case in an environment."""
    return PlacedUseCase(
        environment=name, use_case="flight_delay", team="operations", description="the probability that a flight is late",
        cause=likely_cause(failed=[one.partition(":")[0] for one in failed], findings=findings, champion=4, ever_ran=True),
        champion=4, verdict="promote version 4: better with p = 0.003", failed=failed, findings=findings,
        freshness=(Freshness(source="weather", until=NOW, rows=8737, quarantined=3),), predictions=28_150,
        predicted_until=NOW, runs=38, last_run=NOW, seconds=1054.0,
        versions=({"number": 4, "aliases": ("champion",), "estimator": "gradient_boosting", "verdict": "promote",
                   "run_id": "0a1b", "trained_in": "staging", "tables": (("flight_delay_features.labels", 7),)},),
        alarms=alarms_of(failed_jobs=[one.partition(",")[0] for one in failed], kinds=[str(one["kind"]) for one in findings]),
        picture=lineage_picture(FLIGHT_DELAY, name=f"of-{name}", champion=4, made_from={"flight_delay_features.labels": 7}),
        report=f"pages/{name}-flight_delay.html", links=MlflowLinks(environment=name, model="dev.flight_delay", experiment_id="1"),
    )  # fmt: skip


def house() -> House:
    """An environment that failed, one with a finding, one in which nothing has run."""
    failed = ("flight_delay.scoring, task score: the model could not be loaded",)
    return House(
        environments=("dev", "staging", "prod"), made_at=NOW, estate=ESTATE,
        placed=(placed("dev", findings=(FOUND,)), placed("prod", failed=failed)),
        pictures={"flight_delay": lineage_picture(FLIGHT_DELAY, name="declared")}, ways={"flight_delay": lineage_rows(FLIGHT_DELAY)},
        cost=COST,
    )  # fmt: skip


def pages() -> dict[str, str]:
    """Every kind of page, by its name."""
    failed = run_row("scoring", "score", 1.0, state="failed", error="the model could not be loaded")
    written = {
        "report": render(report(prod(served=SERVED, links=LINKS, versions=(VERSION,)), estate=ESTATE)),
        "report of a failure": render(report(prod(runs=(failed,)))),
        "house": render_house(house()),
        "model card": card_page(model_card(FACTS)),
        "decision": decision_page("classification"),
        "decision on a regression": decision_page("regression"),
    }
    return written | {f"{name}, served": as_served(text.encode()).decode() for name, text in written.items()}


def test_no_page_of_the_product_is_left_out() -> None:
    """A file that begins a page is one of those that are looked at here; the page of a review has the same test beside its own."""
    begins = {
        str(file.relative_to(ROOT))
        for room in ("infra", "ml", "pipelines")
        for file in (ROOT / room).rglob("*")
        if file.suffix in (".py", ".html") and "<!doctype html>" in file.read_text(encoding="utf-8").lower()
    }
    assert begins == {
        "infra/review/templates/review.html",
        "ml/card/html_page.py",
        "pipelines/report/templates/house.html",
        "pipelines/report/templates/report.html",
    }


def test_failures_stand_first_on_the_page_of_the_house() -> None:
    """The environment whose job failed is the first thing to look at; what nothing is wrong with is not."""
    text = render_house(house())
    attention = text.partition('id="attention"')[2].partition("</section>")[0]
    assert attention.index("prod, flight delay") < attention.index("dev, flight delay")
    assert "the model could not be loaded" in attention
    assert re.search(r">platform</span> flight_delay\.scoring, task score failed last", attention), attention[:900]
    assert "data" not in re.findall(r">(data|model|platform)<", attention)


def test_the_environments_of_the_house_are_in_the_order_of_what_is_wrong() -> None:
    """A failed job first, then a finding, then nothing wrong; where nothing has run comes last, also in the navigation."""
    found = house()
    assert found.by_urgency == ("prod", "dev", "staging")
    text = render_house(found)
    assert re.findall(r'<section id="(dev|staging|prod)">', text) == ["prod", "dev", "staging"]
    assert re.findall(r'<a href="#(dev|staging|prod)">', text) == ["prod", "dev", "staging"]
    sound = replace(placed("prod", findings=()), use_case="air_time")
    several = replace(found, placed=(*found.placed, sound, placed("staging")))
    assert several.by_urgency == ("prod", "dev", "staging")
    assert [one.use_case for one in several.cards("prod")] == ["flight_delay", "air_time"]
    equal = replace(found, placed=(placed("dev", findings=(FOUND,)), placed("prod", findings=(FOUND,))))
    assert [one.environment for one in equal.urgent] == ["prod", "dev"]
    assert equal.by_urgency == ("prod", "dev", "staging")
    assert replace(found, placed=()).by_urgency == found.environments


def test_an_error_that_the_cause_quotes_is_shown_once() -> None:
    """A delivery that could not be taken is the cause and the error in the same words."""
    failed = ("flight_delay.features, task ingest: no weather.csv.", "flight_delay.scoring, task score: no memory")
    cause = Cause(area=CauseArea.DATA, sentence="data: flight_delay.features: no weather.csv.")
    text = render_house(replace(house(), placed=(replace(placed("prod", failed=failed), cause=cause),)))
    attention = text.partition('id="attention"')[2].partition("</section>")[0]
    assert attention.count("no weather.csv.") == 1
    assert attention.count("no memory") == 1


def test_an_alarm_of_now_comes_before_what_can_wait() -> None:
    """In the list, between environments and within one, by the severity that the page names; a failed job comes before both."""
    drifted = replace(placed("prod", findings=(FOUND,)), alarms=alarms_of(failed_jobs=(), kinds=("drift",)))
    stopped = replace(
        placed("dev", findings=(FOUND,)), alarms=alarms_of(failed_jobs=(), kinds=("source_stopped", "drift"))
    )
    without = replace(placed("staging", findings=(FOUND,)), alarms=())
    shown = replace(house(), placed=(without, drifted, stopped))
    assert [one.environment for one in shown.urgent] == ["dev", "prod", "staging"]
    assert shown.by_urgency == ("dev", "prod", "staging")
    beside = replace(stopped, environment="prod", use_case="air_time")
    assert [one.use_case for one in replace(shown, placed=(drifted, beside)).cards("prod")] == [
        "air_time",
        "flight_delay",
    ]
    failed = placed("staging", failed=("flight_delay.scoring, task score: no memory",))
    assert replace(shown, placed=(stopped, failed)).by_urgency == ("staging", "dev", "prod")


def test_failures_stand_first_in_a_report() -> None:
    """Before quality and findings, not at the bottom."""
    text = pages()["report of a failure"]
    assert text.index("Failed last") < text.index('id="quality"')
    assert "the model could not be loaded" in text.partition('id="failures"')[2].partition("</section>")[0]
    assert "Failed last" not in pages()["report"]


def test_links_into_mlflow_are_of_the_experiment_each_version_and_its_run() -> None:
    """On the page of the house and in a report; a run is looked up in the store of the environment that trained it."""
    for name in ("house", "report"):
        text = pages()[name]
        for address in (
            "/mlflow/prod/#/experiments/1",
            "/mlflow/prod/#/models/dev.flight_delay/versions/4",
            "/mlflow/staging/#/runs/0a1b",
        ):
            assert f'<a class="when-served" href="{address}">' in text, (name, address)


def test_a_page_from_disk_says_why_it_has_no_links_into_mlflow(tmp_path: Path) -> None:
    """Chromium shows the sentence from disk and no link; as it is served, the links and no sentence."""
    shown = shown_text(pages(), tmp_path)
    for name in ("house", "report"):
        assert "This page is opened from disk" in shown[name]
        assert "in MLflow" not in shown[name].replace("links into MLflow", "")
        assert "This page is opened from disk" not in shown[f"{name}, served"]
        assert "in MLflow" in shown[f"{name}, served"]


def test_lineage_shows_who_writes_and_who_reads() -> None:
    """Each table has a box, and the model; an arrow names the tasks between two of them."""
    picture = lineage_picture(FLIGHT_DELAY, name="x")
    for name in (
        "schedule (source)",
        "weather (source)",
        "tail_history",
        "training_set",
        "flight_delay",
        "predictions",
    ):
        assert f">{name}</text>" in picture
    assert "<title>weather (source) to weather: features.build_features</title>" in picture
    assert "<title>flight_delay to predictions: scoring.score</title>" in picture


def test_every_table_of_every_page_has_a_caption_and_every_scrolling_region_the_keyboard() -> None:
    """Whoever does not see a table hears what it is; whoever has no mouse can move it."""
    for name, text in pages().items():
        assert text.count("<table") == text.count("<caption>"), name
        assert text.count('class="scroll') == text.count('class="scroll" tabindex="0" role="group"') + text.count('class="scroll wide" tabindex="0" role="group"'), name  # fmt: skip


def test_axe_core_has_no_serious_finding_on_a_desk_and_on_a_phone(tmp_path: Path) -> None:
    """On any page with everything opened; and nothing but a scrolling region is wider than the window."""
    looked = looked_at(pages(), tmp_path)
    assert len(looked) == 2 * len(pages())
    for where, found in looked.items():
        assert [one for one in found["found"] if one["impact"] in SERIOUS] == [], where
        assert found["wide"] <= 0, (where, found["beyond"])
        assert where[1] != WIDTHS[0] or found["sideways"] == [], where  # on a desk, tables are seen whole


def test_no_text_of_a_picture_is_cut_off_covered_or_too_small_to_read(tmp_path: Path) -> None:
    """In every picture of every page, on a desk and on a phone: axes, legends, boxes and their names."""
    drawn = {
        file.name: f'<!DOCTYPE html><html lang="en"><body>{file.read_text(encoding="utf-8")}</body></html>'
        for file in DOCS.glob("*.svg")
    }
    assert drawn
    for where, found in (looked_at(pages(), tmp_path) | looked_at(drawn, tmp_path, [1280])).items():
        assert (found["cut"], found["overlaps"], found["small"]) == ([], [], []), where


def test_no_page_shows_a_metric_under_its_raw_name(tmp_path: Path) -> None:
    """People read "ROC AUC" and "log loss"; nobody reads a difference with a sign twice."""
    for name, text in shown_text(pages(), tmp_path).items():
        raw = [one for one in RAW if re.search(rf"\b{one}\b", text)]
        assert not raw, (name, raw)
        assert not re.search(r"\b(better|worse) by [-+\u2212]", text), name


def test_alarms_of_a_use_case_name_who_acts_and_the_run_book() -> None:
    """The failed scoring job is urgent; drift is not, and is not named where nothing drifted."""
    text = render_house(house())
    wrong = text.partition('id="prod"')[2].partition("</section>")[0]
    named = "scoring failed: ML engineer; run-book <code>docs/run-books.md#no-predictions-are-made</code>"
    assert re.search(rf"now</span> {named}", wrong)
    assert "scoring failed" not in text.partition('id="dev"')[2].partition("</section>")[0]


def test_lineage_of_the_champion_shows_the_table_versions_that_it_was_made_from() -> None:
    """The model's box has its version, a table's box the version that was read, and no other box has one."""
    picture = lineage_picture(FLIGHT_DELAY, name="x", champion=4, made_from={"flight_delay_features.labels": 7})
    assert re.findall(r">([\w ]+(?: @ \d+| v\d+))</text>", picture) == ["labels @ 7", "flight_delay v4"]
    assert " to flight_delay: training" in picture


def test_the_look_at_a_page_finds_what_is_wrong(tmp_path: Path) -> None:
    """A picture without a text and grey on grey are serious; a page that is too wide is measured."""
    bad = '<!DOCTYPE html><html lang="en"><title>x</title><body><img src="x.png"><p style="color:#aaa;background:#bbb">grey</p><div style="width:1500px">wide</div></body></html>'
    looked = looked_at({"bad": bad}, tmp_path, [390])["bad", 390]
    assert {"image-alt", "color-contrast"} <= {one["id"] for one in looked["found"]}
    assert looked["wide"] > 0
