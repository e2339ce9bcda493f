"""BigGAN (arXiv 1809.11096) and BigGAN-deep as two public repositories write them.

- BigGAN and BigGAN-deep as in ajbrock/BigGAN-PyTorch, which writes each network to a file of its own (`G_ema.pth`,
  `G.pth`, `D.pth`). Only names change; a table of the classes' scales or shifts is transposed.
- BigGAN-deep as in huggingface/pytorch-pretrained-BigGAN (`pytorch_model.bin`, G alone, beside `config.json`). The
  first layer's pixels change places, latents and class's vector as well; running statistics become differences to those
  of truncation 1.

Sizes follow from the shapes, but for what leaves no trace in them: the depth of Brock's BigGAN-deep, which is 2 as in
all of his scripts, how often a discriminator halves the size, which the resolution says, and which of Hugging Face's
blocks double it, which `config.json` says.
"""

import re
from collections.abc import Iterator, Mapping
from typing import Any

import torch
from torch import Tensor

from fewshotgan.gans.biggan_deep import Step, sides
from fewshotgan.gans.network import StateDict
from fewshotgan.gans.official.layout import Converted, Layout, Part

Sizes = dict[str, Any]
"""Arguments of a network's constructor."""
DEPTH = 2
_LAYERS = {"conv_sc": "skip", "theta": "query", "phi": "key", "g": "value", "o": "out", "o_conv": "out"}
_MODULATIONS = {"gain": "scale", "bias": "shift", "scale": "scale", "offset": "shift"}
_KINDS = {
    "u0": "u",
    "weight_orig": "weight",
    "weight_u": "u",
    "weight_v": "v",
    "gain": "weight",
    "stored_mean": "running_mean",
    "stored_var": "running_var",
}


def convert(g: Part, d: Part | None) -> Converted:
    """Convert BigGAN-PyTorch's generator and its discriminator."""
    sizes, converted = generator(g.tensors)
    judge, judging = discriminator(d.tensors) if d else (None, {})
    return Converted({"family": family(g.tensors), "generator": sizes, "discriminator": judge}, converted, judging)


def family(state: Mapping[str, Tensor]) -> str:
    """Return "biggan" or "biggan_deep", of a generator or discriminator of BigGAN-PyTorch."""
    return "biggan_deep" if "blocks.0.0.conv4.weight" in state else "biggan"


def generator(state: Mapping[str, Tensor]) -> tuple[Sizes, StateDict]:
    """Return sizes and state dict, for `biggan.Generator` or `biggan_deep.Generator`, of BigGAN-PyTorch's generator.

    Raises:
        KeyError: if a key belongs to no layer of BigGAN.
    """
    deep = family(state) == "biggan_deep"
    prefixes = sorted({(int(i), int(j)) for i, j in (key.split(".")[1:3] for key in state if key.startswith("blocks"))})
    plan = list(_plan([(f"blocks.{i}.{j}", state) for i, j in prefixes], DEPTH if deep else 1))
    ends = {"shared": "shared", "linear": "dense", "output_layer.0": "norm", "output_layer.2": "to_image"}
    names = {**ends, **dict(zip((f"blocks.{i}.{j}" for i, j in prefixes), _places(plan), strict=True))}
    converted: StateDict = {}
    for key, value in state.items():
        name = _name(key, names)
        if name:
            per_class = (
                "u0" not in key and "shared.weight" not in state and re.search(r"\.(scale|shift)\.weight$", name)
            )
            converted[name] = value.T if per_class else value.flatten() if name.endswith(".u") else value
    return _generator_sizes(converted, plan, deep), _counted(converted)


def _generator_sizes(converted: StateDict, plan: list[Step], deep: bool) -> Sizes:
    """Return the sizes of a converted generator of BigGAN-PyTorch."""
    reached = list(sides(plan))
    width = {4: plan[0][1]} | {side: after for side, (_, _, after) in zip(reached, plan, strict=True) if side > 4}
    modulation, inputs = converted["blocks.8.0.norm0.scale.weight"], converted["dense.weight"].shape[1]
    table = converted.get("shared.table")
    classes, embed = (modulation.shape[1], 0) if table is None else table.shape
    part = modulation.shape[1] - (embed or classes)
    sizes: Sizes = {
        "resolution": reached[-1],
        "channels": len(converted["to_image.weight"]),
        "level_channels": list(width.values()),
        "classes": classes,
        "embed": embed,
        "attention": [side for side, (kind, _, _) in zip(reached, plan, strict=True) if kind == "attention"],
    }
    if deep:
        return {**sizes, "z_dim": inputs - embed}
    return {**sizes, "z_dim": inputs + part * (len(width) - 1), "hierarchical": part > 0}


def discriminator(state: Mapping[str, Tensor]) -> tuple[Sizes, StateDict]:
    """Return sizes and state dict, for `biggan.Discriminator` or `biggan_deep.Discriminator`, of BigGAN-PyTorch's.

    Raises:
        KeyError: if a key belongs to no layer of BigGAN.
    """
    deep = family(state) == "biggan_deep"
    count = 1 + max(int(key.split(".")[1]) for key in state if key.startswith("blocks"))
    resolution = (4 if deep else 2) << count
    first = f"blocks.{resolution}.0"
    names = {"linear": "out", "embed": "embedding", "input_conv": first}
    for i, j in {(int(i), int(j)) for i, j in (key.split(".")[1:3] for key in state if key.startswith("blocks"))}:
        names[f"blocks.{i}.{j}"] = f"blocks.{resolution >> i}.{j + (deep and i == 0)}"
    named = {_name(key, names): value for key, value in state.items()}
    converted = {name: value.flatten() if name.endswith(".u") else value for name, value in named.items() if name}
    halvings = 2 if resolution == 32 else count - (not deep)
    blocks = [len(state[f"blocks.{i}.0.conv{4 if deep else 2}.weight"]) for i in range(count)]
    width = [len(converted[f"{first}.weight"]), *blocks] if deep else blocks
    attending = {int(key.split(".")[1]) for key in state if key.endswith(".gamma")}
    sizes = {
        "resolution": resolution,
        "channels": converted[f"{first}.weight" if deep else f"{first}.conv0.weight"].shape[1],
        "level_channels": width[::-1],
        "classes": len(state["embed.weight"]),
        "attention": sorted({resolution >> min(i + 1, halvings) for i in attending}),
        "halvings": halvings,
    }
    return sizes, converted


def huggingface(g: Part, _: Part | None) -> Converted:
    """Convert pytorch-pretrained-BigGAN's generator, for `biggan_deep.Generator`.

    Its settings are what `config.json` holds; without it every second block doubles the size, as in all releases.

    Raises:
        KeyError: if a key belongs to no layer of BigGAN-deep.
    """
    state, config = g.tensors, g.settings
    count = 1 + max(int(key.split(".")[2]) for key in state if key.startswith("generator.layers"))
    prefixes = [f"generator.layers.{i}" for i in range(count)]
    plan = list(
        _plan([(prefix, state) for prefix in prefixes], DEPTH, [layer[0] for layer in config.get("layers", [])])
    )
    ends = {"generator.gen_z": "dense", "generator.bn": "norm", "generator.conv_to_rgb": "to_image"}
    names = {**ends, **dict(zip(prefixes, _places(plan), strict=True))}
    table = state["embeddings.weight"].T
    classes, embed = table.shape
    converted: StateDict = {"shared.table": table}
    for key, value in state.items():
        if key != "embeddings.weight":
            converted |= _huggingface(_name(key, names), value, embed)
    sizes = {
        "resolution": list(sides(plan))[-1],
        "z_dim": converted["dense.weight"].shape[1] - embed,
        "classes": classes,
        "embed": embed,
        "plan": [list(step) for step in plan],
        "eps": config.get("eps", 1e-4),
        "statistics": len(state["generator.bn.running_means"]),
        "planes": len(converted["to_image.weight"]),
        "fresh": False,
    }
    return Converted({"family": "biggan_deep", "generator": sizes, "discriminator": None}, _counted(converted), {})


def _huggingface(name: str, value: Tensor, embed: int) -> StateDict:
    """Return the tensors, by name, that one of Hugging Face's makes."""
    path, _, kind = name.rpartition(".")
    if kind == "running_means":
        return {f"{path}.running_mean": value[-1], f"{path}.mean_offset": value - value[-1]}
    if kind == "running_vars":
        return {f"{path}.running_var": value[-1], f"{path}.var_ratio": value / value[-1]}
    if name.endswith("gamma"):
        return {name: value.reshape(())}
    if kind in ("weight", "v") and path.endswith(("dense", "scale", "shift")):  # latents come first there
        value = value.roll(embed, dims=-1)
    if path == "dense" and kind != "v":  # pixels are the slowest there
        value = value.reshape(16, -1, *value.shape[1:]).transpose(0, 1).flatten(0, 1)
    return {name: value}


def _plan(
    layers: list[tuple[str, Mapping[str, Tensor]]], depth: int, doubles: list[bool] | None = None
) -> Iterator[Step]:
    """Yield the steps of a generator's layers, given as prefix and state dict; the last of `depth` blocks doubles the
    size, unless `doubles` says of each block whether it does.
    """
    blocks = 0
    for prefix, state in layers:
        shapes = {key.removeprefix(f"{prefix}."): value.shape for key, value in state.items() if key.startswith(prefix)}
        if "gamma" in shapes:
            channels = next(shape for key, shape in shapes.items() if "theta.weight" in key)[1]
            yield "attention", channels, channels
            continue
        convolutions = [shape for key, shape in sorted(shapes.items()) if re.match(r"conv_?\d\.weight(_orig)?$", key)]
        up = doubles[blocks] if doubles else blocks % depth == depth - 1
        yield "up" if up else "keep", convolutions[0][1], convolutions[-1][0]
        blocks += 1


def _places(plan: list[Step]) -> Iterator[str]:
    """Yield our name of each layer of a generator."""
    reached = list(sides(plan))
    for i, side in enumerate(reached):
        yield f"blocks.{side}.{i - reached.index(side)}"


def _name(key: str, names: Mapping[str, str]) -> str:
    """Return our name of a tensor, or nothing for a number that is only ever read for plots.

    Raises:
        KeyError: if it belongs to no layer.
    """
    prefix = next((prefix for prefix in names if key.startswith(f"{prefix}.")), None)
    if prefix is None:
        raise KeyError(key)
    *path, kind = key.removeprefix(f"{prefix}.").split(".")
    if kind == "sv0":
        return ""
    if names[prefix] == "shared":
        return "shared.table"
    return ".".join([names[prefix], *_layers(path, key), _KINDS.get(kind, kind)])


def _layers(path: list[str], key: str) -> list[str]:
    """Return our names of the modules within a block.

    Raises:
        KeyError: if one is no layer of BigGAN.
    """
    if not path:
        return []
    layer = path[0].removeprefix("snconv1x1_")
    if layer in _LAYERS:
        return [_LAYERS[layer]]
    match = re.fullmatch(r"(conv|bn)(_?)(\d)", layer)
    if match is None:
        raise KeyError(key)
    number = int(match[3]) - (not match[2])  # from 1 in BigGAN-PyTorch, from 0 at Hugging Face
    if match[1] == "conv":
        return [f"conv{number}"]
    return [f"norm{number}", _MODULATIONS[path[1]] if len(path) > 1 else "norm"]


def _counted(converted: StateDict) -> StateDict:
    """Add the numbers of batches that our norms count."""
    norms = [name.rpartition(".")[0] for name in converted if name.endswith("running_mean")]
    return {**converted, **{f"{norm}.num_batches_tracked": torch.tensor(0) for norm in norms}}


LAYOUT = Layout(
    "BigGAN-PyTorch",
    "BigGAN and BigGAN-deep of ajbrock/BigGAN-PyTorch: a folder with G_ema.pth or G.pth, and D.pth",
    r"output_layer\.0\.(gain|weight)",
    r"embed\.weight",
    convert,
)
HUGGING_FACE = Layout(
    "pytorch-pretrained-BigGAN",
    "BigGAN-deep of huggingface/pytorch-pretrained-BigGAN: pytorch_model.bin with config.json beside it, G alone",
    r"generator\.gen_z\.weight(_orig)?",
    r"(?!)",  # there is none
    huggingface,
)
