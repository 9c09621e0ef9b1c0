"""Small networks for the tests of merging: trees, their specifications, and the same in NumPy's terms."""

import numpy as np

from jaxsim import merging

RANDOM = np.random.default_rng(0)
MLP_AXES = {
    "params/dense_0/kernel": (None, ("out", "dense_0")),
    "params/dense_0/bias": (("out", "dense_0"),),
    "params/dense_1/kernel": (("in", "dense_0", 1), ("out", "dense_1")),
    "params/dense_1/bias": (("out", "dense_1"),),
    "params/head/kernel": (("in", "dense_1", 1), None),
}
CONV_AXES = {
    "params/conv_0/kernel": (None, None, None, ("out", "conv_0")),
    "params/conv_1/kernel": (None, None, ("in", "conv_0", 1), ("out", "conv_1")),
    "params/head/kernel": (("in", "conv_1", 4), None),
}
EPSILON = 1e-5
CONV_NORMS = [
    (
        f"conv_{k}",
        {
            "scale": f"params/norm_{k}/scale",
            "bias": f"params/norm_{k}/bias",
            "mean": f"batch_stats/norm_{k}/mean",
            "var": f"batch_stats/norm_{k}/var",
        },
        EPSILON,
    )
    for k in range(2)
]


def mlp(widths=(7, 6), inputs=5, outputs=3, seed=0, twins=()):
    """A tree of three dense layers; `twins` are (i, j) of dense_0: j is made equal to i."""
    random = np.random.default_rng(seed)
    sizes = (inputs, *widths, outputs)
    layers = {}
    for number, name in enumerate(("dense_0", "dense_1", "head")):
        kernel = random.normal(size=sizes[number : number + 2])
        layers[name] = {"kernel": kernel, "bias": random.normal(size=sizes[number + 1])}
    for i, j in twins:
        layers["dense_0"]["kernel"][:, j] = layers["dense_0"]["kernel"][:, i]
        layers["dense_0"]["bias"][j] = layers["dense_0"]["bias"][i]
        layers["dense_1"]["kernel"][j] = layers["dense_1"]["kernel"][i]
    return {"params": layers}


def mlp_spec(tree):
    return merging.chain(tree, ["params/dense_0", "params/dense_1", "params/head"])


def mlp_output(tree, x):
    """In NumPy."""
    layers = tree["params"]
    for name in ("dense_0", "dense_1"):
        x = np.maximum(x @ np.asarray(layers[name]["kernel"]) + np.asarray(layers[name]["bias"]), 0)
    return x @ np.asarray(layers["head"]["kernel"]) + np.asarray(layers["head"]["bias"])


def conv(widths=(6, 5), seed=0, twins=()):
    """A tree of two 3 x 3 convolutions with batch norms, and a head that reads 4 places."""
    random = np.random.default_rng(seed)
    sizes = (2, *widths)
    params, stats = {}, {}
    for k, width in enumerate(widths):
        params[f"conv_{k}"] = {"kernel": random.normal(size=(3, 3, sizes[k], width))}
        params[f"norm_{k}"] = {
            "scale": random.uniform(0.5, 2, width),
            "bias": random.normal(size=width),
        }
        stats[f"norm_{k}"] = {
            "mean": random.normal(size=width),
            "var": random.uniform(0.5, 2, width),
        }
    params["head"] = {
        "kernel": random.normal(size=(4 * widths[-1], 3)),
        "bias": random.normal(size=3),
    }
    for i, j in twins:
        first, norm = params["conv_0"]["kernel"], (params["norm_0"], stats["norm_0"])
        first[..., j] = first[..., i]
        params["conv_1"]["kernel"][:, :, j] = params["conv_1"]["kernel"][:, :, i]
        for tensors in norm:
            for values in tensors.values():
                values[j] = values[i]
    return {"params": params, "batch_stats": stats}


def conv_spec(tree):
    norms = {f"params/conv_{k}": (f"params/norm_{k}", f"batch_stats/norm_{k}") for k in range(2)}
    return merging.chain(
        tree, ["params/conv_0", "params/conv_1", "params/head"], norms=norms, epsilon=EPSILON
    )


def conv_output(tree, images, layer=None):
    """In NumPy, images [rows, 4, 4, 2]; with `layer` the normalized part of that block, before its bias."""
    x = images
    for k in range(2):
        kernel = np.asarray(tree["params"][f"conv_{k}"]["kernel"])
        rows, height, width, _ = x.shape
        wide = np.pad(x, [(0, 0), (1, 1), (1, 1), (0, 0)])
        y = np.zeros((rows, height, width, kernel.shape[-1]))
        for i in range(height):
            for j in range(width):
                y[:, i, j] = np.einsum("rhwc,hwcd->rd", wide[:, i : i + 3, j : j + 3], kernel)
        norm, stats = tree["params"][f"norm_{k}"], tree["batch_stats"][f"norm_{k}"]
        y = (y - np.asarray(stats["mean"])) / np.sqrt(np.asarray(stats["var"]) + EPSILON)
        y = y * np.asarray(norm["scale"])
        if layer == k:
            return y
        y = np.maximum(y + np.asarray(norm["bias"]), 0)
        x = y.reshape(rows, height // 2, 2, width // 2, 2, -1).max(axis=(2, 4)) if k == 0 else y
    head = tree["params"]["head"]
    return x.reshape(len(x), -1) @ np.asarray(head["kernel"]) + np.asarray(head["bias"])


def paths(tree, before=""):
    """{path: float64 array}."""
    found = {}
    for name, value in tree.items():
        path = f"{before}/{name}" if before else name
        if isinstance(value, dict):
            found |= paths(value, path)
        else:
            found[path] = np.asarray(value, np.float64)
    return found
