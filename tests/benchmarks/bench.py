"""Time, peak memory and share of the machine's peak rate for the operations that users wait for.

    make bench                      (or: python tests/benchmarks/bench.py [--large])

The peak rate is that of a large matrix product, measured first. Operations are counted from the layers: two per
multiply-add of convolutions and linear layers; depthwise filters, activations and optimisers are not counted.
"""

import argparse
import gc
import subprocess
import sys
import time
from collections.abc import Callable

import torch
from torch import nn
from tqdm import tqdm

from fewshotgan import evaluate, load_gan, load_images
from fewshotgan.bench.recipes import RECIPES, networks
from fewshotgan.fisher import generator_fisher
from fewshotgan.gans import GAN
from fewshotgan.gans.layers import EqualConv2d, EqualLinear
from fewshotgan.gans.stylegan2_layers import ModulatedConv2d
from fewshotgan.losses import logistic_generator
from fewshotgan.methods import METHODS, Stage
from fewshotgan.methods.layer_transfer import LayerTransfer
from fewshotgan.train import Loop, make_task

LIMITS = {"cdc": 2.0, "dcl": 2.2, "adam": 1.2, "minegan-noft": 0.7, "dip": 1.15}  # relative to a step of transfergan
MOVE_LIMIT = 0.7  # of the miner's move, relative to the generator's
ITERATIONS = 200
MODULATION_LIMIT = 1.10  # relative to the same step without AdaFM's modulations


def seconds(work: Callable[[], object], repeats: int = 5) -> float:
    """Return the median time of some work, after a warm-up."""
    work()
    return sorted(once(work) for _ in range(repeats))[repeats // 2]


def once(work: Callable[[], object]) -> float:
    """Return the time of some work with garbage collection disabled, as timeit does."""
    gc.collect()
    gc.disable()
    try:
        started = time.perf_counter()
        work()
        return time.perf_counter() - started
    finally:
        gc.enable()


def machine_rate() -> float:
    """Return the rate of a large matrix product in floating-point operations per second."""
    a = torch.randn(2048, 2048)
    return 2 * 2048**3 / seconds(lambda: a @ a)


def operations(network: nn.Module, run: Callable[[], object]) -> float:
    """Return the operations of one forward pass, counted from the layers' shapes."""
    total, hooks = [0.0], []

    def count(module: nn.Module, inputs: tuple, output: torch.Tensor) -> None:
        if isinstance(module, EqualLinear):
            total[0] += 2 * output.numel() * module.weight.shape[1]
        else:
            transposed = getattr(module, "up", False)
            pixels = inputs[0].shape[2:].numel() if transposed else output.shape[2:].numel()
            total[0] += 2 * output.shape[0] * pixels * module.weight.numel()

    for module in network.modules():
        if isinstance(module, EqualLinear | EqualConv2d | ModulatedConv2d):
            hooks.append(module.register_forward_hook(count))
    with torch.no_grad():
        run()
    for hook in hooks:
        hook.remove()
    return total[0]


def step_operations(gan: GAN, batch: int, mining: bool = False) -> float:
    """Return the operations of one adaptation step; a backward pass counts as two forward ones, or one if no weight
    needs a gradient.

    D's move: G forward, D forward and backward on real and generated images; every 16th time R1, about seven forward
    passes of D. G's move: G and D forward, D backward to its input, G backward. With `mining`, G is frozen: its images
    serve both moves, and its backward pass counts once. The critic's cost remains, so a mining step of networks of
    equal cost takes at least 0.84 of a full step. A single pass through D for both moves would reach 0.68, but the
    miner would then follow an outdated critic, and D could not compare the images of a batch.
    """
    z, x = torch.randn(batch, gan.z_dim), torch.randn(batch, gan.channels, gan.resolution, gan.resolution)
    g, d = (
        operations(gan.generator, lambda: gan.generator(z)),
        operations(gan.discriminator, lambda: gan.discriminator(x)),
    )
    return (6 * d + 7 * d / 16) + (2 * d) + (2 * g if mining else g + 3 * g)


def ready(gan: GAN, pixels: torch.Tensor, batch: int, method: str, **options: object) -> tuple[Loop, Stage]:
    """Return the loop of a method at the start of its last stage, in a run of ordinary length."""
    training = METHODS[method](**options).build(make_task(gan, pixels, batch, 0, "diffaugment", torch.device("cpu")))
    loop = Loop(training, {}, 10**9, 10**9, None)
    *_, stage = training.stages(ITERATIONS)
    loop.begin(stage, 0)
    return loop, stage


def stepper(gan: GAN, pixels: torch.Tensor, batch: int, method: str, **options: object) -> Callable[[], None]:
    """Return a function that takes one step of a method's last stage."""
    loop, stage = ready(gan, pixels, batch, method, **options)
    silent = tqdm(disable=True)
    return lambda: loop.step(stage, silent)


def sixteen(step: Callable[[], None]) -> Callable[[], None]:
    """Return a function that takes sixteen steps, one of them with lazy R1."""

    def steps() -> None:
        for _ in range(16):
            step()

    return steps


def generator_move_seconds(gan: GAN, pixels: torch.Tensor, batch: int, method: str, moves: int = 9) -> float:
    """Return the median time of the generator's move; a miner reuses the images of the critic's move."""
    loop, stage = ready(gan, pixels, batch, method)
    times = []
    for _ in range(moves):
        loop.open(stage)
        started = time.perf_counter()
        loop.move(stage.players[1])
        times.append(time.perf_counter() - started)
    return sorted(times)[moves // 2]


def alternating_seconds(works: dict[str, Callable[[], object]], repeats: int) -> dict[str, float]:
    """Return the median time of each work, measured in turns so that other load does not bias their ratios."""
    times: dict[str, list[float]] = {name: [] for name in works}
    for _ in range(repeats):
        for name, work in works.items():
            times[name].append(once(work))
    return {name: sorted(taken)[repeats // 2] for name, taken in times.items()}


def layer_transfer_steps(pixels: torch.Tensor, batch: int) -> None:
    """Print step times (without R1) on the recipe's GP-GAN: freezing methods beside plain fine-tuning."""
    gan = GAN.create(RECIPES["avatars-gp-resnet"].config, "GP-GAN").unconditional()
    methods = ("transfergan", *(name for name, made in METHODS.items() if issubclass(made, LayerTransfer)))
    took = alternating_seconds({method: stepper(gan, pixels, batch, method) for method in methods}, 20)
    for method in methods:
        ratio = f"{took[method] / took['transfergan']:.2f} x transfergan"
        if method == "adafm":
            ratio += f", {took[method] / took['smallhead']:.2f} x smallhead, limit {MODULATION_LIMIT}"
        print(f"{f'step, GP-GAN 64 pixels, batch {batch}, {method}':<52}{took[method]:>9.3f}{'':>15}  {ratio}")


def loss_steps(batches: tuple[int, ...] = (16, 32)) -> None:
    """Print step times on WGAN-GP's networks by loss: its own, with five steps of D and a penalty at each, beside the
    logistic one.
    """
    gan, pixels = load_gan("fashion-wgan"), load_images("fashion/sandal", n=100).pixels
    losses = ("wgan_gp", "logistic")
    for batch in batches:
        steps = {loss: sixteen(stepper(gan, pixels, batch, "transfergan", loss=loss)) for loss in losses}
        took = alternating_seconds(steps, 3)
        for loss in losses:
            what, ratio = f"step, fashion 32 pixels, batch {batch}, {loss}", took[loss] / took["logistic"]
            print(f"{what:<52}{took[loss] / 16:>9.3f}{'':>15}  {ratio:.2f} x logistic")


def fisher_seconds(gan: GAN, samples: int = 32) -> dict[str, float]:
    """Return the time of G's Fisher information: as methods compute it, as a loop over samples, and, as a lower bound,
    of the batch's mean gradient alone.
    """
    parameters = dict(gan.generator.requires_grad_(True).named_parameters())
    z = gan.latents(samples)

    def gradient(latents: torch.Tensor) -> tuple[torch.Tensor, ...]:
        loss = logistic_generator(gan.discriminator(gan.generator(latents, noise="const")))
        return torch.autograd.grad(loss, list(parameters.values()), allow_unused=True)

    def loop() -> None:
        total = {name: torch.zeros_like(value) for name, value in parameters.items()}
        for latent in z:
            for name, found in zip(total, gradient(latent[None]), strict=True):
                if found is not None:
                    total[name] += found.square()

    batched = lambda: generator_fisher(gan.generator, gan.discriminator, list(parameters), z)  # noqa: E731
    return {"batched": seconds(batched, 3), "loop": seconds(loop, 3), "mean": seconds(lambda: gradient(z), 3)}


FEW = "f.load_images('avatars/thumbs', n=10)"
LARGE = "f.GAN.create(networks('stylegan2', 256, 3, {base}, {most}), 'large')"
WORKS = {  # each runs in its own process
    "loading the package and the avatars GAN": "f.load_gan('avatars-stylegan2')",
    **{
        f"an adaptation of it, batch 4, {method}": "f.adapt(f.load_gan('avatars-stylegan2'), "
        f"{FEW}, '{method}', iterations=20, progress=False)"
        for method in ("transfergan", "adam", "dcl")
    },
    "sampling 100 images of it": "f.load_gan('avatars-stylegan2').sample(100)",
    "evaluating 200 of its images": "f.evaluate(f.load_gan('avatars-stylegan2'), 'avatars/thumbs', n=200)",
    "an adaptation at 256 pixels, batch 4": f"f.adapt({LARGE}, f.load_images('avatars/thumbs', n=10, resolution=256), "
    "iterations=4, progress=False)",
}


def peak_memory(work: str) -> float:
    """Return the peak memory in MiB of a fresh process that runs some Python code."""
    head = "import fewshotgan as f\nfrom fewshotgan.bench.recipes import networks\n"
    peak = "print(next(line.split()[1] for line in open('/proc/self/status') if line.startswith('VmHWM')))"
    code = f"{head}{work}\n{peak}"  # getrusage would include the parent's memory
    return int(subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout) / 1024


def main() -> None:
    """Measure and print."""
    options = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    options.add_argument("--large", action="store_true", help="also 256 pixels at the public width (minutes)")
    large = options.parse_args().large
    rate = machine_rate()
    print(f"{torch.get_num_threads()} threads, torch {torch.__version__}; matrix product {rate / 1e9:.0f} GFLOP/s")
    print(f"{'what':<52}{'seconds':>9}{'GFLOP':>8}{'share':>7}")
    gan, pixels = load_gan("avatars-stylegan2"), load_images("avatars/thumbs", n=100).pixels
    methods = [name for name, made in METHODS.items() if not issubclass(made, LayerTransfer)]
    for batch in (4, 16):
        work = step_operations(gan, batch)
        steps = alternating_seconds({method: sixteen(stepper(gan, pixels, batch, method)) for method in methods}, 5)
        for method in methods:
            took = steps[method] / 16
            share = f"{work / took / rate:>7.2f}" if method == "transfergan" else ""
            limit = f", limit {LIMITS[method]}" if method in LIMITS else ""
            if method == "minegan-noft":
                limit += f", by operations at least {step_operations(gan, batch, mining=True) / work:.2f}"
            ratio = f"  {steps[method] / steps['transfergan']:.2f} x transfergan{limit}"
            print(
                f"{f'step, avatars 64 pixels, batch {batch}, {method}':<52}{took:>9.3f}{work / 1e9:>8.1f}{share}{ratio}"
            )
        mining, full = (
            generator_move_seconds(gan, pixels, batch, method) for method in ("minegan-noft", "transfergan")
        )
        print(
            f"{f'the move of a miner, batch {batch}':<52}{mining:>9.3f}{'':>15}  {mining / full:.2f} x "
            f"the generator's, limit {MOVE_LIMIT}"
        )
        layer_transfer_steps(pixels, batch)
    loss_steps()
    fisher = fisher_seconds(load_gan("avatars-stylegan2"))
    ratio = f"{fisher['loop'] / fisher['batched']:.2f} x as fast as a loop, goal 3; "
    ratio += f"the mean gradient alone {fisher['loop'] / fisher['mean']:.2f} x"
    print(f"{'Fisher information of G, 32 samples':<52}{fisher['batched']:>9.3f}{'':>15}  {ratio}")
    base, most = (32768, 512) if large else (2048, 128)
    big = GAN.create(networks("stylegan2", 256, 3, base, most), f"256 pixels, {base // 256} to {most} channels")
    large_steps = sixteen(stepper(big, torch.randint(0, 255, (8, 3, 256, 256), dtype=torch.uint8), 4, "transfergan"))
    took, work = seconds(large_steps, 1) / 16, step_operations(big, 4)
    print(f"{f'step, {big.name}, batch 4, transfergan':<52}{took:>9.3f}{work / 1e9:>8.1f}{work / took / rate:>7.2f}")
    print(f"{'sampling 100 images, 64 pixels':<52}{seconds(lambda: gan.sample(100)):>9.3f}")
    samples = gan.sample(200)
    print(
        f"{'evaluation of 200 images, real features cached':<52}"
        f"{seconds(lambda: evaluate(samples, 'avatars/thumbs'), 2):>9.3f}"
    )
    for what, work in WORKS.items():
        print(f"{f'peak memory: {what}':<76}{peak_memory(work.format(base=base, most=most)):>7.0f} MiB")


if __name__ == "__main__":
    main()
