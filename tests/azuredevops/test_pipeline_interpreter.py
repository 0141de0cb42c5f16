"""The tests' interpreter of Azure Pipelines follows the documentation and refuses everything that it does not know."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from infra.azure_pipelines.expressions import ExpressionError, Known, Scope, Value, evaluate
from infra.azure_pipelines.played import Scenario
from infra.azure_pipelines.runs import play
from infra.azure_pipelines.shape import RunError, allows
from infra.azure_pipelines.templates import TemplateError, TemplateReading, expand, load
from tests.azuredevops.pipeline_triggers import TriggerError, started_by_push

NAMES = {
    "variables": {"letters": "ABC", "Build.SourceBranch": "refs/heads/main", "empty": "", "number": "123"},
    "parameters": Known({"yes": True, "list": ["one", "two"]}),
}


def value(text: str) -> Value:
    """Evaluate an expression among a few variables and parameters."""
    return evaluate(text, Scope(names=NAMES, functions={"succeeded": lambda: True}))


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("eq(variables.letters, 'abc')", True),  # texts ignore case
        ("eq(variables['number'], 123)", True),  # the right side is cast to the type of the left
        ("eq(123, variables['number'])", True),
        ("eq(1, 'one')", False),  # a cast that fails is not equal
        ("ne(1, 'one')", True),
        ("eq(true, 'anything')", True),
        ("eq(variables['missing'], '')", True),  # a missing key is null, which equals the empty text
        ("in('B', 'a', 'b', 'c')", True),
        ("notIn('D', 'A', 'B')", True),
        ("and(eq(1, 1), not(eq(1, 2)), Succeeded())", True),  # names of functions ignore case
        ("or(false, '')", False),
        ("startsWith(variables['build.sourcebranch'], 'refs/HEADS/')", True),
        ("endsWith('ABCDE', 'DE')", True),
        ("contains('ABCDE', 'bcd')", True),
        ("coalesce(variables.missing, variables.empty, 'last')", "last"),
        ("'it''s'", "it's"),
        ("parameters.list[1]", "two"),
        ("parameters['yes']", True),
        (" -1.5 ", -1.5),
        ("null", None),
    ],
)
def test_expressions_have_the_values_of_the_documentation(text: str, expected: Value) -> None:
    """Literals, look-ups, casts and functions give the documented values."""
    assert value(text) == expected


@pytest.mark.parametrize(
    "text",
    ["", "eq(1)", "eq(1, 2, 3)", "nosuch(1)", "pipeline.startTime", "eq(1, 2) and eq(1, 2)", "eq(1 2)", "eq(1, 2",
     "\"text\"", "parameters.missing", "variables.letters.x", "1.2.3.4", "$(x)", "eq(1, 2))"],
)  # fmt: skip
def test_an_expression_that_is_not_understood_is_an_error(text: str) -> None:
    """An unknown function, context or parameter and a missing bracket or comma each raise an error."""
    with pytest.raises(ExpressionError):
        value(text)


@given(st.text(alphabet=st.characters(exclude_characters="'", codec="ascii")))
def test_every_text_is_read_back_as_it_was_written(text: str) -> None:
    """A text between single quotes evaluates to itself."""
    assert value(f"'{text}'") == text


@given(st.lists(st.booleans(), min_size=2, max_size=5))
def test_and_or_not_are_those_of_logic(values: list[bool]) -> None:
    """`and`, `or` and `not` follow logic for any number of arguments."""
    output = ", ".join(str(value) for value in values)
    assert value(f"and({output})") == all(values)
    assert value(f"or({output})") == any(values)
    assert value(f"not(or({output}))") == (not any(values))


TEMPLATE = """
parameters:
  - {name: who, type: string, values: [dev, staging]}
  - {name: loud, type: boolean, default: false}
  - {name: more, type: stepList, default: []}
steps:
  - bash: echo ${{ parameters.who }}
  - ${{ if eq(parameters.loud, true) }}:
      - bash: echo loud
  - ${{ elseif eq(parameters.who, 'staging') }}:
      - bash: echo staging
  - ${{ else }}:
      - bash: echo quiet
  - ${{ each step in parameters.more }}:
      - ${{ step }}
"""
PIPELINE = """
steps:
  - template: inner.yml
    parameters: {who: WHO, loud: LOUD, more: [{bash: echo more}]}
"""


def expanded(
    write: Callable[..., Path], who: str = "dev", loud: str = "false", inner: str = TEMPLATE, outer: str = PIPELINE
) -> list[str]:
    """Expand a pipeline with one template and return its commands."""
    path = write(outer=outer.replace("WHO", who).replace("LOUD", loud), inner=inner)
    return [step["bash"] for step in expand(path)["steps"]]


def test_a_template_is_expanded_in_place(write: Callable[..., Path]) -> None:
    """`if`, `elseif`, `else` and `each` choose the steps that the parameters ask for."""
    assert expanded(write) == ["echo dev", "echo quiet", "echo more"]
    assert expanded(write, who="staging") == ["echo staging", "echo staging", "echo more"]
    assert expanded(write, who="staging", loud="true") == ["echo staging", "echo loud", "echo more"]


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"who": "prod"}, "allowed are"),
        ({"loud": "loudly"}, "is no|no boolean"),
        ({"outer": PIPELINE.replace("who: WHO, ", "")}, "needs the parameter who"),
        ({"outer": PIPELINE.replace("who: WHO", "who: WHO, extra: 1")}, "no parameter extra"),
        ({"outer": PIPELINE.replace("inner.yml", "other.yml")}, "other.yml"),
        ({"outer": PIPELINE + "    condition: false\n"}, "parameters and nothing else"),
        ({"inner": TEMPLATE.replace("${{ else }}", "${{ insert }}")}, "directive"),
        ({"inner": TEMPLATE.replace("type: boolean", "type: container")}, "type container"),
        ({"inner": TEMPLATE + "jobs: []\n"}, "must hold one of"),
        ({"inner": TEMPLATE.replace("echo loud", "a\n        bash: b")}, "stands twice"),
    ],
)
def test_a_mistake_in_a_template_is_an_error(write: Callable[..., Path], change: dict[str, str], said: str) -> None:
    """A wrong type, value, name, file or key raises an error that names it."""
    with pytest.raises(TemplateError, match=said):
        expanded(write, **change)


def test_a_parameter_that_its_template_does_not_use_is_reported(write: Callable[..., Path]) -> None:
    """The report names the template and the parameter."""
    reading = TemplateReading()
    inner = TEMPLATE.replace("parameters:", "parameters:\n  - {name: idle, type: string, default: x}")
    expand(write(outer=PIPELINE.replace("WHO", "dev").replace("LOUD", "true"), inner=inner), reading)
    assert reading.unused() == ["inner.yml: idle"]


@pytest.mark.parametrize(
    ("trigger", "error"),
    [({}, "does not say"), ({"trigger": {"branch": ["main"]}}, "more than is known"),
     ({"trigger": {"branches": {"only": ["main"]}}}, "include and exclude")],
)  # fmt: skip
def test_a_trigger_that_is_not_understood_is_an_error(trigger: dict[str, Any], error: str) -> None:
    """A missing trigger and an unknown key raise an error."""
    with pytest.raises(TriggerError, match=error):
        started_by_push(trigger, "refs/heads/main")


@pytest.mark.parametrize(
    ("paths", "starts"),
    [(["docs/a.md"], False), (["docs"], False), (["docs2/a"], True), (["a/b.tf"], False), (["a/b.py"], True)],
)
def test_a_path_is_excluded_with_its_folder_or_by_a_pattern(paths: list[str], starts: bool) -> None:
    """A folder excludes everything in it but no folder whose name only begins alike; a wildcard excludes by pattern."""
    pipeline = {"trigger": {"branches": {"include": ["main"]}, "paths": {"exclude": ["docs", "*.tf"]}}}
    assert started_by_push(pipeline, "refs/heads/main", paths) is starts


def stages(**jobs: str) -> dict[str, Any]:
    """Return a pipeline of stages, one job with one step each, from ``name: keys as YAML``."""
    found = []
    for name, keys in jobs.items():
        more = load_text(keys)
        job = {"job": "j", "steps": [{"bash": "true", "name": "s", "displayName": "S"}]}
        job |= {key.removeprefix("job_"): more.pop(key) for key in list(more) if key.startswith("job_")}
        found.append({"stage": name, "jobs": [job], **more})
    return {"stages": found}


def load_text(text: str) -> dict[str, Any]:
    """Read keys and values as in a file."""
    import yaml

    return yaml.safe_load(text) or {}


def results(pipeline: dict[str, Any], **scenario: Any) -> dict[str, str]:
    """Play a pipeline and return the result of each stage."""
    played = play(pipeline, Scenario(variables={"Build.SourceBranch": "refs/heads/main"}, **scenario))
    return {name: stage.result for name, stage in played.items()}


def test_a_stage_depends_on_the_one_before_it_and_runs_if_that_succeeded() -> None:
    """After a failed stage the next one is skipped, unless `dependsOn` is empty."""
    pipeline = stages(a="", b="", c="dependsOn: []")
    assert results(pipeline) == {"a": "Succeeded", "b": "Succeeded", "c": "Succeeded"}
    failed = results(pipeline, failing=frozenset({"a.j.S"}))
    assert failed == {"a": "Failed", "b": "Skipped", "c": "Succeeded"}


def test_succeeded_includes_indirect_dependencies() -> None:
    """A failed stage skips a later one, although the stage in between always runs and succeeds."""
    pipeline = stages(a="", b="condition: always()", c="")
    assert results(pipeline, failing=frozenset({"a.j.S"})) == {"a": "Failed", "b": "Succeeded", "c": "Skipped"}


def test_failed_and_succeeded_or_failed_follow_the_documentation() -> None:
    """`failed()` runs only after a failure; `succeededOrFailed()` runs unless the run was cancelled."""
    pipeline = stages(a="", f="dependsOn: a\ncondition: failed()", e="dependsOn: a\ncondition: succeededOrFailed()")
    assert results(pipeline) == {"a": "Succeeded", "f": "Skipped", "e": "Succeeded"}
    assert results(pipeline, failing=frozenset({"a.j.S"})) == {"a": "Failed", "f": "Succeeded", "e": "Succeeded"}
    assert results(pipeline, cancelled_in="a.j") == {"a": "Canceled", "f": "Skipped", "e": "Skipped"}


@pytest.mark.parametrize(
    ("condition", "runs"),
    [("succeeded()", False), ("eq(variables['Build.SourceBranch'], 'refs/heads/main')", True), ("always()", True),
     ("and(not(canceled()), always())", False)],
)  # fmt: skip
def test_a_condition_without_a_status_function_holds_in_a_cancelled_run(condition: str, runs: bool) -> None:
    """First example of the documentation on cancelled builds: only a condition about the status stops the stage."""
    pipeline = stages(a="", b=f'condition: "{condition}"')
    assert (results(pipeline, cancelled_in="a.j")["b"] != "Skipped") is runs


def test_no_job_of_a_skipped_stage_runs() -> None:
    """Second example of that documentation: the condition `always()` of a job does not run a skipped stage."""
    pipeline = stages(a="", b="job_condition: always()")
    assert results(pipeline, cancelled_in="a.j") == {"a": "Canceled", "b": "Skipped"}


@pytest.mark.parametrize(
    "keys",
    [
        "condition: eq(dependencies.nosuch.result, 'Succeeded')",
        "dependsOn: []\ncondition: eq(dependencies.a.result, 'Succeeded')",
        "condition: eq(dependencies.a.outputs['j.s.never'], 'x')",
        "condition: eq(variables['Nobody.Gives'], 'x')",
        "condition: eq(dependencies.a.outcome, 'x')",
        "job_variables: [{name: x, value: \"$[stageDependencies.a.nosuch.outputs['s.v']]\"}]",
        "job_variables: [{name: x, value: $(never)}]",
        "dependsOn: later",
        "isSkippable: false",
        "job_services: {}",
    ],
)
def test_a_reference_to_something_that_does_not_exist_is_an_error(keys: str) -> None:
    """An unknown stage, output, variable or key raises an error, where the service would read null."""
    pipeline = stages(a="", b=keys)
    with pytest.raises(RunError):
        results(pipeline, outputs={"a.j.s": {"v": "1"}})


def test_outputs_reach_stages_and_jobs() -> None:
    """An output variable is readable in the condition of a later stage and in the variables of its jobs."""
    pipeline = stages(
        a="",
        b="""condition: eq(dependencies.a.outputs['j.s.v'], '1')
job_variables: [{name: x, value: "$[stageDependencies.a.j.outputs['s.v']]"}]""",
    )
    pipeline["stages"][1]["jobs"][0]["steps"] = [{"bash": "echo $(x)"}]
    played = play(pipeline, Scenario(variables={}, outputs={"a.j.s": {"v": "1"}}))
    assert played["b"].jobs["j"].steps[0].text == "echo 1"
    assert play(pipeline, Scenario(variables={}, outputs={"a.j.s": {"v": "2"}}))["b"].result == "Skipped"


def test_after_a_failed_step_only_steps_whose_condition_allows_it_run() -> None:
    """With `continueOnError` the job goes on and ends as succeeded with issues."""
    pipeline = stages(a="")
    pipeline["stages"][0]["jobs"][0]["steps"] = [
        {"bash": "1", "displayName": "1"}, {"bash": "2"}, {"bash": "3", "condition": "always()"},
        {"bash": "4", "condition": "failed()"},
    ]  # fmt: skip
    scenario = Scenario(variables={}, failing=frozenset({"a.j.1"}))
    assert [step.text for step in play(pipeline, scenario)["a"].jobs["j"].steps] == ["1", "3", "4"]
    pipeline["stages"][0]["jobs"][0]["steps"][0]["continueOnError"] = True
    job = play(pipeline, scenario)["a"].jobs["j"]
    assert ([step.text for step in job.steps], job.result) == (["1", "2", "3"], "SucceededWithIssues")


def test_a_scenario_in_which_an_unknown_step_fails_is_an_error() -> None:
    """A failing step that no pipeline has raises an error, because the scenario would test nothing."""
    with pytest.raises(RunError, match="no step"):
        results(stages(a=""), failing=frozenset({"a.j.T"}))


def test_a_file_that_holds_no_pipeline_is_an_error(write: Callable[..., Path]) -> None:
    """A missing file and a file that holds a list raise an error."""
    with pytest.raises(TemplateError):
        load(write(a="- 1"))
    with pytest.raises(TemplateError, match=r"none\.yml"):
        load(write(a="- 1").parent / "none.yml")


@pytest.mark.parametrize(
    ("target", "command", "variable", "obeyed"),
    [
        ({}, "setvariable", "any", True),
        ({}, "addbuildtag", "", True),
        ({"commands": "restricted"}, "addbuildtag", "", False),
        ({"commands": "restricted"}, "setvariable", "any", True),
        ({"settableVariables": "none"}, "setvariable", "any", False),
        ({"settableVariables": ["release"]}, "setvariable", "release", True),
        ({"settableVariables": ["release"]}, "setvariable", "wheel", False),
    ],
)
def test_a_step_obeys_what_its_target_allows(
    target: dict[str, object], command: str, variable: str, obeyed: bool
) -> None:
    """Without a target everything, restricted only what touches the step, and the variables that are listed."""
    assert allows({"target": target} if target else {}, command, variable) is obeyed
