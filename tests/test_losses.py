"""Losses against their equations on tiny tensors."""

import math

import torch

from fewshotgan import losses


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
