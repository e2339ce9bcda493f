"""Find the generator's and the discriminator's files in a folder, where a trainer writes one for each network, and read
what lies beside a file.
"""

import json
import re
from pathlib import Path
from typing import Any

from fewshotgan.files import UserError
from fewshotgan.gans.official.archives import read
from fewshotgan.gans.official.pickles import Unreadable

ENDINGS = (".pt", ".pth", ".pkl", ".npz", ".tar", ".bin", ".ckpt")
GENERATOR = re.compile(
    r"(G_ema|netG|G|\w*Generator|pytorch_model)(?![a-zA-Z])(.*)"
)  # an average counts before what it is one of
DISCRIMINATOR = re.compile(r"(netD|D|\w*Discriminator)(?![a-zA-Z])(.*)")


def find_pair(folder: Path) -> tuple[Path, Path | None]:
    """Return the files (generator, discriminator) of a folder, or of the folders in it; of several, the pair whose
    names end in the highest number. Without a discriminator, that is None.

    Raises:
        UserError: if there is no generator.
    """
    files = sorted(
        path for path in (*folder.glob("*"), *folder.glob("*/*")) if path.suffix in ENDINGS and "optim" not in path.stem
    )
    generators, discriminators = _named(files, GENERATOR), _named(files, DISCRIMINATOR)
    if not generators:
        raise UserError(
            f"The folder {folder.name[-60:]} has no generator's file, such as netG.pth or G_ema.pth; "
            "give the file itself."
        )
    pairs = generators.keys() & discriminators.keys()
    latest = max(pairs or generators, key=_number)
    return generators[latest], discriminators.get(latest)


def read_described(path: Path) -> Any:
    """Return what a file holds; a `.bin` of Hugging Face's with what its `config.json` says: {"generator", "config"}.

    Raises:
        Unreadable: if either is damaged.
    """
    content, described = read(path), path.with_name("config.json")
    if path.suffix != ".bin" or not described.is_file():
        return content
    try:
        return {"generator": content, "config": json.loads(described.read_text(encoding="utf-8"))}
    except ValueError as error:
        raise Unreadable("the config.json beside it is damaged") from error


def _named(files: list[Path], pattern: re.Pattern[str]) -> dict[str, Path]:
    """Return {what follows the network's name: file}; an average counts before what it is one of."""
    found: dict[str, Path] = {}
    for path in files:
        match = pattern.fullmatch(path.stem)
        if match and (match[2] not in found or match[1].endswith("ema")):
            found[match[2]] = path
    return found


def _number(ending: str) -> tuple[int, str]:
    """Return what sorts endings such as `_1000_steps` by their number."""
    digits = re.findall(r"\d+", ending)
    return (int(digits[-1]) if digits else -1, ending)
