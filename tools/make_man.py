#!/usr/bin/env python3
"""This file makes the manual page doc/tallrec.1 from what the program's --help says, so that both say the same.

    tools/make_man.py build/tallrec > doc/tallrec.1"""
import re
import subprocess
import sys

BIN = sys.argv[1]


def text_of(*arguments):
    return subprocess.run([BIN, *arguments], check=True, capture_output=True, text=True).stdout


def escaped(text):
    """Text that troff leaves alone."""
    text = text.replace('\\', '\\e').replace('-', '\\-')
    return '\\&' + text if text[:1] in ".'" else text


def commands():
    """Pairs of name and summary from the list of commands."""
    return re.findall(r'^  (\w+) +(\S.*)$', text_of('--help').split('\n\n')[2], re.MULTILINE)


def paragraphs(lines):
    """Consecutive lines joined; blank lines separate."""
    return [' '.join(part.split()) for part in '\n'.join(lines).split('\n\n') if part.strip()]


def flag_entries(lines):
    """Pairs of flag and help from one group; help may begin on the next line, always in column 25."""
    entries = []
    for line in lines:
        match = re.match(r'^  (-\S.*?)(?:  +(\S.*))?$', line) if not line.startswith(' ' * 3) else None
        if match:
            entries.append([match[1], match[2] or ''])
        elif line.strip():
            entries[-1][1] += ' ' + line.strip()
    return entries


def print_command(name):
    usage, rest = text_of(name, '--help').split('\n\n', 1)
    print(f'.SS {escaped(name)}')
    print(f'.B {escaped(" ".join(usage.split()[1:]))}')
    sections = re.split(r'^(\S.*):\n(?=  )', rest, flags=re.MULTILINE)
    for paragraph in paragraphs(sections[0].split('\n')):
        print(f'.PP\n{escaped(paragraph)}')
    for title, body in zip(sections[1::2], sections[2::2]):
        print(f'.PP\n.I {escaped(title)}')
        if title == 'Examples':
            print('.PP\n.nf')
            print('\n'.join(escaped(line) for line in body.rstrip('\n').split('\n')))
            print('.fi')
            continue
        for flag, words in flag_entries(body.split('\n')):
            print(f'.TP\n.B {escaped(flag)}\n{escaped(words.strip())}')


def main():
    version = text_of('--version').split()[1]
    print(f'.\\" Made by tools/make_man.py from tallrec --help.\n.TH TALLREC 1 "" "tallrec {version}" "User Commands"')
    print('.SH NAME\ntallrec \\- turn a language model into a recommender from a few dozen ratings')
    print('.SH SYNOPSIS\n.B tallrec\n.I COMMAND\n[flags]')
    print('.SH COMMANDS')
    for name, summary in commands():
        print(f'.TP\n.B {escaped(name)}\n{escaped(summary)}')
    print('.SH DETAILS')
    for name, _ in commands():
        print_command(name)
    print('.SH EXIT STATUS\n0 done, 1 failed, 2 wrong command line. Errors go to standard error: what, where ')
    print('(at:), and what to do (try:).')
    print('.SH ENVIRONMENT\n.TP\n.B TALLREC_CPU\nthe highest instruction set to use: generic, avx2, avx512')


main()
