#!/usr/bin/env python3
"""This file runs the test programs of one or more build folders and counts their results.

    test/run.py [-k PATTERN] [--list] [-j N] [--timeout SECONDS] [BUILD...]       default: build

A program is one of
    test/ROOM/test_NAME.c     executable BUILD/test/test_NAME
    test/fuzz/fuzz_NAME.c     executable BUILD/test/test_fuzz_NAME: the short fuzz run
    test/ROOM/test_NAME.py    script that runs the program TALLREC_BIN of each build folder
    test/layering.py, test/style.py, test/tools/test_NAME.py     of the source and its scripts, once
and prints TAP. A program that crashes, hangs, prints no plan, or fewer results than planned, is one failure with its
name. With CI set to true a skipped test is a failure. The last line is the count; status 1 when anything failed.

Announced to the programs: TALLREC_TEST_SOURCE (root of the source), TALLREC_BIN, TALLREC_TEST_SANITIZED=1 in a build
with sanitizers, and, where they are to be had, TALLREC_TEST_MODEL, TALLREC_TEST_ML100K (both from tools/fetch.py) and
TALLREC_TEST_SHARED (a folder `shared` beside the checkout). What the environment sets already stays."""
import argparse
import fnmatch
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import time
from concurrent.futures import FIRST_COMPLETED, ThreadPoolExecutor, wait
from dataclasses import dataclass, field
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent


def cpu_levels():
    """The levels of TALLREC_CPU (src/base/system.h) that this processor has."""
    try:
        flags = set(re.search(r'^flags\s*:(.*)$', Path('/proc/cpuinfo').read_text(), re.MULTILINE).group(1).split())
    except (OSError, AttributeError):
        flags = set()
    levels = ['generic']
    if {'avx2', 'fma', 'f16c'} <= flags:
        levels.append('avx2')
        if {'avx512f', 'avx512bw', 'avx512dq', 'avx512vl'} <= flags:
            levels.append('avx512')
    return levels


# Programs that run once for each of several settings: pattern of their name -> variable, its values. The first
# pattern that fits counts. A variable that the environment sets already is left alone. The tests of kernels are not
# here: they visit every level themselves.
VARIANTS = [
    ('model/test_smollm2', 'TALLREC_CPU', cpu_levels()[-1:]),  # minutes at a slower level; test_model has them all
    ('model/*', 'TALLREC_CPU', cpu_levels()),
]

# Programs that take minutes start first, so that the suite does not end by waiting for one of them.
LONG = ['model/test_smollm2']


@dataclass
class Program:
    name: str                  # kernel/test_matmul
    command: list
    build: Path
    setting: dict = field(default_factory=dict)
    missing: str = ''          # why it cannot run

    @property
    def label(self):
        label = self.name if self.build is None else f'{self.build.name}/{self.name}'
        return ' '.join([label, *self.setting.values()])


@dataclass
class Result:
    passed: int = 0
    failed: list = field(default_factory=list)     # (test, why)
    skipped: list = field(default_factory=list)    # (test, reason)
    output: str = ''                               # to be shown when something failed
    seconds: float = 0.0


# ---- which programs there are ----

def programs_of(build):
    """The source says what there is: left-over executables are not run, forgotten ones are failures."""
    for source in sorted(ROOT.glob('test/*/*')):
        room, stem = source.parent.name, source.stem
        if source.suffix == '.c' and room == 'fuzz' and stem.startswith('fuzz_'):
            executable = build / f'test/test_{stem}'
        elif source.suffix == '.c' and stem.startswith('test_'):
            executable = build / 'test' / stem
        elif source.suffix == '.py' and stem.startswith('test_') and room != 'tools':
            yield Program(f'{room}/{stem}', [sys.executable, str(source)], build)
            continue
        else:
            continue
        missing = '' if executable.is_file() else f'not built: is it in test/{room}/meson.build?'
        yield Program(f'{room}/{stem}', [str(executable)], build, missing=missing)


def with_variants(program):
    for pattern, variable, values in VARIANTS:
        if fnmatch.fnmatch(program.name, pattern) and variable not in os.environ:
            for value in values:
                yield Program(program.name, program.command, program.build, {variable: value}, program.missing)
            return
    yield program


def all_programs(builds, wanted):
    scripts = [ROOT / 'test/layering.py', ROOT / 'test/style.py', *sorted(ROOT.glob('test/tools/test_*.py'))]
    found = [Program(str(script.relative_to(ROOT / 'test').with_suffix('')), [sys.executable, str(script)], None)
             for script in scripts]
    for build in builds:
        found += [variant for program in programs_of(build) for variant in with_variants(program)]
    found.sort(key=lambda program: program.name not in LONG)
    if wanted:
        found = [p for p in found if wanted in p.label or fnmatch.fnmatch(p.name, wanted)]
    return found


# ---- what they are told ----

def is_sanitized(build):
    options = json.loads((build / 'meson-info/intro-buildoptions.json').read_text())
    return any(option['name'] == 'b_sanitize' and option['value'] not in ('none', []) for option in options)


def fetch(what):
    """Path of an asset in the cache, or None after saying why not."""
    ran = subprocess.run([sys.executable, str(ROOT / 'tools/fetch.py'), what], stdout=subprocess.PIPE, text=True)
    return ran.stdout.strip() if ran.returncode == 0 else None


def announce_files():
    """Environment variables with the real files for tests."""
    paths = {}
    for variable, find in (('TALLREC_TEST_MODEL', lambda: fetch('model')),
                           ('TALLREC_TEST_ML100K', lambda: fetch('movielens')),
                           ('TALLREC_TEST_SHARED', lambda: str(ROOT.parent / 'shared'))):
        path = os.environ.get(variable) or find()
        if path and Path(path).exists():
            paths[variable] = path
        print(f'{variable:<20} {paths.get(variable, "absent: tests that need it are skipped")}', flush=True)
    return paths


def environment_of(build, files, workers):
    """For programs of a build folder; `build` is None for checks of the source."""
    environment = {**os.environ, **files, 'TALLREC_TEST_SOURCE': str(ROOT)}
    # Two threads at least: with one, no test would see a race.
    environment.setdefault('OMP_NUM_THREADS', str(max(2, (os.cpu_count() or 1) // workers)))
    environment.setdefault('OMP_WAIT_POLICY', 'passive')
    if build is not None:
        environment['TALLREC_BIN'] = str(build / 'tallrec')
        if is_sanitized(build):
            environment['TALLREC_TEST_SANITIZED'] = '1'
            # A failed allocation is a tested path: malloc has to return NULL, as it does elsewhere.
            # cmocka catches signals; with 2 the sanitizer keeps them and says where it was. Its stacks for
            # use-after-return stay off: GCC aligns them to less than the 64 bytes that AVX-512 code counts on.
            environment['ASAN_OPTIONS'] = ('halt_on_error=1:allocator_may_return_null=1:strict_string_checks=1:'
                                           'detect_stack_use_after_return=0:handle_segv=2:handle_sigbus=2:'
                                           'handle_sigfpe=2:handle_sigill=2:' + os.environ.get('ASAN_OPTIONS', ''))
            environment['UBSAN_OPTIONS'] = ('halt_on_error=1:print_stacktrace=1:' + os.environ.get('UBSAN_OPTIONS', ''))
    return environment


# ---- reading TAP ----

PLAN = re.compile(r'^1\.\.(\d+)\s*(?:#\s*skip\S*\s*(.*))?$', re.IGNORECASE)
RESULT = re.compile(r'^(not )?ok\b\s*\d*\s*(?:- )?(.*)$')
SKIP = re.compile(r'^(.*?)#\s*skip\S*\s*(.*)$', re.IGNORECASE)


def parse_tap(stdout, stderr):
    """Returns a Result and the planned number of tests (None without a plan).

    Skipped tests come as `ok 2 - name # SKIP reason` and, from cmocka, as `not ok 2 # SKIP name`; there the reasons
    are the `# skipped: ` lines of standard error, in the same order (test/testing.h)."""
    result, planned = Result(), None
    reasons = iter(re.findall(r'^# skipped: (.*)$', stderr, re.MULTILINE))
    said = []  # lines since the last result: they belong to the next one
    for line in stdout.splitlines():
        if match := PLAN.match(line):
            planned = int(match[1])
            if match[2] is not None:
                result.skipped.append(('all of it', match[2]))
        elif match := RESULT.match(line):
            if skip := SKIP.match(match[2]):
                name = skip[1].strip()
                result.skipped.append((name, skip[2]) if name else (skip[2], next(reasons, '')))
            elif match[1]:
                result.failed.append((match[2], '\n'.join(said)))
            else:
                result.passed += 1
            said = []
        else:
            said.append(line)
    # What cmocka says of a failed assertion comes after its `not ok` line.
    result.output = '\n'.join(said)
    return result, planned


def how_it_ended(status, seconds, timeout):
    if timeout:
        return f'stopped after {seconds:.0f} s'
    if status < 0:
        try:
            return f'crashed: {signal.Signals(-status).name}'
        except ValueError:
            return f'crashed: signal {-status}'
    return f'ended with status {status}'


def judge(program, stdout, stderr, status, seconds, timeout):
    """The Result of a program that ran."""
    result, planned = parse_tap(stdout, stderr)
    result.seconds = seconds
    n_results = result.passed + len(result.failed) + len(result.skipped)
    ended = how_it_ended(status, seconds, timeout)
    if planned is None:
        result.failed.append((program.name, f'{ended} and printed no plan'))
    elif n_results < planned:
        result.failed.append((program.name, f'{ended} after {n_results} of {planned} tests'))
    elif timeout or (status != 0 and not result.failed):
        result.failed.append((program.name, ended))
    elif n_results == 0:
        result.failed.append((program.name, 'has no tests'))
    result.output = '\n'.join(part for part in (result.output, stderr.strip()) if part)
    return result


# ---- running ----

running = {}  # label -> (process, start); for the live line and for Ctrl-C
lock = threading.Lock()


def kill_group(process):
    try:
        os.killpg(process.pid, signal.SIGKILL)
    except ProcessLookupError:
        pass


def run(program, environment, timeout):
    """Runs a program in a process group and a temporary folder of its own. Returns its Result and all it printed."""
    if program.missing:
        return Result(failed=[(program.name, program.missing)]), ''
    scratch = tempfile.mkdtemp(prefix='tallrec-test-')
    started, late = time.monotonic(), False
    with tempfile.TemporaryFile() as stdout, tempfile.TemporaryFile() as stderr:
        process = subprocess.Popen(program.command, cwd=ROOT, stdin=subprocess.DEVNULL, stdout=stdout, stderr=stderr,
                                   env={**environment, **program.setting, 'TMPDIR': scratch}, start_new_session=True)
        with lock:
            running[program.label] = (process, started)
        try:
            process.wait(timeout)
        except subprocess.TimeoutExpired:
            late = True
        finally:
            kill_group(process)  # the children that it left behind, too
            process.wait()
            with lock:
                del running[program.label]
            shutil.rmtree(scratch, ignore_errors=True)
        texts = []
        for file in (stdout, stderr):
            file.seek(0)
            texts.append(file.read().decode(errors='replace'))
    return judge(program, *texts, process.returncode, time.monotonic() - started, late), ''.join(texts)


def keep_log(folder, program, text):
    folder.mkdir(exist_ok=True)
    path = folder / (re.sub(r'[/ ]', '-', program.label) + '.log')
    path.write_text(text)
    return path


# ---- showing ----

def clear_live_line():
    if sys.stdout.isatty():
        print('\r\033[K', end='', flush=True)


def show_live_line(n_done, n_all):
    if not sys.stdout.isatty():
        return
    with lock:
        now = time.monotonic()
        names = ', '.join(f'{label} {now - start:.0f} s' for label, (_, start) in running.items())
    print(f'\r\033[K{n_done}/{n_all}  {names}'[:83], end='', flush=True)


def excerpt(text, log):
    """The beginning and the end of a long output, indented."""
    lines = text.splitlines()
    if len(lines) > 80:
        lines = lines[:50] + [f'... {len(lines) - 75} lines left out, all are in {log}'] + lines[-25:]
    return '\n'.join('    ' + line for line in lines)


def show(program, result, log):
    """One line; below it what failed."""
    counts = f'{result.passed} passed'
    if result.failed:
        counts += f', {len(result.failed)} FAILED'
    if result.skipped:
        counts += f', {len(result.skipped)} skipped'
    label = program.label if len(program.label) <= 42 else program.label[:39] + '...'
    print(f'{label:<42} {counts:<28} {result.seconds:5.1f} s')
    for name, why in result.failed:
        print(f'  FAILED {name}')
        if why:
            print(excerpt(why, log))
    if result.failed and result.output:
        print(excerpt(result.output, log))
    sys.stdout.flush()


def run_all(programs, environments, workers, timeout, logs):
    """Runs them, shows each as it ends; returns pairs (program, Result)."""
    results = []
    with ThreadPoolExecutor(workers) as pool:
        pending = {pool.submit(run, program, environments[program.build], timeout): program for program in programs}
        try:
            while pending:
                for future in wait(pending, timeout=0.5, return_when=FIRST_COMPLETED).done:
                    program, (result, text) = pending.pop(future), future.result()
                    clear_live_line()
                    show(program, result, keep_log(logs, program, text))
                    results.append((program, result))
                show_live_line(len(results), len(programs))
        except BaseException:
            pool.shutdown(wait=False, cancel_futures=True)
            with lock:
                for process, _ in running.values():
                    kill_group(process)
            raise
    clear_live_line()
    return results


def summarise(results):
    """Names what was skipped and what failed, prints the count; returns its line and whether all is well."""
    strict = os.environ.get('CI') == 'true'
    n_passed = sum(result.passed for _, result in results)
    failed = [f'FAILED {program.label}: {name}' for program, result in results for name, _ in result.failed]
    skipped = []
    for program, result in results:
        for name, reason in result.skipped:
            text = f'{program.label}: {name}' + (f' ({reason})' if reason else '')
            (failed if strict else skipped).append(('FAILED (skipped in CI): ' if strict else 'skipped ') + text)
    for line in skipped + failed:
        print(line)
    count = f'{n_passed} passed, {len(failed)} failed' + (f', {len(skipped)} skipped' if skipped else '')
    print(count, flush=True)
    return count, not failed


def main():
    parser = argparse.ArgumentParser(description='Run the tests of build folders.')
    parser.add_argument('builds', nargs='*', type=Path, default=[Path('build')], metavar='BUILD')
    parser.add_argument('-k', dest='wanted', metavar='PATTERN',
                        help='only programs with this in their name, or matching it: -k gguf, -k "kernel/*"')
    parser.add_argument('--list', action='store_true', help='print the names of the programs, run none')
    parser.add_argument('-j', dest='workers', type=int, default=min(2, os.cpu_count() or 1), metavar='N',
                        help='programs at the same time (default: %(default)s)')
    parser.add_argument('--timeout', type=float, default=600, metavar='SECONDS', help='for a program (%(default)s)')
    arguments = parser.parse_args()
    builds = [build.absolute() for build in arguments.builds]
    for build in builds:
        if not (build / 'meson-info/intro-buildoptions.json').is_file():
            parser.error(f'{build} is no build folder (meson setup makes one)')
    programs = all_programs(builds, arguments.wanted)
    if arguments.list:
        print('\n'.join(program.label for program in programs))
        return 0
    if not programs:
        parser.error(f'no program matches {arguments.wanted}; --list names them')

    files = announce_files()
    environments = {build: environment_of(build, files, arguments.workers) for build in (None, *builds)}
    logs = builds[0] / 'test-logs'
    try:
        results = run_all(programs, environments, arguments.workers, arguments.timeout, logs)
    except KeyboardInterrupt:
        clear_live_line()
        print('stopped', flush=True)
        return 130
    count, well = summarise(results)
    (logs / 'summary').write_text(count + '\n')
    return 0 if well else 1


if __name__ == '__main__':
    sys.exit(main())
