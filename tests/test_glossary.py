"""One word has one meaning: no two classes share a name, and each term of the glossary names one concept."""

import ast
import functools
import re
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
ROOMS = ("ml", "pipelines", "infra")
CONCEPTS = {
    "environment": "pipelines.declarations.environment:Environment",
    "workspace": "infra.constructs.azure.databricks_workspace:databricks_workspace",
    "lakehouse": "pipelines.lakehouse.lakehouse:Lakehouse",
    "use case": "pipelines.declarations.use_case:UseCase",
    "candidate": "pipelines.lakehouse.registry.models:CANDIDATE",
    "champion": "pipelines.lakehouse.registry.aliases:CHAMPION",
    "challenger": "pipelines.lakehouse.registry.aliases:CHALLENGER",
    "window": "ml.monitoring.findings:Window",
    "slice": "ml.evaluation.record:SliceMetrics",
    "evaluation": "ml.evaluation.record:Evaluation",
    "verdict": "ml.gate.verdict:Verdict",
    "delivery": "pipelines.tasks.versions.delivery:",
    "release": "infra.constructs.release:Release",
    "integration run": "pipelines.integration:",
    "smoke": "pipelines.remote.smoke:smoke",
    "shared feature table": "pipelines.declarations.shared_features:SharedTable",
    "branch": "pipelines.declarations.branch:branched",
    "opening": "infra.graph.openings:DeclaredOpening",
    "finding": "ml.monitoring.findings:Finding",
    "quarantine": "pipelines.sources.contract:",
}
"""Term of the glossary to the one class, constant, function or module (nothing after the colon) that stands for it."""
SHARED_NAMES: dict[str, str] = {}
"""Class names that two classes may share, each with its reason; an entry that is no longer needed fails."""


def test_no_class_name_is_defined_twice() -> None:
    """A second class with the same name is a second meaning of the word."""
    shared = {name: places for name, places in classes().items() if len(places) > 1}
    assert {name: places for name, places in shared.items() if name not in SHARED_NAMES} == {}
    assert sorted(shared) == sorted(SHARED_NAMES), "an exception that is no longer needed must go"


def test_every_term_of_the_glossary_names_one_concept() -> None:
    """The glossary and the concepts have the same terms, and no concept has two terms."""
    assert glossary() == list(CONCEPTS)
    assert len(set(CONCEPTS.values())) == len(CONCEPTS)


@pytest.mark.parametrize("term", CONCEPTS)
def test_the_concept_of_a_term_is_defined_in_the_code(term: str) -> None:
    """The module exists and defines the name at its top level."""
    module, _, name = CONCEPTS[term].partition(":")
    assert not name or name in top_level_names(module)


@pytest.mark.parametrize("term", CONCEPTS)
def test_a_class_that_is_named_like_a_term_is_its_concept(term: str) -> None:
    """A class ``Window`` can only be the window of the glossary."""
    places = classes().get(term.title().replace(" ", ""), [])
    module, _, _ = CONCEPTS[term].partition(":")
    assert places in ([], [module])


def glossary() -> list[str]:
    """The terms of the page's table of words, in its order."""
    section = (ROOT / "docs" / "words.md").read_text(encoding="utf-8")
    return re.findall(r"^\| ([^|]+?) \| ", section, re.MULTILINE)[1:]


@functools.cache
def classes() -> dict[str, list[str]]:
    """Every class of the product by name, with the modules that define it."""
    found: dict[str, list[str]] = defaultdict(list)
    for path in sources():
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.ClassDef):
                found[node.name].append(".".join(path.relative_to(ROOT).with_suffix("").parts))
    return found


def sources() -> Iterator[Path]:
    """Every Python file of the three rooms."""
    for room in ROOMS:
        yield from sorted((ROOT / room).rglob("*.py"))


def top_level_names(module: str) -> set[str]:
    """The names that a module binds at its top level; a package without code binds none."""
    path = ROOT.joinpath(*module.split("."))
    tree = ast.parse((path / "__init__.py" if path.is_dir() else path.with_suffix(".py")).read_text())
    names = {node.name for node in tree.body if isinstance(node, ast.ClassDef | ast.FunctionDef)}
    targets = [target for node in tree.body if isinstance(node, ast.Assign) for target in node.targets]
    return names | {target.id for target in targets if isinstance(target, ast.Name)}
