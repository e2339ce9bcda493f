"""Which source to adapt to some images: by the measure that told best in the ledger's runs (`bench/foresight.py`)."""

from collections.abc import Sequence
from dataclasses import dataclass

from fewshotgan.bench.foresight import Foresight, foresight
from fewshotgan.bench.nearness import shipped_gans
from fewshotgan.bench.outlook import BY_DEFAULT, MEASURES, Outlook, rank
from fewshotgan.bench.tables.transfer_sources import TABLE
from fewshotgan.files import UserError
from fewshotgan.gans import GAN
from fewshotgan.images import Images
from fewshotgan.progress import delayed_bar
from fewshotgan.wording import counted

DIGITS = {"fd_target": 0, "fd_source": 0, "precision": 3, "critic": 2, "proximity": 1}


@dataclass(frozen=True)
class Choice:
    """What was measured of each source beside some images.

    Attributes:
        images: their name.
        n: how many.
        note: what was done to them.
        sources: the most promising first.
        measure: by which they are ordered.
        evidence: how well it told in the ledger's runs; None if there are none.
    """

    images: str
    n: int
    note: str
    sources: tuple[Outlook, ...]
    measure: str
    evidence: Foresight | None

    @property
    def why(self) -> str:
        """By what the source is recommended, as a sentence."""
        if self.evidence is None:
            return (
                f"By {self.measure} alone: no measure has been tested, as the ledger has too few runs of "
                f"{TABLE.name} (`fewshotgan record {TABLE.name}`)."
            )
        return f"By {self.measure}, the best of {len(MEASURES)} measures: {self.evidence}."

    def __str__(self) -> str:
        """Return the measures of each source as a table, and the recommendation."""
        head = f"{'source':<26}" + "".join(f"{measure:>11}" for measure in MEASURES)
        rows = [
            f"{one.gan:<26}"
            + "".join(f"{_text(measure, value):>11}" for measure, value in one.values.items())
            + ("  (grey)" if one.greys else "")
            for one in self.sources
        ]
        legend = [f"{measure}: {words}" for measure, words in MEASURES.items()]
        grey = ["(grey): your images would lose their colours"] if any(one.greys for one in self.sources) else []
        first = self.note or f"{counted(self.n, 'image')} of {self.images}, as they are."
        said = f"Recommended: {self.sources[0].gan}. {self.why}"
        return "\n".join([first, "", head, *rows, "", *legend, *grey, "", said])


def _text(measure: str, value: float | None) -> str:
    return "-" if value is None else f"{value:.{DIGITS[measure]}f}"


def choose(images: Images, gans: Sequence[GAN] = ()) -> Choice:
    """Measure the shipped sources, and those handed over, beside images: minutes the first time, then seconds.

    Args:
        images: in their own size and colours, as `load_images(folder)` returns them.
        gans: sources to compare beside the shipped ones; one takes the place of a shipped one of its name.

    Raises:
        UserError: if these are no images or GANs, or fewer than four images.
    """
    if not isinstance(images, Images) or not all(isinstance(gan, GAN) for gan in gans):
        raise UserError("choose takes images and GANs; load them first with load_images(folder) and load_gan(file).")
    sources = list({gan.name: gan for gan in (*shipped_gans(), *gans)}.values())
    best = next(iter(foresight()), None)
    measure = best.measure if best else BY_DEFAULT
    with delayed_bar(None, "sources", len(sources)) as bar:

        def step(name: str) -> None:
            bar.set_postfix_str(name)
            bar.update()

        found = rank(images, sources, measure, step)
    return Choice(images.name, len(images), images.note, tuple(found), measure, best)
