"""Recipes of the shipped source GANs: networks, images and training of each."""

from copy import deepcopy
from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True)
class Phase:
    """A span of training at one resolution: the networks, and how many images are seen by its end."""

    config: dict[str, Any]
    until: int

    @property
    def resolution(self) -> int:
        """Side of the images in pixels."""
        return int(self.config["generator"]["resolution"])


@dataclass(frozen=True)
class Recipe:
    """How a source GAN is made.

    Attributes:
        name: of the GAN.
        images: the shipped domain that it learns, or the name of images of one's own.
        config: the networks.
        thousands: of images seen in all: iterations times the batch. Where D has several moves in an iteration, it sees
            as many times more.
        batch: images per step.
        growing: phases before the last, each as (resolution, thousands of images seen by its end); only a StyleGAN2
            grows.
        options: of the training, as in `TransferGAN`, or `Conditional` where the networks have classes.
        share: of the images that is trained on, a random part of them, 0..1.
    """

    name: str
    images: str
    config: dict[str, Any]
    thousands: int
    batch: int = 16
    growing: tuple[tuple[int, int], ...] = ()
    augment: str | None = None
    options: dict[str, Any] = field(default_factory=dict)
    share: float = 1.0

    @property
    def resolution(self) -> int:
        """Side of the images in pixels."""
        return int(self.config["generator"]["resolution"])

    def phases(self) -> list[Phase]:
        """Return the phases of training, the last one at full resolution."""
        early = [Phase(smaller(self.config, side), thousands * 1000) for side, thousands in self.growing]
        return [*early, Phase(self.config, self.thousands * 1000)]


def smaller(config: dict[str, Any], resolution: int) -> dict[str, Any]:
    """Return the configuration of a StyleGAN2 of lower resolution, as wide as this one at each that both have."""
    config = deepcopy(config)
    for sizes in (config["generator"], config["discriminator"]):
        sizes["resolution"] = resolution  # widths follow from `channel_base`, the same at each side
    return config


FAMILY_NAMES = {
    "stylegan2": "StyleGAN2",
    "progan": "ProGAN",
    "sngan": "SNGAN",
    "wgan_resnet": "WGAN-GP's residual GAN",
    "gp_resnet": "GP-GAN",
    "biggan": "BigGAN",
    "biggan_deep": "BigGAN-deep",
}


def networks(
    family: str,
    resolution: int,
    channels: int,
    channel_base: int,
    channel_max: int = 128,
    latent: int = 128,
    classes: int | None = None,
) -> dict[str, Any]:
    """Return the configuration of a small GAN; a StyleGAN2 with four mapping layers and no noise inputs (drawings
    have none).
    """
    sizes = {
        "resolution": resolution, "channels": channels, "channel_base": channel_base, "channel_max": channel_max,
    }  # fmt: skip
    sizes |= {} if classes is None else {"classes": classes}  # of a family that can be class-conditional
    mapping = {"w_dim": latent, "mapping_layers": 4, "noise": False} if family == "stylegan2" else {}
    return {"family": family, "generator": {**sizes, "z_dim": latent, **mapping}, "discriminator": dict(sizes)}


def gp_networks(resolution: int, channels: int, channel_base: int, classes: int) -> dict[str, Any]:
    """Return the configuration of a small class-conditional GP-GAN: of its published variants that with one block at
    each resolution.
    """
    config = networks("gp_resnet", resolution, channels, channel_base, latent=64, classes=classes)
    config["generator"] |= {"embed": 16, "blocks": 1}
    config["discriminator"] |= {"blocks": 1}
    return config


def biggan_networks(
    resolution: int, channels: int, channel_base: int, channel_max: int, classes: int
) -> dict[str, Any]:
    """Return the configuration of a small class-conditional BigGAN, with self-attention at half the resolution."""
    config = networks("biggan", resolution, channels, channel_base, channel_max, latent=64, classes=classes)
    config["generator"] |= {"embed": 32, "attention": [resolution // 2]}
    config["discriminator"] |= {"attention": [resolution // 2]}
    return config


RECIPES: dict[str, Recipe] = {
    recipe.name: recipe
    for recipe in (
        Recipe(
            "avatars-stylegan2",
            "avatars/personas",
            networks("stylegan2", 64, 3, channel_base=2048),
            thousands=10_000,
            growing=((32, 400),),
            options={"loss": "relativistic", "r1_gamma": 1.0, "r2_gamma": 1.0},
        ),
        Recipe(
            "fashion-stylegan2",
            "fashion/base",
            networks("stylegan2", 32, 1, channel_base=1024),
            thousands=3000,
            options={"loss": "relativistic", "r1_gamma": 0.3, "r2_gamma": 0.3},
        ),
        Recipe(
            "avatars-progan",
            "avatars/personas",
            networks("progan", 64, 3, channel_base=768, channel_max=96),
            thousands=3000,
            options={"loss": "relativistic", "r1_gamma": 1.0, "r2_gamma": 1.0},
        ),
        Recipe(
            "fashion-gp-resnet",
            "fashion/source",
            gp_networks(32, 1, channel_base=512, classes=8),
            thousands=3000,
            options={"r1_gamma": 1.25, "learning_rate": 0.001},
        ),
        Recipe(
            "avatars-gp-resnet",
            "avatars/source",
            gp_networks(64, 3, channel_base=1024, classes=6),
            thousands=3000,
            options={"r1_gamma": 2.5, "learning_rate": 0.001},
        ),
        Recipe(
            "fashion-sngan",
            "fashion/source",
            networks("sngan", 32, 1, channel_base=512, channel_max=64, latent=64, classes=8),
            thousands=64,
            batch=32,
            options={"learning_rate": 0.001},
        ),
        Recipe(
            "fashion-biggan",
            "fashion/source",
            biggan_networks(32, 1, channel_base=512, channel_max=64, classes=8),
            thousands=400,
            batch=32,
            options={"learning_rate": 0.0005},
        ),
        *(
            Recipe(
                name,
                images,
                networks("wgan_resnet", 32, 1, channel_base=384, channel_max=channel_max, latent=32),
                thousands=thousands,
                batch=16,
                options={"learning_rate": 0.001},
                share=share,
            )
            for name, images, channel_max, thousands, share in (
                ("fashion-wgan", "fashion/source", 48, 48, 1),
                ("fashion-wgan-sneaker", "fashion/sneaker", 24, 32, 1),
                ("fashion-wgan-dress", "fashion/dress", 24, 32, 1),
                ("fashion-wgan-ankle-boot", "fashion/ankle-boot", 24, 32, 1),
                ("fashion-wgan-trouser", "fashion/trouser", 24, 32, 1),
                # as many images of eight classes as those above have of one, and eight times as many
                ("fashion-wgan-diverse", "fashion/source", 24, 32, 1 / 8),
                ("fashion-wgan-diverse-8x", "fashion/source", 24, 32, 1),
                ("avatars-wgan", "avatars/personas", 24, 32, 1),  # in grey: another domain
            )
        ),
    )
}
