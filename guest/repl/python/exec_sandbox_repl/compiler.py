"""Turns a program into code objects: its statements, and its last expression apart, whose value is displayed."""

from _ast import Expr, Expression, Module, PyCF_ALLOW_TOP_LEVEL_AWAIT, PyCF_ONLY_AST
from builtins import compile

__builtins__ = __builtins__.copy()

# The compiler flags of __future__, division (0x2_0000) to annotations (0x100_0000), as they stand in co_flags.
FUTURE_MASK = 0x01FE_0000

# Words that begin a statement which is no expression. A line with one of them is left to the parser.
STATEMENT_WORDS = frozenset(
    "assert async break class continue def del elif else except finally for from global if import nonlocal pass raise return try type while with".split()
)

# What may follow a backslash in a string; nothing at all is another backslash, or the end of the line.
ESCAPED = "'\"abfnrtvxuUN01234567"

FIRST_CHARACTERS = frozenset("_\"'([{")


def compile_program(source, filename):
    """([code objects], whether the last one's value is to be displayed). Raises what the compiler raises."""
    return _compile_text(source, filename) or _compile_tree(source, filename)


def _compile_tree(source, filename):
    """The way that always works: the parser says where the last expression begins."""
    tree = compile(source, filename, "exec", PyCF_ONLY_AST | PyCF_ALLOW_TOP_LEVEL_AWAIT, dont_inherit=True)
    last = None
    if tree.body and type(tree.body[-1]) is Expr:
        last = Expression(tree.body.pop().value)
    programs = []
    if tree.body:
        programs.append(_compile(Module(tree.body, tree.type_ignores), filename, "exec", 0))
    if last is not None:
        programs.append(_compile(last, filename, "eval", _future_flags(programs)))
    return programs, last is not None


def _compile_text(source, filename):
    """The same for programs whose last line is an expression, or None when it is not clear that this is one.

    Trees as Python objects are made and read again by code that nothing else uses: a clone of a template
    would pay for it before its first result.

    The line begins at the margin. If what stands before it compiles as a program, no string, bracket or
    block is open there; if the line then compiles as an expression, it is the program's last statement.
    """
    if "\r" in source:
        return None  # The compiler takes it for the end of a line.
    start = source.rstrip().rfind("\n") + 1
    line = source[start:]
    if not _may_be_expression(line):
        return None
    if start > 0 and "__future__" in source:
        return None  # It has effect on the last line too.
    placed = "\n" * source.count("\n", 0, start) + line
    try:
        # The line first: it is the likelier to fail, and a failure must not leave warnings of what stands before it.
        last = _compile(placed, filename, "eval", 0)
        if start == 0:
            return [last], True
        return [_compile(source[:start], filename, "exec", 0), last], True
    except Exception:
        return None  # The tree's compilation tells what is wrong, if anything is.


def _may_be_expression(line):
    """Whether trying is worth while: a failed try costs more than it could save."""
    first = line[:1]
    if ";" in line or not (first.isalnum() or first in FIRST_CHARACTERS):
        return False
    if "\\" in line and not _has_only_escapes(line):
        return False
    before, equals, _ = line.partition("=")
    if equals and "(" not in before:
        return False
    word = line.split(None, 1)[0].rstrip(":")
    return word not in STATEMENT_WORDS


def _has_only_escapes(line):
    """Whether no backslash makes the compiler warn: it would again, when the tree is compiled after a failed try."""
    return all(part[:1] in ESCAPED for part in line.split("\\")[1:])


def _compile(source, filename, mode, flags):
    return compile(source, filename, mode, PyCF_ALLOW_TOP_LEVEL_AWAIT | flags, dont_inherit=True)


def _future_flags(programs):
    """The last expression is compiled apart and follows the `from __future__` of its own program."""
    return programs[0].co_flags & FUTURE_MASK if programs else 0
