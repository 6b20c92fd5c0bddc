"""`--workers N`: one supervisor, and N processes that serve at its address."""
