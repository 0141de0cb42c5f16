"""What a plan would do, read from its JSON."""

from typing import Any

from infra.terraform_cli.changes import Action, Change, changes, summary


def resource(address: str, *actions: str, **change: Any) -> dict[str, Any]:
    """Return one entry of a plan."""
    return {"address": address, "change": {"actions": list(actions), **change}}


PLAN = {
    "resource_changes": [
        resource("b.new", "create", before=None, after={"name": "x"}),
        resource("a.kept", "no-op", before={"name": "x"}, after={"name": "x"}),
        resource("data.read", "read"),
        resource("c.larger", "update", before={"size": 1, "name": "x"}, after={"size": 2, "name": "x"}),
        resource("d.moved", "delete", "create", before={"name": "x"}, after={"name": "y"}),
        resource("e.other", "create", "delete", before={"name": "x"}, after={"name": "y", "new": 1}),
        resource("f.gone", "delete", before={"name": "x"}, after=None),
        resource("g.left", "forget", before={"name": "x"}, after=None),
        resource("h.left", "create", "forget", before={"name": "x"}, after={"name": "y"}),
    ]
}


def test_every_change_is_one_record_by_address() -> None:
    """What stays and what is only read is left out; a replacement is one change in either order, and what is forgotten changes."""
    assert changes(PLAN) == (
        Change(address="b.new", action=Action.CREATE),
        Change(address="c.larger", action=Action.UPDATE, attributes=("size",)),
        Change(address="d.moved", action=Action.REPLACE, attributes=("name",)),
        Change(address="e.other", action=Action.REPLACE, attributes=("name", "new")),
        Change(address="f.gone", action=Action.DESTROY),
        Change(address="g.left", action=Action.FORGET),
        Change(address="h.left", action=Action.REPLACE, attributes=("name",)),
    )


def test_the_summary_counts_by_action() -> None:
    """In one line, and in words where there is nothing."""
    assert summary(changes(PLAN)) == "1 to create, 1 to update, 3 to replace, 1 to destroy, 1 to forget"
    assert summary(changes({"resource_changes": []})) == "no changes"
    assert summary(changes({})) == "no changes"
