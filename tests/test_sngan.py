"""SNGAN computes what mimicry's networks compute, with and without classes, at any size; labels follow the seed."""

import pytest
import torch
from golden import fill
from helpers import assert_met, tensors, tiny_sngan

from fewshotgan import load_gan
from fewshotgan.files import UserError
from fewshotgan.gans.official import mimicry
from fewshotgan.gans.official.layout import Part
from fewshotgan.gans.sngan import Discriminator, Generator
from fewshotgan.gans.spectral import SpectralConv2d, of_class


def pair(name, size):
    goldens = [fill.load(f"{name}_{network}{size}") for network in "gd"]
    found = mimicry.convert(*(Part(tensors(golden.params)) for golden in goldens))
    return goldens, (found.generator, found.discriminator), found.config


@pytest.mark.parametrize(("name", "size"), [("sngan", 32), ("sngan", 64), ("cgan_pd", 32)])
@torch.no_grad()
def test_the_generators_are_met(name, size):
    (golden, _), (state, _), config = pair(name, size)
    net = Generator(**config["generator"])
    net.load_state_dict(state)
    x = tensors(golden.inputs)
    condition = {"labels": x["y"]} if "y" in x else {}
    got = {"image": net.eval()(x["z"], **condition), "image_train": net.train()(x["z"], **condition)}
    assert_met(golden, {**got, "after_mean": net.norm.running_mean, "after_var": net.norm.running_var})


@pytest.mark.parametrize(("name", "size"), [("sngan", 32), ("sngan", 64), ("cgan_pd", 32)])
@torch.no_grad()
def test_the_discriminators_are_met(name, size):
    (_, golden), (_, state), config = pair(name, size)
    net = Discriminator(**config["discriminator"])
    net.load_state_dict(state)
    x = tensors(golden.inputs)
    condition = {"labels": x["y"]} if "y" in x else {}
    got = {"logits": net.eval()(x["x"], **condition), "logits_train": net.train()(x["x"], **condition)}
    got["logits_train2"] = net(x["x"], **condition)
    got["after_u"] = net.embedding.u[None] if "y" in x else net.blocks[str(size // 2)].conv0.u
    assert_met(golden, got)


def test_a_generator_of_mimicry_opens_and_what_needs_a_discriminator_says_so(tmp_path):
    golden = fill.load("cgan_pd_g32")
    torch.save({"model_state_dict": tensors(golden.params), "global_step": 7}, tmp_path / "netG.pth")
    gan = load_gan(tmp_path / "netG.pth")
    assert gan.classes == 10 and not gan.complete and gan.config["discriminator"] is None
    assert gan.render(torch.from_numpy(golden.inputs["z"]), labels=torch.tensor([0, 4, 4, 9])).isfinite().all()
    gan.save(tmp_path / "ours.safetensors")
    again = load_gan(tmp_path / "ours.safetensors")
    assert torch.equal(again.sample(3), gan.sample(3))
    with pytest.raises(UserError, match="without a discriminator"):
        again.discriminator(gan.sample(1))
    torch.save({"model_state_dict": {"attention.weight": torch.zeros(1)}}, tmp_path / "other.pth")
    with pytest.raises(UserError, match=r"'model_state_dict\.attention\.weight' fits none of rosinality"):
        load_gan(tmp_path / "other.pth")


def test_labels_follow_the_seed_unless_they_are_given():
    gan = tiny_sngan(classes=5)
    labels = gan.labels(6, seed=3)
    assert labels.shape == (6,) and labels.max() < 5 and len(gan.labels(500).unique()) == 5
    assert torch.equal(gan.sample(6, seed=3), gan.render(gan.latents(6, 3), labels=labels))
    other = gan.sample(6, seed=3, labels=(labels + 1) % 5)
    assert not torch.allclose(other, gan.sample(6, seed=3))
    assert gan.interpolate(2, 3).shape == (6, 3, 16, 16)
    with pytest.raises(UserError, match="no classes: leave out the labels"):
        tiny_sngan().sample(2, labels=1)
    with pytest.raises(UserError, match="give it labels, 0 to 4"):
        gan.generator(torch.randn(2, 8))


def test_weights_of_classes_mix_them():
    table = torch.randn(3, 4)
    assert torch.equal(of_class(table, torch.tensor([2, 0])), table[[2, 0]])
    assert torch.allclose(of_class(table, torch.tensor([[0.5, 0.0, 0.5]])), (table[0] + table[2])[None] / 2)
    gan = tiny_sngan(classes=3)
    z, labels = gan.latents(4), torch.tensor([0, 2, 1, 1])
    with torch.no_grad():
        x, mixed = (gan.generator(z, labels=given) for given in (labels, torch.eye(3)[labels]))
    assert torch.allclose(x, mixed, atol=1e-6)
    judged = [gan.discriminator(x, labels=given) for given in (labels, torch.eye(3)[labels], None)]
    assert torch.allclose(judged[0], judged[1], atol=1e-5) and not torch.allclose(judged[0], judged[2])


@torch.no_grad()
def test_the_mean_class_has_mean_scales_and_shifts_and_judges_the_image_alone():
    gan = tiny_sngan(classes=3)
    mean = gan.unconditional()
    assert mean.classes == 0 and mean.generator.classes == mean.discriminator.classes == 0
    z = gan.latents(4)
    assert torch.allclose(mean.generator(z), gan.generator(z, labels=torch.full((4, 3), 1 / 3)), atol=1e-6)
    x = gan.sample(4)
    assert torch.allclose(mean.discriminator(x), gan.discriminator(x), atol=1e-5)


def test_the_spectral_norm_finds_the_largest_singular_value_and_its_gradient_leaves_the_vectors_alone():
    layer = SpectralConv2d(3, 5, 3)
    for _ in range(100):
        layer.normalised()
    largest = torch.linalg.svdvals(layer.weight.detach().flatten(1))[0]
    assert torch.allclose(layer.normalised(), layer.weight / largest, atol=1e-4)
    kept = layer.u.clone(), layer.v.clone()
    layer.eval()(torch.randn(1, 3, 4, 4)).sum().backward()
    assert torch.equal(layer.u, kept[0]) and torch.equal(layer.v, kept[1]) and layer.weight.grad is not None
