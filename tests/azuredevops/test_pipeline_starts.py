"""What starts a pipeline, and what does not."""

import pytest

from tests.azuredevops.conftest import Pipelines
from tests.azuredevops.pipeline_triggers import schedules, started_by_push, started_by_yaml_for_pull_requests


def test_a_pull_request_is_started_by_the_branch_policy_and_by_nothing_in_a_file(pipelines: Pipelines) -> None:
    """A trigger of the file would run it a second time on a mirror that hears it."""
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
        (["README.md", "docs/report.png"], False),
        (["documents/new.py"], True),
    ],
)
def test_main_starts_for_what_could_be_deployed_and_not_for_prose(
    pipelines: Pipelines, paths: list[str], starts: bool
) -> None:
    """One path that counts is enough."""
    assert started_by_push(pipelines["main"], "refs/heads/main", paths) is starts


def test_main_starts_for_no_other_branch_and_for_no_tag(pipelines: Pipelines) -> None:
    """A release starts from its tag alone."""
    assert not started_by_push(pipelines["main"], "refs/heads/mainframe", ["ml/gate/decision.py"])
    assert not started_by_push(pipelines["main"], "refs/heads/feature/x", ["ml/gate/decision.py"])
    assert not started_by_push(pipelines["main"], "refs/tags/v1.4")


def test_a_release_starts_for_a_version_tag_and_for_nothing_else(pipelines: Pipelines) -> None:
    """Not for a branch of the same name, not for another tag, not at night."""
    starts = [ref for ref in ("refs/tags/v1.4", "refs/tags/try", "refs/heads/v1.4", "refs/heads/main")
              if started_by_push(pipelines["release"], ref, ["ml/gate/decision.py"])]  # fmt: skip
    assert starts == ["refs/tags/v1.4"]
    assert [name for name in pipelines if schedules(pipelines[name], "main")] == ["nightly"]


def test_the_night_looks_at_main_also_when_nothing_was_pushed(pipelines: Pipelines) -> None:
    """Drift comes without a commit."""
    (schedule,) = schedules(pipelines["nightly"], "main")
    assert (schedule["cron"], schedule["always"]) == ("0 3 * * *", True)
    assert schedules(pipelines["nightly"], "feature/x") == []
    assert not started_by_push(pipelines["nightly"], "refs/heads/main", ["ml/gate/decision.py"])
