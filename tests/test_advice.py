"""Advice rests on measured distances and on the ledger, says what stands out, and admits what has not been measured."""

import json
from dataclasses import replace

import numpy as np
import pytest
import torch
from helpers import tiny_gan
from PIL import Image

from fewshotgan.bench import evidence as findings
from fewshotgan.bench.advice import advise
from fewshotgan.bench.evidence import evidence, nearest
from fewshotgan.bench.ledger import add_run, add_scores
from fewshotgan.bench.measure import metric_version
from fewshotgan.bench.nearness import best, distance, image_features, is_coloured, rank, shipped_gans, source_features
from fewshotgan.bench.oddities import oddities
from fewshotgan.bench.schema import Entry, Score, Seconds, Spec
from fewshotgan.cli import main
from fewshotgan.files import UserError
from fewshotgan.gans import load_gan, version
from fewshotgan.images import MIXTURES, Images, list_domains, load_images
from fewshotgan.methods import create_method

DOMAINS = [name for name in list_domains() if name not in MIXTURES]


@pytest.mark.parametrize("domain", DOMAINS)
def test_ten_images_of_each_domain_are_nearest_to_a_source_of_their_collection(domain):
    found = rank(load_images(domain, n=10), shipped_gans())
    assert found[0].gan.split("-")[0] == domain.split("/")[0]
    nearest_of_all = min(found, key=lambda near: near.distance).gan  # grey or not
    assert nearest_of_all.split("-")[0] == domain.split("/")[0] or domain in ("avatars/pixel-art", "avatars/shapes")
    coloured = is_coloured(load_images(domain, n=10))
    assert all(near.greys == coloured for near in found if near.gan.startswith("fashion"))


def test_the_distance_does_not_depend_on_the_number_of_images():
    made = source_features(load_gan("avatars-stylegan2"))
    rows = image_features(load_images("avatars/toon-head", n=100))
    whole = distance(rows, made)
    parts = [distance(rows[i : i + 5], made) for i in range(0, 100, 5)]
    assert np.mean(parts) == pytest.approx(whole) and np.std(parts) < 0.15 * whole
    assert distance(rows[:50], rows[50:]) < 0.75 * whole
    assert distance(made, made) == pytest.approx(0)


def test_photographs_of_anything_are_far_from_drawn_faces():
    rng = np.random.default_rng(0)
    scenes = rng.integers(0, 256, (10, 3, 4, 4)).repeat(16, axis=2).repeat(16, axis=3) + rng.normal(
        0, 20, (10, 3, 64, 64)
    )
    photographs = Images(torch.from_numpy(scenes.clip(0, 255).astype(np.uint8)), "photographs")
    near = {near.gan: near for near in rank(photographs, shipped_gans())}["avatars-stylegan2"]
    assert near.verdict != "near" and sum(value < near.distance for value in near.scale.values()) >= 9


def test_a_source_that_has_learnt_nothing_is_not_advised_and_poor_ones_come_after_good_ones():
    found = rank(load_images("avatars/adventurer", n=10), shipped_gans())
    assert best(found).gan == "avatars-stylegan2"
    other = rank(load_images("avatars/personas", n=10), [*shipped_gans(), tiny_gan()])
    assert other[0].gan == "avatars-stylegan2" and {near.verdict for near in other[:1]} == {"near"}


def test_near_duplicates_blank_and_unlike_images_are_named():
    pixels = load_images("avatars/personas", n=9).pixels.clone()
    brighter = (pixels[0].float() * 0.97 + 6).byte()
    foreign = load_images("avatars/pixel-art", n=1).pixels[0]
    blank = torch.full_like(brighter, 9)
    names = tuple(f"{i}.png" for i in range(9))
    assert oddities(Images(pixels, "x", names=names)) == []
    stacked = torch.stack([*pixels, brighter, foreign, blank])
    text = " ".join(oddities(Images(stacked, "x", names=(*names, "bright", "odd", "blank"))))
    assert "Nearly the same: 0.png and bright." in text and "blank" not in text
    assert oddities(Images(torch.stack([*pixels, foreign]), "x", names=(*names, "odd"))) == [
        "Unlike the others: odd; leave out what does not belong."
    ]


@pytest.mark.parametrize("domain", DOMAINS)
def test_nothing_stands_out_in_most_shipped_images(domain):
    assert len(oddities(load_images(domain, n=10))) <= (domain == "avatars/fun-emoji")  # which has one face twice


def entry(gan, images, method, iterations, options, seed=0, digest=None, status="ok"):
    spec = Spec(
        gan=gan,
        gan_sha256=digest or version(gan),
        images=images,
        n=10,
        subset=0,
        images_sha256="0",
        method=method,
        options=options,
        iterations=iterations,
        batch=8,
        augment="diffaugment",
        seed=seed,
        threads=1,
        precision="float32",
    )
    return Entry(
        key=spec.key,
        spec=spec,
        status=status,
        processor="x",
        versions={},
        date="2026-01-01T00:00",
        seconds=Seconds(training=1.0, all=2.0),
    )


@pytest.fixture
def ledger(tmp_path, monkeypatch):
    """Return a function that records a run of the source avatars-stylegan2 and its distance."""
    monkeypatch.setenv("FEWSHOTGAN_LEDGER", str(tmp_path / "runs.jsonl"))

    def record(value, images="avatars/big-ears", method="freezed", iterations=300, *, changed=None, **more):
        gan = "avatars-stylegan2"
        options = create_method(method).settle(load_gan(gan)).options() | (changed or {})
        run = entry(gan, images, method, iterations, options, **more)
        add_run(run)
        add_scores(
            [Score(run=run.key, metric="fd_efficientnet", version=metric_version("fd_efficientnet"), n_generated=1000,
                   n_real=500, sample_seed=run.spec.seed, value=value)]
        )  # fmt: skip

    return record


def test_evidence_is_the_best_of_the_present_source(ledger):
    ledger(300.0, seed=0)
    ledger(320.0, seed=1)
    ledger(200.0, iterations=500, changed={"learning_rate": 0.004})
    ledger(100.0, iterations=700, digest="an older one")
    ledger(50.0, iterations=900, status="failed")
    (found,) = evidence()
    assert (found.method, found.iterations, found.value) == ("freezed", 500, 200.0)
    assert found.options == (("learning_rate", 0.004),) and found.compared == 2 and found.untouched is None
    assert "learning_rate=0.004" in str(found) and "(1 seed)" in str(found)


def test_advice_follows_the_ledger_where_it_has_the_like_and_admits_where_not(ledger):
    images = load_images("avatars/big-ears", n=10, subset=1)
    assert not advise(images, timed=False, progress=False).plan.measured
    ledger(300.0, iterations=400, changed={"learning_rate": 0.004})
    known = advise(images, timed=False, progress=False)
    assert known.plan.measured and known.plan.iterations == 400
    assert "--option learning_rate=0.004 --iterations 400" in known.command
    text = str(advise(load_images("avatars/pixel-art", n=40), timed=False, progress=False))
    assert "A guess: the ledger has no run like this one" in text and "big-ears" in text


def test_without_a_run_there_is_no_case():
    assert nearest([], load_gan("avatars-stylegan2"), 10.0, 10) is None
    assert findings.ratio(10, 5) == findings.ratio(5, 10) == 2 and findings.ratio(0.0, 0.2) == 1


def test_the_steps_of_what_is_advised_are_timed():
    few = advise(load_images("fashion/sneaker", n=10), progress=False)
    assert few.plan.seconds > 0 and "Training takes about" in str(few)


def test_the_head_names_a_nearer_source_and_lost_colours():
    found = advise(load_images("avatars/toon-head", n=10), timed=False, progress=False)
    head = found.head("fashion-stylegan2")
    assert "fashion-stylegan2 makes grey images" in head and "Nearer: avatars-stylegan2" in head
    assert "Nearer" not in found.head("avatars-stylegan2")


def test_what_uses_labels_is_named():
    images = load_images("fashion/sneaker", n=10)
    own = replace(images, labels=torch.arange(10) % 2, names=tuple("abcdefghij"))
    assert any("use their labels" in line for line in advise(own, timed=False, progress=False).oddities)
    assert not advise(images, timed=False, progress=False).oddities


def test_a_gan_that_is_handed_over_stands_for_a_shipped_one_of_its_name():
    images, own = load_images("avatars/thumbs", n=10), tiny_gan()
    own.name = "avatars-stylegan2"
    (near,) = (near for near in advise(images, [own], timed=False, progress=False).sources if near.gan == own.name)
    assert near.distance == rank(images, [own])[0].distance != rank(images, [load_gan(own.name)])[0].distance


def test_what_is_no_image_or_gan_is_refused():
    for images, gans in (("folder", None), (load_images("avatars/thumbs", n=2), ["avatars-stylegan2"])):
        with pytest.raises(UserError, match="advise takes images and GANs; load them first"):
            advise(images, gans)


def test_the_command_says_it_in_words_and_in_json(tmp_path, capsys):
    folder = tmp_path / "two words"
    folder.mkdir()
    for i in range(3):
        Image.new("RGB", (70, 64), (80 * i, 0, 90)).save(folder / f"{i}.png")
    (folder / "film.mov").write_bytes(b"x")
    gan = tiny_gan()
    gan.save(tmp_path / "mine.safetensors")
    assert main(["advise", str(folder), "--gan", str(tmp_path / "mine.safetensors")]) == 0
    text = capsys.readouterr().out
    assert "3 images resized" in text and "film.mov (a video)" in text and "Few: 3 images" in text
    assert f"--images '{folder}'" in text
    assert main(["advise", str(folder), "--json", "--n", "2"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert found["n"] == 2 and found["left_out"] == ["film.mov: a video"] and found["sources"][0]["distance"] > 0


def test_adapt_says_how_far_its_source_is(tmp_path, capsys):
    for i in range(3):
        Image.new("RGB", (70, 64), (80 * i, 0, 90)).save(tmp_path / f"{i}.png")
    gan = tiny_gan()
    gan.save(tmp_path.parent / "mine.safetensors")
    command = ["adapt", "--images", str(tmp_path), "--gan", str(tmp_path.parent / "mine.safetensors")]
    command += ["--iterations", "1", "--batch", "2", "--fit", "pad", "--out", str(tmp_path.parent / "out")]
    assert main(command) == 0
    text = capsys.readouterr().out
    assert "padded" in text and "away from these images" in text and "fewshotgan advise" in text
