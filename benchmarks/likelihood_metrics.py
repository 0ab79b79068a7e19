"""What one more likelihood metric costs on a corpus that is already scored: reading the records and computing."""

from __future__ import annotations

from _common import about, best, documents, fresh_folder, parser, run, seconds, source_of, table

from auditkit.checks import CHECKS
from auditkit.checks._base import Context
from auditkit.corpora.example import Corpus, Example
from auditkit.models.text import TextModel

METRICS = ("extraction_strength", "exact_memorization", "answer_probability")


def main() -> None:
    """Measure and print."""
    options = parser(__doc__ or "").parse_args()
    model = TextModel.load(source_of(options.model), dtype=options.dtype, device=options.device)
    corpus = forget_corpus(30 if options.model == "builtin" and options.device == "cpu" else 600)
    contexts = {name: context(name, corpus) for name in METRICS}
    requests = {name: list(CHECKS.get(name).requests(contexts[name])) for name in METRICS}
    folder = fresh_folder()
    scoring = seconds(lambda: run(model, requests[METRICS[0]], folder))

    def one_more(name: str) -> None:
        measured = run(model, requests[name], folder)
        assert measured.cached == len(set(requests[name])), "the records of the first metric serve the others"
        CHECKS.get(name).values(contexts[name], measured.of("candidate"), None)

    times = best(options.rounds, [(name, lambda name=name: one_more(name)) for name in METRICS])
    table(
        ("step", "seconds", "share of the scoring pass"),
        [("scoring pass", f"{scoring:.2f}", "100 %")]
        + [(name, f"{value:.4f}", f"{100 * value / scoring:.2f} %") for name, value in times.items()],
        model=about(options),
    )


def forget_corpus(count: int) -> Corpus:
    """Rows with a question and an answer."""
    questions = documents(count, shortest=5, longest=20, seed=1)
    answers = documents(count, shortest=20, longest=80, seed=2)
    rows = [
        Example(str(number), str(number), number, {"question": question, "answer": answer})
        for number, (question, answer) in enumerate(zip(questions, answers, strict=True), start=1)
    ]
    return Corpus("forget", "forget", tuple(rows), "benchmark", "", has_subjects=False)


def context(name: str, corpus: Corpus) -> Context:
    """A requirement with the check's default parameters."""
    check = CHECKS.get(name)
    return Context(corpus, {"forget": corpus}, check.params(), seed=0, chat=False, requirement=name)


if __name__ == "__main__":
    main()
