"""How good the auditor is, counted by hand."""

from __future__ import annotations

from dataclasses import dataclass, field

import pytest

from auditkit.decisions import matrix


@dataclass
class Asked:
    name: str
    result: str
    value: float | None = None
    margin: float | None = None
    attack: str = ""
    level: str = "required"
    waived: bool = False

    @property
    def check(self) -> str:
        return self.name.split("_")[0]


@dataclass
class Model:
    truth: str
    verdict: str
    construction: str = "a"
    seed: int = 0
    label: str = "Z"
    family: str = "plain"
    dose: float | None = None
    requirements: list[Asked] = field(default_factory=list)
    expected: dict[str, str] = field(default_factory=dict)
    found: dict[str, str] = field(default_factory=dict)


def models(truth: str, verdicts: str, **changes) -> list[Model]:
    """``PF`` → a model that passed and one that failed, each of a construction of its own."""
    words = {"P": "PASS", "F": "FAIL", "I": "INCOMPLETE", "E": "ERROR", "W": "PASS WITH EXCEPTIONS"}
    return [Model(truth, words[letter], construction=f"{truth} {place}", **changes) for place, letter in enumerate(verdicts)]


def test_the_matrix_keeps_all_four_columns() -> None:
    cases = models("must fail", "FFFFPWIE") + models("must pass", "PPF") + models("must not decide", "IIPF")
    found = matrix.score([*cases, *models("at the bound", "PF")])
    assert found.counts == {
        "must fail": {"PASS": 2, "FAIL": 4, "INCOMPLETE": 1, "ERROR": 1},
        "must pass": {"PASS": 2, "FAIL": 1, "INCOMPLETE": 0, "ERROR": 0},
        "must not decide": {"PASS": 1, "FAIL": 1, "INCOMPLETE": 2, "ERROR": 0},
        "at the bound": {"PASS": 1, "FAIL": 1, "INCOMPLETE": 0, "ERROR": 0},
    }
    assert (found.misses.models.hits, found.misses.models.n) == (2, 8)
    assert (found.false_alarms.models.hits, found.false_alarms.models.n) == (1, 3)
    assert (found.undetected.models.hits, found.undetected.models.n) == (2, 4)
    assert {truth: rate.hits for truth, rate in found.abstentions.items()} == {"must fail": 2, "must pass": 0}
    assert (found.accuracy.hits, found.accuracy.n) == (8, 15)  # 4 failed, 2 passed, 2 not decided; the bound has no answer
    assert (found.decided.hits, found.decided.n) == (6, 11)  # of those with PASS or FAIL
    assert found.cost == 2 * 10 + 2 * 0.5 + 1 * 1 + 10 + 1
    assert found.worst_cost == 8 * 10 + 3 * 1 + 4 * 10


@pytest.mark.parametrize(("n", "upper"), [(8, 0.312), (10, 0.259), (20, 0.139), (30, 0.095), (59, 0.05)])
def test_no_miss_among_n_still_allows_a_miss_rate(n: int, upper: float) -> None:
    rate = matrix.score(models("must fail", "F" * n)).misses.constructions
    assert rate.value == 0
    assert rate.upper == pytest.approx(upper, abs=5e-4)


def test_one_miss_among_ten_is_bounded_by_the_exact_binomial() -> None:
    from scipy.stats import binom

    upper = matrix.Rate(1, 10).upper
    assert upper is not None
    assert binom.cdf(1, 10, upper) == pytest.approx(0.05)
    assert matrix.Rate(10, 10).upper == 1.0


def test_seeds_are_clustered_and_one_missed_seed_is_a_missed_construction() -> None:
    cases = [Model("must fail", "PASS" if seed == 4 else "FAIL", construction="a", seed=seed) for seed in range(5)]
    cases += [Model("must fail", "FAIL", construction="b", seed=seed) for seed in range(5)]
    misses = matrix.score(cases).misses
    assert (misses.models.hits, misses.models.n) == (1, 10)
    assert (misses.constructions.hits, misses.constructions.n) == (1, 2)
    assert misses.constructions.upper == pytest.approx(
        0.975, abs=1e-3
    )  # 1 - sqrt(.95)^... of 1 in 2: (1 - p)^2 + 2p(1 - p) = .05


def test_without_models_there_is_no_rate_and_no_bound() -> None:
    found = matrix.score([])
    for rate in (found.misses.models, found.false_alarms.constructions, found.accuracy, found.decided):
        assert (rate.value, rate.upper) == (None, None)
    assert found.cost == found.worst_cost == 0
    assert matrix.marginal([]) == matrix.ranks([]) == matrix.stability([]) == matrix.agreement([]) == ()
    assert matrix.split([], lambda case: case.family) == {}


def test_where_all_abstain_nothing_is_missed_and_nothing_is_right() -> None:
    found = matrix.score(models("must fail", "III") + models("must pass", "IE"))
    assert found.misses.models.hits == found.false_alarms.models.hits == 0
    assert found.abstentions["must fail"].value == found.abstentions["must pass"].value == 1
    assert found.accuracy.value == 0
    assert found.decided.value is None
    assert found.cost == 2.5


def test_parts_are_scored_on_their_own() -> None:
    parts = matrix.split(models("must fail", "FP", family="guard") + models("must fail", "F"), lambda case: case.family)
    assert list(parts) == ["guard", "plain"]
    assert [part.misses.models.hits for part in parts.values()] == [1, 0]


def test_the_marginal_value_is_what_no_other_part_catches() -> None:
    alone = Model(
        "must fail", "FAIL", "x", requirements=[Asked("ask_1", "pass"), Asked("probe_1", "fail", attack="relearning")]
    )
    both = Model("must fail", "FAIL", "y", requirements=[Asked("ask_1", "fail"), Asked("probe_1", "fail")])
    undecided = Model("must fail", "FAIL", "z", requirements=[Asked("ask_1", "inconclusive"), Asked("probe_1", "fail")])
    advisory = Model(
        "must fail", "FAIL", "v", requirements=[Asked("ask_1", "fail"), Asked("probe_1", "fail", level="advisory")]
    )
    waived = Model("must fail", "FAIL", "w", requirements=[Asked("ask_1", "fail"), Asked("probe_1", "fail", waived=True)])
    passing = Model("must pass", "FAIL", "u", requirements=[Asked("ask_1", "pass"), Asked("probe_1", "fail")])
    found = {(one.kind, one.name): one for one in matrix.marginal([alone, both, undecided, advisory, waived, passing])}
    probe = found["requirement", "probe_1"]
    assert probe.failed == ("Z x, seed 0", "Z y, seed 0", "Z z, seed 0")
    assert probe.alone == ("Z x, seed 0", "Z z, seed 0")
    assert probe.missed == ("Z x, seed 0",)
    assert found["requirement", "ask_1"].missed == ("Z w, seed 0",)  # of v nothing that is required is left: INCOMPLETE
    assert found["requirement", "ask_1"].alone == ("Z v, seed 0", "Z w, seed 0")
    assert found["attack", "relearning"].missed == ("Z x, seed 0",)
    assert ("attack", "") not in found


def test_a_check_is_taken_away_with_all_its_requirements() -> None:
    case = Model(
        "must fail", "FAIL", "x", requirements=[Asked("ask_1", "fail"), Asked("ask_2", "fail"), Asked("probe", "pass")]
    )
    found = {(one.kind, one.name): one for one in matrix.marginal([case])}
    assert found["requirement", "ask_1"].alone == ()
    assert found["check", "ask"].missed == ("Z x, seed 0",)


def graded(dose: float, value: float | None, family: str = "partial") -> Model:
    return Model("must fail", "FAIL", family=family, dose=dose, requirements=[Asked("ask", "fail", value)])


def test_ranks_compare_value_and_dose_where_nothing_is_hidden() -> None:
    rising = [graded(0, 0.1, "honest"), graded(0.25, 0.2), graded(0.5, 0.15), graded(1, 0.9, "plain")]
    hidden = [graded(1, 0.0, "refusal"), graded(0.5, None)]
    (found,) = matrix.ranks(rising + hidden)
    assert (found.n, found.doses) == (4, 4)
    assert found.rho == pytest.approx(0.8)  # one swap of neighbours among four: 1 - 6 * 2 / 60


@pytest.mark.parametrize(
    "cases", [[graded(0, 0.1), graded(1, 0.2)], [graded(d, 0.1) for d in (0, 0.5, 1)], [graded(1, v) for v in (1, 2, 3)]]
)
def test_no_correlation_is_made_up_from_few_or_equal_values(cases: list[Model]) -> None:
    assert matrix.ranks(cases)[0].rho is None


def test_a_benign_change_may_move_a_value_by_less_than_half_the_margin() -> None:
    def one(label: str, seed: int, value: float | None, margin: float | None = 0.1) -> Model:
        return Model("must pass", "PASS", label=label, seed=seed, requirements=[Asked("ask", "pass", value, margin)])

    cases = [one("Z1", 0, 0.10), one("Z1", 1, 0.10), one("Z16", 0, 0.12), one("Z16b", 1, 0.06), one("Z16", 7, 0.9)]
    (found,) = matrix.stability([*cases, one("Z12", 0, 0.9), one("Z161", 0, 0.9)])
    assert (found.pairs, found.largest, found.allowed) == (2, pytest.approx(0.04), 0.05)
    assert found.held is True
    (moved,) = matrix.stability([one("Z1", 0, 0.1), one("Z16", 0, 0.2)])
    assert moved.held is False
    (unbound,) = matrix.stability([one("Z1", 0, 0.1, None), one("Z16", 0, 0.2, None)])
    assert (unbound.allowed, unbound.held) == (None, None)
    assert matrix.stability([one("Z1", 0, None), one("Z16", 0, 0.2)]) == ()


def test_deviations_are_counted_by_column_and_what_was_not_asked_is_not_met() -> None:
    cases = [
        Model(
            "must fail",
            "FAIL",
            "a",
            expected={"ask": "P", "probe": "F/I", "mia": "-"},
            found={"ask": "F", "probe": "I", "mia": "P"},
        ),
        Model("must fail", "FAIL", "b", expected={"ask": "P", "probe": "F"}, found={"ask": "P"}),
    ]
    ask, probe = matrix.agreement(cases)
    assert (ask.column, ask.asserted, ask.met) == ("ask", 2, 1)
    assert ask.deviations == ("Z a, seed 0: expected P, found F",)
    assert (probe.asserted, probe.met, probe.deviations, probe.absent) == (2, 1, (), ("Z b, seed 0",))


def test_a_dose_is_detectable_from_where_all_larger_ones_are() -> None:
    assert matrix.detectable_dose({0.0: 0.0, 0.1: 0.95, 0.2: 0.8, 0.3: 0.9, 0.4: 1.0}) == 0.3
    assert matrix.detectable_dose({0.0: 0.0, 0.4: 0.89}) is None
    assert matrix.detectable_dose({}) is None
