"""Checks of the notebooks' exercises: they wait for an answer, say "passed" if it is right, and raise if it is
wrong.
"""

from collections.abc import Callable
from functools import wraps
from typing import ParamSpec

import torch
from torch import Tensor

P = ParamSpec("P")


def exercise(check: Callable[P, None]) -> Callable[P, None]:
    """Return a check that waits for its answers: while one of them is `...`, it says so and checks nothing.

    It goes by the function's name: `exercise_1` says "exercise 1: no answer yet".
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
    """Print that an answer equals what is wanted, to five digits.

    Raises:
        AssertionError: if it does not; the text says by how much, not what is wanted.
    """
    x, y = (torch.as_tensor(value).detach().cpu().float() for value in (got, wanted))
    if x.shape != y.shape:
        raise AssertionError(f"{name}: not yet, the answer has the shape {tuple(x.shape)}, wanted is {tuple(y.shape)}")
    if not torch.allclose(x, y, rtol=1e-5, atol=1e-6):
        raise AssertionError(f"{name}: not yet, the result is off by {(x - y).abs().max():.3g}")
    print(f"{name}: passed")


def check_true(name: str, holds: bool) -> None:
    """Print that a statement about an answer holds.

    Raises:
        AssertionError: if it does not.
    """
    if not holds:
        raise AssertionError(f"{name}: not yet")
    print(f"{name}: passed")
