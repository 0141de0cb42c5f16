"""What notebooks run: they install this environment's release and call it, and nothing else.

Their Python is read as a syntax tree: what is imported, what is called, and the one function that they define. A list of
what is allowed, because what is forbidden can be written in too many ways.
"""

import ast
import re
from collections.abc import Iterator

INSTALLED = re.compile(r"%pip install --quiet (?:-r )?/Volumes/(\w+)/deployment/releases/[\w.+-]+$")
ROOM = "pipelines"
WIDGETS = ("dropdown", "text", "get", "combobox", "multiselect", "removeAll")
CALLED = frozenset({
    *(f"dbutils.widgets.{one}" for one in WIDGETS), "dbutils.library.restartPython", "dbutils.notebook.exit", "len", "print",
    "str", "int", "float", "bool", "list", "dict", "sorted",
})  # fmt: skip
"""What a notebook may call beside the release and what it defines itself."""
METHODS = frozenset({"split", "strip", "format", "join", "items", "keys", "values", "append", "lower", "upper"})
"""Methods of texts, lists and mappings that a notebook may call."""
HANDLES = frozenset({"dbutils", "spark", "sc", "display", "displayHTML", "sqlContext", "get_ipython", "__builtins__"})
"""What Databricks puts into a notebook; it is called by its full name, never kept under another one."""


def foreign_lines(text: str, environment: str) -> Iterator[tuple[int, str]]:
    """Yield number and text of every line that runs something other than the environment's release.

    Parameters
    ----------
    text
        The notebook's source, with its cells as Databricks exports them.
    """
    lines = text.splitlines()
    for number, line in enumerate(lines, start=1):
        if line.startswith("# MAGIC %") and not line.startswith("# MAGIC %md"):
            installed = INSTALLED.search(line)
            if installed is None or installed[1] != environment:
                yield number, line
    try:
        tree = ast.parse(text)
    except SyntaxError as error:
        number = error.lineno or 1
        yield number, lines[number - 1] if number <= len(lines) else ""
        return
    defined = {one.name for one in ast.walk(tree) if isinstance(one, ast.FunctionDef)}
    known = {name for one in ast.walk(tree) if isinstance(one, ast.ImportFrom) for name in _imported(one)}
    whole = {
        id(inner) for one in ast.walk(tree) if isinstance(one, ast.Attribute) and _name(one) for inner in ast.walk(one)
    }
    for node in ast.walk(tree):
        if _is_foreign(node, defined | known, whole):
            number = getattr(node, "lineno", 1)
            yield number, lines[number - 1]


def _imported(one: ast.ImportFrom) -> Iterator[str]:
    """Yield the names that an import of our own code brings; a private name, or one of a library, is none of them."""
    if one.level == 0 and (one.module or "").partition(".")[0] == ROOM:
        yield from (alias.asname or alias.name for alias in one.names if _is_ours(one.module or "", alias.name))


def _is_ours(module: str, name: str) -> bool:
    return (module, name) == (f"{ROOM}.__main__", "main") or module.startswith(f"{ROOM}.use_cases.")


def _is_foreign(node: ast.AST, known: set[str], whole: set[int]) -> bool:
    if isinstance(node, ast.Import):
        return True
    if isinstance(node, ast.ImportFrom):
        return len(list(_imported(node))) != len(node.names)
    if isinstance(node, ast.Call):
        name = _name(node.func)
        if name:
            return not (name in CALLED or name in known or _is_method(node.func, name))
        return not (isinstance(node.func, ast.Attribute) and node.func.attr in METHODS)
    if isinstance(node, ast.Name):
        return node.id.startswith("__") or (node.id in HANDLES and id(node) not in whole)
    if isinstance(node, ast.Attribute):
        return node.attr.startswith("__")
    return isinstance(node, ast.ClassDef | ast.Lambda | ast.Global | ast.Await | ast.With | ast.Delete)


def _is_method(called: ast.expr, name: str) -> bool:
    return isinstance(called, ast.Attribute) and called.attr in METHODS and name.partition(".")[0] not in HANDLES


def _name(expression: ast.expr) -> str:
    """Return a dotted name; empty for what is no plain name."""
    if isinstance(expression, ast.Name):
        return expression.id
    if isinstance(expression, ast.Attribute):
        inner = _name(expression.value)
        return f"{inner}.{expression.attr}" if inner else ""
    return ""
