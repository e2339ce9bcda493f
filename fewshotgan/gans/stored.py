"""Load GANs: the shipped ones by name, ours by path, and public releases. No code in a file is ever run."""

import difflib
import hashlib
import json
from functools import cache
from pathlib import Path
from typing import Any

import safetensors
import safetensors.torch
import torch
from torch import Tensor, nn

from fewshotgan.files import UserError, data_dir
from fewshotgan.gans import official
from fewshotgan.gans.gan import GAN


def list_gans() -> dict[str, str]:
    """Return the shipped GANs: {name: one line about it}."""
    return {
        path.stem: _read_metadata(path)["card"].get("summary", "") for path in sorted(_shipped().glob("*.safetensors"))
    }


@cache
def version(name: str) -> str:
    """Return twelve digits that identify a shipped GAN: the SHA-256 of its configuration and weights, not its card."""
    path = _shipped() / f"{name}.safetensors"
    with open(path, "rb") as file:
        tensors = json.loads(file.read(int.from_bytes(file.read(8), "little")))
        del tensors["__metadata__"]
        head = json.dumps([_read_metadata(path)["config"], tensors], sort_keys=True)
        return hashlib.sha256(head.encode() + file.read()).hexdigest()[:12]


def load_gan(name_or_path: str | Path) -> GAN:
    """Load a shipped GAN by name, a file of ours, or an official release.

    Args:
        name_or_path: "avatars-stylegan2", a `.safetensors` file written by `GAN.save`, or a `.pt`/`.pth` checkpoint
            of StyleGAN2 in the rosinality layout (`{"g_ema": ..., "d": ...}`, "d" may be missing), AdAM's included, of
            ProGAN as pro_gan_pytorch or pytorch_GAN_zoo write it, of GP-GAN as GAN_stability does, or a generator of
            SNGAN or cGAN-PD as mimicry writes it.

    Raises:
        UserError: if there is no such GAN, the file is truncated or does not fit, or it is a pickle of more than
            weights.
    """
    path = Path(name_or_path)
    shipped = _shipped() / f"{name_or_path}.safetensors"
    if shipped.is_file():
        return _load_ours(shipped)
    if not path.is_file():
        close = difflib.get_close_matches(str(name_or_path), list_gans(), n=1) or sorted(list_gans())
        raise UserError(
            f"There is no GAN {str(name_or_path)!r}, shipped or as a file; did you mean {' or '.join(close)}?"
        )
    if path.suffix == ".safetensors":
        return _load_ours(path)
    return _load_official(path)


def _shipped() -> Path:
    return data_dir() / "gans"


def _read_metadata(path: Path) -> dict[str, Any]:
    """Return {"name", "config", "card"} of a file of ours."""
    try:
        with safetensors.safe_open(path, framework="pt") as file:
            metadata: dict[str, Any] = json.loads((file.metadata() or {})["fewshotgan"])
        if not all(isinstance(metadata[key], kind) for key, kind in (("name", str), ("config", dict), ("card", dict))):
            raise KeyError
        return metadata
    except (KeyError, TypeError) as error:
        raise UserError(
            f"{path} is a safetensors file, but not one that fewshotgan wrote: it has no configuration."
        ) from error
    except (safetensors.SafetensorError, json.JSONDecodeError, OSError) as error:
        raise UserError(f"{path} is damaged or not a safetensors file ({error}); download or copy it again.") from error


def _load_ours(path: Path) -> GAN:
    metadata = _read_metadata(path)
    gan = GAN.create(metadata["config"], metadata["name"])
    gan.card = metadata["card"]
    _fill(gan, safetensors.torch.load_file(path), path)
    return gan


def _load_official(path: Path) -> GAN:
    """Load a PyTorch checkpoint without running any code in it."""
    try:
        checkpoint = torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:  # truncated or corrupt files raise a dozen kinds
        raise UserError(
            f"{path} is not a file of plain weights: it is damaged, or a pickle with more than tensors, which is never "
            "opened."
        ) from error
    try:
        config, generator, discriminator = official.convert(checkpoint)
    except (KeyError, TypeError, IndexError, AttributeError, ValueError, RuntimeError) as error:
        raise UserError(
            f"{path} has no layout that fewshotgan knows (`load_gan` lists them); missing or unknown: {error}."
        ) from error
    gan = GAN.create(config, path.stem)
    prefixed = {f"generator.{key}": value for key, value in generator.items()}
    _fill(gan, {**prefixed, **{f"discriminator.{key}": value for key, value in discriminator.items()}}, path)
    gan.refresh()
    return gan


def _fill(gan: GAN, tensors: dict[str, Tensor], path: Path) -> None:
    """Load tensors into both networks, or say in one sentence why they don't fit."""
    networks = nn.ModuleDict({"generator": gan.generator, "discriminator": gan.discriminator})
    wanted = networks.state_dict()
    unmatched = sorted(wanted.keys() ^ tensors.keys())
    if unmatched:
        problem = "is missing" if unmatched[0] in wanted else "belongs to no layer"
        raise UserError(f"{path} does not fit its own configuration: the tensor {unmatched[0]} {problem}.")
    for key, value in wanted.items():
        if value.shape != tensors[key].shape:
            raise UserError(
                f"{path} does not fit its own configuration: {key} is {tuple(tensors[key].shape)}, "
                f"not {tuple(value.shape)}."
            )
        if not torch.isfinite(tensors[key]).all():
            raise UserError(f"{path} has values that are not finite, in {key}; download or copy it again.")
    networks.load_state_dict(tensors)
