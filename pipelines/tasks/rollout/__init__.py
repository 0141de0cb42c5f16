"""Roll a version out in stages: replay of what was answered, evidence, decision."""
