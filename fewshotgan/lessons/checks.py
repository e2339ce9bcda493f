"""Checks of the notebooks' exercises: they wait for an answer, print "passed" if it is right and raise if it is not."""

from collections.abc import Callable
from functools import wraps
from typing import ParamSpec

import torch
from torch import Tensor

P = ParamSpec("P")


def exercise(check: Callable[P, None]) -> Callable[P, None]:
    """Decorate a check so that it only runs once all its answers are given, that is, none is `...`.

    Until then it prints its own name: `exercise_1` prints "exercise 1: no answer yet".
    """
    name = check.__name__.replace("_", " ")

    @wraps(check)
    def waiting(*args: P.args, **kwargs: P.kwargs) -> None:
        if any(answer is ... for answer in (*args, *kwargs.values())):
            print(f"{name}: no answer yet")
        else:
            check(*args, **kwargs)

    return waiting


def check_close(name: str, got: Tensor | float, wanted: Tensor | float) -> None:
    """Print that an answer equals the expected value to five digits.

    Raises:
        AssertionError: if it does not; the message gives the error, not the solution.
    """
    x, y = (torch.as_tensor(value).detach().cpu().float() for value in (got, wanted))
    if x.shape != y.shape:
        raise AssertionError(f"{name}: not yet, the answer has shape {tuple(x.shape)}, expected {tuple(y.shape)}")
    if not torch.allclose(x, y, rtol=1e-5, atol=1e-6):
        raise AssertionError(f"{name}: not yet, the result is off by {(x - y).abs().max():.3g}")
    print(f"{name}: passed")


def check_true(name: str, holds: bool) -> None:
    """Print that a condition on an answer holds.

    Raises:
        AssertionError: if it does not.
    """
    if not holds:
        raise AssertionError(f"{name}: not yet")
    print(f"{name}: passed")
