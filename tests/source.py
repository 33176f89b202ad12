"""The source of the package, read by tests."""

import ast
import gc


def parsed(source: str) -> ast.Module:
    """Its tree; Python 3.11's parser raises SystemError where the collector runs finalizers in the midst of it."""
    gc.disable()
    try:
        return ast.parse(source)
    finally:
        gc.enable()
