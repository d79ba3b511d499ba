#!/usr/bin/env python3
"""This file tests that test/layering.py and test/style.py see what they look for, on a small source tree with one
fault at a time. Prints TAP."""
import subprocess
import sys
import tempfile
from pathlib import Path

SOURCE = Path(__file__).resolve().parent.parent.parent
sys.path.insert(0, str(SOURCE / 'test'))
import tap  # noqa: E402

C = '/* This file does nothing. */\n'


def complaints(check, files=()):
    """What the check says of a sound tree with these files (name -> text) added or replaced; '' when all is well."""
    tree = {
        'meson.build': "foreach room : ['low', 'high']\nendforeach\n",
        'test/meson.build': "foreach room : ['low', 'high', 'cli']\nendforeach\n",
        'include/tallrec.h': C,
        'src/low/low.h': C,
        'src/low/low.c': C + '#include "low/low.h"\n',
        'src/high/high.h': C,
        'src/high/high.c': C + '#include "tallrec.h"\n#include "low/low.h"\n#include <stdio.h>\n',
    }
    for room in ('low', 'high', 'cli'):
        tree[f'src/{room}/meson.build'] = f"sources += files('{room}.c')\n"
        tree[f'test/{room}/meson.build'] = 'tests += []\n'
    tree.update(files)
    with tempfile.TemporaryDirectory() as root:
        for name, text in tree.items():
            (Path(root) / name).parent.mkdir(parents=True, exist_ok=True)
            (Path(root) / name).write_text(text)
        ran = subprocess.run([sys.executable, str(SOURCE / f'test/{check}.py'), root], text=True, capture_output=True)
    lines = [line for line in ran.stdout.splitlines() if not line.startswith('ok ') and not line.startswith('1..')]
    assert bool(lines) == bool(ran.returncode), f'status {ran.returncode} with\n{ran.stdout}{ran.stderr}'
    return '\n'.join(lines)


def sound_tree_passes():
    assert complaints('layering') == '', complaints('layering')
    assert complaints('style') == '', complaints('style')


def layering_sees(part, name, text):
    found = complaints('layering', files={name: text})
    assert part in found, f'{part!r} is not in\n{found}'


def layering_sees_each_fault():
    layering_sees('high comes after low', 'src/low/low.c', C + '#include "high/high.h"\n')
    layering_sees('is not written "room/file.h"', 'src/low/low.c', C + '#include "low.h"\n')
    layering_sees('does not exist', 'src/low/low.c', C + '#include "low/gone.h"\n')
    layering_sees('include/tallrec.h:2', 'include/tallrec.h', C + '#include "low/low.h"\n')
    layering_sees('src/low/more.c is not in src/low/meson.build', 'src/low/more.c', C)
    layering_sees('src/other is no room', 'src/other/other.h', C)
    layering_sees('doc/tour.md lists', 'doc/tour.md', '| `src/high` | x |\n| `src/low` | x |\n')


def style_sees(part, text, name='src/low/low.c'):
    found = complaints('style', files={name: text})
    assert part in found, f'{part!r} is not in\n{found}'


def style_sees_each_fault():
    style_sees('src/low/low.c:2: strcpy', C + 'void f(void) { strcpy(a, b); }\n')
    style_sees('do not say what it is', 'int x;\n')
    style_sees('low.c:2: tab', C + '\tint x;\n')
    style_sees('low.c:2: blank', C + 'int x; \n')
    style_sees('no newline', C + 'int x;')
    style_sees('low.c:2: 121 columns', C + 'x' * 121 + '\n')
    style_sees('701 lines', C + 'int x;\n' * 700)
    style_sees('native', "c_args: '-march=" + "native'\n", 'src/low/meson.build')
    style_sees('low.c:2: ' + 'FIX' + 'ME', C + '/* ' + 'FIX' + 'ME */\n')
    style_sees('doc/a.md:1: py' + 'pi.org', 'from https://py' + 'pi.org/simple\n', 'doc/a.md')
    style_sees('doc/a.md:1: /ro' + 'ot/x', 'see /ro' + 'ot/x\n', 'doc/a.md')
    style_sees('a fixed name', C + 'char *p = "/t' + 'mp/x";\n')


def style_overlooks_comments_and_strings():
    assert complaints('style', files={'src/low/low.c': C + '/* as strcpy() does */\nchar *s = "strcpy(";\n'}) == ''


TESTS = [sound_tree_passes, layering_sees_each_fault, style_sees_each_fault, style_overlooks_comments_and_strings]

if __name__ == '__main__':
    tap.run(TESTS)
