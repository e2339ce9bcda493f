"""What people's folders hold: every file is read or named, and no picture turns blank, black or grey without a word."""

import io
import os
import sys
import zipfile

import numpy as np
import pillow_heif
import pytest
from PIL import Image

from fewshotgan.cli import main
from fewshotgan.images import list_domains, load_images
from fewshotgan.wording import printable

SIDE = 32


def photo(seed=0, size=(48, 32)):
    rows = np.random.default_rng(seed).integers(0, 256, (4, 6, 3), np.uint8)
    return Image.fromarray(rows).resize(size, Image.Resampling.BICUBIC)


def heic(path, seed=0):
    pillow_heif.from_pillow(photo(seed)).save(path, quality=95)


def test_all_eleven_files_of_a_phone_are_read(tmp_path):
    for i in range(5):
        photo(i).save(tmp_path / f"IMG_{i}.jpg", quality=95)
    for i in range(5, 8):
        photo(i).save(tmp_path / f"IMG_{i}.avif", quality=95)
    heic(tmp_path / "IMG_8.HEIC", 8)
    heic(tmp_path / "IMG_9.heic", 9)
    photo(10).save(tmp_path / "saved.jfif", "JPEG", quality=95)
    loaded = load_images(tmp_path, resolution=SIDE)
    assert len(loaded) == 11 and not loaded.left_out and "Left out" not in loaded.note
    for i, name in enumerate(loaded.names):
        assert name.startswith(f"IMG_{i}" if i < 10 else "saved")
        expected = load_images(save(photo(i if i < 10 else 10), tmp_path.parent / "one.png"), resolution=SIDE)
        assert (loaded.pixels[i].float() - expected.pixels[0].float()).abs().mean() < 12, name


def save(picture, path):
    picture.save(path)
    return path


def test_heic_names_its_extra_where_that_is_not_installed(tmp_path, monkeypatch):
    photo().save(tmp_path / "a.jpg")
    heic(tmp_path / "b.heic")
    heic(tmp_path / "c.jpg")  # a phone's app that renames
    (tmp_path / "d.heic").write_bytes((tmp_path / "b.heic").read_bytes()[:40])
    assert load_images(tmp_path).left_out == ("d.heic: a damaged HEIC",)
    monkeypatch.setitem(sys.modules, "pillow_heif", None)
    note = load_images(tmp_path).note
    assert "1 image resized" in note
    assert "Left out: b.heic, c.jpg, d.heic (HEIC: to read it, pip install 'fewshotgan[photos]')." in note


def test_what_has_no_ending_is_known_by_its_content_and_the_rest_is_named(tmp_path):
    for name, form in (
        ("a", "JPEG"),
        ("b", "PNG"),
        ("c.bak", "WEBP"),
        ("d", "GIF"),
        ("e", "BMP"),
        ("f", "TIFF"),
        ("g", "AVIF"),
    ):
        photo().save(tmp_path / name, form)
    with zipfile.ZipFile(tmp_path.parent / "set.zip", "w") as archive:
        for file in tmp_path.iterdir():
            archive.write(file, file.name)
        archive.writestr("../out.png", (tmp_path / "b").read_bytes())
    for name in ("film.mov", "raw.dng", "art.svg", "notes.txt", "BMW"):
        (tmp_path / name).write_bytes(b"II*\0" if name == "raw.dng" else b"BMW and others, a text of some length")
    loaded = load_images(tmp_path)
    assert loaded.names == ("a", "b", "c.bak", "d", "e", "f", "g")
    reasons = dict(line.split(": ", 1) for line in loaded.left_out)
    assert reasons["film.mov"] == "a video" and "JPEG" in reasons["raw.dng"] and "PNG" in reasons["art.svg"]
    assert reasons["notes.txt"] == reasons["BMW"] == "not an image"
    zipped = load_images(tmp_path.parent / "set.zip")
    assert zipped.names == loaded.names and zipped.left_out == ("../out.png: a path out of the zip",)


def test_links_to_folders_are_followed_and_loops_are_refused(tmp_path):
    elsewhere, top = tmp_path / "elsewhere", tmp_path / "top"
    (elsewhere / "deep").mkdir(parents=True)
    top.mkdir()
    photo(1).save(top / "a.png")
    photo(2).save(elsewhere / "b.png")
    photo(3).save(elsewhere / "deep" / "c.png")
    (top / "linked").symlink_to(elsewhere)
    (top / "twice").symlink_to(elsewhere / "deep")
    (elsewhere / "deep" / "loop").symlink_to(top)
    loaded = load_images(top)
    assert loaded.names == ("a.png", "linked/b.png", "linked/deep/c.png")
    assert [line.split(":")[0] for line in loaded.left_out] == ["linked/deep/loop/", "twice/"]


def test_an_unreadable_folder_is_named(tmp_path):
    photo().save(tmp_path / "a.png")
    (tmp_path / "locked").mkdir(mode=0o000)
    loaded = load_images(tmp_path)
    assert os.geteuid() == 0 or loaded.left_out == ("locked/: Permission denied",)


def glyph(colour, seed=0, edge=None):
    layer = Image.new("RGBA", (SIDE, SIDE), (*edge, 0) if edge else (0, 0, 0, 0))
    layer.paste((*colour, 255), (8, 8 + seed, 24, 20 + seed))
    return layer


@pytest.mark.parametrize(
    ("colours", "ground", "level"),
    [
        ([(255, 255, 255)] * 2, "black", 0),
        ([(0, 0, 0)] * 2, "white", 255),
        ([(200, 30, 30), (255, 255, 255)], "black", 0),
        ([(0, 0, 0), (255, 255, 255)], "grey", 128),
    ],
)
def test_transparent_artwork_lies_on_a_ground_that_shows_it(tmp_path, colours, ground, level):
    for i, colour in enumerate(colours):
        glyph(colour, i).save(tmp_path / f"{i}.png")
    photo(size=(SIDE, SIDE)).save(tmp_path / "photo.png")
    loaded = load_images(tmp_path, resolution=SIDE)
    assert f"2 transparent images laid on {ground}" in loaded.note and ("hide" in loaded.note) == (ground != "white")
    for one, colour in zip(loaded.pixels, colours, strict=False):
        assert one[:, 0, 0].tolist() == [level] * 3 and one[:, 15, 15].tolist() == list(colour)


def test_a_grey_transparent_picture_keeps_its_artwork(tmp_path):
    grey = Image.new("LA", (SIDE, SIDE), (255, 0))
    grey.paste((255, 255), (8, 8, 24, 24))
    grey.save(tmp_path / "a.png")
    assert load_images(tmp_path, resolution=SIDE, channels=1).pixels.float().std() > 50


def test_opaque_pictures_with_an_alpha_channel_are_not_called_transparent(tmp_path):
    photo().convert("RGBA").save(tmp_path / "a.png")
    assert "transparent" not in load_images(tmp_path).note


def test_padding_keeps_all_of_a_picture(tmp_path):
    wide = Image.new("RGB", (64, 16), (10, 200, 30))
    wide.paste((255, 0, 0), (0, 4, 8, 12))
    wide.save(tmp_path / "wide.png")
    tall = Image.new("RGBA", (16, 64))
    tall.paste((0, 0, 255, 255), (0, 0, 16, 8))
    tall.save(tmp_path / "tall.png")
    cropped, padded = (load_images(tmp_path, resolution=SIDE, fit=fit) for fit in ("crop", "pad"))
    assert padded.pixels[1, 0].max() > 200 > cropped.pixels[1, 0].max()  # the red at the end
    assert padded.pixels[1, :, 0, 16].tolist() == [10, 200, 30]  # its own colour above
    assert padded.pixels[0, :, 16, 0].tolist() == [255] * 3 and padded.pixels[0, 0, 1, 15] < 50
    assert "2 of them centre-cropped" in cropped.note and "2 of them padded" in padded.note


def tiff(path, values):
    Image.fromarray(values).save(path)


def test_values_of_any_depth_come_out_right_or_are_named(tmp_path):
    ramp = np.linspace(0, 1, SIDE * SIDE).reshape(SIDE, SIDE)
    tiff(tmp_path / "bits12.tif", (ramp * 4095).astype(np.uint16))
    tiff(tmp_path / "bits16.tif", (ramp * 65535).astype(np.uint16))
    tiff(tmp_path / "float1.tif", ramp.astype(np.float32))
    tiff(tmp_path / "float255.tif", (ramp * 255).astype(np.float32))
    tiff(tmp_path / "int32.tif", (ramp * 2**31 - 2**30).astype(np.int32))
    tiff(tmp_path / "nan.tif", np.where(ramp > 0.5, np.nan, ramp).astype(np.float32))
    tiff(tmp_path / "signed.tif", (ramp * 2 - 1).astype(np.float32))
    loaded = load_images(tmp_path, resolution=SIDE, channels=1)
    for name, one in zip(loaded.names, loaded.pixels, strict=True):
        assert abs(one[0].numpy() - ramp * 255).max() <= 1.5, name
    assert loaded.left_out == ("nan.tif: holds NaN or infinity",)
    assert "Values read as 12 bits: bits12.tif." in loaded.note
    assert "Values scaled by the range they span: int32.tif, signed.tif." in loaded.note


def test_colours_of_twelve_bits_in_sixteen_are_named(tmp_path):
    photo().save(tmp_path / "a.png")
    pixels = (np.asarray(photo()).astype(np.uint16) * 16).tobytes()
    tags = [
        (256, 3, 48),
        (257, 3, 32),
        (258, 3, 16),
        (262, 3, 2),
        (273, 4, 134),
        (277, 3, 3),
        (278, 3, 32),
        (279, 4, len(pixels)),
    ]
    entries = b"".join(
        tag.to_bytes(2, "little") + kind.to_bytes(2, "little") + (1).to_bytes(4, "little") + value.to_bytes(4, "little")
        for tag, kind, value in tags
    )
    entries = entries.replace(
        (258).to_bytes(2, "little")
        + (3).to_bytes(2, "little")
        + (1).to_bytes(4, "little")
        + (16).to_bytes(4, "little"),
        (258).to_bytes(2, "little")
        + (3).to_bytes(2, "little")
        + (3).to_bytes(4, "little")
        + (110).to_bytes(4, "little"),
    )
    head = b"II*\0" + (8).to_bytes(4, "little") + len(tags).to_bytes(2, "little") + entries + bytes(4)
    assert len(head) == 110
    (tmp_path / "b.tif").write_bytes(head + 3 * (16).to_bytes(2, "little") + bytes(18) + pixels)
    assert load_images(tmp_path).left_out == ("b.tif: colours of 12 bits in 16: convert it to 8 bits",)


def test_what_strikes_about_images_is_said(tmp_path):
    for i in range(3):
        photo(5).save(tmp_path / f"{i}.png")
    assert "All 3 images are identical." in load_images(tmp_path).note
    Image.new("RGB", (64, 64)).save(tmp_path / "black.png")
    photo(6, (20, 20)).save(tmp_path / "tiny.png")
    note = load_images(tmp_path).note
    assert "Blank, of one colour: black.png." in note and "The same as an earlier image: 1.png, 2.png." in note
    assert "enlarged: " in note and "tiny.png" in note
    alone = load_images(tmp_path, n=1).note
    assert "Images 1 to 1 of them are used." in alone


def test_lost_colour_is_said(tmp_path):
    photo().save(tmp_path / "a.png")
    photo().convert("L").save(tmp_path / "b.jpg")
    assert "1 colour image turned grey" in load_images(tmp_path, channels=1).note
    assert "grey" not in load_images(tmp_path, channels=3).note


def test_one_image_is_one_image(tmp_path):
    photo().save(tmp_path / "a.png")
    assert load_images(tmp_path).note.startswith("1 image resized to 64x64")


@pytest.mark.parametrize("name", ["a\x1b[31m.png", "a\r\n.png", "a\x9b31m.png", "a\u202egnp.png"])
def test_names_never_reach_a_terminal_raw(tmp_path, capsys, name):
    (tmp_path / name).write_bytes(b"no picture")
    photo().save(tmp_path / f"small{name}")
    note = load_images(tmp_path).note
    assert note.isprintable() and printable(name) in note
    assert printable("a👩‍🚀é.png") == "a👩‍🚀é.png"
    (tmp_path / f"small{name}").unlink()
    assert main(["adapt", "--images", str(tmp_path), "--out", str(tmp_path.parent / "out")]) == 2
    said = capsys.readouterr().err
    assert said.strip().isprintable() and len(said) < 400


def test_a_program_in_an_image_s_clothes_is_not_run(tmp_path):
    photo().save(tmp_path / "a.png")
    photo().save(tmp_path / "b.eps")  # Pillow would hand it to Ghostscript
    (tmp_path / "b.eps").rename(tmp_path / "b.png")
    assert load_images(tmp_path).left_out == ("b.png: not an image",)


def test_shipped_domains_have_no_names():
    name = next(iter(list_domains()))
    assert load_images(name, n=2).names == () and load_images(name, n=2).left_out == ()


def test_a_picture_of_several_frames_gives_its_first(tmp_path):
    frames = [Image.new("RGB", (64, 64), colour) for colour in ("red", "blue")]
    buffer = io.BytesIO()
    frames[0].save(buffer, "GIF", save_all=True, append_images=frames[1:])
    (tmp_path / "a.gif").write_bytes(buffer.getvalue())
    assert load_images(tmp_path).pixels[0, :, 0, 0].tolist() == [255, 0, 0]
