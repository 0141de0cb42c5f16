"""Write the JSON Schemas of the settings files.

Example
-------
  python -m infra schema
"""

from infra.config.schema import write_schemas

EPILOG = "Editors that know the YAML language server complete and check the settings with them."


def run() -> int:
    """Write the schemas and name them."""
    for path in write_schemas():
        print(path)
    return 0
