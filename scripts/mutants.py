"""A file of Python with one change at a time, see `scripts/mutate_stages.py`."""

import ast
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

TURNED = {
    ast.Lt: ast.GtE, ast.GtE: ast.Lt, ast.Gt: ast.LtE, ast.LtE: ast.Gt, ast.Eq: ast.NotEq, ast.NotEq: ast.Eq,
    ast.In: ast.NotIn, ast.NotIn: ast.In, ast.Is: ast.IsNot, ast.IsNot: ast.Is,
}  # fmt: skip
SWAPPED = {ast.Add: ast.Sub, ast.Sub: ast.Add, ast.Mult: ast.Div, ast.Div: ast.Mult, ast.And: ast.Or, ast.Or: ast.And}
NUMBERS = ("int", "float", "np.ndarray", "torch.Tensor")
# Changes a node, given all of the file.
Change = Callable[[ast.AST, ast.AST], None]


@dataclass(frozen=True, eq=False)
class Mutant:
    """A file with one change.

    Attributes:
        file: from the root of the project.
        number: of the mutant in the file.
        line: of the change.
        change: in words.
        tree: of the changed file.
    """

    file: Path
    number: int
    line: int
    change: str
    tree: ast.Module


def mutants_of(file: Path) -> list[Mutant]:
    """Every mutant of a file, in the order of its lines."""
    source = file.read_text()
    found = []
    for place, node in enumerate(_nodes(ast.parse(source))):
        for number, (words, _) in enumerate(_changes(node)):
            tree = ast.parse(source)
            changed = _nodes(tree)[place]
            list(_changes(changed))[number][1](tree, changed)
            line = node.target.lineno if isinstance(node, ast.comprehension) else node.lineno
            found.append((line, words, ast.fix_missing_locations(tree)))
    found.sort(key=lambda mutant: mutant[0])
    return [Mutant(file, number, *mutant) for number, mutant in enumerate(found)]


def _nodes(tree: ast.AST) -> list[ast.AST]:
    """All that is computed: without annotations, text, and `strict=` of zip, which changes nothing in correct code."""
    found, waiting = [], [tree]
    while waiting:
        node = waiting.pop()
        found.append(node)
        for name, value in ast.iter_fields(node):
            if name not in ("annotation", "returns"):
                parts = [part for part in (value if isinstance(value, list) else [value]) if isinstance(part, ast.AST)]
                waiting += [part for part in parts if not (isinstance(part, ast.keyword) and part.arg == "strict")]
    return found


def _changes(node: ast.AST) -> Iterator[tuple[str, Change]]:
    """(words, change) for each change of one node."""
    if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
        yield f"raise in {node.name}", _raise
        if node.returns is not None and any(part in NUMBERS for part in ast.unparse(node.returns).split(" | ")):
            for number, back in enumerate(_returns(node)):
                yield f"return -({ast.unparse(back.value)})", lambda _, node, number=number: _negate(node, number)
    elif isinstance(node, ast.Compare):
        for number, operator in enumerate(node.ops):
            turned = TURNED[type(operator)]
            words = f"{ast.unparse(node)}: {type(operator).__name__} to {turned.__name__}"
            yield words, lambda _, node, number=number, turned=turned: node.ops.__setitem__(number, turned())
    elif isinstance(node, ast.BinOp | ast.BoolOp | ast.AugAssign) and type(node.op) in SWAPPED:
        swapped = SWAPPED[type(node.op)]
        words = f"{ast.unparse(node)}: {type(node.op).__name__} to {swapped.__name__}"
        yield words, lambda _, node: setattr(node, "op", swapped())
    elif isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.Not | ast.USub):
        words = f"{ast.unparse(node)}: {type(node.op).__name__} dropped"
        yield words, lambda tree, node: _put(tree, node, node.operand)
    elif isinstance(node, ast.Constant) and isinstance(node.value, bool | int | float):
        value = not node.value if isinstance(node.value, bool) else node.value + 1
        yield f"{node.value} to {value}", lambda _, node: setattr(node, "value", value)
    for name in ("test", "ifs"):  # a comparison and a `not` are turned around above
        tests = getattr(node, name, None) or []
        for test in tests if isinstance(tests, list) else [tests]:
            if not isinstance(test, ast.Compare | ast.UnaryOp):
                place = tests.index(test) if isinstance(tests, list) else None
                yield f"if not ({ast.unparse(test)})", lambda tree, node, at=(name, place): _turn(tree, node, *at)
    if _dropped(node):
        yield f"dropped: {ast.unparse(node)}", lambda tree, node: _put(tree, node, ast.Pass())


def _raise(_: ast.AST, node: ast.FunctionDef) -> None:
    text = isinstance(node.body[0], ast.Expr) and isinstance(node.body[0].value, ast.Constant)
    node.body.insert(int(text), ast.parse("raise AssertionError('mutant')").body[0])


def _returns(node: ast.FunctionDef) -> list[ast.Return]:
    backs = [part for part in ast.walk(node) if isinstance(part, ast.Return) and part.value is not None]
    return [back for back in backs if not isinstance(back.value, ast.Constant | ast.UnaryOp)]


def _negate(node: ast.FunctionDef, number: int) -> None:
    back = _returns(node)[number]
    back.value = ast.UnaryOp(ast.USub(), back.value)


def _turn(tree: ast.AST, node: ast.AST, name: str, place: int | None) -> None:
    test = getattr(node, name) if place is None else getattr(node, name)[place]
    _put(tree, test, ast.UnaryOp(ast.Not(), test), within=node)


def _dropped(node: ast.AST) -> bool:
    """Whether a statement writes an attribute, or something that one holds, or is a call for what it does."""
    if isinstance(node, ast.Expr):
        return isinstance(node.value, ast.Call)
    targets = node.targets if isinstance(node, ast.Assign) else [node.target] if isinstance(node, ast.AugAssign) else []
    return any(isinstance(part, ast.Attribute) for target in targets for part in ast.walk(target))


def _put(tree: ast.AST, old: ast.AST, new: ast.AST, within: ast.AST | None = None) -> None:
    """Put a node in place of another."""
    for parent in [within] if within is not None else list(ast.walk(tree)):
        for name, value in ast.iter_fields(parent):
            if value is old:
                setattr(parent, name, new)
                return
            if isinstance(value, list) and any(part is old for part in value):
                value[[part is old for part in value].index(True)] = new
                return
