"""Makes the small models that the worker's tests open, in worker/testdata:

    python fixtures.py worker/testdata

unigram is a tokenizer of 300 pieces, trained on the sentences below, over a table of
random vectors, with its texts' pieces and vectors by the tokenizers library and
onnxruntime. branches has eight branches that are ready at once, and slow multiplies
large matrices.
"""

import base64
import io
import os
import sys

import numpy as np
import sentencepiece
from sentencepiece import sentencepiece_model_pb2

import convert
import graph
import sources

SENTENCES = """A boy finds a map of an island where pirates have buried gold.
Two brothers escape from a prison through a tunnel under the wall.
The last ship leaves the harbour while snow falls on the empty town.
An old teacher returns to the village and opens the school again.
Мальчик находит карту острова, где пираты зарыли золото.
Два брата бегут из тюрьмы через тоннель под стеной.
Последний корабль уходит из гавани, а на пустой город падает снег.
Старый учитель возвращается в деревню и снова открывает школу.""".split("\n")

TEXTS = SENTENCES + [
    "", " ", "prison", "тюрьма", "пиратский остров", "snow   falls", " leading and trailing ", "ﬁre ﬂag", "Ⅷ ①", "е\u0308лка и\u0306од", "日本 七人",
    "👩\u200d🚀 ship", "a\u00a0b\u2003c", "don't… «да»", "xxxxxxxxqqqq", "ＳＨＩＰ", "tab\tnew\nline", "под стеной!", "2001", "\u202eab", "ﷺ gold"]


def tokenizer():
    file = io.BytesIO()
    sentencepiece.SentencePieceTrainer.train(
        sentence_iterator=iter(SENTENCES * 20), model_writer=file, vocab_size=300, hard_vocab_limit=False,
        model_type="unigram", normalization_rule_tsv=os.path.join(os.path.dirname(__file__), "letters.tsv"),
        num_threads=1, minloglevel=2)
    model = sentencepiece_model_pb2.ModelProto.FromString(file.getvalue())
    charsmap = base64.b64encode(model.normalizer_spec.precompiled_charsmap).decode()
    return graph.unigram([[p.piece, p.score] for p in model.pieces], charsmap, 0, ["<unk>", "<s>", "</s>"])


def table(g, pieces):
    rows = np.random.default_rng(8).standard_normal((pieces, 8), dtype=np.float32)
    return g.op("Gather", g.weight("table", rows), "input_ids")


def write(folder, made, build, width):
    os.makedirs(folder, exist_ok=True)
    g = graph.Graph(os.path.basename(folder))
    x = build(g, table(g, len(made["model"]["vocab"])))
    g.save(f"{folder}/model.onnx", x, ["batch", "sequence", width])
    sources.write_json(f"{folder}/tokenizer.json", made)


def branches(g, x):
    x = g.op("Concat", *[x] * 64, axis=2)  # large enough that an operation is shared by several cores
    total = None
    for i in range(8):
        one = g.op("Erf", g.op("Mul", x, g.weight(f"by_{i}", np.float32(i + 1))))
        total = one if total is None else g.op("Add", total, one)
    return total


def slow(g, x):
    size = g.ints("size", 1024, 1024)
    big = g.op("Expand", g.op("ReduceMean", x, axes=[0, 1, 2], keepdims=0), size)
    for _ in range(4):
        big = g.op("MatMul", big, big)
    return g.op("Add", x, g.op("ReduceMean", big, axes=[0, 1], keepdims=0))


def main(out):
    made = tokenizer()
    write(f"{out}/unigram", made, lambda g, x: x, 8)
    write(f"{out}/branches", made, branches, 512)
    write(f"{out}/slow", made, slow, 8)
    for name in ("unigram", "branches"):
        use = {"pooling": "mean", "pieces_max": 64}
        reference = convert.Reference(f"{out}/{name}", use)
        checks = [{"text": text, "vector": reference.vector(text)} for text in SENTENCES[::3]]
        sources.write_json(f"{out}/{name}/kassa-model.json", {**use, "checks": checks})
        if name == "unigram":
            encode = reference.tokenizer.encode
            sources.write_json(f"{out}/pieces.json", [{"text": text, "ids": encode(text).ids} for text in TEXTS])


if __name__ == "__main__":
    main(sys.argv[1])
