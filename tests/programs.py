"""What a traced function is made of: its operations, those of nested functions included."""

import jax


def equations(jaxpr):
    """Every operation of a jaxpr and of those inside it."""
    for equation in getattr(jaxpr, "jaxpr", jaxpr).eqns:
        yield equation
        for leaf in jax.tree.leaves(list(equation.params.values()), is_leaf=_is_jaxpr):
            if _is_jaxpr(leaf):
                yield from equations(leaf)


def floats_of(equation):
    """The names of the types of an operation's floating inputs: a set."""
    dtypes = (variable.aval.dtype for variable in equation.invars)
    return {dtype.name for dtype in dtypes if jax.numpy.issubdtype(dtype, jax.numpy.floating)}


def dtypes_of(jaxpr):
    """The names of all types of arrays in a jaxpr: a set."""
    variables = (v for e in equations(jaxpr) for v in (*e.invars, *e.outvars))
    return {v.aval.dtype.name for v in variables if hasattr(v.aval, "dtype")}


def names_of(jaxpr):
    """The names of all operations in a jaxpr: a set."""
    return {equation.primitive.name for equation in equations(jaxpr)}


def _is_jaxpr(leaf):
    return hasattr(leaf, "eqns") or hasattr(leaf, "jaxpr")
