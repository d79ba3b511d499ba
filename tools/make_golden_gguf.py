"""Makes test/golden/format/small.gguf with the Python package `gguf`: every kind of metadata value and a few
element types, one of them known but not supported (IQ4_NL).

Run: python tools/make_golden_gguf.py test/golden/format/small.gguf   (needs gguf and numpy)"""
import sys

import numpy as np
from gguf import GGUFWriter, GGMLQuantizationType, GGUFValueType


def main():
    w = GGUFWriter(sys.argv[1], "llama")
    w.add_uint8("kind.u8", 200)
    w.add_int8("kind.i8", -3)
    w.add_uint16("kind.u16", 60000)
    w.add_int16("kind.i16", -30000)
    w.add_uint32("kind.u32", 4000000000)
    w.add_int32("kind.i32", -2000000000)
    w.add_uint64("kind.u64", 2**40)
    w.add_int64("kind.i64", 77)
    w.add_float32("kind.f32", 0.1)
    w.add_float64("kind.f64", 1e-5)
    w.add_bool("kind.yes", True)
    w.add_bool("kind.no", False)
    w.add_string("kind.string", "Amélie 🎬")
    w.add_key_value("kind.empty", "", GGUFValueType.STRING)  # add_string leaves out an empty one
    w.add_array("list.strings", ["a", "", "日本"])
    w.add_key_value("list.u32", [1, 2, 3], GGUFValueType.ARRAY, sub_type=GGUFValueType.UINT32)
    w.add_tensor("matrix", np.arange(6, dtype=np.float32).reshape(2, 3))  # torch shape [2, 3]
    w.add_tensor("half", np.array([1, -2, 0.5], np.float16))
    q8 = np.zeros((2, 34), np.uint8)
    q8[:, 0:2] = np.frombuffer(np.float16(0.5).tobytes(), np.uint8)
    q8[:, 2:] = np.arange(64, dtype=np.uint8).reshape(2, 32)
    w.add_tensor("quantised", q8, raw_dtype=GGMLQuantizationType.Q8_0)
    w.add_tensor("unsupported", np.zeros((1, 18), np.uint8), raw_dtype=GGMLQuantizationType.IQ4_NL)
    w.add_tensor("last", np.ones(8, np.float32))
    w.write_header_to_file()
    w.write_kv_data_to_file()
    w.write_tensors_to_file()
    w.close()


main()
