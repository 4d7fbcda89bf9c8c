"""A small builder of ONNX graphs, and what the encoders have in common."""

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

OPSET = 17


class Graph:
    """Nodes and weights of a model with the inputs that hugot gives: ids and mask of pieces."""

    def __init__(self, name):
        self.name = name
        self.nodes = []
        self.weights = []

    def weight(self, name, value):
        self.weights.append(numpy_helper.from_array(np.ascontiguousarray(value), name))
        return name

    def ints(self, name, *values):
        return self.weight(name, np.array(values, dtype=np.int64))

    def op(self, kind, *inputs, **attributes):
        out = f"{kind.lower()}_{len(self.nodes)}"
        self.nodes.append(helper.make_node(kind, list(inputs), [out], name=out, **attributes))
        return out

    def dense(self, x, name, matrix, bias=None):
        y = self.op("MatMul", x, self.weight(f"{name}.weight", matrix))
        return y if bias is None else self.op("Add", y, self.weight(f"{name}.bias", bias))

    def norm(self, x, name, gamma, beta, epsilon):
        return self.op("LayerNormalization", x, self.weight(f"{name}.gamma", gamma),
                       self.weight(f"{name}.beta", beta), axis=-1, epsilon=epsilon)

    def save(self, path, output, shape):
        final = helper.make_node("Identity", [output], ["embedding"])
        inputs = [helper.make_tensor_value_info(name, TensorProto.INT64, ["batch", "sequence"])
                  for name in ("input_ids", "attention_mask")]
        outputs = [helper.make_tensor_value_info("embedding", TensorProto.FLOAT, shape)]
        graph = helper.make_graph(self.nodes + [final], self.name, inputs, outputs, self.weights)
        model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", OPSET)], ir_version=8)
        onnx.checker.check_model(model)
        onnx.save(model, path)


def bert(path, name, w, layers, heads, epsilon):
    """A BERT encoder whose output is the vectors of the pieces. The weights are by the names
    of BertModel; a matrix is [out, in], as torch has it."""
    g = Graph(name)
    words = w("embeddings.word_embeddings.weight")
    size = words.shape[1]
    positions = w("embeddings.position_embeddings.weight") + w("embeddings.token_type_embeddings.weight")[0]
    x = g.op("Gather", g.weight("words", words), "input_ids")
    length = g.op("Slice", g.op("Shape", "input_ids"), g.ints("one", 1), g.ints("two", 2))
    place = g.op("Slice", g.weight("positions", positions), g.ints("zero", 0), length, g.ints("axis", 0))
    x = g.op("Add", x, place)
    x = g.norm(x, "embeddings", w("embeddings.LayerNorm.weight"), w("embeddings.LayerNorm.bias"), epsilon)
    mask = g.op("Cast", "attention_mask", to=TensorProto.FLOAT)
    mask = g.op("Unsqueeze", mask, g.ints("axes", 1, 2))
    mask = g.op("Mul", g.op("Sub", mask, g.weight("all", np.float32(1))), g.weight("far", np.float32(1e9)))
    split, joined = g.ints("split", 0, 0, heads, size // heads), g.ints("joined", 0, 0, size)
    scale = g.weight("scale", np.float32((size // heads) ** -0.5))
    root, half, one = (g.weight(n, np.float32(v)) for n, v in (("root", 0.5 ** 0.5), ("half", 0.5), ("whole", 1)))

    def linear(x, name):
        return g.dense(x, name, w(name + ".weight").T, w(name + ".bias"))

    def added(x, y, name):
        return g.norm(g.op("Add", x, y), name, w(name + ".weight"), w(name + ".bias"), epsilon)

    for i in range(layers):
        at = f"encoder.layer.{i}."

        def part(name, order):
            y = g.op("Reshape", linear(x, at + "attention.self." + name), split)
            return g.op("Transpose", y, perm=order)

        query, value = part("query", [0, 2, 1, 3]), part("value", [0, 2, 1, 3])
        likeness = g.op("Mul", g.op("MatMul", query, part("key", [0, 2, 3, 1])), scale)
        share = g.op("Softmax", g.op("Add", likeness, mask), axis=-1)
        seen = g.op("Transpose", g.op("MatMul", share, value), perm=[0, 2, 1, 3])
        seen = linear(g.op("Reshape", seen, joined), at + "attention.output.dense")
        x = added(x, seen, at + "attention.output.LayerNorm")
        y = linear(x, at + "intermediate.dense")
        y = g.op("Mul", g.op("Mul", y, half), g.op("Add", g.op("Erf", g.op("Mul", y, root)), one))  # gelu
        x = added(x, linear(y, at + "output.dense"), at + "output.LayerNorm")
    g.save(path, x, ["batch", "sequence", size])


def unigram(pieces, charsmap, unknown, special, normalizers=(), frame=("<s>", "</s>")):
    """A tokenizer.json of SentencePiece's Unigram, with nmt_nfkc normalisation."""
    ids = {piece: i for i, (piece, _) in enumerate(pieces)}
    one_space = {"type": "Replace", "pattern": {"Regex": " {2,}"}, "content": " "}
    before, after = frame
    template = [{"SpecialToken": {"id": before, "type_id": 0}}, {"Sequence": {"id": "A", "type_id": 0}},
                {"SpecialToken": {"id": after, "type_id": 0}}]
    return {
        "version": "1.0", "truncation": None, "padding": None,
        "added_tokens": [{"id": ids[s], "content": s, "single_word": False, "lstrip": False, "rstrip": False,
                          "normalized": False, "special": True} for s in special],
        "normalizer": {"type": "Sequence", "normalizers":
                       [{"type": "Precompiled", "precompiled_charsmap": charsmap}, *normalizers, one_space]},
        "pre_tokenizer": {"type": "Metaspace", "replacement": "\u2581", "prepend_scheme": "always", "split": True},
        "post_processor": {"type": "TemplateProcessing", "single": template, "pair": [
            *template, {"Sequence": {"id": "B", "type_id": 1}}, {"SpecialToken": {"id": after, "type_id": 1}}],
            "special_tokens": {s: {"id": s, "ids": [ids[s]], "tokens": [s]} for s in frame}},
        "decoder": {"type": "Metaspace", "replacement": "\u2581", "prepend_scheme": "always", "split": True},
        "model": {"type": "Unigram", "unk_id": unknown, "vocab": pieces, "byte_fallback": False},
    }
