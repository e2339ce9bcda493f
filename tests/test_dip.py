"""Data Instance Prior: what conditions both networks, how it is sampled and kept, and what it refuses.

Every method of METHODS is also run on every family by `test_methods.py` and `test_families.py`.
"""

import dataclasses

import numpy as np
import onnxruntime
import pytest
import torch
from helpers import noise_images, small_disk, tiny

import fewshotgan as fsg
from fewshotgan import load_gan
from fewshotgan.bench import encoders
from fewshotgan.bench.encoders import probe, untrained
from fewshotgan.bench.pools import save_pool
from fewshotgan.export import to_onnx, to_torchscript
from fewshotgan.files import UserError
from fewshotgan.images import Images
from fewshotgan.instances import describe, network_name, remember
from fewshotgan.lessons.panels import InstancePanel
from fewshotgan.lessons.ring import modes_kept, ring_figure, ring_points, train_gan, train_imle
from fewshotgan.methods import create_method
from fewshotgan.methods.dip import conditioned
from fewshotgan.session import adapt
from fewshotgan.simclr import contrastive_loss, load_encoder, save_encoder, shipped_encoder, train_encoder, views
from fewshotgan.train import make_task

QUICK = {"iterations": 3, "batch": 4, "progress": False}
DRIVEN = ("sngan", "biggan", "biggan_deep", "stylegan2")
ADVERSARIAL = ("dip", "dip-freezed", "dip-scratch")


def built(method, gan, images=None):
    images = images or noise_images()
    return create_method(method, features="onehot").build(
        make_task(gan, images.pixels, 4, 0, None, torch.device("cpu"))
    )


@pytest.fixture(scope="module")
def adapted():
    return adapt(tiny("sngan"), noise_images(), "dip", features="random", sampling="neighbours", **QUICK).gan


@pytest.fixture(scope="module")
def encoder(tmp_path_factory):
    path = tmp_path_factory.mktemp("encoder") / "encoder.safetensors"
    save_encoder(train_encoder(noise_images(12), iterations=2, batch=4, width=8), path)
    return path


# --- both networks ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("family", DRIVEN)
@torch.no_grad()
def test_g_starts_as_the_source_and_features_then_drive_both_networks(family):
    source, images = tiny(family), noise_images()
    memory = remember(images, "onehot", components=64)
    gan = conditioned(source, memory, seed=1)
    z, c, x = source.latents(3), memory.each[:3], images.tensor()[:3]
    if family != "stylegan2":  # whose features choose the latents
        assert torch.allclose(gan.generator(z, labels=c), source.generator(z), atol=1e-6)
    assert torch.allclose(gan.discriminator(x), source.discriminator(x), atol=1e-6)
    for network in (gan.generator, gan.discriminator):
        for parameter in network.parameters():
            parameter.add_(0.1 * torch.randn(parameter.shape, generator=torch.Generator().manual_seed(2)))
    for network, given in ((gan.generator, z), (gan.discriminator, x)):
        assert not torch.allclose(network(given, labels=c), network(given, labels=memory.each[3:6]), atol=1e-5)


@torch.no_grad()
def test_the_discriminator_adds_the_product_of_its_features_with_the_embedding():
    gan = conditioned(tiny("sngan"), remember(noise_images(), "onehot", components=64), seed=1)
    judge, x, c = gan.discriminator, noise_images().tensor()[:4], torch.eye(10)[:4]
    h = torch.relu(judge.trunk(x, 2)).sum(dim=(2, 3))
    product = (c @ judge.instance.normalised() * h).sum(dim=1, keepdim=True)
    assert torch.allclose(judge(x, labels=c), judge.out(h) + product, atol=1e-5)


@pytest.mark.parametrize("method", ADVERSARIAL)
def test_generated_images_have_the_features_of_the_real_ones_of_their_batch(method, monkeypatch):
    training = built(method, tiny("sngan"))
    (stage,) = training.stages(1)
    seen = []
    judge, generator = training.discriminator, training.generator
    for network in (judge, generator):
        monkeypatch.setattr(
            network, "forward", lambda *a, _old=network.forward, **k: seen.append(k["labels"]) or _old(*a, **k)
        )
    batch = fsg.methods.Batch(0)
    stage.before(batch)
    for player in stage.players:
        player.terms(batch)
    assert len(seen) == 5 and all(torch.equal(labels, training.condition(batch)) for labels in seen)
    real = training.task.pick(batch["numbers"])
    assert torch.equal(training.real(batch), real)
    assert torch.equal(training.condition(batch), torch.eye(10)[batch["numbers"]])


def test_freezed_keeps_lower_blocks_and_trains_the_embedding_and_bsa_trains_what_reads_features():
    gan = tiny("sngan")
    run = adapt(gan, noise_images(), "dip-freezed", frozen_down_to=8, features="onehot", **QUICK)
    before, after = gan.discriminator.state_dict(), run.gan.discriminator.state_dict()
    assert all(torch.equal(before[key], after[key]) for key in before if "blocks.16" in key and key.endswith("weight"))
    assert not torch.equal(before["out.weight"], after["out.weight"])
    for family in ("sngan", "biggan", "stylegan2"):
        bent = adapt(tiny(family), noise_images(), "dip-bsa", features="onehot", **QUICK).gan
        start = built("dip-bsa", tiny(family)).generator.state_dict()
        names = [key for key in bent.generator.state_dict() if "instance." in key or ".scale.weight" in key]
        moved = [key for key in names if key in start and not torch.equal(start[key], bent.generator.state_dict()[key])]
        assert moved and bent.generator.prior(bent.latents(50)).abs().max() <= 0.3


@pytest.mark.parametrize("options", [
    {"loss": "logistic", "path_length": 2.0, "path_length_every": 1, "mixing": 1.0}, {"augment": "ada"},
    {"augment": None, "clusters": 3, "sampling": "gaussian"}, {"sampling": "neighbours", "components": 2},
])  # fmt: skip
def test_options_of_training_run(options):
    run = adapt(tiny("stylegan2"), noise_images(), "dip", **{**QUICK, "features": "onehot", **options})
    assert run.gan.sample(4).isfinite().all()


def test_the_loss_is_the_papers_unless_it_is_given_and_keys_of_other_methods_stay():
    gan = tiny("stylegan2")
    assert create_method("dip").settle(gan).loss == "hinge"
    assert create_method("dip", loss="logistic").settle(gan).loss == "logistic"
    fields = {field.name for field in dataclasses.fields(create_method("transfergan"))}
    assert not fields & {"features", "components", "clusters", "sampling"}


@pytest.mark.parametrize("method", ["dip", "dip-bsa"])
def test_a_stopped_run_goes_on_to_the_bit(method, tmp_path):
    whole = {"iterations": 6, "batch": 2, "progress": False, "features": "onehot"}
    straight = adapt(tiny("sngan"), noise_images(), method, **whole)
    assert not adapt(tiny("sngan"), noise_images(), method, out=tmp_path, minutes=0.0, **whole).finished
    goes_on = adapt(tiny("sngan"), noise_images(), method, out=tmp_path, **whole)
    assert goes_on.finished and torch.equal(goes_on.gan.sample(4), straight.gan.sample(4))


# --- the memory ---------------------------------------------------------------------------------------------------


def test_features_are_centred_of_unit_length_on_average_and_lose_nothing_of_few_images():
    images = noise_images(6)
    memory, described = remember(images, "random", components=64), describe(images, "random")
    assert memory.each.shape == (6, 5) and torch.allclose(memory.each.mean(dim=0), torch.zeros(5), atol=1e-5)
    assert memory.each.square().sum(dim=1).mean().item() == pytest.approx(1, abs=1e-4)
    ratio = torch.pdist(memory.each) / torch.pdist(described)
    assert torch.allclose(ratio, ratio.mean().expand_as(ratio), rtol=1e-3)
    assert remember(images, "random", components=2).each.shape == (6, 2)


def sampled(sampling, n=4000, **options):
    images = Images(noise_images(8).pixels, "eight")
    memory = remember(images, "random", components=3, sampling=sampling, **options)
    gan = conditioned(tiny("sngan"), memory, seed=0)
    return gan.generator.prior.labels(gan.latents(n)), memory


def test_the_bank_is_drawn_evenly_and_clusters_by_their_shares():
    drawn, memory = sampled("bank")
    counts = (torch.cdist(drawn, memory.each) < 1e-3).float().mean(dim=0)
    assert torch.allclose(counts, torch.full((8,), 1 / 8), atol=0.02)
    drawn, memory = sampled("bank", clusters=3)
    for row, share in zip(memory.tensors["bank"], memory.tensors["shares"], strict=True):
        assert ((drawn - row).norm(dim=1) < 1e-6).float().mean().item() == pytest.approx(share.item(), abs=0.03)
    assert len({tuple(row) for row in memory.each.tolist()}) == 3


def test_neighbours_are_mixed_and_noise_has_the_spread():
    drawn, memory = sampled("neighbours")
    between = torch.cdist(drawn, memory.each).min(dim=1).values
    assert (between > 0.05).float().mean() > 0.2 and drawn.abs().max() <= memory.each.abs().max() + 1e-6
    drawn, memory = sampled("gaussian")
    bank, spread = memory.tensors["bank"], memory.tensors["spread"]
    expected = bank.var(dim=0, unbiased=False) + spread.square()
    assert torch.allclose(drawn.var(dim=0), expected, rtol=0.15)


def test_an_adapted_gan_is_saved_sampled_exported_and_adapted_again(adapted, tmp_path):
    adapted.save(tmp_path / "dip.safetensors", torch.float16)
    again = load_gan(tmp_path / "dip.safetensors")
    assert torch.allclose(again.sample(4), adapted.sample(4), atol=0.02) and again.config == adapted.config
    assert adapted.classes == 0 and adapted.interpolate(2, 3).shape[0] == 6
    to_torchscript(adapted, tmp_path / "dip.pt")
    z = adapted.latents(5)
    to_onnx(adapted, tmp_path / "dip.onnx")
    given = {"z": z.numpy(), "truncation": np.array(1.0, np.float32)}
    (made,) = onnxruntime.InferenceSession(tmp_path / "dip.onnx").run(None, given)
    assert np.allclose(made, adapted.render(z).numpy(), atol=1e-4)
    assert torch.allclose(torch.jit.load(tmp_path / "dip.pt")(z, torch.tensor(1.0)), adapted.render(z), atol=1e-5)
    for method in ("freezed", "minegan-noft", "dip"):
        given = {"features": "onehot"} if method == "dip" else {}
        run = adapt(adapted, noise_images(5), method, **QUICK, **given)
        assert run.gan.sample(2).isfinite().all()
    assert run.gan.generator.prior.network == "onehot" and len(run.gan.generator.prior.bank) == 5


# --- editing ------------------------------------------------------------------------------------------------------


def test_images_are_inverted_mixed_painted_and_translated(adapted):
    images = Images(noise_images().pixels[:2], "two")
    before = [value.clone() for value in adapted.weights()]
    few, many = (fsg.edit.invert(adapted, images, iterations=steps) for steps in (0, 8))
    target = images.tensor()
    assert many.images.shape == target.shape and torch.equal(many.target, target)
    assert (many.images - target).square().mean() < (few.images - target).square().mean()
    mixed = fsg.edit.cutmix(adapted, images, Images(255 - images.pixels, "others"), (2, 4, 10, 12), iterations=1)
    assert torch.allclose(mixed.target[:, :, 2:10, 4:12], -target[:, :, 2:10, 4:12], atol=1e-6)
    assert torch.equal(mixed.target[:, :, 10:], target[:, :, 10:])
    painted = fsg.edit.inpaint(adapted, images, (0, 0, 8, 16), iterations=1)
    assert torch.equal(painted.images[:, :, 8:], target[:, :, 8:])
    assert not torch.equal(painted.images[:, :, :8], target[:, :, :8]) and painted.target[0, 0, :8].std() < 1e-6
    translated = fsg.edit.translate(adapted, images, seed=3)
    assert translated.images.shape == target.shape and torch.equal(translated.features, many.features)
    assert all(map(torch.equal, before, adapted.weights()))


# --- an encoder without labels ------------------------------------------------------------------------------------


def test_simclr_learns_to_find_twins_and_its_weights_condition_a_gan(encoder):
    images = noise_images(16)
    x = images.tensor()
    trained, fresh = (train_encoder(images, iterations=steps, batch=16, width=8) for steps in (60, 1))
    losses = []
    for one in (trained, fresh):
        rng = torch.Generator().manual_seed(0)
        losses.append(contrastive_loss(one(views(x, rng)), one(views(x, rng)), 0.1).item())
    assert losses[0] < losses[1]
    run = adapt(tiny("sngan"), noise_images(), "dip", features=str(encoder), **QUICK)
    assert run.gan.generator.prior.network.startswith("simclr ")
    found = fsg.edit.translate(run.gan, noise_images(), features=str(encoder))
    memory = remember(noise_images(), str(encoder), components=64)
    assert torch.allclose(found.features, memory.each, atol=1e-4)


def test_the_shipped_encoder_is_used_by_its_name_and_knows_more_than_the_same_network_untrained(tmp_path):
    encoder = shipped_encoder()
    images = fsg.load_images("fashion/bag", n=4)
    assert torch.allclose(describe(images, "simclr"), torch.nn.functional.normalize(encoder(images.tensor()), dim=1))
    gan = fsg.load_gan("fashion-sngan")
    run = fsg.adapt(gan, images, "dip", features="simclr", **QUICK)
    network = run.gan.generator.prior.network
    assert network == network_name("simclr") == run.training.method.features != "simclr"
    assert fsg.edit.translate(run.gan, images).images.isfinite().all()
    save_encoder(encoder, tmp_path / "same.safetensors", torch.float16)
    assert network_name(str(tmp_path / "same.safetensors")) == network
    assert (tmp_path / "same.safetensors").stat().st_size <= 250_000
    trained, fresh = (probe(each)[1] for each in (encoder, untrained(encoder)))
    assert trained > fresh + 0.02
    refused("names no network", adapt, gan, images, "dip", **QUICK, features="simclr 000000000000")


def test_the_encoder_and_its_card_are_made_by_one_call(tmp_path, monkeypatch):
    for name, small in {"ITERATIONS": 1, "BATCH": 4, "SHOWN": 4, "TESTED": 4}.items():
        monkeypatch.setattr(encoders, name, small)
    images = fsg.load_images("fashion/base", n=8)
    save_pool(images.pixels[:, 0].numpy(), tmp_path / "fashion-base.npy.xz")
    encoders.make_encoder(tmp_path, tmp_path / "made")
    assert load_encoder(tmp_path / "made" / "fashion-simclr.safetensors").width == encoders.WIDTH
    card = (tmp_path / "made" / "fashion-simclr.md").read_text()
    assert "8 images of fashion/base" in card and card.count("%") == 6
    refused("is no pool of images", encoders.make_encoder, tmp_path / "none", tmp_path)


def test_the_loss_of_twins_is_what_a_loop_finds():
    a, b = torch.randn(2, 3, 4, generator=torch.Generator().manual_seed(0))
    rows = torch.nn.functional.normalize(torch.cat([a, b]), dim=1)
    total = 0.0
    for i in range(6):
        others = [torch.exp(rows[i] @ rows[j] / 0.5) for j in range(6) if j != i]
        total -= torch.log(torch.exp(rows[i] @ rows[(i + 3) % 6] / 0.5) / sum(others)).item() / 6
    assert contrastive_loss(a, b, 0.5).item() == pytest.approx(total, abs=1e-5)


# --- what is refused ----------------------------------------------------------------------------------------------


def refused(text, work, *args, **options):
    with pytest.raises(UserError, match=text) as error:
        work(*args, **options)
    assert len(str(error.value)) <= 240


def test_bad_input_is_one_sentence(adapted, encoder, tmp_path):
    images, plain = noise_images(), tiny("sngan")
    dip = {**QUICK, "features": "onehot"}
    refused("clusters=11 are more than the 10 images", adapt, plain, images, "dip", **dip, clusters=11)
    refused("names no network: give efficientnet", adapt, plain, images, "dip", **QUICK, features="resnet")
    refused("dip conditions SNGAN, StyleGAN2 or", adapt, tiny("progan"), images, "dip", **dip)
    refused("needs at least 2 images", adapt, plain, noise_images(1), "dip", **dip)
    same = Images(images.pixels[:1].expand(4, -1, -1, -1), "same")
    refused("random says the same of all images of the shots", adapt, plain, same, "dip", **QUICK, features="random")
    refused("has a prior before them", adapt, adapted, images, "dip-bsa", **dip)
    mined = adapt(plain, images, "minegan-noft", **QUICK).gan
    refused("has a miner before them", adapt, mined, images, "dip", **dip)
    grey = noise_images(channels=1)
    refused(
        "describes images of 3 channels", adapt, tiny("sngan", channels=1), grey, "dip", **QUICK, features=str(encoder)
    )
    (tmp_path / "other.safetensors").write_bytes(b"none")
    refused("holds no encoder", load_encoder, tmp_path / "other.safetensors")
    refused("train no encoder", train_encoder, noise_images(1))


def test_the_latents_of_a_seed_are_those_of_the_source_with_more_behind_them(adapted):
    source = tiny("sngan")
    assert adapted.z_dim > source.z_dim
    assert torch.equal(adapted.latents(5, 3)[:, : source.z_dim], source.latents(5, 3))


def test_features_of_another_size_are_refused(adapted):
    prior = adapted.generator.prior
    refused("have 7 numbers, and this GAN was trained on 1280 by random", prior.condense, torch.zeros(2, 7))
    for network, given in ((adapted.generator, adapted.latents(2)), (adapted.discriminator, adapted.sample(2))):
        refused("features of 9 numbers for each image, not on", network, given, labels=torch.zeros(2, 7))


def test_features_are_drawn_in_another_way_afterwards(adapted):
    images = noise_images()
    bank = fsg.edit.resampled(adapted, "bank")
    known = remember(images, "random", components=64).each
    drawn = bank.generator.prior.labels(bank.latents(20))
    assert torch.cdist(drawn, known).min(dim=1).values.max() < 1e-3
    assert torch.equal(fsg.edit.resampled(bank, "neighbours").sample(4), adapted.sample(4))
    assert fsg.edit.resampled(adapted, "gaussian").sample(3).isfinite().all()
    assert adapted.generator.prior.sampling == "neighbours"
    refused("has no data instance prior", fsg.edit.resampled, tiny("sngan"), "bank")
    refused("is no way to draw features; give bank, neighbours, gaussian", fsg.edit.resampled, adapted, "mean")


def test_the_panel_blends_two_images_and_draws_by_the_menu(adapted):
    few = noise_images()
    panel = InstancePanel(adapted, few)
    before = panel.picture.value
    panel.blend.value = 1.0
    blended = panel.picture.value
    panel.sampling.value = "gaussian"
    assert len({before, blended, panel.picture.value}) == 3


def test_edits_that_cannot_be_are_refused(adapted, encoder):
    images, other = noise_images(), noise_images(resolution=32)
    for edit in (fsg.edit.invert, fsg.edit.translate):
        refused("has no data instance prior", edit, tiny("sngan"), images)
        refused("noise has 32 pixels and 3 channels, tiny.dip 16 and 3", edit, adapted, other)
        refused("takes a GAN and Images", edit, "fashion-sngan", images)
        refused("trained on features of random; give that one", edit, adapted, images, features=str(encoder))
    refused("has no data instance prior", fsg.edit.inpaint, tiny("sngan"), images, (0, 0, 4, 4))
    refused("is no part of 16 x 16 pixels", fsg.edit.inpaint, adapted, images, (0, 0, 17, 4))
    refused("covers the whole image", fsg.edit.inpaint, adapted, images, (0, 0, 16, 16))
    for pair in ((other, images), (images, other)):
        refused("noise has 32 pixels", fsg.edit.cutmix, adapted, *pair, (0, 0, 4, 4))
    refused("10 images and 3 others", fsg.edit.cutmix, adapted, images, images.part(0, 3), (0, 0, 4, 4))
    refused("iterations=-1 must be at least 0", fsg.edit.invert, adapted, images, iterations=-1)
    numbered = adapt(tiny("sngan"), images, "dip", features="onehot", **QUICK).gan
    refused("no other image has a number", fsg.edit.invert, numbered, images)


def test_an_encoder_is_written_whole_or_not_at_all(tmp_path):
    trained = train_encoder(noise_images(4), iterations=1, width=8)
    with small_disk(tmp_path / "disk", 4096) as disk:
        refused("free some space", save_encoder, trained, disk / "encoder.safetensors")
        assert list(disk.iterdir()) == []


# --- the ring -----------------------------------------------------------------------------------------------------


def test_the_prior_keeps_modes_of_the_ring_that_a_plain_gan_drops():
    real = ring_points(200)
    plain, prior = (train_gan(real, 300, prior) for prior in (False, True))
    assert modes_kept(real) == 8 and modes_kept(prior) == 8 > modes_kept(plain)
    covered = train_imle(real, 300)
    assert modes_kept(covered, share=0.001) == 8  # samples near every mode, though most lie between
    assert len(ring_figure(real, {"plain": plain, "prior": prior}).axes) == 2
