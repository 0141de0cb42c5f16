"""Will a flight from New York arrive more than 15 minutes late? Asked two hours before its scheduled departure."""
