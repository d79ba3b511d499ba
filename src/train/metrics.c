/* This file implements metrics.jsonl and its TensorBoard twin. */
#include "train/metrics.h"
#include "base/file.h"
#include "base/memory.h"
#include "base/system.h"
#include "format/json.h"

#include <errno.h>
#include <fcntl.h>
#include <math.h>
#include <stdlib.h>
#include <sys/file.h>
#include <unistd.h>

static tr_status open_lines(tr_metrics *m, int64_t keep_bytes, tr_error *err)
{
    m->fd = open(m->path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0666);
    if (m->fd < 0) return tr_fail_errno(err, "cannot open %s", m->path);
    if (flock(m->fd, LOCK_EX | LOCK_NB) != 0 && errno == EWOULDBLOCK) {
        tr_fail(err, TR_ERR_USAGE, "another process is tuning in this folder");
        return tr_at(err, "%s", m->path);
    }
    if (lseek(m->fd, 0, SEEK_END) < keep_bytes) {
        tr_fail(err, TR_ERR_MISMATCH, "metrics.jsonl is shorter than the state of the run says");
        tr_at(err, "%s", m->path);
        return tr_hint(err, "put the file back, or start a new run in another folder");
    }
    if (ftruncate(m->fd, keep_bytes) != 0) return tr_fail_errno(err, "cannot write %s", m->path);
    m->bytes = keep_bytes;
    return TR_OK;
}

static tr_status open_events(const char *folder, tr_tfevents **out, tr_error *err)
{
    char *path = tr_path_join(folder, "tensorboard");
    if (!path) return tr_fail(err, TR_ERR_MEMORY, "out of memory for a path");
    tr_status status = tr_folder_create(path, err);
    if (status == TR_OK) status = tr_tfevents_create(path, out, err);
    free(path);
    return status;
}

tr_status tr_metrics_open(const char *folder, int64_t keep_bytes, tr_metrics *out, tr_error *err)
{
    tr_status status = TR_OK;
    *out = (tr_metrics){.fd = -1, .path = tr_path_join(folder, "metrics.jsonl")};
    if (!out->path) TR_TRY_CLEANUP(tr_fail(err, TR_ERR_MEMORY, "out of memory for a path"));
    TR_TRY_CLEANUP(open_lines(out, keep_bytes, err));
    TR_TRY_CLEANUP(open_events(folder, &out->events, err));
cleanup:
    if (status != TR_OK) tr_metrics_close(out);
    return status;
}

void tr_metrics_close(tr_metrics *metrics)
{
    if (metrics->path && metrics->fd >= 0) close(metrics->fd);
    free(metrics->path);
    tr_tfevents_close(metrics->events);
    *metrics = (tr_metrics){.fd = -1};
}

/* A whole line or nothing: what a full disk cut off is taken back. */
static tr_status append_line(tr_metrics *m, const tr_str *line, tr_error *err)
{
    for (size_t done = 0; done < line->size;) {
        ssize_t n = write(m->fd, line->data + done, line->size - done);
        if (n < 0 && errno == EINTR) continue;
        if (n < 0) {
            tr_status status = tr_fail_errno(err, "cannot write %s", m->path);
            if (ftruncate(m->fd, m->bytes) != 0) return status; /* resuming cuts the line off too */
            return status;
        }
        done += (size_t)n;
    }
    m->bytes += (int64_t)line->size;
    return TR_OK;
}

/* Takes over `object`. */
static tr_status append_object(tr_metrics *m, json_t *object, tr_error *err)
{
    tr_str line = {0};
    if (!object) return tr_fail(err, TR_ERR_MEMORY, "out of memory for a line of metrics");
    tr_status status = tr_json_add(&line, object, 0, false, err);
    tr_str_add(&line, "\n");
    if (status == TR_OK) status = tr_str_check(&line, err);
    if (status == TR_OK) status = append_line(m, &line, err);
    tr_str_free(&line);
    json_decref(object);
    return status;
}

static tr_status add_scalars(tr_metrics *m, int64_t step, const char *const *tag, const double *value, int n,
                             tr_error *err)
{
    const double now = tr_wall_seconds();
    for (int i = 0; i < n; i++) TR_TRY(tr_tfevents_scalar(m->events, now, step, tag[i], (float)value[i], err));
    return TR_OK;
}

tr_status tr_metrics_step(tr_metrics *metrics, const tr_step_record *r, tr_error *err)
{
    static const char *const tags[] = {"train/loss", "train/lr", "train/grad_norm", "train/tokens_per_second"};
    const double values[] = {r->loss, r->lr, r->grad_norm, r->seconds > 0 ? (double)r->sums.tokens / r->seconds : 0};
    json_t *line = json_pack("{s:I s:I s:f s:f s:f s:I s:I s:I s:f}",
                             "step", (json_int_t)r->step, "epoch", (json_int_t)r->epoch,
                             "loss", r->loss, "lr", r->lr, "grad_norm", r->grad_norm,
                             "tokens", (json_int_t)r->sums.tokens, "nodes", (json_int_t)r->sums.nodes,
                             "targets", (json_int_t)r->sums.targets, "seconds", r->seconds);
    TR_TRY(append_object(metrics, line, err));
    return add_scalars(metrics, r->step, tags, values, 4, err);
}

tr_status tr_metrics_valid(tr_metrics *metrics, const tr_valid_record *r, tr_error *err)
{
    static const char *const tags[] = {"valid/auc", "valid/log_loss"};
    const double values[] = {r->auc, r->log_loss};
    json_t *line = json_pack("{s:I s:f s:I}", "step", (json_int_t)r->step, "valid_auc", r->auc, "valid_rows",
                             (json_int_t)r->rows);
    if (!isnan(r->log_loss)) json_object_set_new(line, "valid_log_loss", json_real(r->log_loss));
    json_object_set_new(line, "best", json_boolean(r->best));
    json_object_set_new(line, "seconds", json_real(r->seconds));
    TR_TRY(append_object(metrics, line, err));
    return add_scalars(metrics, r->step, tags, values, isnan(r->log_loss) ? 1 : 2, err);
}

tr_status tr_metrics_sync(tr_metrics *metrics, tr_error *err)
{
    if (fsync(metrics->fd) != 0 && errno != EINVAL) return tr_fail_errno(err, "cannot write %s", metrics->path);
    return TR_OK;
}
