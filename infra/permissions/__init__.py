"""Who may do what: access levels become grants and permissions."""
