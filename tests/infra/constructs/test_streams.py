"""A use case that streams has its job, by a schedule or continuous, and the volume of its checkpoints in every environment."""

import dataclasses
from collections.abc import Mapping, Sequence
from typing import Any

import pytest

from infra.checks.registry import findings
from infra.config.loading import Settings
from infra.constructs.release import Release
from infra.description.cost import _compute
from infra.stacks.estate import stacks
from infra.synthesis.cdktf_seam import synthesize
from infra.synthesis.stack import Stack
from infra.terraform_cli.synthesized import SynthesizedStack, read_stacks
from pipelines.api import StreamingPolicy, StreamTrigger, UseCase
from pipelines.declarations.environment import ENVIRONMENTS
from pipelines.declarations.registry import use_cases

SCHEDULED, CONTINUOUS = StreamingPolicy(), StreamingPolicy(trigger=StreamTrigger.CONTINUOUS)


def declared(policy: StreamingPolicy) -> Sequence[UseCase]:
    """The shipped use cases, of which the flights stream."""
    return [dataclasses.replace(one, streaming=policy) if one.name == "flight_delay" else one for one in use_cases()]


@pytest.fixture(scope="module")
def continuous(settings: Settings, release: Release) -> Mapping[str, Stack]:
    """All stacks where the flights stream all the time."""
    return {stack.name: stack for stack in stacks(settings, declared(CONTINUOUS), release)}


@pytest.fixture(scope="module")
def written(continuous: Mapping[str, Stack], tmp_path_factory: pytest.TempPathFactory) -> dict[str, SynthesizedStack]:
    """The same as Terraform's JSON."""
    out = tmp_path_factory.mktemp("streams") / "cdktf.out"
    synthesize(list(continuous.values()), out)
    return read_stacks(out)


def job(found: Mapping[str, Stack], environment: str) -> Mapping[str, Any]:
    """The deployed job of the stream."""
    return found[f"{environment}-workspace"].resources["databricks_job.flight_delay_stream"].arguments


@pytest.mark.parametrize("environment", ENVIRONMENTS)
def test_a_continuous_stream_has_no_schedule_no_retries_and_one_task(
    environment: str, continuous: Mapping[str, Stack], settings: Settings
) -> None:
    """It is paused where the settings pause what runs by itself."""
    found = job(continuous, environment)
    running = settings.environments[environment].jobs.schedules == "running"
    assert found["continuous"] == {"pause_status": "UNPAUSED" if running else "PAUSED", "task_retry_mode": "NEVER"}
    assert "schedule" not in found
    (task,) = found["task"]
    assert not {"max_retries", "min_retry_interval_millis", "retry_on_timeout", "depends_on"} & set(task)
    assert found["timeout_seconds"] == 21 * 3600
    assert "databricks_job.air_time_stream" not in continuous[f"{environment}-workspace"].resources


def test_a_scheduled_stream_is_an_ordinary_job(settings: Settings, release: Release) -> None:
    """With its own schedule and without a block for continuous runs."""
    found = {stack.name: stack for stack in stacks(settings, declared(SCHEDULED), release)}
    for environment in ENVIRONMENTS:
        assert job(found, environment)["schedule"]["quartz_cron_expression"] == "0 0/5 * * * ?"
        assert "continuous" not in job(found, environment)


@pytest.mark.parametrize("environment", ENVIRONMENTS)
def test_the_checkpoints_are_in_a_volume_that_the_job_alone_may_write(
    environment: str, continuous: Mapping[str, Stack]
) -> None:
    """In the schema of the predictions; nobody else may even read it."""
    resources = continuous[f"{environment}-workspace"].resources
    volume = resources["databricks_volume.flight_delay_checkpoints"].arguments
    assert volume["name"] == "checkpoints"
    assert "flight_delay_inference" in str(volume["schema_name"])
    (grants,) = [r.arguments for name, r in resources.items() if name == "databricks_grants.flight_delay_checkpoints"]
    (grant,) = grants["grant"]
    assert f"runner_{environment}" in str(grant["principal"])
    assert set(grant["privileges"]) == {"READ_VOLUME", "WRITE_VOLUME"}
    assert "databricks_volume.air_time_checkpoints" not in resources


def test_no_check_and_no_proof_finds_anything_in_a_stream(
    written: dict[str, SynthesizedStack], settings: Settings
) -> None:
    """Its job, its volume and its rights are among what is declared."""
    found = [f"{one.resource}: {one.message}" for one in findings(written, settings, declared(CONTINUOUS))]
    assert [text for text in found if "stream" in text or "checkpoint" in text] == []


def test_a_stream_that_is_deployed_otherwise_than_declared_is_found(
    written: dict[str, SynthesizedStack], settings: Settings
) -> None:
    """A job that somebody made continuous costs all hours of the month."""
    found = [f.message for f in findings(written, settings, declared(SCHEDULED)) if "flight_delay_stream" in f.resource]
    assert any("has a block continuous, its declaration says otherwise" in message for message in found)


def test_a_continuous_job_costs_every_hour(settings: Settings) -> None:
    """Where schedules run."""
    parts = [
        part
        for name, stated in settings.environments.items()
        for part in _compute(name, stated, declared(CONTINUOUS))
        if part.what.startswith("continuous")
    ]
    assert {part.environment for part in parts} == {
        name for name, one in settings.environments.items() if one.jobs.schedules == "running"
    }
    assert all(part.least == 730.0 * round((part.least or 0.0) / 730.0) for part in parts)
