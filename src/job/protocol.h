/* What a result is of, as JSON: model, adapter and data by name and hash. It stands in the configuration of a run and
 * in the protocol of an evaluation. All values are new references; NULL pointers never come back with TR_OK. */
#ifndef TR_JOB_PROTOCOL_H
#define TR_JOB_PROTOCOL_H

#include "job/engine.h"
#include <jansson.h>

/* {"file", "bytes", "sha256"} of a file; the name is without its folder. */
tr_status tr_protocol_file(const char *path, json_t **out, tr_error *err);

/* {"folder", "model": file, "config": file} of an adapter. */
tr_status tr_protocol_adapter(const char *folder, json_t **out, tr_error *err);

/* The protocol card of a data folder, or {"file", "bytes", "sha256"} of a file of examples at `path`. */
tr_status tr_protocol_source(const tr_source *source, const char *path, json_t **out, tr_error *err);

/* Sets a member of `object` to `value`, whose reference it takes. TR_ERR_MEMORY. */
tr_status tr_protocol_set(json_t *object, const char *key, json_t *value, tr_error *err);

#endif
