"""Writes docs/versions.md: `python -m releases`."""

from __future__ import annotations

from pathlib import Path

from releases import markdown

if __name__ == "__main__":
    page = Path(__file__).resolve().parents[1] / "docs" / "versions.md"
    page.parent.mkdir(exist_ok=True)
    page.write_text(markdown(), encoding="utf-8")
