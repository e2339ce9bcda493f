"""The training loop: the only one, for every method and for pretraining.

It steps the players of a method's stages, pays lazy penalties, keeps moving averages, takes snapshots from fixed
latents, writes checkpoints from which it resumes to the bit, and stops with the last good state when a loss is not
finite or the samples collapse. It knows no method by name.
"""

import copy
import time
import warnings
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.utils import parametrize
from tqdm.auto import tqdm

from fewshotgan.augment import augmentation
from fewshotgan.checkpoint import check_entries, load_checkpoint, of_this_version, save_checkpoint
from fewshotgan.device import layout
from fewshotgan.files import UserError
from fewshotgan.gans.gan import GAN
from fewshotgan.graphs import Replay
from fewshotgan.interrupt import deferred_interrupt
from fewshotgan.kept import Kept
from fewshotgan.logs import Log, progress_bar
from fewshotgan.methods.method import Batch, Player, Stage, Task, Terms, Training
from fewshotgan.run import CollapseError, Row, Run, Viewer
from fewshotgan.stepping import clone, make_optimiser, move_averages, restore_rng, sum_terms

SNAPSHOT_SAMPLES = 16
LOG_EVERY = 10  # iterations between rows of the history; also between checks that losses are finite
CHECKPOINT_SECONDS = 60


def make_task(
    gan: GAN,
    pixels: Tensor,
    batch: int,
    seed: int,
    augment: str | None,
    device: torch.device,
    labels: Tensor | None = None,
) -> Task:
    """Return the task of adapting a copy of `gan` to uint8 pixels (N, C, H, W), labels (N,) where it has classes."""
    source = gan.copy().to(device)
    for network in (source.generator, source.discriminator):
        network.requires_grad_(False).to(memory_format=layout(device))
    rng = torch.Generator(device).manual_seed(seed)
    return Task(
        source,
        pixels.to(device),
        batch,
        rng,
        augmentation(augment),
        seed,
        None if labels is None else labels.to(device),
    )


class Loop:
    """State of one run; see the module's docstring."""

    def __init__(
        self,
        training: Training,
        spec: dict[str, Any],
        iterations: int,
        snapshot_every: int,
        viewer: Viewer | None,
        graphs: bool = False,
        mixed: bool = False,
        kept: Kept | None = None,
        log: Log | None = None,
    ) -> None:
        self.training, self.method, self.task = training, training.method, training.task
        self.modules, self.spec, self.viewer = training.modules, spec, viewer
        self.iterations, self.snapshot_every = iterations, snapshot_every
        self.ema = nn.ModuleDict()
        self.graphs = graphs
        self.mixed = mixed  # bfloat16 where autocast takes it, in all but the penalties
        self.optimisers: dict[str, torch.optim.Optimizer] = {}
        self.steps: dict[str, Callable[[], Terms]] = {}
        self.batch = Batch(0)
        self.stage_index = self.stage_iteration = self.iteration = 0
        self.stage_lengths: list[int] = []  # of the finished stages, in iterations
        self.stage_ends: list[dict[str, Tensor]] = []  # an empty one stands for modules that no resumption needs
        self.seconds, self.started = 0.0, time.monotonic()
        self.history: list[Row] = []
        self.snapshots: list[tuple[int, Tensor]] = []
        self.best_spread = 0.0
        self.kept, self.book = kept, log
        self.good: tuple[int, dict[str, Tensor], dict[str, Tensor]] | None = None

    def run(self, checkpoint: Path | None, minutes: float | None, progress: bool) -> Run:
        """Train all stages, or until time or the user says stop."""
        resumed = load_checkpoint(checkpoint, self.spec) if checkpoint else None
        if resumed:
            check_entries(resumed, self.state())
        if self.kept:
            self.kept.forget_after(resumed["iteration"] if resumed else -1)
        self.started, saved = time.monotonic(), time.monotonic()
        bar = progress_bar(total=self.iterations, desc=self.method.name, disable=not progress, unit="it")
        try:
            with deferred_interrupt() as interrupted:
                for _ in self.train(resumed, bar):
                    late = minutes is not None and time.monotonic() - self.started > minutes * 60
                    if (late or interrupted.is_set()) and self.iteration < self.iterations:
                        return self.stop(checkpoint, interrupted=interrupted.is_set())
                    if time.monotonic() - saved > CHECKPOINT_SECONDS:
                        self.save(checkpoint)
                        saved = time.monotonic()
                bar.close()
        except KeyboardInterrupt:  # the second one, in the middle of an iteration: what was saved before it counts
            return self.outcome(finished=False, interrupted=True)
        except BrokenPipeError:  # nobody reads the progress bar any more
            self.save(checkpoint)
            raise
        finally:
            bar.close()
        return self.stop(checkpoint, finished=True)

    def stop(self, checkpoint: Path | None, finished: bool = False, interrupted: bool = False) -> Run:
        """Save what there is and return it."""
        if not self.finite():
            self.collapse("a weight is not finite")
        self.save(checkpoint)
        return self.outcome(finished, interrupted)

    def finite(self) -> bool:
        """Return whether all weights are finite."""
        return all(bool(parameter.isfinite().all()) for parameter in self.modules.parameters())

    def save(self, checkpoint: Path | None) -> None:
        """Write a checkpoint, if there is a place for it; a full disk costs the checkpoint, not the run.

        Weights that are not finite are not written: the run is about to stop, and the checkpoint before is the last
        good one.
        """
        try:
            if checkpoint and self.finite():
                save_checkpoint(checkpoint, self.state())
        except UserError as error:
            warnings.warn(
                f"No checkpoint at iteration {self.iteration}: {error} Training is not lost and goes on.", stacklevel=2
            )

    def train(self, resumed: dict[str, Any] | None, bar: tqdm) -> Iterator[None]:
        """Step through all stages, yielding after each iteration, when the state may be saved.

        A run that goes on with another number of iterations keeps its finished stages; its last one ends with the run.
        """
        stage = None
        for index, stage in enumerate(self.training.stages(self.iterations)):
            if resumed and index < resumed["stage_index"]:
                with of_this_version():
                    self.skip(resumed, index, stage)
                continue
            if not resumed and self.iteration >= self.iterations:
                return
            self.begin(stage, index)
            if resumed:
                with of_this_version():
                    self.restore(resumed, stage)
                bar.update(self.iteration)
                resumed = None
            elif self.iteration == 0:
                self.snapshot()
            yield from self.follow(stage, stage.iterations, bar)
            self.stage_lengths.append(self.stage_iteration)
            self.stage_ends.append(clone(self.modules))
        if resumed:
            raise UserError("The checkpoint has more stages than the method; delete it to start afresh.")
        if stage:
            yield from self.follow(stage, self.iterations, bar)

    def follow(self, stage: Stage, until: int, bar: tqdm) -> Iterator[None]:
        """Step through a stage to its end, or to that of the run."""
        while self.stage_iteration < until and self.iteration < self.iterations:
            self.step(stage, bar)
            yield

    def skip(self, resumed: dict[str, Any], index: int, stage: Stage) -> None:
        """Take up the end of a finished stage."""
        length = resumed["stage_lengths"][index]
        if length != stage.iterations:
            warnings.warn(
                f"The stage {stage.name!r} keeps the {length} iterations that it had; in a run of {self.iterations} "
                f"from the start it has {stage.iterations}.",
                stacklevel=2,
            )
        self.stage_lengths.append(length)
        self.stage_ends.append(resumed["stage_ends"][index])
        if self.stage_ends[index]:
            self.modules.load_state_dict(self.stage_ends[index])

    def begin(self, stage: Stage, index: int) -> None:
        """Prepare optimisers and averages; moments of parameters that trained before are carried over."""
        self.stage_index, self.stage_iteration, self.batch = index, 0, Batch(0)
        if self.method.memoryless:
            self.stage_ends = [{} for _ in self.stage_ends[1:]] + self.stage_ends[-1:]
        self.modules.train()
        before, self.optimisers = self.optimisers, {}
        for player in stage.players:
            self.optimisers[player.name] = optimiser = make_optimiser(player)
            self.prepare(player)
            if player.name in before and not stage.restart:
                old = before[player.name].state
                optimiser.state.update({p: old[p] for p in player.parameters if p in old})
        fresh = {name: copy.deepcopy(self.modules[name]).eval() for name in self.method.ema}
        for name, module in fresh.items():
            module.requires_grad_(False)
            if name in self.ema and not stage.restart:
                module.load_state_dict(self.ema[name].state_dict(), strict=False)
        self.ema = nn.ModuleDict(fresh)

    def step(self, stage: Stage, bar: tqdm) -> None:
        """One iteration: each player moves, averages follow, and now and then we look."""
        self.modules.train()  # a look at the samples leaves networks in evaluation mode
        self.open(stage)
        terms: Terms = {}
        for player in stage.players:
            for move in range(player.moves):
                if move:
                    self.open(stage)  # a fresh batch for each further move
                terms.update(self.move(player))
        self.iteration += 1
        self.stage_iteration += 1
        move_averages(self.ema, self.modules, self.iteration, self.task.batch)
        if self.iteration % LOG_EVERY == 0 or self.iteration == self.iterations:
            self.log(stage, terms, bar)
        if self.iteration % self.snapshot_every == 0 or self.iteration == self.iterations:
            self.snapshot()
        bar.update()

    def open(self, stage: Stage) -> None:
        """Make a batch; graphs find what `before` draws in the tensors of the stage's first batch."""
        batch = Batch(self.stage_iteration)
        if stage.before:
            stage.before(batch)
        if self.graphs and batch.keys() <= self.batch.keys():
            for name, tensor in batch.items():
                self.batch[name].copy_(tensor)
            self.batch.iteration = batch.iteration
        else:
            self.batch = batch

    def move(self, player: Player) -> Terms:
        """One optimiser step on the player's terms, and one on each penalty that is due, by the run's iterations."""
        terms = dict(self.steps[player.name]())
        for index, penalty in enumerate(player.penalties):
            if self.iteration % penalty.every == 0:
                terms.update(self.steps[f"{player.name}/{index}"]())
        return {f"{player.name}/{name}": value.detach() for name, value in terms.items()}

    def prepare(self, player: Player) -> None:
        """Make the player's steps, on its terms and on each of its penalties; CUDA graphs if so wished."""
        moves: dict[str, tuple[Callable[[Batch], Terms], int]] = {player.name: (player.terms, 1)}
        moves |= {f"{player.name}/{i}": (penalty.terms, penalty.every) for i, penalty in enumerate(player.penalties)}
        for name, (terms, weight) in moves.items():
            step = partial(self.minimise, player, terms, weight, self.mixed and terms is player.terms)
            self.steps[name] = Replay(step, self.task.rng) if self.graphs else step

    def minimise(self, player: Player, evaluate: Callable[[Batch], Terms], weight: float, mixed: bool) -> Terms:
        """Step down the sum of the terms, evaluated in mixed precision or in full."""
        self.modules.requires_grad_(False)  # no gradient is computed that nobody uses
        for parameter in player.parameters:
            parameter.requires_grad_(True)
        optimiser = self.optimisers[player.name]
        autocast = torch.autocast(self.task.source.device.type, torch.bfloat16, enabled=mixed)
        with autocast, parametrize.cached():  # an adapted weight that serves twice is computed once
            terms = evaluate(self.batch)
        optimiser.zero_grad(set_to_none=True)
        torch.autograd.backward(sum_terms(terms) * weight)
        optimiser.step()
        if player.after_step:
            player.after_step()
        return terms

    # --- looking and judging -----------------------------------------------------------------------------------

    def log(self, stage: Stage, terms: dict[str, Tensor], bar: tqdm) -> None:
        """Append a row to the history; stop if a term is not finite."""
        values = {name: float(value) for name, value in terms.items()} | self.task.augment.figures()
        row = {"iteration": self.iteration, "stage": stage.name, "seconds": round(self.elapsed(), 3), **values}
        self.history.append(row)
        if self.book:
            self.book.row(row)
        bar.set_postfix(
            {name.replace("logistic", "loss"): f"{value:.3f}" for name, value in values.items()}, refresh=False
        )
        if not all(torch.isfinite(torch.tensor(value)) for value in values.values()):
            self.collapse("a loss is not finite")

    def snapshot(self) -> None:
        """Keep samples of the averaged weights from fixed latents; stop if an adversarial game has made them one."""
        gan = self.gan()
        images = gan.render(gan.latents(SNAPSHOT_SAMPLES, seed=self.task.seed))
        if not torch.isfinite(images).all():
            self.collapse("the samples are not finite")
        spread = float(images.std(dim=0).mean())
        # identical samples are legitimate for one image, or early in a reconstruction
        alike = len(self.task.images) == 1 or not self.method.needs_discriminator
        if not alike and spread < 0.02 * self.best_spread and self.best_spread > 0.05:
            self.collapse("all samples have become the same image")
        self.best_spread = max(self.best_spread, spread)
        self.snapshots.append((self.iteration, images))
        if self.kept:
            self.kept.add(self.iteration, self.finished_gan())
        if self.book:
            self.book.look(self.iteration, images, self.history)
        self.keep()
        if self.viewer:
            self.viewer(self.iteration, images)

    def keep(self) -> None:
        """Remember the state as good."""
        self.good = self.iteration, clone(self.modules), clone(self.ema)

    def collapse(self, reason: str) -> None:
        """Go back to the last good state and raise."""
        kept = 0
        if self.good is not None:
            kept, modules, averages = self.good
            self.modules.load_state_dict(modules)
            self.ema.load_state_dict(averages)
        raise CollapseError(
            f"{self.method.name} stopped at iteration {self.iteration}: {reason}; "
            f"the state of iteration {kept} is kept "
            "(try a lower learning_rate or fewer iterations).",
            self.outcome(finished=False),
        )

    def gan(self) -> GAN:
        """Return the GAN of the averaged weights, sharing them."""
        return self.training.result(nn.ModuleDict({**self.modules, **self.ema}))

    def finished_gan(self) -> GAN:
        """Return the GAN of the averaged weights, with weights of its own, on the CPU."""
        gan = self.gan().copy().to("cpu").refresh()
        gan.generator.requires_grad_(False)
        gan.discriminator.requires_grad_(False)
        return gan

    def outcome(self, finished: bool, interrupted: bool = False) -> Run:
        """Return the run so far, with a GAN of its own."""
        if self.book:
            self.book.write(self.history)
        return Run(
            self.finished_gan(), self.spec, self.history, self.snapshots, self.iteration, self.elapsed(), finished,
            interrupted, self.training, self.kept,
        )  # fmt: skip

    def elapsed(self) -> float:
        """Seconds of training, earlier tries included."""
        return self.seconds + time.monotonic() - self.started

    # --- checkpoints -------------------------------------------------------------------------------------------

    def state(self) -> dict[str, Any]:
        """Return all that a resumption needs: tensors and plain values only."""
        return {
            "spec": self.spec, "stage_index": self.stage_index, "stage_iteration": self.stage_iteration,
            "iteration": self.iteration, "modules": self.modules.state_dict(),
            "ema": self.ema.state_dict(), "stage_ends": self.stage_ends[: self.stage_index],
            "stage_lengths": self.stage_lengths[: self.stage_index],
            "optimisers": {name: optimiser.state_dict() for name, optimiser in self.optimisers.items()},
            "device": self.task.rng.device.type, "rng": self.task.rng.get_state(), "seconds": self.elapsed(),
            "augment": self.task.augment.state_dict(),
            "history": self.history, "snapshots": self.snapshots, "best_spread": self.best_spread,
        }  # fmt: skip

    def restore(self, state: dict[str, Any], stage: Stage) -> None:
        """Take up a saved state at its stage."""
        check_entries(state["optimisers"], {name: found.state_dict() for name, found in self.optimisers.items()})
        check_entries(state["augment"], self.task.augment.state_dict())
        self.stage_iteration, self.iteration = state["stage_iteration"], state["iteration"]
        self.modules.load_state_dict(state["modules"])
        self.ema.load_state_dict(state["ema"])
        for player in stage.players:
            self.optimisers[player.name].load_state_dict(state["optimisers"][player.name])
        restore_rng(self.task, state, self.iteration)
        self.task.augment.load_state_dict(state["augment"])
        self.seconds, self.best_spread = state["seconds"], state["best_spread"]
        self.history, self.snapshots = list(state["history"]), list(state["snapshots"])
        self.keep()
