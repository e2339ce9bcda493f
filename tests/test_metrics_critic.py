"""The independent critic: near zero for one distribution, large for two, honest about what it learned by heart."""

import pytest
import torch

from fewshotgan import evaluate
from fewshotgan.files import UserError
from fewshotgan.images import Images
from fewshotgan.metrics import independent_critic
from fewshotgan.metrics.critic import gradient_penalty


def images(n, seed, level=0.0):
    return (torch.randn(n, 1, 8, 8, generator=torch.Generator().manual_seed(seed)) * 0.2 + level).clamp(-1, 1)


def test_it_tells_two_distributions_apart_and_not_one():
    options = {"iterations": 200, "batch": 16}
    same = independent_critic(images(200, 0), images(200, 1), **options)
    near = independent_critic(images(200, 0), images(200, 1, 0.1), **options)
    far = independent_critic(images(200, 0), images(200, 1, 0.4), **options)
    assert abs(same.validation) < 0.3 * near.validation < 0.6 * far.validation
    assert independent_critic(images(200, 0), images(200, 1, 0.1), **options) == near
    # the images differ by 0.4 at each of 64 pixels: a critic of slope one finds 3.2, and the penalty lets the slope be
    # a little larger
    assert far.validation == pytest.approx(3.2, rel=0.25)


def test_what_it_learned_by_heart_shows_in_training_alone():
    few = independent_critic(images(8, 0), images(8, 1), iterations=200, batch=4)
    assert few.training > 0.5 > few.validation


def test_the_penalty_is_zero_for_slope_one():
    flat = torch.nn.Sequential(torch.nn.Flatten(), torch.nn.Linear(64, 1, bias=False))
    flat[1].weight.data.fill_(1 / 8)
    rng = torch.Generator().manual_seed(0)
    assert gradient_penalty(flat, images(4, 0), images(4, 1), rng).item() == pytest.approx(0, abs=1e-9)
    flat[1].weight.data.fill_(3 / 8)
    assert gradient_penalty(flat, images(4, 0), images(4, 1), rng).item() == pytest.approx(4, rel=1e-5)


def test_bad_input_is_one_sentence():
    with pytest.raises(UserError, match="at least 8 of each"):
        independent_critic(images(7, 0), images(9, 1))
    with pytest.raises(UserError, match=r"real ones are \(1, 8, 8\), generated \(1, 4, 4\)"):
        independent_critic(images(9, 0), images(9, 1)[..., :4, :4])


def test_the_metric_is_the_mean_of_critics_on_images_that_they_have_not_seen():
    pixels = torch.randint(0, 256, (16, 1, 8, 8), generator=torch.Generator().manual_seed(0), dtype=torch.uint8)
    real, fake = Images(pixels, "noise"), images(16, 1)
    found = [independent_critic(real.tensor(), fake, iterations=200, seed=seed).validation for seed in range(3)]
    assert evaluate(fake, real, metrics=["iw"])["iw"] == pytest.approx(sum(found) / 3)
    with pytest.raises(UserError, match="at least 8 of each"):
        evaluate(fake[:7], real, metrics=["iw"])
