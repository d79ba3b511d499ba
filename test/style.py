#!/usr/bin/env python3
"""This file checks the habits that a machine can check, over all files that git tracks or would add: banned functions,
first comments, blanks, lengths, unfinished work, paths and hosts that do not belong here. Prints TAP.

    test/style.py [ROOT]"""
import re
import subprocess
import sys
from pathlib import Path

import tap

ROOT = Path(sys.argv[1] if len(sys.argv) > 1 else Path(__file__).parent.parent).resolve()
MAX_COLUMNS = 120
MAX_LINES = 700

C = ('.c', '.h')
CODE = (*C, '.py', '.sh', '.build')

# Each has a safer sibling in src/base (tr_str, tr_parse) or in C itself (snprintf, strtol).
BANNED = re.compile(r'(?<![\w.>])(strcpy|strcat|sprintf|vsprintf|gets|strtok|atoi|system)\s*\(')
# The words are put together here, so that this file passes its own check.
UNFINISHED = re.compile(r'\b(' + '|'.join(['TO' + 'DO', 'FIX' + 'ME', 'X' * 3]) + r')\b')
MACHINE_PATH = re.compile(r'(?<![\w.$}~-])/(work|root)/\w')
REGISTRY = re.compile(r'\b(?:(?:pypi|pythonhosted|npmjs|(?:proxy|sum)[.]golang|deb[.]debian)[.](?:org|com)'
                      r'|(?:crates|docker|ghcr)[.]io)\b', re.IGNORECASE)
NATIVE = '-march=' + 'native'


def listed_files():
    """Tracked files and new ones that are not ignored; all but build folders where there is no git."""
    try:
        listing = subprocess.run(['git', '-c', f'safe.directory={ROOT}', 'ls-files', '-z', '--cached', '--others',
                                  '--exclude-standard'], cwd=ROOT, capture_output=True, check=True).stdout
        names = sorted({name.decode() for name in listing.split(b'\0') if name})
    except (OSError, subprocess.CalledProcessError):
        names = sorted(str(path.relative_to(ROOT)) for path in ROOT.rglob('*')
                       if not path.relative_to(ROOT).parts[0].startswith(('build', '.git', 'demo')))
    return [name for name in names if (ROOT / name).is_file()]


def text_of(name):
    """The file's text; None for a binary file."""
    data = (ROOT / name).read_bytes()
    return None if b'\0' in data else data.decode(errors='replace')


TEXTS = {name: text for name in listed_files() if (text := text_of(name)) is not None}


def is_code(name):
    return name.endswith(CODE) or name in ('Makefile', '.ci/run')


def texts(wanted):
    return [(name, text) for name, text in TEXTS.items() if wanted(name)]


def lines(wanted):
    """Triples (name:line, line) of the files for which wanted(name)."""
    for name, text in texts(wanted):
        for number, line in enumerate(text.split('\n'), 1):
            yield f'{name}:{number}', line


def without_comments_and_strings(text):
    """C source with them blanked out; line breaks stay."""
    token = re.compile(r'/\*.*?\*/|//[^\n]*|"(?:\\.|[^"\\\n])*"|\'(?:\\.|[^\'\\\n])*\'', re.DOTALL)
    return token.sub(lambda match: re.sub(r'[^\n]', ' ', match[0]), text)


def is_c(name):
    return name.endswith(C)


def c_uses_no_banned_function():
    for name, text in texts(is_c):
        for number, line in enumerate(without_comments_and_strings(text).split('\n'), 1):
            if match := BANNED.search(line):
                yield f'{name}:{number}: {match[1]}'


def code_opens_with_what_it_is():
    for name, text in texts(lambda name: name.endswith((*C, '.py', '.sh'))):
        start = re.sub(r'\A#![^\n]*\n', '', text).lstrip()
        opening = {'.py': r'("""|#)\s*\w', '.sh': r'#\s*\w'}.get(Path(name).suffix, r'(/\*|//)\s*\w')
        if not re.match(opening, start):
            yield f'{name}: its first lines do not say what it is'


def code_has_no_tabs():
    for where, line in lines(lambda name: name.endswith(CODE)):
        if '\t' in line:
            yield f'{where}: tab'


def no_trailing_blanks():
    for where, line in lines(is_code):
        if line != line.rstrip():
            yield f'{where}: blank at the end of the line'


def files_end_with_one_newline():
    for name, text in texts(is_code):
        if text and (not text.endswith('\n') or text.endswith('\n\n')):
            yield f'{name}: ends with no newline, or with several'


def code_lines_fit():
    # The tables of texts in the makers of golden data are data.
    for where, line in lines(lambda name: is_code(name) and not name.startswith('tools/make_golden_')):
        if len(line) > MAX_COLUMNS:
            yield f'{where}: {len(line)} columns, at most {MAX_COLUMNS}'


def files_fit():
    for name, text in texts(is_code):
        if text.count('\n') > MAX_LINES:
            yield f'{name}: {text.count(chr(10))} lines, at most {MAX_LINES}: has it two jobs?'


def nothing_is_built_for_one_machine():
    for where, line in lines(is_code):
        if NATIVE in line:
            yield f'{where}: {NATIVE}'


def nothing_is_unfinished():
    for where, line in lines(lambda name: is_code(name) or name.endswith('.md')):
        if match := UNFINISHED.search(line):
            yield f'{where}: {match[1]}'


def no_registry_host():
    for where, line in lines(lambda name: True):
        if match := REGISTRY.search(line):
            yield f'{where}: {match[0]}'


def temporary_names_are_unique():
    """Tests run side by side: a fixed name in the folder for temporary files is a collision to come."""
    for where, line in lines(is_code):
        if '/t' 'mp/' in line and 'X' * 6 not in line:
            yield f'{where}: a fixed name, take mkdtemp'


def no_path_of_one_machine():
    for where, line in lines(lambda name: True):
        if match := MACHINE_PATH.search(line):
            yield f'{where}: {match[0]}'


CHECKS = [c_uses_no_banned_function, code_opens_with_what_it_is, code_has_no_tabs, no_trailing_blanks,
          files_end_with_one_newline, code_lines_fit, files_fit, nothing_is_built_for_one_machine,
          nothing_is_unfinished, no_registry_host, no_path_of_one_machine,
          temporary_names_are_unique]

if __name__ == '__main__':
    tap.run(CHECKS)
