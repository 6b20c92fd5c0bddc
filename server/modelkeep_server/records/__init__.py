"""What is known: SQLite, and the one way to change it."""
