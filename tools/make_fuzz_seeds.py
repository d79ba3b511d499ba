#!/usr/bin/env python3
"""This file writes the small well-formed files below test/fuzz/seeds from which the fuzz targets start.

    tools/make_fuzz_seeds.py"""
import struct
from pathlib import Path

SEEDS = Path(__file__).resolve().parent.parent / 'test/fuzz/seeds'


def gguf_string(text):
    data = text.encode()
    return struct.pack('<Q', len(data)) + data


def gguf_value(key, kind, payload):
    return gguf_string(key) + struct.pack('<I', kind) + payload


def gguf(version):
    """A header with a value of every kind that models use, and two tensors (F32, Q4_0)."""
    values = [
        gguf_value('general.architecture', 8, gguf_string('llama')),
        gguf_value('general.alignment', 4, struct.pack('<I', 32)),
        gguf_value('llama.block_count', 4, struct.pack('<I', 2)),
        gguf_value('llama.context_length', 10, struct.pack('<Q', 64)),
        gguf_value('llama.rope.freq_base', 6, struct.pack('<f', 10000.0)),
        gguf_value('tokenizer.ggml.add_bos_token', 7, b'\1'),
        gguf_value('tokenizer.ggml.tokens', 9,
                   struct.pack('<IQ', 8, 3) + b''.join(map(gguf_string, ['a', 'b', '\u0120the']))),
        gguf_value('tokenizer.ggml.token_type', 9, struct.pack('<IQ3i', 5, 3, 1, 1, 3)),
    ]
    tensors = [('output_norm.weight', [4], 0, 0), ('token_embd.weight', [32, 2], 2, 32)]
    header = b'GGUF' + struct.pack('<IQQ', version, len(tensors), len(values)) + b''.join(values)
    for name, dims, kind, offset in tensors:
        header += gguf_string(name) + struct.pack(f'<I{len(dims)}QIQ', len(dims), *dims, kind, offset)
    header += bytes(-len(header) % 32)
    data = struct.pack('<4f', 1, 2, 3, 4) + bytes(16) + bytes(range(36))
    return header + data + bytes(-len(data) % 32)


def write(target, name, data):
    folder = SEEDS / target
    folder.mkdir(parents=True, exist_ok=True)
    (folder / name).write_bytes(data)


def main():
    write('gguf', 'v2.gguf', gguf(2))
    write('gguf', 'v3.gguf', gguf(3))


if __name__ == '__main__':
    main()
