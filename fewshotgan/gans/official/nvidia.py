"""StyleGAN2 as NVlabs/stylegan2-ada-pytorch pickles it, networks and their code together: {G, D, G_ema}. The code is
never looked at; tensors and settings come from the modules' state. Only names change.

Differs: where NVIDIA's networks run in half precision they clamp what convolutions make to +-256, which ours don't, as
they run in single precision. Activations of another kind than the leaky ReLU, filters other than [1, 3, 3, 1] and
another number of deviation maps than one are refused; no configuration of that trainer has any.
"""

import re
from collections.abc import Mapping
from functools import partial
from typing import Any

import torch
from torch import Tensor

from fewshotgan.gans.layers import fir_kernel
from fewshotgan.gans.network import StateDict
from fewshotgan.gans.official.layout import Converted, Layout, Misfit, Part, measure, paired, renamed

_GENERATOR = {
    r"mapping": "w_mean",
    r"mapping\.fc(\d+)": "mapping.layers.{0}",
    r"mapping\.embed": "mapping.embedding",
    r"synthesis\.b4": "const",
    r"synthesis\.b(\d+)\.(conv[01])\.affine": "blocks.{0}.{1}.conv.affine",
    r"synthesis\.b(\d+)\.(conv[01]|skip)": "blocks.{0}.{1}",
    r"synthesis\.b(\d+)\.torgb\.affine": "blocks.{0}.to_image.conv.affine",
    r"synthesis\.b(\d+)\.torgb": "blocks.{0}.to_image",
}
_DISCRIMINATOR = {
    r"mapping\.fc(\d+)": "projection.mapping.layers.{0}",
    r"mapping\.embed": "projection.mapping.embedding",
    r"b4\.conv": "conv",
    r"b4\.fc": "hidden",
    r"b4\.out": "out",
    r"b(\d+)\.fromrgb": "from_images.{0}",
    r"b(\d+)\.(conv[01]|skip)": "blocks.{0}.{1}",
}
FIXED = {"activation": ("lrelu", "linear"), "num_channels": (1,)}  # settings that only one kind of network has


def convert(g: Part, d: Part | None) -> Converted:
    """Convert a generator and its discriminator."""
    judge, settings = (discriminator(d), d.settings) if d else ({}, {})
    judged = partial(discriminator_sizes, settings=settings)
    return paired("stylegan2", generator(g), judge, generator_sizes, judged, centred=True)


def generator(part: Part) -> StateDict:
    """Convert a generator for `stylegan2.Generator`.

    Raises:
        KeyError: if a key belongs to no layer of it.
        Misfit: for what our network does otherwise.
    """
    converted: StateDict = {}
    for key, value in renamed(_plain(part), _GENERATOR).items():
        key = re.sub(r"^(w_mean|const)\..+", r"\1", key)
        key = re.sub(r"(\.conv[01]|\.to_image)\.weight$", r"\1.conv.weight", key)
        converted[key] = value
    return converted


def discriminator(part: Part) -> StateDict:
    """Convert a discriminator for `stylegan2.Discriminator`; raises as `generator`."""
    renaming = renamed(_plain(part), _DISCRIMINATOR)
    largest = max(int(key.split(".")[1]) for key in renaming if key.startswith("blocks."))
    return {key.replace(f"from_images.{largest}.", "from_image."): value for key, value in renaming.items()}


def _plain(part: Part) -> StateDict:
    """Return the tensors but for the filters, which are ours."""
    for path, value in part.settings.items():
        allowed = FIXED.get(path.rpartition(".")[2])
        if allowed and value not in allowed:
            raise Misfit(f"its {path[-60:]} is {value!r:.40} where networks of this layout have {allowed[0]}")
    filters = {key: value for key, value in part.tensors.items() if key.endswith("resample_filter")}
    for key, value in filters.items():
        if value.shape != (4, 4) or not torch.allclose(value, fir_kernel(value), atol=1e-5):
            raise Misfit(f"its {key[-60:]} is another filter than [1, 3, 3, 1]")
    return {key: value for key, value in part.tensors.items() if key not in filters}


def generator_sizes(state: Mapping[str, Tensor]) -> dict[str, Any]:
    """Return the arguments of `stylegan2.Generator` by its state dict."""
    width = {int(key.split(".")[1]): len(value) for key, value in state.items() if key.endswith("conv1.bias")}
    sizes = measure(width, len(state[f"blocks.{max(width)}.to_image.bias"]))
    classes = state["mapping.embedding.weight"].shape[1] if "mapping.embedding.weight" in state else 0
    w_dim = len(state["w_mean"])
    return {
        **sizes,
        "z_dim": state["mapping.layers.0.weight"].shape[1] - (w_dim if classes else 0),
        "w_dim": w_dim,
        "mapping_layers": sum(bool(re.fullmatch(r"mapping\.layers\.\d+\.weight", key)) for key in state),
        "noise": any("noise" in key for key in state),
        "classes": classes,
        "architecture": _architecture(state, "blocks.4.to_image.bias"),
    }


def discriminator_sizes(state: Mapping[str, Tensor], settings: Mapping[str, Any]) -> dict[str, Any]:
    """Return the arguments of `stylegan2.Discriminator` by its state dict and settings."""
    width = {4: len(state["conv.bias"])}
    width |= {int(key.split(".")[1]): len(value) for key, value in state.items() if key.endswith("conv0.bias")}
    sizes = {
        **measure(width, state["from_image.weight"].shape[1]),
        "group": int(settings.get("b4.mbstd.group_size", 4)),
        "architecture": _architecture(state, "from_images.4.bias"),
    }
    if "projection.mapping.embedding.weight" in state:
        layers = sum(bool(re.fullmatch(r"projection\.mapping\.layers\.\d+\.weight", key)) for key in state)
        classes = state["projection.mapping.embedding.weight"].shape[1]
        sizes |= {"classes": classes, "mapping_layers": layers, "map_dim": len(state["out.bias"])}
    return sizes


def _architecture(state: Mapping[str, Tensor], skip: str) -> str:
    """Return the architecture: `skip` names a tensor that only skip connections have."""
    if skip in state:
        return "skip"
    return "resnet" if any(key.endswith("skip.weight") for key in state) else "orig"


LAYOUT = Layout(
    "nvidia",
    "StyleGAN2 of NVlabs/stylegan2-ada-pytorch, also with classes: {G, D, G_ema} (.pkl)",
    r"synthesis\.b4\.const",
    r"b4\.fc\.weight",
    convert,
)
