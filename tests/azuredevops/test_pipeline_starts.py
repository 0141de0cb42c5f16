"""Which pushes, tags, pull requests and schedules start a pipeline."""

import pytest

from tests.azuredevops.conftest import Pipelines
from tests.azuredevops.pipeline_triggers import schedules, started_by_push, started_by_yaml_for_pull_requests


def test_no_pipeline_file_starts_a_run_for_a_pull_request(pipelines: Pipelines) -> None:
    """Only the branch policy starts it; a trigger in the file would start a second run on a mirror."""
    for name, pipeline in pipelines.items():
        assert not started_by_yaml_for_pull_requests(pipeline), name
    assert not started_by_push(pipelines["pull-request"], "refs/heads/main", ["ml/gate/decision.py"])


@pytest.mark.parametrize(
    ("paths", "starts"),
    [
        (["ml/gate/decision.py"], True),
        (["infra/settings/dev.yaml"], True),
        (["docs/platform.md", "pipelines/use_cases/flight_delay/features.py"], True),
        (["docs/platform.md"], False),
        (["README.md", "docs/year.svg"], False),
        (["documents/new.py"], True),
    ],
)
def test_main_starts_for_code_and_settings_and_not_for_documentation(
    pipelines: Pipelines, paths: list[str], starts: bool
) -> None:
    """One path outside of the documentation is enough."""
    assert started_by_push(pipelines["main"], "refs/heads/main", paths) is starts


def test_main_starts_for_no_other_branch_and_for_no_tag(pipelines: Pipelines) -> None:
    """Branches with a similar name, feature branches and tags do not start it."""
    assert not started_by_push(pipelines["main"], "refs/heads/mainframe", ["ml/gate/decision.py"])
    assert not started_by_push(pipelines["main"], "refs/heads/feature/x", ["ml/gate/decision.py"])
    assert not started_by_push(pipelines["main"], "refs/tags/v1.4")


def test_a_release_starts_for_a_version_tag_and_for_nothing_else(pipelines: Pipelines) -> None:
    """A branch of the same name and another tag do not start it, and only `nightly` has a schedule."""
    starts = [ref for ref in ("refs/tags/v1.4", "refs/tags/try", "refs/tags/product/v0.2.0", "refs/heads/v1.4", "refs/heads/main")
              if started_by_push(pipelines["release"], ref, ["ml/gate/decision.py"])]  # fmt: skip
    assert starts == ["refs/tags/v1.4"]
    assert [name for name in pipelines if schedules(pipelines[name], "main")] == ["nightly"]


def test_nightly_runs_on_main_also_when_nothing_was_pushed(pipelines: Pipelines) -> None:
    """The schedule runs every night, on main only, and no push starts it."""
    (schedule,) = schedules(pipelines["nightly"], "main")
    assert (schedule["cron"], schedule["always"]) == ("0 3 * * *", True)
    assert schedules(pipelines["nightly"], "feature/x") == []
    assert not started_by_push(pipelines["nightly"], "refs/heads/main", ["ml/gate/decision.py"])
