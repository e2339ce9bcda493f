"""Options of methods: dataclass fields, each with what it means and its range beside its default.

From these fields come the checks of values, `fewshotgan methods NAME`, and the reference. The kind is the annotation:
float, int, bool, str, a `Literal` of words, or one of these or None.
"""

import dataclasses
import sys
import types
import typing
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal, TypeVar, cast

from fewshotgan.files import clip, shown

Value = TypeVar("Value")
MOST_WHOLE = 10**9  # of a whole number, such as an interval or a size
KINDS: dict[object, str] = {
    bool: "true or false", int: "a whole number", float: "a finite number", str: "a word", types.NoneType: "none"
}  # fmt: skip


@dataclass(frozen=True)
class Limits:
    """A range of numbers: `low` and `high` belong to it, `above` and `below` do not."""

    low: float | None = None
    high: float | None = None
    above: float | None = None
    below: float | None = None

    def hold(self, number: float) -> bool:
        """Return whether a number lies within."""
        return (
            (self.low is None or number >= self.low)
            and (self.high is None or number <= self.high)
            and (self.above is None or number > self.above)
            and (self.below is None or number < self.below)
        )

    def __str__(self) -> str:
        if self.low is not None and self.high is not None:
            return f" from {self.low:g} to {self.high:g}"
        named = (("of at least", self.low), ("above", self.above), ("of at most", self.high), ("below", self.below))
        parts = [f"{word} {limit:g}" for word, limit in named if limit is not None]
        return f" {' and '.join(parts)}" if parts else ""


@dataclass(frozen=True)
class Option:
    """An option of a method.

    Attributes:
        name: of the field.
        default: of the field; None stands for a value that follows from the source.
        doc: what it means.
        kinds: types that a value may have.
        choices: words that it may be, if it is one of some.
        limits: the range of a number.
    """

    name: str
    default: object
    doc: str
    kinds: tuple[type, ...]
    choices: tuple[str, ...]
    limits: Limits

    def accepts(self, value: object) -> bool:
        """Return whether a value is of a kind, one of the choices, and within the limits.

        A whole number is a number too; true and false are none.
        """
        if isinstance(value, bool) or value is None:
            return type(value) in self.kinds
        if isinstance(value, int | float):
            numeric = float in self.kinds or (int in self.kinds and isinstance(value, int))
            most = MOST_WHOLE if int in self.kinds and float not in self.kinds else sys.float_info.max
            return numeric and abs(value) <= most and self.limits.hold(value)
        return value in self.choices or type(value) in self.kinds

    def convert(self, value: object) -> object:
        """Return an accepted value in one form: 2 is recorded as 2.0 where a number need not be whole."""
        whole = isinstance(value, int) and not isinstance(value, bool) and int not in self.kinds
        return float(cast(int, value)) if whole else value

    def values(self) -> str:
        """Return in words what it may be: "a whole number of at least 1"."""
        words = [KINDS[kind] + (str(self.limits) if kind in (int, float) else "") for kind in self.kinds]
        return " or ".join([*self.choices, *words])

    def refusal(self, value: object) -> str:
        """Return the sentence, but for its beginning, that refuses a value."""
        beyond = f", of at most {MOST_WHOLE:,}" if isinstance(value, int) and value > MOST_WHOLE else ""
        return f"{clip(self.name, 40)}={shown(value)} must be {self.values()}{beyond}."


def option(
    default: Value,
    doc: str,
    *,
    low: float | None = None,
    high: float | None = None,
    above: float | None = None,
    below: float | None = None,
) -> Value:
    """Return the dataclass field of an option; type checkers see its default.

    Args:
        default: the value unless another is given; None stands for one that `Method.settle` takes from the source.
        doc: what it means, as a phrase.
        low, high: least and greatest number.
        above, below: numbers that are just out of range.
    """
    metadata = {"doc": doc, "limits": Limits(low, high, above, below)}
    return dataclasses.field(default=default, metadata=metadata)


def options_of(method: type) -> dict[str, Option]:
    """Return the options of a class of methods by name; fields without `option` have neither words nor limits."""
    hints = typing.get_type_hints(method)
    found = {}
    for field in dataclasses.fields(method):
        parts = list(_parts(hints[field.name]))
        kinds = tuple(part for part in parts if isinstance(part, type))
        choices = tuple(part for part in parts if isinstance(part, str))
        doc, limits = field.metadata.get("doc", ""), field.metadata.get("limits", Limits())
        found[field.name] = Option(field.name, field.default, doc, kinds, choices, limits)
    return found


def _parts(hint: object) -> Iterator[object]:
    """Yield the types of an annotation, and the words of a `Literal` in it."""
    if typing.get_origin(hint) is Literal:
        yield from typing.get_args(hint)
    elif typing.get_args(hint):
        for part in typing.get_args(hint):
            yield from _parts(part)
    else:
        yield hint
