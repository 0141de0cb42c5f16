"""What somebody holds in an environment as it runs, read from the services and compared with what is declared."""
