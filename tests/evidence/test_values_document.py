import json
import math

import numpy as np

from auditkit.checks._base import Values
from auditkit.evidence.values import ValuesDoc
from auditkit.files import canonical_json

VALUES = Values(
    ids=("forget/1", "forget/Jane Doe", "holdout/1"),
    subjects=("forget/Jane Doe", "forget/Jane Doe", "holdout/1"),
    values=(0.1, math.nan, -math.inf),
    groups=("loss", "loss", "zlib"),
    labels=(1, 1, 0),
    shown_only=("zlib",),
    details={"curve": [(0.0, math.nan)], "array": np.array([1.5]), "count": np.int64(3)},
    notes=("a note",),
    inconclusive="too few rows",
)


def _through_json(document: ValuesDoc) -> ValuesDoc:
    text = canonical_json(document.model_dump(mode="json"))
    return ValuesDoc.model_validate_json(text)


def test_values_survive_the_file() -> None:
    back = _through_json(ValuesDoc.of("a", {"candidate": VALUES}, key=None)).samples()["candidate"]
    assert (back.ids, back.subjects, back.groups, back.labels) == (VALUES.ids, VALUES.subjects, VALUES.groups, VALUES.labels)
    assert (back.shown_only, back.notes, back.inconclusive) == (VALUES.shown_only, VALUES.notes, VALUES.inconclusive)
    assert back.values[0] == 0.1
    assert math.isnan(back.values[1])
    assert back.values[2] == -math.inf
    assert back.details == {"curve": [[0.0, None]], "array": [1.5], "count": 3}


def test_the_file_is_json_without_nan() -> None:
    document = ValuesDoc.of("a", {"candidate": VALUES}, key=None).model_dump(mode="json")
    assert document["models"]["candidate"]["values"] == [0.1, None, "-inf"]
    json.dumps(document, allow_nan=False)


def test_with_a_key_names_become_digests_and_pairs_stay_pairs() -> None:
    document = ValuesDoc.of("a", {"candidate": VALUES, "reference": VALUES}, key=b"secret")
    candidate, reference = document.models["candidate"], document.models["reference"]
    assert "Jane" not in canonical_json(document.model_dump(mode="json"))
    assert candidate.ids == reference.ids
    assert candidate.subjects[0] == candidate.subjects[1] != candidate.subjects[2]
    assert [name.partition("/")[0] for name in candidate.ids] == ["forget", "forget", "holdout"]
