"""The contract between a method and the training loop.

A method says what its paper says: which networks there are, which parameters train in which stage, which terms each
player minimises and in what order. The loop (`fewshotgan.train`) does the rest and knows no method. The contract
carries

- stages, as a Python generator: the code between two `yield`s runs when the first stage has been trained (choose
  filters by their Fisher information, unfreeze an adapter);
- any players in any order: none for the discriminator (a reconstruction method), several generators, extra heads,
  miners;
- lazy penalties, each with its own interval and optimiser step;
- `after_step`, where masked weights are restored, whatever the optimiser did;
- anchors and other quantities that players share within an iteration, through `Stage.before`.
"""

import dataclasses
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any, ClassVar, Protocol

import torch
from torch import Tensor, nn

from fewshotgan.gans.gan import GAN

Terms = dict[str, Tensor]
"""Named scalar terms of a loss, each with its weight already applied; a player minimises their sum."""


class Augment(Protocol):
    """What a method may do to real and generated images alike before the discriminator sees them."""

    def __call__(self, x: Tensor, generator: torch.Generator | None = None) -> Tensor:
        """Return (N, C, H, W) augmented."""

    def update(self, real_logits: Tensor) -> None:
        """Learn from the discriminator's logits (N, 1) of real images."""

    def state_dict(self) -> dict[str, Any]:
        """Return what a resumption needs."""

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Take up a saved state."""


@dataclass
class Task:
    """What a method is given: a source, a few images, a batch size and a source of randomness.

    Attributes:
        source: the pretrained GAN, never changed, without gradients, in evaluation mode.
        images: the few images, uint8 (N, C, H, W), on the device.
        batch: images per step.
        rng: the only source of randomness, on the device.
        augment: applied to what the discriminator sees.
        seed: of the run, for fresh weights.
        labels: int64 (N,), one for each image, where a class-conditional source is trained.
    """

    source: GAN
    images: Tensor
    batch: int
    rng: torch.Generator
    augment: Augment
    seed: int
    labels: Tensor | None = None

    def real(self) -> Tensor:
        """Return a batch of the images, (batch, C, H, W), float32, -1..1: without repeats where there are enough, of
        at most 4,096.
        """
        return self.pick(self.draw())

    def draw(self) -> Tensor:
        """Return the numbers of a batch of images, (batch,)."""
        n = len(self.images)
        draw = torch.randint(n, (self.batch,), generator=self.rng, device=self.images.device)
        if n <= 4096 and n >= self.batch:  # a permutation of a large pool costs more than a rare repeat
            draw = torch.randperm(n, generator=self.rng, device=self.images.device)[: self.batch]
        return draw

    def pick(self, numbers: Tensor) -> Tensor:
        """Return the images of these numbers as `real` does."""
        return (self.images[numbers].float() / 127.5 - 1).contiguous(memory_format=torch.channels_last)

    def latents(self, n: int | None = None) -> Tensor:
        """Return latents (n, z_dim), standard normal; n is the batch size unless given."""
        shape = (n or self.batch, self.source.z_dim)
        return torch.randn(shape, generator=self.rng, device=self.images.device)

    def augmented(self, x: Tensor) -> Tensor:
        """Return images (N, C, H, W) as the discriminator is to see them."""
        return self.augment(x, self.rng)


class KeptRows:
    """Rows of parameters that no step may change, whatever the optimiser does (one with momentum moves what has no
    gradient).
    """

    def __init__(self) -> None:
        # parameter, numbers of its rows (k,), their values (k, ...)
        self.kept: list[tuple[nn.Parameter, Tensor, Tensor]] = []

    def __iter__(self) -> Iterator[tuple[nn.Parameter, Tensor, Tensor]]:
        """Yield each parameter with the numbers of its kept rows and their values."""
        return iter(self.kept)

    def clear(self) -> None:
        """Keep nothing any more."""
        self.kept.clear()

    def keep(self, parameter: nn.Parameter, rows: Tensor) -> None:
        """Keep the present values of those rows of a parameter (out, ...) where `rows` (out,) is true."""
        numbers = rows.nonzero().flatten()
        self.kept.append((parameter, numbers, parameter.detach()[numbers]))

    @torch.no_grad()
    def restore(self) -> None:
        """Put the rows back: the `after_step` of the player that trains these parameters."""
        for parameter, numbers, values in self.kept:
            parameter.index_copy_(0, numbers, values)


@dataclass
class Penalty:
    """A term that is paid every so many iterations only, with its own optimiser step and `every` times its weight."""

    every: int
    terms: Callable[[], Terms]


@dataclass
class Player:
    """One side of the game: its parameters, and the terms that it minimises.

    Gradients are computed for `parameters` alone: what is frozen, and the other players' weights, cost nothing.
    """

    name: str
    parameters: list[nn.Parameter]
    terms: Callable[[], Terms]
    learning_rate: float
    betas: tuple[float, float] = (0.0, 0.99)
    penalties: list[Penalty] = field(default_factory=list)
    after_step: Callable[[], None] | None = None


@dataclass
class Stage:
    """A span of training: the players move in the order given, once per iteration; `before` opens each iteration.

    With `restart`, moving averages and optimisers begin anew from the modules as they are; otherwise they carry over.
    """

    name: str
    iterations: int
    players: list[Player]
    before: Callable[[int], None] | None = None
    restart: bool = False


@dataclass
class Method(ABC):
    """Base of every method; its fields are its options.

    Attributes:
        name: as typed by users.
        paper: authors, venue, arXiv number.
        summary: one line.
        averaged: names of the modules whose moving average makes the result.
        least_images: how many it needs.
        judges: whether it needs the source's discriminator.
        several: whether it can adapt several GANs together.
        conditional: whether it makes use of the classes of a source; others get the mean class.
        last_stage_counts: whether what it does between two stages depends on the modules alone, as they are then; a
            checkpoint then holds those of the last finished stage, and not of every one.
        modules: every network that trains or is needed to resume, filled by `build`.
    """

    name: ClassVar[str]
    paper: ClassVar[str]
    summary: ClassVar[str]
    averaged: ClassVar[tuple[str, ...]] = ("generator",)
    least_images: ClassVar[int] = 1
    judges: ClassVar[bool] = True
    several: ClassVar[bool] = False
    conditional: ClassVar[bool] = False
    last_stage_counts: ClassVar[bool] = False

    def __post_init__(self) -> None:
        """Start without networks."""
        self.modules = nn.ModuleDict()

    def options(self) -> dict[str, object]:
        """Return the options in force, for the record."""
        return dataclasses.asdict(self)

    def settle(self, source: GAN) -> None:  # noqa: B027 - few methods have such options
        """Give the options that depend on the source, None until then, their values."""

    @abstractmethod
    def build(self, task: Task) -> None:
        """Make the networks in `self.modules` from the task's source, which stays untouched."""

    @abstractmethod
    def stages(self, iterations: int) -> Iterator[Stage]:
        """Yield the stages; `iterations` is the budget that they share."""

    @abstractmethod
    def result(self, modules: nn.ModuleDict) -> GAN:
        """Return the GAN that these modules make (averaged ones where `averaged` says so), adapters folded in."""
