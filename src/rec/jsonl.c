/* This file implements the writing of JSON Lines. */
#include "rec/jsonl.h"

#include "base/file.h"
#include "base/str.h"
#include "format/json.h"

tr_status tr_jsonl_write(const char *path, size_t n, tr_jsonl_row row, const void *user, tr_error *err)
{
    tr_writer writer;
    tr_str text = {0};
    tr_status status;
    TR_TRY(tr_writer_open(&writer, path, err));
    for (size_t i = 0; i < n && !ferror(writer.stream); i++) {
        json_t *value = row(user, i);
        text.size = 0;
        status = value ? tr_json_add(&text, value, 0, false, err)
                       : tr_fail(err, TR_ERR_VALUE, "row %zu cannot be JSON: not UTF-8, or out of memory", i + 1);
        json_decref(value);
        if (status == TR_OK) tr_str_add(&text, "\n");
        if (status == TR_OK) status = tr_str_check(&text, err);
        if (status != TR_OK) {
            tr_at(err, "%s", path);
            goto cleanup;
        }
        fwrite(text.data, 1, text.size, writer.stream);
    }
    status = tr_writer_commit(&writer, err);
cleanup:
    tr_writer_abandon(&writer);
    tr_str_free(&text);
    return status;
}
