/* This file implements the writing of JSON Lines. */
#include "rec/jsonl.h"

#include "base/file.h"

tr_status tr_jsonl_write(const char *path, size_t n, tr_jsonl_row row, const void *user, tr_error *err)
{
    tr_writer writer;
    TR_TRY(tr_writer_open(&writer, path, err));
    for (size_t i = 0; i < n && !ferror(writer.stream); i++) {
        json_t *value = row(user, i);
        int failed = !value || json_dumpf(value, writer.stream, JSON_COMPACT) != 0;
        json_decref(value);
        if (failed && !ferror(writer.stream)) {
            tr_writer_abandon(&writer);
            tr_fail(err, TR_ERR_VALUE, "row %zu cannot be written as JSON: not UTF-8, or out of memory", i + 1);
            return tr_at(err, "%s", path);
        }
        putc('\n', writer.stream);
    }
    return tr_writer_commit(&writer, err);
}
