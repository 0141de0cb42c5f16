"""A scheduled job reads a source where its environment keeps it, as the settings say."""

import re
from pathlib import Path
from typing import Any

import pytest
import yaml
from pydantic import TypeAdapter

from infra.config.checks import load_settings
from infra.config.loading import SettingsError
from infra.config.model import SourceLocation
from infra.stacks.estate import stacks
from pipelines.declarations.registry import use_case, use_cases
from pipelines.lakehouse.lakehouse import open_lakehouse
from tests.pipelines.flight_files import write_all
from tests.pipelines.use_case_runs import rows_of, run_job

GUIDE = Path(__file__).parents[3] / "docs" / "own-data.md"
AIR_TIME = use_case("air_time")
DEPARTED = {"time_hour": "2013-01-10T14:00:00Z"}


def deployed_default(folder: Any, release: Any, environment: str) -> str:
    """Return what a scheduled run of the features job takes for its location, from the Terraform of an environment."""
    (workspace,) = [
        stack
        for stack in stacks(load_settings(folder.path), use_cases(), release)
        if stack.name == f"{environment}-workspace"
    ]
    parameters = workspace.resources["databricks_job.air_time_features"].arguments["parameter"]
    return next(str(one["default"]) for one in parameters if one["name"] == "location")


def test_a_scheduled_job_reads_what_its_environment_keeps(folder: Any, release: Any, tmp_path: Path) -> None:
    """Dev's run has dev's flights and prod's has prod's; a source that the settings do not name is as declared."""
    for place, carriers in (("dev", ["UA"]), ("prod/schedule", ["AA", "DL"]), ("prod/reports", ["AA"])):
        files = tmp_path / place
        files.mkdir(parents=True)
        flights = [{**DEPARTED, "carrier": carrier, "flight": str(n)} for n, carrier in enumerate(carriers)]
        write_all(files, *flights)
    stated = {
        "dev": dict.fromkeys(("schedule", "reports"), str(tmp_path / "dev")),
        "prod": {name: str(tmp_path / "prod" / name) for name in ("schedule", "reports")},
    }
    for environment, places in stated.items():
        folder.change(environment, ("source_locations",), {"air_time": places})
    found = {}
    for environment in stated:
        given = {"location": deployed_default(folder, release, environment), "until": "2013-02-01T00:00:00+00:00"}
        with open_lakehouse(environment, root=tmp_path / "lakehouse") as lakehouse:
            run = run_job(lakehouse, AIR_TIME, "features", given, only=["ingest"])
            assert run.succeeded, [attempt.error for attempt in run.attempts]
            found[environment] = {
                name: sorted(row["carrier"] for row in rows_of(lakehouse, AIR_TIME, f"air_time_bronze.{name}"))
                for name in ("schedule", "reports")
            }
    assert found == {
        "dev": {"schedule": ["UA"], "reports": ["UA"]},
        "prod": {"schedule": ["AA", "DL"], "reports": ["AA"]},
    }
    assert deployed_default(folder, release, "staging") == ""


def test_the_example_of_the_guide_has_locations_that_settings_take() -> None:
    """A volume and an address."""
    (example,) = re.findall(r"```yaml\n(.*?)```", GUIDE.read_text(encoding="utf-8"), re.DOTALL)
    stated = yaml.safe_load(example)["source_locations"]
    assert TypeAdapter(dict[str, dict[str, SourceLocation]]).validate_python(stated) == stated


@pytest.mark.parametrize(
    ("places", "said"),
    [
        ({"air_tim": {"schedule": "/a"}}, "unknown use case. did you mean 'air_time'?"),
        ({"air_time": {"schedul": "/a"}}, "unknown source. did you mean 'schedule'?"),
        ({"air_time": {"schedule": "folder"}}, "must match"),
        ({"air_time": {"schedule": "/a;reports=/b"}}, "must match"),
        (
            {"air_time": {"schedule": "/Volumes/prod/landing/schedule"}},
            "is a volume of prod, whose catalog dev cannot see",
        ),
    ],
)
def test_a_location_of_nothing_or_of_another_environment_is_refused(
    folder: Any, places: dict[str, Any], said: str
) -> None:
    """With the file and the line, before anything is synthesized."""
    folder.change("dev", ("source_locations",), places)
    with pytest.raises(SettingsError) as refused:
        load_settings(folder.path)
    assert [mistake for mistake in refused.value.mistakes if said in str(mistake)], refused.value.mistakes
