#!/usr/bin/env python3
"""This file checks, from the #include lines and the Meson files, that the rooms of src/ keep their order: a file uses
its own room and those before it in meson.build, which alone says what the order is. Prints TAP.

    test/layering.py [ROOT]"""
import re
import sys
from pathlib import Path

import tap

ROOT = Path(sys.argv[1] if len(sys.argv) > 1 else Path(__file__).parent.parent).resolve()
INCLUDE = re.compile(r'^\s*#\s*include\s*([<"])([^>"]+)[>"]', re.MULTILINE)


def rooms_of(meson_file):
    """The list in `foreach room : [...]`."""
    match = re.search(r'foreach room : \[([^\]]*)\]', (ROOT / meson_file).read_text())
    return re.findall(r"'(\w+)'", match[1]) if match else []


# The program is built last, from the finished library.
ORDER = rooms_of('meson.build') + ['cli']


def source_files(folder):
    return sorted(path for path in (ROOT / folder).rglob('*') if path.suffix in ('.c', '.h'))


def includes(path):
    """Pairs (line, name) of the includes in quotes; those in <> are the system's."""
    text = path.read_text(errors='replace')
    return [(text.count('\n', 0, match.start(2)) + 1, match[2]) for match in INCLUDE.finditer(text) if match[1] == '"']


def each_room_has_its_folders():
    for room in ORDER:
        for folder in ('src', 'test'):
            if not (ROOT / folder / room / 'meson.build').is_file():
                yield f'{folder}/{room}/meson.build is missing'
    for folder in sorted((ROOT / 'src').iterdir()):
        if folder.is_dir() and folder.name not in ORDER:
            yield f'src/{folder.name} is no room of meson.build'
    if rooms_of('test/meson.build') != ORDER:
        yield f'test/meson.build lists {rooms_of("test/meson.build")}, meson.build {ORDER}'


def rooms_look_only_back():
    for path in source_files('src'):
        room = path.relative_to(ROOT / 'src').parts[0]
        for line, name in includes(path):
            where = f'{path.relative_to(ROOT)}:{line}: "{name}"'
            target = name.split('/')[0]
            if name == 'tallrec.h':
                continue
            if '/' not in name or target not in ORDER:
                yield f'{where} is not written "room/file.h"'
            elif not (ROOT / 'src' / name).is_file():
                yield f'{where} does not exist'
            elif room in ORDER and ORDER.index(target) > ORDER.index(room):
                yield f'{where}: {target} comes after {room}'


def public_header_stands_alone():
    for line, name in includes(ROOT / 'include/tallrec.h'):
        yield f'include/tallrec.h:{line}: "{name}"'


def each_source_is_built():
    for room in ORDER:
        listed = (ROOT / 'src' / room / 'meson.build').read_text()
        for path in source_files(f'src/{room}'):
            if path.suffix == '.c' and f"'{path.relative_to(ROOT / 'src' / room)}'" not in listed:
                yield f'{path.relative_to(ROOT)} is not in src/{room}/meson.build'


def documents_list_the_rooms_in_order():
    """A table of rooms (rows that begin with | `src/ROOM`) has all of them, in the order of the build."""
    for document in sorted([ROOT / 'README.md', *(ROOT / 'doc').glob('*.md')]):
        if document.is_file():
            rows = re.findall(r'^\|\s*`src/(\w+)/?`', document.read_text(), re.MULTILINE)
            if rows and rows != ORDER:
                yield f'{document.relative_to(ROOT)} lists {rows}, meson.build {ORDER}'


CHECKS = [each_room_has_its_folders, rooms_look_only_back, public_header_stands_alone, each_source_is_built,
          documents_list_the_rooms_in_order]

if __name__ == '__main__':
    tap.run(CHECKS)
