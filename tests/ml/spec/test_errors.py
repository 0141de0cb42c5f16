"""Every error that a person may read has one root, one sentence, and an answer to whether repeating helps."""

import ast
import builtins
from collections.abc import Iterator
from pathlib import Path

import pytest

from ml.spec.errors import ROOMS, DeclarationError, LakehouseError, RequestError, retry_helps, sentence_of
from ml.spec.near_miss import nearest

PROJECT = Path(__file__).parents[3]


class BusyError(LakehouseError):
    """An error of ours that passes by itself."""

    retry_helps = True


class BusyValueError(BusyError, ValueError):
    """An error of ours that passes by itself, although its second base is permanent."""


@pytest.mark.parametrize(
    ("error", "sentence"),
    [
        (LakehouseError("no rows."), "no rows."),
        (LakehouseError("no rows.", where="table labels"), "table labels: no rows."),
        (LakehouseError("'prd' is unknown.", allowed="dev, prod"), "'prd' is unknown. Allowed: dev, prod."),
        (LakehouseError("'prd' is unknown.", allowed="dev, prod."), "'prd' is unknown. Allowed: dev, prod."),
        (LakehouseError("no champion.", remedy="Run the training job."), "no champion. Run the training job."),
        (
            LakehouseError("'2' is too large.", where="--sample", allowed="at most 1", remedy="Lower it."),
            "--sample: '2' is too large. Allowed: at most 1. Lower it.",
        ),
    ],
    ids=["what alone", "where", "allowed", "allowed with a full stop", "remedy", "all four"],
)
def test_the_sentence_of_an_error_says_where_what_is_allowed_and_the_remedy(
    error: LakehouseError, sentence: str
) -> None:
    """In this order; a part that was not given leaves no trace."""
    assert str(error) == sentence


def test_an_error_keeps_its_parts() -> None:
    """A caller reads them without taking the sentence apart."""
    error = LakehouseError("what", where="where", allowed="allowed", remedy="remedy")
    assert (error.what, error.where, error.allowed, error.remedy) == ("what", "where", "allowed", "remedy")


def test_a_wrong_request_has_another_exit_code_than_a_failure() -> None:
    """Exit code 2 for a request that cannot be right, 1 for everything else."""
    assert (LakehouseError.exit_code, RequestError.exit_code, DeclarationError.exit_code) == (1, 2, 2)


@pytest.mark.parametrize(
    "error",
    [
        LakehouseError("no labels yet"), DeclarationError("unknown job"), ValueError(), KeyError("column"), IndexError(),
        TypeError(), AttributeError(), ZeroDivisionError(), AssertionError(), ModuleNotFoundError(), RecursionError(),
        type("AnalysisException", (Exception,), {})(), type("ParseException", (Exception,), {})(),
    ],
    ids=lambda error: type(error).__name__,
)  # fmt: skip
def test_repeating_does_not_help_against_mistakes_in_code_data_or_declarations(error: Exception) -> None:
    """The same call raises them again; so do queries that Spark cannot analyse or parse."""
    assert retry_helps(error) is False


@pytest.mark.parametrize(
    "error",
    [
        BusyError("another run is going on"), BusyValueError("another run is going on"), OSError("no space left"),
        ConnectionResetError(), TimeoutError(), InterruptedError(), RuntimeError("the engine went away"),
        type("GatewayError", (Exception,), {})(),
    ],
    ids=lambda error: type(error).__name__,
)  # fmt: skip
def test_repeating_may_help_against_networks_files_and_engines(error: Exception) -> None:
    """An error of ours decides by its own attribute, whatever its other base class is."""
    assert retry_helps(error) is True


def test_an_error_of_ours_is_shown_as_its_own_sentence() -> None:
    """Neither its class nor its place is shown."""
    assert sentence_of(DeclarationError("unknown job 'traning'.", where="flight_delay")) == (
        "flight_delay: unknown job 'traning'."
    )


def test_an_interrupt_is_shown_as_interrupted() -> None:
    """Ctrl-C raises `KeyboardInterrupt` without a text; a text of its own is kept."""
    assert sentence_of(KeyboardInterrupt()) == "interrupted"
    assert sentence_of(KeyboardInterrupt("stopped at task train")) == "stopped at task train"


def test_an_unforeseen_error_names_the_module_and_the_line_of_our_code_and_no_class() -> None:
    """The place is the innermost line of ours that the error passed; it was raised below, in the standard library."""
    with pytest.raises(ValueError, match="cutoff") as caught:
        nearest("traning", ["training of all"], cutoff=7.0)
    source = (PROJECT / "ml" / "spec" / "near_miss.py").read_text().splitlines()
    line = next(number for number, text in enumerate(source, start=1) if "get_close_matches(" in text)
    sentence = sentence_of(caught.value)
    assert sentence == f"ml.spec.near_miss, line {line}: {caught.value}"
    assert "ValueError" not in sentence


def test_an_unforeseen_error_away_from_our_code_is_shown_as_its_text() -> None:
    """On one line; without a text the sentence says so."""
    assert sentence_of(RuntimeError("no\n  disk")) == "no disk"
    assert sentence_of(RuntimeError()) == "no message"


STANDARD_LIBRARY_ALONE = "infra/rehearsal/sign_in.py"
"""A program that stands for another one and imports nothing of ours."""


def classes() -> Iterator[tuple[str, str, list[str]]]:
    """Yield file, name and names of the bases of every class in the sources of the product."""
    for room in ROOMS:
        for file in sorted((PROJECT / room).rglob("*.py")):
            for node in ast.walk(ast.parse(file.read_text())):
                if isinstance(node, ast.ClassDef):
                    bases = [ast.unparse(base).rpartition(".")[2] for base in node.bases]
                    yield f"{file.relative_to(PROJECT)}:{node.lineno}", node.name, bases


def is_exception(name: str, bases: dict[str, list[str]]) -> bool:
    """Return whether a class is an exception: one of Python's, one of a library by its name, or derived from either."""
    if name in bases:  # a class may have the name of its base in a library
        return any(is_exception(base, bases) for base in bases[name] if base != name)
    known = getattr(builtins, name, None)
    return name.endswith(("Error", "Exception")) or (isinstance(known, type) and issubclass(known, BaseException))


def derives_from_root(name: str, bases: dict[str, list[str]]) -> bool:
    """Return whether a class is `LakehouseError` or derives from it, directly or not."""
    return name == LakehouseError.__name__ or any(derives_from_root(base, bases) for base in bases.get(name, []))


def test_every_exception_class_of_the_product_derives_from_the_one_root() -> None:
    """So each program catches one class, and the runner asks one question."""
    found = list(classes())
    bases = {name: parents for _, name, parents in found}
    exceptions = [(place, name) for place, name, parents in found if is_exception(name, {**bases, name: parents})]
    assert len(exceptions) >= 40
    assert len({name for _, name in exceptions}) == len(exceptions), "two exception classes share a name"
    strangers = [place for place, name in exceptions if not derives_from_root(name, bases)]
    assert [place for place in strangers if place.partition(":")[0] != STANDARD_LIBRARY_ALONE] == []
