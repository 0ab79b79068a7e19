"""Greedy generation against ``model.generate`` at its best batch size: same model, same prompts, same run."""

from __future__ import annotations

import torch
from _common import about, best, documents, fresh_folder, parser, run, source_of, table

from auditkit.models.protocol import Generate, Prompt
from auditkit.models.text import TextModel

BATCHES = (8, 16, 32, 64)
NEW_TOKENS = 32


def main() -> None:
    """Measure and print."""
    options = parser(__doc__ or "").parse_args()
    model = TextModel.load(source_of(options.model), dtype=options.dtype, device=options.device)
    texts = [f"Question: {text}?\nAnswer:" for text in documents(64, shortest=5, longest=40)]
    requests = [Generate(Prompt(text), NEW_TOKENS) for text in texts]
    rows = sorted((model._encoder.prompt(request).ids for request in requests), key=len)
    measured = run(model, requests, fresh_folder())
    answer = measured.of("candidate")
    tokens = sum(answer(request).tokens for request in requests)
    works = [(f"model.generate, batch {size}", lambda size=size: generate(model, rows, size)) for size in BATCHES]
    works.append(("auditkit", lambda: run(model, requests, fresh_folder())))
    times = best(options.rounds, works)
    fastest = min(value for name, value in times.items() if name != "auditkit")
    table(
        ("greedy generation", "new tokens/s", "ratio to the best model.generate"),
        [(name, f"{tokens / value:,.1f}", f"{fastest / value:.2f}") for name, value in times.items()],
        model=about(options),
    )


def generate(model: TextModel, rows: list[list[int]], size: int) -> None:
    """transformers' own loop, left padded, prompts sorted by length."""
    with torch.inference_mode():
        for begin in range(0, len(rows), size):
            part = rows[begin : begin + size]
            longest = max(map(len, part))
            ids = torch.tensor([[0] * (longest - len(row)) + row for row in part], device=model.device)
            mask = torch.tensor([[0] * (longest - len(row)) + [1] * len(row) for row in part], device=model.device)
            model._model.generate(input_ids=ids, attention_mask=mask, max_new_tokens=NEW_TOKENS, do_sample=False)


if __name__ == "__main__":
    main()
