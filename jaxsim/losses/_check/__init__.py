"""Checks of a user's loss: the tests that the library's own losses pass, with findings in sentences."""

import dataclasses
from collections.abc import Collection, Mapping
from typing import Any

from jaxsim.losses._check._behavior import report_of_loss
from jaxsim.losses._check._inputs import described, inputs_of
from jaxsim.losses._check._report import CHECKS, Finding, Report, raised
from jaxsim.losses._check._rules import (
    LIFTERS,
    findings_of_masks,
    findings_of_rule,
    inner,
    is_rule,
    lifter_of,
    named_rule,
    takes_masks,
)
from jaxsim.numerics import checks
from jaxsim.numerics.types import Array, Loss, Rule


def check(
    loss: Rule | Loss,
    data: str | Mapping[str, Array] | None = None,
    *,
    settings: Mapping[str, Any] | None = None,
    shared: Collection[str] = (),
    skip: Collection[str] = (),
    raises: bool = False,
) -> Report:
    """Checks a loss, or the rule of one: is it finite, masked, the same on devices and in blocks, with the right gradient.

        print(losses.check(my_rule))                                  # lifted by over_labels
        print(losses.check(my_loss, "pairs", settings={"temperature": 0.1}))
        losses.check(my_loss, {"embeddings": x, "labels": y}, raises=True)

    A rule is held to its form first: (values, counts) per anchor, hyperparameters by keyword, masks that
    choose and do not multiply. Then a loss is called on awkward inputs (zero vectors, equal rows, one row,
    no positives, all rows masked), with NaN in masked rows and in others, on one and eight devices of a
    named axis (in vmap, so that any machine will do), in blocks, in another order of its examples, jitted
    and not, and its gradient is compared with finite differences in float64.

    Args:
      loss: a rule (scores, positives, where, *, ...) -> (values, counts), which is lifted; of "scores" one
        as `over_examples(lists=True)` takes; or any loss: a function of arrays that gives a number. What
        it takes of `where`, `axis_name` and `block` is checked.
      data: what it is called on. "labels": embeddings [16, 4] and labels [16]. "pairs": queries and
        documents [16, 4]. "classes": embeddings, labels, and vectors of four classes [4, 4]. "scores":
        scores and labels [16, 4] of lists. Or {argument: array}, first axis the examples. None goes by the
        names of the loss's arguments; a rule is lifted for "labels".
      settings: {name: value}, passed by keyword in every call.
      shared: names of arrays that are not of the examples, such as class vectors; those whose first axis
        has another length than the first array's are taken for such.
      skip: names of checks to leave out: "finite", "padding", "nan", "devices", "blocks", "permutation",
        "slopes" (a loss that holds a part of itself constant has other slopes on purpose) or
        "hyperparameters".
      raises: raise a ValueError of the report where something is wrong.

    Returns: a report: `str(report)` is a sentence per finding, `report.ok`, `report.findings` (check,
    sentence), `report.passed`, and `report.left_out` {check: why it did not run}.
    Raises: ValueError for arguments that cannot be meant; with `raises`, for a loss with a finding.

    Examples:
      >>> from jaxsim import losses
      >>> def nearest(scores, positives, where):
      ...     return scores.max(axis=1)
      >>> print(losses.check(nearest))
      nearest: 1 finding
        wrong: rule: It returns values only: return (values, counts), where counts [rows] says which anchors count, such as positives.any(axis=1).

    Data: labels, pairs, lists, graded pairs, numbers, teacher scores, teacher embeddings.
    Kind: part; memory that of the loss.
    """
    checks.function("loss", loss, "of arrays, or a rule (scores, positives, where, *, ...)")
    settings = dict(settings or {})
    for name in skip:
        checks.one_of("each of skip", name, CHECKS)
    rule, of_rule = loss, is_rule(loss, data)
    data = described(loss, data, of_rule)
    name = getattr(inner(loss), "__name__", type(loss).__name__)
    findings = findings_of_rule(loss, data, settings) if of_rule else []
    if findings:
        report = Report(name, tuple(findings), (), {})
    else:
        if of_rule:
            lifter = LIFTERS[data if isinstance(data, str) else lifter_of(data)]
            loss = lifter(named_rule(loss, name))
        report = report_of_loss(name, loss, inputs_of(loss, data, settings, shared), skip)
        if of_rule and takes_masks(rule, data):
            try:
                of_masks = findings_of_masks(rule, settings)
            except Exception as error:
                of_masks = [Finding("masks", f"On scores and masks {raised(error)}")]
            passed = report.passed if of_masks else ("masks", *report.passed)
            findings = (*of_masks, *report.findings)
            report = dataclasses.replace(report, findings=findings, passed=passed)
    if raises and not report.ok:
        raise ValueError(str(report))
    return report
