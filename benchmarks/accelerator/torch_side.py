"""The peers on the same card, in a process that requests come to: `torch_side().ask`.

Torch and JAX do not share a card's memory well: each side has a process, and this one gives back what it
held after every request.
"""

import json
import os
import sys
import time
from pathlib import Path

import numpy as np

from benchmarks.processes import Side


def torch_side():
    """The process; started when it is first asked."""
    return Side("benchmarks.accelerator.torch_side")


def timed(call, seconds=1.0, most=30):
    """Milliseconds of the median call."""
    import torch

    def once():
        start = time.perf_counter()
        call()
        if torch.cuda.is_available():
            torch.cuda.synchronize()
        return time.perf_counter() - start

    once()
    times, begun = [], time.perf_counter()
    while len(times) < most and (not times or time.perf_counter() - begun < seconds):
        times.append(once())
    return 1e3 * float(np.median(times))


def device():
    """Torch's card, or its CPU."""
    import torch

    return "cuda" if torch.cuda.is_available() else "cpu"


def loss(name, batch, dim, dtype):
    """Forward and backward of a loss on vectors: sentence-transformers' InfoNCE, or a plain multi-similarity."""
    import torch

    random = torch.Generator().manual_seed(0)
    x, y = (
        torch.randn(batch, dim, generator=random)
        .to(device(), getattr(torch, dtype))
        .requires_grad_()
        for _ in range(2)
    )
    labels = torch.arange(batch, device=device()) // 4

    def info_nce():
        from sentence_transformers import util

        scores = util.cos_sim(x, y) * 20.0
        return torch.nn.functional.cross_entropy(
            scores.float(), torch.arange(batch, device=scores.device)
        )

    def multi_similarity():
        scores = (lambda z: z @ z.T)(torch.nn.functional.normalize(x)).float()
        same = labels[:, None] == labels
        itself = torch.eye(batch, dtype=torch.bool, device=scores.device)
        positives, negatives = same & ~itself, ~same
        hardest = scores.masked_fill(~negatives, -torch.inf).amax(1, keepdim=True)
        easiest = scores.masked_fill(~positives, torch.inf).amin(1, keepdim=True)
        positives = positives & (scores - 0.1 < hardest)
        negatives = negatives & (scores + 0.1 > easiest)
        pulls = (-2 * (scores - 0.5)).masked_fill(~positives, -torch.inf)
        pushes = (50 * (scores - 0.5)).masked_fill(~negatives, -torch.inf)

        def part(terms, scale):
            zero = torch.zeros(batch, 1, device=scores.device)
            return torch.logsumexp(torch.cat([terms, zero], 1), 1) / scale

        counts = positives.any(1) & negatives.any(1)
        return (part(pulls, 2) + part(pushes, 50))[counts].sum() / counts.sum().clamp(min=1)

    chosen = {"info_nce": info_nce, "multi_similarity": multi_similarity}[name]

    def step():
        x.grad = y.grad = None
        value = chosen()
        value.backward()
        return value

    if torch.cuda.is_available():
        torch.cuda.reset_peak_memory_stats()
    value = step().item()
    mib = torch.cuda.max_memory_allocated() / 2**20 if torch.cuda.is_available() else None
    return {"value": value, "ms": timed(step), "mib": mib}


def encode(model, texts, vectors):
    """sentence-transformers' encode of a file of texts in bfloat16; its vectors go to a file."""
    import torch
    from sentence_transformers import SentenceTransformer

    texts = json.loads(Path(texts).read_text(encoding="utf-8"))
    bfloat16 = device() == "cuda"
    encoder = SentenceTransformer(model, device=device())
    encoder = encoder.to(torch.bfloat16) if bfloat16 else encoder
    size = 256 if bfloat16 else 32
    encoder.encode(texts[:size], batch_size=size)
    start = time.perf_counter()
    encoded = encoder.encode(texts, batch_size=size, convert_to_tensor=True)
    seconds = time.perf_counter() - start
    np.save(vectors, encoded.float().cpu().numpy())
    return {"ms": 1e3 * seconds, "dtype": "bfloat16" if bfloat16 else "float32"}


def finetune(model, texts, batch, length):
    """A step of sentence-transformers' model: InfoNCE, AdamW, dropout, bfloat16 autocast on a card."""
    import torch
    from sentence_transformers import SentenceTransformer, util

    queries, documents = json.loads(Path(texts).read_text(encoding="utf-8"))
    encoder = SentenceTransformer(model, device=device())
    encoder.max_seq_length = length
    encoder.train()
    optimizer = torch.optim.AdamW(encoder.parameters(), lr=2e-5)

    def features(part):
        tokens = encoder.tokenizer(
            part, padding="max_length", truncation=True, max_length=length, return_tensors="pt"
        )
        return {name: tensor.to(device()) for name, tensor in tokens.items()}

    sides = features(queries[:batch]), features(documents[:batch])

    def step():
        optimizer.zero_grad()
        with torch.autocast(device(), torch.bfloat16, enabled=device() == "cuda"):
            x, y = (encoder(dict(side))["sentence_embedding"] for side in sides)
        scores = util.cos_sim(x.float(), y.float()) * 20.0
        value = torch.nn.functional.cross_entropy(
            scores, torch.arange(len(scores), device=scores.device)
        )
        value.backward()
        torch.nn.utils.clip_grad_norm_(encoder.parameters(), 1.0)
        optimizer.step()
        return value

    return {"ms": timed(step, seconds=2.0)}


def exact(items, dim, queries, k):
    """The k best of random items by blocks of products and top-k."""
    import torch

    random = torch.Generator(device()).manual_seed(0)
    corpus = torch.randn(items, dim, generator=random, device=device())
    asked = torch.randn(queries, dim, generator=random, device=device())
    block = 2**17

    def call():
        best = None
        for start in range(0, items, block):
            part = corpus[start : start + block]
            scores, ids = torch.topk(asked @ part.T, min(k, len(part)))
            merged = torch.cat([scores] if best is None else [best[0], scores], 1)
            ids = torch.cat([ids + start] if best is None else [best[1], ids + start], 1)
            scores, places = torch.topk(merged, k)
            best = scores, ids.gather(1, places)
        return best

    return {"ms": timed(call)}


REQUESTS = {"loss": loss, "encode": encode, "finetune": finetune, "exact": exact}


def main():
    """Answers until there are no more requests."""
    answers, sys.stdout = sys.stdout, sys.stderr
    for text in sys.stdin:
        request = json.loads(text)
        try:
            import torch

            if not torch.cuda.is_available():
                torch.set_num_threads(os.cpu_count())
            answer = REQUESTS[request.pop("do")](**request)
            answer["versions"] = f"torch {torch.__version__}"
        except ModuleNotFoundError as error:
            answer = {"stopped": f"{error.name} is not installed"}
        except Exception as error:  # out of memory, mostly: the row says so, and the next is asked
            answer = {"stopped": f"{type(error).__name__}: {error}"[:120]}
        if "torch" in sys.modules and sys.modules["torch"].cuda.is_available():
            sys.modules["torch"].cuda.empty_cache()
        print(json.dumps(answer), file=answers, flush=True)


if __name__ == "__main__":
    main()
