from __future__ import annotations

from collections.abc import Iterator

import pytest

from auditkit.measurement.plan import Subject
from tests.measurement.fake_model import PRINT


@pytest.fixture
def subject() -> Subject:
    return Subject(PRINT, "float32", "cpu")


@pytest.fixture(scope="session", autouse=True)
def own_cache(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("AUDITKIT_CACHE", str(tmp_path_factory.mktemp("cache")))
        yield
