#!/usr/bin/env python3
"""Turns a data file into a C array, so that the program carries it: embed.py INPUT OUTPUT.c SYMBOL

The array is NUL-terminated. A list of bytes, because C compilers need only accept string literals of 4095 characters.
"""
import sys


def main():
    source, target, symbol = sys.argv[1:]
    with open(source, "rb") as file:
        data = file.read() + b"\0"
    lines = [",".join(str(byte) for byte in data[at:at + 32]) for at in range(0, len(data), 32)]
    with open(target, "w", encoding="ascii") as file:
        file.write("/* Made by tools/embed.py; edit the file that it was made from. */\n")
        file.write(f"extern const char {symbol}[];\nconst char {symbol}[{len(data)}] = {{\n")
        file.write(",\n".join(lines) + "\n};\n")


main()
