"""Azure Resource Manager and what it gives out: storage, networks, roles, vaults, monitors."""
