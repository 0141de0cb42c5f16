"""An online store in the settings: declared in each workspace, asked by the endpoints of who publishes, reached by nobody else."""

import base64
import copy
import json
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest

from infra.checks.registry import findings
from infra.config.checks import load_settings
from infra.config.loading import Settings, SettingsError
from infra.constructs.release import Release
from infra.description.cost import parts
from infra.graph.edges import Effect
from infra.graph.estate import Estate
from infra.graph.paths import whole_graph
from infra.rights.needed import rights_by_identity
from infra.stacks.estate import stacks
from infra.synthesis.cdktf_seam import synthesize
from infra.synthesis.stack import Stack
from infra.terraform_cli.synthesized import SynthesizedStack, read_stacks
from pipelines.declarations.environment import ENVIRONMENTS
from pipelines.declarations.registry import use_cases
from pipelines.declarations.use_case import UseCase
from pipelines.scoring.served import ONLINE_STORE
from tests.infra.conftest import PUBLISHING, with_stores

PLACE = ("serving", "online_store")
STORE = "databricks_online_store"


@pytest.fixture(scope="module")
def estate_with_stores(settings_with_stores: Settings, release: Release) -> Mapping[str, Stack]:
    """Every stack of these settings, as values."""
    return {stack.name: stack for stack in stacks(settings_with_stores, PUBLISHING, release)}


@pytest.fixture(scope="module")
def proven(
    estate_with_stores: Mapping[str, Stack], tmp_path_factory: pytest.TempPathFactory
) -> dict[str, SynthesizedStack]:
    """The same stacks, synthesized."""
    output: Path = tmp_path_factory.mktemp("with-stores") / "cdktf.out"
    synthesize(list(estate_with_stores.values()), output)
    return read_stacks(output)


def served(stack: Stack, use_case: str) -> dict[str, Any]:
    """The serving declaration of a use case."""
    content = stack.resources[f"databricks_file.serving_{use_case}"].arguments["content_base64"]
    found: dict[str, Any] = json.loads(base64.b64decode(content))
    return found


def test_without_the_setting_nothing_of_it_is_there(estate: Mapping[str, Stack]) -> None:
    """No resource, no variable, no task."""
    for stack in estate.values():
        text = str(stack.resources) + str(stack.outputs)
        assert [word for word in (STORE, "'publish'") if word in text] == [], stack.name
        for name in stack.resources:
            if name.startswith("databricks_file.serving_"):
                assert (
                    "environment_vars"
                    not in served(stack, name.removeprefix("databricks_file.serving_"))["served_entity"]
                )


@pytest.mark.parametrize("environment", ENVIRONMENTS)
def test_each_workspace_has_a_store_of_its_own_of_the_stated_size(
    environment: str, estate_with_stores: Mapping[str, Stack], settings_with_stores: Settings
) -> None:
    """All of one name; where the settings lock what people rely on, no plan destroys it."""
    stack = estate_with_stores[f"{environment}-workspace"]
    (store,) = [one for one in stack.resources.values() if one.type == STORE]
    assert store.arguments["name"] == "online-features"
    assert (store.arguments["capacity"], store.arguments.get("read_replica_count")) == (
        ("CU_2", 1) if environment == "prod" else ("CU_1", None)
    )
    assert store.prevent_destroy is settings_with_stores.environments[environment].locks


@pytest.mark.parametrize("environment", ENVIRONMENTS)
def test_who_publishes_is_told_the_store_and_the_others_are_not(
    environment: str, estate_with_stores: Mapping[str, Stack]
) -> None:
    """The endpoint's versions by a variable, the job of the features by its last task."""
    stack = estate_with_stores[f"{environment}-workspace"]
    told = served(stack, "flight_delay")["served_entity"]["environment_vars"]
    assert told == {ONLINE_STORE: f"lakebase:online-features/{environment}"}
    assert "environment_vars" not in served(stack, "air_time")["served_entity"]
    tasks = {name: [task["task_key"] for task in stack.resources[f"databricks_job.{name}_features"].arguments["task"]]
             for name in ("flight_delay", "air_time")}  # fmt: skip
    assert ("publish" in tasks["flight_delay"], "publish" in tasks["air_time"]) == (True, False)


@pytest.mark.parametrize(
    ("stated", "declared", "sentence"),
    [
        ({"capacity": "CU_3"}, PUBLISHING, "did you mean 'CU_8'? Allowed: CU_1, CU_2, CU_4, CU_8"),
        ({"capacity": "CU_8"}, PUBLISHING, "is above its ceiling in prod, CU_1 or CU_2 or CU_4"),
        ({"capacity": "CU_1", "read_replicas": 3}, PUBLISHING, "is above its ceiling in prod, max 2"),
        ({"capacity": "CU_1", "read_replicas": -1}, PUBLISHING, "greater than or equal to 0"),
        ({"capacity": "CU_1", "replicas": 1}, PUBLISHING, "replicas"),
        ({"capacity": "CU_1"}, use_cases(), "no use case declares `online`, so nothing would be published to it"),
        (None, PUBLISHING, "must state online_store: flight_delay publishes features"),
    ],
)  # fmt: skip
def test_a_setting_that_could_not_work_is_refused(
    stated: Any, declared: Sequence[UseCase], sentence: str, tmp_path: Path
) -> None:
    """With what to state instead."""
    folder = with_stores(tmp_path)
    folder.change("prod", PLACE, stated)
    with pytest.raises(SettingsError) as refused:
        load_settings(folder.path, declared)
    assert sentence in str(refused.value)


def test_an_environment_that_serves_nothing_needs_no_store(tmp_path: Path) -> None:
    """Nothing there would look features up."""
    folder = with_stores(tmp_path)
    folder.change("staging", ("serving",), None)
    assert load_settings(folder.path, PUBLISHING).environments["staging"].serving is None


def test_the_store_costs_all_hours_of_its_replicas_too(settings_with_stores: Settings) -> None:
    """By a key of its size; its price is unknown until somebody states it."""
    for name, stated in settings_with_stores.environments.items():
        (part,) = [one for one in parts(name, stated, {}, PUBLISHING) if one.what.startswith("online store")]
        assert (part.key, part.least) == (
            ("online store CU_2", 1460.0) if name == "prod" else ("online store CU_1", 730.0)
        )


def test_the_identity_of_the_environment_needs_no_further_right(
    estate_with_stores: Mapping[str, Stack], estate: Mapping[str, Stack]
) -> None:
    """A project is made by who may work in the workspace; that identity administers it already."""
    with_store, without = (rights_by_identity(one.values())["prod"] for one in (estate_with_stores, estate))
    assert {right.right for right in with_store} == {right.right for right in without}


def test_the_stacks_with_stores_are_proven(proven: dict[str, SynthesizedStack], settings_with_stores: Settings) -> None:
    """No check finds anything."""
    assert [one for one in findings(proven, settings_with_stores, PUBLISHING) if "wheel" not in one.message] == []


def test_who_reads_feature_values_through_the_store_is_told(
    proven: dict[str, SynthesizedStack], settings_with_stores: Settings
) -> None:
    """The administrators of the workspace, the endpoint of who publishes, and nobody of another environment."""
    graph = whole_graph(Estate(proven, settings_with_stores), PUBLISHING)
    store = f"prod-workspace/{STORE}.features"
    reached = graph.paths_to(store)
    assert {graph.nodes[node].home for node in reached} <= {"", "prod", "account"}
    assert "workspace:prod" in reached
    assert "prod-workspace/databricks_model_serving.flight_delay" in reached
    assert "prod-workspace/databricks_model_serving.air_time" not in reached
    people = [node for node in reached if node.startswith("role:")]
    assert people == ["role:grp-mrd-prod-platform-engineer"]
    copies = {edge.target.id for edge in graph.leaving[store]}
    assert copies == {"prod-workspace/databricks_schema.flight_delay_features"}
    assert all(edge.effect is Effect.READS for edge in graph.leaving[store])


W, D = "prod-workspace", "dev-workspace"


def _told(entry: Any, use_case: str, told: Any) -> None:
    """Change what a serving declaration tells its versions."""
    file = entry["databricks_file"][f"serving_{use_case}"]
    document = json.loads(base64.b64decode(file["content_base64"]))
    document["served_entity"]["environment_vars"] = told
    file["content_base64"] = base64.b64encode(json.dumps(document).encode()).decode()


HARM: dict[str, tuple[Callable[[Any], object], str]] = {
    "people may use the store": (
        lambda e: e[W]["databricks_permissions"].update(features={
            "provider": "databricks.workspace", "database_instance_name": f"${{{STORE}.features.name}}",
            "access_control": [{"group_name": "grp-mrd-prod-ml-engineer", "permission_level": "CAN_USE"}]}),
        "holds CAN_USE on prod's online_store online-features",
    ),
    "dev's people may use prod's store": (
        lambda e: e[W]["databricks_permissions"].update(features={
            "provider": "databricks.workspace", "database_instance_name": f"${{{STORE}.features.name}}",
            "access_control": [{"group_name": "grp-mrd-dev-data-scientist", "permission_level": "CAN_USE"}]}),
        "dev reaches prod: ",
    ),
    "dev's endpoint asks prod's database": (
        lambda e: _told(e[D], "flight_delay", {ONLINE_STORE: "lakebase:online-features/prod"}),
        "tells its versions {'MLOPS_ONLINE_STORE': 'lakebase:online-features/prod'}, they must be told",
    ),
    "an endpoint asks a store that nobody has declared": (
        lambda e: _told(e[W], "air_time", {ONLINE_STORE: "host=evil.example"}),
        "they must be told None: another store has other features",
    ),
    "the store is larger than stated": (
        lambda e: e[W][STORE]["features"].update(capacity="CU_8"), "capacity is 'CU_8', allowed is what the settings state",
    ),
    "the store has more replicas than stated": (
        lambda e: e[D][STORE]["features"].update(read_replica_count=3), "read_replica_count is '3', allowed is what the settings state",
    ),
    "the store lacks its replica": (
        lambda e: e[W][STORE]["features"].pop("read_replica_count"), "leaves out read_replica_count",
    ),
    "the store has another name": (
        lambda e: e[W][STORE]["features"].update(name="other"), "name is 'other', allowed is 'online-features'",
    ),
    "the store may be destroyed": (
        lambda e: e[W][STORE]["features"].pop("lifecycle"), "leaves out lifecycle.prevent_destroy",
    ),
    "the store is missing": (lambda e: e[W].pop(STORE), "has no databricks_online_store, and needs exactly one"),
    "there is a second store": (
        lambda e: e[W][STORE].update(more={**e[W][STORE]["features"]}), "has 2 databricks_online_store, and needs exactly one",
    ),
}  # fmt: skip


@pytest.mark.parametrize("harm", HARM)
def test_a_harmful_change_of_the_store_is_found(
    harm: str, proven: dict[str, SynthesizedStack], settings_with_stores: Settings
) -> None:
    """In a sentence that says what is wrong."""
    changed = {
        name: SynthesizedStack(name=name, folder=stack.folder, content=copy.deepcopy(dict(stack.content)))
        for name, stack in proven.items()
    }
    change, said = HARM[harm]
    change({name: stack.content["resource"] for name, stack in changed.items()})
    messages = [one.message for one in findings(changed, settings_with_stores, PUBLISHING)]
    assert any(said in message for message in messages), messages[:5]


def test_a_store_in_the_workspace_of_another_environment_is_found(
    proven: dict[str, SynthesizedStack], settings_with_stores: Settings
) -> None:
    """Whoever administers that workspace manages it, and reads what is in it."""
    content = copy.deepcopy(dict(proven[W].content))
    (host,) = [one["host"] for one in proven[D].content["provider"]["databricks"]]
    source = copy.deepcopy(proven[D].content["data"]["terraform_remote_state"]["dev_account"])
    content["data"]["terraform_remote_state"]["dev_account"] = source
    content["provider"]["databricks"].append({**content["provider"]["databricks"][0], "alias": "other", "host": host})
    content["resource"][STORE]["features"]["provider"] = "databricks.other"
    changed = {**proven, W: SynthesizedStack(name=W, folder=proven[W].folder, content=content)}
    messages = [one.message for one in findings(changed, settings_with_stores, PUBLISHING)]
    assert any(
        "dev reaches prod: " in one and "managed by its administrators, prod's online store" in one for one in messages
    )
