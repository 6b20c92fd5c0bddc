"""What the Makefile runs that no library does."""
