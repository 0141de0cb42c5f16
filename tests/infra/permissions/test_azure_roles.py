"""An environment's identity may assign the roles that its stacks assign: those two lists are one."""

from collections.abc import Mapping

from infra.config.loading import Settings
from infra.permissions.azure_roles import ASSIGNED_TO, assigned_roles
from infra.synthesis.stack import Stack


def test_the_roles_that_may_be_assigned_are_those_of_the_stacks(
    estate: Mapping[str, Stack], settings: Settings
) -> None:
    """A role that a stack gains is refused by Azure until it is in the table; one that it loses is not left there."""
    for environment, stated in settings.environments.items():
        assigned = [
            resource.arguments
            for name, stack in estate.items()
            if name.startswith(f"{environment}-")
            for resource in stack.resources.values()
            if resource.type == "azurerm_role_assignment"
        ]
        assert {role["role_definition_name"] for role in assigned} == set(
            assigned_roles(customer_managed_keys=stated.customer_managed_keys)
        )
        assert {role["principal_type"] for role in assigned} == {ASSIGNED_TO}
