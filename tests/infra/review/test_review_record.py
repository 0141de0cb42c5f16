"""One record of a review: its severity, and the comment, the page and the JSON that are made from it."""

import dataclasses
import datetime as dt
import json
from pathlib import Path
from typing import Any

import pytest

from infra.checks.waivers import Waiver
from infra.config.prices import PriceTable
from infra.description.cost import CostPart
from infra.review.as_json import as_json
from infra.review.comparing import Meaning, ResourceChange
from infra.review.cost_changes import cost_changes
from infra.review.directions import Direction
from infra.review.effective_rights import RightsChange, WayChange
from infra.review.markdown import comment
from infra.review.page import page
from infra.review.privileges import Privilege
from infra.review.record import EXIT_CODES, ReviewRecord, ReviewSeverity
from infra.review.strictness import Looser
from infra.review.values import ValueChange
from infra.review.waiver_changes import WaiverAction, waiver_changes
from infra.terraform_cli.changes import Action
from tests.pipelines.report.pages_in_a_browser import SERIOUS, looked_at

PRICES = PriceTable.model_validate(
    {"currency": "EUR", "prices": [{"key": "machine A", "price": 0.5, "per": "hour",
                                    "source": "https://prices.example/a", "date": "2026-11-28"}]}
)  # fmt: skip
LATER, SOON = dt.date(2027, 6, 1), dt.date(2027, 1, 1)
TLS = ValueChange(path="min_tls_version", before="TLS1_2", after="TLS1_0", direction=Direction.LOOSENED)


def waiver(check: str = "CKV_X", expires: dt.date = SOON, **other: Any) -> Waiver:
    """Return a waiver."""
    stated = {"resource": "dev-platform/azurerm_x.y", "reason": "The service of that region has no other way yet.", "owner": "platform"}  # fmt: skip
    return Waiver(check=check, expires=expires, **{**stated, **other})


def part(key: str, least: float | None, most: float | None = None, environment: str = "prod") -> CostPart:
    """Return a part of the cost of an environment."""
    return CostPart(environment=environment, what=key, key=key, least=least, most=least if most is None else most)


def right(*, gained: bool = True, controls: bool = False, environment: str = "prod") -> RightsChange:
    """Return what a group gains or loses."""
    path = "the company's group (x) is a member of prod's ml engineers (g) (stacks/account/cdk.tf.json, databricks_group_member.x)"
    return RightsChange(
        principal="the company's group (x)", environment=environment, gained=gained, controls=controls, path=path,
        rights=("MODIFY on prod's schema a_bronze", "SELECT on prod's schema a_bronze"),
    )  # fmt: skip


def way(*, opened: bool, declared: bool = False) -> WayChange:
    """Return a way from dev into prod."""
    return WayChange(reader="dev", owner="prod", opened=opened, declared=declared, path="dev's identity reads prod")


def meaning(*changes: ResourceChange) -> dict[str, Meaning]:
    """Return what changes of prod's resources mean."""
    return {"dev": Meaning(), "prod": Meaning(resources=changes)}


UPDATED = ResourceChange(stack="prod-platform", address="azurerm_subnet.x", action=Action.UPDATE, attributes=("a",))
LOOSENED = ResourceChange(
    stack="prod-platform", address="azurerm_storage_account.lake", action=Action.UPDATE,
    attributes=("min_tls_version",), values=(TLS,),
)  # fmt: skip
LOST = ResourceChange(stack="prod-workspace", address="databricks_schema.a", action=Action.DESTROY)


def record(meanings: dict[str, Meaning] | None = None, **stated: Any) -> ReviewRecord:
    """Return a record in which nothing changes but what is stated."""
    return ReviewRecord(base="0" * 40, meanings=meanings or meaning(), **stated)


CASES: dict[str, tuple[ReviewRecord, ReviewSeverity]] = {
    "nothing": (record(), ReviewSeverity.NONE),
    "a resource that is changed": (record(meaning(UPDATED)), ReviewSeverity.LOW),
    "a right lost": (record(rights=(right(gained=False, controls=True),)), ReviewSeverity.LOW),
    "a path closed": (record(ways=(way(opened=False),)), ReviewSeverity.LOW),
    "a waiver removed": (record(waivers=waiver_changes([waiver()], [])), ReviewSeverity.LOW),
    "a waiver shortened": (record(waivers=waiver_changes([waiver(expires=LATER)], [waiver()])), ReviewSeverity.LOW),
    "a lower cost": (record(cost=cost_changes([part("machine A", 10)], [part("machine A", 5)], PRICES)), ReviewSeverity.LOW),
    "a value loosened": (record(meaning(LOOSENED)), ReviewSeverity.MEDIUM),
    "a right to read gained": (record(rights=(right(),)), ReviewSeverity.MEDIUM),
    "power over dev gained": (record(rights=(right(controls=True, environment="dev"),)), ReviewSeverity.MEDIUM),
    "a waiver added": (record(waivers=waiver_changes([], [waiver()])), ReviewSeverity.MEDIUM),
    "a waiver extended": (record(waivers=waiver_changes([waiver()], [waiver(expires=LATER)])), ReviewSeverity.MEDIUM),
    "a higher cost": (record(cost=cost_changes([part("machine A", 5)], [part("machine A", 5, 10)], PRICES)), ReviewSeverity.MEDIUM),
    "more hours without a price": (record(cost=cost_changes([part("machine B", 5)], [part("machine B", 6)], PRICES)), ReviewSeverity.MEDIUM),
    "prod looser than staging, newly": (record(newly_looser=(Looser(address="x.y", value=TLS),)), ReviewSeverity.MEDIUM),
    "data destroyed": (record(meaning(LOST)), ReviewSeverity.HIGH),
    "a declared path opened": (record(ways=(way(opened=True, declared=True),)), ReviewSeverity.HIGH),
    "power over prod gained": (record(rights=(right(controls=True),)), ReviewSeverity.HIGH),
}  # fmt: skip


@pytest.mark.parametrize("what", CASES)
def test_each_change_is_as_severe_as_what_it_means(what: str) -> None:
    """What takes away, and what is only different, is low; what gives is medium; what cannot be undone is high."""
    found, severity = CASES[what]
    assert found.severity is severity
    assert bool(found.reasons) == (severity in (ReviewSeverity.MEDIUM, ReviewSeverity.HIGH))


def test_exit_codes_tell_severities_apart_from_what_is_not_possible() -> None:
    """1 and 2 keep the meaning that they have in every command."""
    assert EXIT_CODES == {
        ReviewSeverity.NONE: 0,
        ReviewSeverity.LOW: 0,
        ReviewSeverity.MEDIUM: 3,
        ReviewSeverity.HIGH: 4,
    }


def test_waivers_are_told_apart_by_check_and_resource() -> None:
    """Added, extended, shortened, with other words, removed; one that stays is not told."""
    before = [waiver("a"), waiver("b"), waiver("c", LATER), waiver("d"), waiver("e")]
    after = [waiver("b", LATER), waiver("c"), waiver("d", owner="security"), waiver("e"), waiver("f")]
    found = waiver_changes(before, after)
    assert [(one.action, (one.after or one.before or waiver()).check) for one in found] == [
        (WaiverAction.ADDED, "f"), (WaiverAction.EXTENDED, "b"), (WaiverAction.SHORTENED, "c"),
        (WaiverAction.REWORDED, "d"), (WaiverAction.REMOVED, "a"),
    ]  # fmt: skip
    assert "until 2027-06-01 (before 2027-01-01), owned by platform" in found[1].sentence


def test_cost_is_a_range_and_what_is_not_known_is_not_zero() -> None:
    """Both sides by the same prices; hours without a price are told, and counted nowhere."""
    before = [part("machine A", 10, 20), part("machine B", 3), part("", None)]
    after = [part("machine A", 10, 40), part("machine B", 5), part("", None)]
    (found,) = cost_changes(before, after, PRICES)
    assert found.texts == ("EUR 5 to 10 and 2 unknown parts", "EUR 5 to 20 and 2 unknown parts")
    assert [one.sentence for one in found.quantities] == [
        "machine A: 10 to 20 → 10 to 40 hours", "machine B: 3 → 5 hours, price unknown",
    ]  # fmt: skip
    assert found.rises
    (unknown,) = cost_changes(None, after, PRICES)
    assert unknown.texts[0] == "unknown"
    assert not unknown.rises


def everything() -> ReviewRecord:
    """A record with something of every kind, and names that are no HTML."""
    meanings = {
        "dev": Meaning(),
        "prod": Meaning(
            resources=(UPDATED, LOOSENED, LOST),
            gained=(Privilege(principal="<b>x</b>", right="SELECT", on="schema a"),),
        ),
    }
    return ReviewRecord(
        base="0123456789ab" + "0" * 28, meanings=meanings, notes=("Compared with 0123456789ab.",),
        rights=(right(controls=True), right(gained=False, environment="dev")), ways=(way(opened=True), way(opened=False)),
        waivers=waiver_changes([], [waiver()]), looser=(Looser(address="x.y", value=TLS),),
        cost=cost_changes([part("machine A", 10, 20)], [part("machine A", 10, 40)], PRICES),
    )  # fmt: skip


SAID = (
    "databricks_schema.a", "dev's identity reads prod", "which no setting opens", "min_tls_version: TLS1_2 → TLS1_0",
    "the company's group (x)", "MODIFY on prod's schema a_bronze", "CKV_X", "EUR 5 to 20", "machine A: 10 to 20 → 10 to 40 hours",
    "Looser in prod than in staging", "1 resource that holds data is destroyed or replaced",
)  # fmt: skip


@pytest.mark.parametrize("said", SAID)
def test_comment_and_page_say_the_same(said: str) -> None:
    """Whatever one of them tells, the other tells too."""
    assert said in comment(everything()).replace("`", "")
    assert said.lower() in page(everything()).replace("&#39;", "'").lower()


def test_a_comment_counts_the_steps_that_give_the_same_on_other_objects() -> None:
    """Thirty jobs that a group may see from now on are one line; the page and the JSON name each."""
    seen = [dataclasses.replace(right(), rights=(f"CAN_VIEW on prod's job {number}",)) for number in range(30)]
    found = record(rights=(*seen, right()))
    lines = [
        line for line in comment(found).splitlines() if line.startswith("- prod: `the company's group (x)` gains ")
    ]
    assert len(lines) == 2
    assert "`CAN_VIEW on prod's job 0` and 29 more: " in lines[0]
    assert lines[0].endswith("(and 29 steps alike)")
    assert all(f"job {number}" in page(found) for number in range(30))


def test_the_json_is_the_whole_record() -> None:
    """A program reads severity, reasons, every right with its path, waivers, and costs as numbers."""
    read = json.loads(as_json(everything()))
    assert (read["format"], read["severity"]) == (1, "high")
    assert read["reasons"][0]["severity"] == "high"
    assert [one["address"] for one in read["data_at_risk"]] == ["databricks_schema.a"]
    assert read["meanings"]["prod"]["resources"][1]["values"][0]["direction"] == "loosened"
    assert read["rights"][0]["rights"] == ["MODIFY on prod's schema a_bronze", "SELECT on prod's schema a_bronze"]
    assert read["ways"][0] == {"reader": "dev", "owner": "prod", "opened": True, "declared": False, "path": "dev's identity reads prod"}  # fmt: skip
    assert read["waivers"][0]["after"]["expires"] == "2027-01-01"
    assert read["waivers"][0]["before"] is None
    assert (read["cost"][0]["after"]["least"], read["cost"][0]["after"]["most"]) == (5.0, 20.0)


def test_the_page_needs_no_other_file_and_shows_names_as_text() -> None:
    """No address, no script; a name that is HTML is escaped."""
    text = page(everything())
    assert "http" not in text
    assert "<script" not in text
    assert "&lt;b&gt;x&lt;/b&gt;" in text
    assert "No resource, right, waiver or cost changes." in page(record())


def test_no_page_has_a_serious_finding_or_is_wider_than_its_window(tmp_path: Path) -> None:
    """On a desk and on a phone."""
    for (name, width), seen in looked_at(
        {"everything": page(everything()), "nothing": page(record())}, tmp_path
    ).items():
        assert [one for one in seen["found"] if one["impact"] in SERIOUS] == [], (name, width)
        assert seen["wide"] <= 0, (name, width, seen["beyond"])
