"""This file tests runs: what their folder holds, and that stopping, killing, resuming and threads change nothing."""
import array
import json
import os
import signal
import struct
import subprocess
import time

from support import ADAPTER, BIN, MODEL, SANITIZED, TMP, claim, data, fails, files, main, rows, run, write_rows

SMALL = ['--shots', '24', '--batch', '6', '--warmup', '1', '--eval-every', '4', '--lr', '0.01', '--rank', '4',
         '--micro-tokens', '600', '--seed', '3']
STEPS = 24


def start(folder, *more):
    """The command line of a small run of four steps an epoch."""
    epochs = () if '--epochs' in more else ('--epochs', '6')
    return ['tune', '--model', MODEL, '--data', data(), '-o', folder, *SMALL, *epochs, *more]


def result(folder):
    """What a run must reproduce: adapters to the byte, and metrics but for their seconds."""
    found = {name: content for name, content in files(TMP / folder).items() if name.startswith('adapter')}
    metrics = rows(TMP / folder / 'metrics.jsonl')
    for line in metrics:
        line.pop('seconds')
    return found, metrics


def straight():
    """The uninterrupted run; made once."""
    if not (TMP / 'straight').exists():
        run(*start('straight'))
    return result('straight')


@claim
def test_a_run_folder_holds_all_that_is_promised():
    straight()
    found = set(files(TMP / 'straight'))
    assert {'config.json', 'metrics.jsonl', 'state.bin', 'train_rows.jsonl', 'valid_rows.jsonl',
            'adapter/adapter_config.json', 'adapter/adapter_model.safetensors', 'adapter-last/adapter_config.json',
            'adapter-last/adapter_model.safetensors'} <= found, found
    assert any(name.startswith('tensorboard/events.out.tfevents.') for name in found), found
    config = json.loads((TMP / 'straight/config.json').read_text())
    assert config['recipe']['rank'] == 4 and config['recipe']['lr'] == 0.01 and config['recipe']['alpha'] == 16
    assert config['command'].startswith('tallrec tune --model') and len(config['model']['sha256']) == 64
    assert config['data']['splits']['train']['rows'] == 144 and config['shots'] == 24
    assert len(rows(TMP / 'straight/train_rows.jsonl')) == 24 and len(rows(TMP / 'straight/valid_rows.jsonl')) == 18


@claim
def test_metrics_have_a_line_a_step_and_a_line_a_validation():
    _, metrics = straight()
    assert [line['step'] for line in metrics if 'loss' in line] == list(range(1, STEPS + 1))
    assert [line['step'] for line in metrics if 'valid_auc' in line] == list(range(4, STEPS + 1, 4))
    assert all({'loss', 'lr', 'grad_norm', 'tokens'} <= set(line) for line in metrics if 'loss' in line)
    losses = [line['loss'] for line in metrics if 'loss' in line]
    assert losses[-1] < losses[0] - 0.5, losses


@claim
def test_the_number_of_threads_changes_nothing():
    run(*start('one-thread', '--threads', '1'))
    run(*start('three-threads', '--threads', '3'))
    assert result('one-thread') == result('three-threads') == straight()


def quietly(arguments):
    """Starts tallrec; nobody listens."""
    return subprocess.Popen([BIN, *map(str, arguments)], cwd=TMP, stderr=subprocess.DEVNULL, stdout=subprocess.DEVNULL)


@claim
def test_killing_at_any_moment_and_resuming_equals_the_straight_run():
    for moment in (0.02, 0.2):
        folder = f'killed-{moment}'
        kills = 0
        process = quietly(start(folder))
        while kills < 40:
            try:
                process.wait(timeout=moment * (4 if SANITIZED else 1) * (1 + kills / 4))
                break
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
                kills += 1
            begun = (TMP / folder / 'config.json').exists()
            process = quietly(['tune', '--resume', '-o', folder] if begun else start(folder))
        process.wait()
        assert process.returncode == 0, f'killed {kills} times, then status {process.returncode}'
        assert result(folder) == straight(), f'differs after {kills} kills'
        assert not [name for name in files(TMP / folder) if '.tmp.' in name]


@claim
def test_ctrl_c_finishes_the_step_saves_and_says_how_to_go_on():
    folder = 'stopped'
    process = subprocess.Popen([BIN, *map(str, start(folder, '--epochs', '400'))], cwd=TMP, text=True,
                               stderr=subprocess.PIPE, stdout=subprocess.PIPE)
    metrics = TMP / folder / 'metrics.jsonl'
    while not (metrics.exists() and metrics.read_text().count('\n') > 3) and process.poll() is None:
        time.sleep(0.01)
    process.send_signal(signal.SIGINT)
    out, err = process.communicate(timeout=60)
    assert process.returncode == 1 and 'tallrec: error: stopped ' in err, err
    assert f'try: tallrec tune --resume -o {folder}' in err, err
    assert (TMP / folder / 'adapter-last/adapter_model.safetensors').exists() and (TMP / folder / 'state.bin').exists()
    done = len([line for line in rows(metrics) if 'loss' in line])
    assert f'step {done} of' in err or 'in a validation' in err, (done, err)


@claim
def test_resuming_a_finished_run_changes_nothing():
    straight()
    before = result('straight')
    run('tune', '--resume', '-o', 'straight')
    assert result('straight') == before


@claim
def test_a_folder_with_a_run_is_kept_unless_forced():
    run(*start('kept', '--steps', '2'))
    before = files(TMP / 'kept')
    fails(*start('kept'), status=2, says='holds a run', at='kept', hint='--resume')
    assert files(TMP / 'kept') == before
    (TMP / 'kept/notes.txt').write_text('mine')
    run(*start('kept', '--steps', '3', '--force'))
    assert len([line for line in rows(TMP / 'kept/metrics.jsonl') if 'loss' in line]) == 3
    assert (TMP / 'kept/notes.txt').read_text() == 'mine'
    (TMP / 'letters').mkdir()
    (TMP / 'letters/a.txt').write_text('dear')
    fails(*start('letters', '--force'), status=2, says='a.txt', at='letters')


@claim
def test_a_run_does_not_go_on_with_another_model_or_other_rows():
    run(*start('moved', '--steps', '2'))
    fails('tune', '--resume', '-o', 'moved', '--model', TMP / 'nowhere.gguf', at='nowhere.gguf')
    path = TMP / 'moved/train_rows.jsonl'
    kept = path.read_text()
    path.write_text(''.join(kept.splitlines(keepends=True)[1:]))
    fails('tune', '--resume', '-o', 'moved')
    path.write_text(kept)
    copy = TMP / 'other.gguf'
    content = bytearray(open(MODEL, 'rb').read())
    content[-100] ^= 1
    copy.write_bytes(content)
    fails('tune', '--resume', '-o', 'moved', '--model', copy, says='model')


@claim
def test_dry_run_tells_the_plan_and_writes_nothing():
    before = sorted(os.listdir(TMP))
    out = run(*start('planned', '--dry-run')).stdout
    for text in ('24 of 144', f'{STEPS} in 6 epochs', 'memory', 'time', 'parameters', '18 rows', '"rank": 4'):
        assert text in out, out
    run('tune', '--model', MODEL, '--data', data(), '--dry-run')
    assert sorted(os.listdir(TMP)) == before


@claim
def test_training_files_stand_in_for_a_data_folder():
    train, valid = (data() / f'{split}.jsonl' for split in ('train', 'valid'))
    run('tune', '--train', train, '--valid', valid, '--model', MODEL, '-o', 'from-files', *SMALL, '--epochs', '6')
    assert result('from-files') == straight()


@claim
def test_without_validation_rows_the_last_adapter_is_kept():
    ran = run('tune', '--train', data() / 'train.jsonl', '--model', MODEL, '-o', 'unvalidated', *SMALL, '--steps', '3')
    found = files(TMP / 'unvalidated')
    assert found['adapter/adapter_model.safetensors'] == found['adapter-last/adapter_model.safetensors']
    assert 'no validation rows' in ran.stderr and 'valid_rows.jsonl' not in found


@claim
def test_init_adapter_brings_its_shape_and_survives_resuming():
    more = ['--lr', '0.01', '--steps', '2', '--warmup', '0', '--shots', '8']
    run('tune', '--model', MODEL, '--data', data(), '-o', 'second', '--init-adapter', ADAPTER, *more)
    config = json.loads((TMP / 'second/adapter/adapter_config.json').read_text())
    assert config['r'] == 3 and config['lora_alpha'] == 6 and len(config['target_modules']) == 7
    run('tune', '--model', MODEL, '--data', data(), '-o', 'third', '--init-adapter', ADAPTER, '--rank', '3', *more)
    assert result('second') == result('third')
    (TMP / 'third/state.bin').unlink()
    run('tune', '--resume', '-o', 'third')
    assert result('second') == result('third')


@claim
def test_rows_are_taken_in_file_order_without_shuffling():
    run(*start('ordered', '--shuffle', 'none', '--steps', '2'))
    used = [(row['user'], row['item'], row['time']) for row in rows(TMP / 'ordered/train_rows.jsonl')]
    order = [(row['user'], row['item'], row['time']) for row in rows(data() / 'train.jsonl')]
    assert used == [row for row in order if row in used]


@claim
def test_balanced_shots_have_as_many_of_each():
    run(*start('balanced', '--balanced', '--steps', '2'))
    used = rows(TMP / 'balanced/train_rows.jsonl')
    assert [row['output'] for row in used].count('Yes.') == 12 and len(used) == 24


def scaled_adapter(name, factor):
    """The golden adapter with all its numbers multiplied."""
    folder = TMP / name
    folder.mkdir()
    for file, content in files(ADAPTER).items():
        if file.endswith('.safetensors'):
            start = 8 + struct.unpack('<Q', content[:8])[0]
            numbers = array.array('f', content[start:])
            content = content[:start] + array.array('f', [number * factor for number in numbers]).tobytes()
        (folder / file).write_bytes(content)
    return folder


@claim
def test_a_loss_that_is_no_number_stops_and_keeps_the_last_good_state():
    huge = scaled_adapter('huge', 1e36)
    ran = fails('tune', '--model', MODEL, '--data', data(), '-o', 'diverged', '--shots', '24', '--init-adapter', huge,
                '--warmup', '0', says='step 1: the')
    assert 'nan' in ran.stderr or 'inf' in ran.stderr, ran.stderr
    assert (TMP / 'diverged/state.bin').exists()


@claim
def test_instruction_rows_of_any_kind_can_be_tuned_on():
    path = write_rows('alpaca.jsonl', [{'instruction': f'Say {word}.', 'input': '', 'output': word} for word in
                                       ('one', 'two', 'three', 'four')])
    run('tune', '--model', MODEL, '--train', path, '-o', 'alpaca', '--steps', '2', '--warmup', '0')


main()
