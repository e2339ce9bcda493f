"""From an unconditional source into classes: what is transferred, what is fresh, and how well classes are met."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from helpers import noise_images, tiny
from torch.nn.functional import cross_entropy

from fewshotgan import evaluate, load_gan
from fewshotgan.files import UserError
from fewshotgan.gans.class_norm import ConditionalNorm
from fewshotgan.methods import METHODS, create_method
from fewshotgan.methods.acgan import conditioned
from fewshotgan.methods.method import Batch
from fewshotgan.metrics.classes import Classifier, class_accuracy, class_distances
from fewshotgan.metrics.frechet import frechet_distance
from fewshotgan.metrics.metric import Comparison
from fewshotgan.session import adapt
from fewshotgan.train import make_task

FAMILIES = ("sngan", "wgan_resnet", "dcgan")
INTO_CLASSES = [name for name, made in METHODS.items() if made.labelled]


def labelled(n=12, classes=3):
    return replace(noise_images(n), labels=torch.arange(n) % classes)


def source(family):
    """A source whose batch norms have seen data, so that none is the identity."""
    gan, rng = tiny(family), torch.Generator().manual_seed(0)
    gan.generator.train()
    with torch.no_grad():
        gan.generator(gan.latents(32))
    for norm in (m for m in gan.generator.modules() if isinstance(m, torch.nn.BatchNorm2d)):
        torch.nn.init.normal_(norm.bias, generator=rng)
    gan.generator.eval()
    return gan


def training(gan, images, method, **options):
    task = make_task(gan, images.pixels, 4, 1, None, torch.device("cpu"), images.labels)
    return create_method(method, **options).build(task)


def test_a_conditional_norm_of_equal_classes_is_batch_norm_to_the_bit():
    torch.manual_seed(0)
    plain = torch.nn.BatchNorm2d(6)
    plain(torch.randn(8, 6, 5, 5))
    torch.nn.init.normal_(plain.weight), torch.nn.init.normal_(plain.bias)
    norm = ConditionalNorm(6, 3)
    norm.norm.load_state_dict({k: v for k, v in plain.state_dict().items() if k not in ("weight", "bias")})
    for name in ("weight", "bias"):
        getattr(norm, name).data[:] = getattr(plain, name).data
    x, labels = torch.randn(7, 6, 4, 4), torch.tensor([0, 1, 2, 0, 1, 2, 2])
    plain.eval(), norm.eval()
    for given in (x, x.to(memory_format=torch.channels_last)):
        assert torch.equal(norm(given, labels), plain(given))
    norm.weight.data[1] *= 2
    other = norm(x, labels)
    changed = (other != plain(x)).flatten(1).any(dim=1)
    assert changed.tolist() == (labels == 1).tolist()
    norm.train()
    y = norm(x, labels)
    for c in range(3):
        variance = x.var(dim=(0, 2, 3), unbiased=False, keepdim=True)
        each = (x - x.mean(dim=(0, 2, 3), keepdim=True)) / (variance + 1e-5).sqrt()
        expected = each * norm.weight[c][:, None, None] + norm.bias[c][:, None, None]
        assert torch.allclose(y[labels == c], expected[labels == c], atol=1e-5)


@pytest.mark.parametrize("family", FAMILIES)
def test_before_the_first_step_every_class_draws_the_source_s_images_to_the_bit(family):
    gan = source(family)
    start = conditioned(gan, 3, create_method("cbn_transfer"), 0)
    z = gan.latents(6)
    assert start.classes == 3 and gan.classes == 0
    for labels in (0, 1, 2, torch.tensor([2, 0, 1, 1, 0, 2])):
        assert torch.equal(start.render(z, labels=labels), gan.render(z))
    assert all(map(torch.equal, start.discriminator.state_dict().values(), gan.discriminator.state_dict().values()))
    assert torch.allclose(start.unconditional().render(z), gan.render(z), atol=1e-6)


@pytest.mark.parametrize("family", FAMILIES)
def test_acgan_s_fresh_weights_read_the_class_alone(family):
    gan = source(family)
    start = conditioned(gan, 3, create_method("acgan"), 5)
    own, theirs = gan.generator.state_dict(), start.generator.state_dict()
    assert set(theirs) - set(own) == {"joined.weight"}
    assert all(torch.equal(theirs[key], value) for key, value in own.items())
    z = gan.latents(4)
    assert not torch.equal(start.render(z, labels=0), start.render(z, labels=1))
    assert not torch.equal(
        theirs["joined.weight"], conditioned(gan, 3, create_method("acgan"), 6).generator.joined.weight
    )
    theirs["joined.weight"].zero_()
    assert torch.equal(start.render(z, labels=2), gan.render(z))


@pytest.mark.parametrize("family", FAMILIES)
@pytest.mark.parametrize("method", INTO_CLASSES)
def test_a_run_gives_a_gan_of_classes_that_is_saved_and_adapted_like_any_other(method, family, tmp_path):
    images = labelled()
    run = adapt(source(family), images, method, iterations=2, batch=4, progress=False, out=tmp_path / "run")
    assert {"discriminator/classification", "generator/classification"} <= set(run.history[-1])
    assert run.gan.classes == 3
    run.gan.save(tmp_path / "gan.safetensors")
    loaded = load_gan(tmp_path / "gan.safetensors")
    assert torch.equal(loaded.sample(4, labels=1), run.gan.sample(4, labels=1))
    assert adapt(loaded, noise_images(), "transfergan", iterations=1, batch=2, progress=False).gan.classes == 0
    again = adapt(source(family), images, method, iterations=2, batch=4, progress=False, out=tmp_path / "run")
    assert torch.equal(again.gan.sample(4), run.gan.sample(4))
    with pytest.raises(UserError, match="labels"):
        other = replace(images, labels=images.labels.flip(0))
        adapt(source(family), other, method, iterations=2, batch=4, progress=False, out=tmp_path / "run")


def test_each_player_minimises_the_classifier_s_error_on_its_own_images():
    train = training(source("wgan_resnet"), labelled(), "acgan", classification=2.0)
    stage = next(train.stages(2))
    critic, generator = stage.players
    batch = Batch(0)
    stage.before(batch)
    terms = critic.terms(batch)
    real = train.task.pick(batch["numbers"])
    classify = train.modules["classifier"]
    expected = 2 * cross_entropy(classify(train.examined(real)[1]), train.known[batch["numbers"]])
    assert torch.allclose(terms["classification"], expected)
    assert set(terms) == {"wgan_gp", "gradient_penalty", "classification"}
    for parameter in classify.parameters():
        assert any(parameter is one for one in critic.parameters)
        assert not any(parameter is one for one in generator.parameters)
    fakes = []
    train.generate = lambda batch: fakes.append(type(train).generate(train, batch)) or fakes[-1]
    terms = generator.terms(batch)
    expected = 2 * cross_entropy(classify(train.examined(fakes[0])[1]), train.known[batch["numbers"]])
    assert torch.allclose(terms["classification"], expected)


@pytest.mark.parametrize("method", ["transfergan", *INTO_CLASSES])
def test_what_is_not_transferred_starts_fresh(method):
    gan, images = source("wgan_resnet"), labelled()
    for transfer in ("GD", "G", "D", "none"):
        start = training(gan, images, method, transfer=transfer)
        for letter, part in (("G", "generator"), ("D", "discriminator")):
            own, theirs = (dict(getattr(one, part).named_parameters()) for one in (gan, start))
            kept = all(torch.equal(theirs[key].view(-1, *value.shape)[0], value) for key, value in own.items())
            assert kept == (letter in transfer), (transfer, part)


def test_shuffled_labels_are_as_many_of_each_class_in_another_order():
    images = labelled()
    own, dealt, again = (training(source("sngan"), images, "acgan", shuffled=on).known for on in (False, True, True))
    assert torch.equal(own, images.labels) and torch.equal(dealt, again) and not torch.equal(dealt, own)
    assert torch.equal(dealt.bincount(), own.bincount())


def test_transfer_none_is_scratch():
    gan, images = source("sngan"), noise_images()
    runs = [
        adapt(gan, images, method, iterations=2, batch=4, progress=False, **options).gan
        for method, options in (("scratch", {}), ("transfergan", {"transfer": "none"}))
    ]
    assert torch.equal(runs[0].sample(4), runs[1].sample(4))


def test_bad_input_is_one_sentence():
    gan, images = source("sngan"), labelled()
    for labels, text in (
        (None, "noise has no labels; give it a dataset.json, or a folder"),
        (torch.zeros(12, dtype=torch.int64), "all these images are of one"),
        (torch.tensor([0, 2] * 6), "Class 1 of 3 has no images"),
        (torch.tensor([0] * 6 + [1] * 5 + [2]), "Class 2 of 3 has 1 image; acgan needs at least 2"),
    ):
        with pytest.raises(UserError, match=text):
            adapt(gan, replace(images, labels=labels, classes=0), "acgan", iterations=1, progress=False)
    with pytest.raises(UserError, match="Class 3 of 4 has no images"):  # which its dataset.json knows
        adapt(gan, replace(images, classes=4), "acgan", iterations=1, progress=False)
    for method, part in (("cbn_transfer", "batch norm"), ("acgan", "a first layer that a class can join")):
        with pytest.raises(UserError, match=f"{method} needs a generator with {part}, as sngan, wgan_resnet, dcgan"):
            adapt(tiny("stylegan2"), images, method, iterations=1, progress=False)
    with pytest.raises(UserError, match="no option 'transfer'"):
        adapt(gan, images, "bsa", iterations=1, progress=False, transfer="G")


def test_distance_and_accuracy_of_classes():
    rng = np.random.default_rng(0)
    labels = np.arange(60) % 3
    real = rng.normal(size=(60, 5)) + 6 * np.eye(5)[labels]
    same, swapped = Classifier(real, labels), Classifier(real, (labels + 1) % 3)
    assert same.accuracy(real, labels) == 1.0 and swapped.accuracy(real, labels) == 0.0
    images = replace(noise_images(60), labels=torch.from_numpy(labels))
    fake = rng.normal(size=(30, 5)) + 6 * np.eye(5)[np.arange(30) % 3]
    meant = torch.arange(30) % 3
    known = {"efficientnet": (real, fake)}
    right = Comparison(torch.zeros(30, 3, 16, 16), images, labels=meant, _known=known)
    wrong = Comparison(torch.zeros(30, 3, 16, 16), images, labels=(meant + 1) % 3, _known=known)
    assert class_accuracy(right) == 1.0 and class_accuracy(wrong) == 0.0
    assert class_distances(right)[1] == pytest.approx(frechet_distance(real[labels == 1], fake[1::3]))
    assert min(class_distances(wrong)) > 2 * max(class_distances(right))


def test_evaluate_measures_classes_where_both_sides_have_them():
    gan = conditioned(source("sngan"), 3, create_method("cbn_transfer"), 0)
    scores = evaluate(gan, labelled(15), n=15)
    assert {"fd_classes", "class_accuracy"} <= set(scores) and len(scores["protocol"]["fd_classes"]) == 3
    assert 0 <= scores["protocol"]["class_accuracy"]["real, half fitted to the other"] <= 1
    assert "fd_classes" not in evaluate(gan, labelled(16, classes=4), n=15)
    assert "fd_classes" not in evaluate(gan, labelled(15), n=4)  # of which a class has fewer than two
    with pytest.raises(UserError, match="class_accuracy needs a class-conditional GAN and labels of the real images"):
        evaluate(gan, noise_images(8), n=8, metrics=["class_accuracy"])
