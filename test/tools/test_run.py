#!/usr/bin/env python3
"""This file tests test/run.py: what it makes of programs that pass, fail, skip, crash, hang or say nothing. Each case
is a folder that looks like a source tree with one test script, run by a copy of test/run.py. Prints TAP."""
import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

SOURCE = Path(__file__).resolve().parent.parent.parent
sys.path.insert(0, str(SOURCE / 'test'))
import tap  # noqa: E402

GOOD = 'print("1..2"); print("ok 1 - a"); print("ok 2 - b")'


def run(script, *flags, ci='', source=''):
    """Runs one script; returns the exit status and the lines of standard output. `source`: of an unbuilt C test."""
    with tempfile.TemporaryDirectory() as name:
        root = Path(name) / 'checkout'
        for folder in ('test/room', 'build/meson-info', 'tools'):
            (root / folder).mkdir(parents=True)
        shutil.copy(SOURCE / 'test/run.py', root / 'test')
        (root / 'build/meson-info/intro-buildoptions.json').write_text('[{"name": "b_sanitize", "value": "none"}]')
        (root / 'tools/fetch.py').write_text('raise SystemExit(1)')
        for check in ('layering', 'style'):
            (root / f'test/{check}.py').write_text('print("1..1"); print("ok 1 - fine")')
        (root / 'test/room/test_it.py').write_text(script)
        if source:
            (root / 'test/room' / source).write_text('')
        ran = subprocess.run([sys.executable, str(root / 'test/run.py'), *flags, 'build'], cwd=root, text=True,
                             env={**os.environ, 'CI': ci}, capture_output=True)
        return ran.returncode, ran.stdout.splitlines()


def expect(outcome, status, last, mentions=''):
    found_status, lines = outcome
    text = '\n'.join(lines)
    assert found_status == status, f'status {found_status}, expected {status}:\n{text}'
    assert lines[-1] == last, f'last line {lines[-1]!r}, expected {last!r}:\n{text}'
    assert mentions in text, f'{mentions!r} is not in\n{text}'


def passed_tests_are_counted():
    expect(run(GOOD), 0, '4 passed, 0 failed')


def failed_test_is_named_with_what_it_said():
    script = 'print("1..2"); print("ok 1 - a"); print("seen 3, expected 4"); print("not ok 2 - b"); raise SystemExit(1)'
    expect(run(script), 1, '3 passed, 1 failed', 'FAILED build/room/test_it: b')
    expect(run(script), 1, '3 passed, 1 failed', 'seen 3, expected 4')


def skip_of_cmocka_is_named_with_its_reason():
    script = ('import sys; print("1..2"); print("not ok 1 # SKIP a"); print("ok 2 - b"); '
              'print("# skipped: no model", file=sys.stderr)')
    expect(run(script), 0, '3 passed, 0 failed, 1 skipped', 'skipped build/room/test_it: a (no model)')


def skip_of_tap_is_named_with_its_reason():
    script = 'print("1..1"); print("ok 1 - a # SKIP no model")'
    expect(run(script), 0, '2 passed, 0 failed, 1 skipped', 'skipped build/room/test_it: a (no model)')


def skip_fails_in_ci():
    script = 'print("1..1"); print("ok 1 - a # SKIP no model")'
    expect(run(script, ci='true'), 1, '2 passed, 1 failed', 'FAILED (skipped in CI): build/room/test_it: a (no model)')


def crash_is_a_failure():
    script = 'import os, signal; print("1..2\\nok 1 - a", flush=True); os.kill(os.getpid(), signal.SIGSEGV)'
    expect(run(script), 1, '3 passed, 1 failed', 'crashed: SIGSEGV after 1 of 2 tests')


def hang_is_a_failure():
    script = 'import time; print("1..1", flush=True); time.sleep(60)'
    expect(run(script, '--timeout', '1'), 1, '2 passed, 1 failed', 'stopped after 1 s after 0 of 1 tests')


def silence_is_a_failure():
    expect(run(''), 1, '2 passed, 1 failed', 'printed no plan')


def bad_status_after_good_tests_is_a_failure():
    expect(run(GOOD + '; raise SystemExit(23)'), 1, '4 passed, 1 failed', 'ended with status 23')


def test_that_is_not_built_is_a_failure():
    expect(run(GOOD, source='test_forgotten.c'), 1, '4 passed, 1 failed', 'not built')


def pattern_selects_programs():
    expect(run(GOOD, '-k', 'test_it'), 0, '2 passed, 0 failed')
    expect(run(GOOD, '-k', 'lay*'), 0, '1 passed, 0 failed')


TESTS = [passed_tests_are_counted, failed_test_is_named_with_what_it_said, skip_of_cmocka_is_named_with_its_reason,
         skip_of_tap_is_named_with_its_reason, skip_fails_in_ci, crash_is_a_failure, hang_is_a_failure,
         silence_is_a_failure, bad_status_after_good_tests_is_a_failure, test_that_is_not_built_is_a_failure,
         pattern_selects_programs]

if __name__ == '__main__':
    tap.run(TESTS)
