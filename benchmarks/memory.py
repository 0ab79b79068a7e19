"""Peak memory at ten times the examples: two processes, each scores, generates, records and reads its records back."""

from __future__ import annotations

import resource
import subprocess
import sys

from _common import about, documents, fresh_folder, parser, run, source_of, table

from auditkit.models.protocol import Generate, Prompt, Score
from auditkit.models.text import TextModel


def main() -> None:
    """Measure and print; with ``--examples``, be one of the two processes."""
    options = parser(__doc__ or "")
    options.add_argument("--examples", type=int, default=0)
    given = options.parse_args()
    if given.examples:
        child(given.model, given.dtype, given.device, given.examples)
        return
    few = 24 if given.model == "builtin" and given.device == "cpu" else 400
    peaks = {count: peak(count, given.model, given.dtype, given.device) for count in (few, 10 * few)}
    table(
        ("examples", "peak memory, MB", "ratio"),
        [(count, f"{value / 1024:,.0f}", f"{value / peaks[few]:.2f}") for count, value in peaks.items()],
        model=about(given),
    )


def peak(examples: int, model: str, dtype: str, device: str) -> int:
    """Peak resident size of a process of its own, in KiB."""
    command = [sys.executable, __file__, "--model", model, "--dtype", dtype, "--device", device, "--examples", str(examples)]
    done = subprocess.run(command, check=True, capture_output=True, text=True)
    return int(done.stdout.split()[-1])


def child(model: str, dtype: str, device: str, examples: int) -> None:
    """Documents of 20 to 140 words, and a short generation for every fourth."""
    loaded = TextModel.load(source_of(model), dtype=dtype, device=device)
    texts = documents(examples, shortest=20, longest=140)
    requests = [Score(Prompt(""), text) for text in texts]
    requests += [Generate(Prompt(f"Question: {text[:60]}?\nAnswer:"), 8) for text in texts[::4]]
    measured = run(loaded, requests, fresh_folder())
    answer = measured.of("candidate")
    total = sum(float(answer(request).logprob.sum()) for request in requests if isinstance(request, Score))
    print(total, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss)


if __name__ == "__main__":
    main()
