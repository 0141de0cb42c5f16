"""What the whole workspace has: catalog, compute, hardening, secret scopes."""
