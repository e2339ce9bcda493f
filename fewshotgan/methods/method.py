"""The contract between a method and the training loop.

A method says what its paper says: which networks there are, which parameters train in which stage, which terms each
player minimises and in what order. The loop (`fewshotgan.train`) does the rest and knows no method.

- A `Method` is its options, and never changes; `build` makes a `Training` of it for one task.
- A `Training` is all that one run needs: networks, what was estimated from them, what lessons look at afterwards.
- A `Stage` is a span of training with its players, in any number and order: none for the discriminator (a
  reconstruction method), several generators, extra heads, miners.
- A `Player` has parameters, the terms that it minimises, its number of moves in an iteration, lazy penalties with an
  interval and an optimiser step of their own, and `after_step`, where masked weights are restored, whatever the
  optimiser did.
- A `Batch` is what the players of an iteration hand each other.

`Training.stages` is a Python generator: the code between two `yield`s runs when the first stage has been trained
(choose filters by their Fisher information, unfreeze an adapter). When a stopped run resumes, the loop walks through
the stages again from the start: it loads the modules as they were at the end of each finished stage, and the code
between runs again. That code must therefore follow from `modules`, the task's images and seed, and must draw nothing
from `task.rng`; then a resumed run is the same to the bit.
"""

import dataclasses
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any, ClassVar, Protocol, Self, TypeVar

import torch
from torch import Tensor, nn

from fewshotgan.device import layout
from fewshotgan.files import UserError
from fewshotgan.gans.gan import GAN
from fewshotgan.methods.options import options_of

Value = TypeVar("Value")
Terms = dict[str, Tensor]
"""Named scalar terms of a loss, each with its weight already applied; a player minimises their sum."""


class Augment(Protocol):
    """What a method may do to real and generated images alike before the discriminator sees them."""

    def __call__(self, x: Tensor, generator: torch.Generator | None = None) -> Tensor:
        """Return (N, C, H, W) augmented."""

    def update(self, real_logits: Tensor) -> None:
        """Learn from the discriminator's logits (N, 1) of real images."""

    def figures(self) -> dict[str, float]:
        """Return what belongs beside the losses in a run's history, by name."""

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
        return (self.images[numbers].float() / 127.5 - 1).contiguous(memory_format=layout(self.images.device))

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


class Batch(dict[str, Tensor]):
    """What the players of one iteration hand each other: tensors by name, left by `Stage.before` or an earlier player.

    Attributes:
        iteration: of the stage, from 0.
    """

    def __init__(self, iteration: int) -> None:
        super().__init__()
        self.iteration = iteration


@dataclass
class Penalty:
    """A term that is paid in one of `every` iterations of the run, with its own optimiser step and `every` times its
    weight.
    """

    every: int
    terms: Callable[[Batch], Terms]


@dataclass
class Player:
    """One side of the game: its parameters, and the terms that it minimises.

    Gradients are computed for `parameters` alone: what is frozen, and the other players' weights, cost nothing. Those
    in `rates` train at a multiple of the learning rate, given with each. A player may have several `moves` in an
    iteration: `Stage.before` opens a fresh batch for each after the first, on which the players behind it go on, and
    its penalties are due at every move of one of `every` iterations.
    """

    name: str
    parameters: list[nn.Parameter]
    terms: Callable[[Batch], Terms]
    learning_rate: float
    betas: tuple[float, float] = (0.0, 0.99)
    penalties: list[Penalty] = field(default_factory=list)
    after_step: Callable[[], None] | None = None
    moves: int = 1
    rates: list[tuple[nn.Parameter, float]] = field(default_factory=list)


@dataclass
class Stage:
    """A span of training: the players move in the order given, in each iteration; `before` opens each batch.

    With `restart`, moving averages and optimisers begin anew from the modules as they are; otherwise they carry over.
    """

    name: str
    iterations: int
    players: list[Player]
    before: Callable[[Batch], None] | None = None
    restart: bool = False


@dataclass(frozen=True)
class Method(ABC):
    """Base of every method: its fields are its options, checked when it is made; it never changes.

    Attributes:
        name: as typed by users; the class's own, in lower case, unless the class says another.
        paper: authors, venue, arXiv number.
        summary: one line.
        ema: names of the modules whose moving average makes the result.
        least_images: how many it needs.
        needs_discriminator: whether it needs the source's discriminator.
        multi_source: whether it can adapt several GANs together.
        conditional: whether it makes use of the classes of a source; others get the mean class.
        labelled: whether it learns the images' labels; others get images alone.
        memoryless: whether the code between two stages depends on the modules alone, as they are then; a checkpoint
            then holds those of the last finished stage, and not of every one.

    Raises:
        UserError: if an option is of another kind or out of its range.
    """

    name: ClassVar[str]
    paper: ClassVar[str] = "none"
    summary: ClassVar[str] = ""
    ema: ClassVar[tuple[str, ...]] = ("generator",)
    least_images: ClassVar[int] = 1
    needs_discriminator: ClassVar[bool] = True
    multi_source: ClassVar[bool] = False
    conditional: ClassVar[bool] = False
    labelled: ClassVar[bool] = False
    memoryless: ClassVar[bool] = False

    def __init_subclass__(cls) -> None:
        """Name a class that has no name of its own."""
        if "name" not in vars(cls):
            cls.name = cls.__name__.lower()

    def __post_init__(self) -> None:
        """Check the options."""
        for name, option in options_of(type(self)).items():
            value = getattr(self, name)
            if not option.accepts(value):
                raise UserError(f"{self.name}: {option.refusal(value)}")
            object.__setattr__(self, name, option.convert(value))

    def options(self) -> dict[str, object]:
        """Return the options by name; `settle` first gives each None that follows from the source its value."""
        return dataclasses.asdict(self)

    def settle(self, source: GAN) -> Self:
        """Return the same method with a value for each option that follows from the source.

        Raises:
            UserError: for a source that the method or an option can't work on.
        """
        return self

    @abstractmethod
    def build(self, task: Task) -> "Training":
        """Return what a run on this task needs; the task's source stays untouched.

        Raises:
            UserError: for a task that the method can't work on.
        """


class Training(ABC):
    """A method at work on one task; what a run needs is made in the constructor, and nowhere else.

    Args:
        method: with its options settled.
        task: what it works on.
        modules: every network that trains or is needed to resume; what a method learns lies here.
    """

    def __init__(self, method: Method, task: Task, modules: nn.ModuleDict) -> None:
        self.method, self.task, self.modules = method, task, modules

    @abstractmethod
    def stages(self, iterations: int) -> Iterator[Stage]:
        """Yield the stages; `iterations` is the budget that they share. See the module's docstring on resumption."""

    @abstractmethod
    def result(self, modules: nn.ModuleDict) -> GAN:
        """Return the GAN that these modules make (moving averages where `ema` says so), adapters merged."""


def settled(value: Value | None) -> Value:
    """Return the value of an option that `Method.settle` has given one."""
    assert value is not None, "the method was not settled"
    return value
