"""Quotas as code. Imports start nothing; only `__main__.py` starts the pack."""
