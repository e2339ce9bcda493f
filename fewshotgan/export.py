"""A GAN for other programs: its generator as ONNX or TorchScript, its images as PNG files.

Both kinds of generator take latents z (N, z_dim), standard normal, of any N; a StyleGAN2 the truncation as well, a
number; a class-conditional one labels (N,), int64. They return images (N, C, H, W), -1..1.
"""

import warnings
from collections.abc import Callable
from pathlib import Path

import torch
from torch import Tensor, nn

from fewshotgan.files import UserError, atomic_write, check_folder
from fewshotgan.gans import stylegan2
from fewshotgan.gans.gan import GAN, MIXTURE
from fewshotgan.pictures import grid, save_picture


class Sampler(nn.Module):
    """A generator as other programs call it: tensors alone go in, and a number of images that is free.

    Raises:
        UserError: for a mixture of GANs, which draws one of them for each image.
    """

    def __init__(self, gan: GAN) -> None:
        super().__init__()
        if gan.config["family"] == MIXTURE:
            raise UserError(f"{gan.name} draws each image from one of several GANs; export them one by one.")
        self.generator = gan.copy().to("cpu").generator.requires_grad_(False)
        self.classes = gan.classes

    def forward(self, z: Tensor, truncation: Tensor | None = None, labels: Tensor | None = None) -> Tensor:
        """Return images (N, C, H, W), -1..1, of latents (N, z_dim)."""
        if isinstance(self.generator, stylegan2.Generator) and truncation is not None:
            w, mean = self.generator.map_to_w(z), self.generator.w_mean
            return self.generator.synthesise(mean + truncation * (w - mean), "const").clamp(-1, 1)
        return self.generator(z, labels=labels).clamp(-1, 1)

    def example(self, n: int = 2) -> dict[str, Tensor]:
        """Return what the generator takes, by name, for n images."""
        inputs = {"z": torch.randn(n, self.generator.z_dim, generator=torch.Generator().manual_seed(0))}
        if isinstance(self.generator, stylegan2.Generator):
            inputs["truncation"] = torch.tensor(0.7)
        if self.classes:
            inputs["labels"] = torch.zeros(n, dtype=torch.int64)
        return inputs


@torch.no_grad()
def to_onnx(gan: GAN, path: str | Path) -> None:
    """Write the generator as an ONNX file, which agrees with PyTorch to about 1e-5.

    Raises:
        UserError: if onnxscript, by which PyTorch exports, is missing, or the file can't be written.
    """
    try:
        import onnxscript  # noqa: F401
    except ImportError as error:
        raise UserError(
            "The export to ONNX needs onnxscript, which is not installed: pip install 'fewshotgan[onnx]'."
        ) from error
    sampler = Sampler(gan).eval()
    inputs, batch = sampler.example(), torch.export.Dim("batch")
    sampler(**inputs)  # filters are made once and cached: before tracing, whose tensors hold no numbers
    with atomic_write(path) as temporary:
        torch.onnx.export(
            sampler,
            kwargs=inputs,
            f=temporary,
            input_names=list(inputs),
            output_names=["images"],
            dynamic_shapes={name: {0: batch} if value.dim() else None for name, value in inputs.items()},
            dynamo=True,
            external_data=False,
            verbose=False,
        )


@torch.no_grad()
def to_torchscript(gan: GAN, path: str | Path) -> None:
    """Write the generator as a TorchScript file, for `torch.jit.load` in Python or C++.

    Raises:
        UserError: if the file can't be written.
    """
    sampler = Sampler(gan).eval()
    inputs = sampler.example()
    sampler(**inputs)
    with atomic_write(path) as temporary, warnings.catch_warnings():
        warnings.simplefilter(
            "ignore", FutureWarning
        )  # PyTorch advises its newer forms, which C++ can't load as easily
        torch.jit.trace(sampler, example_kwarg_inputs=inputs, check_trace=False).save(str(temporary))


def to_pngs(gan: GAN, folder: str | Path, n: int = 1000, seed: int = 0, truncation: float = 1.0) -> None:
    """Write n images of a seed into a folder, 00000.png and so on, for metrics of other projects.

    Raises:
        UserError: if n is below 1, or a file can't be written.
    """
    check_folder(folder)
    for i, image in enumerate(gan.sample(n, seed, truncation=truncation)):
        save_picture(grid(image[None], 1, 1), Path(folder) / f"{i:05d}.png")


EXPORTS: dict[str, Callable[[GAN, Path], None]] = {"onnx": to_onnx, "torchscript": to_torchscript, "pngs": to_pngs}
