"""The demonstration: a year of flights in three environments. Nothing outside this folder knows it."""
