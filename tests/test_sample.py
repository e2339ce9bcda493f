"""`fewshotgan sample` and `evaluate`: files by seed, sheets, films, numbers, and what is refused."""

import json
import sys

import av
import numpy as np
import pytest
import torch
from helpers import noise_images, tiny_gan, tiny_sngan
from PIL import Image

from fewshotgan import films
from fewshotgan.cli import main
from fewshotgan.cli.sample import seeds
from fewshotgan.files import UserError
from fewshotgan.pictures import save_picture
from fewshotgan.pixels import resized, to_picture
from fewshotgan.progress import watched


@pytest.fixture
def ground(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    tiny_gan().refresh().save("tiny.safetensors")
    tiny_sngan(classes=3).refresh().save("classes.safetensors")
    return tmp_path


def sample(*more, gan="tiny.safetensors"):
    return main(["sample", gan, *more])


def pixels(path):
    return np.asarray(Image.open(path))


def test_a_seed_gives_the_same_image_whatever_the_list(ground):
    assert sample("--out", "a/", "--seeds", "0-2,7") == 0
    assert sample("--out", "b/", "--seeds", "7, 40, 2") == 0
    assert [path.name for path in sorted((ground / "a").iterdir())] == [f"seed-0000{i}.png" for i in (0, 1, 2, 7)]
    for seed in (2, 7):
        assert np.array_equal(pixels(f"a/seed-0000{seed}.png"), pixels(f"b/seed-0000{seed}.png"))
    alone = ((tiny_gan().refresh().sample(1, 7)[0] + 1) * 127.5).round().byte().permute(1, 2, 0)
    assert np.array_equal(pixels("a/seed-00007.png"), alone.numpy())


def test_a_folder_without_seeds_has_n_from_the_first(ground):
    assert sample("--out", "a/", "--n", "3", "--seed", "5") == 0
    assert sorted(path.name for path in (ground / "a").iterdir()) == [f"seed-0000{i}.png" for i in (5, 6, 7)]


def test_size_and_resampling(ground):
    for resample in ("nearest", "lanczos"):
        assert sample("--out", f"{resample}/", "--seeds", "1", "--size", "40", "--resample", resample) == 0
    assert pixels("nearest/seed-00001.png").shape == (40, 40, 3)
    assert not np.array_equal(pixels("nearest/seed-00001.png"), pixels("lanczos/seed-00001.png"))
    small = to_picture(noise_images(1).pixels[0])
    assert np.array_equal(np.asarray(resized(small, 32))[::2, ::2], np.asarray(small))  # a multiple: pixels stay


@pytest.mark.parametrize(
    ("name", "form"), [("s.png", "PNG"), ("s.JPG", "JPEG"), ("s.jpeg", "JPEG"), ("s.webp", "WEBP")]
)
def test_a_sheet_is_what_its_suffix_says(ground, name, form):
    assert sample("--out", name, "--seeds", "0-3", "--size", "20") == 0
    picture = Image.open(name)
    assert picture.format == form and picture.size == (3 * 22 - 2, 2 * 22 - 2)


def test_labels(ground):
    for label in ("0", "2"):
        assert sample("--out", f"{label}/", "--seeds", "1", "--label", label, gan="classes.safetensors") == 0
    assert not np.array_equal(pixels("0/seed-00001.png"), pixels("2/seed-00001.png"))
    assert sample("--out", "walk.gif", "--label", "2", gan="classes.safetensors") == 0


def test_films_have_frames_rate_and_size(ground):
    assert sample("--out", "walk.mp4", "--frames", "10", "--fps", "25", "--size", "65") == 0
    with av.open("walk.mp4") as film:
        stream = film.streams.video[0]
        frames = [frame.to_ndarray(format="rgb24") for frame in film.decode(stream)]
        assert (len(frames), float(stream.average_rate), frames[0].shape) == (12, 25, (66, 66, 3))
    expected = np.asarray(resized(to_picture(tiny_gan().refresh().interpolate(4, 3)[0]), 65))
    assert np.abs(frames[0][:65, :65].mean((0, 1)) - expected.mean((0, 1))).max() < 8  # the colours survive
    assert sample("--out", "walk.gif", "--frames", "8", "--fps", "10", "--size", "32") == 0
    film = Image.open("walk.gif")
    assert (film.n_frames, film.info["duration"], film.size) == (8, 100, (32, 32))


def test_without_pyav_one_sentence(ground, monkeypatch, capsys):
    monkeypatch.setitem(sys.modules, "av", None)
    assert sample("--out", "walk.mp4") == 2
    assert "pip install 'fewshotgan[video]'" in capsys.readouterr().err and not (ground / "walk.mp4").exists()


REFUSED = [
    (["--out", "x.bmp"], "must end in / (a folder of PNG files) or in one of .png"),
    (["--out", "x.png", "--n", "300000"], "300000 images of 96 pixels are too many for one picture"),
    (["--out", "x.png", "--truncation", "1e30"], "truncation=1e+30 is no number from -10 to 10"),
    (["--out", "x.gif", "--truncation", "1e308"], "truncation=1e+308 is no number from -10 to 10"),
    (["--out", "x/", "--seeds", "1", "--truncation", "nan"], "truncation=nan is no number"),
    (["--out", "x/", "--n", "0"], "--n 0 can't be"),
    (["--out", "x/", "--n", "1" + 20 * "0"], "can't be; give 1 to 1000000"),
    (["--out", "x/", "--seeds", "1", "--label", "1"], "has no classes"),
    (["--out", "x.gif", "--label", "1"], "has no classes"),
    (["--out", "x.png", "--size", "0"], "size=0 can't be"),
    (["--out", "x/", "--seeds", "1", "--size", "99999"], "size=99999 can't be"),
    (["--out", "x.gif", "--size", "0"], "size=0 can't be"),
    (["--out", "x.gif", "--fps", "0"], "fps=0.0 can't be"),
    (["--out", "x.gif", "--fps", "nan"], "fps=nan can't be"),
    (["--out", "x.mp4", "--frames", "3"], "--frames 3 can't be"),
    (["--out", "x.gif", "--seeds", "1,2"], "leave out --seeds"),
    (["--out", "x.png", "--device", "gpu7"], "The device 'gpu7' can't be used"),
]


@pytest.mark.parametrize(("line", "text"), REFUSED, ids=[" ".join(line)[:40] for line, _ in REFUSED])
def test_refusals(ground, line, text, capsys):
    assert sample(*line) == 2
    error = capsys.readouterr().err.strip()
    assert text in error and "\n" not in error and len(error) <= 240 + len("fewshotgan: ")


@pytest.mark.parametrize("text", ["", "3-1", "a", "1-", "-1", "1,,2", "0-99999999", "9" * 40])
def test_what_is_no_list_of_seeds(text, ground, capsys):
    with pytest.raises(SystemExit) as leave:
        sample("--out", "x/", f"--seeds={text}")
    assert leave.value.code == 2 and "seeds" in capsys.readouterr().err
    assert seeds("0-2, 9") == [0, 1, 2, 9]


@pytest.mark.parametrize("out", ["", "  "])
def test_an_empty_name_is_no_folder(ground, out, capsys):
    with pytest.raises(SystemExit) as leave:
        sample("--out", out)
    assert leave.value.code == 2 and "names no file or folder" in capsys.readouterr().err
    assert sorted(path.name for path in ground.iterdir()) == ["classes.safetensors", "tiny.safetensors"]


def test_a_film_of_another_kind_is_refused(tmp_path):
    with pytest.raises(UserError, match=r"must end in \.gif or \.mp4"):
        films.save_film(torch.zeros(2, 3, 8, 8), tmp_path / "x.avi")


def test_bars_come_on_terminals_alone(capsys):
    assert list(watched(range(5), "things")) == [0, 1, 2, 3, 4] and capsys.readouterr().err == ""


# --- evaluate ------------------------------------------------------------------------------------------------------


@pytest.fixture
def photos(ground):
    for folder, first in (("ten", 0), ("others", 10)):
        (ground / folder).mkdir()
        for i in range(first, first + 10):
            picture = Image.fromarray(np.random.default_rng(i).integers(0, 255, (20, 30, 3), np.uint8))
            save_picture(picture, f"{folder}/{i:02d}.png")
    return ground


def evaluate(*more):
    return main(["evaluate", "tiny.safetensors", *more])


def test_own_images_alone(photos, capsys):
    assert evaluate("--images", "ten", "--n", "12") == 0
    said = capsys.readouterr().out
    values = {line.split()[0] for line in said.splitlines() if line and not line.startswith(" ")}
    assert {"fd_efficientnet", "kd_efficientnet", "precision", "recall", "intra_lpips_efficientnet"} < values
    assert "memorisation " not in said and "copies of them would score best" in " ".join(said.split())
    assert "centre-cropped" in said and "Lanczos" in said and "clean-fid" in said and "falls below 0" in said


def test_a_reference_of_ones_own(photos, capsys):
    assert evaluate("--images", "ten", "--reference", "others", "--n", "12", "--json") == 0
    found = json.loads(capsys.readouterr().out)
    assert "memorisation" in found and "note" not in found
    assert found["protocol"]["real"].startswith("others, 10 images resized to 16x16")
    assert found["protocol"]["train"].startswith("ten, 10 images resized") and found["protocol"]["n_generated"] == 12


def test_the_others_of_a_folder_are_its_reference(photos, capsys):
    assert evaluate("--images", "ten", "--shots", "4", "--n", "8", "--json", "--metrics", "memorisation") == 0
    protocol = json.loads(capsys.readouterr().out)["protocol"]
    assert protocol["n_real"] == 6 and protocol["real"].startswith("the others of ten")


def test_folders_are_the_classes_of_a_class_conditional_gan(photos, capsys):
    for i in range(18):
        (photos / "kinds" / "abc"[i // 6]).mkdir(parents=True, exist_ok=True)
        save_picture(to_picture(noise_images(i + 1).pixels[0]), f"kinds/{'abc'[i // 6]}/{i}.png")
    for shots, real in ((), 18), (("--shots", "2"), 16):
        line = ["evaluate", "classes.safetensors", "--images", "kinds", *shots, "--n", "24", "--json"]
        assert main(line) == 0
        found = json.loads(capsys.readouterr().out)
        assert found["protocol"]["n_real"] == real and len(found["protocol"]["fd_classes"]) == 3
        assert 0 <= found["class_accuracy"] <= 1


def test_a_shipped_domain_stands_for_its_held_out_images(photos, capsys):
    line = ["--images", "avatars/adventurer", "--n", "8", "--json", "--metrics", "fd_efficientnet"]
    assert evaluate(*line) == 0
    assert ", held out, resized to 16" in json.loads(capsys.readouterr().out)["protocol"]["real"]


@pytest.mark.parametrize(
    ("line", "text"),
    [
        (["--images", "ten", "--n", "2"], "are too few; give at least 4 of each"),
        (["--images", "one"], "are too few; give at least 4 of each"),
        (["--images", "ten", "--metrics", "fit"], "no metric 'fit'"),
        (["--images", "ten", "--metrics", "memorisation", "--n", "8"], "needs other real images"),
        (["--images", "nowhere"], "There is no folder"),
        (["--images", "ten", "--shots", "0"], "choose n from 1 to 10"),
        (["--images", "avatars/thumbs", "--metrics", "memorisation"], "needs the images that were trained on"),
    ],
)
def test_evaluate_refuses(photos, line, text, capsys):
    (photos / "one").mkdir()
    save_picture(Image.new("RGB", (9, 9)), photos / "one" / "a.png")
    assert evaluate(*line) == 2
    error = capsys.readouterr().err.strip()
    assert text in error and "\n" not in error
