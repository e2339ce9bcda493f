"""BSA: the released adapted network and loss terms; latents zero at the start, statistics kept, a prior that travels
with the GAN.
"""

from urllib.error import URLError

import lpips
import pytest
import torch
import torch.nn.functional as F
from golden import fill
from helpers import assert_met, noise_images, tiny_gan, tiny_progan, tiny_sngan, tiny_wgan_resnet

from fewshotgan import load_gan
from fewshotgan.adapters import ChannelScale, adapters, attach
from fewshotgan.files import UserError
from fewshotgan.gans import GAN, sngan
from fewshotgan.images import Images
from fewshotgan.methods.bsa import BSA, adapt_statistics, latent_distance, statistics_penalty
from fewshotgan.metrics import perceptual
from fewshotgan.metrics.diversity import lpips_network
from fewshotgan.metrics.extractors import SIDES, extractor_network, prepare
from fewshotgan.metrics.perceptual import feature_maps
from fewshotgan.run import CollapseError
from fewshotgan.session import adapt
from fewshotgan.train import make_task

QUICK = {"iterations": 10, "batch": 4, "progress": False}
NETWORKS = {"stylegan2": tiny_gan, "sngan": tiny_sngan, "wgan_resnet": tiny_wgan_resnet}


def built(method, gan):
    return method.build(make_task(gan, noise_images().pixels, 4, 0, None, torch.device("cpu")))


def released(params):
    """The Chainer generator's parameters, of its class 0, under the names of ours."""
    names = {"c1": "conv0", "c2": "conv1", "c_sc": "skip", "b1": "norm0", "b2": "norm1"}
    kinds = {
        "W": "weight",
        "b": "bias",
        "gamma": "weight",
        "beta": "bias",
        "avg_mean": "running_mean",
        "avg_var": "running_var",
    }
    state = {}
    for key, value in params.items():
        part, *path = key.split("/")
        if part != "gen" or path[-1] == "N":
            continue
        if path[0].startswith("block"):
            side = 4 << (int(path[0][5:]) - 1)
            classes = {"gammas": "weight", "betas": "bias"}.get(path[2])
            name = f"blocks.{side}.{names[path[1]]}.{classes or kinds[path[2]]}"
            state[name] = torch.from_numpy(value[0] if classes else value)
        else:
            layer = {"l1": "dense", "b7": "norm", "l7": "to_image"}[path[0]]
            state[f"{layer}.{kinds[path[1]]}"] = torch.from_numpy(value)
    return state


def test_the_adapted_sngan_meets_the_golden(monkeypatch):
    """Scale and shift stand where the released code has them; its upsampling and its epsilon, which our SNGAN lacks,
    are put in.
    """
    golden = fill.load("bsa_sngan")
    monkeypatch.setattr(sngan.GeneratorBlock, "upsample", lambda _self, x: F.interpolate(x, scale_factor=2))
    net = sngan.Generator(128, 3, 128, 512, 64).eval()
    net.load_state_dict(released(golden.params), strict=False)
    for module in net.modules():
        if isinstance(module, torch.nn.BatchNorm2d):
            module.eps = 2e-5
    z = torch.from_numpy(golden.inputs["z"])
    with torch.no_grad():
        got = {"image_plain": net(z).numpy()}
        adapt_statistics(net)
        assert torch.allclose(net(z), torch.from_numpy(got["image_plain"]), atol=1e-6)
        for k, layer in enumerate(layers_in_order(net), start=1):
            layer.parametrizations.weight[0].scale.copy_(torch.from_numpy(golden.params[f"gamma{k}/W"]))
            layer.parametrizations.bias[0].shift.copy_(torch.from_numpy(golden.params[f"beta{k}/W"]))
        assert k == 11
        got |= {"image": net(z).numpy(), "bs_reg": statistics_penalty(net).numpy()}
    assert_met(golden, got, every=False)


def layers_in_order(net):
    return [net.dense, *(norm for block in net.blocks.values() for norm in (block.norm0, block.norm1))]


def test_the_latent_term_meets_the_golden_and_the_slow_loops():
    golden = fill.load("bsa_loss")
    z, t = (torch.from_numpy(golden.inputs[name]) for name in "zt")
    assert_met(golden, {"emd": latent_distance(z, t)}, every=False)
    slow = sum(min(float((a - b).square().sum()) for a in z) for b in t) / len(t)
    slow += sum(min(float((a - b).square().sum()) for b in t) for a in z) / len(z)
    assert latent_distance(z, t).item() == pytest.approx(slow, rel=1e-5)


def test_a_channel_scale_multiplies_the_rows_of_its_channel():
    layer = torch.nn.Linear(2, 6)
    before = layer.weight.detach().clone()
    scale = ChannelScale(3)
    attach(layer, "weight", scale)
    scale.scale.data = torch.tensor([1.0, 2.0, -1.0])
    assert torch.equal(layer.weight, before * torch.tensor([1.0, 1, 2, 2, -1, -1])[:, None])


@pytest.mark.parametrize("family", NETWORKS)
def test_it_starts_as_the_source_in_the_middle_of_the_latents(family):
    gan = NETWORKS[family]()
    training = built(BSA(), gan)
    assert not training.latents.any() and training.latents.shape == (10, 8)
    assert statistics_penalty(training.generator) == 0
    plain = gan.changed(**({"normalise": False} if family == "stylegan2" else {})).generator
    with torch.no_grad():
        z = gan.latents(3)
        assert torch.allclose(training.generator.eval()(z, noise="const"), plain(z, noise="const"), atol=1e-5)
    assert training.reconstruct().shape == (10, 3, 16, 16)


@pytest.mark.parametrize("family", NETWORKS)
def test_scales_shifts_and_latents_train_and_nothing_else(family):
    gan = NETWORKS[family]()
    run = adapt(gan, noise_images(), "bsa", **QUICK)
    trained = {id(p) for p in [*adapters(run.training.generator), run.training.latents]}
    for name, parameter in run.training.modules.named_parameters():
        assert (parameter.grad is not None) == (id(parameter) in trained), name
    assert len(adapters(run.training.generator)) == len({id(p) for p in adapters(run.training.generator)})
    assert run.training.latents.any(dim=1).all()
    assert all(
        torch.equal(value, run.gan.discriminator.state_dict()[key])
        for key, value in gan.discriminator.state_dict().items()
    )
    after = run.gan.generator.state_dict()
    for key, value in gan.generator.state_dict().items():
        if "conv" in key and "affine" not in key and key.endswith("weight"):
            assert torch.equal(value, after[key]), key


def test_running_statistics_stay():
    gan = tiny_sngan()
    after = adapt(gan, noise_images(), "bsa", **QUICK).gan.generator.state_dict()
    kept = [key for key in after if "running" in key or "batches" in key]
    assert len(kept) == 15 and all(torch.equal(gan.generator.state_dict()[key], after[key]) for key in kept)
    assert not torch.equal(gan.generator.norm.weight + 1, after["norm.weight"] + 2)


def test_it_learns_to_reconstruct_and_the_rate_falls():
    plain = Images(torch.tensor([0, 80, 160, 240], dtype=torch.uint8).view(4, 1, 1, 1).expand(4, 3, 16, 16), "plain")
    run = adapt(
        tiny_gan(), plain, "bsa", iterations=100, batch=4, progress=False, perceptual_weight=0.0, latent_weight=0.0
    )
    assert run.history[-1]["statistics/l1"] < 0.5 * run.history[0]["statistics/l1"]
    brightness = run.training.reconstruct().mean(dim=(1, 2, 3))
    assert (brightness.diff() > 0.1).all()
    assert "statistics/perceptual" not in run.history[-1]
    rates = [stage.players[0].learning_rate for stage in built(BSA(), tiny_gan()).stages(100)]
    assert rates == pytest.approx([0.03, 0.006, 0.0012, 0.00024])
    assert [stage.iterations for stage in built(BSA(), tiny_gan()).stages(100)] == [30, 30, 30, 10]
    assert sum(stage.iterations for stage in built(BSA(), tiny_gan()).stages(2)) == 2


def test_samples_that_become_alike_on_the_way_stop_an_adversarial_game_and_no_reconstruction(monkeypatch):
    looks = []

    def render(self, z, **_options):
        looks.append(z)
        return noise_images(len(z)).tensor() * (len(looks) == 1)

    monkeypatch.setattr(GAN, "render", render)
    assert adapt(tiny_gan(), noise_images(), "bsa", perceptual_weight=0.0, **QUICK).finished
    looks.clear()
    with pytest.raises(CollapseError, match="the same image"):
        adapt(tiny_gan(), noise_images(), "transfergan", **QUICK)


def test_the_result_carries_its_prior(tmp_path):
    run = adapt(tiny_gan(), noise_images(), "bsa", limit=0.2, **QUICK)
    assert run.gan.config["generator"]["prior"] == {"kind": "truncated", "limit": 0.2}
    z = run.gan.generator.prior(run.gan.latents(50))
    assert z.abs().max() <= 0.2
    run.gan.save(tmp_path / "bsa.safetensors")
    assert torch.equal(load_gan(tmp_path / "bsa.safetensors").sample(4), run.gan.sample(4))
    wide = run.gan.changed(prior={"kind": "truncated", "limit": 2.0})
    assert wide.sample(50).std(dim=0).mean() > run.gan.sample(50).std(dim=0).mean()


def test_a_stopped_run_goes_on_to_the_bit(tmp_path):
    straight = adapt(tiny_sngan(), noise_images(), "bsa", **QUICK)
    adapt(tiny_sngan(), noise_images(), "bsa", out=tmp_path, minutes=0.0, **QUICK)
    goes_on = adapt(tiny_sngan(), noise_images(), "bsa", out=tmp_path, **QUICK)
    assert torch.equal(goes_on.gan.sample(4), straight.gan.sample(4))
    assert torch.equal(goes_on.training.latents, straight.training.latents)


def test_perceptual_features_are_those_of_the_metrics_and_have_a_gradient():
    images = noise_images(3, resolution=SIDES["efficientnet"]).tensor()
    expected = extractor_network("efficientnet").stages(prepare(images, SIDES["efficientnet"]))
    x = images.clone().requires_grad_()
    found = feature_maps(x)
    assert len(found) == 4 and all(torch.allclose(a, b, atol=1e-3) for a, b in zip(found, expected, strict=True))
    found[0].sum().backward()
    assert x.grad.any()
    assert feature_maps(noise_images(2, channels=1).tensor())[0].shape[0] == 2
    with pytest.raises(UserError, match="efficientnet and vgg"):
        feature_maps(images, "alexnet")


def test_vgg_features_are_the_ten_maps_after_its_relus_and_train_bsa(monkeypatch):
    """With random weights, since torchvision's are fetched: which layers, their sizes, a gradient, and that BSA runs
    on them.
    """
    torch.manual_seed(0)
    network = lpips.LPIPS(net="vgg", pnet_rand=True, verbose=False).eval().requires_grad_(False)
    monkeypatch.setattr(perceptual, "lpips_network", lambda: network)
    monkeypatch.setattr(perceptual, "VGG_SIDE", 32)
    layers = [
        layer
        for part in (network.net.slice1, network.net.slice2, network.net.slice3, network.net.slice4)
        for layer in part
    ]
    images = noise_images(2, resolution=32).tensor().requires_grad_()
    maps = feature_maps(images, "vgg")
    widths = [64] * 2 + [128] * 2 + [256] * 3 + [512] * 3
    assert [x.shape[1] for x in maps] == widths and [x.shape[2] for x in maps] == [32] * 2 + [16] * 2 + [8] * 3 + [
        4
    ] * 3
    first = F.relu(layers[0](network.scaling_layer(images)))
    assert torch.allclose(maps[0], first) and all((x >= 0).all() for x in maps)
    assert torch.allclose(maps[1], F.relu(layers[2](first)), atol=1e-5)
    maps[-1].sum().backward()
    assert images.grad.any()
    run = adapt(tiny_sngan(), noise_images(), "bsa", perceptual="vgg", iterations=4, batch=2, progress=False)
    assert run.training.perceptual_weight == 0.001 and run.history[-1]["statistics/perceptual"] > 0


def test_vgg_that_cannot_be_fetched_is_one_sentence(monkeypatch):
    def offline(*_arguments, **_options):
        raise URLError("no route")

    lpips_network.cache_clear()
    monkeypatch.setattr(lpips, "LPIPS", offline)
    with pytest.raises(UserError, match=r"VGG16 .* could not be fetched .*no route.*offline use"):
        adapt(tiny_sngan(), noise_images(), "bsa", perceptual="vgg", **QUICK)


def test_bad_input_is_one_sentence():
    for gan, n, options, text in (
        (tiny_gan(), 1, {}, "bsa needs at least 2 images"),
        (tiny_progan(), 10, {}, "this generator has none of them"),
        (tiny_gan(), 10, {"perceptual": "alexnet"}, "must be efficientnet or vgg"),
        (tiny_gan(), 10, {"limit": 0.0}, "limit=0.0 must be a finite number above 0"),
    ):
        with pytest.raises(UserError, match=text):
            adapt(gan, noise_images(n), "bsa", **QUICK, **options)


def test_it_needs_no_discriminator():
    gan = tiny_sngan()
    alone = GAN.create({**gan.config, "discriminator": None}, "alone")
    run = adapt(alone, noise_images(), "bsa", **QUICK)
    assert not run.gan.complete and run.gan.sample(2).isfinite().all()
