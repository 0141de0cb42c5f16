"""The online store of a workspace, which Terraform knows by its name alone."""

from infra.loader.kind import LoadedKind, State
from infra.loader.session import Json, Session

STORES = "/api/2.0/feature-store/online-stores"
STATED = ("name", "capacity", "read_replica_count")
MASK = "capacity,read_replica_count"
SHOWN = ("capacity", "creation_time", "creator", "read_replica_count", "state")


def _shown(answer: Json) -> Json:
    return {name: answer[name] for name in SHOWN if name in answer}


def _body(plan: State) -> Json:
    return {name: plan[name] for name in STATED if name in plan}


def _create(session: Session, plan: State) -> Json:
    return _shown(session.ask("POST", STORES, _body(plan)))


def _change(session: Session, state: State, plan: State) -> Json:
    return _shown(session.ask("PATCH", f"{STORES}/{state['name']}", _body(plan), query={"update_mask": MASK}))


KINDS = {
    "databricks_online_store": LoadedKind(
        create=_create, change=_change,
        read=lambda session, state: _shown(session.ask("GET", f"{STORES}/{state['name']}")),
        delete=lambda session, state: session.ask("DELETE", f"{STORES}/{state['name']}"),
        find=lambda session, parts: _shown(session.ask("GET", f"{STORES}/{parts['name']}")),
    ),
}  # fmt: skip
