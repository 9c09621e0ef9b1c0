"""Training of image encoders beside the same model in torch: images per second, in one run.

    python -m benchmarks.images                     ConvNet (GroupNorm) and ResNet-18, 64 x 64 pixels

A step is the forward and backward pass of cross-entropy, and of SGD with momentum, in float32, over one batch
that is in memory; batch norms look at the batch. Both sides start from the same weights, and their first
losses are compared. Each has its own process; they take turns `--rounds` times, as machines drift, and the
best of each counts. torch runs with its channels second and with channels last (`channels_last`): the faster
counts. Next to seconds there are those of all cores together (`core`), which other work on the machine hardly
changes. Compiling is not in the times. The peer comes with the extra `peers`.
"""

import argparse
import json
import os
import sys
import tempfile
import time
from pathlib import Path

import numpy as np

from benchmarks import command
from benchmarks.processes import Side

HERE = Path(__file__).resolve().parent
NETS = ("ConvNet", "ResNet-18")
CLASSES = 64
RATE, MOMENTUM = 0.01, 0.9


def examples(batch, pixels):
    """Images float32 [batch, pixels, pixels, 3] and labels int [batch]."""
    rng = np.random.default_rng(0)
    images = rng.normal(size=(batch, pixels, pixels, 3)).astype(np.float32)
    return images, rng.integers(0, CLASSES, batch)


def start_ours(net, batch, pixels, weights):
    """One step of ours; writes the weights that it starts from by the peer's names."""
    import jax
    import optax

    from jaxsim import encoders

    images, labels = map(jax.numpy.asarray, examples(batch, pixels))
    module = (
        encoders.resnet18(classes=CLASSES) if net == "ResNet-18" else encoders.ConvNet(dim=CLASSES)
    )
    train = {"train": True, "mutable": ["batch_stats"]}
    variables = jax.jit(module.init)(jax.random.key(0), images)
    np.savez(weights, **peer_names(net, variables))
    optimizer = optax.sgd(RATE, momentum=MOMENTUM)

    def loss(params, stats):
        logits, changed = module.apply({"params": params, **stats}, images, **train)
        values = optax.softmax_cross_entropy_with_integer_labels(logits, labels)
        return values.mean(), changed

    @jax.jit
    def step(params, stats, state):
        (value, stats), slopes = jax.value_and_grad(loss, has_aux=True)(params, stats)
        changes, state = optimizer.update(slopes, state)
        return value, (optax.apply_updates(params, changes), stats, state)

    params = variables["params"]
    stats = {name: tree for name, tree in variables.items() if name != "params"}
    begun = time.perf_counter()
    carry = [step(params, stats, optimizer.init(params))]
    value = float(carry[0][0])
    about = {"compile_s": time.perf_counter() - begun, "versions": f"jax {jax.__version__}"}
    about["device"] = f"{jax.devices()[0].device_kind} ({jax.devices()[0].platform})"

    def once():
        carry[0] = jax.block_until_ready(step(*carry[0][1]))

    return {"value": value, **about}, once


def peer_names(net, variables):
    """Our variables as the tensors of the peer's model: {name: array}."""
    from jaxsim.pretrained import _image_names as names
    from jaxsim.pretrained._model import flat

    arrays = {path: np.asarray(a) for path, a in flat(variables).items()}
    if net == "ResNet-18":
        return names.theirs_of(
            {path: names._theirs("resnet", path, False) for path in arrays}, arrays
        )
    tensors = {}
    for path, array in arrays.items():
        _, module, leaf = path.split("/")
        if leaf == "kernel":
            array = array.T if array.ndim == 2 else array.transpose(3, 2, 0, 1)
        tensors[f"{module}.{'bias' if leaf == 'bias' else 'weight'}"] = array
    return tensors


def start_peer(net, batch, pixels, weights, last):
    """One step of torch; `last` puts channels last."""
    import torch
    from torch.nn import functional

    from benchmarks.images_torch import ConvNet, ResNet18

    torch.set_num_threads(os.cpu_count())
    device = "cuda" if torch.cuda.is_available() else "cpu"
    images, labels = examples(batch, pixels)
    model = ResNet18(CLASSES) if net == "ResNet-18" else ConvNet(CLASSES, pixels)
    tensors = {name: torch.tensor(array) for name, array in np.load(weights).items()}
    model.load_state_dict(tensors, strict=False)
    lacking = [n for n in model.state_dict() if n not in tensors and "num_batches" not in n]
    assert not lacking, lacking
    form = torch.channels_last if last else torch.contiguous_format
    model = model.to(device, memory_format=form).train()
    x = torch.tensor(images).permute(0, 3, 1, 2).contiguous().to(device, memory_format=form)
    labels = torch.tensor(labels).to(device)
    optimizer = torch.optim.SGD(model.parameters(), lr=RATE, momentum=MOMENTUM)

    def once():
        optimizer.zero_grad(set_to_none=True)
        value = functional.cross_entropy(model(x), labels)
        value.backward()
        optimizer.step()
        if device == "cuda":
            torch.cuda.synchronize()
        return value

    return {"value": once().item(), "versions": f"torch {torch.__version__}"}, once


def serve(side):
    """Answers requests: {"do": "start", ...}, then {"do": "time", "steps": n} for seconds of a step."""
    once = None
    for line in sys.stdin:
        request = json.loads(line)
        if request.pop("do") == "start":
            answer, once = {"ours": start_ours, "peer": start_peer}[side](**request)
        else:
            once()
            seconds, cores = [], []
            for _ in range(request["steps"]):
                start, busy = time.perf_counter(), time.process_time()
                once()
                seconds.append(time.perf_counter() - start)
                cores.append(time.process_time() - busy)
            answer = {"seconds": float(np.median(seconds)), "core": float(np.median(cores))}
        print(json.dumps(answer), flush=True)


def compared(sides, net, batch, options):
    """A row: both sides in turns."""
    weights = str(Path(tempfile.gettempdir()) / f"jaxsim-images-{os.getpid()}.npz")
    common = {"net": net, "batch": batch, "pixels": options.pixels, "weights": weights}
    ours = sides["ours"].ask(do="start", **common)
    times = {"ours": [], "torch": [], "channels last": []}
    for _ in range(options.rounds):
        times["ours"].append(sides["ours"].ask(do="time", steps=options.steps))
        for name in ("torch", "channels last"):
            peer = sides["peer"].ask(do="start", last=name == "channels last", **common)
            times[name].append(sides["peer"].ask(do="time", steps=options.steps))
    Path(weights).unlink()
    best = {
        name: {part: min(turn[part] for turn in turns) for part in ("seconds", "core")}
        for name, turns in times.items()
    }
    faster = {part: min(best[n][part] for n in ("torch", "channels last")) for part in best["ours"]}
    close = np.allclose(peer["value"], ours["value"], rtol=1e-4)
    return {
        "model": net,
        "batch": batch,
        "pixels": options.pixels,
        **{f"{name} images/s": round(batch / best[name]["seconds"], 1) for name in best},
        "times as fast": round(faster["seconds"] / best["ours"]["seconds"], 2),
        **{f"{name} core ms": round(best[name]["core"] * 1e3) for name in best},
        "times as fast, cores": round(faster["core"] / best["ours"]["core"], 2),
        "compile_s": round(ours["compile_s"], 1),
        "note": "" if close else f"first losses differ: {ours['value']:.6g}, {peer['value']:.6g}",
        "device": ours["device"],
        "versions": f"{ours['versions']}, {peer['versions']}",
    }


def main():
    """The command line."""
    parser = command.parser("benchmarks.images", __doc__)
    parser.add_argument("--nets", nargs="+", choices=NETS, default=NETS)
    parser.add_argument("--batches", nargs="+", type=int, default=(16, 32))
    parser.add_argument("--pixels", type=int, default=64)
    parser.add_argument("--steps", type=int, default=7, help="the middle of which counts")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--out", type=Path, default=HERE / "images.json")
    parser.add_argument("--side", choices=("ours", "peer"), help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.side:
        serve(options.side)
        return
    sides = {side: Side("benchmarks.images", "--side", side) for side in ("ours", "peer")}
    rows = []
    for net in options.nets:
        for batch in options.batches:
            rows.append(compared(sides, net, batch, options))
            print(*(f"{name}: {value}" for name, value in rows[-1].items()), sep=" | ", flush=True)
    for side in sides.values():
        side.close()
    command.write(options.out, rows)


if __name__ == "__main__":
    main()
