"""Files of the exact layouts that public trainers write, their own classes included, load and compute what they do."""

import argparse
import pickle
import sys
from types import ModuleType

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from golden import fill
from helpers import assert_met, tensors, tiny_gan, tiny_sngan
from torch import nn

from fewshotgan import load_gan
from fewshotgan.cli import main
from fewshotgan.files import UserError
from fewshotgan.gans import combine, list_layouts
from fewshotgan.gans.official.folders import find_pair, read_described
from fewshotgan.gans.official.parts import find


def states(name, size_g, size_d=None):
    """The goldens of a pair, and their state dicts."""
    goldens = fill.load(f"{name}_g{size_g}"), fill.load(f"{name}_d{size_d or size_g}")
    return goldens, [tensors(golden.params) for golden in goldens]


@torch.no_grad()
def assert_pair(gan, goldens, image="image", labels=None):
    """Generator and discriminator of a GAN meet their goldens."""
    g, d = (tensors(golden.inputs) for golden in goldens)
    given = {} if labels is None else {"labels": labels}
    assert_met(goldens[0], {image: gan.generator(g["z"], **given)}, every=False)
    if gan.complete:
        given = {} if "y" not in d else {"labels": d["y"]}
        assert_met(goldens[1], {"logits": gan.discriminator(d["x"], **given)}, every=False)


# --- rosinality ------------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    """What rosinality's train.py writes, and the GAN that it loads as."""
    goldens, (g, d) = states("stylegan2", 64)
    optimiser = {"state": {}, "param_groups": [{"lr": 0.002}]}
    content = {"g": g, "d": d, "g_ema": g, "g_optim": optimiser, "args": argparse.Namespace(size=64), "ada_aug_p": 0.0}
    path = tmp_path_factory.mktemp("rosinality") / "550000.pt"
    torch.save(content, path)
    return goldens, content, load_gan(path)


def test_rosinality_with_its_arguments(trained):
    goldens, _, gan = trained
    assert gan.complete and gan.name == "550000" and gan.config["generator"] == {
        "resolution": 64, "channels": 3, "channel_base": 32768, "channel_max": 512, "z_dim": 512, "w_dim": 512,
        "mapping_layers": 8, "noise": True,
    }  # fmt: skip
    assert gan.generator.w_mean.abs().sum() > 0
    assert_pair(gan, goldens)


def test_rosinality_in_other_wraps(trained, tmp_path):
    _, content, gan = trained
    quiet = {key: value for key, value in content["g"].items() if not key.startswith("noises.")}
    prefixed = {f"module.{key}": value for key, value in content["g"].items()}
    files = {"no average": {"g": content["g"], "d": content["d"]}, "cards": {"g_ema": prefixed}, "bare": content["g"]}
    for name, other in {**files, "no noise": quiet, "no noise, again": quiet}.items():
        torch.save(other, tmp_path / f"{name}.pt", _use_new_zipfile_serialization=name != "bare")
    loaded = {name: load_gan(tmp_path / f"{name}.pt") for name in ("no average", "cards", "bare", "no noise")}
    wanted = gan.generator.state_dict()
    for name, found in loaded.items():
        assert found.complete == (name == "no average")
        for key, value in found.generator.state_dict().items():
            assert torch.equal(value, wanted[key]) or (name == "no noise" and key.endswith("noise_const")), (name, key)
    again = load_gan(tmp_path / "no noise, again.pt").generator.state_dict()
    assert all(torch.equal(value, again[key]) for key, value in loaded["no noise"].generator.state_dict().items())
    assert again["blocks.64.conv1.noise_const"].std() > 0.9


# --- ProGAN ----------------------------------------------------------------------------------------------------------


class BaseConfig:
    """pytorch_GAN_zoo's, which every file of its trainer has."""


@torch.no_grad()
def test_pytorch_gan_zoo_with_its_configuration(tmp_path):
    goldens, (g, d) = states("progan_zoo", 32)
    config = BaseConfig()
    config.noiseVectorDim, config.depthScales, config.lossMode = 64, [32, 32, 16, 8], "WGANGP"
    other = {key: value + 1 for key, value in g.items()}
    torch.save({"config": config, "netG": other, "netD": d, "avgG": g, "tmp": None}, tmp_path / "s3.pt")
    gan = load_gan(tmp_path / "s3.pt")
    assert_met(goldens[0], {"image_a0": gan.generator(torch.from_numpy(goldens[0].inputs["z"]))}, every=False)
    assert_met(goldens[1], {"logits_a0": gan.discriminator(torch.from_numpy(goldens[1].inputs["x"]))}, every=False)


# --- SNGAN -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["sngan", "cgan_pd"])
@pytest.mark.parametrize("folder", [True, False])
def test_mimicry_writes_each_network_to_a_file_of_its_own(tmp_path, name, folder):
    goldens, pair = states(name, 32)
    for network, state in zip(("netG", "netD"), pair, strict=True):
        (tmp_path / network).mkdir()
        for step in (900, 1000):
            content = {"model_state_dict": state, "optimizer_state_dict": None, "global_step": step}
            torch.save(content, tmp_path / network / f"{network}_{step}_steps.pth")
    files = [tmp_path / network / f"{network}_1000_steps.pth" for network in ("netG", "netD")]
    gan = load_gan(tmp_path) if folder else load_gan(*files)
    assert gan.complete
    y = goldens[0].inputs.get("y")
    assert_pair(gan, goldens, labels=None if y is None else torch.from_numpy(y))


def chainer_judge(width=4, classes=3, resolution=32, seed=0):
    """A projection discriminator's arrays in Chainer's layout, of four blocks that halve, after 64 pixels' network."""
    rng, arrays, before = np.random.default_rng(seed), {}, 3
    for i in range(1, 5):
        after = width << (i - 1)
        hidden = after if i == 1 else before
        for layer, shape in (
            ("c1", (hidden, before, 3, 3)),
            ("c2", (after, hidden, 3, 3)),
            ("c_sc", (after, before, 1, 1)),
        ):
            arrays[f"block{i}/{layer}/W"] = rng.normal(size=shape) * 0.3
            arrays[f"block{i}/{layer}/b"] = rng.normal(size=shape[0]) * 0.1
            arrays[f"block{i}/{layer}/u"] = rng.normal(size=(1, shape[0]))
        before = after
    arrays |= {"l5/W": rng.normal(size=(1, before)), "l5/b": rng.normal(size=1), "l5/u": rng.normal(size=(1, 1))}
    arrays |= {"l_y/W": rng.normal(size=(classes, before)), "l_y/u": rng.normal(size=(1, classes))}
    return {key: value.astype(np.float32) for key, value in arrays.items()}


def chainer_logits(arrays, x, y):
    """What Chainer's discriminator computes in its first evaluation, as the paper has it."""
    state = tensors(arrays)

    def normed(name):
        matrix, u = state[f"{name}/W"].flatten(1), state[f"{name}/u"][0]
        v = F.normalize(u @ matrix, dim=0)
        u = F.normalize(matrix @ v, dim=0)
        return state[f"{name}/W"] / (u @ matrix @ v)

    def conv(name, x):
        weight = normed(name)
        return F.conv2d(x, weight, state[f"{name}/b"], padding=weight.shape[-1] // 2)

    for i in range(1, 5):
        h = conv(f"block{i}/c2", F.relu(conv(f"block{i}/c1", x if i == 1 else F.relu(x))))
        x = F.avg_pool2d(h, 2) + F.avg_pool2d(conv(f"block{i}/c_sc", x), 2)
    h = F.relu(x).sum(dim=(2, 3))
    return h @ normed("l5").T + state["l5/b"] + (normed("l_y")[y] * h).sum(dim=1, keepdim=True)


@torch.no_grad()
def test_sngan_projection_writes_arrays_of_chainer(tmp_path):
    golden, arrays = fill.load("bsa_sngan"), chainer_judge()
    generator = {key.removeprefix("gen/"): value for key, value in golden.params.items() if key.startswith("gen/")}
    np.savez_compressed(tmp_path / "ResNetGenerator_850000.npz", **generator)
    gan = load_gan(tmp_path / "ResNetGenerator_850000.npz")
    z = torch.from_numpy(golden.inputs["z"])
    assert (gan.resolution, gan.classes, gan.complete) == (128, 6, False)
    assert_met(golden, {"image_plain": gan.generator(z, labels=torch.zeros(2, dtype=torch.long))}, every=False)
    small = smaller(generator)
    np.savez(tmp_path / "ResNetGenerator_900000.npz", **small)
    np.savez(tmp_path / "SNResNetProjectionDiscriminator_900000.npz", **arrays)
    gan = load_gan(tmp_path)
    x, y = torch.randn(4, 3, 32, 32), torch.tensor([0, 2, 1, 1])
    assert gan.resolution == 32 and gan.classes == 3
    assert torch.allclose(gan.discriminator(x, labels=y), chainer_logits(arrays, x, y), atol=1e-4)
    alone = gan.unconditional()
    assert torch.allclose(alone.discriminator(x), gan.discriminator(x), atol=1e-5)


def smaller(arrays):
    """The arrays of a generator of 32 pixels and 3 classes: the first three blocks, and ends of their width."""
    kept = {key: value for key, value in arrays.items() if key.split("/")[0] in ("l1", "block2", "block3", "block4")}
    kept = {key: value[:3] if key.endswith(("gammas/W", "betas/W")) else value for key, value in kept.items()}
    rng = np.random.default_rng(0)
    ends = {"b5/gamma": np.ones(16), "b5/beta": np.zeros(16), "b5/avg_mean": np.zeros(16), "b5/avg_var": np.ones(16)}
    ends |= {"b5/N": np.array(0), "c5/W": rng.normal(size=(3, 16, 3, 3)), "c5/b": np.zeros(3)}
    return kept | {key: value.astype(np.float32) if value.shape else value for key, value in ends.items()}


# --- GP-GAN ----------------------------------------------------------------------------------------------------------


def gp_block(state, name, x):
    """A residual block of GAN_stability."""
    shortcut = F.conv2d(x, state[f"{name}.conv_s.weight"]) if f"{name}.conv_s.weight" in state else x
    for conv in ("conv_0", "conv_1"):
        x = F.conv2d(F.leaky_relu(x, 0.2), state[f"{name}.{conv}.weight"], state[f"{name}.{conv}.bias"], padding=1)
    return shortcut + 0.1 * x


def gp_states(ends, start, kernel, late, seed=0):
    """State dicts of a generator and a discriminator with one label; `ends` are (in, out) of the generator's blocks."""
    rng = torch.Generator().manual_seed(seed)

    def layer(name, *shape, bias=True):
        weight = torch.randn(shape, generator=rng) / np.prod(shape[1:]) ** 0.5
        return {
            f"{name}.weight": weight,
            **({f"{name}.bias": 0.1 * torch.randn(shape[0], generator=rng)} if bias else {}),
        }

    def block(name, inner, outer):
        hidden = min(inner, outer)
        found = {**layer(f"{name}.conv_0", hidden, inner, 3, 3), **layer(f"{name}.conv_1", outer, hidden, 3, 3)}
        return found | (layer(f"{name}.conv_s", outer, inner, 1, 1, bias=False) if inner != outer else {})

    first, top, units = ends[0][0], ends[-1][1], ends[0][0] * start**2
    g = {**layer("embedding", 1, 1, bias=False), **layer("fc", units, 6), **layer("conv_img", 3, top, kernel, kernel)}
    d = {**layer("conv_img", top, 3, kernel, kernel), **layer("fc", 1, first * start**2)}
    for i, (inner, outer) in enumerate(ends):
        g |= block(f"resnet_{i}_0", inner, outer)
    for i, (inner, outer) in enumerate(ends[::-1]):
        d |= block(f"resnet_{i}_0", outer, inner)
    return g, d


VARIANTS = {  # resnet3 (LSUN) and resnet4 (CelebA), at several starts
    "resnet3 from 4": ([(16, 8), (8, 8), (8, 4), (4, 2)], 4, True),
    "resnet3 from 2": ([(16, 8), (8, 8), (8, 4), (4, 2)], 2, True),
    "resnet3 from 8": ([(16, 8), (8, 4), (4, 2)], 8, True),
    "resnet4 from 2": ([(8, 8), (8, 4), (4, 2), (2, 2)], 2, False),
}


@pytest.mark.parametrize("variant", VARIANTS)
@torch.no_grad()
def test_gan_stability_in_the_variants_of_lsun_and_from_2_pixels(tmp_path, variant):
    ends, start, late = VARIANTS[variant]
    g, d = gp_states(ends, start, 7, late)
    wrapped = [{f"module.{key}": value for key, value in state.items()} for state in (g, d)]
    content = {
        "generator": wrapped[0],
        "discriminator": wrapped[1],
        "generator_test": wrapped[0],
        "it": 5,
        "epoch_idx": 0,
    }
    torch.save(content, tmp_path / "lsun.pt", _use_new_zipfile_serialization=False)
    gan, z, y = load_gan(tmp_path / "lsun.pt"), torch.randn(2, 5), torch.zeros(2, dtype=torch.long)
    assert gan.resolution == start << (len(ends) - 1 + late)
    x = torch.cat([z, g["embedding.weight"][y]], dim=1) @ g["fc.weight"].T + g["fc.bias"]
    x = x.view(2, -1, start, start)
    for i in range(len(ends)):
        x = gp_block(g, f"resnet_{i}_0", F.interpolate(x, scale_factor=2) if i else x)
    x = F.interpolate(x, scale_factor=2) if late else x
    image = torch.tanh(F.conv2d(F.leaky_relu(x, 0.2), g["conv_img.weight"], g["conv_img.bias"], padding=3))
    features = []
    assert torch.allclose(gan.generator(z, labels=y, features=features), image, atol=1e-5)
    assert features[-1].shape[-1] == gan.resolution
    x = F.conv2d(image, d["conv_img.weight"], d["conv_img.bias"], padding=3)
    for i in range(len(ends)):
        x = gp_block(d, f"resnet_{i}_0", F.avg_pool2d(x, 3, 2, 1) if late or i else x)
    logits = F.leaky_relu(x, 0.2).flatten(1) @ d["fc.weight"].T + d["fc.bias"]
    assert torch.allclose(gan.discriminator(image, labels=y), logits, atol=1e-5)
    sides = [str(2**k) for k in range(2, gan.resolution.bit_length())]
    assert [side for side in sides if side in gan.generator.groups()] == list(gan.generator.groups())
    for network in (gan.generator, gan.discriminator):
        owned = [p for modules in network.groups().values() for module in modules for p in module.parameters()]
        assert sorted(map(id, owned)) == sorted(map(id, network.parameters()))


# --- NVIDIA ----------------------------------------------------------------------------------------------------------


@pytest.fixture
def persistence(monkeypatch):
    """NVIDIA's module of that name: a class that pickles as its code and its state."""
    module = ModuleType("torch_utils.persistence")

    def _reconstruct_persistent_obj(meta):
        raise AssertionError("nothing of a file may run")

    _reconstruct_persistent_obj.__module__ = module.__name__
    _reconstruct_persistent_obj.__qualname__ = "_reconstruct_persistent_obj"
    module._reconstruct_persistent_obj = _reconstruct_persistent_obj
    monkeypatch.setitem(sys.modules, "torch_utils", ModuleType("torch_utils"))
    monkeypatch.setitem(sys.modules, "torch_utils.persistence", module)

    class Persistent(nn.Module):
        def __reduce__(self):
            state = {**self.__dict__, "_init_args": (), "_init_kwargs": {"z_dim": 64}}
            meta = {
                "type": "class",
                "version": 6,
                "module_src": "raise SystemExit",
                "class_name": "Net",
                "state": state,
            }
            return _reconstruct_persistent_obj, (meta,), None

    return Persistent


def module_of(cls, state, **settings):
    """A module of modules with these parameters, and buffers where NVIDIA has them."""
    root = cls()
    for key, value in state.items():
        *path, name = key.split(".")
        module = root
        for part in path:
            if part not in module._modules:
                module.add_module(part, cls())
            module = module._modules[part]
        if name in ("resample_filter", "noise_const", "w_avg"):
            module.register_buffer(name, value)
        else:
            module.register_parameter(name, nn.Parameter(value))
    for key, value in settings.items():
        path, _, name = key.replace("__", ".").rpartition(".")
        setattr(root.get_submodule(path), name, value)
    return root


@pytest.mark.parametrize("names", [("g32", "d64"), ("g64_cond", "d32_cond")])
def test_nvidias_pickle(tmp_path, persistence, names):
    goldens = [fill.load(f"sg2ada_{name}") for name in names]
    g, d = (module_of(persistence, tensors(golden.params)) for golden in goldens)
    d.b4.mbstd = persistence()
    d.b4.mbstd.group_size, d.b4.mbstd.num_channels = 4, 1
    other = module_of(persistence, {key: value + 1 for key, value in tensors(goldens[0].params).items()})
    content = {"training_set_kwargs": {"path": "x"}, "G": other, "D": d, "G_ema": g, "augment_pipe": persistence()}
    (tmp_path / "network-snapshot.pkl").write_bytes(pickle.dumps({**content, "D": None}))
    gan = load_gan(tmp_path / "network-snapshot.pkl")
    c = goldens[0].inputs.get("c")
    labels = None if c is None else torch.from_numpy(c).argmax(dim=1)
    assert not gan.complete
    assert_pair(gan, goldens, labels=labels)
    assert torch.allclose(gan.generator.w_mean, tensors(goldens[0].params)["mapping.w_avg"])
    (tmp_path / "both.pkl").write_bytes(pickle.dumps(content))
    with pytest.raises(UserError, match="its generator has resolution"):
        load_gan(tmp_path / "both.pkl")  # the goldens are of two sizes


@pytest.mark.parametrize("architectures", [("resnet", "skip"), ("orig", "orig"), ("skip", "resnet")])
@pytest.mark.parametrize("classes", [0, 3])
@torch.no_grad()
def test_nvidias_other_architectures(tmp_path, persistence, architectures, classes):
    states, (z, y) = nvidia_states(*architectures, classes), (torch.randn(3, 8), torch.tensor([0, 2, 1]))
    modules = [module_of(persistence, state) for state in states]
    (tmp_path / "x.pkl").write_bytes(pickle.dumps({"G": modules[0], "D": modules[1], "G_ema": modules[0]}))
    gan, given = load_gan(tmp_path / "x.pkl"), {"labels": y} if classes else {}
    images = nvidia_images(states[0], z, y, architectures[0])
    assert torch.allclose(gan.generator(z, **given), images, atol=1e-4 * images.std().item())
    logits = nvidia_logits(states[1], images, y, architectures[1])
    assert torch.allclose(gan.discriminator(images, **given), logits, atol=1e-4 * logits.abs().max().item())
    assert gan.config["generator"]["architecture"] == architectures[0] and gan.classes == classes


def nvidia_states(generator, discriminator, classes):
    """State dicts of 16 pixels, 4 and 8 channels wide, w of 8."""
    rng, sides, width = torch.Generator().manual_seed(0), (4, 8, 16), {4: 8, 8: 8, 16: 4}
    shapes = {"mapping.fc0.weight": (8, 16 if classes else 8), "mapping.fc0.bias": (8,), "mapping.w_avg": (8,)}
    judge = {"b16.fromrgb.weight": (4, 3, 1, 1), "b16.fromrgb.bias": (4,), "b4.conv.weight": (8, 9, 3, 3)}
    judge |= {"b4.conv.bias": (8,), "b4.fc.weight": (8, 128), "b4.fc.bias": (8,)}
    judge |= {"b4.out.weight": (8 if classes else 1, 8), "b4.out.bias": (8 if classes else 1,)}
    if classes:
        shapes |= {"mapping.embed.weight": (8, classes), "mapping.embed.bias": (8,)}
        judge |= {"mapping.embed.weight": (8, classes), "mapping.embed.bias": (8,)}
        judge |= {"mapping.fc0.weight": (8, 8), "mapping.fc0.bias": (8,)}
    for side in sides:
        b, outer, inner = f"synthesis.b{side}", width[side], width[max(side // 2, 4)]
        shapes |= {f"{b}.const": (8, 4, 4)} if side == 4 else {}
        for conv, n in (("conv0", inner), ("conv1", outer)):
            if side > 4 or conv == "conv1":
                shapes |= {f"{b}.{conv}.weight": (outer, n, 3, 3), f"{b}.{conv}.bias": (outer,)}
                shapes |= {f"{b}.{conv}.affine.weight": (n, 8), f"{b}.{conv}.affine.bias": (n,)}
                shapes |= {f"{b}.{conv}.noise_const": (side, side), f"{b}.{conv}.noise_strength": ()}
        if side == 16 or generator == "skip":
            shapes |= {f"{b}.torgb.weight": (3, outer, 1, 1), f"{b}.torgb.bias": (3,)}
            shapes |= {f"{b}.torgb.affine.weight": (outer, 8), f"{b}.torgb.affine.bias": (outer,)}
        if side > 4:
            shapes |= {f"{b}.skip.weight": (outer, inner, 1, 1)} if generator == "resnet" else {}
            judge |= {f"b{side}.conv0.weight": (outer, outer, 3, 3), f"b{side}.conv0.bias": (outer,)}
            judge |= {f"b{side}.conv1.weight": (inner, outer, 3, 3), f"b{side}.conv1.bias": (inner,)}
            judge |= {f"b{side}.skip.weight": (inner, outer, 1, 1)} if discriminator == "resnet" else {}
        if side < 16 and discriminator == "skip":
            judge |= {f"b{side}.fromrgb.weight": (outer, 3, 1, 1), f"b{side}.fromrgb.bias": (outer,)}
    return [{key: torch.randn(shape, generator=rng) for key, shape in part.items()} for part in (shapes, judge)]


TAPS = torch.tensor([1.0, 3.0, 3.0, 1.0]) / 8


def fir(x, up=1, down=1, pad=(2, 1)):
    """Upsample with zeros, filter, downsample, one channel after the other."""
    n, c, h, w = x.shape
    big = x.new_zeros(n, c, h * up, w * up)
    big[:, :, ::up, ::up] = x
    kernel = torch.outer(TAPS, TAPS) * up**2
    big = F.conv2d(F.pad(big, (*pad, *pad)).flatten(0, 1)[:, None], kernel[None, None])
    return big.view(n, c, *big.shape[2:])[:, :, ::down, ::down]


def lrelu(x, bias, gain=2**0.5):
    return F.leaky_relu(x + bias.view(1, -1, *[1] * (x.dim() - 2)), 0.2) * gain


def unit(x):
    return x / (x.square().mean(dim=1, keepdim=True) + 1e-8).sqrt()


def nvidia_mapping(state, z, y):
    """w of latents and labels, by one layer."""
    if "mapping.embed.weight" in state:
        classes = state["mapping.embed.weight"].shape[1]
        embedded = F.one_hot(y, classes).float() @ state["mapping.embed.weight"].T / classes**0.5
        z = torch.cat([z, unit(embedded + state["mapping.embed.bias"])], dim=1)
    weight = state["mapping.fc0.weight"] * 0.01 / z.shape[1] ** 0.5
    return lrelu(z @ weight.T, 0.01 * state["mapping.fc0.bias"])


def nvidia_images(state, z, y, architecture):
    """The synthesis network, as the paper's section 2 and figure 7 have it."""
    w, x, image = nvidia_mapping(state, unit(z), y), None, None

    def modulated(name, x, up=False, demodulate=True):
        weight = state[f"{name}.weight"]
        style = w @ state[f"{name}.affine.weight"].T / 8**0.5 + state[f"{name}.affine.bias"]
        images = []
        for one, s in zip(x, style, strict=True):
            scaled = weight * s[None, :, None, None]
            if demodulate:
                scaled = scaled / (scaled.square().sum(dim=(1, 2, 3), keepdim=True) + 1e-8).sqrt()
            else:
                scaled = scaled / weight.shape[1] ** 0.5
            if up:  # the convolution of the upsampled image
                stretched = one.new_zeros(one.shape[0], 2 * one.shape[1] + 1, 2 * one.shape[2] + 1)
                stretched[:, 1::2, 1::2] = one
                both = F.conv2d(F.pad(stretched, (1, 1, 1, 1))[None], scaled.flip(2, 3))
                images.append(fir(both * 4, pad=(1, 1)))
            else:
                images.append(F.conv2d(one[None], scaled, padding=weight.shape[-1] // 2))
        return torch.cat(images)

    for side in (4, 8, 16):
        b = f"synthesis.b{side}"
        before = x
        x = state[f"{b}.const"].expand(len(z), -1, -1, -1) if x is None else x
        for conv in ("conv0", "conv1")[side == 4 :]:
            x = modulated(f"{b}.{conv}", x, up=conv == "conv0")
            x = lrelu(
                x + state[f"{b}.{conv}.noise_const"] * state[f"{b}.{conv}.noise_strength"], state[f"{b}.{conv}.bias"]
            )
        if architecture == "resnet" and before is not None:
            skip = F.conv2d(before, state[f"{b}.skip.weight"] / before.shape[1] ** 0.5)
            x = (x + fir(skip, up=2)) * 0.5**0.5
        if f"{b}.torgb.weight" in state:
            shown = modulated(f"{b}.torgb", x, demodulate=False) + state[f"{b}.torgb.bias"].view(1, 3, 1, 1)
            image = shown if image is None else fir(image, up=2) + shown
    return image


def nvidia_logits(state, image, y, architecture):
    """The discriminator."""

    def conv(name, x, stride=1):
        weight = state[f"{name}.weight"]
        weight = weight / weight[0].numel() ** 0.5
        if stride == 1:
            return F.conv2d(x, weight, padding=weight.shape[-1] // 2)
        kernel = weight.shape[-1]
        return F.conv2d(fir(x, pad=(2, 2) if kernel == 3 else (1, 1)), weight, stride=2)

    x = None
    for side in (16, 8):
        b = f"b{side}"
        if f"{b}.fromrgb.weight" in state:
            y0 = lrelu(conv(f"{b}.fromrgb", image), state[f"{b}.fromrgb.bias"])
            x = y0 if x is None else x + y0
            image = fir(image, down=2, pad=(1, 1)) if architecture == "skip" else image
        skip = conv(f"{b}.skip", x, 2) if architecture == "resnet" else 0
        x = lrelu(conv(f"{b}.conv0", x), state[f"{b}.conv0.bias"])
        x = lrelu(conv(f"{b}.conv1", x, 2), state[f"{b}.conv1.bias"])
        x = (x + skip) * 0.5**0.5 if architecture == "resnet" else x
    if architecture == "skip":
        x = x + lrelu(conv("b4.fromrgb", image), state["b4.fromrgb.bias"])
    deviation = (x.var(dim=0, unbiased=False) + 1e-8).sqrt().mean()  # the batch is one group
    x = torch.cat([x, deviation.expand(len(x), 1, 4, 4)], dim=1)
    x = lrelu(conv("b4.conv", x), state["b4.conv.bias"]).flatten(1)
    x = lrelu(x @ state["b4.fc.weight"].T / 128**0.5, state["b4.fc.bias"])
    x = x @ state["b4.out.weight"].T / 8**0.5 + state["b4.out.bias"]
    if "mapping.embed.weight" in state:
        x = (x * nvidia_mapping(state, x[:, :0], y)).sum(dim=1, keepdim=True) / 8**0.5
    return x


def test_what_nvidias_networks_may_have_and_ours_lack_is_refused(tmp_path, persistence):
    g, _ = nvidia_states("skip", "resnet", 0)
    module = module_of(persistence, {**g, "synthesis.b8.conv0.resample_filter": torch.ones(4, 4) / 16})
    (tmp_path / "x.pkl").write_bytes(pickle.dumps({"G_ema": module}))
    with pytest.raises(UserError, match=r"another filter than \[1, 3, 3, 1\]"):
        load_gan(tmp_path / "x.pkl")
    module = module_of(persistence, g, synthesis__b8__conv0__activation="swish")
    (tmp_path / "x.pkl").write_bytes(pickle.dumps({"G_ema": module}))
    with pytest.raises(UserError, match="activation is 'swish' where networks of this layout have lrelu"):
        load_gan(tmp_path / "x.pkl")


# --- folders ---------------------------------------------------------------------------------------------------------


def test_a_configuration_beside_hugging_faces_weights_is_read_with_them(tmp_path):
    torch.save({"embeddings.weight": torch.ones(2, 3)}, tmp_path / "pytorch_model.bin")
    (tmp_path / "config.json").write_text('{"layers": [[true, 16, 16]], "eps": 0.0001}')
    generator, discriminator = find(read_described(find_pair(tmp_path)[0]))
    assert generator.tensors.keys() == {"embeddings.weight"} and discriminator is None
    assert generator.settings == {"layers": [[True, 16, 16]], "eps": 1e-4}
    (tmp_path / "config.json").write_text("{")
    with pytest.raises(UserError, match=r"config\.json beside it is damaged"):
        load_gan(tmp_path)


def test_an_average_counts_before_what_it_is_one_of_and_optimisers_not_at_all(tmp_path):
    for name in ("G.pth", "G_ema.pth", "D.pth", "G_optim.pth", "D_optim.pth", "state_dict.pth"):
        (tmp_path / name).touch()
    assert [path.name for path in find_pair(tmp_path)] == ["G_ema.pth", "D.pth"]


# --- what does not fit -----------------------------------------------------------------------------------------------


def refusal(tmp_path, content, *judge):
    """The sentence with which a file is refused."""
    files = []
    for name, one in zip(("g" * 99, "d"), (content, *judge), strict=False):
        torch.save(one, tmp_path / f"{name}.pt")
        files.append(tmp_path / f"{name}.pt")
    with pytest.raises(UserError) as error:
        load_gan(*files)
    assert len(str(error.value)) <= 240 and str(error.value).endswith(".")
    return str(error.value)


def test_an_unknown_layout_names_those_that_are_known_and_the_first_tensor(tmp_path):
    said = refusal(tmp_path, {"epoch": 3, "model": {"encoder": [{"attention": torch.zeros(2)}], "b": torch.ones(2)}})
    assert "'model.encoder.0.attention' fits none of rosinality, " in said
    assert all(name in said for name in list_layouts())
    assert "has no tensors" in refusal(tmp_path, {"g_ema": {"a": "b"}})
    assert ".attention.weight' fits" in refusal(tmp_path, {"g_ema": {"attention." * 30 + "weight": torch.zeros(2)}})


def test_a_tensor_of_no_layer_is_named_with_the_layout(trained, tmp_path):
    g = trained[1]["g"]
    more = {**g, "convs.0.attention.weight": g["conv1.conv.weight"]}
    assert "layout of rosinality, but the tensor 'convs.0.attention.weight'" in refusal(tmp_path, more)
    less = {key: value for key, value in g.items() if not key.startswith("style.1.")}
    assert "'mapping.layers.0.weight' is missing" in refusal(tmp_path, less)
    flat = {**g, "style.1.weight": torch.zeros(3)}
    assert "layout of rosinality, but its tensors have impossible shapes" in refusal(tmp_path, flat)


def test_networks_that_are_not_of_one_gan_are_refused(trained, tmp_path):
    _, (g, _) = states("cgan_pd", 32)
    _, (_, d) = states("cgan_pd", 32)
    d["l_y.weight"], d["l_y.sn_u"] = d["l_y.weight"][:7], d["l_y.sn_u"][:, :7]
    said = refusal(tmp_path, {"model_state_dict": g}, {"model_state_dict": d})
    assert "its generator has classes 10, its discriminator 7" in said
    other = trained[1]["d"]
    assert "its discriminator another" in refusal(tmp_path, {"model_state_dict": g}, {"d": other})
    assert "a discriminator of rosinality and no generator" in refusal(tmp_path, {"d": other})
    (tmp_path / "empty").mkdir()
    with pytest.raises(UserError, match="has no generator's file"):
        load_gan(tmp_path / "empty")


def test_widths_that_no_network_has_are_refused(trained, tmp_path):
    g = trained[1]["g"]
    thin = {key: value[:100] if key == "convs.1.activate.bias" else value for key, value in g.items()}
    assert "100 feature channels at 8 pixels, where a network with 512 at 64 has 512" in refusal(tmp_path, thin)
    thin = {key: value[:, :, :100] if key == "to_rgbs.0.conv.weight" else value for key, value in g.items()}
    assert "blocks.8.to_image.conv.weight is (3, 100, 1, 1), not (3, 512, 1, 1)" in refusal(tmp_path, thin)


def test_the_command_lists_the_layouts(capsys):
    assert main(["gans", "--layouts"]) == 0
    said = capsys.readouterr().out
    assert said.count("\n") == len(list_layouts()) and all(name in said for name in list_layouts())


def test_a_mixture_gets_no_fresh_discriminator_and_a_conditional_gan_a_conditional_one():
    with pytest.raises(UserError, match="mixture of GANs"):
        combine([tiny_gan(), tiny_gan(seed=1)]).judged()
    gan = tiny_sngan(classes=3)
    fresh = gan.judged(seed=2)
    assert fresh.discriminator.classes == 3 and torch.equal(fresh.sample(2), gan.sample(2))
    assert not torch.equal(fresh.discriminator.out.weight, gan.discriminator.out.weight)
