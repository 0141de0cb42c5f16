"""What commands on a deployed environment share."""
