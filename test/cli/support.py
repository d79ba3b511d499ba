"""This file holds what the tests of the command line share: a small made-up data set, running the program, and TAP."""
import json
import os
import random
import subprocess
import sys
import tempfile
from pathlib import Path

SOURCE = Path(__file__).resolve().parent.parent.parent
sys.path.insert(0, str(SOURCE / 'test'))
import tap  # noqa: E402
from tap import Skip  # noqa: E402, F401

BIN = os.path.abspath(os.environ.get('TALLREC_BIN') or SOURCE / 'build/tallrec')
MODEL = str(SOURCE / 'test/golden/tiny_llama.gguf')
OTHER_MODEL = str(SOURCE / 'test/golden/tiny_llama3.gguf')
ADAPTER = str(SOURCE / 'test/golden/tiny_adapter')
OTHER_ADAPTER = str(SOURCE / 'test/golden/tiny_adapter_llama3')
SANITIZED = os.environ.get('TALLREC_TEST_SANITIZED') == '1'

# Several programs share the processors: threads that wait should not keep them busy.
os.environ.setdefault('OMP_WAIT_POLICY', 'passive')

_folder = tempfile.TemporaryDirectory(prefix='tallrec-test-')
TMP = Path(_folder.name)


def run(*arguments, status=0, **options):
    """Runs tallrec; the exit status must be the expected one. The result has stdout and stderr as text."""
    ran = subprocess.run([BIN, *map(str, arguments)], capture_output='stdout' not in options, text=True, timeout=120,
                         cwd=TMP, **options)
    shown = ' '.join(map(str, arguments))
    assert ran.returncode == status, f'tallrec {shown}: status {ran.returncode}, expected {status}\n{ran.stderr}'
    return ran


def fails(*arguments, status=1, says=(), at=None, hint=None, **options):
    """The program must fail in the form of an error: what, where, what to try."""
    ran = run(*arguments, status=status, **options)
    errors = [line for line in ran.stderr.splitlines() if line.startswith('tallrec: error: ')]
    shown = ' '.join(map(str, arguments))
    assert len(errors) == 1, f'tallrec {shown}: not one error but {ran.stderr!r}'
    assert 'Sanitizer' not in ran.stderr and 'runtime error' not in ran.stderr, ran.stderr
    where = [line for line in ran.stderr.splitlines() if line.startswith('  at: ')]
    tries = [line for line in ran.stderr.splitlines() if line.startswith('  try: ')]
    for text in [says] if isinstance(says, str) else says:
        assert text in errors[0], f'{errors[0]!r} does not say {text!r}'
    if at is not None:
        assert str(at) in ''.join(errors + where), f'{ran.stderr!r} is not at {at}'
    if hint is not None:
        assert tries and hint in tries[0], f'{ran.stderr!r} does not say to try {hint!r}'
    return ran


def movielens(folder, n_users=12, per_user=25):
    """Made-up ratings in GroupLens' layout."""
    folder.mkdir(parents=True)
    chance = random.Random(7)
    with open(folder / 'u.item', 'w', encoding='latin-1') as out:
        for item in range(1, 41):
            out.write(f'{item}|Film {item} (19{50 + item})|01-Jan-1990||http://example.com' + '|0' * 19 + '\n')
    with open(folder / 'u.data', 'w') as out:
        time = 800000000
        for user in range(1, n_users + 1):
            for item in chance.sample(range(1, 41), per_user):
                time += 60
                out.write(f'{user}\t{item}\t{chance.choice([1, 2, 4, 5])}\t{time}\n')
    return folder


def data():
    """The data folder made from them; made once."""
    folder = TMP / 'data'
    if not folder.exists():
        run('import', 'movielens', movielens(TMP / 'ml'), '-o', folder, '--quiet')
    return folder


def rows(path):
    with open(path, encoding='utf-8') as lines:
        return [json.loads(line) for line in lines]


def write(name, text):
    path = TMP / name
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    return path


def write_rows(name, examples):
    return write(name, ''.join(json.dumps(example) + '\n' for example in examples))


def files(folder):
    """All bytes below a folder by name."""
    paths = sorted(path for path in Path(folder).rglob('*') if path.is_file())
    return {str(path.relative_to(folder)): path.read_bytes() for path in paths}


_tests = []


def claim(function):
    """Marks a test; its name is the claim."""
    _tests.append(function)
    return function


def main():
    tap.run(_tests)
