"""Text encoders: a transformer, a pooling, optionally dense heads.

{"tokens" int [rows, length], "where" bool [rows, length]} -> float32 [rows, dim]
packed, with "segments", "positions", "starts" and "lengths" -> float32 [texts, dim]
"""

from collections.abc import Callable, Mapping
from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np

from jaxsim.encoders._packed import PACKED, of_packed, unpacked
from jaxsim.encoders._pooling import mean, pool_layers, state_at
from jaxsim.encoders._transformer import Packing, Transformer
from jaxsim.numerics import checks
from jaxsim.numerics.types import Array

# {"tokens" int [rows, length], "where" bool [rows, length]}, perhaps with "pooled", "vectors", "vectors_where",
# "domain"; packed with all of PACKED; of a TokenEncoder with "seen" and "scored".
Texts = Mapping[str, Array]


class TextEncoder(nn.Module):
    """Text encoder: a transformer, a pooling and heads; embeddings are not normalized unless a head does it.

    Texts may say under "pooled", bool [rows, length], which tokens the pooling counts; without it all
    that are real. (Instructions that are read but not pooled.) Under "vectors" and "vectors_where" are what
    the transformer takes for its table's rows: pseudo-words. Of a transformer whose experts are those of
    domains they say under "domain", int [] for all or [rows], which one they are of.

    Rows that hold several texts, as `data.packed` gives them, are encoded to one embedding per text, that of the
    text in a separate row: tokens see their own text, positions restart, each text is pooled separately.
    """

    transformer: nn.Module
    pooling: Callable = mean  # (states, where) -> [rows, dim]; encoders/_pooling.py has some
    dim: int | None = None  # of a projection without bias; None leaves the transformer's width
    # [rows, dim] -> [rows, dim], one after the other: Linen modules or plain functions.
    heads: tuple[Callable, ...] = ()
    top_layers: int = 1  # the last so many layers are pooled, side by side (`pool_layers`)
    # (tokens, where) -> int [rows]: the token whose state is the text's, in place of `pooling` (CLIP).
    place: Callable[[Array, Array], jax.Array] | None = None

    @property
    def packs(self) -> bool:
        """Whether it takes packed texts: not where experts route by all states of a text."""
        body = self.transformer
        return isinstance(body, Transformer) and body.packs

    @nn.compact
    def __call__(
        self,
        texts: Texts,
        *,
        deterministic: bool = True,
        all_layers: bool = False,
        router_logits: bool = False,
    ) -> Any:
        """Embeddings.

        Args:
          texts: {"tokens", "where"}.
          deterministic: no dropout.
          all_layers: a list of the embeddings that each cut of the transformer gives, from its
            embeddings to its last layer, through the same pooling and heads; not where several layers
            are pooled.
          router_logits: (what is given otherwise, the logits of the transformer's routers) instead, for
            losses on them.
        """
        check_texts("texts", texts, packed=True)
        checks.whole("top_layers", self.top_layers)
        several = self.top_layers > 1
        if several and all_layers:
            raise ValueError(f"all_layers needs top_layers=1, got {self.top_layers}")
        extras = ("vectors", "vectors_where", "domain")
        asked: dict[str, Any] = {name: texts[name] for name in extras if name in texts}
        packed = "segments" in texts
        if packed:
            asked["packing"] = Packing(texts["segments"], texts["positions"])
        if router_logits:
            asked["router_logits"] = True
        states = self.transformer(
            texts["tokens"],
            texts["where"],
            deterministic=deterministic,
            all_layers=all_layers or several,
            **asked,
        )
        states, *logits = states if router_logits else (states,)
        counted = texts.get("pooled", texts["where"])
        pooling = self.pooling
        if self.place is not None:
            both = texts["tokens"], texts["where"]
            place = self.place(*(unpacked(a, texts) for a in both) if packed else both)

            def pooling(states, _):
                return state_at(states, place)

        if packed:
            pooling = of_packed(pooling, texts)
        project = (
            (lambda x: x)
            if self.dim is None
            else nn.Dense(self.dim, use_bias=False, name="projection")
        )
        if several:
            pooled = [pool_layers(states, counted, count=self.top_layers, pooling=pooling)]
        else:
            pooled = [pooling(cut, counted) for cut in (states if all_layers else [states])]
        embeddings = []
        for vectors in map(project, pooled):
            for head in self.heads:
                vectors = head(vectors)
            embeddings.append(vectors)
        result = embeddings if all_layers else embeddings[0]
        return (result, *logits) if router_logits else result


def check_texts(name: str, texts: Any, *, packed: bool = False) -> None:
    """Refuses what is not tokenized: a list of strings, or arrays that do not fit each other.

    Args:
      name: of the texts, for errors.
      texts: {"tokens", "where"}, perhaps packed.
      packed: whether rows may hold several texts.
    """
    if not isinstance(texts, Mapping) or not {"tokens", "where"} <= set(texts):
        got = list(texts) if isinstance(texts, Mapping) else type(texts).__name__
        raise ValueError(f'{name} must be {{"tokens", "where"}}, as tokenize gives them, got {got}')
    if not packed:
        check_not_packed(name, texts)
    tokens = texts["tokens"]
    checks.integers(f"{name}' tokens", tokens)
    checks.shaped(f"{name}' tokens", tokens, (None, None), "rows, length")
    for mask in ("where", "pooled", "seen", "scored"):
        if mask in texts:
            checks.shaped(f"{name}' {mask}", texts[mask], tokens.shape, "one per token")
            checks.booleans(f"{name}' {mask}", texts[mask])
    packing = [one for one in PACKED if one in texts]
    if not packing:
        return
    if len(packing) < len(PACKED):
        missing = next(one for one in PACKED if one not in texts)
        raise ValueError(f"{name} must be packed as data.packed gives them, got no {missing!r}")
    for one in PACKED:
        shape = tokens.shape if one in PACKED[:2] else (np.shape(texts["starts"])[0],)
        checks.shaped(f"{name}' {one}", texts[one], shape)
        checks.integers(f"{name}' {one}", texts[one])


def check_not_packed(name: str, texts: Any) -> None:
    """Refuses packed texts where each text must have a row."""
    if isinstance(texts, Mapping) and "segments" in texts:
        raise ValueError(
            f"{name} must be padded, a text in each row, got packed ones: use data.padded"
        )


class DenseHead(nn.Module):
    """Dense head, in float32: activation(x W + b), plus x where `residual`.

    [..., inputs] -> float32 [..., size]
    """

    size: int
    activation: Callable = nn.tanh
    biased: bool = True
    residual: bool = False  # where the sizes differ x goes through a separate matrix

    @nn.compact
    def __call__(self, x: jax.Array) -> jax.Array:
        x = x.astype(jnp.float32)
        out = self.activation(nn.Dense(self.size, use_bias=self.biased, name="linear")(x))
        if not self.residual:
            return out
        if x.shape[-1] != self.size:
            x = nn.Dense(self.size, use_bias=False, name="residual")(x)
        return out + x
