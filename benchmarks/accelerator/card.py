"""The card: its name and memory, and what its products and its memory reach, measured."""

import json

from benchmarks.accelerator.clock import timed
from benchmarks.accelerator.rows import Row

PRODUCTS = {  # name: dtype of the factors, precision
    "bfloat16": ("bfloat16", "default"),
    "TF32": ("float32", "default"),
    "float32": ("float32", "highest"),
}


def rows(setting):
    """Product rates in TFLOP/s and memory bandwidth in GB/s; kept in card.json for the other parts."""
    import jax
    import jax.numpy as jnp

    device = jax.devices()[0]
    memory = (device.memory_stats() or {}).get("bytes_limit", 0)
    about = {
        "name": device.device_kind,
        "platform": device.platform,
        "memory_gib": round(memory / 2**30, 1),
        "jax": jax.__version__,
    }
    yield Row(f"{device.device_kind} ({device.platform})", "GiB", about["memory_gib"] or None)
    size = 512 if setting.toy else 8192
    left, right = jax.random.normal(jax.random.key(0), (2, size, size))
    for name, (dtype, precision) in PRODUCTS.items():
        product = jax.jit(
            lambda a, b, precision=precision: jnp.matmul(
                a, b, precision=precision, preferred_element_type=jnp.float32
            )
        )
        pair = left.astype(dtype), right.astype(dtype)
        rate = 2 * size**3 / timed(lambda pair=pair, product=product: product(*pair)) / 1e9
        about[name] = rate
        yield Row(f"product {size} x {size}, {name}", "TFLOP/s", rate, higher=True)
    count = 2**20 if setting.toy else 2**28
    x = jnp.zeros(count, jnp.float32)
    add = jax.jit(lambda x: x + 1)
    about["bandwidth"] = 8 * count / timed(lambda: add(x)) / 1e6
    yield Row(
        f"read and write {4 * count / 2**20:.0f} MiB", "GB/s", about["bandwidth"], higher=True
    )
    (setting.out / "card.json").write_text(json.dumps(about, indent=1) + "\n", encoding="utf-8")


def product_ms(card, flops, dtype):
    """Milliseconds that products of so many operations take at the measured rate; None if not measured."""
    rate = card.get(dtype)
    return flops / rate / 1e9 if rate else None


def reading_ms(card, count):
    """Milliseconds that reading so many bytes takes at the measured bandwidth; None if not measured."""
    rate = card.get("bandwidth")
    return count / rate / 1e6 if rate else None
