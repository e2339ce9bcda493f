"""A GAN for other programs: its generator as ONNX or TorchScript, a StyleGAN2 in a public layout.

ONNX and TorchScript take latents z (N, z_dim), standard normal, of any N; the truncation, a number, where the family
has one; and labels (N,), int64, of a class-conditional GAN. They return images (N, C, H, W), -1..1.
"""

import warnings
from collections.abc import Callable
from pathlib import Path

import torch
from torch import Tensor, nn

from fewshotgan.files import UserError, atomic_write
from fewshotgan.gans.gan import GAN, MIXTURE
from fewshotgan.gans.official.release import release


class ExportedGenerator(nn.Module):
    """A generator as other programs call it: tensors alone go in, and the number of images is free.

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
        return self.generator(z, truncation=1.0 if truncation is None else truncation, labels=labels).clamp(-1, 1)

    def example(self, n: int = 2) -> dict[str, Tensor]:
        """Return what the generator takes, by name, for n images."""
        inputs = {"z": torch.randn(n, self.generator.z_dim, generator=torch.Generator().manual_seed(0))}
        if self.generator.truncates:
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
    exported = ExportedGenerator(gan).eval()
    inputs, batch = exported.example(), torch.export.Dim("batch")
    exported(**inputs)  # filters are made once and cached: before tracing, whose tensors hold no numbers
    with atomic_write(path) as temporary:
        torch.onnx.export(
            exported,
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
    exported = ExportedGenerator(gan).eval()
    inputs = exported.example()
    exported(**inputs)
    with atomic_write(path) as temporary, warnings.catch_warnings():
        warnings.simplefilter("ignore", FutureWarning)  # PyTorch advises its newer forms, which need Python
        torch.jit.trace(exported, example_kwarg_inputs=inputs, check_trace=False).save(str(temporary))


def to_rosinality(gan: GAN, path: str | Path) -> None:
    """Write a StyleGAN2 as rosinality/stylegan2-pytorch does, for code that reads such checkpoints.

    That code builds networks of the paper's widths; to load a narrower one, set the widths there too.

    Raises:
        UserError: if the GAN is no StyleGAN2, or one that the layout has no place for, or the file can't be written.
    """
    content = release(gan)
    with atomic_write(path) as temporary:
        torch.save(content, temporary)


FILES: dict[str, Callable[[GAN, Path], None]] = {
    "onnx": to_onnx,
    "torchscript": to_torchscript,
    "rosinality": to_rosinality,
}
ENDINGS = {"onnx": (".onnx",), "torchscript": (".pt", ".pth", ".ts"), "rosinality": (".pt", ".pth")}
