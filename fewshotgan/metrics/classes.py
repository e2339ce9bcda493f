"""What a class-conditional GAN makes of its classes: the distance of each, and whether a classifier knows them again.

Source: Wang et al., "Transferring GANs" (ECCV 2018, arXiv 1805.01677), table 6, which reports both.

Differs: the classifier is a linear one on EfficientNet-Lite0 features, fitted to real images by ridge regression; the
paper's is not described. The protocol gives its accuracy on real images that it was not fitted to.
"""

import numpy as np
import torch

from fewshotgan.metrics.frechet import frechet_distance
from fewshotgan.metrics.metric import Comparison, Metric

EXTRACTOR = "efficientnet"
RIDGE = 0.01  # of the mean over the features of their sum of squares


def class_distances(images: Comparison) -> list[float]:
    """Return the Fréchet distance between real and generated images of each class.

    Raises:
        UserError: if a class has fewer than two images of a kind.
    """
    (known, meant), (real, fake) = images.given_labels(), images.features(EXTRACTOR)
    return [frechet_distance(real[known == k], fake[meant == k]) for k in range(images.real.classes)]


class Classifier:
    """A linear classifier of features: ridge regression onto one number for each class, the largest of which decides.

    Args:
        features: (N, d) of real images.
        labels: their classes (N,).
    """

    def __init__(self, features: np.ndarray, labels: np.ndarray) -> None:
        self.mean = features.mean(axis=0)
        x = features - self.mean
        targets = np.eye(int(labels.max()) + 1)[labels]
        self.offset = targets.mean(axis=0)
        ridge = RIDGE * np.trace(x.T @ x) / x.shape[1]
        self.weight = np.linalg.solve(x.T @ x + ridge * np.eye(x.shape[1]), x.T @ (targets - self.offset))

    def accuracy(self, features: np.ndarray, labels: np.ndarray) -> float:
        """Return the share of features (N, d) that are taken for their class (N,)."""
        guessed = ((features - self.mean) @ self.weight + self.offset).argmax(axis=1)
        return float((guessed == labels).mean())


def class_accuracy(images: Comparison) -> float:
    """Return the share of generated images that a classifier of real ones takes for the class they were made for."""
    (known, meant), (real, fake) = images.given_labels(), images.features(EXTRACTOR)
    return Classifier(real, known).accuracy(fake, meant)


def _of_real(images: Comparison) -> dict[str, float]:
    """Return the accuracy on half of the real images, of a classifier fitted to the other half."""
    (known, _), (real, _) = images.given_labels(), images.features(EXTRACTOR)
    order = torch.randperm(len(real), generator=torch.Generator().manual_seed(0)).numpy()
    fitted, asked = np.array_split(order, 2)
    return {
        "real, half fitted to the other": Classifier(real[fitted], known[fitted]).accuracy(real[asked], known[asked])
    }


_PAPER = "Wang et al. 2018 (TransferGAN), arXiv 1805.01677, table 6"
METRICS = (
    Metric(
        "fd_classes",
        lambda images: float(np.mean(class_distances(images))),
        direction="low",
        digits=0,
        version=1,
        units="squared distance of features, mean over the classes",
        range="0 to infinity",
        source=f"{_PAPER}, with EfficientNet-Lite0 features",
        extractor=EXTRACTOR,
        needs=("classes",),
        default=True,
        is_distance=True,
        of_controls=False,
        detail=class_distances,
    ),
    Metric(
        "class_accuracy",
        class_accuracy,
        direction="high",
        digits=3,
        version=1,
        units="share of generated images that a classifier of real ones takes for their class",
        range="0 to 1",
        source=f"{_PAPER}, with a linear classifier",
        extractor=EXTRACTOR,
        needs=("classes",),
        default=True,
        of_controls=False,
        is_ratio=False,
        detail=_of_real,
    ),
)
