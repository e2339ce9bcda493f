"""The GANs along a run: a file of each snapshot, in half precision, from which any of them can be taken."""

import re
import shutil
import tempfile
import warnings
import weakref
from pathlib import Path

import torch

from fewshotgan.files import UserError
from fewshotgan.gans.gan import GAN
from fewshotgan.gans.stored import load_gan

NAME = re.compile(r"(\d{6,})\.safetensors")


class Kept:
    """A folder of GANs by iteration; without a name, one that lasts as long as this object.

    A full disk costs these GANs and not the run: they make room for its checkpoint.
    """

    def __init__(self, folder: Path | None = None) -> None:
        self.folder = folder or Path(tempfile.mkdtemp(prefix="fewshotgan-"))
        self.full = False
        if folder is None:
            weakref.finalize(self, shutil.rmtree, self.folder, ignore_errors=True)

    @property
    def iterations(self) -> list[int]:
        """The iterations whose GANs are kept, in order."""
        found = (NAME.fullmatch(path.name) for path in self.folder.glob("*.safetensors"))
        return sorted(int(match[1]) for match in found if match)

    def path(self, iteration: int) -> Path:
        """Where the GAN of an iteration lies."""
        return self.folder / f"{iteration:06d}.safetensors"

    def add(self, iteration: int, gan: GAN) -> None:
        """Keep a GAN on the CPU, refreshed."""
        if self.full:
            return
        try:
            gan.save(self.path(iteration), torch.float16)
        except UserError as error:
            warnings.warn(f"No GANs along the run are kept: {error}", stacklevel=2)
            self.full = True
            self.forget_after(-1)

    def forget_after(self, iteration: int) -> None:
        """Remove what a run that starts or goes on at this iteration has not made."""
        for later in self.iterations:
            if later > iteration:
                self.path(later).unlink()

    def nearest(self, iteration: int) -> int:
        """Return the kept iteration that is nearest to one; the earlier of two.

        Raises:
            UserError: if none is kept.
        """
        if not self.iterations:
            raise UserError("No GAN along this run is kept: it began in another folder, or the disk was full.")
        return min(self.iterations, key=lambda kept: abs(kept - iteration))

    def load(self, iteration: int) -> GAN:
        """Return the GAN of a kept iteration."""
        return load_gan(self.path(iteration))
