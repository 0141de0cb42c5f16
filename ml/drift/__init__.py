"""How far two profiles lie apart, and from which distance on that is an alarm."""
