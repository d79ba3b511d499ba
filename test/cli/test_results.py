"""This file tests that what the commands print is right, and the same wherever the same is asked."""
import json
import math
import os

from support import (ADAPTER, MODEL, SANITIZED, SOURCE, TMP, Skip, claim, data, files, main, movielens, rows, run,
                     write, write_rows)

SCORE = ['score', '--model', MODEL, '--adapter', ADAPTER, '--data']


def scores(*words):
    return [json.loads(line) for line in run(*words).stdout.splitlines()]


@claim
def test_tokenize_gives_the_golden_ids_and_decode_the_text_back():
    golden = json.loads((SOURCE / 'test/golden/tiny_tokens.json').read_text())
    for case in golden['cases']:
        text = case['text']
        if '\0' in text:
            continue
        path = write('text.txt', text)
        assert json.loads(run('tokenize', '--model', MODEL, '--file', path).stdout) == case['ids'], text
        assert run('tokenize', '--model', MODEL, '--text', json.dumps(case['ids']), '--decode').stdout == text + '\n'


@claim
def test_tokenize_shows_pieces_and_special_tokens():
    out = run('tokenize', '--model', MODEL, '--text', 'Yes.\n', '--pieces').stdout.splitlines()
    assert out[0].split()[2] == '"Yes"' and out[-1].endswith('"\\n"')
    special = json.loads(run('tokenize', '--model', MODEL, '--text', '<|endoftext|>').stdout)
    plain = json.loads(run('tokenize', '--model', MODEL, '--text', '<|endoftext|>', '--plain').stdout)
    assert len(special) == 1 and len(plain) > 1


@claim
def test_score_gives_a_line_a_row_in_the_order_of_the_input():
    scored = scores(*SCORE, data())
    examples = rows(data() / 'test.jsonl')
    assert len(scored) == len(examples) == 18
    for number, (row, example) in enumerate(zip(scored, examples)):
        assert list(row) == ['row', 'user', 'item', 'label', 'score', 'logp_yes', 'logp_no']
        assert row['row'] == number and row['user'] == example['user'] and row['item'] == example['item']
        assert row['label'] == (1 if example['output'] == 'Yes.' else 0)
        assert row['score'] == row['logp_yes'] - row['logp_no'] and row['logp_yes'] < 0 and row['logp_no'] < 0


@claim
def test_scores_are_the_same_from_folder_file_and_output_file():
    base = scores(*SCORE, data())
    assert scores(*SCORE, data() / 'test.jsonl') == base
    assert scores(*SCORE, data(), '--rows', '5')[4]['row'] == 4
    run(*SCORE, data(), '-o', 'out.jsonl')
    assert rows(TMP / 'out.jsonl') == base
    assert len(scores(*SCORE, data(), '--split', 'valid')) == 18
    array = write('array.json', json.dumps(rows(data() / 'test.jsonl')))
    assert scores(*SCORE, array) == base


@claim
def test_threads_change_no_bit_of_a_score_and_grouping_only_the_last():
    base = run(*SCORE, data(), '--threads', '1').stdout
    assert run(*SCORE, data(), '--threads', '2').stdout == run(*SCORE, data(), '--threads', '5').stdout == base
    for micro_tokens in ('1', '300', '20000'):
        for a, b in zip(scores(*SCORE, data(), '--micro-tokens', micro_tokens), map(json.loads, base.splitlines())):
            assert math.isclose(a['score'], b['score'], abs_tol=1e-4), (micro_tokens, a, b)


@claim
def test_every_thing_about_a_prompt_counts():
    example = rows(data() / 'test.jsonl')[0]
    changed = [{**example, 'instruction': example['instruction'] + ' Please.'},
               {**example, 'input': example['input'].replace('Film', 'Movie')}, {**example, 'input': ''}]
    path = write_rows('changed.jsonl', [example, *changed])
    found = [row['score'] for row in scores(*SCORE, path)]
    assert len(set(found)) == 4, found


@claim
def test_eval_json_agrees_with_the_scores():
    scored = scores(*SCORE, data())
    pairs = [(a, b) for a in scored for b in scored if a['label'] > b['label']]
    wins = sum((a['score'] > b['score']) + (a['score'] == b['score']) / 2 for a, b in pairs)
    auc = wins / len(pairs)
    text = run('eval', '--model', MODEL, '--adapter', ADAPTER, '--data', data(), '--json').stdout
    figures = json.loads(text)
    assert f'{auc:.6f}'[:7] in text or any(abs(value - auc) < 1e-9 for value in numbers(figures)), (auc, text[:400])
    protocol = figures['protocol']
    assert protocol['rows'] == 18 and protocol['split'] == 'test' and len(protocol['model']['sha256']) == 64
    assert len(protocol['adapter']['model']['sha256']) == 64 and protocol['data']['splits']['test']['rows'] == 18
    for threads in ('1', '3'):
        assert run('eval', '--model', MODEL, '--adapter', ADAPTER, '--data', data(), '--json', '--threads',
                   threads).stdout == text


def numbers(value):
    if isinstance(value, dict):
        value = list(value.values())
    if isinstance(value, list):
        for part in value:
            yield from numbers(part)
    elif isinstance(value, (int, float)) and not isinstance(value, bool):
        yield value


@claim
def test_eval_carries_its_controls_and_a_verdict():
    run('tune', '--model', MODEL, '--data', data(), '-o', 'run', '--shots', '24', '--steps', '2', '--warmup', '0')
    base = ['eval', '--model', MODEL, '--adapter', 'run/adapter', '--data', data()]
    out = run(*base, '--with-base').stdout
    for text in ('like share', 'item mean', 'history shuffled', '24 training rows that the model saw',
                 'all 144 training rows'):
        assert text in out, out
    assert all(len(line) <= 80 for line in out.splitlines()) and out.endswith('\n')
    assert 'history shuffled' not in run(*base, '--no-shuffled').stdout
    seeded = [*base, '--bootstrap', '50', '--seed', '4']
    assert run(*seeded).stdout == run(*seeded).stdout


@claim
def test_eval_writes_a_self_contained_report():
    run('tune', '--model', MODEL, '--data', data(), '-o', 'reported', '--shots', '24', '--steps', '4', '--warmup', '0',
        '--eval-every', '2')
    run('eval', '--model', MODEL, '--adapter', 'reported/adapter', '--data', data(), '--report', 'report.html')
    page = (TMP / 'report.html').read_text()
    assert page.startswith('<!') and page.rstrip().endswith('</html>') and '<svg' in page
    assert 'tallrec tune --model' in page and 'http' not in page.replace('http://www.w3.org', '')


@claim
def test_evaluating_rows_that_were_trained_on_is_told():
    run('tune', '--model', MODEL, '--data', data(), '-o', 'leak', '--shots', '24', '--steps', '1', '--warmup', '0')
    ran = run('eval', '--model', MODEL, '--adapter', 'leak/adapter', '--data', data(), '--split', 'train',
              '--no-shuffled')
    assert '24 of the 144 rows are among the rows' in ran.stderr, ran.stderr


@claim
def test_rank_orders_all_unseen_items_by_their_scores():
    base = ['rank', '--model', MODEL, '--adapter', ADAPTER, '--data', data(), '--user', '3']
    ranked = json.loads(run(*base, '-k', '0', '--json').stdout)
    seen = {line.split('\t')[1] for line in (TMP / 'ml/u.data').read_text().splitlines() if line.split('\t')[0] == '3'}
    items = [entry['item'] for entry in ranked['items']]
    assert ranked['candidates'] == len(items) == 15 and not seen & set(items)
    in_order = [entry['score'] for entry in ranked['items']]
    assert in_order == sorted(in_order, reverse=True)
    assert all(math.isclose(entry['probability'], 1 / (1 + math.exp(-entry['score']))) for entry in ranked['items'])
    table = run(*base, '-k', '4').stdout
    lines = [line for line in table.splitlines() if line.strip()[:1].isdigit()]
    assert [line.split(maxsplit=2)[2] for line in lines] == [entry['title'] for entry in ranked['items'][:4]]


@claim
def test_rank_agrees_with_score_on_the_same_question():
    example = rows(data() / 'test.jsonl')[0]
    history = write('history.jsonl', ''.join(json.dumps(entry) + '\n' for entry in example['history']))
    candidates = write('candidates.txt', example['title'] + '\n')
    base = ['rank', '--model', MODEL, '--adapter', ADAPTER, '--data', data(), '--json']
    ranked = json.loads(run(*base, '--history', history, '--candidates', candidates).stdout)
    score = scores(*SCORE, data(), '--rows', '1')[0]['score']
    first = ranked['items'][0]
    assert first['item'] == example['item'] and math.isclose(first['score'], score, abs_tol=1e-4)
    liked = {True: 'yes', False: 'no'}
    lines = [f"{entry['title']}\t{liked[entry['liked']]}\n" for entry in example['history']]
    lines = write('history.tsv', ''.join(lines))
    assert json.loads(run(*base, '--history', lines, '--candidates', candidates).stdout)['items'] == ranked['items']


@claim
def test_rank_lists_a_title_with_two_ids_once():
    folder = movielens(TMP / 'twins')
    catalogue = (folder / 'u.item').read_text().replace('|Film 40 (1990)|', '|Film 39 (1989)|')
    (folder / 'u.item').write_text(catalogue)
    run('import', 'movielens', folder, '-o', 'twin-data')
    history = write('one.tsv', 'Film 1 (1951)\tyes\n')
    base = ['rank', '--model', MODEL, '--data', 'twin-data', '--history', history]
    ranked = json.loads(run(*base, '-k', '0', '--json').stdout)
    titles = [entry['title'] for entry in ranked['items']]
    assert len(titles) == len(set(titles)) == 38, titles


@claim
def test_import_is_reproducible_and_published_rows_come_in():
    run('import', 'movielens', TMP / 'ml', '-o', 'again')
    assert files(TMP / 'again') == files(data())
    published = [{key: row[key] for key in ('instruction', 'input', 'output')} for row in rows(data() / 'test.jsonl')]
    path = write('my_test.json', json.dumps(published))
    out = run('import', 'tallrec', path, '-o', 'published').stdout
    assert ' 18 ' in out
    assert [row['score'] for row in scores(*SCORE, 'published')] == [row['score'] for row in scores(*SCORE, data())]


def smollm2():
    model = os.environ.get('TALLREC_TEST_MODEL')
    shared = os.environ.get('TALLREC_TEST_SHARED')
    if not model or not shared:
        raise Skip('TALLREC_TEST_MODEL and TALLREC_TEST_SHARED announce the real model and the published rows')
    return model, shared


def test_smollm2_scores_equal_those_of_transformers():
    model, shared = smollm2()
    golden = json.loads((SOURCE / 'test/golden/smollm2_scores.json').read_text())
    published = next(path for path in sorted_files(shared) if digest(path) == golden['rows_sha256'])
    n = 24
    found = scores('score', '--model', model, '--data', published, '--rows', n)
    for row, wanted in zip(found, golden['rows'][:n]):
        assert row['row'] == wanted['row']
        assert all(abs(row[key] - wanted[key]) < 1e-3 for key in ('logp_yes', 'logp_no')), (row, wanted)


def sorted_files(shared):
    for folder, _, names in sorted(os.walk(os.path.join(shared, 'data'))):
        for name in sorted(names):
            if name.endswith('.json'):
                yield os.path.join(folder, name)


def digest(path):
    import hashlib
    with open(path, 'rb') as content:
        return hashlib.sha256(content.read()).hexdigest()


if not SANITIZED:  # a minute of arithmetic that the other tests do in small
    claim(test_smollm2_scores_equal_those_of_transformers)

main()
