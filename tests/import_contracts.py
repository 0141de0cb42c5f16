"""Contracts of import-linter that state what is allowed; whatever they do not name is refused.

`.importlinter` uses them as the types ``allowed`` and ``third_party``.
"""

from __future__ import annotations

import sys
from collections.abc import Iterable, Mapping

import grimp
from importlinter import Contract, ContractCheck, fields, output

Imports = dict[tuple[str, str], str]
"""Importer and imported module to the line of the import."""


class AllowedContract(Contract):
    """What the modules of one package may import of the packages named.

    Options: ``importers``, packages whose modules are looked at; ``packages``, the packages whose import is limited
    (without it everything outside this repository, the standard library included); ``allowed``, what may be imported
    of them. A package includes all modules below it.
    """

    importers = fields.ListField(subfield=fields.StringField())
    packages = fields.ListField(subfield=fields.StringField(), required=False, default=None)
    allowed = fields.ListField(subfield=fields.StringField())

    def check(self, graph: grimp.ImportGraph, verbose: bool) -> ContractCheck:  # noqa: ARG002 -- import-linter's interface
        """Return every import that is not on the list."""
        own = [*self.importers, *self.allowed]
        found = {
            (importer, imported): line
            for (importer, imported), line in _imports(graph, self.importers).items()
            if (_within(imported, self.packages) if self.packages else graph.is_module_squashed(imported))
            and not _within(imported, own)
        }
        return ContractCheck(kept=not found, metadata={"found": found})

    def render_broken_contract(self, check: ContractCheck) -> None:
        """Print a line for each import."""
        _print_imports(check.metadata["found"], f"allowed are {', '.join(self.allowed)}")


class ThirdPartyContract(Contract):
    """Which of our modules may import each third-party package; a package that is not in the table may nobody import.

    Option: ``table``, one ``package = importer, importer`` per line. The standard library is allowed to all.
    """

    table = fields.ListField(subfield=fields.StringField())

    def check(self, graph: grimp.ImportGraph, verbose: bool) -> ContractCheck:  # noqa: ARG002 -- import-linter's interface
        """Return every import of a third-party package by a module that the table does not name, and unused lines."""
        table = dict(_table_row(row) for row in self.table)
        found: Imports = {}
        used: set[tuple[str, str]] = set()
        for (importer, imported), line in _imports(graph, ("ml", "pipelines", "infra")).items():
            if not graph.is_module_squashed(imported) or imported.split(".")[0] in sys.stdlib_module_names:
                continue
            allowed = [name for name in table.get(imported, ()) if _within(importer, [name])]
            used.update((imported, name) for name in allowed)
            if not allowed:
                found[importer, imported] = line
        unused = sorted({(package, name) for package, names in table.items() for name in names} - used)
        return ContractCheck(kept=not found and not unused, metadata={"found": found, "unused": unused})

    def render_broken_contract(self, check: ContractCheck) -> None:
        """Print a line for each import and each line of the table that allows what nobody does."""
        _print_imports(check.metadata["found"], "the table of third-party packages does not allow it")
        for package, name in check.metadata["unused"]:
            output.print_error(f"{name} does not import {package}: take it out of the table.", bold=False)


def _imports(graph: grimp.ImportGraph, importers: Iterable[str]) -> Imports:
    found: Imports = {}
    for package in importers:
        for module in sorted({package} | graph.find_descendants(package)):
            for imported in sorted(graph.find_modules_directly_imported_by(module)):
                details = graph.get_import_details(importer=module, imported=imported)
                found[module, imported] = str(details[0]["line_number"]) if details else "?"
    return found


def _within(module: str, packages: Iterable[str]) -> bool:
    return any(module == package or module.startswith(f"{package}.") for package in packages)


def _table_row(row: str) -> tuple[str, list[str]]:
    package, _, names = row.partition("=")
    return package.strip(), [name.strip() for name in names.split(",")]


def _print_imports(found: Mapping[tuple[str, str], str], reason: str) -> None:
    for (importer, imported), line in found.items():
        output.print_error(f"{importer} line {line} imports {imported}: {reason}.", bold=False)
