"""`make gpu`: train several sources side by side on one GPU, for nine minutes at most; a second call goes on.

A lane is a process that follows one recipe after the other, each for its share of the time, with a batch that fills a
GPU; its steps are CUDA graphs. What is worth keeping comes home in `--out`: of each source the best GAN, in half
precision, with the curve in its card.
"""

import argparse
import json
import subprocess
import sys
import time
from pathlib import Path

import torch

from fewshotgan.bench.pools import SUFFIX, load_pool
from fewshotgan.bench.pretrain import MEASURED, pretrain
from fewshotgan.bench.recipes import RECIPES
from fewshotgan.files import UserError
from fewshotgan.gans import load_gan
from fewshotgan.images import load_images

LONGEST = 9.0  # minutes
MARGIN = 25.0  # seconds to stop, measure and write in


def main(arguments: list[str] | None = None) -> int:
    """Run the lanes, collect what they leave."""
    options = parser().parse_args(arguments)
    try:
        if options.lane:
            return train(options)
        return launch(options)
    except UserError as error:
        print(f"gpu: {error}", file=sys.stderr)
        return 2


def parser() -> argparse.ArgumentParser:
    """Return the parser."""
    top = argparse.ArgumentParser(prog="python -m fewshotgan.bench.gpu", description=__doc__.split("\n")[0])
    top.add_argument(
        "--lanes", nargs="+", required=True, metavar="NAME=SHARE,...", help="a process each, e.g. a=1 b=0.6,c=0.4"
    )
    top.add_argument(
        "--pools", type=Path, help=f"folder of pools, <collection>-<domain>{SUFFIX} (default: the images that ship)"
    )
    top.add_argument("--runs", type=Path, default=Path("build/gpu"), help="checkpoints (default: %(default)s)")
    top.add_argument(
        "--out", type=Path, default=Path("build/gpu/out"), help="what to bring home (default: %(default)s)"
    )
    top.add_argument("--minutes", type=float, default=LONGEST, help="in all, at most 9 (default: %(default)s)")
    top.add_argument("--batch", type=int, default=64, help="images per step (default: %(default)s)")
    top.add_argument("--thousands", type=int, help="of images to see (default: each recipe's)")
    top.add_argument(
        "--measured", type=int, default=MEASURED, help="samples per point of a curve (default: %(default)s)"
    )
    top.add_argument("--start", action="store_true", help="begin with the GANs that ship")
    top.add_argument("--device", help="(default: a GPU where there is one)")
    top.add_argument("--lane", help=argparse.SUPPRESS)
    return top


def launch(options: argparse.Namespace) -> int:
    """Start a process for each lane, wait for all, write what they made."""
    begun = time.monotonic()
    own = [sys.executable, "-m", "fewshotgan.bench.gpu", *sys.argv[1:]]
    options.runs.mkdir(parents=True, exist_ok=True)
    lanes = []
    for lane in options.lanes:
        log = open(options.runs / f"{lane.split('=')[0]}.log", "a", encoding="utf-8")  # noqa: SIM115
        lanes.append((lane, log, subprocess.Popen([*own, "--lane", lane], stdout=log, stderr=subprocess.STDOUT)))
    failed = 0
    for lane, log, process in lanes:
        code = process.wait()
        log.close()
        failed += code != 0
        tail = Path(log.name).read_text(encoding="utf-8", errors="replace")[-1500:]
        print(f"--- {lane}: exit status {code}\n{tail}", flush=True)
    collect(options)
    print(f"{time.monotonic() - begun:.0f} seconds in all")
    return 1 if failed else 0


def train(options: argparse.Namespace) -> int:
    """Train the sources of one lane, one after the other, each for its share of the time."""
    torch.backends.cuda.matmul.allow_tf32 = torch.backends.cudnn.allow_tf32 = torch.backends.cudnn.benchmark = True
    whole = min(options.minutes, LONGEST) - MARGIN / 60
    begun = time.monotonic()
    for item in options.lane.split(","):
        name, _, share = item.partition("=")
        start = load_gan(name) if options.start else None
        domain = RECIPES[name].images
        pool = options.pools / f"{domain.replace('/', '-')}{SUFFIX}" if options.pools else None
        images = load_pool(pool, domain) if pool and pool.is_file() else load_images(domain)
        left = whole - (time.monotonic() - begun) / 60
        run = pretrain(
            name,
            options.runs / name,
            images=images,
            minutes=min(left, whole * float(share or 1)),
            thousands=options.thousands,
            start=start,
            batch=options.batch,
            measured=options.measured,
            device=options.device,
            progress=False,
        )
        print(
            name, run.iterations, "iterations", round(run.seconds), "seconds", json.dumps(run.history[-1:]), flush=True
        )
        print((options.runs / name / "curve.json").read_text(), flush=True)
    return 0


def collect(options: argparse.Namespace) -> None:
    """Write the best GAN of each source, in half precision, with the whole curve in its card."""
    options.out.mkdir(parents=True, exist_ok=True)
    for lane in options.lanes:
        for item in lane.split(","):
            name = item.partition("=")[0]
            path = options.runs / name / f"{name}.safetensors"
            if path.is_file():
                gan = load_gan(path)
                gan.card["curve"] = json.loads((options.runs / name / "curve.json").read_text(encoding="utf-8"))
                gan.save(options.out / path.name, torch.float16)


if __name__ == "__main__":
    sys.exit(main())
