"""This file tests what the program says about files that are broken, missing, or do not belong together, and that it
never leaves a half-written one."""
import json
import os
import subprocess

from support import (ADAPTER, BIN, MODEL, OTHER_ADAPTER, OTHER_MODEL, TMP, claim, data, fails, files, main, movielens,
                     rows, run, write, write_rows)

QUESTION = ('User Preference: "A", "B"\nUser Unpreference: "C"\n'
            'Whether the user will like the target movie "D"?')


def example(output='Yes.', **more):
    return {'instruction': 'Say Yes or No.', 'input': QUESTION, 'output': output, **more}


def model_commands(model):
    return [['score', '--model', model, '--data', data()],
            ['eval', '--model', model, '--data', data()],
            ['rank', '--model', model, '--data', data(), '--user', '1'],
            ['tune', '--model', model, '--data', data(), '-o', 'never'],
            ['tokenize', '--model', model, '--text', 'x']]


@claim
def test_a_missing_model_is_named():
    for command in model_commands('no/such.gguf'):
        fails(*command, at='no/such.gguf')


@claim
def test_a_truncated_model_is_named_with_its_place():
    whole = open(MODEL, 'rb').read()
    for size in (0, 3, 100, 5000, len(whole) // 2, len(whole) - 200):
        cut = write('cut.gguf', whole[:size])
        for command in model_commands(cut)[:1]:
            fails(*command, at='cut.gguf')
    for command in model_commands(cut)[:4]:
        fails(*command, at='cut.gguf')
    assert not (TMP / 'never').exists()


@claim
def test_a_file_that_is_no_model_is_refused():
    fails('score', '--model', data() / 'card.json', '--data', data(), at='card.json')
    fails('score', '--model', TMP, '--data', data(), at=TMP)


@claim
def test_a_wrong_adapter_is_refused_by_name():
    base = ['score', '--model', MODEL, '--data', data()]
    fails(*base, '--adapter', 'nowhere', at='nowhere')
    fails(*base, '--adapter', data())
    fails('score', '--model', OTHER_MODEL, '--data', data(), '--adapter', ADAPTER, at=ADAPTER)
    fails(*base, '--adapter', OTHER_ADAPTER, at=OTHER_ADAPTER)
    broken = TMP / 'broken'
    broken.mkdir()
    for name, content in files(ADAPTER).items():
        (broken / name).write_bytes(content if name.endswith('.json') else content[:-100])
    fails(*base, '--adapter', broken, at='broken')
    fails('tune', '--model', MODEL, '--data', data(), '-o', 'never', '--init-adapter', broken, at='broken')
    assert not (TMP / 'never').exists()


@claim
def test_missing_and_empty_data_are_named():
    for path in ('nowhere', 'nowhere.jsonl'):
        fails('score', '--model', MODEL, '--data', path, at=path)
        fails('eval', '--model', MODEL, '--data', path, at=path)
    for name, text in [('empty.jsonl', ''), ('list.json', '[]'), ('blank.jsonl', '\n\n'),
                       ('garbage.json', b'\xff\x00\x80'), ('cut.json', '[{"instruction": "a"'), ('number.json', '17')]:
        path = write(name, text)
        fails('score', '--model', MODEL, '--data', path, at=name)
        fails('tune', '--model', MODEL, '--train', path, '-o', 'never', at=name)
        fails('import', 'tallrec', '--test', path, '-o', 'never', at=name)
    (TMP / 'hollow').mkdir()
    fails('eval', '--model', MODEL, '--data', 'hollow', at='hollow', hint='import')
    fails('import', 'movielens', 'hollow', '-o', 'never', at='hollow')
    assert not (TMP / 'never').exists()


@claim
def test_bad_rows_are_told_by_line_and_refused_beyond_the_share():
    lines = [json.dumps(example('Yes.' if i % 2 else 'No.')) for i in range(20)]
    lines[6] = '{"instruction": 5}'
    path = write('train.jsonl', '\n'.join(lines))
    fails('import', 'tallrec', path, '-o', 'never', at='train.jsonl')
    ran = run('import', 'tallrec', path, '-o', TMP / 'tolerant', '--max-bad', '0.1')
    assert 'train.jsonl:7' in ran.stderr and '1 bad line' in ran.stdout, ran.stderr + ran.stdout


@claim
def test_data_of_one_class_have_no_auc_and_say_so():
    path = write_rows('one.jsonl', [example('Yes.', user=str(i % 3)) for i in range(12)])
    out = run('eval', '--model', MODEL, '--data', path).stdout
    assert 'AUC is undefined: all 12 rows have the label Yes' in out, out
    figures = json.loads(run('eval', '--model', MODEL, '--data', path, '--json').stdout)
    assert figures, figures
    fails('tune', '--model', MODEL, '--train', path, '--valid', path, '-o', 'never', says='Yes')
    fails('tune', '--model', MODEL, '--train', path, '--balanced', '--shots', '4', '-o', 'never')
    assert not (TMP / 'never').exists()


@claim
def test_rows_without_answers_can_be_scored_but_not_evaluated():
    path = write_rows('open.jsonl', [example('Perhaps.'), example('Yes.', user='u', item='i')])
    scored = [json.loads(line) for line in run('score', '--model', MODEL, '--data', path).stdout.splitlines()]
    assert [row['label'] for row in scored] == [None, 1] and scored[0]['user'] is None and scored[1]['item'] == 'i'
    fails('eval', '--model', MODEL, '--data', path)


@claim
def test_a_data_folder_that_was_changed_is_refused():
    folder = TMP / 'changed'
    run('import', 'movielens', movielens(TMP / 'ml2'), '-o', folder)
    with open(folder / 'test.jsonl', 'a') as out:
        out.write(json.dumps(example()) + '\n')
    fails('score', '--model', MODEL, '--data', folder, says='changed')


@claim
def test_import_replaces_only_folders_of_its_own():
    foreign = TMP / 'foreign'
    foreign.mkdir()
    (foreign / 'letter.txt').write_text('dear all')
    fails('import', 'movielens', TMP / 'ml', '-o', foreign, status=2, at='foreign')
    assert files(foreign) == {'letter.txt': b'dear all'}
    twice = files(data())
    run('import', 'movielens', TMP / 'ml', '-o', data())
    assert files(data()) == twice


@claim
def test_unknown_users_and_empty_histories_are_named():
    base = ['rank', '--model', MODEL, '--data', data()]
    fails(*base, '--user', 'nobody', says='nobody')
    fails(*base, '--history', write('empty.tsv', ''), at='empty.tsv')
    fails(*base, '--history', write('bad.tsv', 'Film 1 (1951)\tperhaps\n'), at='bad.tsv:1')
    fails(*base, '--user', '1', '--candidates', write('none.txt', ''), at='none.txt')
    fails(*base, '--history', 'nowhere.tsv', at='nowhere.tsv')
    published = write_rows('test.json', [example(), example('No.')])
    run('import', 'tallrec', '--test', published, '-o', TMP / 'published')
    fails('rank', '--model', MODEL, '--data', TMP / 'published', '--user', '1')


@claim
def test_outputs_that_cannot_be_written_are_named_and_leave_nothing():
    before = sorted(os.listdir(TMP))
    fails('score', '--model', MODEL, '--data', data(), '-o', 'no/such/folder/out.jsonl', at='no/such/folder/out.jsonl')
    fails('eval', '--model', MODEL, '--data', data(), '--report', 'no/such/folder/out.html', at='out.html')
    fails('score', '--model', MODEL, '--data', data(), '-o', data(), '--rows', '1', status=2)
    blocked = write('blocked', 'a file')
    fails('tune', '--model', MODEL, '--data', data(), '-o', blocked / 'run', at='blocked')
    fails('import', 'movielens', TMP / 'ml', '-o', blocked / 'data', at='blocked')
    blocked.unlink()
    assert sorted(os.listdir(TMP)) == before


@claim
def test_a_full_disk_fails_and_leaves_the_earlier_file():
    out = write('scores.jsonl', 'earlier\n')
    script = f"ulimit -f 1; trap '' XFSZ; exec '{BIN}' score --model '{MODEL}' --data '{data()}' -o scores.jsonl"
    ran = subprocess.run(['bash', '-c', script], cwd=TMP, capture_output=True, text=True)
    assert ran.returncode == 1 and 'tallrec: error: ' in ran.stderr and 'scores.jsonl' in ran.stderr, ran.stderr
    assert out.read_text() == 'earlier\n' and not list(TMP.glob('scores.jsonl.tmp.*'))


@claim
def test_a_row_too_long_for_the_model_loses_history_and_is_counted():
    titles = ', '.join(f'"Film number {i}"' for i in range(200))
    long = QUESTION.replace('"A", "B"', titles)
    path = write_rows('long.jsonl', [{**example(), 'input': long}, example()])
    ran = run('score', '--model', MODEL, '--data', path)
    assert '1 of 2 rows' in ran.stderr and 'oldest history' in ran.stderr, ran.stderr
    assert len(ran.stdout.splitlines()) == 2
    endless = {**example(), 'instruction': 'word ' * 5000}
    fails('score', '--model', MODEL, '--data', write_rows('endless.jsonl', [example(), endless]), says='row 1')
    fails('tune', '--model', MODEL, '--train', write_rows('endless.jsonl', [endless]), '-o', 'never',
          says='none of the 1')
    ran = run('tune', '--model', MODEL, '--train', write_rows('mixed.jsonl', [endless, example()]), '-o', 'mixed',
              '--steps', '1', '--warmup', '0')
    assert '1 of 2 training rows do not fit' in ran.stderr, ran.stderr
    assert len(rows(TMP / 'mixed' / 'train_rows.jsonl')) == 1


main()
