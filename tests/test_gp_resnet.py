"""GP-GAN computes what the three published variants compute; with and without classes it is a GAN like any other."""

import pytest
import torch
import torch.nn.functional as F
from golden import fill
from helpers import assert_met, noise_images, tensors, tiny_gan, tiny_gp_resnet

from fewshotgan import load_gan
from fewshotgan.files import UserError
from fewshotgan.gans import GAN
from fewshotgan.gans.gp_resnet import Discriminator, Generator, ResidualBlock
from fewshotgan.gans.official import gan_stability
from fewshotgan.gans.official.layout import Part
from fewshotgan.losses import r1_penalty
from fewshotgan.session import adapt


def checkpoint(variant):
    return [tensors(fill.load(f"gpgan_{variant}_{network}").params) for network in "gd"]


@pytest.mark.parametrize("variant", ["imagenet", "celeba", "lsun"])
def test_the_published_variants_are_met(variant):
    g, d = (fill.load(f"gpgan_{variant}_{network}") for network in "gd")
    found = gan_stability.convert(Part(tensors(g.params)), Part(tensors(d.params)))
    gan = GAN.create(found.config, variant)
    gan.generator.load_state_dict(found.generator)
    gan.discriminator.load_state_dict(found.discriminator)
    x, images = tensors(g.inputs), tensors(d.inputs)["x"].requires_grad_()
    got = {"image": gan.generator(x["z"], labels=x["y"])}
    if "y_embed" in x:
        got["image_soft"] = gan.generator(x["z"], labels=x["y_embed"])
    assert_met(g, got)
    logits = gan.discriminator(images, labels=tensors(d.inputs)["y"])
    losses = {
        "loss_real": F.softplus(-logits).mean(),
        "loss_fake": F.softplus(logits).mean(),
        "reg": r1_penalty(logits, images),
    }
    assert_met(d, {"logits": logits[:, 0], **losses})


def test_a_published_checkpoint_loads_and_the_averaged_generator_is_taken(tmp_path):
    generator, discriminator = checkpoint("lsun")
    other = {key: value + 1 for key, value in generator.items()}
    prefixed = [{f"module.{key}": value for key, value in state.items()} for state in (other, discriminator, generator)]
    torch.save(dict(zip(("generator", "discriminator", "generator_test"), prefixed, strict=True)), tmp_path / "lsun.pt")
    gan, golden = load_gan(tmp_path / "lsun.pt"), fill.load("gpgan_lsun_g")
    with torch.no_grad():
        image = gan.generator(torch.from_numpy(golden.inputs["z"]), labels=torch.zeros(2, dtype=torch.long))
    assert_met(golden, {"image": image}, every=False)
    assert (gan.resolution, gan.z_dim, gan.classes) == (64, 256, 1)
    assert gan.sample(2).shape == (2, 3, 64, 64)


def test_a_checkpoint_of_another_variant_is_refused(tmp_path):
    generator, discriminator = checkpoint("lsun")
    torch.save(
        {"generator": {**generator, "resnet.9.norm.weight": torch.ones(1)}, "discriminator": discriminator},
        tmp_path / "other.pt",
    )
    with pytest.raises(UserError, match=r"the tensor 'resnet\.9\.norm\.weight' is missing or belongs to no layer"):
        load_gan(tmp_path / "other.pt")
    torch.save(
        {"generator": generator, "discriminator": {**discriminator, "fc.weight": torch.ones(1, 7)}},
        tmp_path / "thin.pt",
    )
    with pytest.raises(UserError, match="layout of GAN_stability, but its tensors have impossible shapes"):
        load_gan(tmp_path / "thin.pt")


def test_a_block_is_the_shortcut_and_a_tenth_of_two_convolutions():
    x, features = torch.randn(2, 3, 4, 4), []
    block, plain = ResidualBlock(3, 5), ResidualBlock(3, 3)
    assert plain.skip is None and block.skip.bias is None and block.conv0.out_channels == 3
    first = F.conv2d(torch.where(x > 0, x, 0.2 * x), block.conv0.weight, block.conv0.bias, padding=1)
    second = F.conv2d(torch.where(first > 0, first, 0.2 * first), block.conv1.weight, block.conv1.bias, padding=1)
    assert torch.allclose(block(x, features), F.conv2d(x, block.skip.weight) + 0.1 * second, atol=1e-6)
    assert torch.allclose(features[0], first) and torch.allclose(features[1], second, atol=1e-6)


@pytest.mark.parametrize(("resolution", "channels", "blocks", "classes"), [(8, 1, 1, 0), (32, 3, 2, 4), (64, 1, 1, 2)])
def test_any_size_and_its_groups(resolution, channels, blocks, classes):
    sizes = {
        "resolution": resolution,
        "channels": channels,
        "channel_base": 3 * resolution,
        "channel_max": 6,
        "blocks": blocks,
        "classes": classes,
    }
    generator, discriminator = Generator(**sizes, z_dim=5, embed=2), Discriminator(**sizes)
    labels = {"labels": torch.zeros(2, dtype=torch.long)} if classes else {}
    features, judged = [], []
    image = generator(torch.randn(2, 5), features=features, **labels)
    assert image.shape == (2, channels, resolution, resolution) and image.abs().max() <= 1
    assert discriminator(image, judged, **labels).shape == (2, 1)
    sides = [str(2**k) for k in range(2, resolution.bit_length())]
    assert len(features) == len(judged) == 2 * blocks * len(sides)
    for network, letter in ((generator, "G"), (discriminator, "D")):
        assert list(network.counted()) == [f"{letter}{i}" for i in range(1, len(sides) + 2)]
    assert generator.counted()["G1"] == [generator.to_image] and generator.counted()["G2"] == [
        generator.blocks[sides[-1]]
    ]
    assert discriminator.counted()["D1"] == [discriminator.from_image]
    assert discriminator.counted()[f"D{len(sides) + 1}"] == [discriminator.blocks["4"]]


@pytest.mark.parametrize("changes", [{"blocks": 3}, {"head": 12}, {"head": 4}, {"head": 8, "classes": 2}])
def test_impossible_sizes_are_refused(changes):
    with pytest.raises(UserError, match="builds no GAN"):
        tiny_gp_resnet(**changes)


# --- classes ---------------------------------------------------------------------------------------------------------


def test_labels_follow_the_seed_unless_given():
    gan = tiny_gp_resnet(classes=3)
    assert torch.equal(gan.sample(6, seed=2), gan.sample(6, seed=2, labels=gan.labels(6, 2)))
    assert set(gan.labels(60, 1).tolist()) == {0, 1, 2} and not torch.equal(gan.labels(60, 1), gan.labels(60, 2))
    ones, twos = gan.sample(4, labels=1), gan.sample(4, labels=torch.tensor([2, 2, 2, 1]))
    assert not torch.allclose(ones[:3], twos[:3]) and torch.allclose(ones[3], twos[3], atol=1e-6)
    z = gan.latents(3, 5)
    with torch.no_grad():
        assert torch.allclose(gan.render(z, labels=2, batch=2), gan.generator(z, labels=torch.full((3,), 2)), atol=1e-6)


def test_a_walk_stays_in_one_class():
    gan = tiny_gp_resnet(classes=3)
    walk = gan.interpolate(3, 4, seed=1)
    assert torch.allclose(walk[::4], gan.sample(3, seed=1, labels=int(gan.labels(1, 1))), atol=1e-4)


def test_the_logit_is_that_of_the_label():
    gan = tiny_gp_resnet(classes=3)
    x, labels = gan.sample(4), torch.tensor([0, 2, 1, 2])
    with torch.no_grad():
        every = torch.cat([gan.discriminator(x, labels=torch.full((4,), label)) for label in range(3)], dim=1)
        assert torch.equal(gan.discriminator(x, labels=labels)[:, 0], every[range(4), labels])


@pytest.mark.parametrize("normalise", [True, False])
def test_without_classes_the_networks_are_the_mean_over_them(normalise):
    gan = tiny_gp_resnet(classes=3, normalise=normalise)
    plain = gan.unconditional()
    assert plain.classes == plain.config["discriminator"]["classes"] == 0 and gan.classes == 3
    z, x = gan.latents(4), gan.sample(4)
    mean = gan.generator.embedded(torch.arange(3)).mean(dim=0)
    with torch.no_grad():
        gan.generator.normalise = False
        assert torch.allclose(plain.generator(z), gan.generator(z, labels=mean.expand(4, -1)), atol=1e-6)
        every = torch.stack([gan.discriminator(x, labels=torch.full((4,), label)) for label in range(3)])
        assert torch.allclose(plain.discriminator(x), every.mean(dim=0), atol=1e-6)
        assert torch.allclose(gan.discriminator(x), every.mean(dim=0), atol=1e-6)


@pytest.mark.parametrize("method", ["transfergan", "adam", "adafm"])
def test_a_class_conditional_source_is_adapted_as_its_mean_class(method, tmp_path):
    gan = tiny_gp_resnet(classes=3)
    run = adapt(gan, noise_images(), method, iterations=4, batch=4, progress=False)
    assert run.gan.classes == 0 and gan.classes == 3
    run.gan.save(tmp_path / "adapted.safetensors")
    assert torch.equal(load_gan(tmp_path / "adapted.safetensors").sample(2), run.gan.sample(2))


def test_wrong_labels_and_missing_ones_are_one_sentence():
    gan = tiny_gp_resnet(classes=3)
    for labels in (3, -1, torch.tensor([0, 5])):
        with pytest.raises(UserError, match="has the labels 0 to 2"):
            gan.sample(2, labels=labels)
    with pytest.raises(UserError, match="leave out the labels"):
        tiny_gan().sample(2, labels=1)
    with pytest.raises(UserError, match="class-conditional: give it labels, 0 to 2"):
        gan.generator(gan.latents(2))
    with pytest.raises(UserError, match="no truncation"):
        gan.sample(2, truncation=0.7)
    with pytest.raises(UserError, match="no styles to mix"):
        gan.generator(gan.latents(2), labels=torch.zeros(2, dtype=torch.long), mix=gan.latents(2))
