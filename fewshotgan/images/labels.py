"""Labels that come with images: the `dataset.json` of stylegan2-ada, {"labels": [["a/0.png", 3], ...]}, or a folder for
each class.
"""

import json
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import torch
from torch import Tensor

from fewshotgan.files import UserError
from fewshotgan.images.images import Images
from fewshotgan.wording import printable

LABELS = "dataset.json"
MOST_CLASSES = 10_000


def read_labels(content: bytes, names: Sequence[str]) -> tuple[list[int] | None, str]:
    """Return the label of each image and a sentence about them; None, and the reason, if they can't be used.

    Args:
        content: of the file.
        names: of the images, as the file calls them.
    """
    try:
        found = _pairs(content)
        if found is None:
            return None, ""  # an unconditional dataset has such a file too
        table = {name.replace("\\", "/"): _number(label) for name, label in found}
        missing = [name for name in names if name.replace("\\", "/") not in table]
        if missing:
            raise ValueError(f"{len(missing)} of {len(names)} images have none")
    except ValueError as error:
        return None, f"The labels in {LABELS} are not used: {error}."
    labels = [table[name.replace("\\", "/")] for name in names]
    return labels, f"Labels of {counted_classes(max(table.values()) + 1)} ({LABELS})."


def counted_classes(number: int) -> str:
    """Return "1 class", "2 classes"."""
    return f"{number} class" if number == 1 else f"{number} classes"


def with_folders_as_classes(images: Images) -> Images:
    """Return images with labels: their own, or else a class for each folder that they lie in.

    Raises:
        UserError: if some lie in none, or all in one.
    """
    if images.labels is not None:
        return images
    parts = [Path(name).parts for name in images.names]
    folders = sorted({part[0] for part in parts})
    if len(folders) < 2 or any(len(part) < 2 for part in parts):
        raise UserError(f"{images.name} has no labels; give it a dataset.json, or a folder for each class.")
    return replace(images, labels=torch.tensor([folders.index(part[0]) for part in parts]), classes=len(folders))


def labels_to_learn(images: Images, method: str) -> Tensor:
    """Return the labels (N,) of images for a method that learns their classes; folders count as classes.

    Raises:
        UserError: if there are none, fewer than two classes, or a class of fewer than two images.
    """
    labelled = with_folders_as_classes(images)
    assert labelled.labels is not None
    if labelled.classes < 2:
        raise UserError(f"{method} learns several classes, and all these images are of one; use transfergan for them.")
    for number, count in enumerate(torch.bincount(labelled.labels, minlength=labelled.classes).tolist()):
        if count < 2:
            found = "no images" if count == 0 else "1 image"
            raise UserError(
                f"Class {number} of {labelled.classes} has {found}; {method} needs at least 2 of each: add some, or "
                "leave the class out and number the others from 0."
            )
    return labelled.labels


def _pairs(content: bytes) -> list[tuple[str, object]] | None:
    """Return the names and labels of a file; None if it says that there are none.

    Raises:
        ValueError: if it is not of this form.
    """
    try:
        given = json.loads(content)
    except (ValueError, RecursionError) as error:
        raise ValueError("the file is no JSON") from error
    found = given.get("labels") if isinstance(given, dict) else given
    if isinstance(given, dict) and found is None and "labels" in given:
        return None
    if not isinstance(found, list) or not all(
        isinstance(pair, list) and len(pair) == 2 and isinstance(pair[0], str) for pair in found
    ):
        raise ValueError('the file is not of the form {"labels": [["a.png", 0], ...]}')
    return [(name, label) for name, label in found]


def _number(label: object) -> int:
    """Return a label as a number; a vector with a single 1 is the place of the 1.

    Raises:
        ValueError: if it is neither.
    """
    if isinstance(label, list) and sorted(label)[:-1] == [0] * (len(label) - 1) and 1 in label:
        label = label.index(1)
    if not isinstance(label, int) or isinstance(label, bool) or not 0 <= label < MOST_CLASSES:
        raise ValueError(
            f"a label is {printable(json.dumps(label)[:40])}, not a whole number from 0 to {MOST_CLASSES - 1}"
        )
    return label
