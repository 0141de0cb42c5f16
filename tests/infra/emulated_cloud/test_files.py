"""A deletion removes everything that the emulated service keeps about a file."""

from infra.emulated_cloud.areas.databricks.files import FS, GIVEN
from infra.emulated_cloud.calls import Attempt
from infra.emulated_cloud.prepared import new_cloud
from infra.rehearsal.snapshots import difference, snapshot
from tests.infra.emulated_cloud.attempts import perform

FILE = f"dev{FS}/files/Volumes/shop/raw/landing/b.csv"


def test_a_file_that_is_deleted_leaves_nothing() -> None:
    """Its content goes, and the time at which it was written; both are seen from every workspace of its metastore."""
    cloud = new_cloud()
    for given in GIVEN:
        perform(cloud, given)
    before = snapshot(cloud.world)
    perform(cloud, Attempt(who="dev", request=f"PUT {FILE}", body={"b": 1}))
    came = difference(before, snapshot(cloud.world)).came
    assert sorted(key.split(": ")[1] for key in came) == ["file", "time of a file"]
    assert {key.split(" ")[0] for key in came} == {"metastore"}
    perform(cloud, Attempt(who="dev", request=f"DELETE {FILE}"))
    assert snapshot(cloud.world) == before
