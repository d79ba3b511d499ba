"""This file tests what the program says about itself and about wrong command lines."""
import os
import subprocess
import sys

from support import ADAPTER, BIN, MODEL, SOURCE, TMP, claim, data, fails, main, run

COMMANDS = ['import', 'tune', 'eval', 'score', 'rank', 'tokenize']


@claim
def test_version_is_one_line_on_stdout():
    assert run('--version').stdout.startswith('tallrec ') and run('-V').stdout.count('\n') == 1


@claim
def test_help_lists_every_command():
    for words in (['--help'], ['-h'], ['help']):
        out = run(*words).stdout
        assert all(f'  {command} ' in out for command in COMMANDS), out


@claim
def test_help_of_each_command_fits_80_columns_and_has_an_example():
    for words in [['--help'], *([command, '--help'] for command in COMMANDS)]:
        ran = run(*words)
        assert ran.stderr == '' and f'tallrec {words[0] if len(words) > 1 else "import"} ' in ran.stdout
        for line in ran.stdout.splitlines():
            assert len(line) <= 80, f'{words}: {line!r}'
            assert line == line.rstrip(), f'{words}: blanks at the end of {line!r}'
        if len(words) > 1:
            assert '\nExamples:\n  tallrec ' in ran.stdout
            assert ran.stdout == run('help', words[0]).stdout
            assert '--threads' in ran.stdout and '--quiet' in ran.stdout


@claim
def test_the_manual_page_says_what_the_help_says():
    made = subprocess.run([sys.executable, str(SOURCE / 'tools/make_man.py'), BIN], capture_output=True, text=True)
    assert made.stdout == (SOURCE / 'doc/tallrec.1').read_text(), 'tools/make_man.py build/tallrec > doc/tallrec.1'


@claim
def test_help_shows_defaults_whatever_else_the_line_says():
    out = run('tune', '--rank', '3', '--help').stdout
    assert 'rank of the LoRA matrices (default 8)' in out and '(default 0.0001)' in out and '(default 512)' in out


@claim
def test_no_command_and_unknown_commands_are_bad_usage():
    fails(status=2, says='no command')
    fails('scroe', status=2, says='scroe', hint='tallrec score')
    fails('xyzzyx', status=2, hint='tallrec --help')
    fails('--quiet', 'score', status=2, says='--quiet comes before')
    fails('help', 'tunee', status=2, hint='tallrec tune')


@claim
def test_unknown_flags_are_named_with_the_nearest():
    for command in COMMANDS:
        fails(command, '--thraeds', '2', status=2, says=['--thraeds', command], hint='--threads')
    fails('tune', '--learning-rate', '1', status=2, says='--learning-rate')
    fails('tune', '--warm', '1', status=2, hint='--warmup')
    fails('score', '-x', status=2, says='-x')


@claim
def test_missing_flags_are_named():
    fails('import', 'movielens', TMP, status=2, says='--out')
    fails('import', '-o', 'out', status=2, says='import what')
    fails('import', 'movielens', '-o', 'out', status=2, says='movielens')
    fails('score', '--model', MODEL, status=2, says='--data')
    fails('score', '--data', data(), status=2, says='--model')
    fails('eval', '--model', MODEL, status=2, says='--data')
    fails('rank', '--model', MODEL, '--data', data(), status=2, says='--user')
    fails('rank', '--model', MODEL, '--data', data(), '--user', '1', '--history', 'x', status=2, says='exclude')
    fails('tune', '--data', data(), '-o', 'r', status=2, says='--model')
    fails('tune', '--model', MODEL, '-o', 'r', status=2, says='--data')
    fails('tune', '--model', MODEL, '--data', data(), status=2, says='-o')
    fails('tune', '--resume', status=2, says='-o')
    fails('tokenize', '--text', 'x', status=2, says='--model')
    fails('tokenize', '--model', MODEL, status=2, says='--text')
    fails('tokenize', '--model', MODEL, '--text', 'x', '--file', 'y', status=2)


@claim
def test_flags_without_value_twice_or_with_a_wrong_value_are_bad_usage():
    base = ['score', '--model', MODEL, '--data', data()]
    fails(*base, '--rows', status=2, says='--rows needs a value')
    fails('score', '--model', '--data', data(), status=2, says='--model needs a value', hint='--data')
    fails(*base, '--rows', '3', '--rows', '4', status=2, says='twice')
    fails(*base, '--rows', '0', status=2, says='out of range')
    fails(*base, '--rows', 'many', status=2, says=['--rows', 'many'])
    fails(*base, '--rows', '99999999999999999999', status=2, says='out of range')
    fails(*base, '--threads', '2.5', status=2, says='--threads')
    fails(*base, '--quiet=1', status=2, says='takes no value')
    fails(*base, '--split', 'tset', status=2, says='tset', hint='train|valid|test')
    fails(*base, '--compute', 'int8', status=2, hint='f32')
    fails(*base, 'something', status=2, says='something')
    fails('import', 'movielens', TMP, '-o', 'out', '--max-bad', '1.5', status=2, says='--max-bad')
    fails('import', 'movielens', TMP, '-o', 'out', '--max-bad', 'nan', status=2, says='--max-bad')
    fails('import', 'grouplens', TMP, '-o', 'out', status=2, says='grouplens', hint='movielens')
    fails('eval', '--model', MODEL, '--data', data(), '--seed', '-1', status=2, says='--seed')


@claim
def test_wrong_choices_of_a_recipe_are_bad_usage_and_write_nothing():
    base = ['tune', '--model', MODEL, '--data', data(), '-o', 'refused']
    for flag, value in [('rank', '0'), ('rank', 'x'), ('alpha', '-1'), ('dropout', '1'), ('targets', 'q_prj'),
                        ('lr', '0'), ('lr', 'inf'), ('schedule', 'step'), ('warmup', '-1'), ('batch', '0'),
                        ('micro-tokens', '0'), ('epochs', '0'), ('loss-on', 'some'), ('weight-decay', '2'),
                        ('clip', '-1'), ('eval-every', '-1'), ('patience', 'x'), ('valid-rows', '-3'),
                        ('cutoff', '0'), ('seed', '-1'), ('shuffle', 'yes')]:
        fails(*base, f'--{flag}', value, status=2)
    fails(*base, '--recipe', 'slow', status=2, says='slow', hint='paper, quick')
    fails(*base, '--shots', '100000', status=2, says='shots')
    fails(*base, '--balanced', '--no-balanced', status=2, says='exclude')
    fails(*base, '--valid', 'x', status=2, says='--train')
    fails(*base, '--train', 'x', status=2)
    fails('tune', '--resume', '-o', 'refused', '--rank', '4', status=2, says='--rank')
    fails('tune', '--resume', '-o', 'refused', status=2, says='no run')
    fails(*base, '--init-adapter', ADAPTER, '--rank', '7', status=2, says='--rank', at=ADAPTER)
    fails(*base, '--init-adapter', ADAPTER, '--targets', 'q_proj', status=2, says='--targets')
    assert not (TMP / 'refused').exists()


@claim
def test_a_reader_that_leaves_is_no_drama():
    script = f"'{BIN}' tokenize --model '{MODEL}' --text '{'word ' * 20000}' --pieces | head -1"
    ran = subprocess.run(['bash', '-c', script], capture_output=True, text=True, timeout=60)
    assert ran.stdout.count('\n') == 1 and ran.stderr == '', ran.stderr


@claim
def test_output_that_cannot_be_written_is_a_failure():
    if not os.path.exists('/dev/full'):
        return
    for words in (['--help'], ['tune', '--help'], ['tokenize', '--model', MODEL, '--text', 'x'],
                  ['score', '--model', MODEL, '--data', data(), '--rows', '2', '--quiet']):
        with open('/dev/full', 'w') as full:
            ran = run(*words, status=1, stdout=full, stderr=subprocess.PIPE)
        assert 'tallrec: error: cannot write the result' in ran.stderr and 'standard output' in ran.stderr, ran.stderr


@claim
def test_closed_descriptors_are_noticed_and_hurt_nobody():
    ran = subprocess.run(['bash', '-c', f"'{BIN}' --version >&-"], capture_output=True, text=True)
    assert ran.returncode == 1 and 'standard output' in ran.stderr, ran.stderr
    script = f"'{BIN}' score --model '{MODEL}' --data '{data()}' -o closed.jsonl <&- >&- 2>&-"
    ran = subprocess.run(['bash', '-c', script], cwd=TMP, capture_output=True)
    assert ran.returncode == 0 and (TMP / 'closed.jsonl').read_text().count('\n') == 18


main()
