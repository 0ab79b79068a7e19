from __future__ import annotations

import pytest

from auditkit.measurement.plan import Subject
from tests.measurement.fake_model import PRINT


@pytest.fixture
def subject() -> Subject:
    return Subject(PRINT, "float32", "cpu")
