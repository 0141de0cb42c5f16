"""An emulated serving endpoint divides requests by the percentages of its routes, as the service does."""

from collections import Counter

from infra.emulated_cloud.areas.databricks.model_versions import routed

ENTITIES = [{"name": "champion", "entity_version": "4"}, {"name": "challenger", "entity_version": "6"}]


def answered(*shares: int) -> dict[str, int]:
    """How many of two hundred requests each version answers."""
    routes = [
        {"served_model_name": entity["name"], "traffic_percentage": share}
        for entity, share in zip(ENTITIES, shares, strict=False)
    ]
    config = {"served_entities": ENTITIES[: len(shares) or 1], "traffic_config": {"routes": routes}}
    found = [routed(config, number) for number in range(1_000, 1_200)]
    return Counter(entity["entity_version"] for entity in found if entity)


def test_each_version_gets_its_percentage_of_the_requests() -> None:
    """Of two served entities, of one, and of one without routes."""
    assert answered(90, 10) == {"4": 180, "6": 20}
    assert answered(50, 50) == {"4": 100, "6": 100}
    assert answered(100) == answered() == {"4": 200}


def test_an_endpoint_that_serves_nothing_answers_nothing() -> None:
    """It has no configuration yet."""
    assert routed({}, 7) is None
