#!/usr/bin/env python3
"""Makes test/golden/text/tokenizer.json: the ids that Hugging Face gives for what test_tokenizer.c encodes.

Two vocabularies: a tiny one, trained here and stored whole in the file, so that the test needs nothing else; and
that of a GGUF model (SmolLM2-135M-Instruct). Each is used with the normalizer and pre-tokenizer of every family in
FAMILIES. Texts that may not be redistributed (MovieLens titles, published prompts) are stored as one 32-bit hash of
their ids a row.

usage: make_golden_tokenizer.py MODEL.gguf RECBOLE/ml-100k.item GROUPLENS/u.item TALLREC_DATA OUT.json
needs: gguf, tokenizers
"""
import json
import sys

import gguf
from tokenizers import AddedToken, Regex, Tokenizer, decoders, models, normalizers, pre_tokenizers, trainers

FAMILIES = ["smollm", "gpt-2", "llama-bpe", "qwen2"]
CL100K = (r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|%s| ?[^\s\p{L}\p{N}]+[\r\n]*"
          r"|\s*[\r\n]+|\s+(?!\S)|\s+")


def byte_level(regex):
    return pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=regex)


def split(pattern):
    return pre_tokenizers.Sequence([pre_tokenizers.Split(Regex(pattern), "isolated"), byte_level(False)])


def pre_tokenizer(family):
    return {
        "smollm": lambda: pre_tokenizers.Sequence([pre_tokenizers.Digits(True), byte_level(True)]),
        "gpt-2": lambda: byte_level(True),
        "llama-bpe": lambda: split(CL100K % r"\p{N}{1,3}"),
        "qwen2": lambda: split(CL100K % r"\p{N}"),
    }[family]()


def build(vocabulary, family, with_added=True):
    """A Hugging Face tokenizer from GGUF's tokens, types and merges; added tokens, left out, are ordinary text."""
    tokens, types, merges = vocabulary
    added = [(i, t) for i, t in enumerate(tokens) if types[i] != 1]
    last_normal = max(i for i, kind in enumerate(types) if kind == 1)
    in_model = {t: i for i, t in enumerate(tokens) if i <= last_normal}  # trailing added tokens are added below
    model = models.BPE(in_model, merges, ignore_merges=family == "llama-bpe")
    tokenizer = Tokenizer(model)
    if family == "qwen2":
        tokenizer.normalizer = normalizers.NFC()
    tokenizer.pre_tokenizer = pre_tokenizer(family)
    tokenizer.decoder = decoders.ByteLevel()
    for i, text in added if with_added else []:
        special = types[i] == 3
        add = tokenizer.add_special_tokens if special else tokenizer.add_tokens
        add([AddedToken(text, special=special, normalized=False)])
        assert tokenizer.token_to_id(text) == i, (text, i)
    return tokenizer


def from_gguf(path):
    fields = gguf.GGUFReader(path).fields
    tokens, types, merges = (fields["tokenizer.ggml." + k].contents() for k in ("tokens", "token_type", "merges"))
    return tokens, types, [tuple(m.split(" ")) for m in merges]


CORPUS = """the cat sat on the mat and the other cat sat on the other mat, didn't it?
it's what they've said: we'll see, I'm sure. User Preference: "Blue Door (1995)", "Sparrow (1996)"
User Unpreference: "Dust (1996)" Whether the user will like the target movie?
    four spaces, then eight        and a tab\tor two\t\t; lines\n\n\nand more lines\r\nwith both.
1 22 333 4444 12345 1,000.5 1995 2001 de la rue où l'été était déjà là; naïve café, señor, Größe, Straße;
Москва и мир, мир и Москва; 日本語の本、日本の本です。 한국어 한국 사람
"""


def tiny():
    """All 256 bytes, a few hundred merges, and added tokens that begin like each other."""
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = byte_level(True)
    alphabet = sorted(pre_tokenizers.ByteLevel.alphabet())
    trainer = trainers.BpeTrainer(vocab_size=256 + 240, initial_alphabet=alphabet, show_progress=False)
    tokenizer.train_from_iterator(CORPUS.splitlines(keepends=True) * 3, trainer)
    model = json.loads(tokenizer.to_str())["model"]
    vocabulary, merges = model["vocab"], [tuple(m) for m in model["merges"]]
    tokens = sorted(vocabulary, key=vocabulary.get)
    types = [1] * len(tokens)
    for text, kind in (("<|end|>", 3), ("<|end", 4), ("<|end|>>", 3), ("two words", 4), ("<|im_end|>", 3)):
        tokens.append(text)
        types.append(kind)
    return tokens, types, merges


HARD = [
    "", " ", "a", "Hello world", "Hello  world", " Hello", "Hello ", "\n", "\r\n", "\t", "  \t \n",
    # case of contractions, and things like them
    "I'll don't WE'VE he'd I'm it's they're", "I'LL DON'T we'Ve HE'D i'M IT'S THEY'RE", "'S 'LL x's", "'ſ x'ſ",
    "’s don’t", "''s'", "'", "'sX 'tX", "it's1 1's '1", "'re're've", "l'été d'où",
    # digits
    "12345", "1", "a1b22c333d4444", " 8 88 888 8888", "1,000,000.50", "1995-04-01 12:30:00", "½ ²³ ¹⁄₂ ⅓",
    "Ⅷ ⅷ ⅯⅯ", "٠١٢٣ ۴۵۶ १२३ ๑๒๓ ၁၂", "①②⑳ ⓪ ❶", "〇一二三 ㊀㈠ 百", "１２３４ 𝟏𝟐𝟑 𝟘", "x²y³", "H₂O", "a  1", "a   12",
    "\t7", "\n7", "\u00a07", "7 ", "7  a", "𐄇𐏑", "᠑᠒", "௧௰",
    # white space of every kind
    "a\u00a0b", "a \u00a0 b", "a\u3000b", "a\u3000\u3000b", "a\u0085b", "\u0085\u0085",
    "a\u1680b\u2000c\u2009d\u200ae", "a\u2028b\u2029c", "a\u202fb\u205fc", "a\u180eb \u180e c",
    "a\u200bb \u200b", "\ufeffa", "a\u2060b", "   leading", "trailing   ", "in   the   middle", " \t \t x",
    "x \n y", "x \n\n\n  y", "x\n \n y", "x\r\ry", "x\r\n\r\ny", "x \r\n y", "x\n\ry", "end.\n\nNew",
    "end. \n\nNew", "!!\n\n!!", "!! \n!!", "\n\n  \n\n", "\v\f\x1c\x1d\x1e\x1f", "a\vb\fc", "a\x1cb\x1dc",
    # punctuation and symbols
    "Dust (1995), 8.5/10!!", "foo_bar--baz", "a.b,c;d:e", "\"quoted\", 'single'", "…—–‐‑", "$€£¥₿", "a+b=c≠d",
    "@user #tag http://x.y/z?q=1&r=2", "C:\\dir\\file", "/* code */ if (x) { return -1; }", "<b>bold</b>",
    "« guillemets »", "¿qué? ¡sí!", "_ __ ___", "~`^", " !", "  !", "a !b", "!a", " !a", "(a) (b)", "__init__",
    # combining marks: decomposed, reordered, stacked, without a base
    "e\u0301 cafe\u0301", "\u00e9 caf\u00e9", "A\u030a\u212b\u00c5", "q\u0307\u0323 q\u0323\u0307", "\u0301",
    " \u0301", "a\u0301\u0316\u0301\u0316", "Z\u0336\u0335a\u0321lgo\u0348", "\u1e9b\u0323",
    "\u0344 \u0374 \u037e \u0387", "\u0958 \u09dc \ufb1d \ufb2a", "\u1100\u1161\u11a8 \uac00\u11a8 각",
    "가각간 한국어", "\u2126 \u212a \u1fef", "\u0f73 \u0f75 \u0f81", "s\u0323\u0307 \u1e69 \u1e61\u0323",
    "\U0001d15e \U0001d1c0", "\u2adc \u2ADD\u0338", "\u3099か か\u3099 が", "\uf900 \U0002f800",
    "\u0b47\u0b3e \u0b47\u0300\u0b3e", "क्षि नमस्ते हिन्दी", "தமிழ் ภาษาไทย ລາວ မြန်မာ ខ្មែរ",
    "עִבְרִית שָׁלוֹם", "العَرَبِيَّة مرحبا", "\u05d0\u05b0\u05bc \u0651\u064e",
    # scripts
    "Москва Ёлка й и\u0306", "Ελληνικά ΐ ᾳ", "日本語テスト", "中文测试，标点。", "ー々〆ヶ", "ｶﾀｶﾅ ﾊﾟ", "ＦＵＬＬ ｗｉｄｔｈ", "ꙮ ꓐ Ꭰ ᚠ ᐁ",
    "𐌰𐌱 𝔘𝔫𝔦 𝒜", "ǅ ǆ ﬁ ﬀ ß ẞ İ ı ŉ", "ªº ˈ ʰ ͵", "Étés oubliés, Les (1995)", "Marché des poètes, Le (1995)",
    "Señor Núñez (1986) & Måns",
    # emoji
    "👍", "👍🏽ok", "👨‍👩‍👧‍👦", "🏳️‍🌈 🏴󠁧󠁢󠁳󠁣󠁴󠁿", "🇩🇪🇫🇷", "1️⃣ #️⃣ *️⃣", "❤️ ❤ ☺︎", "a👍b 👍 c", "🙂🙃 🙂", "🫠🫶",
    # controls, private use, the ends of planes
    "\x00", "a\x00b", "\x01\x02\x03\x04\x05\x06\x07\x08",
    "\x0e\x0f\x10\x11\x12\x13\x14\x15\x16\x17\x18\x19\x1a\x1b", "a\x04b c\x06d", "\x7f\x80\x9f", "\ue000\uf8ff",
    "\U000f0000 \U0010fffd", "\ufffd\ufffe\uffff", "\U0001ffff \U00040000 \U00080000 \U0010ffff",
    "\u202eabc\u202c", "\u00ad soft\u00adhyphen", "\u034f \u061c \u2066x\u2069",
    # special tokens
    "<|im_start|>user\nhi<|im_end|>", "<|im_end|><|im_end|>", "a<|im_end|>b", " <|im_end|> ", "<|im_end|",
    "<|im_en<|im_end|>d|>", "<|endoftext|>", "don<|im_end|>'t", "1<|im_end|>2", "<|end", "<|end|", "<|end|>",
    "<|end|>>", "<|end|>>>", "<|<|end|>", "<|end<|end|>", "two words", "two  words", "xtwo wordsy",
    "e<|end\u0301", "  <|im_end|>  x", "\n<|im_end|>\n", "<repo_name>x<file_sep>y<jupyter_code>z",
    "<IM_END> <|IM_END|>",
    # the template
    "### Instruction:\nDo.\n\n### Response:\n", "  # noqa: E501\n\n", "Yes.", "No.", " Yes", "Yes",
    "answering \"Yes.\" or \"No.\".",
]

REPEATED = [  # (before, unit, after)
    ("", "a", ""), ("", " ", ""), ("a", " ", "b"), ("a", " ", "1"), ("", "\n", ""), ("", "\r\n", ""),
    ("", " \n", "x"), ("", "1", ""), ("", "!", ""), ("", "ab", ""), ("", "'s", ""),
    ("", "the ", ""), ("", "日", ""), ("", "👍", ""), ("e", "\u0301", ""), ("", "e\u0301", ""),
    ("a", "\u0301\u0316", "b"), ("", "\u1100\u1161", ""), ("", "\u00a0", "x"), ("", "٣", ""),
    ("", "<|", ""), ("", "<|im_end|>", ""), ("", "=", ""), ("", "\t", "x"), ("", "\x04", ""),
]
COUNT = 100_000

POOL = [
    "a", "Z", "the", "é", "e\u0301", "'", "'s", "'S", "'ll", "'LL", "'re", "ſ", " ", " ", " ", "  ", "   ",
    "\t", "\n", "\n\n", "\r", "\r\n", "\u00a0", "\u3000", "\u0085", "\u180e", "\u200b", "\u2028", "1", "23",
    "4567", "½", "²", "Ⅷ", "٣", "日", "日本", "ー", "!", "...", "-", "_", "(", "<|im_end|>", "<|end", "|>", ">",
    "two words", "👍🏽", "\u0301", "\u0316", "\u0323", "\ue000", "가", "\u1100\u1161", "\u11a8", "ß", "İ", "ʼ",
    "’", "\u200d", "\ufeff", "\x7f", "\x00", "\x04", "\x1c", "मि", "ю", "User", "Preference", "Yes.", "(1995)",
]
N_MIXED = 3000


def mixed():
    """Strings of up to 24 members of POOL, drawn by Knuth's MMIX generator so that the test draws the same."""
    state = 1

    def draw(bound):
        nonlocal state
        state = (state * 6364136223846793005 + 1442695040888963407) % 2**64
        return (state >> 33) % bound

    return ["".join([POOL[draw(len(POOL))] for _ in range(1 + draw(24))]) for _ in range(N_MIXED)]


def alpaca(row):
    paragraph = "Below is an instruction that describes a task"
    if row["input"]:
        paragraph += ", paired with an input that provides further context"
    paragraph += ". Write a response that appropriately completes the request.  # noqa: E501"
    sections = [("Instruction", row["instruction"]), ("Input", row["input"]), ("Response", row["output"])]
    return "\n\n".join([paragraph] + [f"### {name}:\n{text}" for name, text in sections if text])


def fnv(ids, state=0x811C9DC5):
    """FNV-1a over the ids as little-endian 32-bit numbers."""
    for byte in b"".join(i.to_bytes(4, "little") for i in ids):
        state = (state ^ byte) * 0x01000193 & 0xFFFFFFFF
    return state


class Reference:
    def __init__(self, vocabulary):
        self.split = [build(vocabulary, f) for f in FAMILIES]
        self.plain = [build(vocabulary, f, with_added=False) for f in FAMILIES]
        self.added = [t for t, kind in zip(*vocabulary[:2]) if kind != 1]

    def ids(self, text):
        """Ids for each family; the number of an earlier family stands for the same ids."""
        out = []
        for tokenizer in self.split:
            ids = tokenizer.encode(text).ids
            out.append(out.index(ids) if ids in out else ids)
        return out

    def plain_ids(self, text):
        return self.plain[0].encode(text).ids

    def row_hash(self, text):
        """One hash over the ids of all families, each closed by -1."""
        state = 0x811C9DC5
        for tokenizer in self.split:
            state = fnv(tokenizer.encode(text).ids + [0xFFFFFFFF], state)
        return f"{state:08x}"

    def hashes(self, text):
        out = []
        for tokenizer in self.split:
            ids = tokenizer.encode(text).ids
            out.append([len(ids), fnv(ids)])
        return out


def string_entry(text, references):
    entry = {"text": text}
    for name, reference in references.items():
        entry[name] = reference.ids(text)
        if any(added in text for added in reference.added):
            entry["plain_" + name] = reference.plain_ids(text)
    return entry


def lines_of(path, encoding):
    with open(path, encoding=encoding, newline="\n") as file:
        return [line for line in file.read().split("\n") if line]


def main():
    model_path, recbole, grouplens, tallrec, out_path = sys.argv[1:]
    tiny_vocabulary = tiny()
    references = {"tiny": Reference(tiny_vocabulary), "model": Reference(from_gguf(model_path))}
    texts = {
        "recbole": [line.split("\t")[1] for line in lines_of(recbole, "utf-8")[1:]],
        "grouplens": [line.split("|")[1] for line in lines_of(grouplens, "latin-1")],
    }
    for domain in ("movie", "book"):
        for part in ("valid", "test"):
            texts[f"{domain}/{part}"] = [alpaca(row) for row in json.load(open(f"{tallrec}/{domain}/{part}.json"))]
    tokens, types, merges = tiny_vocabulary
    golden = {
        "made_by": "tools/make_golden_tokenizer.py",
        "families": FAMILIES,
        "tiny": {"tokens": tokens, "types": types, "merges": [" ".join(pair) for pair in merges]},
        "strings": [string_entry(text, references) for text in HARD],
        "repeated": [{"before": before, "unit": unit, "after": after, "count": COUNT,
                      **{name: r.hashes(before + unit * COUNT + after) for name, r in references.items()}}
                     for before, unit, after in REPEATED],
        "pool": POOL,
        "mixed": {name: "".join(map(reference.row_hash, mixed())) for name, reference in references.items()},
        "rows": {name: "".join(map(references["model"].row_hash, rows)) for name, rows in texts.items()},
    }
    lines = ",\n".join(f" {json.dumps(key)}: {pretty(value)}" for key, value in golden.items())
    with open(out_path, "w", encoding="ascii") as out:
        out.write("{\n" + lines + "\n}\n")


def pretty(value):
    """One line, or for a list of objects a line for each."""
    if isinstance(value, list) and value and isinstance(value[0], dict):
        return "[\n" + ",\n".join("  " + json.dumps(v, separators=(",", ":")) for v in value) + "\n ]"
    return json.dumps(value, separators=(",", ":"))


if __name__ == "__main__":
    main()
