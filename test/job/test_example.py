"""This file runs doc/example.c, the C program that uses nothing but tallrec.h, and that its includes say so."""
import os
import re
import subprocess
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent / 'cli'))
from support import BIN, MODEL, SOURCE, TMP, claim, main, movielens  # noqa: E402

EXAMPLE = os.path.join(os.path.dirname(BIN), 'test/job/example')


def example(ratings, out):
    return subprocess.run([EXAMPLE, MODEL, str(ratings), '3', str(out)], capture_output=True, text=True, timeout=120)


@claim
def test_the_example_includes_only_the_public_header():
    includes = re.findall(r'#include [<"]([^>"]+)[>"]', (SOURCE / 'doc/example.c').read_text())
    assert sorted(includes) == ['stdio.h', 'tallrec.h']


@claim
def test_the_example_imports_tunes_evaluates_and_recommends():
    ratings = movielens(TMP / 'ml')
    ran = example(ratings, TMP / 'out')
    assert ran.returncode == 0, ran.stderr
    lines = ran.stdout.splitlines()
    assert lines[0] == '144 training rows from 300 ratings' and lines[1].startswith('8 steps, loss '), ran.stdout
    assert lines[2].startswith('AUC ') and [line[:2] for line in lines[3:]] == ['1.', '2.', '3.', '4.', '5.'], lines


@claim
def test_the_example_tells_what_went_wrong():
    ran = example('nowhere', TMP / 'none')
    assert ran.returncode == 1 and 'nowhere' in ran.stderr


main()
