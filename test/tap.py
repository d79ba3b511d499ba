"""This file runs Python tests and prints TAP for test/run.py: `import tap`, and `tap.run(TESTS)` at the end."""
import sys
import traceback


class Skip(Exception):
    """Raised by a test that cannot run here; says why."""


def run(tests):
    """Runs functions without arguments and exits. A test fails when it raises AssertionError or anything else, or
    returns (yields) complaints: lines that say what is wrong."""
    print(f'1..{len(tests)}')
    n_failed = 0
    for number, test in enumerate(tests, 1):
        verdict = 'ok'
        ending = ''
        try:
            complaints = list(test() or ())
            for complaint in complaints:
                print(f'# {complaint}')
            if complaints:
                verdict = 'not ok'
        except Skip as reason:
            ending = f' # SKIP {reason}'
        except Exception:
            print(traceback.format_exc())
            verdict = 'not ok'
        n_failed += verdict != 'ok'
        print(f'{verdict} {number} - {test.__name__}{ending}', flush=True)
    sys.exit(1 if n_failed else 0)
