"""The table of fields: complete, with sources, and the page that is written from it."""

from __future__ import annotations

from collections import Counter
from typing import get_args

from preview.facts import DERIVED, MADE, facts_of, fields
from preview.kinds import Kind
from preview.page import PAGE, markdown
from preview.table import JUDGES, ROWS, row_of, table
from settings.load import parse_platform
from settings.workloads import AnyWorkload
from tests.conftest import platform_of


def test_every_field_that_a_user_can_edit_says_once_what_a_change_of_it_does() -> None:
    """A new field of the settings fails here until somebody says it, at the field or in `preview/table`."""
    rows = Counter([row.field for row in ROWS] + [field for field, does in fields().items() if does is not None])
    assert set(fields()) - set(rows) == set(), "no word on what a change of these does"
    assert set(rows) - set(fields()) == {MADE}, "the others are no fields any more"
    assert [field for field, count in rows.items() if count > 1] == []
    assert [row.field for row in table()] == [MADE, *fields()], "the order of the stack file"


def test_a_row_of_its_own_has_a_judge_of_its_own() -> None:
    """What needs no judge, or one that several fields have, stands at the field."""
    assert [row.field for row in ROWS if row.judge is None or row.judge in JUDGES.values()] == []
    assert JUDGES.keys() <= set(fields().values()), "nobody says these any more"


def test_what_several_kinds_of_a_section_have_says_the_same_in_each() -> None:
    kinds = [fields(kind) for kind in get_args(AnyWorkload)]
    differ = {path for one in kinds for other in kinds for path in one.keys() & other if one[path] != other[path]}
    assert differ == set()


def test_every_row_says_where_it_is_from_and_what_would_let_it_through() -> None:
    for row in table():
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
