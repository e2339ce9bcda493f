"""Anybody's images become squares of one size, bad ones are named, and shipped splits stay apart."""

import io
import os
import zipfile

import numpy as np
import pytest
import torch
from PIL import Image

from fewshotgan import decoding
from fewshotgan.files import UserError
from fewshotgan.images import MIXTURES, Images, count_subsets, list_domains, load_images, places


def picture(size=(40, 30), mode="RGB", colour=(200, 30, 60)):
    return Image.new("RGB", size, colour).convert(mode)


def test_modes_sizes_and_orientation(tmp_path):
    picture((50, 20)).save(tmp_path / "a.jpg", quality=100)
    picture(mode="L").save(tmp_path / "b.png")
    picture(mode="P").save(tmp_path / "c.png")
    Image.new("RGBA", (20, 20), (0, 0, 0, 0)).save(tmp_path / "d.png")
    Image.fromarray(np.full((20, 20), 32768, np.uint16)).save(tmp_path / "e.png")
    picture().save(tmp_path / "f.webp", lossless=True)
    upright = Image.new("RGB", (20, 40))
    upright.paste((255, 255, 255), (0, 0, 20, 20))  # white above black
    exif = Image.Exif()
    exif[0x0112] = 6  # a camera held sideways: the stored picture is turned
    upright.rotate(90, expand=True).save(tmp_path / "g.png", exif=exif)
    loaded = load_images(tmp_path, resolution=16)
    assert loaded.pixels.shape == (7, 3, 16, 16) and loaded.pixels.dtype == torch.uint8
    assert "5 of them centre-cropped" in loaded.note
    assert loaded.pixels[3].min() == 255  # transparent is white
    assert loaded.pixels[4].float().mean() == pytest.approx(127.5, abs=1)  # 16 bits scaled
    assert loaded.pixels[6, :, 0].min() == 255 and loaded.pixels[6, :, -1].max() == 0  # turned upright
    assert load_images(tmp_path, resolution=8, channels=1).pixels.shape == (7, 1, 8, 8)
    values = loaded.tensor()
    assert values.dtype == torch.float32 and values.min() >= -1 and values.max() <= 1


def test_a_camera_s_exif_counts_as_far_as_it_can_be_read(tmp_path):
    stored = Image.new("RGB", (20, 20))
    stored.paste((255, 255, 255), (0, 0, 20, 10))
    exif = Image.Exif()
    exif[0x0112] = 3
    data = bytearray(exif.tobytes())
    data[8:10] = b"\x02\x00" if data[6:8] == b"II" else b"\x00\x02"  # two entries: the second one is cut off
    for name, content in (
        ("cut.jpg", bytes(data)),
        ("typed.jpg", b"Exif\0\0II*\0\x08\0\0\0\x02\0" + 2 * b"\x12\x01\x02\0\x04\0\0\0abc\0" + 4 * b"\0"),
    ):
        stored.save(tmp_path / name, exif=content)
    loaded = load_images(tmp_path, resolution=16)
    assert len(loaded) == 2 and "Left out" not in loaded.note


def test_a_file_that_breaks_its_reader_is_left_out(tmp_path, monkeypatch):
    picture().save(tmp_path / "a.png")
    picture(colour=(1, 2, 3)).save(tmp_path / "b.png")
    original = decoding._plain

    def breaks(image):
        if image.getpixel((0, 0)) == (1, 2, 3):
            raise TypeError("odd tag")
        return original(image)

    monkeypatch.setattr(decoding, "_plain", breaks)
    loaded = load_images(tmp_path, resolution=16)
    assert len(loaded) == 1 and "Left out: b.png (odd tag)" in loaded.note


@pytest.mark.parametrize(
    "pixels", [torch.rand(5, 1, 8, 8), torch.zeros(5, 8, 8, dtype=torch.uint8), np.zeros((5, 3, 8, 8), np.uint8)]
)
def test_what_is_no_set_of_images_is_refused(pixels):
    with pytest.raises(UserError, match="mine: images are a uint8 tensor"):
        Images(pixels, "mine")


def test_broken_ones_are_named_and_the_good_go_on(tmp_path):
    picture().save(tmp_path / "good.png")
    whole = io.BytesIO()
    Image.fromarray(np.random.default_rng(0).integers(0, 255, (64, 64, 3), np.uint8)).save(whole, "PNG")
    (tmp_path / "half.png").write_bytes(whole.getvalue()[: len(whole.getvalue()) // 2])
    (tmp_path / "text.png").write_text("this is text")
    (tmp_path / "notes.txt").write_text("not a picture")
    (tmp_path / ".hidden.png").write_text("nor this")
    loaded = load_images(tmp_path)
    assert len(loaded) == 1 and "half.png" in loaded.note and "text.png (not an image)" in loaded.note
    assert "notes.txt" in loaded.note and "hidden" not in loaded.note
    (tmp_path / "good.png").unlink()
    with pytest.raises(UserError, match="none of its 3 files is a readable image"):
        load_images(tmp_path)


def test_bombs_are_not_decoded(tmp_path, monkeypatch):
    picture().save(tmp_path / "a.png")
    picture((200, 200)).save(tmp_path / "bomb.png")
    monkeypatch.setattr(decoding, "MOST_PIXELS", 10_000)
    assert "bomb.png (200x200 pixels are too many to decode)" in load_images(tmp_path).note
    with zipfile.ZipFile(tmp_path / "b.zip", "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("../outside.png", (tmp_path / "a.png").read_bytes())
        archive.writestr("a.png", (tmp_path / "a.png").read_bytes())
        archive.writestr("zeros.png", bytes(100_000))
    monkeypatch.setattr(places, "MOST_BYTES", 50_000)
    loaded = load_images(tmp_path / "b.zip")
    assert len(loaded) == 1 and "zeros.png (the file is too big)" in loaded.note  # names are never used as paths
    assert not (tmp_path.parent / "outside.png").exists()


def test_a_zip_a_file_and_a_damaged_zip(tmp_path):
    picture().save(tmp_path / "one.png")
    assert len(load_images(tmp_path / "one.png")) == 1
    with zipfile.ZipFile(tmp_path / "set.zip", "w") as archive:
        for name in ("b/2.png", "a/1.png"):
            archive.write(tmp_path / "one.png", name)
    assert len(load_images(tmp_path / "set.zip", n=2)) == 2
    data = bytearray((tmp_path / "set.zip").read_bytes())
    data[60:90] = bytes(30)  # inside the first member
    (tmp_path / "bad.zip").write_bytes(data)
    assert "b/2.png (the zip is damaged at this file" in load_images(tmp_path / "bad.zip").note


@pytest.mark.parametrize("packing", [zipfile.ZIP_DEFLATED, zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA])
def test_a_broken_byte_of_a_packed_image_leaves_that_image_out_at_most(tmp_path, packing):
    noise = np.random.default_rng(0).integers(0, 255, (20, 20), np.uint8)
    content = io.BytesIO()
    Image.fromarray(noise.repeat(2, 0)).save(content, "BMP")  # not packed itself
    with zipfile.ZipFile(tmp_path / "set.zip", "w", packing) as archive:
        archive.writestr("a.bmp", content.getvalue())
        archive.writestr("b.bmp", content.getvalue())
        size = archive.getinfo("a.bmp").compress_size
    whole, intact, found = (tmp_path / "set.zip").read_bytes(), load_images(tmp_path / "set.zip").pixels, 0
    for at in range(35, 35 + size, max(1, size // 12)):
        (tmp_path / "bad.zip").write_bytes(whole[:at] + bytes([whole[at] ^ 0xFF]) + whole[at + 1 :])
        loaded = load_images(tmp_path / "bad.zip")
        assert torch.equal(loaded.pixels, intact[-len(loaded) :])  # some bytes of an LZMA header matter to nobody
        found += "a.bmp (the zip is damaged at this file" in loaded.note
    assert found >= 10


def test_what_is_no_regular_file_is_left_out_and_not_waited_for(tmp_path):
    picture().save(tmp_path / "a.png")
    os.mkfifo(tmp_path / "pipe.png")
    (tmp_path / "gone.png").symlink_to(tmp_path / "nowhere.png")
    loaded = load_images(tmp_path)
    assert len(loaded) == 1 and "Left out: gone.png, pipe.png (not a regular file)." in loaded.note


def test_a_blend_and_a_domain_are_resized_where_they_must_be():
    assert load_images("50% fashion/sneaker, 50% fashion/dress", n=4, resolution=16, channels=3).pixels.shape == (
        4,
        3,
        16,
        16,
    )
    as_it_is = load_images("avatars/thumbs", n=3, resolution=64, channels=3)
    assert as_it_is.note == "" and torch.equal(as_it_is.pixels, load_images("avatars/thumbs", n=3).pixels)


def test_refusals_are_one_sentence(tmp_path):
    for source, arguments, text in (
        ("50% fashion/sneaker, 50% fashion/dress", {"n": 0}, "choose another n"),
        ("cats", {}, "`fewshotgan domains` lists the domains"),
        ("", {}, "takes a folder, a zip"),
        ("  ", {}, "takes a folder, a zip"),
        (["a.png"], {}, "takes a folder, a zip"),
        ("avatars/thumbs", {"fit": "stretch"}, "'crop' or 'pad'"),
        ("avatars/thumbs", {"channels": 4}, "1 or 3 channels"),
        ("avatars/thumbs", {"resolution": 0}, "at least 1 pixel"),
        (tmp_path, {}, "No images could be loaded from"),
        (tmp_path / "absent", {}, "There is no folder, zip or shipped domain"),
        ("avatars/pixelart", {}, "did you mean avatars/pixel-art"),
        ("avatars/thumbs", {"n": 2000}, "1000 images, not 2000; choose n from 1 to 1000"),
        ("avatars/thumbs", {"n": 0}, "choose n from 1 to"),
        ("avatars/thumbs", {"split": "test"}, "'train' or 'held_out'"),
    ):
        with pytest.raises(UserError, match=text):
            load_images(source, **arguments)
    picture().save(tmp_path / "a.png")
    with pytest.raises(UserError, match="no held-out split"):
        load_images(tmp_path, split="held_out")
    (tmp_path / "a.doc").write_text("x")
    with pytest.raises(UserError, match="is not an image, a zip or a folder"):
        load_images(tmp_path / "a.doc")


@pytest.mark.parametrize("name", ["avatars/pixel-art", "fashion/sandal"])
def test_shipped_subsets_are_nested_and_held_out_images_are_apart(name):
    sets = [load_images(name, n=n).pixels for n in (1, 5, 10, 25, 100, 1000)]
    for small, large in zip(sets, sets[1:], strict=False):
        assert torch.equal(small, large[: len(small)])
    train = {image.numpy().tobytes() for image in load_images(name).pixels}
    held_out = load_images(name, split="held_out").pixels
    assert not any(image.numpy().tobytes() in train for image in held_out)
    assert load_images(name, n=3, resolution=16, channels=1).pixels.shape == (3, 1, 16, 16)


@pytest.mark.parametrize(
    ("name", "count", "targets"),
    [
        ("fashion/source", 8000, ("sandal", "bag")),
        ("fashion/base", 6000, ("sandal", "coat", "bag", "dress")),
        ("avatars/source", 5600, ("toon-head", "miniavs", "pixel-art", "thumbs")),
    ],
)
def test_a_mixture_leaves_the_targets_out_and_labels_the_others(name, count, targets):
    images, collection = load_images(name), name.split("/")[0]
    mixed = {image.numpy().tobytes() for image in images.pixels}
    assert len(images) == len(images.labels) == count and name in list_domains()
    for target in targets:
        assert not any(
            image.numpy().tobytes() in mixed for image in load_images(f"{collection}/{target}", n=100).pixels
        )
    parts = [
        other
        for other in list_domains()
        if other.startswith(f"{collection}/") and other.split("/")[1] not in targets and other not in MIXTURES
    ]
    assert sorted(set(images.labels.tolist())) == list(range(len(parts)))
    third = {image.numpy().tobytes() for image in load_images(parts[2]).pixels}
    assert all(
        (image.numpy().tobytes() in third) == (label == 2)
        for image, label in zip(images.pixels[:300], images.labels[:300], strict=True)
    )
    few = load_images(name, n=7, resolution=16)
    assert (
        torch.equal(few.labels, images.labels[:7])
        and few.note
        and load_images(f"{collection}/{targets[0]}", n=1).labels is None
    )


def test_a_blend_has_each_domain_in_its_proportion():
    blend = load_images("30% fashion/sneaker, 70% fashion/dress", n=20)
    assert blend.labels.bincount().tolist() == [6, 14] and len(blend) == 20
    assert torch.equal(blend.pixels[:6], load_images("fashion/sneaker", n=6).pixels)
    held_out = load_images("10% fashion/sneaker, 90% fashion/dress", split="held_out")
    assert held_out.labels.bincount().tolist() == [56, 499]
    with pytest.raises(UserError, match="sum to 90 %"):
        load_images("30% fashion/sneaker, 60% fashion/dress")
    with pytest.raises(UserError, match="n=2000 needs 1400 images of fashion/dress, which has"):
        load_images("30% fashion/sneaker, 70% fashion/dress", n=2000)
    with pytest.raises(UserError, match="no folder, zip or shipped domain 'fashion/sneakers'"):
        load_images("30% fashion/sneakers, 70% fashion/dress")


def bytes_of(images):
    return [image.numpy().tobytes() for image in images.pixels]


def test_the_subsets_of_one_size_share_no_image():
    for name, n, count in (("avatars/pixel-art", 10, 10), ("avatars/lorelei", 25, 6), ("avatars/lorelei", 100, 1)):
        assert count_subsets(name, n) == count
        found = [image for k in range(count) for image in bytes_of(load_images(name, n, subset=k))]
        assert len(found) == len(set(found)) == n * count
    assert torch.equal(
        load_images("avatars/pixel-art", 10, subset=0).pixels, load_images("avatars/pixel-art", 10).pixels
    )
    with pytest.raises(UserError, match="no subset 1 of 100; choose subset 0 to 0"):
        load_images("avatars/lorelei", 100, subset=1)
    with pytest.raises(UserError, match="pass n as well"):
        load_images("avatars/lorelei", subset=1)
    for name, n in (("fashion/sandal", 1001), ("nobody/nothing", 1)):
        with pytest.raises(UserError):
            count_subsets(name, n)


def test_a_blend_and_a_folder_have_subsets_too(tmp_path):
    name = "30% fashion/sneaker, 70% fashion/dress"
    assert count_subsets(name, 100) == 10 and count_subsets(name, 1000) == 1
    first, second = (bytes_of(load_images(name, 20, subset=k)) for k in (0, 1))
    assert not set(first) & set(second)
    assert second[:6] == bytes_of(load_images("fashion/sneaker", 6, subset=1))
    with pytest.raises(UserError, match="subset 1 of n=1000 needs 700 images of fashion/dress"):
        load_images(name, 1000, subset=1)
    for i in range(4):
        picture(colour=(i, 0, 0)).save(tmp_path / f"{i}.png")
    assert load_images(tmp_path, 2, subset=1).pixels[:, 0, 0, 0].tolist() == [2, 3]
