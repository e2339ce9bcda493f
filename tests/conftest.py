"""One thread fits the shared cores of CI; no test touches the user's cache or the network."""

import os
import socket

import pytest
import torch

torch.set_num_threads(min(2, torch.get_num_threads()))


@pytest.fixture(autouse=True)
def sealed(monkeypatch, tmp_path_factory):
    """Keep caches in a folder of the test session, and refuse connections."""
    session = tmp_path_factory.getbasetemp()
    if "PYTEST_XDIST_WORKER" in os.environ:  # whose processes share what one of them computed
        session = session.parent
    monkeypatch.setenv("FEWSHOTGAN_CACHE", str(session / "cache"))

    def refuse(*_args, **_kwargs):
        raise OSError("tests have no network")

    monkeypatch.setattr(socket, "create_connection", refuse)
