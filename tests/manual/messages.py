"""What the code can say, read from its source: texts with ``…`` where something is filled in."""

import ast
from collections.abc import Collection, Iterator, Sequence
from functools import cache
from itertools import product
from pathlib import Path

import playsmart_gateway

PACKAGE = Path(playsmart_gateway.__file__).parent
HOLE = "…"
_MOST = 200

_Function = ast.FunctionDef | ast.AsyncFunctionDef


def said(places: Collection[str], names: Collection[str], argument: int = 0) -> set[str]:
    """The texts that calls of functions, classes and methods of these names are given there."""
    found = set()
    for file in files(places):
        for node in nodes(file):
            if isinstance(node, ast.Call) and _name(node.func) in names:
                for given in node.args[argument : argument + 1]:
                    found |= texts(file, given)
    return _with_words(found)


def told(places: Collection[str], names: Collection[str] = ()) -> set[str]:
    """The texts that functions there return or yield, those of these names or all; the last one
    of a tuple."""
    found = set()
    for file in files(places):
        for node in nodes(file):
            if isinstance(node, ast.Return | ast.Yield) and node.value is not None:
                within = _function_of(file, node)
                if names and (within is None or within.name not in names):
                    continue
                value = node.value
                if isinstance(value, ast.Tuple) and value.elts:
                    value = value.elts[-1]
                found |= texts(file, value)
    return _with_words(found)


def values(place: str, name: str) -> set[str]:
    """The texts in what is assigned to a name of a module."""
    (file,) = files([place])
    return _with_words({text for each in _assigned(tree(file), name) for text in texts(file, each)})


def files(places: Collection[str]) -> Iterator[Path]:
    """The modules at these places in the package, but for the examples of the OpenAPI document."""
    for place in places:
        path = PACKAGE / place
        assert path.exists(), place
        found = sorted(path.rglob("*.py")) if path.is_dir() else [path]
        yield from (file for file in found if not file.name.startswith("openapi"))


@cache
def tree(file: Path) -> ast.Module:
    return ast.parse(file.read_text("utf-8"))


@cache
def nodes(file: Path) -> Sequence[ast.AST]:
    """All of a module: most are asked for a dozen times, and to walk takes longer than to read."""
    return list(ast.walk(tree(file)))


def texts(file: Path, node: ast.expr, seen: tuple[str, ...] = ()) -> set[str]:
    """Every text that an expression can be; names stand for what is assigned to them there."""
    match node:
        case ast.Constant(value=str(text)):
            return {text}
        case ast.JoinedStr(values=parts):
            return _joined([texts(file, each, seen) for each in parts])
        case ast.BinOp(left=left, op=ast.Add(), right=ast.List() | ast.ListComp() as right):
            return texts(file, left, seen) | texts(file, right, seen)
        case ast.BinOp(left=left, op=ast.Add(), right=right):
            return _joined([texts(file, left, seen), texts(file, right, seen)])
        case ast.FormattedValue(value=value):
            return texts(file, value, seen)
        case ast.IfExp(body=body, orelse=orelse):
            return texts(file, body, seen) | texts(file, orelse, seen)
        case ast.List(elts=parts) | ast.Tuple(elts=parts) | ast.Dict(values=parts):
            return {text for each in parts for text in texts(file, each, seen)}
        case ast.ListComp(elt=part) | ast.GeneratorExp(elt=part) | ast.Starred(value=part):
            return texts(file, part, seen)
        case ast.Subscript(value=ast.Name() as name):
            return texts(file, name, seen)
        case ast.Name(id=name) if name not in seen:
            within = _function_of(file, node)
            given = [] if within is None else list(_assigned(within, name))
            if not given:
                file = _home_of(file, name)
                given = list(_assigned(tree(file), name, only_outside=True))
            return {text for each in given for text in texts(file, each, (*seen, name))} or {HOLE}
    return {HOLE}


def _joined(parts: list[set[str]]) -> set[str]:
    found = {"".join(each) for each in product(*parts)}
    assert len(found) < _MOST
    return found


def _with_words(found: set[str]) -> set[str]:
    return {text for text in found if any(map(str.isalpha, text))}


def _name(node: ast.expr) -> str:
    match node:
        case ast.Name(id=name) | ast.Attribute(attr=name):
            return name
    return ""


@cache
def _functions(file: Path) -> list[_Function]:
    found = [each for each in nodes(file) if isinstance(each, _Function)]
    return sorted(found, key=lambda each: each.lineno)


def _function_of(file: Path, node: ast.expr | ast.stmt) -> _Function | None:
    """The innermost function that a node is in."""
    around = [
        each for each in _functions(file) if each.lineno <= node.lineno <= (each.end_lineno or 0)
    ]
    return around[-1] if around else None


def _home_of(file: Path, name: str) -> Path:
    """The module of ours that a name is imported from; this one, if it is from no other."""
    for node in tree(file).body:
        if isinstance(node, ast.ImportFrom) and name in {each.name for each in node.names}:
            package, *parts = (node.module or "").split(".")
            if package == PACKAGE.name:
                path = PACKAGE.joinpath(*parts)
                return path / "__init__.py" if path.is_dir() else path.with_suffix(".py")
    return file


def _assigned(within: ast.AST, name: str, *, only_outside: bool = False) -> Iterator[ast.expr]:
    for node in _walk(within) if only_outside else ast.walk(within):
        match node:
            case ast.Assign(targets=[ast.Tuple(elts=names)], value=ast.Tuple(elts=given)):
                for each, value in zip(names, given, strict=True):
                    if isinstance(each, ast.Name) and each.id == name:
                        yield value
            case ast.Assign(targets=targets, value=value):
                if any(isinstance(each, ast.Name) and each.id == name for each in targets):
                    yield value
            case (
                ast.AnnAssign(target=ast.Name(id=target), value=ast.expr() as value)
                | ast.AugAssign(target=ast.Name(id=target), value=value)
                | ast.NamedExpr(target=ast.Name(id=target), value=value)
            ) if target == name:
                yield value


def _walk(node: ast.AST) -> Iterator[ast.AST]:
    """All but what is in functions."""
    for each in ast.iter_child_nodes(node):
        if not isinstance(each, _Function):
            yield each
            yield from _walk(each)
