"""Each field of a declared value is of its declared type, and a mistake says what is found and what is allowed."""

import dataclasses
from collections.abc import Mapping, Sequence
from datetime import date
from enum import StrEnum
from typing import Any

import pytest

from ml.spec.declaring import type_mistakes


class _Side(StrEnum):
    LEFT = "left"


class _Part:
    """A declared part."""


PART = _Part()
CASES: tuple[tuple[Any, tuple[Any, ...], tuple[tuple[Any, str], ...]], ...] = (
    (str, ("", "text"), ((7, "7; give a text"), (None, "None; give a text"))),
    (int, (7, -1), ((7.5, "7.5; give a whole number"), (True, "True; give a whole number"), ("7", "'7'; give a whole number"))),
    (float, (7, 7.5), ((True, "True; give a number"), ("7", "'7'; give a number"))),
    (bool, (True, False), ((1, "1; give True or False"),)),
    (date, (date(2026, 11, 29),), (("2026-11-29", "'2026-11-29'; give a date"),)),
    (_Part, (PART,), (("part", "'part'; give a _Part"),)),
    (str | None, ("", None), ((7, "7; give a text or None"),)),
    (_Part | str | None, (PART, "", None), ((7, "7; give a _Part or a text or None"),)),
    (tuple[str, ...], ((), ("a", "b")), (("a", "'a'; give a tuple, of one value with a comma: (x,)"), (["a"], "['a']; give a tuple"),
                                         (("a", 7), "a tuple with 7; give a tuple whose values are each a text"))),
    (tuple[str | None, ...], (("a", None),), ((("a", 7), "a tuple with 7; give a tuple whose values are each a text or None"),)),
    (tuple[tuple[str, ...], ...], ((("a",), ()),), ((("a",), "a tuple with 'a'"),)),
    (Mapping[str, float], ({}, {"a": 1}), (({7: 1}, "{7: 1}; give a mapping whose names are each a text"), (7, "7; give a mapping"))),
    (Mapping[str, float] | None, (None, {"a": 1}), (({7: 1}, "{7: 1}; give a mapping whose names are each a text or None"),)),
    (Sequence[str], (("a",), ["a"]), ()),
    (Any, (7, None), ()),
    (_Side, (_Side.LEFT, "left", "up"), ()),
    (_Side | None, (_Side.LEFT, "up", None), ()),
)  # fmt: skip


def _holding(kind: Any) -> type:
    return dataclasses.make_dataclass("Declared", [("field", kind), ("unset", str, dataclasses.field(init=False))])


@pytest.mark.parametrize(("kind", "right", "wrong"), CASES, ids=[str(kind) for kind, _, _ in CASES])
def test_a_field_takes_the_values_of_its_type(
    kind: Any, right: tuple[Any, ...], wrong: tuple[tuple[Any, str], ...]
) -> None:
    """Of every form of type that a declaration uses; enumerations are judged by the checks that know their values."""
    declared = _holding(kind)
    assert [one for one in right if type_mistakes(declared(one))] == []
    for value, sentence in wrong:
        (mistake,) = type_mistakes(declared(value))
        assert mistake.startswith(f"field is {sentence}")


def test_all_wrong_fields_are_named_at_once() -> None:
    """In the order in which they are declared."""
    declared = dataclasses.make_dataclass("Declared", [("first", str), ("second", int), ("third", float)])
    assert type_mistakes(declared(1, 2, "3")) == ["first is 1; give a text", "third is '3'; give a number"]
