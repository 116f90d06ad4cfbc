"""The table of fields: complete, with sources, and the page that is written from it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator

from preview.facts import DERIVED, MADE, facts_of, shape
from preview.kinds import Kind
from preview.page import PAGE, markdown
from preview.table import TABLE, row_of
from settings.load import parse_platform
from settings.models import Platform
from settings.types import Section
from tests.conftest import platform_of


def field_paths(section: type[Section] = Platform) -> Iterator[str]:
    """The path of every field that a user can edit, like `teams.*.vcluster.backingStore`; `*` is any name."""
    for alias, sections, by_name in shape(section):
        below = dict.fromkeys(path for one in sections or by_name for path in field_paths(one))
        yield from (f"{alias}.{path}" if sections else f"{alias}.*.{path}" for path in below)
        if not below:
            yield alias


def test_every_field_that_a_user_can_edit_has_one_row() -> None:
    """A new field of the settings fails here until somebody says what a change of it does."""
    rows = Counter(row.field for row in TABLE)
    assert set(field_paths()) - set(rows) == set(), "no word on what a change of these does"
    assert set(rows) - set(field_paths()) == {MADE}, "the others are no fields any more"
    assert [field for field, count in rows.items() if count > 1] == []


def test_every_row_says_where_it_is_from_and_what_would_let_it_through() -> None:
    for row in TABLE:
        assert row.source, row.field
        assert row.means, row.field
        assert (row.allow is not None) == row.kind.refused, f"{row.field}: a loss has an override, and nothing else has"


def test_every_fact_of_the_shipped_stack_files_is_found_in_the_table() -> None:
    for stack in ("lab", "dev", "prod", "versions"):
        facts = facts_of(parse_platform(platform_of(stack), stack))
        paths = [*facts.stack, *(f"pools.{n}.{path}" for n, known in facts.pools.items() for path in known)]
        paths += [f"teams.{n}.{path}" for n, known in facts.tenants.items() for path in known]
        derived = {f"teams.{name}.{key}" for name in facts.tenants for key in DERIVED}
        assert [path for path in paths if path not in derived and row_of(path) is None] == []


def test_a_name_with_any_letters_is_a_name() -> None:
    assert row_of("teams.a-b.queues.x-y.gpu.limit") is row_of("teams.z.queues.q.gpu.limit") is not None
    assert row_of("teams.ml.nothing") is None
    assert row_of("teams.ml") is None


def test_the_kinds_that_are_refused_are_losing_and_unknown() -> None:
    assert [kind for kind in Kind if kind.refused] == [Kind.LOSING, Kind.UNKNOWN]


def test_the_page_is_what_the_table_says() -> None:
    assert PAGE.read_text(encoding="utf-8") == markdown(), "run: python -m preview"
