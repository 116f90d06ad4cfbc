"""Quotas as code. Importing anything here starts nothing; only `__main__.py` starts the pack."""
