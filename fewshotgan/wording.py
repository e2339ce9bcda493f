"""How messages word what they hold: counts, and names of files that may hold anything."""

JOINER = "\u200d"  # invisible inside an emoji of several parts


def printable(text: str) -> str:
    r"""Return a text whose control characters are spelt out (ESC as \x1b), so that no name commands the terminal."""
    return "".join(c if c.isprintable() or c in JOINER else c.encode("unicode_escape").decode() for c in text)


def counted(number: int, noun: str) -> str:
    """Return "1 image", "2 images", "1,000 images"."""
    return f"{number:,} {noun}" if number == 1 else f"{number:,} {noun}s"


def listed(names: list[str], most: int = 10) -> str:
    """Return the first names, safe to print, and how many more there are."""
    more = f" and {len(names) - most} more" if len(names) > most else ""
    return ", ".join(printable(name) for name in names[:most]) + more
