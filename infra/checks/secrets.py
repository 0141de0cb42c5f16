"""Checks that nothing holds a secret: stacks, what they carry in base64 and JSON, settings and pipelines.

The rules are those of detect-secrets (github.com/bridgecrewio/detect-secrets, Apache licence, which Checkov installs), and
a table for what that scanner does not know of Azure and Databricks.
"""

import base64
import binascii
import json
import re
from collections.abc import Iterable, Iterator, Mapping
from functools import lru_cache
from pathlib import Path
from typing import Any

from infra.checks.finding import PolicyCheck, PolicyFinding, Stacks
from infra.terraform_cli.references import texts
from ml.spec.errors import NotPossibleError

CHECK = "no-secret-literal"
SECRET_NAME = re.compile(
    r"(^|[._-])(token|password|passwd|pwd|secret|client_secret|private_key|access_key|account_key|sas|string_value|api_key|"
    r"secret_access_key|connection_string)(_plaintext)?$",
    re.IGNORECASE,
)
NOT_SECRET = re.compile(r"^(|\$\{[^}]*\}|\{\{secrets/[^/}]+/[^/}]+\}\}|\{\{[\w.]+\}\}|true|false)$")
"""Allowed values under such a name: nothing, one reference, the name of a secret in a scope, or a switch."""

SECRET_FORMS = {
    "a Databricks token": re.compile(r"\b(dapi|dkea|dose)[0-9a-f]{32}\b"),
    "a storage key": re.compile(r"\bAccountKey=[A-Za-z0-9+/]{20,}={0,2}"),
    "a shared access signature": re.compile(r"[?&]sig=[A-Za-z0-9%+/]{20,}"),
    "an Azure client secret": re.compile(r"\b[A-Za-z0-9_~.-]{3}8Q~[A-Za-z0-9_~.-]{31,34}\b"),
    "a password in an address": re.compile(r"(?i)[;?&](password|pwd)=(?!\$\{|\{\{)[^;&\s]{3,}"),
    "an account key in a configuration": re.compile(
        r"(?i)\bfs\.azure\.(account\.key|sas)\.\S+ = \"(?!\$\{|\{\{)[^\"]{8,}"
    ),
    "a password in a text": re.compile(
        r"(?i)\b(password|passwd|pwd)\s*[=:]\s*(?!\$\{|\{\{|\$\()[^\s\"',;(){}<>\[\]]{8,}"
    ),
    "a key of OpenAI": re.compile(r"\bsk-[A-Za-z0-9_-]{20,}"),
}
"""What the scanner does not know."""

DETECTORS = (
    "AWSKeyDetector", "ArtifactoryDetector", "AzureStorageKeyDetector", "BasicAuthDetector", "CloudantDetector",
    "DiscordBotTokenDetector", "GitHubTokenDetector", "IbmCloudIamDetector", "IbmCosHmacDetector", "JwtTokenDetector",
    "KeywordDetector", "MailchimpDetector", "NpmDetector", "PrivateKeyDetector", "SendGridDetector", "SlackDetector",
    "SoftlayerDetector", "SquareOAuthDetector", "StripeDetector", "TwilioKeyDetector",
)  # fmt: skip
"""The scanner's detectors, without those of entropy: every hash and id of a stack would be a finding."""

_SUSPICIOUS = re.compile(r"(?i)key|pass|pwd|secret|token|cred|auth|[A-Za-z0-9+/_-]{20,}|://[^/\s]*@")
"""A superset of what the detectors find; all other lines are not given to them, which are slow."""
_HARMLESS = re.compile(
    r"\$\{[^}]*\}|\{\{[^}]*\}\}|[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}|\b[0-9a-f]{40}\b|/[\w./@{}-]+"
)


class ScannerError(NotPossibleError):
    """The scanner is not installed."""


def _literals(stacks: Stacks) -> Iterator[tuple[str, str]]:
    for stack in stacks.values():
        for section, content in stack.content.items():
            if section != "//":
                for path, text in texts(content):
                    for message in secrets_in(path, text):
                        yield f"{stack.name}/{section}.{path}", message
                for path, name, text in named_values(content):
                    for message in _literal_of(name, text):
                        yield f"{stack.name}/{section}.{path}", message


def named_values(value: Any, path: str = "") -> Iterator[tuple[str, str, str]]:
    """Yield path, name and text of every pair that states its name beside its value, such as a job's parameter."""
    if isinstance(value, Mapping):
        name = next((value[key] for key in ("name", "key") if isinstance(value.get(key), str)), None)
        for key in ("default", "value", "string_value"):
            if name is not None and isinstance(value.get(key), str):
                yield f"{path}.{key}", name, value[key]
        for inner, content in value.items():
            yield from named_values(content, f"{path}.{inner}" if path else str(inner))
    elif isinstance(value, list):
        for index, content in enumerate(value):
            yield from named_values(content, f"{path}[{index}]")


def _literal_of(name: str, text: str) -> Iterator[str]:
    if SECRET_NAME.search(name) and not NOT_SECRET.match(text):
        yield f"{name!r} has a literal value; reference a secret instead."


def secrets_in(path: str, text: str) -> Iterator[str]:
    """Yield what is secret about one text, decoded if it is base64.

    Parameters
    ----------
    path
        Its dotted path; the last part is its name.
    """
    name = re.sub(r"\[\d+\]$", "", path).rsplit(".", 1)[-1]
    yield from _literal_of(name, text)
    if not NOT_SECRET.match(text):
        yield from line_secrets(f'{path.partition("spark_conf.")[2] or name} = "{text}"')
    decoded = _decoded(text)
    for line in decoded.splitlines():
        yield from line_secrets(line)
    yield from _in_document(decoded or text)


def _in_document(text: str) -> Iterator[str]:
    """Yield what is secret about the texts of a JSON document that a text holds."""
    if text.lstrip()[:1] not in ("{", "["):
        return
    try:
        document = json.loads(text)
    except ValueError:
        return
    for path, inner in texts(document):
        yield from secrets_in(path, inner)
    for _, name, value in named_values(document):
        yield from _literal_of(name, value)


@lru_cache(maxsize=1 << 16)
def _found(line: str) -> tuple[str, ...]:
    found = [
        f"has the form of {what}; every reader of the repository could use it."
        for what, form in SECRET_FORMS.items()
        if form.search(line)
    ]
    bare = _HARMLESS.sub("", line)
    if _SUSPICIOUS.search(bare):
        found += [f"holds what a scanner calls {kind!r}; reference a secret instead." for kind in _scanned(line)]
    return tuple(dict.fromkeys(found))


def line_secrets(line: str) -> Iterator[str]:
    """Yield what is secret about one line of text."""
    yield from _found(line)


def _scanned(line: str) -> list[str]:
    try:
        from detect_secrets.core.scan import scan_line
        from detect_secrets.settings import transient_settings
    except ImportError as error:
        raise ScannerError("detect-secrets is not installed: install the requirements for development.") from error
    with transient_settings({"plugins_used": [{"name": name} for name in DETECTORS]}):
        return sorted({one.type for one in scan_line(line) if not _is_reference(str(one.secret_value))})


def _is_reference(value: str) -> bool:
    return "${" in value or "{{" in value or "$(" in value


def _decoded(text: str) -> str:
    if len(text) < 24 or not re.fullmatch(r"[A-Za-z0-9+/]+={0,2}", text):
        return ""
    try:
        return base64.b64decode(text, validate=True).decode("utf-8")
    except (binascii.Error, ValueError):
        return ""


def secrets_in_files(files: Iterable[Path], root: Path) -> tuple[PolicyFinding, ...]:
    """Return the secrets in text files: settings, pipelines, whatever else is kept as text.

    Parameters
    ----------
    root
        The folder from which files are named.
    """
    return tuple(
        PolicyFinding(check=CHECK, resource=f"{_named(file, root)}:{number}", message=message)
        for file in sorted(files)
        for number, line in enumerate(file.read_text(encoding="utf-8").splitlines(), start=1)
        for message in line_secrets(line)
    )


def _named(file: Path, root: Path) -> str:
    return str(file.relative_to(root)) if file.is_relative_to(root) else file.name


CHECKS = (
    PolicyCheck(
        id=CHECK,
        reason="stacks are stored, compared and reviewed; many people read what they contain",
        look=_literals,
    ),
)
