"""CUDA graphs: launching its kernels bounds a step of a small network; a graph launches them all at once."""

from collections.abc import Callable
from typing import Generic, TypeVar

import torch

Result = TypeVar("Result")
EAGER = 3  # calls before the capture: they make optimiser states and let cuDNN choose its kernels


class Replay(Generic[Result]):
    """A step that is captured after a few calls, and replayed as a graph from then on.

    The step must do the same work on the same tensors at every call, draw random numbers from `rng` alone, and never
    wait for the GPU; what it returns is overwritten by the next call.

    Args:
        step: what to run.
        rng: the source of its random numbers, on the GPU.
    """

    def __init__(self, step: Callable[[], Result], rng: torch.Generator) -> None:
        self.step, self.rng, self.calls = step, rng, 0
        self.graph: torch.cuda.CUDAGraph | None = None

    def __call__(self) -> Result:
        """Run the step once."""
        if self.graph is None and self.calls < EAGER:
            self.calls += 1
            return self._on_side_stream()
        if self.graph is None:
            self.graph = torch.cuda.CUDAGraph()
            self.graph.register_generator_state(self.rng)
            with torch.cuda.graph(self.graph):
                self.result = self.step()
        self.graph.replay()
        return self.result

    def _on_side_stream(self) -> Result:
        """Run the step as a capture would, on another stream than the default one."""
        stream = torch.cuda.Stream()
        stream.wait_stream(torch.cuda.current_stream())
        with torch.cuda.stream(stream):
            result = self.step()
        torch.cuda.current_stream().wait_stream(stream)
        return result
