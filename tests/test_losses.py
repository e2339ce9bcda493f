"""Losses against their equations on tiny tensors."""

import math

import pytest
import torch

from fewshotgan import losses
from fewshotgan.gans.network import PaperLoss


def test_logistic_losses():
    real, fake = torch.tensor([[0.5], [2.0]]), torch.tensor([[-1.0], [0.0]])
    sigmoid = [1 / (1 + math.exp(-v)) for v in (0.5, 2.0, -1.0, 0.0)]
    wanted = (
        -(math.log(sigmoid[0]) + math.log(sigmoid[1])) / 2 - (math.log(1 - sigmoid[2]) + math.log(1 - sigmoid[3])) / 2
    )
    assert torch.isclose(losses.logistic_discriminator(real, fake), torch.tensor(wanted))
    assert torch.isclose(
        losses.logistic_generator(fake), torch.tensor(-(math.log(sigmoid[2]) + math.log(sigmoid[3])) / 2)
    )


def test_relativistic_losses_compare_each_real_image_with_a_generated_one():
    real, fake = torch.tensor([[0.5], [2.0]]), torch.tensor([[-1.0], [3.0]])
    wanted = (math.log(1 + math.exp(-1.5)) + math.log(1 + math.exp(1.0))) / 2
    assert torch.isclose(losses.relativistic_discriminator(real, fake), torch.tensor(wanted))
    wanted = (math.log(1 + math.exp(1.5)) + math.log(1 + math.exp(-1.0))) / 2
    assert torch.isclose(losses.relativistic_generator(real, fake), torch.tensor(wanted))


def test_r1_has_no_half_and_averages_over_the_batch():
    x = torch.tensor([[1.0, 2.0], [3.0, 4.0]]).view(2, 1, 1, 2).requires_grad_()
    assert torch.isclose(losses.r1_penalty(x.square().sum(dim=(1, 2, 3)), x), torch.tensor((4 + 16 + 36 + 64) / 2))


def test_path_lengths_of_a_linear_map():
    w = torch.randn(2, 3, 4, requires_grad=True)
    matrix = torch.randn(4, 9)
    images = (w.sum(dim=1) @ matrix).view(2, 1, 3, 3)
    noise = torch.randn(2, 1, 3, 3)
    wanted = (noise.view(2, 9) @ matrix.T / 3).norm(dim=1)
    assert torch.allclose(losses.path_lengths(images, w, noise), wanted, atol=1e-5)
    assert torch.isclose(losses.path_length_penalty(torch.tensor([1.0, 3.0]), torch.tensor(2.0)), torch.tensor(1.0))


def test_hinge_losses_ask_for_a_margin_of_one_on_either_side():
    real, fake = torch.tensor([[0.5], [2.0]]), torch.tensor([[-1.5], [0.25]])
    assert losses.hinge_discriminator(real, fake) == (0.5 + 0) / 2 + (0 + 1.25) / 2
    assert losses.wasserstein_generator(fake) == (1.5 - 0.25) / 2


def test_the_wasserstein_critic_s_loss_is_a_difference_of_means():
    real, fake = torch.tensor([[0.5], [2.0]]), torch.tensor([[-1.5], [0.25]])
    assert losses.wasserstein_discriminator(real, fake) == -0.625 - 1.25
    assert losses.wasserstein_discriminator(real + 7, fake + 7) == -0.625 - 1.25


@pytest.mark.parametrize(
    ("weight", "penalty"), [((3.0, 4.0), 16.0), ((0.6, 0.8), 0.0), ((0.3, 0.4), 0.25), ((0.0, 0.0), 1.0)]
)
def test_the_gradient_penalty_of_a_linear_critic_is_two_sided(weight, penalty):
    """The critic w x has the gradient w everywhere; a norm of 0.5 costs (0.5 - 1)^2, and one of 0 leaves no NaN."""
    critic = torch.tensor(weight).view(1, 1, 1, 2).requires_grad_()
    x = torch.randn(3, 1, 1, 2, requires_grad=True)
    found = losses.gradient_penalty((critic * x).sum(dim=(1, 2, 3)), x)
    assert torch.isclose(found, torch.tensor(penalty), atol=1e-6)
    found.backward()
    assert critic.grad.isfinite().all()


def test_the_gradient_penalty_is_a_mean_over_images_each_with_its_own_norm():
    x = torch.tensor([[3.0, 4.0], [0.0, 0.5]]).view(2, 1, 1, 2).requires_grad_()
    logits = x.square().sum(dim=(1, 2, 3)) / 2  # with the gradient x: norms 5 and 0.5
    assert torch.isclose(losses.gradient_penalty(logits, x), torch.tensor((16 + 0.25) / 2))


def test_interpolates_lie_on_the_line_between_each_pair_all_pixels_at_one_place():
    real, fake = torch.full((50, 1, 2, 2), 3.0), torch.full((50, 1, 2, 2), 1.0)
    x = losses.interpolates(real, fake, torch.Generator().manual_seed(0))
    places = x.detach().flatten(1)
    assert x.requires_grad and 1 <= places.min() < 1.2 and 2.8 < places.max() <= 3
    assert torch.equal(places, places[:, :1].expand(-1, 4)) and len(places[:, 0].unique()) == 50
    assert torch.equal(x, losses.interpolates(real, fake, torch.Generator().manual_seed(0)))


def test_a_family_s_own_loss_has_its_paper_s_turns_and_another_one_its_own():
    own = PaperLoss("hinge", 5, (0.0, 0.9))
    found = {name: losses.adversarial(name, own) for name in losses.LOSSES}
    assert {name: loss.moves for name, loss in found.items()} == {
        "logistic": 1, "relativistic": 1, "hinge": 5, "wgan_gp": 5,
    }  # fmt: skip
    assert losses.adversarial("hinge", PaperLoss()).moves == 1
    assert [loss.gradient_penalty for loss in found.values()] == [0, 0, 0, 10]
    assert [loss.betas for loss in found.values()] == [(0.0, 0.99), (0.0, 0.99), (0.0, 0.9), (0.0, 0.9)]
    assert [loss.lazy_penalty for loss in found.values()] == [True, True, False, False]
