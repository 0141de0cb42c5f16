"""Checks that the stacks contain no secret, by the names of arguments and by the forms of known secrets."""

import re
from collections.abc import Iterator

from infra.checks.finding import PolicyCheck, Stacks
from infra.terraform_cli.references import texts

SECRET_NAME = re.compile(
    r"(^|_)(token|password|secret|client_secret|private_key|access_key|account_key|sas|string_value|api_key)(_plaintext)?$"
)
NOT_SECRET = re.compile(r"^(|\$\{[^}]*\}|\{\{secrets/[^/}]+/[^/}]+\}\})$")
"""Allowed values under such a name: nothing, one reference, or the name of a secret in a scope."""

SECRET_FORMS = {
    "a Databricks token": re.compile(r"\b(dapi|dkea|dose)[0-9a-f]{32}\b"),
    "a JSON web token": re.compile(r"\beyJ[\w-]{10,}\.eyJ[\w-]{10,}\."),
    "a private key": re.compile(r"-----BEGIN [A-Z ]*PRIVATE KEY-----"),
    "a storage key": re.compile(r"\bAccountKey=[A-Za-z0-9+/]{20,}={0,2}"),
    "a shared access signature": re.compile(r"[?&]sig=[A-Za-z0-9%+/]{20,}"),
    "an Azure client secret": re.compile(r"\b[A-Za-z0-9_~.-]{3}8Q~[A-Za-z0-9_~.-]{31,34}\b"),
    "a GitHub token": re.compile(r"\bgh[pousr]_[A-Za-z0-9]{36}\b"),
}


def _literals(stacks: Stacks) -> Iterator[tuple[str, str]]:
    for stack in stacks.values():
        for section in ("provider", "resource", "data", "output", "locals", "variable"):
            for path, text in texts(stack.content.get(section, {})):
                where = f"{stack.name}/{section}.{path}"
                name = re.sub(r"\[\d+\]$", "", path).rsplit(".", 1)[-1]
                if SECRET_NAME.search(name) and not NOT_SECRET.match(text):
                    yield where, f"{name!r} has a literal value; reference a secret instead."
                for what, form in SECRET_FORMS.items():
                    if form.search(text):
                        yield where, f"has the form of {what}; every reader of the repository could use it."


CHECKS = (
    PolicyCheck(
        id="no-secret-literal",
        reason="stacks are stored, compared and reviewed; many people read what they contain",
        look=_literals,
    ),
)
