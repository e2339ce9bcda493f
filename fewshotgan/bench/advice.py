"""Advice before training: how far a few images are from each source, what stands out in them, and what to do.

It rests on distances that are measured here, and on what the ledger has measured of targets at about that distance;
where the ledger has nothing of the kind, the advice says so.
"""

import shlex
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from itertools import pairwise
from statistics import median

from fewshotgan.bench.evidence import Evidence, evidence, nearest, ratio
from fewshotgan.bench.nearness import Nearness, best, rank, shipped_gans
from fewshotgan.bench.oddities import oddities
from fewshotgan.bench.schema import Option
from fewshotgan.files import UserError
from fewshotgan.gans import GAN, load_gan
from fewshotgan.images import Images, resized
from fewshotgan.methods import METHODS, create_method
from fewshotgan.progress import delayed_bar, silenced
from fewshotgan.session import ITERATIONS, adapt
from fewshotgan.train import SNAPSHOT_SAMPLES
from fewshotgan.wording import counted, printable

COMPARABLE = 1.2  # ratio of distances, and of numbers of images, up to which a finding is taken for one of its kind
FALLBACK = "freezed"  # a method for every source that has a discriminator
ALONE = "bsa"  # for a source without, and for very few images
FEW, MANY = 5, 100
VERDICTS = {
    "near": "{gan} is nearer to your images than to most shipped domains.",
    "far": "{gan} is farther from your images than from most shipped domains.",
    "off the scale": "{gan} makes nothing like your images: no shipped domain is so far from it. With hundreds of "
    "images, make a source of your own: `fewshotgan pretrain own`.",
}
LABELS = "Only the methods acgan and cbn_transfer, and `fewshotgan pretrain own --classes`, use their labels."
STEPS = 6  # that are timed


@dataclass(frozen=True)
class Plan:
    """What to run.

    Attributes:
        gan, method, options, iterations: of the run; options that are no defaults.
        measured: whether the ledger has a case of its kind.
        why: which one, or that there is none.
        seconds: an estimate of its training here; None where it was not timed.
    """

    gan: str
    method: str
    options: tuple[tuple[str, Option], ...]
    iterations: int
    measured: bool
    why: str
    seconds: float | None = None


@dataclass(frozen=True)
class Advice:
    """What to know before training.

    Attributes:
        images: folder, zip or domain.
        n: how many images were read.
        note: what was done to them.
        left_out: files that could not be read, with reasons.
        oddities: sentences about duplicates, blank and unlike images.
        sources: how far they are from each source, nearest first.
        enough: a sentence on their number.
        plan: what to run.
    """

    images: str
    n: int
    note: str
    left_out: tuple[str, ...]
    oddities: tuple[str, ...]
    sources: tuple[Nearness, ...]
    enough: str
    plan: Plan

    def __str__(self) -> str:
        """Return the advice as text."""
        plan = self.plan
        rows = [_row(near) for near in self.sources if not near.greys]
        grey = [near.gan for near in self.sources if near.greys]
        rows += (
            [f"  {counted(len(grey), 'source')} of grey images would lose your colours: {', '.join(grey)}"]
            if grey
            else []
        )
        certain = "Measured" if plan.measured else "A guess"
        lasts = "" if plan.seconds is None else f"\nTraining takes about {_time(plan.seconds)} here (an estimate)."
        return "\n".join(
            [
                self.note or f"{counted(self.n, 'image')} of {self.images}, as they are.",
                *self.oddities,
                self.enough,
                "\nHow far your images are from what each source makes (about 20: its own domain):",
                *rows,
                f"\n{VERDICTS[self.chosen.verdict].format(gan=plan.gan)}",
                f"{certain}: {plan.why}{lasts}",
                "\nTry:\n  " + self.command,
            ]
        )

    @property
    def chosen(self) -> Nearness:
        """The source of the plan."""
        return next(near for near in self.sources if near.gan == self.plan.gan)

    @property
    def command(self) -> str:
        """The command that follows the plan."""
        plan = self.plan
        options = "".join(f"--option {name}={value} " for name, value in plan.options)
        return (
            f"fewshotgan adapt --images {_quoted(self.images)} --gan {_quoted(plan.gan)} --method {plan.method} "
            f"{options}--iterations {plan.iterations} --out runs/mine"
        )

    def head(self, gan: str) -> str:
        """Return a few lines for somebody who has chosen a source already: how far it is, whether another is better.

        Args:
            gan: name of the chosen source.
        """
        chosen = next(near for near in self.sources if near.gan == gan)
        first = f"{gan} is {chosen.distance:.0f} away from these images, {chosen.words}."
        grey = [f"{gan} makes grey images; the colours of yours are lost."] if chosen.greys else []
        other = self.chosen
        better = other.gan != gan and (chosen.greys > other.greys or other.distance < chosen.distance)
        hint = [f"Nearer: {other.gan}, {other.distance:.0f} away."] if better else []
        more = "`fewshotgan advise` says more of these images."
        return "\n".join([first, *grey, *hint, *self.oddities, more])

    def as_dict(self) -> dict[str, object]:
        """Return everything as plain values, for JSON."""
        return {**asdict(self), "command": self.command}


def advise(images: Images, gans: Sequence[GAN] | None = None, *, timed: bool = True, progress: bool = True) -> Advice:
    """Say what to expect of adapting a GAN to a few images: half a minute the first time, then a few seconds.

    Args:
        images: in their own colours, as `load_images(folder)` returns them.
        gans: sources to compare beside the shipped ones.
        timed: whether to time a few steps of what is advised.
        progress: show a progress bar after three seconds.

    Raises:
        UserError: if these are no images or GANs.
    """
    if not isinstance(images, Images) or not all(isinstance(gan, GAN) for gan in gans or ()):
        raise UserError("advise takes images and GANs; load them first with load_images(folder) and load_gan(file).")
    # one that was handed over takes the place of a shipped one of its name
    sources = list({gan.name: gan for gan in (*shipped_gans(), *(gans or ()))}.values())
    with silenced(not progress), delayed_bar(None, "advice", len(sources) + 3) as bar:

        def step(name: str) -> None:
            bar.set_postfix_str(name)
            bar.update()

        found = rank(images, sources, step)
        step("the ledger")
        chosen = best(found)
        gan = next(gan for gan in sources if gan.name == chosen.gan)
        known = evidence()
        plan = _plan(gan, chosen.distance, len(images), known)
        step("a few steps")
        plan = _timed(plan, gan, images) if timed else plan
        found_odd = oddities(images) + ([LABELS] if images.labels is not None and images.names else [])
    return Advice(
        images.name,
        len(images),
        images.note,
        images.left_out,
        tuple(found_odd),
        tuple(found),
        _enough(len(images), known),
        plan,
    )


def _plan(gan: GAN, away: float, n: int, known: Sequence[Evidence]) -> Plan:
    """Return what to run with the chosen source."""
    usual = Plan(gan.name, FALLBACK, (), ITERATIONS, False, "")
    if not gan.complete or n < METHODS[FALLBACK].least_images:
        return replace(usual, method=ALONE, why=f"{gan.name} has no discriminator, which {ALONE} does without.")
    case = nearest(known, gan, away, n)
    if case is None:
        return replace(usual, why=f"the ledger has no runs of the present sources; {FALLBACK} is hard to break.")
    as_there = replace(usual, method=case.method, options=case.options, iterations=case.iterations)
    if case.gan == gan.name and max(ratio(case.distance, away), ratio(case.n, n)) <= COMPARABLE:
        return replace(as_there, measured=True, why=f"{case}")
    unlike = (
        f"the ledger has no run like this one ({gan.name}, {counted(n, 'image')}, {away:.0f} away). Nearest: {case}"
    )
    family = load_gan(case.gan).config["family"]
    fits = family == gan.config["family"] and n >= METHODS[case.method].least_images
    return replace(as_there if fits else usual, why=unlike)


def _timed(plan: Plan, gan: GAN, images: Images) -> Plan:
    """Return the plan with the time that its training takes here, from a few steps; without, if these fail."""
    given, times = resized(images, gan.resolution, gan.channels), list[float]()
    try:
        adapt(
            gan,
            given,
            create_method(plan.method, **dict(plan.options)),
            iterations=STEPS,
            snapshot_every=1,
            progress=False,
            viewer=lambda *_: times.append(time.monotonic()),
        )
    except UserError:
        return plan
    start = time.monotonic()
    gan.sample(SNAPSHOT_SAMPLES)
    drawing = time.monotonic() - start
    step = median(later - earlier for earlier, later in pairwise(times))
    return replace(plan, seconds=max(0.0, step - drawing) * plan.iterations)


def _enough(n: int, known: Sequence[Evidence]) -> str:
    """Return a sentence on the number of images."""
    sizes = sorted({case.n for case in known})
    recorded = (
        f"the ledger's runs have {' or '.join(map(str, sizes))}" if sizes else "the ledger has no runs to compare"
    )
    if n < FEW:
        return (
            f"Few: {counted(n, 'image')}; expect copies of them, and try {ALONE}, which is made for that ({recorded})."
        )
    if n < MANY:
        return f"{counted(n, 'image')}: 5 to 100 are the usual range ({recorded})."
    return f"Many: {counted(n, 'image')}; train longer, with --augment ada ({recorded})."


def _row(near: Nearness) -> str:
    poor = "; it has hardly learnt its own domain" if near.poor else ""
    return f"  {near.gan:<24} {near.distance:>3.0f}  {near.makes:<17}  {near.words}{poor}"


def _time(seconds: float) -> str:
    """Return a time as a person says it."""
    for size, unit in ((3600, "hour"), (60, "minute")):
        if seconds >= 1.5 * size:
            return counted(round(seconds / size), unit)
    return counted(max(1, round(seconds)), "second")


def _quoted(text: str) -> str:
    """Return a name as a shell takes it."""
    return shlex.quote(printable(text))
