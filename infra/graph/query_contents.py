"""What queries of alerts and dashboards do: one statement that reads tables of its own environment, by known functions.

A list of what is allowed: functions of SQL can read secrets, files and addresses, and a name can be written in many ways.
"""

import json
import re
from collections.abc import Iterator

from infra.graph.estate import Estate

Found = Iterator[tuple[str, str]]
FUNCTIONS = frozenset({
    "abs", "approx_percentile", "array", "array_join", "avg", "cast", "ceil", "coalesce", "collect_list", "collect_set", "concat",
    "count", "current_date", "current_timestamp", "date", "date_add", "date_diff", "date_sub", "date_trunc", "datediff",
    "dense_rank", "explode", "first", "floor", "format_number", "greatest", "if", "ifnull", "lag", "last", "lead", "least",
    "length", "lower", "max", "max_by", "median", "min", "min_by", "nullif", "percentile", "rank", "round", "row_number",
    "stack", "stddev", "substring", "sum", "to_date", "to_timestamp", "try_divide", "upper", "variance",
})  # fmt: skip
"""Functions that compute from their arguments alone (https://docs.databricks.com/aws/en/sql/language-manual/sql-ref-functions-builtin)."""
BEFORE_BRACKETS = frozenset({"as", "from", "join", "in", "over", "by", "and", "or", "not", "exists", "on", "where", "when", "then",
                             "else", "select", "filter", "using", "values", "interval", "union", "all", "except", "with"})  # fmt: skip
"""Words of SQL that may stand before a bracket and are no function."""
READS = re.compile(r"\b(?:from|join)\s+([\w.]+|\()", re.IGNORECASE)
COMMA = re.compile(
    r"\b(?:from|join)\s+[\w.]+(?:\s+(?:as\s+)?(?!where\b|group\b|order\b|join\b|on\b|limit\b)\w+)?\s*,", re.IGNORECASE
)
CHANGES = re.compile(
    r"\b(delete|insert|update|merge|drop|alter|grant|revoke|create|truncate|copy|call|set|use|execute|refresh)\b",
    re.IGNORECASE,
)


def query_findings(estate: Estate) -> Found:
    """Yield resource and message of every query that changes something, reads elsewhere, or calls an unknown function."""
    texts = [(one, [str(one.get("query_text"))]) for one in estate.of("databricks_alert_v2")]
    for dashboard in estate.of("databricks_dashboard"):
        try:
            datasets = json.loads(str(dashboard.get("serialized_dashboard")))["datasets"]
            texts.append((dashboard, ["".join(one.get("queryLines", ())) for one in datasets]))
        except (ValueError, KeyError, TypeError):
            yield dashboard.where, "its serialized_dashboard is not a document that a check can read."
    for resource, queries in texts:
        for query in queries:
            yield from ((resource.where, message) for message in wrong_in_query(query, resource.environment))
        if resource.type == "databricks_alert_v2" and not any(_reads(query) for query in queries):
            yield resource.where, f"reads no table by {queries[0][:80]!r}: it would never speak."


def wrong_in_query(query: str, environment: str) -> Iterator[str]:
    """Yield what a query of an alert or a dashboard does that it must not.

    Parameters
    ----------
    environment
        Whose tables it may read; their catalog has its name.
    """
    if "--" in query or "/*" in query or "`" in query or '"' in query:
        yield f"has comments or quoted names in {query[:80]!r}; a check reads plain names only."
        return
    bare = re.sub(r"'[^']*'", "''", query)
    own = {name.lower() for name in re.findall(r"(\w+)\s+AS\s*\(", bare, re.IGNORECASE)}
    for table in _reads(bare):
        if table.partition(".")[0] != environment and table.lower() not in own:
            yield f"reads {table}, which is not in the catalog of {environment}."
    if COMMA.search(bare):
        yield f"lists several tables with commas in {query[:80]!r}; state each after JOIN."
    for name in re.findall(r"([A-Za-z_]\w*)\s*\(", bare):
        if name.lower() not in FUNCTIONS | BEFORE_BRACKETS | own:
            yield f"calls {name}, which is none of the functions that only compute; state it in infra/graph/query_contents.py."
    if ";" in bare or CHANGES.search(bare) or not bare.lstrip().upper().startswith(("SELECT", "WITH")):
        yield f"runs {query[:80]!r}; a query of an alert or a dashboard is one statement that only reads."


def _reads(query: str) -> list[str]:
    """Return the tables that a query names after FROM and JOIN; a bracket holds a query of its own."""
    return [table for table in READS.findall(re.sub(r"'[^']*'", "''", query)) if table != "("]
