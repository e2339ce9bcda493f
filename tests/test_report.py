"""The report: one file, all parts, text that stays text, numbers with a scale."""

import base64
import io
import json
import re
from html.parser import HTMLParser

import numpy as np
import pytest
import torch
from helpers import noise_images, tiny_gan, tiny_sngan
from PIL import Image

from fewshotgan import adapt, evaluate, load_gan, write_report
from fewshotgan.cli import main
from fewshotgan.files import UserError
from fewshotgan.images import Images, load_images
from fewshotgan.report.charts import bars, line_chart, round_numbers
from fewshotgan.report.html import Html, tag
from fewshotgan.report.licences import licences
from fewshotgan.report.numbers import verdict
from fewshotgan.report.pictures import usual_distance
from fewshotgan.report.scale import Scale, find_scale, measured, real_images
from fewshotgan.run import Run

PARTS = [
    "after", "images", "advice", "samples", "time", "nearest", "walk", "numbers", "losses", "settings", "origins",
]  # fmt: skip
LOADS = {"src", "srcset", "data", "poster", "action", "background"}
HOSTILE = "<b>&x \"'"


class Page(HTMLParser):
    """What a page holds: elements with their attributes, and text."""

    def __init__(self, text):
        super().__init__()
        self.elements, self.text, self.open = [], [], []
        self.feed(text)
        self.close()

    def handle_starttag(self, tag, attrs):
        self.elements.append((tag, dict(attrs)))
        if tag not in ("meta", "img", "source"):
            self.open.append(tag)

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        self.text.append(data)

    def named(self, tag):
        return [attributes for name, attributes in self.elements if name == tag]


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    gan, images = tiny_gan().refresh(), Images(noise_images(10).pixels, f"/photos/{HOSTILE}", HOSTILE)
    gan.name = HOSTILE
    run = adapt(gan, images, "transfergan", iterations=40, batch=2, progress=False, snapshot_every=10)
    path = tmp_path_factory.mktemp("report") / "report.html"
    write_report(run, gan, images, path, advice=HOSTILE, command=f"fewshotgan {HOSTILE}")
    return run, gan, images, path


@pytest.fixture(scope="module")
def page(made):
    return Page(made[-1].read_text(encoding="utf-8"))


def test_the_page_is_whole_and_fetches_nothing(made, page):
    text = made[-1].read_text(encoding="utf-8")
    assert page.open == [] and len(text) < 3e6
    for name, attributes in page.elements:
        for key in LOADS & attributes.keys():
            assert attributes[key].startswith("data:image/webp;base64,"), (name, attributes[key][:60])
        assert name not in ("script", "link", "iframe", "object")
    assert all(link["href"].startswith("#") for link in page.named("a"))
    assert not re.search(r"url\(|@import|https?:", text.split("</style>")[0])


def test_every_part_is_there_and_linked(page):
    sections = [attributes["id"] for attributes in page.named("section")]
    assert sections == PARTS == [link["href"][1:] for link in page.named("a")]
    assert len(page.named("h1")) == 1 and len(page.named("h2")) == len(PARTS)


def test_text_stays_text(page):
    assert not page.named("b") or all(attributes == {} for attributes in page.named("b"))
    text = "".join(page.text)
    assert text.count(HOSTILE) >= 6  # title, heading, note, advice, command, settings
    assert "&x" in text and "&amp;amp;" not in text


def test_every_picture_has_words_and_its_own_size(made, page):
    pictures = page.named("img")
    assert all(picture["alt"] for picture in pictures)
    tiles = [picture for picture in pictures if re.fullmatch(r"sample \d+", picture["alt"])]
    assert len({tile["alt"] for tile in tiles}) == 64
    first = Image.open(io.BytesIO(base64.b64decode(tiles[0]["src"].split(",")[1])))
    pixels = ((made[0].gan.sample(64, 1)[0] + 1) * 127.5).permute(1, 2, 0).numpy()
    assert np.abs(np.asarray(first.convert("RGB")) - pixels).max() <= 1
    walks = [picture for picture in pictures if picture["alt"].startswith("walk")]
    film = Image.open(io.BytesIO(base64.b64decode(walks[0]["src"].split(",")[1])))
    assert film.n_frames == 64 and len(walks) == len(page.named("picture")) == 3
    assert all("reduce" in source["media"] for source in page.named("source"))


def test_curves_show_what_was_logged(made, page):
    names = {name for row in made[0].history for name in row} - {"iteration", "stage", "seconds"}
    charts = [svg["aria-label"] for svg in page.named("svg")]
    assert {label.split(":")[0] for label in charts} == names
    assert all(f"at {made[0].history[-1]['iteration']}" in label for label in charts)


def contrast(first, second):
    """The contrast of two colours such as #1d1f23 (WCAG 2)."""
    levels = []
    for colour in (first, second):
        parts = [int(colour[i : i + 2], 16) / 255 for i in (1, 3, 5)]
        linear = [part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in parts]
        levels.append(float(np.dot(linear, (0.2126, 0.7152, 0.0722))))
    return (max(levels) + 0.05) / (min(levels) + 0.05)


def test_text_is_legible_in_both_themes(made):
    style = made[-1].read_text(encoding="utf-8").split("</style>")[0]
    themes = [dict(re.findall(r"--(\w+): (#\w{6})", line)) for line in style.splitlines() if "--paper:" in line]
    assert len(themes) == 2
    for theme in themes:
        for ground in ("paper", "card"):
            for ink in ("ink", "soft", "accent"):
                assert contrast(theme[ground], theme[ink]) > 4.5, (ground, ink)


def test_a_curve_is_drawn_where_its_numbers_are():
    drawn = line_chart([(0, 0.0), (50, 1.0), (60, float("nan")), (100, 2.0)], {50: "stage <x>"}, "loss")
    assert drawn.count("<polyline") == 2 and "stage &lt;x&gt;" in drawn
    (first,) = re.findall(r'points="([\d., ]+)" class="curve"', drawn)[:1]
    (x0, y0), (x1, y1) = ([float(number) for number in pair.split(",")] for pair in first.split())
    assert x0 < x1 and y0 > y1
    assert "No finite value" in line_chart([(1, float("inf"))], {}, "loss")


@pytest.mark.parametrize("span", [(0, 1), (-3.2, 8.1), (5, 5), (0, 0), (1e-9, 3e-9), (1e6, 3e6), (-1e30, 1e30)])
def test_scales_enclose_their_numbers(span):
    numbers = round_numbers(*span)
    assert numbers[0] <= span[0] and numbers[-1] >= span[1] and 2 <= len(numbers) <= 6 and numbers == sorted(numbers)


def test_bars_are_as_long_as_their_numbers():
    drawn = bars({"a": 50.0, "b": 100.0, "c": -1.0}, {"a": "50", "b": "100", "c": "-1"}, "b")
    assert re.findall(r"width:([\d.]+)%", drawn) == ["50.0", "100.0", "0.0"] and drawn.count('class="own"') == 1


def test_only_html_is_left_as_it_is():
    assert tag("p", "<i>", Html("<i>"), title='"&') == '<p title="&quot;&amp;">&lt;i&gt;<i></p>'


def test_own_images_are_their_own_scale(made):
    run, gan, images, _ = made
    scores = measured(run, images)
    scale = find_scale(scores, gan, images)
    assert scale.own == scores["fd_efficientnet"] and not scale.held_out
    assert scale.repeated < 0.2 * scale.source  # copies score best
    copies = images.tensor()[torch.arange(200) % len(images)]
    assert scale.repeated == pytest.approx(evaluate(copies, images)["fd_efficientnet"], rel=0.01)
    assert scale.source == pytest.approx(evaluate(gan.sample(200, 1), images)["fd_efficientnet"], rel=0.01)
    assert "memorisation" not in scores and "it can't tell" in verdict(scale)


def test_a_shipped_domain_is_measured_against_what_was_held_out():
    assert real_images(load_images("fashion/bag", n=3)) == "fashion/bag"
    assert real_images(noise_images(4)).name == "noise"
    assert "hardly come nearer" in verdict(Scale(19, 20, 0, False))
    assert "hardly" not in verdict(Scale(10, 20, 0, False))
    assert "nearer to new images" in verdict(Scale(10, 20, 30, True))
    assert verdict(Scale(25, 20, 30, True)).endswith("no nearer to new images of the kind than the source as it is.")


def test_too_few_images_are_said_so(tmp_path):
    gan, images = tiny_gan().refresh(), noise_images(1)
    run = adapt(gan, images, "transfergan", iterations=2, batch=2, progress=False)
    write_report(run, gan, images, tmp_path / "r.html")
    text = (tmp_path / "r.html").read_text()
    assert "too few" in text and "too short to log" not in text and "The last" not in text
    assert usual_distance(np.zeros((1, 3))) == 0


def test_a_kept_iteration_is_named_with_its_reason(made, tmp_path):
    run, gan, images, _ = made
    chosen = Run(run.gan, run.spec, run.history, run.snapshots, run.iterations)
    chosen.choice = {"iteration": 20, "why": "nearest <to> the images"}
    write_report(chosen, gan, images, tmp_path / "r.html", scores={"metrics": "none: not measured"})
    assert "iteration 20: nearest &lt;to&gt; the images" in (tmp_path / "r.html").read_text()


def test_licences_come_from_the_manifest():
    ((name, licence, makers),) = licences(load_gan("fashion-wgan-dress"))
    assert name == "fashion-wgan-dress" and licence.startswith("MIT") and "Zalando" in makers
    assert "not known" in licences(tiny_gan())[0][1]


def test_what_is_no_run_is_refused(made, tmp_path):
    run, gan, images, _ = made
    for given in ((gan, gan, images), (run, "tiny", images), (run, gan, "photos")):
        with pytest.raises(UserError, match="write_report takes a Run"):
            write_report(*given, tmp_path / "r.html")


def test_the_command_writes_one_of_every_run(tmp_path):
    tiny_sngan(classes=3).refresh().save(tmp_path / "tiny.safetensors")
    folder = tmp_path / "<b>&x"
    folder.mkdir()
    for i in range(9):
        Image.fromarray(np.random.default_rng(i).integers(0, 255, (20, 20, 3), np.uint8)).save(folder / f"{i}.png")
    line = ["adapt", "--gan", str(tmp_path / "tiny.safetensors"), "--images", str(folder), "--out", str(tmp_path / "o")]
    assert main([*line, "--iterations", "3", "--batch", "2"]) == 0
    page = Page((tmp_path / "o" / "report.html").read_text(encoding="utf-8"))
    text = "".join(page.text)
    assert f"fewshotgan adapt --gan {tmp_path}/tiny.safetensors --images '{folder}'" in text
    assert "<b>&x: a GAN from 9 images" in text and "advice" in [part["id"] for part in page.named("section")]
    assert json.loads((tmp_path / "o" / "metrics.json").read_text())["fd_efficientnet"] > 0
    assert torch.isfinite(load_gan(next((tmp_path / "o").glob("*.safetensors"))).sample(1)).all()


def test_the_page_does_not_say_where_the_folders_lie(tmp_path, monkeypatch, capsys):
    home = tmp_path / "anna.secret"
    (home / "photos").mkdir(parents=True)
    (home / "elsewhere").mkdir()
    tiny_gan().refresh().save(home / "tiny.safetensors")
    for i in range(9):
        Image.fromarray(np.random.default_rng(i).integers(0, 255, (20, 20, 3), np.uint8)).save(home / f"photos/{i}.png")
    monkeypatch.setenv("HOME", str(home))
    monkeypatch.chdir(home / "elsewhere")
    places = {"--gan": "tiny.safetensors", "--images": "photos", "--out": "elsewhere/o"}
    line = ["adapt", *(word for option, name in places.items() for word in (option, str(home / name)))]
    assert main([*line, "--iterations", "3", "--batch", "2"]) == 0
    text = (home / "elsewhere" / "o" / "report.html").read_text(encoding="utf-8")
    assert "secret" not in text
    assert "fewshotgan adapt --gan ~/tiny.safetensors --images ~/photos --out o --iterations" in text
    head = capsys.readouterr().out.split("report.html")[0].rpartition("\n")[0]
    assert "secret" not in head and "`fewshotgan advise` says more" in head
    gan, named = load_gan(home / "tiny.safetensors"), Images(noise_images(4).pixels, str(home / "photos"))
    run = adapt(gan, named, "transfergan", iterations=2, batch=2, progress=False)
    write_report(run, gan, named, tmp_path / "r.html")
    assert "secret" not in (tmp_path / "r.html").read_text(encoding="utf-8")
