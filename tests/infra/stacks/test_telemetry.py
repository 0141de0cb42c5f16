"""Telemetry in the settings: a closed component of Application Insights, who may publish to it, its alert rules and workbook."""

import copy
import gzip
import json
import re
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from infra.checks.registry import findings
from infra.config.checks import load_settings
from infra.config.loading import Settings, SettingsError
from infra.config.network import DNS_ZONES, MONITOR_ZONES
from infra.constructs.azure.alert_rules import SEVERITIES, duration, run_book
from infra.constructs.azure.metric_queries import TABLE, alert_query, chart_query, column
from infra.constructs.release import Release
from infra.rights.needed import rights_by_identity
from infra.stacks.estate import stacks
from infra.synthesis.cdktf_seam import synthesize
from infra.synthesis.stack import Resource, Stack
from infra.terraform_cli.synthesized import SynthesizedStack, read_stacks
from pipelines.declarations.registry import use_cases
from pipelines.on_call.alerts import METRICS
from pipelines.telemetry import exporters
from pipelines.telemetry.attributes import AttributeKind
from pipelines.telemetry.instruments import INSTRUMENTS, InstrumentKind
from pipelines.telemetry.recording import measure
from pipelines.telemetry.run import traced_run
from pipelines.telemetry.settings import CONNECTION, CREDENTIAL, SWITCH
from tests.pipelines.telemetry.received import receiver

ALERTS = [(instrument, alert) for instrument in INSTRUMENTS for alert in instrument.alerts]
RULE = "azurerm_monitor_scheduled_query_rules_alert_v2"
HUB = "/subscriptions/0f1e2d3c-4b5a-4697-8877-665544332211/resourceGroups/rg-hub/providers/Microsoft.Network/privateDnsZones"
ZONES = {service: f"{HUB}/{name}" for service, name in DNS_ZONES.items()}
OF_MONITOR = {service: f"{HUB}/{name}" for service, name in MONITOR_ZONES.items()}
COLUMNS = {"TimeGenerated", "Name", "Sum", "Min", "Max", "ItemCount", "Properties"}
"""Of the table, as learn.microsoft.com/azure/azure-monitor/reference/tables/appmetrics lists them, those in use."""


def of(stack: Stack, kind: str) -> dict[str, Resource]:
    """Return the resources of one type by name."""
    return {resource.name: resource for resource in stack.resources.values() if resource.type == kind}


def built(folder: Any, release: Release, **network: Any) -> dict[str, Stack]:
    """Return the stacks with telemetry in prod and changed settings of its network."""
    for name, value in network.items():
        folder.change("prod", ("network", name), value)
    return {stack.name: stack for stack in stacks(load_settings(folder.path), use_cases(), release)}


def test_without_the_setting_nothing_of_it_is_there(estate: Mapping[str, Stack]) -> None:
    """No resource, no output, no variable, no right."""
    for stack in estate.values():
        text = str(stack.resources) + str(stack.outputs)
        for word in (
            "insights",
            "scheduled_query",
            "private_link_scope",
            "databricks_credential",
            SWITCH,
            "SERVICE_CREDENTIAL",
        ):
            assert word not in text, (stack.name, word)


def test_a_private_environment_is_closed_in_both_directions(estate_with_telemetry: Mapping[str, Stack]) -> None:
    """Component and logs are reached through the scope alone, and from the network only what the scope links."""
    platform = estate_with_telemetry["prod-platform"]
    component = of(platform, "azurerm_application_insights")["telemetry"].arguments
    logs = of(platform, "azurerm_log_analytics_workspace")["logs"].arguments
    for one in (component, logs):
        assert (one["internet_ingestion_enabled"], one["internet_query_enabled"]) == (False, False)
    assert component["local_authentication_disabled"] is True
    assert component["workspace_id"] == platform.resources["azurerm_log_analytics_workspace.logs"].id
    scope = of(platform, "azurerm_monitor_private_link_scope")["telemetry"].arguments
    assert (scope["ingestion_access_mode"], scope["query_access_mode"]) == ("PrivateOnly", "PrivateOnly")
    linked = {
        one.arguments["linked_resource_id"]
        for one in of(platform, "azurerm_monitor_private_link_scoped_service").values()
    }
    assert len(linked) == 2
    endpoint = of(platform, "azurerm_private_endpoint")["monitor"].arguments
    assert endpoint["private_service_connection"]["subresource_names"] == ["azuremonitor"]
    zones = of(platform, "azurerm_private_dns_zone")
    named = {zones[label].id for label in (*MONITOR_ZONES, "blob")}
    assert set(endpoint["private_dns_zone_group"]["private_dns_zone_ids"]) == named


def test_a_public_environment_is_asked_over_the_internet_and_sent_to_privately(folder: Any, release: Release) -> None:
    """Its queries need a sign-in; what jobs send has a private way all the same."""
    folder.change("prod", ("telemetry",), {"daily_gigabytes": 1})
    platform = built(folder, release, exposure="public", allowed_ip_ranges=["203.0.113.0/24"])["prod-platform"]
    component = of(platform, "azurerm_application_insights")["telemetry"].arguments
    assert (component["internet_ingestion_enabled"], component["internet_query_enabled"]) == (False, True)
    assert of(platform, "azurerm_monitor_private_link_scope")["telemetry"].arguments["query_access_mode"] == "Open"


def test_a_hub_with_a_scope_of_its_own_gets_no_second_one(folder: Any, release: Release) -> None:
    """No scope, endpoint or zone is made; the component stays closed."""
    folder.change("prod", ("telemetry",), {"daily_gigabytes": 1, "private_link": False})
    platform = built(folder, release, private_dns_zones=ZONES, web_authentication=False)["prod-platform"]
    assert not of(platform, "azurerm_monitor_private_link_scope")
    assert "monitor" not in of(platform, "azurerm_private_endpoint")
    assert of(platform, "azurerm_application_insights")["telemetry"].arguments["internet_ingestion_enabled"] is False


def test_existing_zones_of_azure_monitor_are_used(folder: Any, release: Release) -> None:
    """As those of other services."""
    folder.change("prod", ("telemetry",), {"daily_gigabytes": 1})
    platform = built(folder, release, private_dns_zones={**ZONES, **OF_MONITOR}, web_authentication=False)[
        "prod-platform"
    ]
    endpoint = of(platform, "azurerm_private_endpoint")["monitor"].arguments
    assert set(endpoint["private_dns_zone_group"]["private_dns_zone_ids"]) == {*OF_MONITOR.values(), ZONES["blob"]}
    assert not of(platform, "azurerm_private_dns_zone")


@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        ({("compute", "jobs_run_on"): "serverless"}, "telemetry needs jobs_run_on: job_cluster"),
        ({("network", "private_dns_zones"): ZONES}, "network.private_dns_zones must name monitor, oms, ods, agentsvc too"),
        ({("network", "private_dns_zones"): {**ZONES, "oms": OF_MONITOR["oms"]}}, "which belong together, or none of them"),
        ({("network", "private_dns_zones"): {**ZONES, **OF_MONITOR, "oms": ZONES["blob"]}}, "with the name privatelink.oms"),
        ({("telemetry", "daily_gigabytes"): 50}, "is above its ceiling in prod, max 20"),
        ({("telemetry", "daily_gigabytes"): 0}, "greater than 0"),
    ],
)  # fmt: skip
def test_a_setting_that_could_not_work_is_refused(folder: Any, changes: Mapping[Any, Any], sentence: str) -> None:
    """With what to state instead."""
    folder.change("prod", ("telemetry",), {"daily_gigabytes": 1})
    for place, value in changes.items():
        folder.change("prod", place, value)
    with pytest.raises(SettingsError) as refused:
        load_settings(folder.path)
    assert sentence in str(refused.value)


def test_two_scopes_in_one_zone_are_refused(folder: Any) -> None:
    """The second one would take the names of the first one's endpoint."""
    for number, environment in enumerate(("staging", "prod")):
        folder.change(environment, ("telemetry",), {"daily_gigabytes": 1})
        folder.change(environment, ("network", "private_dns_zones"), {**ZONES, **OF_MONITOR})
        folder.change(environment, ("network", "web_authentication"), not number)
    with pytest.raises(
        SettingsError, match="staging has a private link scope of Azure Monitor in the same private DNS zone"
    ):
        load_settings(folder.path)


def test_jobs_publish_with_an_identity_that_can_do_nothing_else(estate_with_telemetry: Mapping[str, Stack]) -> None:
    """One role of one connector, one isolated credential, access for the jobs alone; each right by the identity that applies."""
    platform, account, workspace = (
        estate_with_telemetry[f"prod-{part}"] for part in ("platform", "account", "workspace")
    )
    connector = of(platform, "azurerm_databricks_access_connector")["telemetry"]
    roles = [
        (role.arguments["role_definition_name"], role.arguments["scope"])
        for role in of(platform, "azurerm_role_assignment").values()
        if connector.address in role.arguments["principal_id"]
    ]
    assert roles == [("Monitoring Metrics Publisher", "${azurerm_application_insights.telemetry.id}")]
    credential = of(workspace, "databricks_credential")["telemetry"].arguments
    assert (credential["purpose"], credential["isolation_mode"]) == ("SERVICE", "ISOLATION_MODE_ISOLATED")
    (grant,) = of(workspace, "databricks_grants")["telemetry"].arguments["grant"]
    assert ("runner_prod" in grant["principal"], grant["privileges"]) == (True, ["ACCESS"])
    assert "CREATE_SERVICE_CREDENTIAL" in of(account, "databricks_grant")["metastore"].arguments["privileges"]
    rights = {right.right for right in rights_by_identity(estate_with_telemetry.values())["prod"]}
    assert "CREATE_SERVICE_CREDENTIAL" in rights


def test_every_job_gets_the_variables_that_the_exporter_reads(estate_with_telemetry: Mapping[str, Stack]) -> None:
    """Which exporter, which component, and the credential by reference: a job waits for it."""
    for job in of(estate_with_telemetry["prod-workspace"], "databricks_job").values():
        (cluster,) = job.arguments["job_cluster"]
        given = cluster["new_cluster"]["spark_env_vars"]
        assert set(given) == {SWITCH, CONNECTION, CREDENTIAL}
        assert given[SWITCH] in exporters._MADE_BY
        assert given[CONNECTION].endswith("outputs.telemetry_connection}")
        assert given[CREDENTIAL] == "${databricks_credential.telemetry.name}"


def test_every_declared_alert_is_a_rule_and_stands_on_the_page(estate_with_telemetry: Mapping[str, Stack]) -> None:
    """By name; the mail begins with the words that the page lists; who hears of it is whom the settings name."""
    platform = estate_with_telemetry["prod-platform"]
    rules = of(platform, RULE)
    assert set(rules) == {alert.name for alert in METRICS} == {alert.name for _, alert in ALERTS}
    for alert in METRICS:
        found = rules[alert.name].arguments
        assert found["description"].startswith(f"prod: {alert.words}: ")
        assert found["severity"] == SEVERITIES[alert.severity]
        assert found["action"]["action_groups"] == ["${azurerm_monitor_action_group.on_call.id}"]
        assert alert.page.partition("#")[0] in found["action"]["custom_properties"]["run book"]
    receivers = of(platform, "azurerm_monitor_action_group")["on_call"].arguments["email_receiver"]
    assert [one["email_address"] for one in receivers] == ["data-platform-oncall@meridian-air.example"]


def test_azure_adds_no_alert_of_its_own(
    estate_with_telemetry: Mapping[str, Stack], estate: Mapping[str, Stack]
) -> None:
    """An alert that no page lists; other environments have the provider as it was."""
    (features,) = estate_with_telemetry["prod-platform"].providers["azurerm.azure"].arguments["features"]
    assert features["application_insights"] == [{"disable_generated_rule": True}]
    (before,) = estate["prod-platform"].providers["azurerm.azure"].arguments["features"]
    assert "application_insights" not in before


ALLOWED = {"PT5M", "PT10M", "PT15M", "PT30M", "PT45M", "PT1H", "PT2H", "PT3H", "PT4H", "PT5H", "PT6H", "P1D", "P2D"}
"""Durations of an alert rule (the provider's page of azurerm_monitor_scheduled_query_rules_alert_v2)."""


@pytest.mark.parametrize(("instrument", "alert"), ALERTS, ids=lambda one: str(one.name))
def test_an_alert_can_be_evaluated(instrument: Any, alert: Any) -> None:
    """Its durations exist, it looks back far enough, its split is one of the metric, its figure fits the kind of the metric."""
    assert {duration(alert.minutes), duration(alert.every_minutes)} <= ALLOWED
    assert alert.every_minutes <= alert.minutes
    assert set(alert.split_by) <= set(instrument.split_by)
    assert alert.at_least is None or alert.at_least[0] in instrument.split_by
    figures = {
        InstrumentKind.COUNTER: {"sum"}, InstrumentKind.GAUGE: {"maximum"},
        InstrumentKind.HISTOGRAM: {"mean", "maximum", "count"},
    }  # fmt: skip
    assert alert.aggregation in figures[instrument.kind]


def test_a_run_book_is_the_section_as_azure_devops_shows_it(settings: Settings) -> None:
    """A section by its anchor, and that section exists in the page."""
    devops = settings.account.azure_devops
    found = run_book(devops, "run-books.md#a-stream-that-lags")
    assert found == (
        "https://dev.azure.com/meridian-air/lakehouse/_git/lakehouse?path=/docs/run-books.md&_a=preview&anchor=a-stream-that-lags"
    )


def value_of(attribute: Any) -> Any:
    """Return some value that an attribute accepts."""
    return 503 if attribute.kind is AttributeKind.COUNT else "some.name"


@pytest.fixture(scope="module")
def sent(tmp_path_factory: pytest.TempPathFactory) -> dict[str, dict[str, Any]]:
    """What the real exporter sends of one measurement of each metric: by the name in the envelope, point and properties."""
    with pytest.MonkeyPatch.context() as patch, receiver(answer=b'{"itemsReceived": 1, "itemsAccepted": 1, "errors": []}') as received:  # fmt: skip
        patch.setenv(SWITCH, "azure_monitor")
        patch.setenv(
            CONNECTION, f"InstrumentationKey={'1' * 8}-0000-0000-0000-{'0' * 12};IngestionEndpoint={received.address}/"
        )
        patch.setattr(exporters, "_entra", lambda: None)
        with traced_run(
            environment="dev", engine="embedded", folder=tmp_path_factory.mktemp("run"), commit=lambda: "abc", job="a.b",
            run_id="r1", first=True, say=lambda _: None,
        ):  # fmt: skip
            for one in INSTRUMENTS:
                measure(one, 2.5, {attribute: value_of(attribute) for attribute in one.split_by})
    bodies = [gzip.decompress(body) if body[:2] == b"\x1f\x8b" else body for _, body in received.bodies]
    metrics = [
        one["data"]["baseData"]
        for body in bodies
        for one in json.loads(body)
        if one["data"]["baseType"] == "MetricData"
    ]
    return {
        one["metrics"][0]["name"]: {**one["metrics"][0], "properties": one.get("properties", {})} for one in metrics
    }


@pytest.mark.parametrize(
    ("name", "query"),
    [
        *((one.name, chart_query(one)) for one in INSTRUMENTS),
        *((one.name, alert_query(one, alert)) for one, alert in ALERTS),
    ],
)
def test_queries_ask_for_what_the_exporter_sends(sent: dict[str, dict[str, Any]], name: str, query: str) -> None:
    """The metric by its name, each property that is read is sent, and each column exists in the table of the service."""
    assert query.startswith(f'{TABLE}\n| where Name == "{name}"\n')
    assert sent[name]["value"] == 2.5
    for read in re.findall(r'Properties\["([^"]+)"\]', query):
        assert sent[name]["properties"].get(read), (read, sent[name])
    made = {column(attribute) for one in INSTRUMENTS for attribute in one.split_by} | {"value"}
    words = set(re.findall(r"\b[A-Za-z_]\w+", re.sub(r'"[^"]*"', "", query)))
    language = {TABLE, "where", "extend", "summarize", "by", "tostring", "toint", "bin", "sum", "max"}
    assert words - made - language - {"15m"} <= COLUMNS
    if "max(Max)" in query:
        assert sent[name]["max"] == 2.5


def test_the_workbook_shows_every_metric_of_its_own_logs(estate_with_telemetry: Mapping[str, Stack]) -> None:
    """One chart for each, in the form that the service documents; no unit names a parameter."""
    book = of(estate_with_telemetry["prod-platform"], "azurerm_application_insights_workbook")["telemetry"].arguments
    assert re.fullmatch(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}", book["name"])
    content = json.loads(book["data_json"])
    assert content["version"] == "Notebook/1.0"
    charts = [item for item in content["items"] if item["type"] == 3]
    assert [chart["name"] for chart in charts] == [one.name for one in INSTRUMENTS]
    for chart in charts:
        assert chart["content"]["version"] == "KqlItem/1.0"
        assert chart["content"]["crossComponentResources"] == ["${azurerm_log_analytics_workspace.logs.id}"]
        assert "{" not in chart["content"]["title"]


@pytest.fixture(scope="module")
def proven(
    estate_with_telemetry: Mapping[str, Stack], tmp_path_factory: pytest.TempPathFactory
) -> dict[str, SynthesizedStack]:
    """The stacks with telemetry, synthesized."""
    output: Path = tmp_path_factory.mktemp("with-telemetry") / "cdktf.out"
    synthesize(list(estate_with_telemetry.values()), output)
    return read_stacks(output)


def test_the_stacks_with_telemetry_are_proven(
    proven: dict[str, SynthesizedStack], settings_with_telemetry: Settings
) -> None:
    """No check finds anything."""
    assert [one for one in findings(proven, settings_with_telemetry, use_cases()) if "wheel" not in one.message] == []


P, W = "prod-platform", "prod-workspace"
LAKE_ROLE = {"scope": "${azurerm_storage_account.lake.id}", "role_definition_name": "Storage Blob Data Contributor"}
HARM: dict[str, tuple[Callable[[Any], object], str]] = {
    "keys open the component": (
        lambda e: e[P]["azurerm_application_insights"]["telemetry"].update(local_authentication_disabled=False),
        "local_authentication_disabled is 'False', allowed is 'true'",
    ),
    "the internet sends": (
        lambda e: e[P]["azurerm_application_insights"]["telemetry"].update(internet_ingestion_enabled=True),
        "internet_ingestion_enabled is 'True', allowed is what the settings state",
    ),
    "the logs stay open": (
        lambda e: e[P]["azurerm_log_analytics_workspace"]["logs"].pop("internet_query_enabled"),
        "leaves out internet_query_enabled",
    ),
    "the network sends anywhere": (
        lambda e: e[P]["azurerm_monitor_private_link_scope"]["telemetry"].update(ingestion_access_mode="Open"),
        "ingestion_access_mode is 'Open'",
    ),
    "the scope has no endpoint": (lambda e: e[P]["azurerm_private_endpoint"].pop("monitor"), "has no azurerm_private_endpoint"),
    "the component is not linked": (
        lambda e: e[P]["azurerm_monitor_private_link_scoped_service"].pop("telemetry"),
        "has no azurerm_monitor_private_link_scoped_service beside it",
    ),
    "telemetry's identity reads the lake": (
        lambda e: e[P]["azurerm_role_assignment"]["telemetry"].update(LAKE_ROLE),
        "it may be held by azurerm_databricks_access_connector.identity of connector on azurerm_storage_account",
    ),
    "the catalog's identity publishes": (
        lambda e: e[P]["azurerm_role_assignment"]["telemetry"].update(
            principal_id="${azurerm_databricks_access_connector.connector.identity[0].principal_id}"
        ),
        "gives @{prod-platform/azurerm_databricks_access_connector.connector.identity} the role 'Monitoring Metrics Publisher'",
    ),
    "people use the credential": (
        lambda e: e[W]["databricks_grants"]["telemetry"]["grant"].append(
            {"principal": "grp-mrd-prod-ml-engineer", "privileges": ["ACCESS"]}
        ),
        "holds ACCESS on prod's credential",
    ),
    "the credential is that of the lake": (
        lambda e: e[W]["databricks_credential"]["telemetry"]["azure_managed_identity"].update(
            access_connector_id="${data.terraform_remote_state.prod_platform.outputs.connector_id}"
        ),
        "azure_managed_identity.access_connector_id is '@{prod-platform/azurerm_databricks_access_connector.connector.id}'",
    ),
    "every workspace sees the credential": (
        lambda e: e[W]["databricks_credential"]["telemetry"].pop("isolation_mode"), "leaves out isolation_mode",
    ),
    "jobs send to somebody else": (
        lambda e: next(iter(e[W]["databricks_job"].values()))["job_cluster"][0]["new_cluster"]["spark_env_vars"].update(
            {CONNECTION: "InstrumentationKey=0"}
        ),
        "is 'InstrumentationKey=0'",
    ),
    "an alert is missing": (lambda e: e[P][RULE].pop("stream_behind"), "which a metric declares: nobody would hear of it"),
    "an alert is deaf": (
        lambda e: e[P][RULE]["endpoint_errors"]["criteria"][0].update(threshold=100000), "the metric declares 10",
    ),
    "an alert is switched off": (lambda e: e[P][RULE]["endpoint_errors"].update(enabled=False), "states enabled"),
    "somebody else hears": (
        lambda e: e[P]["azurerm_monitor_action_group"]["on_call"]["email_receiver"][0].update(email_address="a@b.example"),
        "email_receiver.email_address is 'a@b.example'",
    ),
    "the workbook asks other logs": (
        lambda e: e[P]["azurerm_application_insights_workbook"]["telemetry"].update(
            data_json=json.dumps({"items": [], "fallbackResourceIds": ["/subscriptions/other"]})
        ),
        "asks /subscriptions/other, which is not the environment's own logs",
    ),
}  # fmt: skip


@pytest.mark.parametrize("harm", HARM)
def test_a_harmful_change_of_telemetry_is_found(
    harm: str, proven: dict[str, SynthesizedStack], settings_with_telemetry: Settings
) -> None:
    """Each by a sentence of its own."""
    change, sentence = HARM[harm]
    edited = {name: replace(proven[name], content=copy.deepcopy(dict(proven[name].content))) for name in (P, W)}
    change({name: stack.content["resource"] for name, stack in edited.items()})
    found = findings({**proven, **edited}, settings_with_telemetry, use_cases())
    assert any(sentence in one.message for one in found), [one.message for one in found]
