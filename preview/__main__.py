"""Writes docs/changes.md: `python -m preview`."""

from __future__ import annotations

from preview.page import PAGE, markdown

if __name__ == "__main__":
    PAGE.write_text(markdown(), encoding="utf-8")
