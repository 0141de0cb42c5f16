"""What killed processes and earlier releases left behind in an environment: found, shown, repaired."""
