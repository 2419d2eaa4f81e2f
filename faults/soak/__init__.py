"""A long run, and what it leaves behind."""
