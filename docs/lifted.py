"""Lifted losses in the API pages as a user meets them: the loss's signature and text, not the rule's."""

import ast
import inspect

import griffe

KINDS = {
    inspect.Parameter.POSITIONAL_OR_KEYWORD: griffe.ParameterKind.positional_or_keyword,
    inspect.Parameter.KEYWORD_ONLY: griffe.ParameterKind.keyword_only,
}


class Lifted(griffe.Extension):
    """Pages are made of the sources; what `over_labels` and `over_pairs` make of a rule is asked for."""

    def on_function(self, *, func, **_):
        lifted = any("over_" in str(decorator.value) for decorator in func.decorators)
        if not lifted or func.docstring is None:  # a rule of the library's own has no docstring
            return
        loss = griffe.dynamic_import(func.path)
        func.docstring.value = inspect.getdoc(loss)
        func.parameters = griffe.Parameters(
            *(
                griffe.Parameter(p.name, kind=KINDS[p.kind], default=shown(p.default))
                for p in inspect.signature(loss).parameters.values()
            )
        )


class Offered(griffe.Extension):
    """A room offers what it imports as itself, `from x import a as a`: griffe takes that for private."""

    def on_alias_instance(self, *, alias, node, **_):
        names = node.names if isinstance(node, ast.ImportFrom) else ()
        if any(given.name == given.asname == alias.name for given in names):
            alias.public = True


def shown(default):
    if default is inspect.Parameter.empty:
        return None
    return getattr(default, "__name__", None) or repr(default)
