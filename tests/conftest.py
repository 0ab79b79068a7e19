"""What every test shares: no network, a cache of its own, and one small world per test run."""

import contextlib
import os
from pathlib import Path

import pytest
from filelock import FileLock

from auditkit.files import cache_folder

os.environ["HF_HUB_OFFLINE"] = "1"
os.environ["TOKENIZERS_PARALLELISM"] = "false"


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Files of which every test is slow begin first: the last worker does not run alone for minutes."""
    items.sort(key=lambda item: not _of_slow_file(item))


def _of_slow_file(item: pytest.Item) -> bool:
    module = item.getparent(pytest.Module)
    return module is not None and any(mark.name == "slow" for mark in module.own_markers)


@pytest.fixture(scope="session")
def shared_tmp(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder that all workers of one test run share."""
    base = tmp_path_factory.getbasetemp()
    return base.parent if os.environ.get("PYTEST_XDIST_WORKER") else base


@pytest.fixture(scope="session")
def world(shared_tmp: Path) -> Path:
    """Tiny models and corpora, built once per test run. Read only: take ``world.copy`` to change something."""
    import world as builder

    folder = shared_tmp / "world"
    with FileLock(shared_tmp / "world.lock"):
        if not (folder / "clean").exists():
            builder.build(folder)
    return folder


@pytest.fixture(autouse=True, scope="session")
def _own_cache(shared_tmp: Path) -> None:
    """Measurements, digests and keys of the tests stay out of the user's cache; converted models are shared with it."""
    models = cache_folder() / "models"
    models.mkdir(parents=True, exist_ok=True)
    cache = shared_tmp / "cache"
    cache.mkdir(exist_ok=True)
    with contextlib.suppress(FileExistsError):
        (cache / "models").symlink_to(models)
    os.environ["AUDITKIT_CACHE"] = str(cache)
