"""The edges of the graph: every way in which one thing acts as, changes, reads or reaches another.

An edge states only what the stacks state; whether it may be there is decided by the ceilings and by `infra.graph.paths`.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from enum import StrEnum

from infra.config.pipeline_names import CONNECTIONS, PIPELINES, place, signs_in_as
from infra.config.stack_names import ACCOUNT, identity_of
from infra.graph.contents import decoded
from infra.graph.estate import Estate, GraphResource
from infra.graph.principals import GraphPrincipal, Principals
from infra.graph.rights import RELEASES, HeldRight
from infra.terraform_cli.synthesized import as_blocks
from pipelines.declarations.asset import Layer, shared_schema
from pipelines.declarations.online_store import ONLINE_STORE


class Effect(StrEnum):
    """What an edge allows, from the weakest to the strongest."""

    READS = "reads"
    REACHES = "reaches"
    CHANGES = "changes"
    ACTS = "acts as"


ONLY_READ = frozenset(
    {"USE_CATALOG", "USE_SCHEMA", "SELECT", "EXECUTE", "READ_VOLUME", "READ_FILES", "BROWSE", "CAN_VIEW", "CAN_READ", "CAN_USE",
     "CAN_QUERY", "USER", "READ", "CAN_RUN", "CAN_MANAGE_RUN"}
)  # fmt: skip
"""Words that allow no change of the object itself; who starts a job changes neither it nor its identity."""


@dataclass(frozen=True, kw_only=True)
class GraphNode:
    """One thing in the graph.

    Attributes
    ----------
    home
        The environment that it belongs to, ``account`` for what all share, empty for what belongs to nobody.
    """

    id: str
    words: str
    home: str


@dataclass(frozen=True, kw_only=True)
class GraphEdge:
    """One way from one thing to another.

    Attributes
    ----------
    verb
        For the sentence of a path: ``holds SELECT on``, ``is a member of``.
    through
        The resource that states it, as ``<stack>/<type>.<name>``; ``/<path>`` for a file of the repository.
    held
        For a right: what is held. None for everything else.
    """

    source: GraphNode
    target: GraphNode
    effect: Effect
    verb: str
    through: str
    held: HeldRight | None = None

    @property
    def sentence(self) -> str:
        """The edge as one step, with file and address."""
        stack, _, address = self.through.partition("/")
        if not stack:
            return f"{self.source.words} {self.verb} {self.target.words} ({address})"
        return f"{self.source.words} {self.verb} {self.target.words} (stacks/{stack}/cdk.tf.json, {address or 'whole stack'})"


def edges(estate: Estate, rights: Sequence[HeldRight]) -> tuple[GraphEdge, ...]:
    """Return every edge of all stacks."""
    principals = Principals(estate)
    return (
        *_memberships(estate, principals),
        *_signing_in(estate, principals),
        *_pipelines(estate),
        *_rights(rights),
        *_owners(estate, principals),
        *_running(estate, principals),
        *_storage(estate),
        *_online_stores(estate),
        *_stacks(estate),
        *_networks(estate),
    )


def node_of(principal: GraphPrincipal) -> GraphNode:
    """Return the node of a principal."""
    home = principal.environment
    return GraphNode(id=f"{principal.kind}:{principal.name}", words=principal.words, home=home)


def node_at(resource: GraphResource) -> GraphNode:
    """Return the node of a resource, which belongs to the environment of its stack."""
    kind = resource.type.partition("_")[2].replace("_", " ")
    shown = resource.get("name")
    label = shown if shown is not None and "${" not in str(shown) else resource.name
    return GraphNode(id=resource.where, words=f"{resource.environment}'s {kind} {label}", home=resource.environment)


def workspace_node(environment: str) -> GraphNode:
    """Return the node of an environment's workspace."""
    return GraphNode(id=f"workspace:{environment}", words=f"{environment}'s workspace", home=environment)


def _edge(source: GraphNode, target: GraphNode, effect: Effect, verb: str, through: str) -> GraphEdge:
    return GraphEdge(source=source, target=target, effect=effect, verb=verb, through=through)


def _memberships(estate: Estate, principals: Principals) -> Iterator[GraphEdge]:
    for member in estate.of("databricks_group_member"):
        who = node_of(principals.of(member.stack, member.get("member_id")))
        group = node_of(principals.of(member.stack, member.get("group_id")))
        yield _edge(who, group, Effect.ACTS, "is a member of", member.where)


def _signing_in(estate: Estate, principals: Principals) -> Iterator[GraphEdge]:
    devops = estate.settings.account.azure_devops
    known = {signs_in_as(devops, key): one.stage for key, one in CONNECTIONS.items()}
    for kind, whose, block in (
        ("azuread_application_federated_identity_credential", "application_id", ""),
        ("databricks_service_principal_federation_policy", "service_principal_id", "oidc_policy."),
    ):
        for policy in estate.of(kind):
            issuer, subject = str(policy.get(f"{block}issuer")), str(policy.get(f"{block}subject"))
            home = known.get((issuer, subject), "")
            outside = _subject(issuer, subject, home)
            runner = node_of(principals.of(policy.stack, policy.get(whose)))
            yield _edge(outside, runner, Effect.ACTS, "signs in as", policy.where)


def _subject(issuer: str, subject: str, home: str) -> GraphNode:
    return GraphNode(id=f"subject:{issuer} {subject}", words=f"whoever signs in with {subject} of {issuer}", home=home)


def _pipelines(estate: Estate) -> Iterator[GraphEdge]:
    """Yield which service connections each pipeline may use, and with which token each connection signs in."""
    devops = estate.settings.account.azure_devops
    for key, connection in CONNECTIONS.items():
        node = GraphNode(id=f"connection:{key}", words=f"the service connection {place(key)}", home=connection.stage)
        subject = _subject(*signs_in_as(devops, key), connection.stage)
        for name in connection.pipelines:
            pipeline = GraphNode(id=f"pipeline:{name}", words=f"the pipeline {name}", home=ACCOUNT)
            yield _edge(pipeline, node, Effect.ACTS, "may use", PIPELINES[name])
            yield _edge(node, subject, Effect.ACTS, "is", PIPELINES[name])


def _rights(rights: Sequence[HeldRight]) -> Iterator[GraphEdge]:
    for right in rights:
        if right.kind == "workspace":
            target = workspace_node(right.environment)
        elif right.target is not None:
            target = node_at(right.target)
        else:
            target = GraphNode(id=f"{right.environment}:{right.on}", words=right.on, home=right.environment)
        effect = Effect.READS if right.words <= ONLY_READ else Effect.CHANGES
        verb = f"holds {', '.join(sorted(right.words))} on"
        yield GraphEdge(
            source=node_of(right.principal), target=target, effect=effect, verb=verb, through=right.through, held=right
        )


def _owners(estate: Estate, principals: Principals) -> Iterator[GraphEdge]:
    for resource in estate.resources:
        for owner in (*resource.all("owner"), *resource.all("owners")):
            yield _edge(
                node_of(principals.of(resource.stack, owner)), node_at(resource), Effect.CHANGES, "owns", resource.where
            )
        if resource.type in ("databricks_service_principal", "azuread_application", "azuread_service_principal"):
            runner = node_of(principals.of_resource(resource))
            yield _edge(node_at(resource), runner, Effect.ACTS, "is what signs in as", resource.where)


def _running(estate: Estate, principals: Principals) -> Iterator[GraphEdge]:
    """Yield that a job runs as its identity, and that the volume of the code is the code of every job of the environment."""
    releases = {one.environment: one for one in estate.of("databricks_volume") if one.get("name") == RELEASES}
    for job in estate.of("databricks_job", "databricks_alert_v2"):
        who = node_of(principals.of(job.stack, job.get("run_as.service_principal_name") or job.get("run_as.user_name")))
        yield _edge(node_at(job), who, Effect.ACTS, "runs as", job.where)
        if job.environment in releases and job.type == "databricks_job":
            volume = node_at(releases[job.environment])
            yield _edge(volume, node_at(job), Effect.CHANGES, "holds the code of", job.where)
    for setting in estate.of(
        "databricks_catalog", "databricks_schema", "databricks_volume", "databricks_registered_model"
    ):
        parent = estate.origin(setting.stack, setting.get("schema_name") or setting.get("catalog_name"))
        if parent is not None:
            yield _edge(node_at(parent), node_at(setting), Effect.CHANGES, "contains", setting.where)


def _storage(estate: Estate) -> Iterator[GraphEdge]:
    for kind, argument, verb in (
        ("databricks_storage_credential", "azure_managed_identity.access_connector_id", "reaches files as"),
        ("databricks_credential", "azure_managed_identity.access_connector_id", "signs in to Azure services as"),
        ("databricks_external_location", "credential_name", "reaches files with"),
        ("databricks_external_location", "url", "is a place of"),
        ("databricks_catalog", "storage_root", "keeps its files in"),
    ):
        for resource in estate.of(kind):
            for origin in estate.origins(resource.stack, resource.get(argument)):
                if origin.where in estate.by_where:
                    target = node_at(estate.by_where[origin.where])
                    yield _edge(node_at(resource), target, Effect.CHANGES, verb, resource.where)
    for assignment in estate.of("azurerm_role_assignment"):
        scope = estate.origin(assignment.stack, assignment.get("scope"))
        for origin in estate.origins(assignment.stack, assignment.get("principal_id")):
            if scope is not None and origin.where in estate.by_where:
                verb = f"holds the role {assignment.get('role_definition_name')!r} on"
                source = node_at(estate.by_where[origin.where])
                yield _edge(source, node_at(scope), Effect.CHANGES, verb, assignment.where)
    for binding in estate.of("databricks_workspace_binding", "databricks_catalog_workspace_binding"):
        workspace = estate.origin(binding.stack, binding.get("workspace_id"))
        bound = estate.origin(binding.stack, binding.get("securable_name") or binding.get("catalog_name"))
        reads = binding.get("binding_type") == "BINDING_TYPE_READ_ONLY"
        if bound is not None and workspace is not None:
            effect = Effect.READS if reads else Effect.CHANGES
            yield _edge(workspace_node(workspace.environment), node_at(bound), effect, "is bound to", binding.where)


def _online_stores(estate: Estate) -> Iterator[GraphEdge]:
    """Yield that who administers a workspace manages its store, which endpoints ask it, and of which tables it holds copies.

    https://learn.microsoft.com/en-us/azure/databricks/oltp/projects/manage-project-permissions
    """
    for store in estate.of("databricks_online_store"):
        alias = str(store.get("provider")).rpartition(".")[2]
        for configured in as_blocks(estate.stacks[store.stack].content.get("provider", {}).get("databricks")):
            host = estate.origin(store.stack, configured.get("host")) if configured.get("alias") == alias else None
            if host is not None:
                workspace = workspace_node(host.environment)
                yield _edge(
                    workspace, node_at(store), Effect.CHANGES, "has, managed by its administrators,", store.where
                )
        endpoints = {one.name: one for one in estate.of("databricks_model_serving") if one.stack == store.stack}
        schemas = {str(one.get("name")): one for one in estate.of("databricks_schema") if one.stack == store.stack}
        for file in estate.of("databricks_file"):
            use_case = file.name.removeprefix("serving_")
            if file.stack != store.stack or ONLINE_STORE not in (decoded(file.get("content_base64")) or ""):
                continue
            if use_case in endpoints:
                yield _edge(
                    node_at(endpoints[use_case]), node_at(store), Effect.READS, "looks features up in", file.where
                )
            for name, schema in schemas.items():
                if name == f"{use_case}_{Layer.FEATURES}" or name.startswith(shared_schema(use_case, "")):
                    yield _edge(node_at(store), node_at(schema), Effect.READS, "holds copies of tables of", file.where)


def _stacks(estate: Estate) -> Iterator[GraphEdge]:
    """Yield what each stack works in, and which states it reads and writes: whoever applies it does all of this."""
    homes = {one.subscription_id: name for name, one in estate.settings.environments.items()}
    for stack in estate.stacks.values():
        here = GraphNode(id=f"stack:{stack.name}", words=f"the stack {stack.name}", home=identity_of(stack.name))
        for configured in as_blocks(stack.content.get("provider", {}).get("azurerm")):
            subscription = str(configured.get("subscription_id"))
            home = homes.get(subscription, ACCOUNT)  # what is no environment's is the company's
            target = GraphNode(id=f"subscription:{subscription}", words=f"the subscription {subscription}", home=home)
            yield _edge(here, target, Effect.CHANGES, "works, by its provider azurerm, in", stack.name)
        for other in estate.stacks.values():
            if other.state_place == stack.state_place:
                yield _edge(here, _state(other.name), Effect.CHANGES, "writes", stack.name)
        for configured in stack.content.get("provider", {}).get("databricks", ()):
            host = estate.origin(stack.name, configured.get("host"))
            if host is not None:
                alias = configured.get("alias")
                target = workspace_node(host.environment)
                yield _edge(here, target, Effect.CHANGES, f"works, by its provider {alias}, in", stack.name)
        for name, _, _ in stack.remote_states():
            owner = estate.owner_of_state(stack.name, name)
            if owner is not None:
                yield _edge(
                    here, _state(owner), Effect.READS, "reads", f"{stack.name}/data.terraform_remote_state.{name}"
                )


def _state(stack: str) -> GraphNode:
    return GraphNode(id=f"state:{stack}", words=f"the state of {stack}", home=identity_of(stack))


def _networks(estate: Estate) -> Iterator[GraphEdge]:
    for endpoint in estate.of("azurerm_private_endpoint"):
        subnet = estate.origin(endpoint.stack, endpoint.get("subnet_id"))
        value = endpoint.get("private_service_connection.private_connection_resource_id")
        target = estate.origin(endpoint.stack, value)
        if subnet is not None and target is not None:
            network = _network(subnet.environment)
            yield _edge(network, node_at(target), Effect.REACHES, "has a private address of", endpoint.where)
    for peering in estate.of("azurerm_virtual_network_peering"):
        remote = estate.origin(peering.stack, peering.get("remote_virtual_network_id"))
        if remote is not None:
            here, there = _network(peering.environment), _network(remote.environment)
            yield _edge(here, there, Effect.REACHES, "is peered with", peering.where)
    for link in estate.of("azurerm_private_dns_zone_virtual_network_link"):
        zone = estate.origin(link.stack, link.get("private_dns_zone_name"))
        linked = estate.origin(link.stack, link.get("virtual_network_id"))
        if zone is not None and linked is not None:
            yield _edge(_network(linked.environment), node_at(zone), Effect.REACHES, "resolves names in", link.where)
    for rule in estate.of("databricks_mws_ncc_private_endpoint_rule"):
        target = estate.origin(rule.stack, rule.get("resource_id"))
        if target is not None:
            network = GraphNode(
                id=f"serverless:{rule.environment}",
                words=f"serverless compute of {rule.environment}",
                home=rule.environment,
            )
            yield _edge(network, node_at(target), Effect.REACHES, "has a private address of", rule.where)


def _network(environment: str) -> GraphNode:
    return GraphNode(id=f"network:{environment}", words=f"the network of {environment}", home=environment)
