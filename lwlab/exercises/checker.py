"""Check a learner's function: "not yet", the first difference and the likely mistake, or passed.

``check`` never raises on account of the function it is given, so that an untouched or half-done
notebook runs through.
"""

from __future__ import annotations

import inspect
import linecache
import traceback
from collections.abc import Callable
from typing import Any

import torch

from lwlab.checks import check_number, did_you_mean, quoted_list
from lwlab.exercises.compare import described, form_mismatch, mismatch, short_text, value_mismatch
from lwlab.exercises.display import print_outside_notebooks
from lwlab.exercises.result import CheckResult, Difference
from lwlab.exercises.runner import Outcome, run_cases
from lwlab.exercises.task import Case, Task
from lwlab.exercises.tasks import TASKS

__all__ = ["check"]


def check(name: str, function: Callable[..., Any] | None, *, seconds: float = 5.0) -> CheckResult:
    """Compare a function with the reference of an exercise, on small inputs.

    In a notebook, make it the last line of the cell, which shows the result; in a script the
    result is printed.

    Args:
        name: the exercise, such as ``"prune.topk_mask"``.
        function: the learner's function itself, not a call of it. A function that returns None
            or raises ``NotImplementedError`` counts as not written yet.
        seconds: limit for all inputs together; after it the function is stopped.

    Returns:
        ``"not yet"``, ``"wrong"`` or ``"passed"``, with the first difference and, where the answers
        are those of a known wrong solution, what is wrong with it.
    """
    seconds = check_number("seconds", seconds, above=0)
    result = _check_named(name, function, seconds)
    print_outside_notebooks(result)
    return result


def _check_named(name: str, function: Any, seconds: float) -> CheckResult:
    task = TASKS.get(name) if isinstance(name, str) else None
    if task is None:
        message = f"There is no such exercise; there are {quoted_list(TASKS)}."
        return CheckResult(short_text(name), "wrong", message + did_you_mean(name, TASKS))
    if function is None:
        return _not_yet(task)
    if not callable(function):
        message = (
            f"Hand over the function itself, without brackets: check({name!r}, my_function). "
            f"Got {described(function)}."
        )
        return CheckResult(name, "wrong", message)
    unfit = _unfit_signature(task, function)
    if unfit:
        return CheckResult(name, "wrong", unfit)
    return _judge(task, function, run_cases(function, task.cases, seconds), seconds)


def _not_yet(task: Task) -> CheckResult:
    return CheckResult(task.name, "not yet", f"To do: {task.statement}")


def _unfit_signature(task: Task, function: Callable[..., Any]) -> str:
    """Return a sentence if ``function`` cannot be called with the task's arguments."""
    try:
        signature = inspect.signature(function)
    except (TypeError, ValueError):  # built-in functions may have none: let the call decide
        return ""
    try:
        signature.bind(*task.parameters)
    except TypeError:
        wanted = ", ".join(task.parameters)
        return f"The function must take ({wanted}), got {signature}."
    return ""


def _judge(
    task: Task, function: Callable[..., Any], outcomes: list[Outcome], seconds: float
) -> CheckResult:
    if _is_unwritten(outcomes):
        return _not_yet(task)
    for case, outcome in zip(task.cases, outcomes, strict=False):
        message = _problem(task, case, outcome, seconds)
        if message:
            message += _where(function, outcome.error)
            mistake = _likely_mistake(task, outcomes)
            difference = _difference(task, case, outcome)
            return CheckResult(task.name, "wrong", message, mistake, difference)
    count = len(task.cases)
    return CheckResult(task.name, "passed", f"All {count} inputs give the expected answer.")


def _is_unwritten(outcomes: list[Outcome]) -> bool:
    return all(
        isinstance(outcome.error, NotImplementedError) or outcome.did_nothing
        for outcome in outcomes
    )


def _problem(task: Task, case: Case, outcome: Outcome, seconds: float) -> str:
    """Return what is wrong with one outcome in a sentence, or an empty text."""
    if outcome.timed_out:
        return f"It took longer than {seconds:g} s and was stopped. Does a loop never end?"
    if outcome.error is not None:
        text = short_text(outcome.error, 200, show=str).rstrip(".")
        return f"It raised {type(outcome.error).__name__}{': ' if text else ''}{text}."
    if outcome.changed:
        names = " and ".join(task.parameters[position] for position in outcome.changed)
        return f"It changed its argument {names} in place. Return something new instead."
    if outcome.value is None:
        return "It returned None for this input. Is a `return` missing on one path?"
    return _unequal(task, case, task.reference(*case.arguments), outcome.value)


def _unequal(task: Task, case: Case, expected: Any, got: Any) -> str:
    """Return how two answers differ, or an empty text if they are as good as each other."""
    answer = task.reference(*case.arguments)
    unlike = form_mismatch(answer, expected) or form_mismatch(answer, got)
    if task.canonical is None or unlike:
        return mismatch(expected, got)
    one, other = (task.canonical(case.arguments, mask) for mask in (expected, got))
    return "" if torch.equal(one, other) else value_mismatch(expected, got)


def _where(function: Callable[..., Any], error: BaseException | None) -> str:
    """Return the line of the learner's function at which it raised, or an empty text."""
    code = getattr(function, "__code__", None)
    # A lambda's line is the whole statement around it: it would only confuse.
    if error is None or code is None or code.co_name == "<lambda>":
        return ""
    lines = [
        (frame.f_code.co_filename, line)
        for frame, line in traceback.walk_tb(error.__traceback__)
        if frame.f_code is code
    ]
    if not lines:
        return ""
    file, line = lines[-1]
    source = linecache.getline(file, line).strip()
    return f" In line {line - code.co_firstlineno + 1} of the function: {source}" if source else ""


def _difference(task: Task, case: Case, outcome: Outcome) -> Difference:
    return Difference(
        label=case.label,
        arguments=dict(zip(task.parameters, case.arguments, strict=True)),
        expected=task.reference(*case.arguments),
        got=outcome.value,
        has_answer=outcome.error is None and not outcome.timed_out,
    )


def _likely_mistake(task: Task, outcomes: list[Outcome]) -> str:
    """Return the diagnosis of the known wrong solution that gives the same answers, if any."""
    for mistake in task.mistakes:
        known = run_cases(mistake.solution, task.cases, seconds=5.0)
        triples = zip(task.cases, known, outcomes, strict=False)
        if len(known) == len(outcomes) and all(_alike(task, *triple) for triple in triples):
            return mistake.diagnosis
    return ""


def _alike(task: Task, case: Case, known: Outcome, outcome: Outcome) -> bool:
    if known.error is not None or outcome.error is not None:
        return type(known.error) is type(outcome.error)
    if outcome.timed_out or outcome.changed:
        return False
    return not _unequal(task, case, known.value, outcome.value)
