"""A GAN is a generator, a discriminator and their configuration: sample it, combine it with others, save it
(`gans/stored.py` loads it).

Files are safetensors: tensors under `generator.` and `discriminator.`, the configuration and the model card as JSON in
the metadata. Files carry both networks, since nearly every method needs both; where a public release has only a
generator, the discriminator's configuration is None.
"""

import copy
import inspect
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import safetensors.torch
import torch
from torch import Tensor, nn

from fewshotgan.files import UserError, atomic_write, check_seed, check_truncation, clip, first_line, shown, whole
from fewshotgan.gans import (
    biggan,
    biggan_deep,
    dcgan,
    gp_resnet,
    mixture,
    network,
    progan,
    sngan,
    stylegan2,
    wgan_resnet,
)
from fewshotgan.gans.network import Discriminator, Generator
from fewshotgan.gans.prior import Miner, slerp
from fewshotgan.progress import watched

Config = dict[str, Any]
"""The constructors' arguments, as JSON: {"family": ..., "generator": {...}, "discriminator": {...} or None}."""

FAMILIES: dict[str, tuple[type[Generator], type[Discriminator]]] = {
    "stylegan2": (stylegan2.Generator, stylegan2.Discriminator),
    "progan": (progan.Generator, progan.Discriminator),
    "sngan": (sngan.Generator, sngan.Discriminator),
    "wgan_resnet": (wgan_resnet.Generator, wgan_resnet.Discriminator),
    "gp_resnet": (gp_resnet.Generator, gp_resnet.Discriminator),
    "dcgan": (dcgan.Generator, dcgan.Discriminator),
    "biggan": (biggan.Generator, biggan.Discriminator),
    "biggan_deep": (biggan_deep.Generator, biggan_deep.Discriminator),
}
UNBUILT = (TypeError, ValueError, LookupError, AttributeError, ArithmeticError, RuntimeError, AssertionError)
SEVERAL = " & "  # between the names of GANs that are adapted together
OWN = {"architecture", "mapping_layers"}  # options that a discriminator does not share with its generator
MOST = 10**7  # latents at a time
STORED = {  # safetensors' names
    "F32": torch.float32, "F16": torch.float16, "BF16": torch.bfloat16, "F64": torch.float64,
}  # fmt: skip
MIXTURE = "mixture"  # the family that `combine` makes: several generators as one, each of a family above


class Missing(Discriminator):
    """Stands in where a GAN has no discriminator; it has no layers and refuses to judge."""

    def groups(self) -> network.Groups:
        """Return nothing."""
        return {}

    def forward(self, x: Tensor, features: list[Tensor] | None = None, *, labels: Tensor | None = None) -> Tensor:
        """Refuse.

        Raises:
            UserError: always.
        """
        raise UserError(
            "This GAN came without a discriminator, so it cannot judge images; load a file that has both networks, or "
            "start one from scratch with judged()."
        )

    def trunk(self, x: Tensor, side: int, features: list[Tensor] | None = None) -> Tensor:
        """Refuse, as `forward`."""
        return self(x)


class GAN:
    """Generator, discriminator and configuration; made by `load_gan`, `GAN.create` or an adaptation.

    Attributes:
        generator: maps latents (N, z_dim) to images (N, C, H, W), about -1..1; see `network.Generator`.
        discriminator: maps images to logits (N, 1); see `network.Discriminator`.
        config: {"family": ..., "generator": {...}, "discriminator": {...} or None}, the constructors' arguments.
        name: what to call it in tables and messages.
        card: the model card: where it comes from, measured figures; any JSON values.
    """

    def __init__(
        self,
        generator: Generator,
        discriminator: Discriminator,
        config: Config,
        name: str,
        card: dict[str, Any] | None = None,
    ) -> None:
        self.generator = generator.eval()
        self.discriminator = discriminator.eval()
        self.config, self.name, self.card = config, name, card or {}

    @classmethod
    def create(cls, config: Config, name: str, seed: int = 0) -> "GAN":
        """Build a GAN with fresh random weights.

        Raises:
            UserError: if the configuration names an unknown family or impossible sizes.
        """
        if config.get("family") not in (*FAMILIES, MIXTURE):
            raise UserError(
                f"{name} is of the unknown family {config.get('family')!r}; known are: {', '.join(FAMILIES)}."
            )
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed)
            try:
                generator, discriminator = networks_of(config)
            except UNBUILT as error:
                raise unbuilt(name, error) from error
        for part in (generator, discriminator):
            part.to(memory_format=torch.channels_last)  # about a quarter faster on a CPU
        return cls(generator, discriminator, config, name)

    @property
    def resolution(self) -> int:
        """Side of the images in pixels."""
        return self.generator.resolution

    @property
    def channels(self) -> int:
        """1 for grey, 3 for colour."""
        return self.generator.channels

    @property
    def z_dim(self) -> int:
        """Size of the latents."""
        return self.generator.z_dim

    @property
    def classes(self) -> int:
        """Number of classes that need a label; 0 for an unconditional GAN, or one whose prior chooses the classes."""
        return 0 if isinstance(self.generator.prior, Miner) else self.generator.classes

    @property
    def complete(self) -> bool:
        """Whether there is a discriminator."""
        return self.config["discriminator"] is not None

    @property
    def device(self) -> torch.device:
        """Device of the generator's weights."""
        return next(self.generator.parameters()).device

    def latents(self, n: int, seed: int = 0) -> Tensor:
        """Return the n latents (n, z_dim) of a seed, the same on every device. What a prior takes beside z comes after
        all of z, so that a GAN adapted with one gets the latents of its source.

        Raises:
            UserError: if n is below 1 or above 10 million, or PyTorch cannot take the seed.
        """
        n, seed = whole("n", n), check_seed(seed)
        if not 1 <= n <= MOST:
            raise UserError(f"n={shown(n)} latents can't be drawn; give 1 to {MOST:,}.")
        rng, extra = torch.Generator().manual_seed(seed), self.generator.prior.extra
        return torch.cat([torch.randn(n, size, generator=rng) for size in (self.z_dim - extra, extra)], dim=1)

    def labels(self, n: int, seed: int = 0) -> Tensor:
        """Return the n labels (n,) of a seed, drawn from its stream of random numbers after the latents."""
        rng = torch.Generator().manual_seed(check_seed(seed))
        torch.randn(n, self.z_dim, generator=rng)
        return torch.randint(max(self.classes, 1), (n,), generator=rng)

    def sample(self, n: int, seed: int = 0, *, truncation: float = 1.0, labels: int | Tensor | None = None) -> Tensor:
        """Return n images (n, C, H, W), float32, -1..1, on the CPU; the same seed gives the same images.

        Args:
            n: how many.
            seed: of the latents, and of the labels if none are given.
            truncation: 1 for none, towards 0 for more typical and less diverse images.
            labels: of a class-conditional GAN, one for all images or (n,).

        Raises:
            UserError: if the GAN has no such labels.
        """
        if labels is None and self.classes:
            labels = self.labels(n, seed)
        return self.render(self.latents(n, seed), truncation=truncation, labels=labels)

    @torch.no_grad()
    def render(
        self, z: Tensor, *, truncation: float = 1.0, labels: int | Tensor | None = None, batch: int = 32
    ) -> Tensor:
        """Return the images (N, C, H, W), float32, -1..1, of latents (N, z_dim); labels default to those of seed 0.

        Raises:
            UserError: if the truncation is no number from -10 to 10, or the GAN has no such labels.
        """
        check_truncation(truncation)
        y, images = self.given(labels, len(z)), []
        for i in watched(range(0, len(z), batch), "images"):
            labels = None if y is None else y[i : i + batch].to(self.device)
            images.append(self.generator(z[i : i + batch].to(self.device), truncation=truncation, labels=labels))
        return torch.cat(images).clamp(-1, 1).float().cpu().contiguous()

    def given(self, labels: int | Tensor | None, n: int) -> Tensor | None:
        """Return labels (n,), given or drawn; None if the GAN has no classes.

        Raises:
            UserError: if the GAN has no such labels.
        """
        if not self.classes:
            if labels is not None:
                raise UserError(f"{self.name} has no classes: leave out the labels.")
            return None
        y = self.labels(n) if labels is None else torch.as_tensor(labels).expand(n)
        if int(y.min()) < 0 or int(y.max()) >= self.classes:
            raise UserError(
                f"{self.name} has the labels 0 to {self.classes - 1}, not {int(y.min())} to {int(y.max())}."
            )
        return y

    def interpolate(
        self, n_keys: int = 4, steps: int = 12, seed: int = 0, *, truncation: float = 1.0, label: int | None = None
    ) -> Tensor:
        """Return a closed walk (n_keys * steps, C, H, W) through n_keys latents of one class, along great circles
        between them.

        Args:
            n_keys: latents that the walk passes through.
            steps: images from one of them to the next.
            seed: of the latents, and of the class if none is given.
            truncation: as `sample`.
            label: the class, of a class-conditional GAN.

        Raises:
            UserError: as `render`.
        """
        keys = self.latents(n_keys, seed)
        walk = [slerp(keys[i], keys[(i + 1) % n_keys], step / steps) for i in range(n_keys) for step in range(steps)]
        drawn = int(self.labels(1, seed)) if self.classes and label is None else label
        return self.render(torch.stack(walk), truncation=truncation, labels=drawn)

    def changed(self, seed: int = 0, **arguments: Any) -> "GAN":
        """Return a copy with other arguments for the generator's constructor (for each generator's, in a mixture).

        Weights are kept where both networks have them.

        Args:
            seed: of weights that are new.
            arguments: of the generator, such as `prior`.
        """
        config = copy.deepcopy(self.config)
        for part in config["generator"].get("parts") or [config]:
            part["generator"].update(arguments)
        gan = GAN.create(config, self.name, seed).to(self.device)
        gan.generator.load_state_dict(self.generator.state_dict(), strict=False)
        gan.discriminator.load_state_dict(self.discriminator.state_dict())
        return gan

    def judged(self, seed: int = 0) -> "GAN":
        """Return a copy with a fresh discriminator of its family, as wide as the generator and without training.

        Raises:
            UserError: of a mixture of GANs.
        """
        if self.config["family"] == MIXTURE:
            raise UserError(f"{self.name} is a mixture of GANs; start a discriminator for one of them.")
        taken = inspect.signature(FAMILIES[self.config["family"]][1]).parameters.keys() - OWN
        config = copy.deepcopy(self.config)
        config["discriminator"] = {key: value for key, value in config["generator"].items() if key in taken}
        gan = GAN.create(config, self.name, seed).to(self.device)
        gan.generator.load_state_dict(self.generator.state_dict())
        gan.card = copy.deepcopy(self.card)
        return gan

    def copy(self) -> "GAN":
        """Return an independent copy."""
        return GAN(
            *copy.deepcopy((self.generator, self.discriminator, self.config)), self.name, copy.deepcopy(self.card)
        )

    def unconditional(self) -> "GAN":
        """Return a copy without classes, by the networks' `mean_class`, since a few images come without labels."""
        if not self.classes:
            return self.copy()
        config = copy.deepcopy(self.config)
        for sizes in filter(None, (config["generator"], config["discriminator"])):
            sizes.update({"classes": 0} if "classes" in sizes else {})
        gan = GAN.create(config, self.name).to(self.device)
        gan.card = copy.deepcopy(self.card)
        for plain, own in ((gan.generator, self.generator), (gan.discriminator, self.discriminator)):
            plain.load_state_dict(own.mean_class() if own.classes else own.state_dict())
        return gan

    def to(self, device: str | torch.device) -> "GAN":
        """Move both networks to a device; returns self."""
        self.generator.to(device)
        self.discriminator.to(device)
        return self

    def refresh(self) -> "GAN":
        """Recompute what follows from the weights (the centre of truncation); returns self."""
        self.generator.refresh()
        return self

    def weights(self) -> list[Tensor]:
        """Return every tensor of both networks, buffers included, in a fixed order."""
        return [*self.generator.state_dict().values(), *self.discriminator.state_dict().values()]

    def to_half(self) -> "GAN":
        """Round the weights to what a half-precision file holds; returns self."""
        for part in (self.generator, self.discriminator):
            part.half().float()
        return self

    def save(self, path: str | Path, dtype: torch.dtype = torch.float32) -> None:
        """Write one safetensors file, whole or not at all; float16 makes it half as large and keeps three digits (see
        `to_half`).

        Raises:
            UserError: if the name has another ending, `dtype` holds no weights, a weight is not finite in it, or the
                file can't be written.
        """
        if dtype not in STORED.values():
            raise UserError(
                f"dtype={shown(dtype)} holds no weights; give one of {', '.join(map(str, STORED.values()))}."
            )
        if Path(path).suffix != ".safetensors":
            raise UserError(f"{clip(path)} must end in .safetensors, by which it is known when it is loaded again.")
        networks = nn.ModuleDict({"generator": self.generator, "discriminator": self.discriminator})
        tensors = {key: value.detach().to("cpu", dtype).contiguous() for key, value in networks.state_dict().items()}
        for key, value in tensors.items():
            if not torch.isfinite(value).all():
                raise UserError(
                    f"{clip(self.name, 60)} is not saved: {key} has values that are not finite as {dtype}; "
                    "go back to a GAN before it broke down."
                )
        metadata = {"fewshotgan": json.dumps({"name": self.name, "config": self.config, "card": self.card})}
        with atomic_write(path) as temporary:
            temporary.write_bytes(safetensors.torch.save(tensors, metadata))


def unbuilt(name: str, error: Exception) -> UserError:
    """Return the refusal of a configuration at which a constructor failed."""
    return UserError(f"{clip(name, 60)} has a configuration that builds no GAN ({first_line(error)}).")


def networks_of(config: Config) -> tuple[Generator, Discriminator]:
    """Build generator and discriminator; a mixture's discriminator is of its first generator's family."""
    sizes, family = dict(config["generator"]), config["family"]
    if family == MIXTURE:
        members = sizes.pop("parts")
        if not members:
            raise ValueError("a mixture of no generators")
        parts, family = [FAMILIES[part["family"]][0](**part["generator"]) for part in members], members[0]["family"]
        generator: Generator = mixture.Generator(parts, **sizes)
    else:
        generator = FAMILIES[family][0](**sizes)
    if config["discriminator"] is None:
        return generator, Missing(generator.resolution, generator.channels)
    return generator, FAMILIES[family][1](**config["discriminator"])


def combine(gans: Sequence[GAN]) -> GAN:
    """Return one GAN that samples from all of these with equal probability, with the discriminator of the first; of
    one, itself.

    Raises:
        UserError: if there is none, one of them is a mixture itself, or their images differ in size or channels.
    """
    if not gans:
        raise UserError("There is no GAN to adapt in an empty list; hand over at least one.")
    first = gans[0]
    if len(gans) == 1:
        return first
    for gan in gans:
        if (gan.resolution, gan.channels) != (first.resolution, first.channels):
            raise UserError(
                f"{clip(first.name, 40)} makes images of {first.resolution} pixels and {first.channels} channels, "
                f"{clip(gan.name, 40)} of {gan.resolution} and {gan.channels}; GANs of one run must agree."
            )
        if gan.config["family"] == MIXTURE:
            raise UserError(f"{gan.name} is a mixture of GANs already; hand over the GANs themselves.")
    parts = [{"family": gan.config["family"], "generator": gan.config["generator"]} for gan in gans]
    z_dim = max(gan.z_dim for gan in gans) + 1
    sizes = {"resolution": first.resolution, "channels": first.channels, "z_dim": z_dim, "parts": parts}
    config = copy.deepcopy({"family": MIXTURE, "generator": sizes, "discriminator": first.config["discriminator"]})
    combined = GAN.create(config, SEVERAL.join(gan.name for gan in gans))
    assert isinstance(combined.generator, mixture.Generator)
    for gan, part in zip(gans, combined.generator.parts, strict=True):
        part.load_state_dict(gan.generator.state_dict())
    combined.discriminator.load_state_dict(first.discriminator.state_dict())
    return combined
