"""What is remembered: tables, and plain functions that take a connection and `now`."""
