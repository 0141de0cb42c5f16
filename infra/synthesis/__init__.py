"""Stacks as plain values, and the one module that renders them with cdktf."""
