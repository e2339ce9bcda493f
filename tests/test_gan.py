"""A GAN file carries G and D whole, and a bad one is refused in one sentence, never run."""

import importlib
import json

import pytest
import safetensors.torch
import torch
from helpers import tiny_gan

from fewshotgan import list_gans, load_gan
from fewshotgan.files import UserError
from fewshotgan.gans import version


def test_save_and_load_give_the_same_samples(tmp_path):
    gan = tiny_gan().refresh()
    gan.card = {"summary": "a test"}
    gan.save(tmp_path / "gan.safetensors")
    again = load_gan(tmp_path / "gan.safetensors")
    assert again.card == gan.card and again.name == "tiny"
    assert torch.equal(again.sample(3, seed=4, truncation=0.7), gan.sample(3, seed=4, truncation=0.7))
    x = gan.sample(4)
    assert torch.equal(again.discriminator(x), gan.discriminator(x))


def test_a_name_that_could_not_be_loaded_again_is_refused(tmp_path):
    for name in ("gan.pt", "gan"):
        with pytest.raises(UserError, match=r"must end in \.safetensors"):
            tiny_gan().save(tmp_path / name)
    assert not list(tmp_path.iterdir())


def test_samples_follow_the_seed_and_the_contract():
    gan = tiny_gan()
    images = gan.sample(5, seed=1)
    assert images.shape == (5, 3, 16, 16) and images.dtype == torch.float32 and images.abs().max() <= 1
    assert torch.equal(images, gan.sample(5, seed=1)) and not torch.equal(images, gan.sample(5, seed=2))
    walk = gan.interpolate(3, 4)
    assert walk.shape == (12, 3, 16, 16)
    assert torch.allclose(walk[::4], gan.sample(3), atol=1e-4)


@pytest.mark.parametrize("name", ["avatars-stylegan2", "fashion-stylegan2"])
def test_shipped_gans_load_and_their_cards_say_what_they_are(name):
    assert name in list_gans()
    gan = load_gan(name)
    assert gan.sample(2).isfinite().all()
    assert {"images_seen", "recipe", "device", "date", "quality", "data"} <= gan.card.keys()
    assert gan.card["quality"]["meets_bar"] == (gan.card["quality"]["ratio"] <= gan.card["quality"]["bar"])


def test_a_version_is_that_of_the_weights_and_not_of_the_card(tmp_path, monkeypatch):
    monkeypatch.setattr(importlib.import_module("fewshotgan.gans.stored"), "_shipped", lambda: tmp_path)
    first, other, noted = tiny_gan(), tiny_gan(), tiny_gan()
    other.discriminator.out.bias.data += 1e-3
    noted.card = {"quality": {"ratio": 0.2}}
    for name, gan in (("first", first), ("other", other), ("noted", noted)):
        gan.save(tmp_path / f"{name}.safetensors")
    assert version("first") == version("noted") != version("other")


def test_bad_files_are_refused(tmp_path):
    path = tmp_path / "gan.safetensors"
    gan = tiny_gan()
    gan.save(path)
    whole = path.read_bytes()
    path.write_bytes(whole[: len(whole) // 2])
    with pytest.raises(UserError, match="damaged"):
        load_gan(path)
    strange = (
        {"model": {}},
        [torch.zeros(2)],
        torch.zeros(2),
        {"g_ema": 3},
        {"netG": {}, "netD": {}},
        {"generator": {}, "discriminator": {}},
        {"g_ema": {"style.1.weight": torch.zeros(2)}},
        {"model_state_dict": {"l1.weight": torch.zeros(3)}},
    )
    for content in strange:
        torch.save(content, tmp_path / "other.pt")
        with pytest.raises(UserError, match="can't be loaded"):
            load_gan(tmp_path / "other.pt")
    for said in ("[]", "{}", '{"name": "x", "config": [], "card": {}}', '{"name": "x", "config": {}, "card": {}}', "{"):
        safetensors.torch.save_file({"a": torch.zeros(1)}, path, {"fewshotgan": said})
        with pytest.raises(UserError, match=r"no configuration|damaged|unknown family"):
            load_gan(path)
    for wrong in (
        {"resolution": -4},
        {"resolution": "64"},
        {"channel_base": 0},
        {"z_dim": 1.5},
        {"resolution": 48},
        {"w_dim": []},
        {"mapping_layers": 10**7},
        {"resolution": 2**40},
        {"z_dim": 10**12},
        {"resolution": None},
    ):
        safetensors.torch.save_file(
            {"a": torch.zeros(1)},
            path,
            {
                "fewshotgan": json.dumps(
                    {
                        "name": "x",
                        "card": {},
                        "config": {**gan.config, "generator": {**gan.config["generator"], **wrong}},
                    }
                )
            },
        )
        with pytest.raises(UserError, match=r"builds no GAN|does not fit"):
            load_gan(path)
    with pytest.raises(UserError, match="did you mean avatars-stylegan2"):
        load_gan("avatar-stylegan2")
    other = tiny_gan(channel_base=128)
    other.config = gan.config
    other.save(path)
    with pytest.raises(UserError, match="does not fit its own configuration"):
        load_gan(path)
    gan.save(path)
    tensors = safetensors.torch.load_file(path)
    with safetensors.safe_open(path, framework="pt") as file:
        metadata = file.metadata()
    for dtype, value, said in (
        (torch.float32, float("nan"), "not finite"),
        (torch.float64, 1e300, "not finite"),
        (torch.float8_e4m3fn, 1, "as F8_E4M3; weights are F32"),
        (torch.uint8, 1, "as U8; weights are F32"),
        (torch.complex64, 1, "weights are F32"),
    ):
        const = torch.full(gan.generator.const.shape, value, dtype=torch.float64).to(dtype)
        hostile = {**tensors, "generator.const": const}
        safetensors.torch.save_file(hostile, path, metadata)
        with pytest.raises(UserError, match=said):
            load_gan(path)
    empty = {"family": "mixture", "generator": {"parts": []}, "discriminator": None}
    for said in ("[" * 10**5, json.dumps({"name": "x", "card": {}, "config": empty})):
        safetensors.torch.save_file({"a": torch.zeros(1)}, path, {"fewshotgan": said})
        with pytest.raises(UserError, match=r"damaged|builds no GAN"):
            load_gan(path)


def test_a_failed_save_leaves_the_old_file(tmp_path, monkeypatch):
    gan, path = tiny_gan(), tmp_path / "gan.safetensors"
    gan.save(path)
    before = path.read_bytes()

    def full(*_args, **_kwargs):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("pathlib.Path.write_bytes", full)
    with pytest.raises(UserError, match="No space left"):
        tiny_gan(seed=1).save(path)
    assert path.read_bytes() == before and list(tmp_path.iterdir()) == [path]
