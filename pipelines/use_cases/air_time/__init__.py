"""How many minutes will a flight from New York be in the air? Asked two hours before its scheduled departure."""
