"""Fisher information of parameters, as EWC and AdAM use it: the mean over samples of the squared gradient, a sample at
a time.

Diagonal, empirical (arXiv 2210.16559, section 4.1): F = E[(d loss / d theta)^2]. The square of a batch's mean gradient,
which some public code takes, is another and mostly smaller number. The loss is the logistic one, -log D(G(z)) for G,
unless another is given: a Wasserstein critic's logits have no zero, so that no likelihood can be read from them.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager

import torch
from torch import Tensor, nn
from torch.func import functional_call, vjp, vmap

from fewshotgan.losses import LOSSES, Adversarial

Parameters = dict[str, Tensor]
LOGISTIC = LOSSES["logistic"]
CHUNK = 16  # most samples whose gradients are computed together
NUMBERS = 2**25  # of those gradients: of a network of many parameters fewer samples go together, but never fewer than 8


def fisher(
    loss: Callable[..., Tensor], parameters: Parameters, samples: tuple[Tensor, ...], chunk: int | None = None
) -> Parameters:
    """Return F for each parameter, of its shape, not negative.

    Args:
        loss: maps (parameters, one sample of each tensor) to a scalar.
        parameters: where the gradient is taken, by name.
        samples: tensors (N, ...), the N-th rows together a sample.
        chunk: samples at a time, by default as many as fit `NUMBERS`; changes the speed and the memory, not the result.
    """

    def gradient(parameters: Parameters, *sample: Tensor) -> Parameters:
        value, pull = vjp(lambda at: loss(at, *sample), parameters)  # type: ignore[misc]  # two, without has_aux
        gradients: Parameters = pull(torch.ones_like(value), retain_graph=False)[0]
        return gradients

    gradients = vmap(gradient, in_dims=(None, *[0] * len(samples)), randomness="error")
    chunk = chunk or max(8, min(CHUNK, NUMBERS // sum(value.numel() for value in parameters.values())))
    total = {name: torch.zeros_like(value) for name, value in parameters.items()}
    # nobody asks for a second derivative: `torch.func.grad` would keep its graph, which takes a sixth more time
    with torch.no_grad():
        for parts in zip(*(torch.split(sample, chunk) for sample in samples), strict=True):
            for name, value in gradients(parameters, *parts).items():
                for each in value:  # faster than to square all and sum them: what is added to stays in the cache
                    total[name].addcmul_(each, each)
    return {name: value / len(samples[0]) for name, value in total.items()}


def generator_fisher(
    generator: nn.Module,
    discriminator: nn.Module,
    names: list[str],
    z: Tensor,
    chunk: int | None = None,
    adversarial: Adversarial = LOGISTIC,
) -> Parameters:
    """Return F of G's parameters `names` under its adversarial loss, which may not be a paired one, for latents (N,
    z_dim); the noise inputs are the stored ones.
    """

    def loss(parameters: Parameters, latent: Tensor) -> Tensor:
        image = functional_call(generator, parameters, (latent[None],), {"noise": "const"})
        logits = discriminator(image)
        return adversarial.generator(logits, logits)

    return fisher(loss, _pick(generator, names), (z,), chunk)


def discriminator_fisher(
    discriminator: nn.Module,
    names: list[str],
    real: Tensor,
    fake: Tensor,
    chunk: int | None = None,
    adversarial: Adversarial = LOGISTIC,
) -> Parameters:
    """Return F of D's parameters `names` under its adversarial loss, for pairs of real and generated images (N, C, H,
    W).
    """

    def loss(parameters: Parameters, x: Tensor, y: Tensor) -> Tensor:
        logits_x, logits_y = (functional_call(discriminator, parameters, (image[None],)) for image in (x, y))
        return adversarial.discriminator(logits_x, logits_y)

    return fisher(loss, _pick(discriminator, names), (real, fake), chunk)


def both_fisher(
    generator: nn.Module,
    discriminator: nn.Module,
    names: dict[str, list[str]],
    z: Tensor,
    images: Tensor,
    adversarial: Adversarial = LOGISTIC,
) -> dict[str, Parameters]:
    """Return F of both networks, {"generator": ..., "discriminator": ...}, with as many samples as there are latents.

    Args:
        generator: the generator.
        discriminator: the discriminator.
        names: of the parameters, by network.
        z: latents (N, z_dim).
        images: real images, uint8 (M, C, H, W), repeated as often as it takes.
        adversarial: the loss.
    """
    real = images[torch.arange(len(z), device=images.device) % len(images)].float() / 127.5 - 1
    with evaluating(generator, discriminator):
        with torch.no_grad():
            fake = torch.cat([generator(part, noise="const") for part in torch.split(z, CHUNK)])
        return {
            "generator": generator_fisher(generator, discriminator, names["generator"], z, None, adversarial),
            "discriminator": discriminator_fisher(discriminator, names["discriminator"], real, fake, None, adversarial),
        }


@contextmanager
def evaluating(*networks: nn.Module) -> Iterator[None]:
    """Keep networks in evaluation mode for a while: a sample's gradient must not depend on the batch, nor leave a
    trace in statistics.
    """
    modes = [(module, module.training) for network in networks for module in network.modules()]
    for network in networks:
        network.eval()
    try:
        yield
    finally:
        for module, mode in modes:
            module.training = mode


def _pick(network: nn.Module, names: list[str]) -> Parameters:
    """Return the parameters of those names, detached."""
    every = dict(network.named_parameters())
    return {name: every[name].detach() for name in names}
