"""The sizes of a GAN's tensors by its configuration, without room for one: a file is compared with them first."""

import torch
from torch import nn

from fewshotgan.gans.gan import UNBUILT, Config, networks_of, unbuilt


def shapes(config: Config, name: str, most: int) -> dict[str, tuple[int, ...]]:
    """Return the shape of every tensor that a GAN of this configuration has, without room for one of them.

    Args:
        config: the constructors' arguments, which may be anything.
        name: for the message.
        most: the number of tensors that there can be.

    Raises:
        UserError: if the configuration builds no GAN, or one that has more tensors.
    """
    try:
        if not all(isinstance(config["generator"].get(key, 1), int) for key in ("mapping_layers", "resolution")):
            raise TypeError("sizes must be whole numbers")
        if any(number > most for number in counts(config)):
            raise ValueError("it has more layers than the file has tensors")
        with torch.device("meta"):
            networks = nn.ModuleDict(dict(zip(("generator", "discriminator"), networks_of(config), strict=True)))
    except (*UNBUILT, RecursionError, MemoryError) as error:
        raise unbuilt(name, error) from error
    return {key: tuple(value.shape) for key, value in networks.state_dict().items()}


def counts(config: Config) -> list[int]:
    """Return the numbers in a configuration that say how often something is built."""
    parts = [config, *(config["generator"].get("parts") or [])]
    return [len(parts) - 1] + [int(part["generator"].get("mapping_layers", 0)) for part in parts]
