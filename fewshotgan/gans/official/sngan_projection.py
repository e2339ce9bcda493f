"""SNGAN and cGAN-PD as pfnet-research/sngan_projection writes them, in Chainer's `.npz`, each network to a file of its
own; BSA starts from its ImageNet generator.

Differs: Chainer's batch norm adds 2e-5 to the variance where ours adds 1e-5; the difference goes into the running
variance, so that images are the same, and training is as with 1e-5.
"""

import re
from collections.abc import Mapping

from torch import Tensor

from fewshotgan.gans.network import StateDict
from fewshotgan.gans.official.layout import Converted, Layout, Part, naming, paired, renamed
from fewshotgan.gans.official.mimicry import discriminator_sizes, generator_sizes

EPSILON = 2e-5 - 1e-5
_KINDS = {"W": "weight", "b": "bias", "gamma": "weight", "beta": "bias", "avg_mean": "running_mean"}
_KINDS |= {"avg_var": "running_var", "N": "num_batches_tracked", "u": "u"}
_LAYERS = {"c1": "conv0", "c2": "conv1", "c_sc": "skip", "b1": "norm0", "b2": "norm1"}
_GENERATOR = {r"l1": "dense", r"b\d+": "norm", r"[lc]\d+": "to_image"}


def convert(g: Part, d: Part | None) -> Converted:
    """Convert a generator and its discriminator."""
    return paired(
        "sngan",
        generator(g.tensors),
        discriminator(d.tensors) if d else {},
        lambda state: {**generator_sizes(state), "nearest": True},
        lambda state: {**discriminator_sizes(state), "iterates": True, "rectified": False},
    )


def _dotted(state: Mapping[str, Tensor]) -> StateDict:
    """Give the tensors PyTorch's names: `block2/b1/gammas/W` becomes `block2.b1.weight`."""
    found: StateDict = {}
    for key, value in state.items():
        key = re.sub(r"^gen/", "", key)
        key = re.sub(r"(gamma|beta)s/W$", r"\1", key)
        path, _, kind = key.replace("/", ".").rpartition(".")
        with naming(key):
            kind = _KINDS[kind]
        found[f"{path}.{kind}"] = value + EPSILON if kind == "running_var" else value
    return found


def generator(state: Mapping[str, Tensor]) -> StateDict:
    """Convert a generator for `sngan.Generator`.

    Raises:
        KeyError: if a key belongs to no layer of SNGAN.
    """
    names, dotted = dict(_GENERATOR), _dotted(state)
    conditional = dotted["block2.b1.weight"].dim() == 2
    for path in {key.rpartition(".")[0] for key in dotted if key.startswith("block")}:
        block, layer = path.split(".")
        names[re.escape(path)] = f"blocks.{4 << (int(block[5:]) - 1)}.{_LAYERS[layer]}"
    converted = renamed(dotted, names)
    if conditional:
        statistic = re.compile(r"(norm[01])\.(running_\w+|num_\w+)$")
        converted = {statistic.sub(r"\1.norm.\2", key): value for key, value in converted.items()}
    return converted


def discriminator(state: Mapping[str, Tensor]) -> StateDict:
    """Convert a discriminator for `sngan.Discriminator`; raises as `generator`."""
    dotted = _dotted(state)
    resolution = 2 << len({key.split(".")[0] for key in dotted if key.startswith("block")})
    names = {r"l_y": "embedding", r"l\d+": "out"}
    for path in {key.rpartition(".")[0] for key in dotted if key.startswith("block")}:
        block, layer = path.split(".")
        names[re.escape(path)] = f"blocks.{resolution >> (int(block[5:]) - 1)}.{_LAYERS[layer]}"
    converted = renamed(dotted, names)
    converted.setdefault("out.bias", converted["out.weight"].new_zeros(1))
    return {key: value.flatten() if key.endswith(".u") else value for key, value in converted.items()}


LAYOUT = Layout(
    "sngan_projection",
    "SNGAN and cGAN-PD of pfnet-research/sngan_projection (Chainer): a file for each network (.npz), or their folder",
    r"(gen/)?block2/b1/avg_mean",
    r"block1/c1/W",
    convert,
)
