"""Scoring throughput against a bare forward loop at its best batch shape: same model, same texts, same run.

The bare loop gets its texts tokenised and sorted by length, and makes logits and nothing else. Ours tokenises, batches, keeps
four numbers per token and records them on disk.
"""

from __future__ import annotations

import torch
from _common import about, best, documents, fresh_folder, parser, run, source_of, table

from auditkit.models.protocol import Prompt, Score
from auditkit.models.text import TextModel

BATCHES = (1, 2, 4, 8, 16, 32)


def main() -> None:
    """Measure and print."""
    options = parser(__doc__ or "").parse_args()
    model = TextModel.load(source_of(options.model), dtype=options.dtype, device=options.device)
    count = 40 if options.model == "builtin" and options.device == "cpu" else 800
    texts = documents(count, shortest=20, longest=140)
    requests = [Score(Prompt(""), text) for text in texts]
    rows = sorted((model._encoder.score(request).ids for request in requests), key=len)
    tokens = sum(map(len, rows))
    run(model, requests[:2], fresh_folder())
    works = [(f"bare, batch {size}", lambda size=size: forward(model, rows, size)) for size in BATCHES]
    works.append(("auditkit", lambda: run(model, requests, fresh_folder())))
    times = best(options.rounds, works)
    fastest = min(value for name, value in times.items() if name != "auditkit")
    table(
        ("scoring", "tokens/s", "ratio to the best bare loop"),
        [(name, f"{tokens / value:,.0f}", f"{fastest / value:.2f}") for name, value in times.items()],
        model=about(options),
    )


def forward(model: TextModel, rows: list[list[int]], size: int) -> None:
    """The bare loop: padded ids and mask in, logits out."""
    with torch.inference_mode():
        for begin in range(0, len(rows), size):
            part = rows[begin : begin + size]
            longest = max(map(len, part))
            ids = torch.tensor([row + [0] * (longest - len(row)) for row in part], device=model.device)
            mask = torch.tensor([[1] * len(row) + [0] * (longest - len(row)) for row in part], device=model.device)
            model._model(input_ids=ids, attention_mask=mask, use_cache=False)


if __name__ == "__main__":
    main()
