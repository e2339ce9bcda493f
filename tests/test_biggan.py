"""BigGAN computes what BigGAN-PyTorch computes, with and without hierarchical latents; BSA trains what drives its
norms, MineGAN mines a vector in the place of the class's.
"""

import numpy as np
import pytest
import torch
from family_kit import shaken
from golden import fill
from helpers import assert_met, noise_images, tensors, tiny_biggan

from fewshotgan import load_gan
from fewshotgan.files import UserError
from fewshotgan.gans import biggan
from fewshotgan.gans.biggan_layers import Attention
from fewshotgan.gans.official import biggan as official_biggan
from fewshotgan.gans.prior import EmbeddingMiner
from fewshotgan.gans.spectral import SpectralLinear
from fewshotgan.images import Images
from fewshotgan.methods import Conditional
from fewshotgan.methods.bsa import statistics_penalty
from fewshotgan.session import adapt
from fewshotgan.train import Loop, make_task


def built(golden, networks=biggan):
    """The network of a golden, with its weights, through the converter."""
    state = tensors(golden.params)
    side = "Generator" if "linear.weight" in state and "embed.weight" not in state else "Discriminator"
    sizes, converted = getattr(official_biggan, side.lower())(state)
    net = getattr(networks, side)(**sizes)
    net.load_state_dict(converted)
    return net.eval()


def generator_outputs(net, golden):
    x, block = tensors(golden.inputs), net.blocks["8" if "4" not in net.blocks else "4"][0]
    got = {"image": net(x["z"], labels=x["y"])}
    got["after_sv0"] = (block.conv0.weight / block.conv0.normalised()).flatten()[:1]  # of the step that training takes
    got["image_train"] = net.train()(x["z"], labels=x["y"])
    norm = block.norm0.norm
    return {**got, "after_mean": norm.running_mean, "after_var": norm.running_var, "after_u0": block.conv0.u[None]}


@pytest.mark.parametrize("name", ["biggan_g32", "biggan_g32_cifar", "biggan_g128"])
@torch.no_grad()
def test_the_generators_are_met(name):
    golden = fill.load(name)
    assert_met(golden, generator_outputs(built(golden), golden))


def discriminator_outputs(net, golden):
    x = tensors(golden.inputs)
    got = {"logits": net(x["x"], labels=x["y"]), "logits_train": net.train()(x["x"], labels=x["y"])}
    return {**got, "logits_train2": net(x["x"], labels=x["y"]), "after_u0": net.embedding.u[None]}


@pytest.mark.parametrize("name", ["biggan_d32", "biggan_d64", "biggan_d128"])
@torch.no_grad()
def test_the_discriminators_are_met(name):
    golden = fill.load(name)
    assert_met(golden, discriminator_outputs(built(golden), golden))


# --- the networks ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("changes", [{}, {"embed": 0, "hierarchical": False}])
@torch.no_grad()
def test_labels_are_classes_or_vectors_in_their_place(changes):
    gan = shaken(tiny_biggan(classes=3, **changes))
    z, labels = gan.latents(4), torch.tensor([0, 2, 1, 1])
    vectors = gan.generator.class_vectors(z, labels)
    assert vectors.shape == (4, changes.get("embed", 4) or 3)
    assert torch.equal(gan.generator(z, labels=labels), gan.generator(z, labels=vectors))
    mean = gan.unconditional()
    middle = gan.generator.class_vectors(torch.zeros(3, 8), torch.arange(3)).mean(dim=0).expand(4, -1)
    assert torch.allclose(mean.generator(z), gan.generator(z, labels=middle), atol=1e-5)
    assert mean.generator.class_vectors(z, None).shape[0] == 4


@torch.no_grad()
def test_each_block_reads_its_part_of_the_latents_and_the_first_layer_what_is_left_over():
    net = shaken(tiny_biggan(z_dim=8)).generator  # 4 to the first layer, 2 to each of two blocks
    assert net.dense.weight.shape[1] == 4 and net.blocks["8"][0].norm0.scale.weight.shape[1] == 4 + 2
    z = torch.randn(1, 8)
    maps: list[torch.Tensor] = []
    net(z, features=maps)
    for first, unmoved in ((6, 2), (4, 1), (0, 0)):  # latents of the last block leave the maps before it
        moved: list[torch.Tensor] = []
        net(torch.cat([z[:, :first], z[:, first : first + 2] + 1, z[:, first + 2 :]], dim=1), features=moved)
        same = [torch.equal(a, b) for a, b in zip(maps, moved, strict=True)]
        assert same == [i < unmoved for i in range(3)]


@torch.no_grad()
def test_attention_mixes_positions_by_a_softmax_and_starts_as_the_identity():
    layer, x = Attention(8), torch.randn(2, 8, 4, 4)
    assert torch.equal(layer(x), x)
    layer.gamma.fill_(0.5)
    found = torch.zeros_like(x)
    queries, keys, values = (part(x) for part in (layer.query, layer.key, layer.value))
    keys, values = (torch.nn.functional.max_pool2d(part, 2) for part in (keys, values))
    for n, i, j in ((0, 0, 0), (0, 3, 1), (1, 2, 2)):
        weights = torch.stack([(queries[n, :, i, j] * k).sum() for k in keys[n].flatten(1).T]).softmax(dim=0)
        mixed = (values[n].flatten(1) * weights).sum(dim=1)
        found[n, :, i, j] = layer.out(mixed[None, :, None, None]).flatten()
        assert torch.allclose(layer(x)[n, :, i, j], x[n, :, i, j] + 0.5 * found[n, :, i, j], atol=1e-5)


def test_orthogonal_regularisation_has_the_gradient_of_the_released_code():
    net = tiny_biggan(seed=1, classes=3).generator
    with torch.no_grad():
        net.dense.weight += 0.3
    net.orthogonality().backward()
    w = net.dense.weight.detach()
    assert torch.allclose(net.dense.weight.grad, 2 * (w @ w.T * (1 - torch.eye(len(w)))) @ w, atol=1e-4)
    assert net.shared.table.grad is None and net.to_image.bias.grad is None
    for row in (net.blocks["8"][0].conv0.weight, net.blocks["16"][0].norm1.shift.weight):
        assert row.grad is not None


def test_sizes_that_do_not_fit_are_one_sentence():
    for changes, text in (
        ({"z_dim": 2}, "hierarchical latents need z_dim of at least 3"),
        ({"embed": 0}, "a part for each resolution"),
        ({"attention": [8, 64]}, r"maps of 8, 16 pixels, not of \[64\]"),
        ({"level_channels": [4, 4]}, "builds no GAN"),
    ):
        with pytest.raises(UserError, match=text):
            tiny_biggan(**changes)


def test_a_key_of_no_layer_is_named():
    state = tensors(fill.load("biggan_g32").params)
    for key in ("blocks.0.0.conv9x.weight", "mapping.weight", "blocks.1.1.psi.weight"):
        with pytest.raises(KeyError, match=key):
            official_biggan.generator({**state, key: torch.zeros(1)})


def test_a_folder_of_the_official_trainer_loads(tmp_path):
    parts = {"G_ema": "biggan_g128", "D": "biggan_d128"}
    for name, golden in parts.items():
        torch.save(tensors(fill.load(golden).params), tmp_path / f"{name}.pth")
    torch.save({"itr": 5, "epoch": 1, "best_FID": 999999.0, "config": {"seed": 0}}, tmp_path / "state_dict.pth")
    torch.save({"state": {}, "param_groups": []}, tmp_path / "G_optim.pth")
    gan = load_gan(tmp_path)
    assert (gan.resolution, gan.classes, gan.z_dim, gan.config["family"]) == (128, 12, 120, "biggan")
    assert gan.config["generator"]["attention"] == gan.config["discriminator"]["attention"] == [64]
    golden = fill.load("biggan_d128")
    x = tensors(golden.inputs)
    assert_met(golden, {"logits": gan.discriminator(x["x"], labels=x["y"])}, every=False)
    assert not load_gan(tmp_path / "G_ema.pth").complete


def test_orthogonal_regularisation_draws_the_filters_of_g_towards_orthogonal_ones():
    images, labels = noise_images(6), torch.tensor([0, 1, 2, 0, 1, 2])
    found = {}
    for weight in (0.0, 1.0):
        task = make_task(shaken(tiny_biggan(classes=3)), images.pixels, 2, 0, None, torch.device("cpu"), labels)
        run = Loop(Conditional(orthogonal=weight).build(task), {}, 10, 10, None).run(None, None, progress=False)
        found[weight] = float(run.training.generator.orthogonality().detach())
        assert ("generator/orthogonal" in run.history[-1]) == (weight > 0)
    assert found[1.0] < 0.9 * found[0.0]


# --- BSA ------------------------------------------------------------------------------------------------------------


@torch.no_grad()
def test_the_adapted_network_of_the_port_is_met():
    golden = fill.load("bsa_biggan_port_g64")
    state = tensors(golden.params)
    inner = {key.removeprefix("generator."): value for key, value in state.items() if key.startswith("generator.")}
    net = adapted({**inner, "shared.weight": state["linear.weight"].T}, "bsa_linear_scale", "bsa_linear_bias", state)
    z = torch.from_numpy(golden.inputs["z"])
    assert_met(golden, {"image": net.eval()(z), "image_train": net.train()(z)})


def adapted(generator, scale, shift, state, **sizes):
    """A generator of BigGAN-PyTorch's keys with one vector and BSA's scale and shift, which `state` holds."""
    found, converted = official_biggan.generator(generator)
    net = biggan.Generator(**{**found, "classes": 0, "affine": True, **sizes})
    net.load_state_dict({**converted, "affine.scale": state[scale], "affine.shift": state[shift]})
    return net


CHAINER = {
    "HyperBN": "bn1",
    "HyperBN_1": "bn2",
    "conv0": "conv1",
    "conv1": "conv2",
    "linear_gamma": "gain",
    "linear_beta": "bias",
    "o_conv": "o",
    "G_linear": "linear",
    "ScaledCrossReplicaBN": "output_layer.0",
    "conv_2d": "output_layer.2",
    "W": "weight",
    "b": "bias",
    "u": "u0",
    "avg_mean": "stored_mean",
    "avg_var": "stored_var",
}


def chainer_state(params):
    """The Chainer BigGAN-256's parameters under the names, and in the order of axes, of BigGAN-PyTorch."""
    state = {"shared.weight": params["linear/W"].T}
    for key, value in params.items():
        _, _, path = key.partition("gen/")
        block, *rest = path.split("/")
        if not path or path == "linear/W" or path.endswith("/N"):
            continue
        number = int(block[7:] or 0) if block.startswith("GBlock") else 4
        prefix = f"blocks.{number}.{int(block == 'attention')}." if block[0] in "Ga" and block != "G_linear" else ""
        names = rest if prefix else [block, *rest]
        name = prefix + ".".join(CHAINER.get(part, part) for part in names)
        if name.endswith("gamma.weight") and block == "attention":
            name = name.removesuffix(".weight")
        if block == "ScaledCrossReplicaBN":
            name = name.replace("gamma", "gain").replace("beta", "bias")
        if block == "G_linear":  # channels last
            value = value.reshape(1, 16, -1).swapaxes(1, 2).reshape(1, -1) if rest == ["u"] else value
            value = (
                value.reshape(16, -1, *value.shape[1:]).swapaxes(0, 1).reshape(value.shape) if rest != ["u"] else value
            )
        if "linear_" in path and path.endswith("W"):  # latents come first
            value = np.concatenate([value[:, 20:], value[:, :20]], axis=1)
        state[name] = torch.from_numpy(np.ascontiguousarray(value))
    return state


@torch.no_grad()
def test_the_adapted_network_of_the_paper_is_met():
    golden = fill.load("bsa_biggan256")
    state = chainer_state(golden.params)
    state["shared.weight"] = torch.from_numpy(golden.params["linear/W"].T.copy())
    net = adapted(state, "BSA_linear/W", "BSA_linear/bias/b", tensors(golden.params), eps=2e-5).eval()
    for module in net.modules():
        if isinstance(module, SpectralLinear):
            module.train()  # linear layers keep their u in evaluation too, there
    z = torch.from_numpy(golden.inputs["z"])
    assert_met(golden, {"image": net(z), "image_second": net(z)})


def test_the_vector_of_the_class_is_what_the_statistics_term_holds():
    golden = fill.load("bsa_loss")
    net = tiny_biggan(embed=128).generator
    net.shared.table.data = torch.from_numpy(golden.inputs["W"].T.copy())
    assert_met(golden, {"bs_reg_biggan": statistics_penalty(net)}, every=False)


def test_bsa_trains_what_drives_the_norms_from_the_mean_of_the_classes_and_keeps_the_rest():
    gan = shaken(tiny_biggan(classes=3))
    run = adapt(gan, noise_images(), "bsa", iterations=10, batch=4, progress=False, perceptual_weight=0.0)
    start, after = gan.unconditional().generator.state_dict(), run.gan.generator.state_dict()
    moved = {key for key, value in after.items() if key not in start or not torch.equal(value, start[key])}
    driving = {key for key in after if ".scale." in key or ".shift." in key} - {
        key for key in after if key.endswith("u")
    }
    assert moved == driving | {"shared.table", "affine.scale", "affine.shift"}
    (player,) = run.training.method.build(run.training.task).stages(100).__next__().players
    assert player.learning_rate == 0.0005
    (vector, twice), (latents, hundredfold) = player.rates
    assert (twice, hundredfold) == (2, 100) and vector.shape == (1, 4) and latents.shape == (10, 8)
    with pytest.raises(UserError, match="BigGAN with a shared embedding"):
        adapt(tiny_biggan(embed=0, hierarchical=False), noise_images(), "bsa", iterations=2, batch=4, progress=False)


def test_bsa_learns_to_reconstruct():
    plain = Images(torch.tensor([0, 80, 160, 240], dtype=torch.uint8).view(4, 1, 1, 1).expand(4, 3, 16, 16), "plain")
    options = {"perceptual_weight": 0.0, "latent_weight": 0.0, "learning_rate": 0.002, "progress": False}
    run = adapt(tiny_biggan(classes=3), plain, "bsa", iterations=100, batch=4, **options)
    assert run.history[-1]["statistics/l1"] < 0.85 * run.history[0]["statistics/l1"]
    dark, grey, *_ = run.training.reconstruct().mean(dim=(1, 2, 3))
    assert dark < -0.6 and -0.6 < grey < -0.2  # of -1 and -0.37


# --- MineGAN --------------------------------------------------------------------------------------------------------


@torch.no_grad()
def test_the_miners_of_the_class_and_the_latents_meet_the_golden():
    golden = fill.load("minegan_miners")
    sizes, params = golden.spec["constructor"], tensors(golden.params)
    miner = EmbeddingMiner(sizes["dim_z"], sizes["n_classes"], sizes["shared_dim"]).eval()
    for first, chain in ((1, miner.latent), (5, miner.condition)):
        for i, layer in enumerate(chain, first):
            path = f"biggan.linear{i if i > 1 else ''}"
            layer.load_state_dict(
                {"weight": params[f"{path}.weight"], "bias": params[f"{path}.bias"], "u": params[f"{path}.u0"][0]}
            )
    u = torch.from_numpy(golden.inputs["zb"])
    assert_met(golden, {"biggan_z": miner(u), "biggan_y": miner.labels(u)}, every=False)


@pytest.mark.parametrize("method", ["minegan-noft", "minegan"])
def test_minegan_mines_vectors_in_the_place_of_the_classes(method, tmp_path):
    gan = shaken(tiny_biggan(classes=3))
    run = adapt(gan, noise_images(), method, iterations=8, batch=4, progress=False)
    mined, start = run.gan.generator, gan.generator.state_dict()
    kept = {key for key, value in start.items() if torch.equal(value, mined.state_dict()[key])}
    one_row = {f"blocks.8.1.{part}.u" for part in ("query", "key")}  # whose singular vector is a sign
    assert kept == set(start) if method == "minegan-noft" else kept <= {"shared.table", *one_row}
    assert isinstance(mined.prior, EmbeddingMiner) and mined.prior.labels(gan.latents(5)).shape == (5, 4)
    assert run.gan.classes == 0
    run.gan.save(tmp_path / "mined.safetensors")
    assert torch.equal(load_gan(tmp_path / "mined.safetensors").sample(3), run.gan.sample(3))
