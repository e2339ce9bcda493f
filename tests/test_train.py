"""The loop: stages, lazy penalties, masks, resumption to the bit, and good states kept when things go wrong."""

import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import partial

import pytest
import torch
from helpers import noise_images, small_disk, tiny_gan, tiny_wgan_resnet
from torch import nn
from tqdm import tqdm

from fewshotgan import checkpoint, train
from fewshotgan.files import UserError
from fewshotgan.methods import Batch, FineTuning, FineTuningTraining, Penalty, Player, Stage, Terms
from fewshotgan.run import CollapseError
from fewshotgan.session import adapt

QUICK = {"iterations": 12, "batch": 2, "progress": False}


@dataclass(frozen=True)
class TwoStages(FineTuning):
    """Stage one trains an extra head without a discriminator; stage two, half of a masked tensor."""

    summary = "exercises the contract"

    def build(self, task):
        return TwoStagesTraining(self.settle(task.source), task, task.source.copy())


class TwoStagesTraining(FineTuningTraining):
    """Leaves a note of each call, and what a later stage needs of an earlier one in `modules`."""

    def __init__(self, method, task, gan):
        super().__init__(method, task, gan)
        self.modules["head"] = nn.Linear(2, 2)
        nn.init.constant_(self.modules["head"].weight, 0.5)
        nn.init.zeros_(self.modules["head"].bias)
        self.modules.register_buffer("marker", torch.zeros(()))
        self.calls: list[str] = []

    def stages(self, iterations: int) -> Iterator[Stage]:
        head = self.modules["head"]
        player = Player("head", list(head.parameters()), self.head_terms, 0.1)
        yield Stage("head", iterations // 3, [player], before=self.note)
        self.calls.append("between")
        self.modules.marker += head.weight.detach().sum()
        kept = self.generator.const.detach().clone()

        def restore() -> None:
            self.generator.const.data[0] = kept[0]

        player = Player(
            "g", [self.generator.const], self.generator_terms, 0.1, (0.9, 0.99), [Penalty(3, self.lazy)], restore
        )
        yield Stage("masked", iterations - iterations // 3, [player])

    def note(self, batch: Batch) -> None:
        self.calls.append(f"before {batch.iteration}")
        batch["ones"] = torch.ones(1, 2)

    def head_terms(self, batch: Batch) -> Terms:
        return {"square": self.modules["head"](batch["ones"]).square().sum()}

    def lazy(self, batch: Batch) -> Terms:
        self.calls.append("lazy")
        return {"size": self.generator.const.square().mean() * 0.01}


def test_the_contract_carries_stages_players_penalties_and_masks():
    gan = tiny_gan()
    run = adapt(gan, noise_images(), TwoStages(), **QUICK)
    calls = run.training.calls
    assert calls[:5] == [*(f"before {i}" for i in range(4)), "between"]
    assert calls.count("lazy") == 2  # iterations 6 and 9 of the run, of which stage two has 4 to 11
    assert torch.equal(run.gan.generator.const[0], gan.generator.const[0])  # masked, although Adam's beta1 is 0.9
    assert not torch.equal(run.gan.generator.const[1], gan.generator.const[1])
    assert torch.equal(run.gan.discriminator.out.weight, gan.discriminator.out.weight)
    assert {row["stage"] for row in run.history} == {"masked"} and run.spec["method"] == "twostages"


@dataclass(frozen=True)
class Turns(FineTuning):
    """Two players, the first of which has three moves."""

    def build(self, task):
        return TurnsTraining(self.settle(task.source), task, task.source.copy())


class TurnsTraining(FineTuningTraining):
    """Leaves a note of each batch that a player sees, and of what it was drawn."""

    def __init__(self, method, task, gan):
        super().__init__(method, task, gan)
        self.calls: list[tuple[str, int, int, float]] = []

    def stages(self, iterations: int) -> Iterator[Stage]:
        penalties = [Penalty(2, partial(self.watch, "penalty"))]
        first = Player("first", [self.generator.const], partial(self.watch, "first"), 0.1, penalties=penalties, moves=3)
        second = Player("second", [self.generator.const], partial(self.watch, "second"), 0.1)
        yield Stage("turns", iterations, [first, second], before=self.draw)

    def draw(self, batch: Batch) -> None:
        batch["drawn"] = torch.rand((), generator=self.task.rng)

    def watch(self, name: str, batch: Batch) -> Terms:
        self.calls.append((name, batch.iteration, id(batch["drawn"]), float(batch["drawn"])))
        return {"size": self.generator.const.square().mean()}


def test_a_player_of_several_moves_has_a_fresh_batch_in_each_and_the_next_goes_on_with_the_last():
    run = adapt(tiny_gan(), noise_images(), Turns(), iterations=3, batch=2, progress=False)
    for iteration in range(3):
        calls = [call for call in run.training.calls if call[1] == iteration]
        due = ["penalty"] if iteration % 2 == 0 else []
        assert [name for name, *_ in calls] == [*["first", *due] * 3, "second"]
        assert len({drawn for *_, drawn in calls}) == 3 and calls[-1][3] == calls[-2][3]


def test_the_moves_of_a_stage_find_their_batch_in_the_same_tensors_where_graphs_replay_them():
    training = Turns().build(train.make_task(tiny_gan(), noise_images().pixels, 2, 0, None, torch.device("cpu")))
    loop = train.Loop(training, {}, 3, 3, None)
    (stage,) = training.stages(3)
    loop.begin(stage, 0)
    loop.graphs = True  # from here on as on a GPU, where the players' steps would be captured
    for _ in range(2):
        loop.step(stage, tqdm(disable=True))
    places, drawn = ([call[i] for call in training.calls] for i in (2, 3))
    assert len(set(places)) == 1 and len(set(drawn)) == 6


@pytest.mark.parametrize("method", ["freezed", TwoStages()])
@pytest.mark.parametrize("stop_at", [3, 7])
def test_a_stopped_run_resumes_to_the_bit(tmp_path, method, stop_at):
    whole = adapt(tiny_gan(), noise_images(), method, **QUICK, snapshot_every=1)

    def stop(iteration, _images):
        if iteration == stop_at:
            raise KeyboardInterrupt

    part = adapt(tiny_gan(), noise_images(), method, **QUICK, out=tmp_path, viewer=stop, snapshot_every=1)
    assert not part.finished
    rest = adapt(tiny_gan(), noise_images(), method, **QUICK, out=tmp_path, snapshot_every=1)
    assert rest.finished
    assert torch.equal(rest.gan.sample(4), whole.gan.sample(4))
    for a, b in zip(rest.gan.discriminator.parameters(), whole.gan.discriminator.parameters(), strict=True):
        assert torch.equal(a, b)
    if isinstance(method, TwoStages):  # what lies between the stages runs again, from the modules as they were
        assert rest.training.calls.count("between") == whole.training.calls.count("between") == 1
        assert torch.equal(whole.training.modules.marker, rest.training.modules.marker)


def test_a_stopped_run_of_several_critic_moves_resumes_to_the_bit(tmp_path):
    gan = tiny_wgan_resnet()
    whole = adapt(gan, noise_images(), "minegan", **QUICK)
    parts = 0
    while not (part := adapt(gan, noise_images(), "minegan", **QUICK, out=tmp_path, minutes=0.0)).finished:
        parts += 1
    assert parts > 5 and torch.equal(part.gan.sample(4), whole.gan.sample(4))
    assert all(map(torch.equal, part.gan.discriminator.parameters(), whole.gan.discriminator.parameters()))


def test_ctrl_c_waits_for_the_end_of_the_iteration(tmp_path):
    def interrupt(iteration, _images):
        if iteration == 5:
            signal.raise_signal(signal.SIGINT)

    caught = []
    before = signal.signal(signal.SIGINT, lambda *_: caught.append("usual"))  # whatever other tests left
    try:
        run = adapt(tiny_gan(), noise_images(), "scratch", **QUICK, out=tmp_path, viewer=interrupt, snapshot_every=5)
        assert not run.finished and run.snapshots[-1][0] == 5 and not caught
        signal.raise_signal(signal.SIGINT)
        assert caught == ["usual"]  # the usual handler is back
    finally:
        signal.signal(signal.SIGINT, before)


def test_no_gradient_is_computed_that_nobody_uses(monkeypatch):
    seen = []
    original = FineTuningTraining.generator_terms

    def watch(self, batch):
        terms = original(self, batch)
        seen.append([p.requires_grad for p in self.discriminator.parameters()])
        return terms

    monkeypatch.setattr(FineTuningTraining, "generator_terms", watch)
    adapt(tiny_gan(), noise_images(), "transfergan", **QUICK)
    assert len(seen) == 12 and not any(flag for flags in seen for flag in flags)


def test_r1_is_lazy_and_the_optimiser_knows():
    player = Player("d", [nn.Parameter(torch.zeros(1))], dict, 0.002, penalties=[Penalty(16, dict)])
    group = train.make_optimiser(player).param_groups[0]
    assert group["lr"] == pytest.approx(0.002 * 16 / 17)
    assert group["betas"] == pytest.approx((0.0, 0.99 ** (16 / 17)))


def test_a_loss_that_is_not_finite_stops_with_the_last_good_state(monkeypatch):
    original, count = FineTuningTraining.generator_terms, [0]

    def poison(self, batch):
        count[0] += 1
        terms = original(self, batch)
        return {name: value * float("nan") for name, value in terms.items()} if count[0] == 25 else terms

    monkeypatch.setattr(FineTuningTraining, "generator_terms", poison)
    with pytest.raises(CollapseError, match=r"iteration 30: a loss is not finite; the state of iteration 20") as caught:
        adapt(tiny_gan(), noise_images(), "transfergan", iterations=40, batch=2, progress=False, snapshot_every=20)
    monkeypatch.undo()
    good = caught.value.run
    assert good.gan.sample(4).isfinite().all() and not good.finished
    expected = adapt(
        tiny_gan(), noise_images(), "transfergan", iterations=20, batch=2, progress=False, snapshot_every=20
    )
    assert torch.equal(good.gan.sample(4), expected.gan.sample(4))


def test_a_resumed_run_that_breaks_keeps_what_it_resumed_from(monkeypatch, tmp_path):
    def run(**options):
        return adapt(
            tiny_gan(),
            noise_images(),
            "transfergan",
            iterations=40,
            batch=2,
            progress=False,
            snapshot_every=40,
            out=tmp_path,
            **options,
        )

    part = run(minutes=1e-6)
    original = FineTuningTraining.generator_terms
    poison = float("nan")
    monkeypatch.setattr(
        FineTuningTraining,
        "generator_terms",
        lambda self, batch: {name: value * poison for name, value in original(self, batch).items()},
    )
    for options in ({"minutes": 1e-6}, {}):  # stopped before anybody looked at the loss, its weights are not written
        with pytest.raises(CollapseError, match=f"the state of iteration {part.iterations} is kept") as caught:
            run(**options)
            run()
        assert torch.equal(caught.value.run.gan.sample(2), part.gan.sample(2))


def test_a_run_that_goes_on_on_another_kind_of_device_says_so(tmp_path):
    part = adapt(tiny_gan(), noise_images(), "transfergan", **QUICK, out=tmp_path, minutes=1e-6)
    file = tmp_path / "checkpoint.pt"
    state = torch.load(file, weights_only=True)
    torch.save({**state, "device": "cuda", "rng": torch.zeros(16, dtype=torch.uint8)}, file)
    with pytest.warns(UserWarning, match="begun on another kind of device .cuda."):
        whole = adapt(tiny_gan(), noise_images(), "transfergan", **QUICK, out=tmp_path)
    assert not part.finished and whole.finished and whole.iterations == 12


def test_collapsed_samples_stop_the_run(monkeypatch):
    original = FineTuningTraining.generator_terms

    def flatten(self, batch):
        for block in self.generator.blocks.values():
            block.to_image.conv.weight.data.zero_()
        return original(self, batch)

    monkeypatch.setattr(FineTuningTraining, "generator_terms", flatten)
    with pytest.raises(CollapseError, match="the same image"):
        adapt(
            tiny_gan(),
            noise_images(),
            "transfergan",
            iterations=30,
            batch=2,
            progress=False,
            snapshot_every=10,
            learning_rate=1e-9,
        )


def test_checkpoints_of_other_runs_and_broken_ones_are_refused(tmp_path):
    adapt(tiny_gan(), noise_images(), "scratch", **QUICK, out=tmp_path)
    with pytest.raises(UserError, match=r"a different run \(seed=0, not 1\)"):
        adapt(tiny_gan(), noise_images(), "scratch", **QUICK, seed=1, out=tmp_path)
    file = tmp_path / "checkpoint.pt"
    whole, state = file.read_bytes(), torch.load(file, weights_only=True)
    for length in (0, 500, 5000, len(whole) - 100):
        file.write_bytes(whole[:length])
        with pytest.raises(UserError, match="damaged or not one of ours"):
            adapt(tiny_gan(), noise_images(), "scratch", **QUICK, out=tmp_path)
    for other in (torch.zeros(3), {"spec": 5}, [1]):
        torch.save(other, file)
        with pytest.raises(UserError, match="damaged or not one of ours"):
            adapt(tiny_gan(), noise_images(), "scratch", **QUICK, out=tmp_path)
    torch.save({key: value for key, value in state.items() if key != "augment"}, file)
    with pytest.raises(UserError, match="it lacks augment"):
        adapt(tiny_gan(), noise_images(), "scratch", **QUICK, out=tmp_path)


OTHERS = {  # how a checkpoint of another version may differ: entries that are missing, new, or of another kind
    "none of a stage's end": lambda state: state["stage_ends"].clear(),
    "none of its length": lambda state: state["stage_lengths"].clear(),
    "a weight less": lambda state: state["stage_ends"][0].popitem(),
    "another weight": lambda state: state["modules"].update(other=torch.zeros(3)),
    "no such stage": lambda state: state.update(stage_index=7, stage_ends=[{}] * 7, stage_lengths=[1] * 7),
    "an optimiser more": lambda state: state["optimisers"].update(other=state["optimisers"]["generator"]),
    "an optimiser less": lambda state: state["optimisers"].popitem(),
    "no p": lambda state: state["augment"].pop("p"),
    "a new entry": lambda state: state.update(other=1),
    "an entry less": lambda state: state.pop("iteration"),
    "a text for a number": lambda state: state.update(stage_index="1"),
    "no averages": lambda state: state["ema"].clear(),
}


@pytest.mark.parametrize("how", OTHERS)
def test_a_checkpoint_of_a_later_stage_of_another_version_is_refused(how, tmp_path):
    asked = {"iterations": 20, "batch": 2, "progress": False, "augment": "ada", "out": tmp_path}
    adapt(tiny_gan(), noise_images(), "minegan", **asked)
    file = tmp_path / "checkpoint.pt"
    state = torch.load(file, weights_only=True)
    assert state["stage_index"] == 1
    OTHERS[how](state)
    torch.save(state, file)
    with pytest.raises(UserError, match="delete it to start afresh") as refusal:
        adapt(tiny_gan(), noise_images(), "minegan", **asked | {"iterations": 24})
    assert len(str(refusal.value)) <= 240


def test_other_images_or_another_source_by_the_same_name_are_another_run(tmp_path):
    images = noise_images()
    adapt(tiny_gan(), images, "scratch", **QUICK, out=tmp_path)
    others = replace(images, pixels=images.pixels.flip(3))
    for gan, changed, said in ((tiny_gan(), others, "other content"), (tiny_gan(seed=1), images, "other weights")):
        with pytest.raises(UserError, match=f"of the same name with {said}"):
            adapt(gan, changed, "scratch", **QUICK, out=tmp_path)
    assert adapt(tiny_gan(), images, "scratch", **QUICK, out=tmp_path).iterations == 12


def test_names_in_place_of_what_is_loaded_from_them_are_refused_in_a_sentence():
    with pytest.raises(UserError, match="load it first with load_gan"):
        adapt("avatars-stylegan2", noise_images())
    with pytest.raises(UserError, match="not 'photos'; load them first"):
        adapt(tiny_gan(), "photos")
    with pytest.raises(UserError, match="not a Tensor; load them first"):
        adapt(tiny_gan(), noise_images().pixels)


def test_a_full_disk_costs_the_checkpoint_and_not_the_run(tmp_path, monkeypatch):
    monkeypatch.setattr(train, "CHECKPOINT_SECONDS", 0)
    with small_disk(tmp_path / "disk", 40_000) as disk:
        with pytest.warns(UserWarning, match="No checkpoint at iteration .*No space left"):
            run = adapt(tiny_gan(), noise_images(), "scratch", **QUICK, out=disk)
        assert not list(disk.glob("checkpoint.pt")) and not list(disk.glob(".*"))
    assert run.finished and run.iterations == 12


def test_a_full_disk_keeps_the_checkpoint_before(tmp_path):
    with small_disk(tmp_path / "disk", 100_000) as disk:
        path = disk / "checkpoint.pt"
        checkpoint.save_checkpoint(path, {"spec": {"seed": 1}, "iteration": 3})
        for size in (30_000, 50_000, 10**7):  # floats; the disk takes none of them
            with pytest.raises(UserError, match="No space left"):
                checkpoint.save_checkpoint(path, {"spec": {"seed": 2}, "weights": torch.zeros(size)})
            assert [left.name for left in disk.iterdir()] == ["checkpoint.pt"]
        assert checkpoint.load_checkpoint(path, {"seed": 1}) == {"spec": {"seed": 1}, "iteration": 3}


KILLED = """
import sys, pathlib, torch
from fewshotgan.checkpoint import save_checkpoint
path = pathlib.Path(sys.argv[1])
step = 0
while True:
    step += 1
    save_checkpoint(path, {"spec": {"seed": 0}, "step": step, "weights": torch.full((200_000,), float(step))})
    print(step, flush=True)
"""


def test_kill_9_during_a_checkpoint_leaves_a_whole_one(tmp_path):
    path = tmp_path / "checkpoint.pt"
    for wait in (0.0, 0.005, 0.013):
        process = subprocess.Popen([sys.executable, "-c", KILLED, str(path)], stdout=subprocess.PIPE, text=True)
        process.stdout.readline()
        time.sleep(wait)
        process.send_signal(signal.SIGKILL)
        process.wait()
        state = checkpoint.load_checkpoint(path, {"seed": 0})
        assert torch.equal(state["weights"], torch.full((200_000,), float(state["step"])))
