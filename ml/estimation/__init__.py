"""How well a model probably does on rows whose labels have not arrived."""
