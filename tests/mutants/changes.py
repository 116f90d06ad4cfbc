"""Making mutants: every small change of a file that is tried."""

from __future__ import annotations

import ast
import re
from collections import Counter
from collections.abc import Iterator
from copy import deepcopy
from dataclasses import dataclass
from typing import Final, TypeAlias, TypeVar

from tests.mutants.files import DATA, ROOT

T = TypeVar("T")

_COMPARISONS: Final[dict[type[ast.cmpop], type[ast.cmpop]]] = {
    ast.Lt: ast.LtE,
    ast.LtE: ast.Lt,
    ast.Gt: ast.GtE,
    ast.GtE: ast.Gt,
    ast.Eq: ast.NotEq,
    ast.NotEq: ast.Eq,
    ast.In: ast.NotIn,
    ast.NotIn: ast.In,
    ast.Is: ast.IsNot,
    ast.IsNot: ast.Is,
}


_OPERATORS: Final[dict[type[ast.operator], type[ast.operator]]] = {
    ast.Add: ast.Sub,
    ast.Sub: ast.Add,
    ast.Mult: ast.FloorDiv,
    ast.Div: ast.Mult,
    ast.FloorDiv: ast.Mult,
    ast.Mod: ast.Mult,
    ast.BitOr: ast.BitAnd,
    ast.BitAnd: ast.BitOr,
}


_KEY: Final = re.compile(r"[A-Za-z][A-Za-z0-9_.:/-]*")
"""Texts that name something: a property, a label, a token. Wording has spaces."""


_DECLARING: Final = ("components/", "kube/")
"""Rooms whose files say what is made and asked for: there, parts are left out, too."""


_RULE: Final = "_rule"
"""The decorator that makes a rule of the policies. Its arguments say what the rule judges, and when."""
_NAMED: Final = 2
"""Its first arguments: a rule's name and its sentence."""


_Path: TypeAlias = tuple[tuple[str, int | None], ...]
"""The way from a module's root to a node: fields, and positions in those that are lists."""


@dataclass(frozen=True, kw_only=True)
class Mutant:
    """One change of one file. `name` says which, and stays the same when lines move."""

    file: str
    name: str
    line: int
    change: str
    path: _Path
    replacement: ast.AST

    def tree(self) -> ast.Module:
        """The file with the change."""
        tree = ast.parse((ROOT / self.file).read_text(encoding="utf-8"))
        _put(tree, self.path, self.replacement)
        return ast.fix_missing_locations(tree)

    @property
    def entry(self) -> str:
        """How it is written in the list of equivalent ones."""
        return f"{self.name} {self.change}"


def mutants(file: str) -> list[Mutant]:
    """Return every mutant of a file."""
    tree = ast.parse((ROOT / file).read_text(encoding="utf-8"))
    declaring = file.startswith(_DECLARING)
    seen: Counter[str] = Counter()
    found = []
    for path, scope in _sites(tree):
        if scope == "module" and file in DATA:
            continue
        node = _at(tree, path)
        of_a_spec = declaring or any(field == "decorator_list" for field, _ in path)
        for replacement, change in _changes(node) if not of_a_spec else _of_a_spec(node, path[-1][0]):
            key = f"{file}::{scope} {change}"
            seen[key] += 1
            found.append(
                Mutant(
                    file=file,
                    name=f"{file}::{scope}#{seen[key]}",
                    line=getattr(node, "lineno", 0),
                    change=change,
                    path=path,
                    replacement=replacement,
                )
            )
    return found


def _sites(tree: ast.Module) -> Iterator[tuple[_Path, str]]:
    """Yield every node that may be changed. Annotations, docstrings and the last `if __name__` may not, nor may
    decorators, except a rule's.
    """

    def walk(node: ast.AST, path: _Path, scope: str) -> Iterator[tuple[_Path, str]]:
        if path:
            yield path, scope or "module"
        if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)):
            scope = f"{scope}.{node.name}".lstrip(".")
        if isinstance(node, ast.JoinedStr):
            return
        for name, value in ast.iter_fields(node):
            if name in ("annotation", "returns", "bases", "keywords_of_class"):
                continue
            if isinstance(value, list):
                for index, item in enumerate(value):
                    if name == "decorator_list" and not _is_rule(item):
                        continue
                    if isinstance(item, ast.AST) and not _is_wording(item):
                        yield from walk(item, (*path, (name, index)), scope)
            elif isinstance(value, ast.AST):
                yield from walk(value, (*path, (name, None)), scope)

    yield from walk(tree, (), "")


def _is_rule(node: ast.AST) -> bool:
    return isinstance(node, ast.Call) and ast.unparse(node.func) == _RULE


def _is_wording(node: ast.AST) -> bool:
    if isinstance(node, (ast.Import, ast.ImportFrom)):
        return True
    if isinstance(node, ast.If) and any(name in ast.unparse(node.test) for name in ("__name__", "TYPE_CHECKING")):
        return True
    if isinstance(node, ast.AnnAssign) and ast.unparse(node.annotation) == "TypeAlias":
        return True
    if isinstance(node, ast.Assign) and ast.unparse(node.targets[0]) == "__all__":
        return True  # the type checker's
    if isinstance(node, ast.Assign) and ast.unparse(node.value).startswith("TypeVar("):
        return True  # likewise
    return isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant)


def _at(tree: ast.AST, path: _Path) -> ast.AST:
    node = tree
    for name, index in path:
        value = getattr(node, name)
        node = value if index is None else value[index]
    return node


def _put(tree: ast.AST, path: _Path, replacement: ast.AST) -> None:
    *way, (name, index) = path
    parent = _at(tree, tuple(way))
    if index is None:
        setattr(parent, name, replacement)
    else:
        getattr(parent, name)[index] = replacement


def _changes(node: ast.AST) -> Iterator[tuple[ast.AST, str]]:
    if isinstance(node, ast.Compare):
        for position, operator in enumerate(node.ops):
            other = _COMPARISONS[type(operator)]()
            ops = [*node.ops[:position], other, *node.ops[position + 1 :]]
            yield _said(node, ast.Compare(left=node.left, ops=ops, comparators=node.comparators))
    elif isinstance(node, ast.BoolOp):
        other_op: ast.boolop = ast.Or() if isinstance(node.op, ast.And) else ast.And()
        yield _said(node, ast.BoolOp(op=other_op, values=node.values))
    elif isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.Not):
        yield _said(node, node.operand)
    elif isinstance(node, ast.BinOp) and type(node.op) in _OPERATORS:
        yield _said(node, ast.BinOp(left=node.left, op=_OPERATORS[type(node.op)](), right=node.right))
    elif isinstance(node, (ast.If, ast.IfExp)) and not isinstance(node.test, (ast.Compare, ast.UnaryOp, ast.BoolOp)):
        copy = deepcopy(node)
        copy.test = ast.UnaryOp(op=ast.Not(), operand=copy.test)
        yield copy, f"if {ast.unparse(node.test)} -> if not"
    elif isinstance(node, (ast.Continue, ast.Break)) or (isinstance(node, ast.Return) and node.value is None):
        yield ast.Pass(), f"{ast.unparse(node)} -> pass"
    elif isinstance(node, ast.Expr) and isinstance(node.value, (ast.Yield, ast.YieldFrom)):
        yield ast.Expr(ast.IfExp(ast.Constant(False), node.value, ast.Constant(None))), f"no {_short(node)}"
    elif isinstance(node, ast.Constant):
        yield from _constants(node)


def _of_a_spec(node: ast.AST, field: str) -> Iterator[tuple[ast.AST, str]]:
    if field not in ("keys", "elts") or not isinstance(node, ast.Constant) or not isinstance(node.value, str):
        yield from _changes(node)  # else it is left out already, where it stands
    yield from _dropped(node)


def _dropped(node: ast.AST) -> Iterator[tuple[ast.AST, str]]:
    """Yield the node without one of its parts: a field of a spec, an option, an element of a list."""
    if isinstance(node, ast.Dict):
        for index, (key, value) in enumerate(zip(node.keys, node.values, strict=True)):
            fewer = ast.Dict(keys=_without(node.keys, index), values=_without(node.values, index))
            yield fewer, f"no {_short(key) if key else f'**{_short(value)}'}"
    elif isinstance(node, ast.Call):
        for index, keyword in enumerate(node.keywords):
            left = ast.Call(func=node.func, args=node.args, keywords=_without(node.keywords, index))
            yield left, f"{_short(node.func)} without {keyword.arg or _short(keyword.value)}"
        for index in range(_NAMED, len(node.args) if _is_rule(node) else 0):
            left = ast.Call(func=node.func, args=_without(node.args, index), keywords=node.keywords)
            yield left, f"{_RULE} without {_short(node.args[index])}"
    elif isinstance(node, (ast.List, ast.Tuple)) and isinstance(node.ctx, ast.Load):
        for index, element in enumerate(node.elts):
            yield type(node)(elts=_without(node.elts, index), ctx=ast.Load()), f"no element {_short(element)}"


def _without(items: list[T], index: int) -> list[T]:
    return [*items[:index], *items[index + 1 :]]


def _constants(node: ast.Constant) -> Iterator[tuple[ast.AST, str]]:
    if isinstance(node.value, bool):
        yield _said(node, ast.Constant(not node.value))
    elif isinstance(node.value, int):
        yield _said(node, ast.Constant(node.value + 1))
    elif isinstance(node.value, str) and _KEY.fullmatch(node.value):
        yield _said(node, ast.Constant(f"{node.value}X"))


def _said(old: ast.AST, new: ast.AST) -> tuple[ast.AST, str]:
    return new, f"{_short(old)} -> {_short(new)}"


def _short(node: ast.AST) -> str:
    text = " ".join(ast.unparse(ast.fix_missing_locations(deepcopy(node))).split())
    return text if len(text) <= 70 else f"{text[:67]}..."
