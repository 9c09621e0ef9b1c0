"""Other libraries' losses, brought to functions of a batch's arrays.

A peer is `start(*arrays) -> (call, label)`, `call(*arrays) -> loss`; nothing is imported before. Those of
torch get tensors, those of JAX arrays. Which of their arguments is which of ours, the tests of parity hold.
"""

from types import SimpleNamespace


def metric_learning(make, miner=None):
    """pytorch-metric-learning on embeddings and labels. make, miner: package -> a loss, a miner."""

    def start(*arrays):
        package = _metric_learning()
        loss = make(package)
        mine = (lambda *batch: None) if miner is None else miner(package)
        label = f"PML {type(loss).__name__}" + ("" if miner is None else ", mined")
        return lambda x, y: loss(x, y, mine(x, y)), label

    return start


def per_class(make, name, change=lambda vectors: vectors, **settings):
    """pytorch-metric-learning with vectors per class, the third array, in place of its parameter `name`."""

    def start(embeddings, labels, vectors):
        sizes = {"num_classes": len(vectors), "embedding_size": embeddings.shape[1]}
        loss = make(_metric_learning().losses, **settings, **sizes)
        loss._parameters.pop(name, None)

        def call(x, y, w):
            setattr(loss, name, change(w))
            return loss(x, y)

        return call, f"PML {type(loss).__name__}"

    return start


def regularizer(make, change=lambda vectors: vectors):
    """pytorch-metric-learning on class vectors alone. make: (its regularizers, vectors) -> one."""

    def start(vectors):
        loss = make(_metric_learning().regularizers, vectors)
        return lambda w: loss(change(w)), f"PML {type(loss).__name__}"

    return start


def on_pairs(make, labels=True):
    """pytorch-metric-learning on two columns, row i of one matching row i of the other."""

    def start(*arrays):
        loss = make(_metric_learning())

        def call(x, y):
            import torch

            if not labels:
                return loss(x, ref_emb=y)
            places = torch.arange(len(x))
            return loss(x, places, ref_emb=y, ref_labels=places.clone())

        return call, f"PML {type(loss).__name__}"

    return start


def meta_classes(make):
    """pytorch-metric-learning's manifold loss: labels come in place of its pairs."""

    def start(embeddings, labels, proxies):
        loss = make(_metric_learning().losses, l=embeddings.shape[1], K=len(proxies))
        loss._parameters.pop("proxies")

        def call(x, y, w):
            loss.proxies = w
            return loss(x, indices_tuple=y)

        return call, f"PML {type(loss).__name__}"

    return start


def _metric_learning():
    from pytorch_metric_learning import distances, losses, miners, reducers, regularizers

    return SimpleNamespace(
        distances=distances,
        losses=losses,
        miners=miners,
        reducers=reducers,
        regularizers=regularizers,
    )


def sentence(make, labels=False, sparse=False):
    """sentence-transformers on given vectors, documents [batch, n, dim] as n columns.

    make: (its losses, a model that gives what it is given) -> a loss. labels: whether the last array is.
    """

    def start(*arrays):
        import sentence_transformers
        from sentence_transformers import sparse_encoder

        home = sparse_encoder if sparse else sentence_transformers.sentence_transformer
        model = _given()
        model.get_embedding_dimension = lambda: arrays[0].shape[-1]
        loss = make(home.losses, model)

        def call(*arrays):
            columns, targets = (arrays[:-1], arrays[-1]) if labels else (arrays, None)
            columns = [c for a in columns for c in (a.unbind(1) if a.ndim == 3 else [a])]
            return _total(loss([{"sentence_embedding": c} for c in columns], targets))

        return call, f"ST {type(loss).__name__}"

    return start


def from_embeddings(make, call):
    """A sparse encoder's loss of vectors themselves. call: (loss, *arrays) -> loss."""

    def start(*arrays):
        from sentence_transformers.sparse_encoder import losses

        loss = make(losses, _given())
        return lambda *arrays: _total(call(loss, *arrays)), f"ST {type(loss).__name__}"

    return start


def guide(make):
    """sentence-transformers' guided losses: two columns, and what the guide makes of them."""

    def start(*arrays):
        from sentence_transformers.sentence_transformer import losses

        loss = make(losses, _given(), _given("guide"))

        def call(first, second, first_guide, second_guide):
            texts = (first, first_guide), (second, second_guide)
            return loss([{"sentence_embedding": a, "guide": b} for a, b in texts], None)

        return call, f"ST {type(loss).__name__}"

    return start


def pair_classifier(*arrays):
    """sentence-transformers' SoftmaxLoss, its classifier the last array."""
    import torch
    from sentence_transformers.sentence_transformer import losses

    loss = losses.SoftmaxLoss(_given(), arrays[0].shape[1], arrays[-1].shape[1])
    loss.classifier._parameters.pop("weight")
    torch.nn.init.zeros_(loss.classifier.bias)

    def call(first, second, labels, kernel):
        loss.classifier.weight = kernel.T
        return loss([{"sentence_embedding": a} for a in (first, second)], labels)

    return call, "ST SoftmaxLoss"


def decoder(*arrays):
    """sentence-transformers' denoising loss, its decoder giving the first array."""
    import torch
    from sentence_transformers.sentence_transformer import losses

    loss = losses.DenoisingAutoEncoderLoss.__new__(losses.DenoisingAutoEncoderLoss)
    torch.nn.Module.__init__(loss)
    loss.encoder, loss.need_retokenization = _given(), False
    loss.tokenizer_decoder = SimpleNamespace(pad_token_id=-1)

    def call(logits, tokens):
        loss.decoder = lambda **_: (logits,)
        seen = {"sentence_embedding": logits[:, 0], "attention_mask": torch.ones_like(tokens)}
        return loss([seen, {"input_ids": tokens}], None)

    return call, "ST DenoisingAutoEncoderLoss"


def cross_encoder(make, columns=False):
    """sentence-transformers on scores [batch, length] that a cross-encoder is said to have given.

    make: (its losses, model) -> a loss. columns: whether it asks for one column after another.
    """

    def start(*arrays):
        from sentence_transformers.cross_encoder import losses

        model = _scored()
        loss = make(losses, model)

        def call(scores, labels):
            batch, length = scores.shape
            if columns:
                model.pieces = list(scores[..., None].unbind(1))
                return loss([[""] * batch] * (1 + length), labels)
            model.pieces = [scores.reshape(-1, 1)]
            return loss([[""] * batch, [[""] * length] * batch], list(labels))

        return call, f"ST {type(loss).__name__}"

    return start


def jax_peer(label, make):
    """A function of JAX arrays. make: () -> it."""

    def start(*arrays):
        return make(), label

    start.of_jax = True
    return start


def _total(value):
    """Some losses come as a dict of their terms."""
    return sum(value.values()) if isinstance(value, dict) else value


def _tokenizer():
    from tokenizers import Tokenizer, models
    from transformers import PreTrainedTokenizerFast

    words = Tokenizer(models.WordLevel({"a": 0, "[UNK]": 1}, unk_token="[UNK]"))
    return PreTrainedTokenizerFast(tokenizer_object=words)


def _given(name="sentence_embedding"):
    """A bi-encoder whose features are its output."""
    import torch

    class Given(torch.nn.Module):
        device, max_seq_length, tokenizer = torch.device("cpu"), 8, _tokenizer()

        def forward(self, features, **_):
            return {**features, "sentence_embedding": features[name]}

        def __getitem__(self, place):
            return None

    return Given()


def _scored():
    """A cross-encoder that gives its `pieces`, one after another."""
    import torch
    from sentence_transformers import CrossEncoder

    class Scored(CrossEncoder):
        num_labels, device = 1, torch.device("cpu")

        def __init__(self):
            torch.nn.Module.__init__(self)

        def preprocess(self, pairs, **_):
            return {}

        def forward(self, features, **_):
            return {"scores": self.pieces.pop(0)}

    return Scored()
