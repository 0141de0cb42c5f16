"""An environment's identity may assign the roles that its stacks assign, to service principals, and no other."""

from collections.abc import Mapping

import pytest

from infra.permissions.azure_roles import ASSIGNED_TO, DEFINITIONS, only_assigning
from infra.synthesis.stack import Stack
from ml.spec.errors import DeclarationError


def test_every_role_that_a_stack_assigns_is_known_and_given_to_a_service_principal(
    estate_with_telemetry: Mapping[str, Stack],
) -> None:
    """A role that a stack gains is refused by Azure until the condition names it."""
    assigned = [
        resource.arguments
        for stack in estate_with_telemetry.values()
        for resource in stack.resources.values()
        if resource.type == "azurerm_role_assignment"
    ]
    assert {role["role_definition_name"] for role in assigned} == set(DEFINITIONS)
    assert {role["principal_type"] for role in assigned} == {ASSIGNED_TO}


def test_a_role_without_an_id_is_refused() -> None:
    """No condition can name it."""
    with pytest.raises(DeclarationError, match="role 'Owner': its id is not known"):
        only_assigning(["Owner"])
    assert only_assigning([]) == ""
