"""What a change means in each environment: compared estates, plans, and the comment that says it."""

import base64
import json
import re
import subprocess
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from infra.__main__ import main
from infra.build.release import current_commit
from infra.releases.rebuild import RebuildError, checked_out, merge_base
from infra.releases.saved_plan import Manifest, write_manifest
from infra.review.comparing import Basis, Meaning, ResourceChange, SynthesizedEstate, compare
from infra.review.markdown import LIMIT, MARKER, comment
from infra.review.plans import PlanFileError, deferred, joined, meaning_of_plans, read_plans
from infra.review.privileges import GIVING, UNKNOWN, Privilege, privileges_of
from infra.review.record import ReviewRecord
from infra.review.replacement import FORCES_NEW
from infra.review.strictness import looser_in_prod
from infra.terraform_cli.changes import Action
from infra.terraform_cli.synthesized import SynthesizedStack

COMMIT = "0123456789ab" + "0" * 28
Edit = Callable[[Any], object]


def estate(
    synthesized: Mapping[str, Any], edits: Mapping[str, Edit] | None = None, commit: str = COMMIT
) -> SynthesizedEstate:
    """Return the shipped estate, with edits to some stacks, as another commit would synthesize it."""
    contents = json.loads(json.dumps(synthesized).replace(COMMIT, commit).replace(COMMIT[:12], commit[:12]))
    for name, alter in (edits or {}).items():
        alter(contents[name])
    stacks = {name: SynthesizedStack(name=name, folder=Path(name), content=c) for name, c in contents.items()}
    return SynthesizedEstate(stacks=stacks, commit=commit)


def meaning(synthesized: Mapping[str, Any], edits: Mapping[str, Edit], commit: str = COMMIT) -> Mapping[str, Meaning]:
    """Return what edits mean."""
    return compare(estate(synthesized), estate(synthesized, edits, commit))


def record(meanings: Mapping[str, Meaning], **further: Any) -> ReviewRecord:
    """Return the record of a review of nothing but resources, blocks and grants."""
    return ReviewRecord(base=COMMIT, meanings=meanings, **further)


def resource(content: Any, kind: str, name: str) -> Any:
    """Return one resource's arguments."""
    return content["resource"][kind][name]


def test_another_commit_of_the_same_stacks_means_nothing(synthesized: Mapping[str, Any]) -> None:
    """Wheel, tags, paths and notebooks name the commit, and the wheel its version; a reviewer need not see it in every job."""

    def rebuilt(content: Any) -> None:
        file = resource(content, "databricks_file", "wheel")
        file["source"] = file["source"].replace("dist", "elsewhere/dist")
        file["lifecycle"]["precondition"][0]["condition"] = "another"

    other = "fedcba987654" + "1" * 28
    notebooks = {f"{name}-workspace": rebuilt for name in ("dev", "staging", "prod")}
    before = estate(synthesized)
    renumbered = json.loads(json.dumps(synthesized).replace("lakehouse_mlops-0.1.0+g", "lakehouse_mlops-0.2.0+g"))
    after = estate(renumbered, notebooks, other)
    for stack in after.stacks.values():
        for notebook in stack.content.get("resource", {}).get("databricks_notebook", {}).values():
            text = base64.b64decode(notebook["content_base64"]).decode().replace(COMMIT[:12], other[:12])
            text = text.replace("lakehouse_mlops-0.1.0+g", "lakehouse_mlops-0.2.0+g")
            notebook["content_base64"] = base64.b64encode(text.encode()).decode()
    found = compare(before, after)
    assert list(found) == ["account", "dev", "staging", "prod"]
    assert not any(found.values())


EDITS: dict[str, tuple[str, Edit, tuple[ResourceChange, ...]]] = {
    "an argument": (
        "prod-platform",
        lambda c: resource(c, "azurerm_log_analytics_workspace", "logs").update(retention_in_days=31),
        (ResourceChange(stack="prod-platform", address="azurerm_log_analytics_workspace.logs", action=Action.UPDATE,
                        attributes=("retention_in_days",)),),
    ),
    "an argument that forces a new resource": (
        "prod-platform",
        lambda c: resource(c, "azurerm_storage_account", "lake").update(is_hns_enabled=False, min_tls_version="TLS1_3"),
        (ResourceChange(stack="prod-platform", address="azurerm_storage_account.lake", action=Action.REPLACE,
                        attributes=("is_hns_enabled",), basis=Basis.DOCUMENTED),),
    ),
    "an address": (
        "prod-workspace",
        lambda c: c["resource"]["databricks_instance_pool"].update(moved=c["resource"]["databricks_instance_pool"].popitem()[1]),
        (ResourceChange(stack="prod-workspace", address="databricks_instance_pool.moved", action=Action.REPLACE,
                        basis=Basis.ADDRESS, formerly="databricks_instance_pool.pool"),),
    ),
    "a resource more": (
        "prod-workspace", lambda c: c["resource"]["databricks_directory"].update(new={"path": "/new"}),
        (ResourceChange(stack="prod-workspace", address="databricks_directory.new", action=Action.CREATE),),
    ),
    "a resource less": (
        "prod-workspace", lambda c: c["resource"]["databricks_sql_endpoint"].popitem(),
        (ResourceChange(stack="prod-workspace", address="databricks_sql_endpoint.warehouse", action=Action.DESTROY),),
    ),
}  # fmt: skip


@pytest.mark.parametrize("what", EDITS)
def test_each_kind_of_change_is_found_where_it_is_and_nowhere_else(what: str, synthesized: Mapping[str, Any]) -> None:
    """With how certain it is, where a resource is replaced."""
    stack, alter, expected = EDITS[what]
    found = meaning(synthesized, {stack: alter})
    assert tuple(change for change in found["prod"].resources if not change.because) == expected
    assert [name for name, mine in found.items() if mine] == ["prod"]


def test_what_refers_to_a_replaced_resource_is_replaced_too(synthesized: Mapping[str, Any]) -> None:
    """Other subnets mean another workspace, and what stands on either; each names the one that it follows."""

    def rename(content: Any) -> None:
        for name in ("container", "host"):
            resource(content, "azurerm_subnet", name)["name"] += "2"

    found = {change.address: change for change in meaning(synthesized, {"prod-platform": rename})["prod"].resources}
    workspace = found["azurerm_databricks_workspace.workspace"]
    assert (workspace.action, workspace.attributes) == (Action.REPLACE, ("custom_parameters",))
    assert workspace.because in ("azurerm_subnet.container", "azurerm_subnet.host")
    assert workspace.loses_data
    followers = {address for address, change in found.items() if change.because == workspace.address}
    assert any(address.startswith("azurerm_private_endpoint.") for address in followers)
    assert {change.action for change in found.values()} == {Action.REPLACE}
    text = comment(record(meaning(synthesized, {"prod-platform": rename})))
    assert 0 < text.index("### Data at risk") < text.index("### prod")


BLOCKS: dict[str, tuple[Edit, str]] = {
    "an output of another identity": (
        lambda c: c["output"]["runner_prod"].update(value="${databricks_service_principal.runner_dev.application_id}"),
        "output.runner_prod.value: ",
    ),
    "a provider of another host": (
        lambda c: c["provider"]["databricks"][0].update(host="https://elsewhere.example"), "host: ",
    ),
    "another place of the state": (
        lambda c: c["terraform"]["backend"]["local"].update(path="../other.tfstate"), "terraform.backend.local.path: ",
    ),
    "a provider of another source": (
        lambda c: c["terraform"]["required_providers"]["databricks"].update(source="else/where"),
        "terraform.required_providers.databricks.source: databricks/databricks → else/where",
    ),
    "a module": (lambda c: c.update(module={"m": {"source": "else/where"}}), "module.m.source: unset → else/where"),
}  # fmt: skip


@pytest.mark.parametrize("what", BLOCKS)
def test_whole_stacks_are_compared(what: str, synthesized: Mapping[str, Any]) -> None:
    """What is outside of resources decides who acts where: every difference is told, with both values."""
    alter, said = BLOCKS[what]
    found = meaning(synthesized, {"account": alter})
    assert [name for name, mine in found.items() if mine] == ["account"]
    assert found["account"].resources == ()
    assert any(said in change.value.text for change in found["account"].blocks)
    text = comment(record(found))
    assert "No resource and no privilege changes" not in text
    assert said in text


def test_a_declared_move_destroys_nothing(synthesized: Mapping[str, Any]) -> None:
    """A `moved` block keeps what stands at the old address."""

    def move(content: Any) -> None:
        pools = content["resource"]["databricks_instance_pool"]
        name, pool = pools.popitem()
        pools["moved"] = pool
        content["moved"] = [{"from": f"databricks_instance_pool.{name}", "to": "databricks_instance_pool.moved"}]

    assert not [
        c for c in meaning(synthesized, {"prod-workspace": move})["prod"].resources if c.action is Action.REPLACE
    ]


def test_a_grant_more_is_a_privilege_gained_and_taking_it_away_one_lost(synthesized: Mapping[str, Any]) -> None:
    """Told with principal, privilege and securable; by name and not by expression."""

    def grant(content: Any) -> None:
        resource(content, "databricks_grants", "catalog")["grant"].append(
            {"principal": "grp-mrd-prod-strangers", "privileges": ["SELECT", "USE_CATALOG"]}
        )

    after = estate(synthesized, {"prod-workspace": grant})
    gained = compare(estate(synthesized), after)["prod"].gained
    assert {(p.principal, p.right, p.on) for p in gained} == {
        ("grp-mrd-prod-strangers", right, "catalog catalog") for right in ("SELECT", "USE_CATALOG")
    }
    back = compare(after, estate(synthesized))["prod"]
    assert (back.lost, back.gained) == (gained, ())


@pytest.mark.parametrize("kind", sorted(GIVING))
def test_every_shipped_resource_that_gives_rights_gives_some(kind: str, synthesized: Mapping[str, Any]) -> None:
    """A type whose arguments were renamed would give none, and the review would be silent."""
    shipped = [
        (name, arguments)
        for content in synthesized.values()
        for name, arguments in content.get("resource", {}).get(kind, {}).items()
    ]
    if not shipped:
        pytest.skip(f"the shipped settings have no {kind}")
    for name, arguments in shipped:
        found = privileges_of(kind, name, arguments)
        assert found, name
        assert all("${" not in p.principal and p.right != "None" for p in found), (name, found)


def test_every_type_that_names_principals_is_read(synthesized: Mapping[str, Any]) -> None:
    """A new type of resource that gives rights fails here until the comparison covers it."""
    words = {"principal", "principal_id", "group_name", "member_id", "privileges", "permission_level", "access_control"}
    naming = {
        kind
        for content in synthesized.values()
        for kind, named in content.get("resource", {}).items()
        for arguments in named.values()
        if words & set(re_keys(arguments))
    }
    assert naming <= GIVING


def re_keys(value: Any) -> list[str]:
    """Return every key within a value."""
    if isinstance(value, dict):
        return [*value, *(key for inner in value.values() for key in re_keys(inner))]
    return [key for inner in value for key in re_keys(inner)] if isinstance(value, list) else []


def test_facts_on_replacement_are_about_arguments_that_exist() -> None:
    """Each type and each argument is in the provider's own schema."""
    golden = Path(__file__).parents[1] / "offline" / "golden"
    schemas = {
        kind: set(schema["block"].get("attributes", {})) | set(schema["block"].get("block_types", {}))
        for path in golden.glob("*.json")
        for kind, schema in json.loads(path.read_text(encoding="utf-8"))["resources"].items()
    }
    for kind, arguments in FORCES_NEW.items():
        if not kind.endswith("_"):
            assert arguments <= schemas[kind], kind


PRIVILEGES = st.lists(st.sampled_from([("a", "SELECT"), ("a", "MODIFY"), ("b", "SELECT"), ("c", "ALL")]), unique=True)


@settings(max_examples=40)
@given(PRIVILEGES, PRIVILEGES)
def test_gained_and_lost_are_what_the_two_sets_differ_in(before: list[Any], after: list[Any]) -> None:
    """However grants are spread over blocks."""

    def of(given_: list[Any]) -> SynthesizedEstate:
        grants = [{"principal": who, "privileges": [right]} for who, right in given_]
        content = {"resource": {"databricks_grants": {"g": {"schema": "s", "grant": grants}}}}
        return SynthesizedEstate(
            stacks={"dev-workspace": SynthesizedStack(name="dev-workspace", folder=Path(), content=content)}, commit=""
        )

    found = compare(of(before), of(after))["dev"]
    assert {(p.principal, p.right) for p in found.gained} == set(after) - set(before)
    assert {(p.principal, p.right) for p in found.lost} == set(before) - set(after)


def planned(kind: str, actions: list[str], before: Any, after: Any, **other: Any) -> dict[str, Any]:
    """Return one change of a plan."""
    change = {"actions": actions, "before": before, "after": after, **other}
    return {"address": f"{kind}.x", "type": kind, "name": "x", "mode": "managed", "change": change}


def test_a_plan_says_what_is_replaced_and_why() -> None:
    """There nothing is guessed; privileges are those of before and after."""
    grant = {"schema": "prod.bronze", "grant": [{"principal": "g", "privileges": ["SELECT"]}]}
    plan = {
        "resource_changes": [
            planned("databricks_grants", ["update"], grant, {**grant, "grant": []}),
            planned("azurerm_subnet", ["delete", "create"], {"name": "a", "z": 1}, {"name": "b", "z": 2}, replace_paths=[["name"]]),
            planned("databricks_job", ["no-op"], {}, {}),
        ]
    }  # fmt: skip
    found = meaning_of_plans({"prod-workspace": plan})["prod"]
    assert found.lost == (Privilege(principal="g", right="SELECT", on="schema prod.bronze"),)
    assert [(c.address, c.action, c.attributes, c.basis) for c in found.resources] == [
        ("azurerm_subnet.x", Action.REPLACE, ("name",), Basis.PLANNED),
        ("databricks_grants.x", Action.UPDATE, ("grant",), None),
    ]
    both = joined(found, found)
    assert both.lost == found.lost


@pytest.mark.parametrize(
    ("kind", "after", "gained"),
    [
        ("databricks_grants", {"catalog": "prod", "grant": [{"privileges": ["SELECT"]}]}, (UNKNOWN, "SELECT", "catalog prod")),
        ("databricks_grants", {"catalog": "prod", "grant": [{"principal": "g"}]}, ("g", UNKNOWN, "catalog prod")),
        ("databricks_grants", {"catalog": "prod"}, (UNKNOWN, UNKNOWN, "catalog prod")),
        ("databricks_group_member", {}, ("x", "MEMBER", "its group")),
        ("databricks_permissions", {"access_control": [{"permission_level": "CAN_USE"}]}, (UNKNOWN, "CAN_USE", "x")),
        ("databricks_mws_permission_assignment", {"principal_id": 1}, ("1", UNKNOWN, "workspace")),
        ("databricks_user_role", {"user_id": "1", "role": "account_admin"}, ("1", "account_admin", "account")),
        ("databricks_entitlements", {"group_id": "1", "allow_cluster_create": True}, ("1", "allow_cluster_create", "workspace")),
        ("azuread_app_role_assignment", {"app_role_id": "r", "principal_object_id": "p"}, ("p", "r", "Entra")),
        ("azurerm_key_vault_access_policy", {"object_id": "p", "key_vault_id": "v", "secret_permissions": ["Get"]}, ("p", "Get of secrets", "v")),
        (
            "databricks_access_control_rule_set",
            {"grant_rules": [{"principals": ["groups/x"], "role": "roles/servicePrincipal.user"}]},
            ("groups/x", "roles/servicePrincipal.user", "x"),
        ),
    ],
)  # fmt: skip
def test_a_right_whose_holder_the_plan_does_not_know_yet_is_one_nevertheless(
    kind: str, after: Mapping[str, Any], gained: tuple[str, str, str]
) -> None:
    """Terraform leaves out what it learns only when it applies: the review neither fails nor says that nobody gains a right."""
    plan = {"resource_changes": [planned(kind, ["create"], None, after)]}
    found = meaning_of_plans({"prod-workspace": plan})["prod"].gained
    assert [(one.principal, one.right, one.on) for one in found] == [gained]


def test_a_plan_that_forgets_a_resource_says_so() -> None:
    """It stays in the cloud without anybody who looks after it, which is a change although nothing is destroyed."""
    plan = {"resource_changes": [planned("azurerm_management_lock", ["forget"], {"name": "a"}, None)]}
    meanings = meaning_of_plans({"prod-platform": plan})
    assert [(c.address, c.action) for c in meanings["prod"].resources] == [("azurerm_management_lock.x", Action.FORGET)]
    assert "**Forgotten: it stays, and terraform no longer looks after it**" in comment(record(meanings))


def test_a_file_that_is_no_plan_is_one_sentence(tmp_path: Path) -> None:
    """Whatever is in it."""
    (tmp_path / "a.json").write_text("{}", encoding="utf-8")
    (tmp_path / "b.json").write_text("{", encoding="utf-8")
    for name, said in (
        ("a.json", "is not a plan"),
        ("b.json", "cannot be read"),
        ("c.json", "as a plan: No such file or directory; `plan --json` writes one"),
    ):
        with pytest.raises(PlanFileError, match=re.escape(said)):
            read_plans([tmp_path / name])


def test_a_stack_that_its_saved_plan_defers_has_no_plan_yet(tmp_path: Path) -> None:
    """In a first deployment the second stack is planned after the first was applied; any other missing file is an error."""
    (tmp_path / "prod-platform.json").write_text('{"format_version": "1.2"}', encoding="utf-8")
    waiting = {"prod-workspace": ("prod-platform.lake_url",)}
    manifest = Manifest(
        environment="prod", commit="c", created_at="2026-01-01T00:00:00+00:00", terraform="1.11.4", providers={}, wheel=None,
        stacks={"prod-platform": {}}, files={}, deferred=waiting,
    )  # fmt: skip
    write_manifest(tmp_path, manifest)
    files = [tmp_path / f"{name}.json" for name in ("manifest", "prod-platform", "prod-workspace")]
    assert list(read_plans(files)) == ["prod-platform"]
    assert deferred(files) == waiting
    with pytest.raises(PlanFileError, match=r"prod-account\.json cannot be read"):
        read_plans([*files, tmp_path / "prod-account.json"])


def test_a_comment_without_changes_is_short() -> None:
    """One sentence below the hidden mark."""
    text = comment(record({"dev": Meaning(), "prod": Meaning()}))
    assert text.startswith(MARKER)
    assert "No resource and no privilege changes in any environment." in text
    assert len(text) < 250


def test_a_comment_counts_first_and_then_tells_the_worst_first(synthesized: Mapping[str, Any]) -> None:
    """Privileges and what is destroyed stand before what is merely changed."""

    def alter(content: Any) -> None:
        content["resource"]["databricks_sql_endpoint"].popitem()
        resource(content, "databricks_instance_pool", "pool").update(min_idle_instances=5)
        resource(content, "databricks_grants", "catalog")["grant"].pop()

    text = comment(record(meaning(synthesized, {"prod-workspace": alter}), notes=("A note.",)))
    assert "| prod |  | 2 |  | 1 |  | " in text
    places = [
        text.index(words)
        for words in ("| prod |", "A note.", "### prod", "**Privileges lost**", "**Destroyed**", "**Changed**")
    ]
    assert places == sorted(places)
    assert "- prod-workspace: `databricks_instance_pool.pool`\n    - `min_idle_instances: 1 → 5`\n" in text


@settings(max_examples=20)
@given(st.integers(0, 400), st.integers(600, 5000))
def test_a_comment_is_never_longer_than_it_may_be(count: int, limit: int) -> None:
    """What does not fit is counted; the counts are always there."""
    changes = tuple(
        ResourceChange(stack="dev-workspace", address=f"databricks_job.job_{number}", action=Action.CREATE)
        for number in range(count)
    )
    text = comment(record({"dev": Meaning(resources=changes)}), limit=limit)
    shown = text.count("`databricks_job.")
    assert len(text) <= limit
    if count:
        assert f"| dev | {count} |" in text
    if shown < count:
        assert f"{count - shown} more lines: `python -m infra review`" in text
    assert LIMIT == 150_000


@pytest.fixture
def history(tmp_path: Path) -> Path:
    """Return a repository with two commits on main and one on a branch."""
    root = tmp_path / "repository"
    root.mkdir()

    def git(*words: str) -> None:
        person = ("-c", "user.name=t", "-c", "user.email=t@example.com")
        subprocess.run(["git", *person, *words], cwd=root, check=True, capture_output=True)

    git("init", "--quiet", "--initial-branch=main")
    for number in range(2):
        (root / "file").write_text(str(number), encoding="utf-8")
        git("add", "file")
        git("commit", "--quiet", "-m", str(number))
    git("checkout", "--quiet", "-b", "topic", "HEAD~1")
    (root / "file").write_text("topic", encoding="utf-8")
    git("commit", "--quiet", "-am", "topic")
    return root


def test_a_change_is_compared_with_where_it_left_main(history: Path) -> None:
    """Not with what others have merged since; the first branch that exists counts."""
    base = merge_base(history, "origin/main", "main")
    with checked_out(base, history) as tree:
        assert (tree / "file").read_text(encoding="utf-8") == "0"
        assert (history / "file").read_text(encoding="utf-8") == "topic"
    assert not tree.exists()
    listed = subprocess.run(["git", "worktree", "list"], cwd=history, check=True, capture_output=True, text=True)
    assert len(listed.stdout.splitlines()) == 1


def test_a_history_that_is_not_there_is_one_sentence(history: Path) -> None:
    """Azure Pipelines clones without history by default."""
    with pytest.raises(RebuildError, match=r"name another commit \(`review --base`, `check --judged-by`\)"):
        merge_base(history, "origin/main")
    with pytest.raises(RebuildError, match="A shallow clone lacks it"), checked_out("f" * 40, history):
        pass


def test_the_command_compares_the_tree_with_a_commit_and_believes_plans(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """The commit is synthesized by its own code; plans replace the comparison of their stacks; the Markdown is written."""
    plan = {"format_version": "1.2", "resource_changes": [planned("databricks_job", ["create"], None, {"name": "n"})]}
    (tmp_path / "dev-workspace.json").write_text(json.dumps(plan), encoding="utf-8")
    out, base = tmp_path / "new" / "review.md", current_commit()
    assert main(["review", "--base", base, "--plan", str(tmp_path / "dev-workspace.json"), "--out", str(out)]) == 0
    printed = capsys.readouterr().out
    assert [line for line in printed.splitlines() if "dev-workspace: `" in line] == [
        "- dev-workspace: `databricks_job.x`"
    ]
    assert f"Compared with {base[:12]}" in printed
    assert "By Terraform's plan against what exists: dev-workspace." in printed
    assert out.read_text(encoding="utf-8") == printed


def test_prod_is_at_least_as_strict_as_staging(synthesized: Mapping[str, Any]) -> None:
    """On every value with an order but sizes; one that is looser is named with both values."""
    assert looser_in_prod(estate(synthesized).stacks) == ()

    def loosen(content: Any) -> None:
        resource(content, "azurerm_storage_account", "lake").update(min_tls_version="TLS1_0")
        resource(content, "azurerm_log_analytics_workspace", "logs").update(retention_in_days=30)

    said = [looser.sentence for looser in looser_in_prod(estate(synthesized, {"prod-platform": loosen}).stacks)]
    assert said == [
        "azurerm_log_analytics_workspace.logs: retention_in_days: 90 → 30 (loosened)",
        "azurerm_storage_account.lake: min_tls_version: TLS1_2 → TLS1_0 (loosened)",
    ]


def test_a_review_of_a_plan_shows_values_and_hides_what_is_sensitive() -> None:
    """Of an argument that Terraform marks, or of a resource that is marked as a whole, no value is shown."""

    def text(**marks: Any) -> str:
        change = {
            "actions": ["update"],
            "before": {"name": "a", "key": "old"},
            "after": {"name": "b", "key": "new"},
            **marks,
        }
        resource = {"address": "x_y.z", "type": "x_y", "name": "z", "change": change}
        return comment(record(meaning_of_plans({"prod-platform": {"resource_changes": [resource]}})))

    shown = text(after_sensitive={"key": True}, before_sensitive=False, after_unknown={})
    assert "name: a → b" in shown
    assert "old" not in shown
    assert "new" not in shown
    assert "a → b" not in text(after_sensitive=True)
