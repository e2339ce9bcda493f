"""Intra-LPIPS: the released procedure, LPIPS of the package, and distributions with known answers."""

import sys
from urllib.error import URLError

import lpips
import numpy as np
import pytest
import torch
from golden import fill
from helpers import assert_met, tensors

from fewshotgan import load_images
from fewshotgan.files import UserError
from fewshotgan.metrics import evaluate, intra_lpips
from fewshotgan.metrics.diversity import cluster_distance, embedding, lpips_vector, squared_distances

module = sys.modules[cluster_distance.__module__]


def test_the_procedure_meets_the_golden():
    golden = fill.load("metric_intra_lpips")
    to_centre = np.abs(golden.inputs["to_centre"].astype(np.float64))
    pair = np.abs(golden.inputs["pair"].astype(np.float64) + golden.inputs["pair"].astype(np.float64).T)
    nearest = to_centre.argmin(axis=1)
    found = cluster_distance(
        [np.flatnonzero(nearest == k) for k in range(10)], lambda indices: pair[np.ix_(indices, indices)]
    )
    got = {"assigned": nearest, "cluster_mean": np.array(found.cluster_means), "intra_lpips": np.array(found.value)}
    expected = golden.expected
    assert np.array_equal(got["assigned"], expected["assigned"])
    assert np.allclose(got["cluster_mean"], expected["cluster_mean"], rtol=1e-6, equal_nan=True)
    assert float(found.value) == pytest.approx(float(expected["intra_lpips"]), rel=1e-6)
    assert sum(found.sizes) == 30


@pytest.mark.parametrize("net", ["vgg", "alex"])
def test_the_vectors_have_the_distances_of_the_package(net):
    golden = fill.load(f"metric_lpips_{net}")
    network = lpips.LPIPS(net=net, pretrained=False, pnet_rand=True, verbose=False)
    state = tensors(golden.params)
    network.load_state_dict(
        state | {key.replace("lin", "lins.", 1): value for key, value in state.items() if key.startswith("lin")}
    )
    x0 = torch.tanh(torch.from_numpy(golden.inputs["x0"]))
    x1 = torch.tanh(0.7 * torch.from_numpy(golden.inputs["x0"]) + 0.5 * torch.from_numpy(golden.inputs["noise"]))
    with torch.no_grad():
        layers = [list(network.net(network.scaling_layer(x))) for x in (x0, x1)]
        a, b = (lpips_vector(x) for x in layers)
        got = {"baseline": (a - b).square().sum(dim=1).numpy(), "lpips": network(x0, x1).flatten().numpy()}
        rows = [(lpips_vector([x]) - lpips_vector([y])).square().sum(dim=1) for x, y in zip(*layers, strict=True)]
        got["baseline_layers"] = torch.stack(rows).numpy()
        weights = [layer.model[1].weight.flatten().abs() for layer in network.lins]
        for layer, weight in zip(network.lins, weights, strict=True):
            layer.model[1].weight.copy_(weight.view(1, -1, 1, 1))
        a, b = (lpips_vector(x, weights) for x in layers)
        assert torch.allclose((a - b).square().sum(dim=1), network(x0, x1).flatten(), rtol=1e-4)
    assert_met(golden, got, every=False)


def test_copies_have_no_diversity_and_real_images_have():
    shots = load_images("avatars/personas", n=5).tensor()
    copies = shots.repeat(4, 1, 1, 1)
    real = load_images("avatars/personas", split="held_out").tensor()[:40]
    copied, varied = intra_lpips(copies, shots), intra_lpips(real, shots)
    assert copied.value == pytest.approx(0, abs=1e-4) and copied.sizes == (4,) * 5
    assert varied.value > 0.05 and sum(varied.sizes) == 40
    vectors = embedding("efficientnet")(real[:3])
    plain = [[float((x - y).square().sum()) for y in vectors] for x in vectors]
    assert np.allclose(squared_distances(vectors, vectors), plain, atol=1e-3)


def test_a_large_cluster_is_drawn_from_and_single_images_drop_out():
    seen = []

    def between(indices):
        seen.append(len(indices))
        return np.ones((len(indices), len(indices)))

    found = cluster_distance([np.arange(80), np.array([80]), np.array([], int), np.arange(81, 84)], between)
    assert seen == [50, 3] and found.value == 1 and found.sizes == (80, 1, 0, 3)
    assert np.isnan(found.cluster_means[1]) and np.isnan(found.cluster_means[2])


def test_evaluate_reports_it_by_its_own_name():
    images = load_images("avatars/thumbs", n=5)
    asked = ["intra_lpips_efficientnet"]
    scores = evaluate(images.tensor().repeat(2, 1, 1, 1), "avatars/thumbs", metrics=asked, train=images)
    assert scores["intra_lpips_efficientnet"] == pytest.approx(0, abs=1e-4) and set(scores) == {*asked, "protocol"}
    assert scores["protocol"]["intra_lpips_efficientnet"]["clusters"] == (2,) * 5
    with pytest.raises(UserError, match="hand them over as train"):
        evaluate(images.tensor(), "avatars/thumbs", metrics=asked)


def test_offline_and_bad_requests_are_one_sentence(monkeypatch):
    def offline(**_):
        raise URLError("no route")

    monkeypatch.setattr(lpips, "LPIPS", offline)
    module.lpips_network.cache_clear()
    images = load_images("avatars/thumbs", n=5).tensor()
    with pytest.raises(UserError, match="offline use intra_lpips_efficientnet"):
        intra_lpips(images, images, "vgg")
    with pytest.raises(UserError, match="efficientnet and vgg"):
        intra_lpips(images, images, "alexnet")
    with pytest.raises(UserError, match="give more samples"):
        intra_lpips(images, images)
