"""Runs that go on for longer, the GANs that they keep along the way, and what killed ones leave."""

from dataclasses import replace

import pytest
import torch
from helpers import noise_images, tiny_gan
from test_train import TwoStages

from fewshotgan import files
from fewshotgan.files import UserError
from fewshotgan.session import adapt


@pytest.mark.parametrize("method", ["transfergan", "freezed", "ewc"])
@pytest.mark.parametrize("augment", ["diffaugment", "ada"])
def test_a_finished_run_goes_on_with_more_iterations_to_the_bit(tmp_path, method, augment):
    gan, images = tiny_gan(), noise_images()
    settings = {"batch": 4, "progress": False, "augment": augment}
    whole = adapt(gan, images, method, iterations=25, **settings)
    assert adapt(gan, images, method, iterations=15, **settings, out=tmp_path).finished
    longer = adapt(gan, replace(images, name="/elsewhere/noise"), method, iterations=25, **settings, out=tmp_path)
    assert longer.iterations == 25 and longer.spec["images"] == "/elsewhere/noise"
    assert all(map(torch.equal, longer.gan.weights(), whole.gan.weights()))
    if augment == "ada":
        assert [row["augment/p"] for row in longer.history if row["iteration"] == 20] == [
            row["augment/p"] for row in whole.history if row["iteration"] == 20
        ]
    with pytest.raises(UserError, match="holds 25 iterations already, more than 20"):
        adapt(gan, images, method, iterations=20, **settings, out=tmp_path)


def test_stages_that_are_shares_of_a_run_keep_what_they_had_and_say_so(tmp_path):
    gan, images = tiny_gan(), noise_images()
    adapt(gan, images, TwoStages(), iterations=6, batch=2, progress=False, out=tmp_path)  # stages of 2 and 4
    with pytest.warns(UserWarning, match="'head' keeps the 2 iterations that it had; in a run of 12 .* it has 4"):
        longer = adapt(gan, images, TwoStages(), iterations=12, batch=2, progress=False, out=tmp_path)
    assert longer.iterations == 12 and longer.finished
    part = adapt(gan, images, TwoStages(), iterations=6, batch=2, progress=False, out=tmp_path / "b", minutes=0.0)
    assert part.iterations == 1  # in the first stage, whose length is that of the longer run from here on
    rest = adapt(gan, images, TwoStages(), iterations=12, batch=2, progress=False, out=tmp_path / "b")
    whole = adapt(gan, images, TwoStages(), iterations=12, batch=2, progress=False)
    assert all(map(torch.equal, rest.gan.weights(), whole.gan.weights()))


def test_the_gans_along_the_run_are_kept_and_those_of_a_longer_run_beside_them(tmp_path):
    gan, images = tiny_gan(), noise_images()
    run = adapt(gan, images, "freezed", iterations=6, batch=2, progress=False, snapshot_every=2, out=tmp_path)
    assert run.kept == [0, 2, 4, 6] and run.chosen == 6
    last = run.gan.copy().to_half().refresh()
    assert torch.allclose(run.at(6).sample(2), last.sample(2), atol=1e-2)
    two = adapt(gan, images, "freezed", iterations=2, batch=2, progress=False).gan.to_half()
    assert all(map(torch.equal, run.at(2).discriminator.parameters(), two.discriminator.parameters()))
    with pytest.warns(UserWarning, match="No GAN of iteration 5 is kept; this is that of iteration 4"):
        assert torch.equal(run.at(5).sample(2), run.at(4).sample(2))
    longer = adapt(gan, images, "freezed", iterations=8, batch=2, progress=False, snapshot_every=2, out=tmp_path)
    assert longer.kept == [0, 2, 4, 6, 8]
    with pytest.raises(UserError, match="iteration='2' must be a whole number"):
        longer.at("2")


def test_what_a_killed_run_left_half_written_is_removed_by_the_next(tmp_path):
    left = tmp_path / ".checkpoint.pt.abc_1234.pt"
    left.write_bytes(b"half")
    mine = tmp_path / ".notes.txt"
    mine.write_text("mine")
    with files.atomic_write(tmp_path / "other.bin") as busy:  # of a run that lives
        adapt(tiny_gan(), noise_images(), "scratch", iterations=1, batch=2, progress=False, out=tmp_path)
        assert busy.is_file() and mine.is_file() and not left.exists()
