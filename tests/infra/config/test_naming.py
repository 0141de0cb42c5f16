"""Names fit their limits, differ when what they name differs, and hold only what Azure and Databricks take."""

import re

import pytest
from hypothesis import given
from hypothesis import settings as limits
from hypothesis import strategies as st

from infra.config.naming import NamingRule, ResourceKind, logical_id, name, tags

PARTS = st.lists(st.from_regex(r"[a-zA-Z][a-zA-Z0-9 _-]{0,60}[a-z0-9]", fullmatch=True), min_size=1, max_size=4)


@limits(max_examples=200, deadline=None)
@given(st.sampled_from(ResourceKind), PARTS)
def test_every_name_fits_its_kind(kind: ResourceKind, parts: list[str]) -> None:
    """Never longer than the kind allows, and only of characters that every service takes."""
    rule: NamingRule = kind.value
    made = name(kind, *parts)
    assert len(made) <= rule.limit
    assert made.startswith(rule.prefix)
    assert re.fullmatch(r"[a-z][a-z0-9]*(-[a-z0-9]+)*" if rule.separator else r"[a-z0-9]+", made)


def test_two_long_names_that_begin_alike_stay_different() -> None:
    """A hash of the whole name distinguishes names that are cut."""
    one, other = (name(ResourceKind.KEY_VAULT, "mrd", "a-very-long-environment-name", end) for end in ("one", "two"))
    assert one != other
    assert len(one) == len(other) == 24


def test_a_name_is_the_same_on_every_machine() -> None:
    """A changed name would replace what it names."""
    assert name(ResourceKind.STORAGE_ACCOUNT, "mrd", "dev", "lake") == "stmrddevlake"
    assert name(ResourceKind.WORKSPACE, "mrd", "prod") == "dbw-mrd-prod"


def test_a_part_without_letters_is_refused() -> None:
    """A name of separators names nothing."""
    with pytest.raises(ValueError, match="every part needs a letter or digit"):
        name(ResourceKind.WORKSPACE, "mrd", "--")


@limits(max_examples=100, deadline=None)
@given(PARTS)
def test_a_logical_id_is_what_terraform_takes(parts: list[str]) -> None:
    """Letters, digits and underscores, beginning with a letter."""
    assert re.fullmatch(r"[a-z][a-z0-9_]*", logical_id(*parts))


def test_tags_say_where_whose_and_what_for() -> None:
    """Costs are divided and owners found by these keys."""
    made = tags(organisation="mrd", environment="dev", team="operations", cost_centre="CC-1", use_case="x", commit="c")
    assert made == {
        "organisation": "mrd", "environment": "dev", "team": "operations", "cost_centre": "CC-1", "use_case": "x",
        "managed_by": "terraform", "git_commit": "c",
    }  # fmt: skip
