"""Labels that come with images: the `dataset.json` of stylegan2-ada, {"labels": [["a/0.png", 3], ...]}."""

import json
from collections.abc import Sequence

LABELS = "dataset.json"
MOST_CLASSES = 10_000


def read_labels(content: bytes, names: Sequence[str]) -> tuple[list[int] | None, str]:
    """Return the label of each image and a sentence about them; None, and the reason, if they can't be used.

    Args:
        content: of the file.
        names: of the images, as the file calls them.
    """
    try:
        given = json.loads(content)
        found = given.get("labels") if isinstance(given, dict) else given
        table = None if found is None else {str(name).replace("\\", "/"): _number(label) for name, label in found}
    except (ValueError, TypeError, RecursionError) as error:
        return None, f"The labels in {LABELS} are not used: {str(error).splitlines()[0][:100]}."
    if table is None:
        return None, ""  # an unconditional dataset has such a file too
    missing = [name for name in names if name.replace("\\", "/") not in table]
    if missing:
        return None, f"The labels in {LABELS} are not used: {len(missing)} of {len(names)} images have none."
    labels = [table[name.replace("\\", "/")] for name in names]
    return labels, f"Labels of {max(table.values()) + 1} classes ({LABELS})."


def _number(label: object) -> int:
    """Return a label as a number; a vector with a single 1 is the place of the 1.

    Raises:
        ValueError: if it is neither.
    """
    if isinstance(label, list) and sorted(label)[:-1] == [0] * (len(label) - 1) and 1 in label:
        label = label.index(1)
    if not isinstance(label, int) or isinstance(label, bool) or not 0 <= label < MOST_CLASSES:
        raise ValueError(f"a label is {str(label)[:40]!r}, not a whole number from 0 to {MOST_CLASSES - 1}")
    return label
