"""One typed graph over all stacks: what each resource type means, who acts as, changes or reads what, and what follows."""
