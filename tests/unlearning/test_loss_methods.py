"""What every method that is a loss must hold, on a tiny random model and batches made by hand."""

from __future__ import annotations

import copy
import functools
import json
import math
from contextlib import nullcontext
from dataclasses import replace

import pytest
import torch
from transformers import LlamaConfig, LlamaForCausalLM

from auditkit.unlearning import METHODS
from auditkit.unlearning._method import LossMethod, Retained
from auditkit.unlearning._objective import as_parent, parent_of
from auditkit.unlearning._retain import retain_term
from auditkit.unlearning._rows import IGNORED, Row, padded
from auditkit.unlearning._step import Batch, Network, Step

LOSSES = [name for name in METHODS.names() if isinstance(METHODS.get(name), LossMethod)]
FORGET = [([1, 20, 21], [30, 31, 2]), ([1, 22], [32, 33]), ([1, 23, 24, 25, 26], [34, 35, 36, 37, 2])]
OTHER = [([1, 20, 21], [50, 2]), ([1, 22], [51, 52, 53, 2]), ([1, 23, 24, 25, 26], [54, 2])]
RETAIN = [([1, 40], [41, 42, 2]), ([1, 43, 44], [45, 46]), ([1, 47], [48, 49, 3, 4, 2])]


def variants():
    """Each method with its defaults, with every retain loss and with every convention that it offers."""
    for name in LOSSES:
        fields = METHODS.get(name).params.model_fields
        choices = {key: fields[key].annotation.__args__ for key in ("retain_loss", "convention") if key in fields}
        for kept in choices.get("retain_loss", [None]):
            for convention in choices.get("convention", [None]):
                given = {"retain_loss": kept, "convention": convention}
                given = {key: value for key, value in given.items() if value is not None}
                yield pytest.param(name, given, id="-".join([name, *given.values()]))


VARIANTS = list(variants())
every_variant = pytest.mark.parametrize(("name", "given"), VARIANTS)
every_method = pytest.mark.parametrize("name", LOSSES)


def llama(seed):
    torch.manual_seed(seed)
    config = LlamaConfig(
        vocab_size=64, hidden_size=16, intermediate_size=32, num_hidden_layers=2, num_attention_heads=2,
        max_position_embeddings=32, bos_token_id=1, eos_token_id=2, pad_token_id=0,
    )  # fmt: skip
    return LlamaForCausalLM(config).eval()


@pytest.fixture(scope="module")
def parent():
    with torch.random.fork_rng():
        return llama(0).requires_grad_(False)


@pytest.fixture
def model(parent):
    """A little away from its parent."""
    made = copy.deepcopy(parent).requires_grad_(True)
    generator = torch.Generator().manual_seed(1)
    with torch.no_grad():
        for weight in made.parameters():
            weight.add_(torch.randn(weight.shape, generator=generator), alpha=0.05)
    return made


def batch(rows, *, padding=0):
    columns = padded([Row([*ask, *say], [IGNORED] * len(ask) + say) for ask, say in rows], pad=0)
    ids, labels, mask = (torch.tensor(columns[key]) for key in ("input_ids", "labels", "attention_mask"))
    widen = functools.partial(torch.nn.functional.pad, pad=(0, padding))
    return Batch(widen(ids), widen(labels, value=IGNORED), widen(mask))


def computed(method, params, model, parent, *, order=(0, 1, 2), padding=0, asked=None):
    """The loss, the parent giving no more than the method declared."""
    uses = asked or method.uses_parent(params)
    old = Network(parent, functools.partial(as_parent, parent))
    batches = [batch([rows[index] for index in order], padding=padding) for rows in (FORGET, RETAIN, OTHER)]
    if uses == "sums":
        batches = [replace(part, parent_sums=old.tokens(part).sums()) for part in batches]
    forget, retain, other = batches
    step = Step(
        Network(model, nullcontext),
        old if uses == "model" else parent_of(None, asked=False, adapter=False),
        forget,
        retain if isinstance(params, Retained) and params.keeps else None,
        other if method.second else None,
        seed=5,
    )
    return method.loss(step, params)


def test_every_loss_is_here():
    assert set(LOSSES) >= {
        "alt_po", "ce_u", "gradient_ascent", "gradient_difference", "idk_dpo", "idk_nll", "kl_minimization",
        "npo", "rmu", "satimp", "simnpo", "undial", "wga",
    }  # fmt: skip


@every_variant
def test_the_loss_is_a_finite_number_with_a_gradient(name, given, model, parent):
    method = METHODS.get(name)
    loss = computed(method, method.params(**given), model, parent)
    assert loss.shape == () and loss.dtype == torch.float32 and math.isfinite(loss.item())
    loss.backward()
    gradients = [weight.grad for weight in model.parameters() if weight.grad is not None]
    assert all(torch.isfinite(gradient).all() for gradient in gradients)
    assert max(gradient.abs().max() for gradient in gradients) > 0


@every_variant
def test_the_order_of_rows_and_padding_do_not_matter(name, given, model, parent):
    method = METHODS.get(name)
    params = method.params(**given)
    loss = computed(method, params, model, parent).item()
    assert computed(method, params, model, parent, order=(2, 0, 1)).item() == pytest.approx(loss, rel=1e-5, abs=1e-5)
    assert computed(method, params, model, parent, padding=3).item() == pytest.approx(loss, rel=1e-5, abs=1e-5)


@every_variant
def test_one_row_is_enough(name, given, model, parent):
    method = METHODS.get(name)
    assert math.isfinite(computed(method, method.params(**given), model, parent, order=(1,)).item())


@pytest.mark.parametrize("name", [name for name in LOSSES if METHODS.get(name).reference == "sums"])
def test_the_parent_asked_gives_what_it_gave_before(name, model, parent):
    method = METHODS.get(name)
    params = method.params()
    remembered = computed(method, params, model, parent)
    assert computed(method, params, model, parent, asked="model").item() == pytest.approx(remembered.item(), rel=1e-5)


@pytest.mark.parametrize("name", [name for name in LOSSES if name not in ("rmu", "idk_nll")])
def test_downhill_the_true_answers_lose(name, model, parent):
    """The forget term's gradient has a part along that of the answers' log-probability. RMU and idk_nll never look at them."""
    method = METHODS.get(name)
    params = method.params(**({"retain_weight": 0.0} if issubclass(method.params, Retained) else {}))
    weights = list(model.parameters())
    likely = Network(model, nullcontext).tokens(batch(FORGET)).logprob.mean()
    uphill = torch.autograd.grad(likely, weights)
    pushed = torch.autograd.grad(computed(method, params, model, parent), weights)
    one, other = (torch.cat([part.flatten() for part in parts]) for parts in (uphill, pushed))
    assert (one / one.norm()) @ (other / other.norm()) > 0.1


@pytest.mark.parametrize("name", [name for name in LOSSES if issubclass(METHODS.get(name).params, Retained)])
def test_the_retain_term_counts_by_its_weight(name, model, parent):
    method = METHODS.get(name)
    kept = {"retain_loss": "nll"} if name == "undial" else {}
    zero, one, two = (
        computed(method, method.params(retain_weight=weight, **kept), model, parent).item() for weight in (0.0, 1.0, 2.0)
    )
    assert one != pytest.approx(zero)
    assert two - one == pytest.approx(one - zero, rel=1e-3)


@every_variant
def test_parameters_survive_json(name, given):
    params = METHODS.get(name).params
    made = params(**given)
    assert params.model_validate(json.loads(made.model_dump_json(by_alias=True))) == made


@every_method
def test_a_method_says_what_it_is(name):
    method = METHODS.get(name)
    assert method.name == name
    assert all((type(method).__doc__, method.title, method.summary, method.source, method.limits))
    assert "arXiv" in method.source
    assert method.intent in ("removal", "suppression")
    assert all(field.description for field in method.params.model_fields.values())
    assert all(field.is_required() is False for field in method.params.model_fields.values())


def test_a_loss_that_asks_for_rows_that_it_did_not_declare_is_a_fault_of_the_method(model, parent):
    step = Step(Network(model, nullcontext), parent_of(None, asked=False, adapter=False), batch(FORGET))
    with pytest.raises(AssertionError, match="other rows that its method did not declare"):
        METHODS.get("idk_nll").loss(step, METHODS.get("idk_nll").params())
    with pytest.raises(AssertionError, match="did not declare that its loss asks the parent"):
        METHODS.get("npo").loss(step, METHODS.get("npo").params())


def plainly(network, rows):
    """(positions, vocabulary): every position but the last of rows of one length, without any of ours."""
    whole = batch(rows)
    with torch.no_grad():
        return network(input_ids=whole.ids, attention_mask=whole.mask).logits[:, :-1].flatten(0, 1)


EQUAL = [([1, 20, 21], [30, 31]), ([1, 22], [32, 33, 34])]
"""Rows of one length: no padding, which the published codes would average over."""


def test_published_kls_are_over_every_position(model, parent):
    logits, old = plainly(model, EQUAL), plainly(parent, EQUAL)
    q, p = logits.log_softmax(-1), old.log_softmax(-1)
    answers = (batch(EQUAL).labels[:, 1:] != IGNORED).flatten()
    divergence = (p.exp() * (p - q)).sum(-1)
    expected = {
        "correct": divergence[answers].mean(),
        "open-unlearning": divergence.mean(),
        "muse": (old.exp() * (old - logits)).sum() / 2,
    }
    networks = Network(model, nullcontext), Network(parent, functools.partial(as_parent, parent))
    for convention, loss in expected.items():
        params = METHODS.get("kl_minimization").params(convention=convention, retain_weight=3.0)
        got = retain_term(Step(*networks, batch(FORGET), batch(EQUAL)), params)
        assert got.item() == pytest.approx(3 * loss.item(), rel=1e-4)


def test_muse_npo_is_over_every_position_and_the_whole_vocabulary(model, parent):
    gap = (plainly(model, EQUAL) - plainly(parent, EQUAL)).flatten().tolist()
    expected = sum(2 / 0.1 * math.log1p(math.exp(0.1 * one)) for one in gap) / len(gap)
    networks = Network(model, nullcontext), Network(parent, functools.partial(as_parent, parent))
    method = METHODS.get("npo")
    params = method.params(convention="muse", retain_loss="none")
    assert method.uses_parent(params) == "model"
    assert method.loss(Step(*networks, batch(EQUAL)), params).item() == pytest.approx(expected, rel=1e-5)


def test_open_unlearnings_undial_lowers_entry_v_minus_100_on_the_prompt(model, parent):
    lowered = plainly(parent, EQUAL)
    for position, label in enumerate(batch(EQUAL).labels[:, 1:].flatten().tolist()):
        lowered[position, label if label != IGNORED else (-100) % 64] -= 10
    expected = -(lowered.softmax(-1) * plainly(model, EQUAL).log_softmax(-1)).sum(-1).mean()
    step = Step(Network(model, nullcontext), Network(parent, functools.partial(as_parent, parent)), batch(EQUAL))
    method = METHODS.get("undial")
    assert method.loss(step, method.params(convention="open-unlearning")).item() == pytest.approx(expected.item(), rel=1e-5)


def test_npo_through_the_models_is_the_formula_on_their_answers(model, parent):
    """Answer by answer, with the model's own loss, which is a mean over the answer's tokens."""

    def log_probability(net, row):
        whole = batch([row])
        with torch.no_grad():
            return -net(input_ids=whole.ids, labels=whole.labels).loss.item() * len(row[1])

    gaps = [log_probability(model, row) - log_probability(parent, row) for row in FORGET]
    expected = sum(2 / 0.1 * math.log1p(math.exp(0.1 * gap)) for gap in gaps) / len(gaps)
    method = METHODS.get("npo")
    assert computed(method, method.params(retain_loss="none"), model, parent).item() == pytest.approx(expected, rel=1e-5)


def test_rmu_draws_its_direction_once_and_from_the_seed(model, parent):
    method = METHODS.get("rmu")
    step = Step(Network(model, nullcontext), parent_of(None, asked=False, adapter=False), batch(FORGET), seed=5)
    params = method.params(retain_loss="none")
    first = method.loss(step, params).item()
    direction = step.kept["control"]
    assert method.loss(step, params).item() == first
    assert step.kept["control"] is direction
    assert method.loss(replace(step, seed=6, kept={}), params).item() != first


def test_ce_u_takes_nothing_from_answers_of_one_token(model, parent):
    short = [([1, 20, 21], [30]), ([1, 22], [32])]
    step = Step(Network(model, nullcontext), parent_of(None, asked=False, adapter=False), batch(short))
    method = METHODS.get("ce_u")
    loss = method.loss(step, method.params())
    loss.backward()
    assert loss.item() == 0
    assert method.loss(step, method.params(skip=0)).item() > 0
