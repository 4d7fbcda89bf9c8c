"""Makes the folders of the encoders, as `kassa model add` takes them, each with its check
texts, and beside them what onnxruntime and the tokenizers library make of many texts.

    python convert.py OUT FILMS QUESTIONS
"""

import glob
import json
import os
import sys

import numpy as np
import onnxruntime
from tokenizers import Tokenizer

import sources

CHECKS = 4       # texts that prove a model at every load, so they are short
CHECK_WORDS = 12
COMPARED = 100   # texts whose vectors are compared


class Reference:
    """A model by onnxruntime and the tokenizers library."""

    def __init__(self, folder, use):
        self.use = use
        self.tokenizer = Tokenizer.from_file(f"{folder}/tokenizer.json")
        self.session = onnxruntime.InferenceSession(f"{folder}/model.onnx", providers=["CPUExecutionProvider"])

    def fit(self, text):
        """As many of the words as the window holds, as the worker cuts a text."""
        words = text.split()
        while len(self.tokenizer.encode(" ".join(words)).ids) > self.use["pieces_max"]:
            words.pop()
        return " ".join(words)

    def vector(self, text):
        ids = np.array([self.tokenizer.encode(text).ids], np.int64)
        out = self.session.run(None, {"input_ids": ids, "attention_mask": np.ones_like(ids)})[0]
        one = out[0].mean(axis=0) if self.use["pooling"] == "mean" else out[0]
        one = one.astype(np.float64)
        return (one / np.linalg.norm(one)).astype(np.float32).tolist()


def read_texts(films, questions):
    """The texts whose vectors are compared: descriptions, then questions, half in each
    language, in turn; and those whose pieces are."""
    with open(questions, encoding="utf-8") as f:
        rows = [line.rstrip("\n").split("\t") for line in f]
    asked, lang = rows[0].index("query"), rows[0].index("lang")
    by = {"en": [], "ru": []}
    for row in rows[1:]:
        by[row[lang]].append(row[asked])
    told, said = {"en": [], "ru": []}, {"en": [], "ru": []}
    for path in sorted(glob.glob(f"{films}/*.json")):
        with open(path, encoding="utf-8") as f:
            for film in json.load(f):
                for lang, end in (("en", ""), ("ru", "_ru")):
                    told[lang].append(film["description" + end])
                    said[lang] += [line["text" + end] for line in film.get("lines", [])]
    compared = [text for four in zip(by["en"][:2], by["ru"], told["en"], told["ru"]) for text in four]
    compared += [text for two in zip(by["en"][2:], by["ru"][2:]) for text in two]
    return compared, [text for lang in by for of in (by, told, said) for text in of[lang] if text]


# What a tokenizer may stumble over.
STRANGE = ["ﬁlm ﬂag Ⅷ ①②", "ёлка é е\u0308 и\u0306", "İstanbul ſ ß", "日本の映画 七人の侍", "भारत की फ़िल्म", "👩\u200d🚀 astronaut 🚀",
           "a\u00a0b\u2003c\u200bd", "“кавычки” «ёлочки» — тире…", "١٢٣ 123 ½", "가나다 한국 영화", "x" * 300, "ﷺ", "don't can’t", "e\u0301\u0323\u0302", "\u202eabc",
           "ＡＢＣ ｶﾅ", "C++ & C# <b>", "2001: A Space Odyssey (1968)", "Ꚛ ꙮ ѣ", "tab\tand\nline"]


def main(out, films, questions):
    compared, many = read_texts(films, questions)
    for name, make in sources.ALL.items():
        folder = f"{out}/{name}"
        os.makedirs(folder, exist_ok=True)
        use = make(folder)
        reference = Reference(folder, use)
        vectors = [{"text": text, "vector": reference.vector(text)} for text in map(reference.fit, compared[:COMPARED])]
        short = [reference.fit(" ".join(text.split()[:CHECK_WORDS])) for text in compared[:CHECKS]]
        checks = [{"text": text, "vector": reference.vector(text)} for text in short]
        card = {"dimensions": len(vectors[0]["vector"]), **use, "checks": checks}
        sources.write_json(f"{folder}/kassa-model.json", card)
        sources.write_json(f"{out}/{name}.vectors.json", vectors)
        plain = Tokenizer.from_file(f"{folder}/tokenizer.json")
        pieces = [{"text": text, "ids": plain.encode(text).ids} for text in many + STRANGE]
        sources.write_json(f"{out}/{name}.pieces.json", pieces)
        print(f"{name}: {len(vectors)} vectors, {len(pieces)} texts in pieces", flush=True)


if __name__ == "__main__":
    main(*sys.argv[1:])
