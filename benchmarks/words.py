"""Word and paragraph vectors against gensim: training speed and what the vectors are worth, in one run.

    python -m benchmarks.words                      skip-gram and PV-DBOW, and benchmarks/words.json
    python -m benchmarks.words --work documents --epochs 5 --rounds 1

Needs JAXSIM_DATA, and for the other side the extra `peers`. Words: skip-gram with negative sampling on all
running texts, judged by the rank correlation with people's word similarities. Documents: PV-DBOW with
negative sampling on AG News, judged by a linear probe of the classes, learnt on half of the documents. Both
sides get the same lists of words, vocabulary, dimension, window, negatives, subsampling, epochs, learning
rate with its linear decay, and two cores: gensim as two workers, ours as XLA's threads. Each side has its
own process, and both take turns `--rounds` times, with other seeds. Their time has everything from
lists of words to vectors but for the counting of words; ours is less the time of two steps, in which it
compiles (`start_s`). Core seconds are those of all threads of a side: they say more than the clock where
other work runs on the machine.

Ours moves both tables by plain SGD like word2vec, but a batch of pieces of text at once, and the pairs of a
piece share their negatives, those of documents in a batch too (`losses.sgns_windows`). A draw that hits a word of
its piece counts.
"""

import argparse
import csv
import dataclasses
import itertools
import json
import logging
import sys
import time
from pathlib import Path

import numpy as np

from benchmarks import command
from benchmarks.processes import Side

HERE = Path(__file__).resolve().parent
TEXTS = ("masc", "wikitext2_valid", "wikitext2_test", "semcor", "reuters", "glosses")
LISTS = ("men", "simlex999", "wordsim353")
CORES = 2


@dataclasses.dataclass(frozen=True)
class Settings:
    """What both sides are given, and below it what ours alone has."""

    epochs: int
    dim: int = 100
    window: int = 5
    negatives: int = 5  # for each pair
    min_count: int = 5
    rate: float = 0.025  # falls to 1e-4 of it, linearly
    sample: float = 1e-3  # the share from which a word is thinned out
    batch: int = 32  # pieces of text in a step
    length: int = 32  # words of a piece
    drawn: int = 16  # negatives of a piece; those of documents are the whole batch's


WORK = {
    "words": Settings(epochs=5),
    "documents": Settings(epochs=20, min_count=2, rate=0.05, batch=64, drawn=4),
}


def read(work, most=None):
    """Lists of words in an order drawn once, and the classes of documents, or None."""
    from jaxsim import data

    if work == "documents":
        news = data.ag_news()
        return [data.words(text) for text in news.texts[:most]], np.asarray(news.labels)[:most]
    sentences = list(itertools.chain(*map(data.running_text, TEXTS)))
    order = np.random.default_rng(0).permutation(len(sentences))
    return [sentences[place] for place in order[:most]], None


class Text:
    """Lists of words as one array of numbers, thinned out and cut into pieces anew for every epoch."""

    def __init__(self, work, sentences, known, settings, seed):
        from jaxsim import data

        self.work, self.settings, self.seed = work, settings, seed
        self.words_known, self.sentences_known = len(known.words), len(sentences)
        self.random = np.random.default_rng(seed)
        words = known.ids(itertools.chain.from_iterable(sentences))
        numbers = np.repeat(np.arange(len(sentences)), [len(words) for words in sentences])
        self.words, self.sentences = words[words > 0], numbers[words > 0]
        counts = known.counts * (np.arange(len(known.counts)) > 0)
        self.keep = data.word2vec_keep_probability(counts / counts.sum(), settings.sample)
        self.below = np.cumsum(counts**0.75) / np.sum(counts**0.75)
        self.pieces = PIECES[work](self)
        self.steps = settings.epochs * (len(self.pieces["in"]) // settings.batch)

    def batches(self):
        """Batches of pieces without end, epoch after epoch, each in another order."""
        size = self.settings.batch
        columns = {"where": np.ones(size, bool), "ids": np.arange(size)}
        while True:
            order = self.random.permutation(len(self.pieces["in"]))
            for start in range(0, len(order) - size + 1, size):
                rows = order[start : start + size]
                yield {name: array[rows] for name, array in self.pieces.items()} | columns
            self.pieces = PIECES[self.work](self)

    def thinned(self):
        """The words of an epoch and the numbers of their sentences."""
        there = self.random.random(len(self.words)) < self.keep[self.words]
        return self.words[there], self.sentences[there]

    def with_negatives(self, words):
        """Words of pieces [pieces, others], and behind them the words that each piece drew."""
        drawn = self.random.random((len(words), self.settings.drawn))
        return np.concatenate([words, np.searchsorted(self.below, drawn)], axis=1, dtype=np.int32)


def windows(text):
    """Pieces of running text: words, those around them, and how far their windows reach."""
    from jaxsim import data

    settings = text.settings
    words, sentences = text.thinned()
    pieces = data.window_pieces(
        words, sentences, settings.window, settings.length, random=text.random
    )
    around = text.with_negatives(pieces.contexts)
    return {"in": pieces.centers, "out": around, "before": pieces.before, "behind": pieces.behind}


def paragraphs(text):
    """Pieces of documents: a document, some of its words, and which of these places are filled."""
    words, documents = text.thinned()
    starts = np.flatnonzero(np.diff(documents, prepend=-1))
    places = np.arange(len(words)) - np.repeat(starts, np.diff(np.r_[starts, len(words)]))
    fresh = places % text.settings.length == 0
    pieces, places = np.cumsum(fresh) - 1, places % text.settings.length
    terms = np.zeros((fresh.sum(), text.settings.length), np.int32)
    seen = np.zeros(terms.shape, bool)
    terms[pieces, places], seen[pieces, places] = words, True
    return {"in": documents[fresh, None], "out": text.with_negatives(terms), "seen": seen}


PIECES = {"words": windows, "documents": paragraphs}


def trained(text, batches, steps):
    """Vectors of words or of documents, by their numbers, after so many of the text's steps."""
    import jax
    import jax.numpy as jnp

    from jaxsim import encoders, losses, training

    settings = text.settings

    def lookup(batch, key):
        return {"in": batch["in"].reshape(-1), "out": batch["out"].reshape(-1)}

    def objective(rows, batch, *, key, axis_name):
        inputs, outputs = (rows[name].reshape(*batch[name].shape, -1) for name in ("in", "out"))
        others = outputs.shape[1] - settings.drawn
        outputs, negatives = outputs[:, :others], outputs[:, others:]
        if text.work == "words":
            seen = losses.parts.in_window(batch["before"], batch["behind"], others)
        else:  # the batch shares all negatives
            seen, negatives = batch["seen"][:, None], negatives.reshape(-1, settings.dim)
        return losses.sgns_windows(
            inputs,
            outputs,
            negatives,
            pair_where=seen,
            draws=settings.negatives,
            where=batch["where"],
            axis_name=axis_name,
        )

    def rate(step):  # of a sum over the pieces; the loss is their mean
        return settings.batch * settings.rate * jnp.maximum(1 - step / text.steps, 1e-4)

    key, words = jax.random.key(text.seed), text.words_known
    inputs = words if text.work == "words" else text.sentences_known
    start = encoders.in_out_tables(key, max(words, inputs), settings.dim)
    tables = {"in": start["in"][:inputs], "out": start["out"][:words]}
    optimizer = training.sgd_rows(rate, lookup)
    return np.asarray(
        training.fit(objective, tables, batches, optimizer=optimizer, steps=steps)["in"]
    )


def trained_by_gensim(work, sentences, settings, seed):
    """A function that trains gensim's model, its vocabulary counted, and gives names and vectors."""
    from gensim.models import Word2Vec
    from gensim.models.doc2vec import Doc2Vec, TaggedDocument

    common = {
        "vector_size": settings.dim,
        "window": settings.window,
        "negative": settings.negatives,
        "min_count": settings.min_count,
        "alpha": settings.rate,
        "min_alpha": settings.rate * 1e-4,
        "sample": settings.sample,
        "workers": CORES,
        "seed": seed + 1,
    }
    if work == "words":
        model = Word2Vec(sg=1, **common)
    else:
        model = Doc2Vec(dm=0, **common)
        sentences = [TaggedDocument(words, [place]) for place, words in enumerate(sentences)]
    model.build_vocab(sentences)

    def train():
        model.train(sentences, total_examples=len(sentences), epochs=settings.epochs)
        if work == "words":
            return model.wv.index_to_key, model.wv.vectors
        return None, model.dv.vectors

    return train


def similarities(name):
    """Pairs of words that people compared, and what they said."""
    from jaxsim.data._sources import prepared_path

    path = prepared_path("word_similarity", f"{name}.tsv")
    with open(path, encoding="utf-8") as file:
        rows = list(csv.reader(file, delimiter="\t"))[1:]
    return [(first.lower(), second.lower(), float(score)) for first, second, score in rows]


def worth_of_words(names, vectors):
    """{list: Spearman's rank correlation of cosines with it}, of the pairs whose words are known."""
    from jaxsim import evaluation

    numbers = {name: number for number, name in enumerate(names)}
    units = vectors / np.linalg.norm(vectors, axis=1, keepdims=True)
    worth = {}
    for name in LISTS:
        rows = [row for row in similarities(name) if row[0] in numbers and row[1] in numbers]
        first, second = ([numbers[row[side]] for row in rows] for side in (0, 1))
        cosines = np.sum(units[first] * units[second], axis=1)
        worth[name] = float(evaluation.spearman(cosines, np.array([row[2] for row in rows])))
    return worth


def worth_of_documents(vectors, labels):
    """{"accuracy": a linear probe's, learnt on every other document}."""
    from jaxsim import evaluation

    accuracy = evaluation.linear_probe(vectors[::2], labels[::2], vectors[1::2], labels[1::2])
    return {"accuracy": float(accuracy)}


def timed(function, *arguments):
    """What a function gives, and its seconds: by the clock, and of all threads."""
    clock, threads = time.perf_counter(), time.process_time()
    result = function(*arguments)
    return result, np.array([time.perf_counter() - clock, time.process_time() - threads])


def turn_of_ours(work, sentences, settings, seed):
    """(names, vectors, seconds, seconds of the start)"""
    from jaxsim import data

    known = data.vocabulary(sentences, min_count=settings.min_count)
    text, prepared = timed(Text, work, sentences, known, settings, seed)
    batches = text.batches()
    few = [next(batches), next(batches)]
    _, start = timed(trained, text, few, len(few))
    vectors, spent = timed(trained, text, itertools.chain(few, batches), text.steps)
    return known.words, vectors, prepared + spent - start, start


def turn_of_gensim(work, sentences, settings, seed):
    """The same."""
    names_and_vectors, spent = timed(trained_by_gensim(work, sentences, settings, seed))
    return *names_and_vectors, spent, np.zeros(2)


TURNS = {"ours": turn_of_ours, "gensim": turn_of_gensim}


def answer(side, work, settings, texts, seed):
    """One turn of one side: its seconds, core seconds and what its vectors are worth."""
    from importlib import metadata

    sentences, labels = texts
    names, vectors, spent, start = TURNS[side](work, sentences, settings, seed)
    if work == "words":
        worth = worth_of_words(names, vectors)
    else:
        worth = worth_of_documents(vectors, labels)
    library = {"ours": "jax", "gensim": "gensim"}[side]
    return {
        "seconds": float(spent[0]),
        "core_seconds": float(spent[1]),
        "start_s": float(start[0]),
        "worth": worth,
        "words": sum(map(len, sentences)) * settings.epochs,
        "versions": f"{library} {metadata.version(library)}",
    }


def answers(side, options):
    """Answers until there are no more requests."""
    out, sys.stdout = sys.stdout, sys.stderr
    texts = {}
    for line in sys.stdin:
        request = json.loads(line)
        work, seed = request["work"], request["seed"]
        try:
            if work not in texts:
                texts[work] = read(work, options.most)
            reply = answer(side, work, settings_of(work, options), texts[work], seed)
        except Exception as error:  # the other side continues
            reply = {"stopped": f"{type(error).__name__}: {error}"[:200]}
        print(json.dumps(reply), file=out, flush=True)


def settings_of(work, options):
    """The settings, with the number of epochs that was asked for."""
    return dataclasses.replace(WORK[work], epochs=options.epochs or WORK[work].epochs)


def summary(work, turns):
    """A row of the table from the turns of each side: sums of times, means of what vectors are worth."""
    row = {"work": work}
    for side, replies in turns.items():
        if not replies:
            continue
        words = sum(reply["words"] for reply in replies)
        row[f"{side} words/s"] = round(words / sum(reply["seconds"] for reply in replies))
        core_seconds = sum(reply["core_seconds"] for reply in replies)
        row[f"{side} words/core s"] = round(words / core_seconds)
        for name in replies[0]["worth"]:
            figures = [reply["worth"][name] for reply in replies]
            row[f"{side} {name}"] = round(float(np.mean(figures)), 4)
        if side == "ours":
            row["start_s"] = round(float(np.mean([reply["start_s"] for reply in replies])), 2)
    if all(turns.values()):
        for what in ("words/s", "words/core s"):
            row[f"times as fast, {what}"] = round(row[f"ours {what}"] / row[f"gensim {what}"], 2)
    versions = [reply["versions"] for replies in turns.values() for reply in replies]
    return row | {"versions": ", ".join(dict.fromkeys(versions))}


def main():
    """The command line."""
    parser = command.parser("benchmarks.words", __doc__)
    parser.add_argument("--work", nargs="+", choices=WORK, default=list(WORK))
    parser.add_argument("--epochs", type=int, help="5 of words, 20 of documents by default")
    parser.add_argument("--rounds", type=int, default=2, help="turns of each side")
    parser.add_argument("--most", type=int, help="sentences or documents at most")
    parser.add_argument("--out", type=Path, default=HERE / "words.json")
    parser.add_argument("--side", choices=("ours", "gensim"), help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.side:
        logging.disable()
        answers(options.side, options)
        return
    sides = {
        name: Side("benchmarks.words", *sys.argv[1:], "--side", name) for name in ("ours", "gensim")
    }
    rows = []
    for work in options.work:
        turns = {name: [] for name in sides}
        for seed, (name, side) in itertools.product(range(options.rounds), sides.items()):
            reply = side.ask(work=work, seed=seed)
            if "stopped" in reply:
                print(f"{name}, {work}: {reply['stopped']}", file=sys.stderr)
            else:
                turns[name].append(reply)
        rows.append(summary(work, turns))
        print("\n".join(f"{name:30} {value}" for name, value in rows[-1].items()), flush=True)
    for side in sides.values():
        side.close()
    settings = {work: dataclasses.asdict(settings_of(work, options)) for work in options.work}
    command.write(options.out, rows, same=lambda row: row["work"], settings=settings)


if __name__ == "__main__":
    main()
