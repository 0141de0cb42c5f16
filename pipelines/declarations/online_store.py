"""The online store of a deployed environment: its name and address, and the names of what is published to it. Imports nothing.

Each workspace has a store of its own. All have the same name: a version is copied from one environment to the next, and what
serves it asks the store of the workspace that it runs in.
"""

STORE = "online-features"
"""The name of the store in each workspace: at most 63 bytes, letters, digits and hyphens."""
SUFFIX = "_online"
"""What the name of an online table has after that of its feature table, beside which it stands in the catalog."""
ONLINE_STORE = "MLOPS_ONLINE_STORE"
"""The environment variable by which a served version is told its store: an address, or a connection string of Postgres."""
SCHEME = "lakebase:"
"""What the address of a store on Databricks begins with; the others are connection strings of Postgres."""


def online_table(address: str) -> str:
    """Return the online table of a feature table, both as ``schema.table``."""
    return f"{address}{SUFFIX}"


def store_address(catalog: str) -> str:
    """Return the address of the database with the online tables of a catalog: it is called like the catalog."""
    return f"{SCHEME}{STORE}/{catalog}"
